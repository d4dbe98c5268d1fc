"""One film from file to published data sets."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib import media
from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.name_book import load_names, names_given
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import AnimesetError, CancelledError, SettingsError, SpaceError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import clean_name
from animeset_lib.models.engines.device import choose, idle
from animeset_lib.models.provider import Zoo
from animeset_lib.pipeline.cast_pack import newest_pack, write_pack
from animeset_lib.pipeline.fetch import _models_of
from animeset_lib.pipeline.folders import (
    PLAN_FILE,
    Folders,
    _text,
    captions_path,
    cast_pack_path,
    decisions_path,
    film_folder,
    names_path,
    traits_path,
)
from animeset_lib.pipeline.stages import PIPELINE, build_pipeline
from animeset_lib.published.hand_captions import CaptionStore, KeptCaptions, harvest, names_in_words
from animeset_lib.published.publish import (
    Published,
    changed_files,
    publish,
    published,
    tidy,
)
from animeset_lib.records import Film
from animeset_lib.run.engine import MIN_FREE_BYTES, keys_of, run_stages
from animeset_lib.run.events import LOGGER, Events, Listener, log_files, log_refusal, warnings_as_events
from animeset_lib.run.lock import Cancel, hold
from animeset_lib.run.stage import Output, Stage
from animeset_lib.run.store import FilmStore, folder_size, full_disk_as, remove_tree, write_json, write_text
from animeset_lib.settings import Settings

__all__ = ["RunResult", "Series", "_to_repeat", "film_stages", "run_film"]


@dataclass(frozen=True)
class RunResult:
    """What `run_film` did. `characters` maps each name to its number of pictures; empty when no face was found."""

    film: Film
    published: Published | None
    """None when the run was asked to stop earlier (`until`)."""
    characters: dict[str, int]
    notes: tuple[str, ...]
    up_to_date: bool
    work_bytes: int
    """Size of the work folder that was kept, 0 when it was removed."""


@dataclass(frozen=True)
class Series:
    """The command that a film is run by, for whoever goes on with it: all its films, which of them this is, and the cast file it was given."""

    paths: tuple[str, ...]
    place: int
    cast: Path | None


def film_stages(
    settings: Settings, film: Film, path: Path, output: Path, models: Zoo, *, references: Path | None, cast: Path | None
) -> tuple[tuple[Stage, ...], str]:
    """The stages of a run on the film with what lies about it in `output`, and the key of its cast stage without the names of earlier runs.

    Raises `InputError` when one of these files cannot be used.
    """
    folder = film_folder(film)

    def build(**names: Any) -> tuple[Stage, ...]:
        return build_pipeline(
            settings,
            film,
            path,
            references=references,
            cast_file=cast,
            decisions=decisions_path(output, folder),
            traits=traits_path(output, folder),
            **names,
        )

    stages = build()
    key = keys_of(stages, models).get(PIPELINE["cast"].name, "")
    names = load_names(names_path(output, folder)).for_run(key)
    return (build(names=names) if names else stages), key


def run_film(
    path: Path,
    settings: Settings,
    folders: Folders,
    *,
    references: Path | None = None,
    cast: Path | None = None,
    keep_work: bool = False,
    until: str | None = None,
    threads: int = 0,
    device: str = "auto",
    series: Series | None = None,
    listeners: tuple[Listener, ...] = (),
    on_cancel_switch: list[Cancel] | None = None,
) -> RunResult:
    """Turn the film at `path` into published datasets.

    references       folder of `<name>/*.png` pictures that name characters
    cast             `cast.json` of an earlier film of the series
    keep_work        keep intermediate stages, so that a run with other settings repeats only what changed; those of a published film that are
                     not there any more are made again
    until            settings section of the last stage to run, such as `cast`: nothing is published then and the stages are kept
    threads          0: as many as this process may use
    device           where networks run: auto, cpu, cuda or cuda:<number>; never changes what is cut or sorted, but `auto` models may
    series           paths of all films of a series and the place of this one, for those who watch
    listeners        called with every event, in this thread
    on_cancel_switch the run's cancel switch is appended, for signal handlers

    Human decisions about this film (`decisions_path`, `traits_path`) are honoured, and once it is sorted its cast pack is written
    (`cast_pack_path`). Raises `AnimesetError` children as documented there. A film already published with equal settings is left as it is.
    """
    began = time.monotonic()
    try:
        film = media.probe(path)
        folder = film_folder(film)
        models = Zoo(device=choose(device, threads))
        every, cast_key = film_stages(settings, film, path, folders.output, models, references=references, cast=cast)
        pack = cast_pack_path(folders.output, folder)
        stages = every[: _last_stage(until)]
        _check_writable(folders)
        keys = keys_of(every, models)
    except AnimesetError as error:
        with suppress(OSError):  # what is wrong with the film is worth more than that the log cannot be written
            log_refusal(folders.logs, clean_name(path.name), str(error))
        raise
    with ExitStack() as stack:
        cancel = stack.enter_context(hold(folders.work, folder))
        own_log = stack.enter_context(log_files(folders.logs, folder))
        if on_cancel_switch is not None:
            on_cancel_switch.append(cancel)
        log = logging.getLogger(LOGGER)
        events = stack.enter_context(closing(Events(own_log.with_suffix(".events.jsonl"), listeners)))
        warnings = stack.enter_context(warnings_as_events(events))
        try:
            store = FilmStore(folders.work, folder)
            final = stages[-1]
            log.info("run started: %s (%s, %dx%d)", film.source_name, film.id, film.width, film.height)
            events.emit(
                "run_started",
                film=film.source_name,
                folder=folder,
                path=str(path),
                duration_ms=film.duration_ms,
                stages=[s.name for s in stages],
                keys=keys,
                settings=settings.model_dump(mode="json"),
                until=until,
                keep_work=keep_work,
                series=None if series is None else (series.paths, series.place),
                cast=_text(cast if series is None else series.cast),
            )
            earlier = published(folders.output, film, keys[final.name]) if until is None else None
            todo = stages if earlier is None else _to_repeat(stages, keys, store, pack, keep_work)
            if earlier is not None:
                tidy(folders.output, film)
            if earlier is not None and not todo:
                if not keep_work:
                    remove_tree(store.path)
                log.info("%s is up to date with the film and these settings", earlier.folder)
                _tell_what_was_edited(earlier.folder, captions_path(folders.output, folder), log)
                characters = _characters(earlier.folder)
                events.emit("published", output=str(earlier.folder), zip=str(earlier.zip), characters=characters)
                events.emit("run_finished", seconds=round(time.monotonic() - began, 1))
                return RunResult(film, earlier, characters, (*film.notes, *warnings), True, 0)
            store.path.mkdir(parents=True, exist_ok=True)
            _check_space(folders, path)
            write_json(store.path / PLAN_FILE, {"source": film.source_name, "film": film.id, "keys": keys})
            for note in film.notes:
                log.warning("%s", note)
            log.info("device: %s", models.device.words)
            for sentence in idle(models.device):
                log.warning("%s", sentence)
            for task, asked in _models_of(settings):
                info = models.info(task, asked)
                better = [row.spec for row in models.better(task)] if asked == "auto" else []
                log.info("%s: %s (%s) %s", task, info.name, info.digest, info.rung)
                if better:
                    log.info(
                        "%s: better rungs that are not here: %s",
                        task,
                        "; ".join(f"{s.name} ({models.remedy(s)})" for s in better),
                    )
                events.emit("model", task=task, name=info.name, rung=info.rung, better=[s.name for s in better])

            def write_cast_pack(outputs: Mapping[str, Output]) -> None:
                with full_disk_as(
                    lambda: (
                        f"the disk of {folders.output} is full; free some space or use --output, then run the same command"
                    )
                ):
                    write_pack(pack, outputs, models.device.threads, cancel.check)

            after = {CastStage.name: write_cast_pack}
            outputs = run_stages(todo, store, models, events, cancel, models.device.threads, after)
            _remember_names(names_path(folders.output, folder), cast_key, outputs)
            if until is not None:
                seconds = time.monotonic() - began
                log.info("run stopped after %s in %.0f s, as asked; the stages are kept", final.name, seconds)
                events.emit("paused", after=final.name, seconds=round(seconds, 1))
                return RunResult(film, None, {}, tuple(dict.fromkeys(warnings)), False, folder_size(store.path))
            if earlier is not None:
                result = earlier
                log.info("%s is up to date and left as it is", earlier.folder)
                _tell_what_was_edited(earlier.folder, captions_path(folders.output, folder), log)
            else:
                result = _publish(outputs[DatasetStage], folders.output, film, settings, cancel, log)
            characters = _characters(result.folder)
            events.emit("published", output=str(result.folder), zip=str(result.zip), characters=characters)
            notes = tuple(dict.fromkeys([*warnings, *outputs[ExtractStage].notes.film.notes]))
            kept_bytes = 0
            if keep_work:
                kept_bytes = folder_size(store.path)
            else:
                remove_tree(store.path)
            seconds = time.monotonic() - began
            log.info(
                "run finished in %.0f s: %s",
                seconds,
                ", ".join(f"{n} {c}" for n, c in characters.items()) or "no characters",
            )
            events.emit("run_finished", seconds=round(seconds, 1))
            return RunResult(film, result, characters, notes, False, kept_bytes)
        except CancelledError as error:
            log.info("cancelled: %s", error)
            events.emit("cancelled", message=str(error))
            raise
        except AnimesetError as error:
            log.error("failed: %s", error)
            events.emit("failed", message=str(error))
            raise
        except Exception as error:
            # A fault of ours, not of the user: the traceback belongs into the log, one line to the screen.
            log.exception("failed by an internal fault")
            events.emit("failed", message=f"{type(error).__name__}: {error}")
            raise


def _to_repeat(
    stages: Sequence[Stage], keys: Mapping[str, str], store: FilmStore, pack: Path, keep_work: bool
) -> Sequence[Stage]:
    """The stages to run again though their result is published: all where they shall be kept and are not, those up to 3d_cast where the film
    has no cast pack of this sorting."""
    if keep_work and any(store.finished(stage, keys[stage.name]) is None for stage in stages):
        return stages
    names = [stage.name for stage in stages]
    if CastStage.name not in names or newest_pack(pack) == pack / keys[CastStage.name]:
        return ()
    return stages[: names.index(CastStage.name) + 1]


def _publish(
    dataset: Output, output: Path, film: Film, settings: Settings, cancel: Cancel, log: logging.Logger
) -> Published:
    """The datasets of a finished run to `output`, with the captions that people wrote; says what became of their work."""
    captions = KeptCaptions(captions_path(output, film_folder(film)), settings.caption)
    with full_disk_as(
        lambda: (
            f"the disk of {output} is full; free some space or use --output, then run the same command: only publishing is left"
        )
    ):
        result = publish(
            dataset.path / "tree",
            output,
            film,
            dataset.key,
            settings.model_dump(mode="json"),
            cancel.check,
            captions,
        )
    if captions.kept:
        log.info("%s", captions.kept)
    for sentence in captions.told:
        log.warning("%s", sentence)
    if result.set_aside is not None:
        log.warning(
            "the earlier dataset had been edited by hand (%s); it was moved to %s",
            names_in_words(result.by_hand),
            result.set_aside,
        )
    return result


def _remember_names(path: Path, cast_key: str, outputs: Mapping[str, Output]) -> None:
    """Enter the automatic names that this run gave, if it came so far; for good, whether or not it is published."""
    if PIPELINE["cast"].name not in outputs:
        return
    before = load_names(path)
    after = before.after_run(cast_key, names_given(outputs))
    if after.names and after != before:
        with full_disk_as(lambda: f"the disk of {path} is full; free some space, then run the same command"):
            write_text(path, after.model_dump_json() + "\n")


def _last_stage(until: str | None) -> int:
    """How many stages run. Raises `SettingsError` for an unknown section."""
    if until is None:
        return len(PIPELINE)
    if until not in PIPELINE:
        raise SettingsError(f"unknown stage '{until}' to run until; expected one of {', '.join(PIPELINE)}")
    return list(PIPELINE).index(until) + 1


def _tell_what_was_edited(folder: Path, captions: Path, log: logging.Logger) -> None:
    """Remember the captions that were edited in a folder that is up to date, and say what else was."""
    found = harvest(folder, CaptionStore(captions))
    if found.by_hand:
        log.info("%s: captions edited by hand: %d; later runs keep them (%s)", folder, found.by_hand, captions)
    for sentence in found.told:
        log.warning("%s", sentence)
    if others := changed_files(folder) - found.remembered:
        log.warning(
            "%s was edited by hand (%s) and is left as it is; move it away to make it again",
            folder,
            names_in_words(sorted(others)),
        )


def _characters(folder: Path) -> dict[str, int]:
    counts = {p.parent.parent.parent.name: 0 for p in sorted(folder.glob("*/dataset/images/*"))}
    for picture in folder.glob("*/dataset/images/*"):
        counts[picture.parent.parent.parent.name] += 1
    return counts


def _check_writable(folders: Folders) -> None:
    output, work = folders.output.resolve(), folders.work.resolve()
    if output == work or output in work.parents or work in output.parents:
        raise SettingsError(
            f"--output ({folders.output}) and --work ({folders.work}) must not lie inside each other, for work is cleaned away; choose two folders"
        )
    for folder in (folders.output, folders.work, folders.logs):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".animeset-write-test"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise AnimesetError(
                f"cannot write to {folder} ({error.strerror}); choose another place with --output, --work or --logs, or mend its permissions"
            ) from error


def _check_space(folders: Folders, path: Path) -> None:
    """Before anything is written: the least a run can do with. Enlarged crops may take much more (800 MB for a film of 27 MB), so the engine
    looks again before each batch."""
    needed = MIN_FREE_BYTES + (path.stat().st_size if path.is_file() else folder_size(path))
    for folder in (folders.work, folders.output):
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise SpaceError(
                f"too little disk space in {folder}: {free / 1e6:.0f} MB free, about {needed / 1e6:.0f} MB needed for this film; "
                "free some (see `animeset clean`) or choose another disk with --work / --output"
            )
