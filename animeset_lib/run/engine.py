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
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from animeset_lib.errors import AnimesetError, SpaceError
from animeset_lib.models.api import ModelProvider
from animeset_lib.records import Box, Record
from animeset_lib.run.events import LOGGER, Events
from animeset_lib.run.lock import Cancel
from animeset_lib.run.stage import Context, Given, Item, Notes, Output, Stage, StageInfo, StageType, WholeStage
from animeset_lib.run.store import FilmStore, PartialStage, full_disk_as

__all__ = ["MIN_FREE_BYTES", "keys_of", "run_stages"]

AnyStage = Stage[Any, Any, Any]

MIN_FREE_BYTES = 300_000_000
"""A stage is not begun, and a batch not started, with less free space: the journal must always find room for its last words."""

_MADE = 8
"""Pictures that one line of progress names; a person sees no more of them at once."""

_LIBRARIES = (
    "animeset",
    "av",
    "mediapipe",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "open_clip_torch",
    "opencv-python-headless",
    "openvino",
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
    engine = _Engine(store, models, events, cancel, threads)
    outputs = Given()
    for stage in stages:
        try:
            with full_disk_as(partial(_space_message, store, stage)):
                outputs = outputs.having(engine.run(stage, keys[stage.name], outputs.only(stage.needs)))
        finally:
            # the next stage's network needs the memory of this one's
            models.release()
        if after is not None and type(stage) in after:
            after[type(stage)](outputs)
    return outputs


@dataclass(frozen=True)
class _Engine:
    """What all stages of a run share."""

    store: FilmStore
    models: ModelProvider
    events: Events
    cancel: Cancel
    threads: int
    log = logging.getLogger(LOGGER)

    def run(self, stage: AnyStage, key: str, given: Given) -> Output[Any, Any]:
        """The stage's output: there already, only to be renamed, or made."""
        output = self.store.finished(type(stage), key)
        reused = output is not None
        if output is None:
            begun = self.store.begin(type(stage), key)
            reused = begun.sealed
            if not reused:
                self._make(stage, key, given, begun)
            output = begun.commit()
        self._report(output.info, reused)
        return output

    def _make(self, stage: AnyStage, key: str, given: Given, begun: PartialStage[Any, Any]) -> None:
        """What is missing of the stage, batch by batch, then the whole of it sealed."""
        items = stage.plan(given)
        ids = _unique_ids(stage, items)
        starts = range(0, len(items), stage.batch)
        todo = [start for start in starts if not begun.has(start, ids[start : start + stage.batch])]
        finished = len(items) - sum(min(stage.batch, len(items) - start) for start in todo)
        # a stage that must see everything at once is one step of the bar
        steps = 1 if isinstance(stage, WholeStage) else len(items)
        self.events.emit("stage_started", stage=stage.name, items=steps, todo=steps - finished)
        already = f", {finished} already done" if finished else ""
        self.log.info("%s: started, %d items%s", stage.name, steps, already)
        bar = _Bar(self.events, self.cancel, stage.name, steps)
        for start in todo:
            batch = items[start : start + stage.batch]
            by_id = {item.id: item for item in batch}
            rows = []
            self._may_go_on(stage)
            for row in stage.process(batch, begun.path, self._context(partial(bar.part, finished, len(batch)))):
                rows.append(row)
                if (shown := stage.shown(row, by_id, begun.path)) is not None:
                    bar.made.append(_picture(self.store, *shown))
            begun.add(start, ids[start : start + stage.batch], rows)
            finished += len(batch)
            bar.show(finished)
        self._may_go_on(stage)
        rest = partial(bar.part, 0, 1) if finished < steps else lambda done, total: self.cancel.check()
        final, notes = stage.finish(begun.rows(starts), items, given, begun.path, self._context(rest))
        _check_reasons(stage, final)
        begun.seal(final, _stage_info(stage, key, given, self.models, final, notes, bar.seconds))

    def _context(self, progress: Callable[[float, float], None]) -> Context:
        return Context(self.models, self.threads, self.log, progress, self.cancel.check)

    def _may_go_on(self, stage: AnyStage) -> None:
        """Raises `SpaceError` or `CancelledError`."""
        if shutil.disk_usage(self.store.path).free < MIN_FREE_BYTES:
            raise SpaceError(_space_message(self.store, stage))
        self.cancel.check()

    def _report(self, info: StageInfo, reused: bool) -> None:
        seconds = 0.0 if reused else info.seconds
        reasons = "".join(f", {count} {reason}" for reason, count in info.dropped.items())
        how = "reused" if reused else f"{seconds:.1f} s"
        self.log.info("%s: finished (%s): %d rows, %d kept%s", info.stage, how, info.rows, info.kept, reasons)
        counts = {"rows": info.rows, "kept": info.kept, "dropped": info.dropped}
        self.events.emit("stage_finished", stage=info.stage, seconds=seconds, **counts, reused=reused)


class _Bar:
    """How far a stage is, for who looks on. Whoever tells it is stopped there when the run shall stop."""

    def __init__(self, events: Events, cancel: Cancel, stage: str, steps: int) -> None:
        self._events = events
        self._cancel = cancel
        self._stage = stage
        self._steps = steps
        self._began = time.monotonic()
        self.made: deque[dict[str, Any]] = deque(maxlen=_MADE)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def show(self, done: float) -> None:
        self._cancel.check()
        how_far = {"done": round(done, 2), "total": self._steps, "seconds": round(self.seconds, 1)}
        if self._events.emit("progress", stage=self._stage, **how_far, made=list(self.made)):
            self.made.clear()

    def part(self, before: float, size: int, done: float, total: float) -> None:
        """`done` of `total` of the `size` steps after `before`."""
        self.show(before + (size * done / total if total else 0.0))


def _unique_ids(stage: AnyStage, items: Sequence[Item]) -> list[str]:
    ids = [item.id for item in items]
    if len(set(ids)) != len(ids):
        twice = [name for name, count in Counter(ids).items() if count > 1][:3]
        raise AnimesetError(
            f"stage {stage.name} planned items with equal ids, e.g. {twice}; ids name files and must be unique"
        )
    return ids


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


def _space_message(store: FilmStore, stage: AnyStage) -> str:
    free = shutil.disk_usage(store.path).free
    return (
        f"too little disk space for stage {stage.name}: {free / 1e6:.0f} MB free where the work folder lies, at least "
        f"{MIN_FREE_BYTES / 1e6:.0f} MB needed; free some (see `animeset clean`) or use --work on another disk, then run the same command: "
        "nothing finished is lost"
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
    dropped = Counter(row.dropped for row in rows if row.dropped is not None)
    return StageInfo(
        stage=stage.name,
        version=stage.version,
        key=key,
        settings=stage.all_settings(),
        inputs={output.stage.name: output.key for output in given},
        fingerprint=dict(stage.fingerprint(models)),
        rows=len(rows),
        kept=len(rows) - dropped.total(),
        dropped=dict(sorted(dropped.items())),
        notes=notes.model_dump(mode="json"),
        seconds=round(seconds, 2),
        device=models.where,
        libraries=_installed(),
    )


@cache
def _installed() -> dict[str, str]:
    """Name → version of those of `_LIBRARIES` that are here."""
    found = {}
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
