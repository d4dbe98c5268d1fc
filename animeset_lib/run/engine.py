"""Runs stages in order: keys, reuse, batches, commit. Knows no stage and no model."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from animeset_lib.errors import AnimesetError, SpaceError
from animeset_lib.models.api import ModelProvider
from animeset_lib.records import Box, Record
from animeset_lib.run.events import LOGGER, Events
from animeset_lib.run.lock import Cancel
from animeset_lib.run.stage import Context, Given, Notes, Output, Stage, StageInfo, StageType, WholeStage
from animeset_lib.run.store import FilmStore, full_disk_as

__all__ = ["MIN_FREE_BYTES", "keys_of", "run_stages"]

AnyStage = Stage[Any, Any, Any]

MIN_FREE_BYTES = 300_000_000
"""A stage is not begun, and a batch not started, with less free space: the journal must always find room for its last words."""

_MADE = 8
"""Pictures that one line of progress names; a person sees no more of them at once."""

_LIBRARIES = (
    "animeset",
    "av",
    "hdbscan",
    "mediapipe",
    "ncnn",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "open_clip_torch",
    "opencv-python-headless",
    "Pillow",
    "scikit-learn",
    "scipy",
    "spandrel",
    "torch",
    "ultralytics",
    "umap-learn",
)


def keys_of(stages: Sequence[AnyStage], models: ModelProvider) -> dict[str, str]:
    """Stage name → key: a hash of name, version, settings, fingerprint and the keys of its inputs. Needs no output, so plans are free.

    Raises `AnimesetError` when a stage needs one that does not come before it.
    """
    keys: dict[str, str] = {}
    for stage in stages:
        missing = [need.name for need in stage.needs if need.name not in keys]
        if missing:
            raise AnimesetError(f"stage {stage.name} needs {missing}, which do not come before it in the pipeline")
        identity = {
            "stage": stage.name,
            "version": stage.version,
            "settings": stage.all_settings(),
            "fingerprint": dict(stage.fingerprint(models)),
            "inputs": {need.name: keys[need.name] for need in stage.needs},
        }
        canonical = json.dumps(identity, sort_keys=True, ensure_ascii=True)
        keys[stage.name] = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return keys


def run_stages(
    stages: Sequence[AnyStage],
    store: FilmStore,
    models: ModelProvider,
    events: Events,
    cancel: Cancel,
    threads: int,
    after: Mapping[StageType, Callable[[Given], None]] | None = None,
) -> Given:
    """Run what is not yet there; returns all outputs. `after` a stage of that class, reused or not, gets all outputs so far.

    Interrupted anywhere, the same call goes on where it was: finished stages are taken as they are, finished batches of the running one too.
    Raises what a stage raises, `CancelledError` or `SpaceError`; nothing finished is lost by any of them.
    """
    keys = keys_of(stages, models)
    outputs = Given()
    for stage in stages:
        given = outputs.only(stage.needs)
        try:
            with full_disk_as(partial(_space_message, store, stage)):
                outputs = outputs.having(
                    _run_stage(stage, keys[stage.name], given, store, models, events, cancel, threads)
                )
        finally:
            # the next stage's network needs the memory of this one's
            models.release()
        if after is not None and type(stage) in after:
            after[type(stage)](outputs)
    return outputs


def _run_stage(
    stage: AnyStage,
    key: str,
    given: Given,
    store: FilmStore,
    models: ModelProvider,
    events: Events,
    cancel: Cancel,
    threads: int,
) -> Output[Any, Any]:
    log = logging.getLogger(LOGGER)
    if (done := store.finished(type(stage), key)) is not None:
        _report(stage, done.rows, 0.0, events, log, reused=True)
        return done
    begun = store.begin(type(stage), key)
    if begun.sealed:
        output = begun.commit()
        _report(stage, output.rows, 0.0, events, log, reused=True)
        return output

    began = time.monotonic()
    items = stage.plan(given)
    ids = [item.id for item in items]
    if len(set(ids)) != len(ids):
        twice = [name for name, count in Counter(ids).items() if count > 1][:3]
        raise AnimesetError(
            f"stage {stage.name} planned items with equal ids, e.g. {twice}; ids name files and must be unique"
        )
    starts = range(0, len(items), stage.batch)
    todo = [start for start in starts if not begun.has(start, ids[start : start + stage.batch])]
    finished = sum(min(stage.batch, len(items) - start) for start in starts) - sum(
        min(stage.batch, len(items) - start) for start in todo
    )
    # a stage that must see everything at once is one step of the bar
    steps = 1 if isinstance(stage, WholeStage) else len(items)
    events.emit("stage_started", stage=stage.name, items=steps, todo=steps - finished)
    log.info("%s: started, %d items%s", stage.name, steps, f", {finished} already done" if finished else "")

    made: deque[dict[str, Any]] = deque(maxlen=_MADE)

    def show(done: float) -> None:
        cancel.check()
        seconds = round(time.monotonic() - began, 1)
        how_far = {"done": round(done, 2), "total": steps, "seconds": seconds}
        if events.emit("progress", stage=stage.name, **how_far, made=list(made)):
            made.clear()

    def context(progress: Callable[[float, float], None]) -> Context:
        return Context(models=models, threads=threads, log=log, progress=progress, check_cancel=cancel.check)

    for start in todo:
        batch = items[start : start + stage.batch]
        _check_space(store, stage)
        cancel.check()

        def part(done: float, total: float, before: int = finished, size: int = len(batch)) -> None:
            show(before + (size * done / total if total else 0.0))

        by_id = {item.id: item for item in batch}
        rows = []
        for row in stage.process(batch, begun.path, context(part)):
            rows.append(row)
            if (shown := stage.shown(row, by_id, begun.path)) is not None:
                made.append(_picture(store, *shown))
        begun.add(start, ids[start : start + stage.batch], rows)
        finished += len(batch)
        show(finished)

    def rest(done: float, total: float) -> None:
        if finished < steps:
            show(done / total if total else 0.0)
        else:
            cancel.check()

    _check_space(store, stage)
    cancel.check()
    final, notes = stage.finish(begun.rows(starts), items, given, begun.path, context(rest))
    _check_reasons(stage, final)
    seconds = time.monotonic() - began
    begun.seal(final, _stage_info(stage, key, given, models, final, notes, seconds))
    output = begun.commit()
    _report(stage, final, seconds, events, log, reused=False)
    return output


def _picture(store: FilmStore, path: Path, box: Box | None) -> dict[str, Any]:
    place = Path(os.path.relpath(path, store.path)).as_posix()
    return {"path": place, "box": None if box is None else list(box.xyxy)}


def _check_reasons(stage: AnyStage, rows: Sequence[Record]) -> None:
    undeclared = sorted({row.dropped for row in rows if row.dropped is not None} - stage.reasons.keys())
    if undeclared:
        kind = type(stage)
        raise AnimesetError(
            f"stage {stage.name} dropped rows as {', '.join(undeclared)}, expected one of its reasons "
            f"({', '.join(stage.reasons) or 'it has none'}); declare it with its words in {kind.__name__}.reasons ({kind.__module__})"
        )


def _check_space(store: FilmStore, stage: AnyStage) -> None:
    if shutil.disk_usage(store.path).free < MIN_FREE_BYTES:
        raise SpaceError(_space_message(store, stage))


def _space_message(store: FilmStore, stage: AnyStage) -> str:
    free = shutil.disk_usage(store.path).free
    return (
        f"too little disk space for stage {stage.name}: {free / 1e6:.0f} MB free where the work folder lies, at least "
        f"{MIN_FREE_BYTES / 1e6:.0f} MB needed; free some (see `animeset clean`) or use --work on another disk, then run the same command: "
        "nothing finished is lost"
    )


def _counts(rows: Sequence[Record]) -> dict[str, int]:
    return dict(sorted(Counter(row.dropped for row in rows if row.dropped is not None).items()))


def _report(
    stage: AnyStage, rows: Sequence[Record], seconds: float, events: Events, log: logging.Logger, reused: bool
) -> None:
    dropped = _counts(rows)
    kept = len(rows) - sum(dropped.values())
    reasons = "".join(f", {count} {reason}" for reason, count in dropped.items())
    how = "reused" if reused else f"{seconds:.1f} s"
    log.info("%s: finished (%s): %d rows, %d kept%s", stage.name, how, len(rows), kept, reasons)
    events.emit(
        "stage_finished",
        stage=stage.name,
        seconds=round(seconds, 2),
        rows=len(rows),
        kept=kept,
        dropped=dropped,
        reused=reused,
    )


def _stage_info(
    stage: AnyStage,
    key: str,
    given: Given,
    models: ModelProvider,
    rows: Sequence[Record],
    notes: Notes,
    seconds: float,
) -> StageInfo:
    dropped = _counts(rows)
    return StageInfo(
        stage=stage.name,
        version=stage.version,
        key=key,
        settings=stage.all_settings(),
        inputs={output.stage.name: output.key for output in given},
        fingerprint=dict(stage.fingerprint(models)),
        rows=len(rows),
        kept=len(rows) - sum(dropped.values()),
        dropped=dropped,
        notes=notes.model_dump(mode="json"),
        seconds=round(seconds, 2),
        device=models.where,
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES if _installed(name)},
    )


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
