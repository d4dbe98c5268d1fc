"""One film from file to published data sets."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib import media
from animeset_lib.cast.cast import CastStage, names_given
from animeset_lib.cast.name_book import load_names
from animeset_lib.cast.references import overlooked_references
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import AnimesetError, CancelledError, SettingsError, SpaceError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import clean_name
from animeset_lib.models.engines.device import choose, idle
from animeset_lib.models.provider import Zoo
from animeset_lib.pipeline.cast_pack import newest_pack, write_pack
from animeset_lib.pipeline.fetch import models_of
from animeset_lib.pipeline.folders import FilmFiles, Folders
from animeset_lib.pipeline.stages import PIPELINE, AnyStage, build_pipeline
from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.edits import first_names
from animeset_lib.published.kept import KeptCaptions
from animeset_lib.published.layout import images_of
from animeset_lib.published.publish import Published, changed_files, publish, published, tidy
from animeset_lib.records import Film
from animeset_lib.run.engine import MIN_FREE_BYTES, keys_of, run_stages
from animeset_lib.run.events import LOGGER, Events, Listener, log_files, log_refusal, warnings_as_events
from animeset_lib.run.lock import Cancel, hold
from animeset_lib.run.stage import Given, Output
from animeset_lib.run.store import FilmStore, folder_size, full_disk_as, remove_tree, write_json, write_text
from animeset_lib.settings import Settings

__all__ = ["RunResult", "Series", "film_stages", "run_film", "to_repeat"]


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


@dataclass(frozen=True)
class _Plan:
    """What a run will do, known before anything is written. `stages` end where the run does; `keys` are those of all stages, and `cast_key` is that
    of the cast stage without the names of earlier runs."""

    film: Film
    path: Path
    files: FilmFiles
    settings: Settings
    models: Zoo
    stages: tuple[AnyStage, ...]
    keys: Mapping[str, str]
    cast_key: str
    keep_work: bool
    until: str | None


@dataclass(frozen=True)
class _Running:
    """A run that holds its film's lock. `warnings` are those logged so far."""

    plan: _Plan
    events: Events
    cancel: Cancel
    warnings: list[str]
    began: float
    log = logging.getLogger(LOGGER)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


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
    device           where networks run: auto, cpu, cuda, cuda:<number>, apple or intel; never changes what is cut or sorted, but `auto` models may
    series           paths of all films of a series and the place of this one, for those who watch
    listeners        called with every event, in this thread
    on_cancel_switch the run's cancel switch is appended, for signal handlers

    What people decided about this film (`FilmFiles`) is honoured, and once it is sorted its cast pack is written. Raises `AnimesetError`
    children as documented there. A film already published with equal settings is left as it is.
    """
    began = time.monotonic()
    with _refusals_logged(path, folders):
        models = Zoo(device=choose(device, threads, settings.device.precision))
        plan = _plan(path, settings, folders, references, cast, keep_work, until, models)
    with _running(plan, began, listeners, on_cancel_switch) as run:
        _announce(run, series, cast)
        for note in overlooked_references(references) if references is not None else ():
            run.log.warning("%s", note)
        earlier = _published_before(plan)
        todo = plan.stages if earlier is None else to_repeat(plan.stages, plan.keys, plan.files, keep_work)
        outputs = _sorted_and_made(run, todo) if todo else Given()
        if until is not None:
            return _paused(run)
        return _finished(run, earlier or _publish(run, outputs[DatasetStage]), outputs, earlier is not None)


def film_stages(
    settings: Settings,
    film: Film,
    path: Path,
    files: FilmFiles,
    models: Zoo,
    *,
    references: Path | None,
    cast: Path | None,
) -> tuple[tuple[AnyStage, ...], str]:
    """The stages of a run on the film with what lies about it in `output`, and the key of its cast stage without the names of earlier runs.

    Raises `InputError` when one of these files cannot be used.
    """

    def build(**names: Any) -> tuple[AnyStage, ...]:
        return build_pipeline(
            settings,
            film,
            path,
            references=references,
            cast_file=cast,
            decisions=files.decisions,
            traits=files.traits,
            **names,
        )

    stages = build()
    key = keys_of(stages, models).get(CastStage.name, "")
    names = load_names(files.names).for_run(key)
    return (build(names=names) if names else stages), key


def to_repeat(
    stages: Sequence[AnyStage], keys: Mapping[str, str], files: FilmFiles, keep_work: bool
) -> Sequence[AnyStage]:
    """The stages to run again though their result is published: all where they shall be kept and are not, those up to 3d_cast where the film
    has no cast pack of this sorting."""
    store = FilmStore(files.folders.work, files.name)
    if keep_work and any(store.finished(type(stage), keys[stage.name]) is None for stage in stages):
        return stages
    kinds = [type(stage) for stage in stages]
    if CastStage not in kinds or newest_pack(files.cast_pack) == files.cast_pack / keys[CastStage.name]:
        return ()
    return stages[: kinds.index(CastStage) + 1]


@contextmanager
def _refusals_logged(path: Path, folders: Folders) -> Iterator[None]:
    """A run that cannot begin has no log of its own; why goes into `logs/process.log`."""
    try:
        yield
    except AnimesetError as error:
        with suppress(OSError):  # what is wrong with the film is worth more than that the log cannot be written
            log_refusal(folders.logs, clean_name(path.name), str(error))
        raise


def _plan(
    path: Path,
    settings: Settings,
    folders: Folders,
    references: Path | None,
    cast: Path | None,
    keep_work: bool,
    until: str | None,
    models: Zoo,
) -> _Plan:
    film = media.probe(path, settings=settings.film)
    files = FilmFiles.of(film, folders)
    _check_writable(folders)
    every, cast_key = film_stages(settings, film, path, files, models, references=references, cast=cast)
    stages = every[: _last_stage(until)]
    keys = keys_of(every, models)
    return _Plan(film, path, files, settings, models, stages, keys, cast_key, keep_work, until)


@contextmanager
def _running(
    plan: _Plan, began: float, listeners: tuple[Listener, ...], on_cancel_switch: list[Cancel] | None
) -> Iterator[_Running]:
    """Holds the film's lock, its log and its events; however the run ends, they say so."""
    log = logging.getLogger(LOGGER)
    with ExitStack() as stack:
        cancel = stack.enter_context(hold(plan.files.folders.work, plan.files.name))
        stack.enter_context(log_files(plan.files.folders.logs, plan.files.name))
        if on_cancel_switch is not None:
            on_cancel_switch.append(cancel)
        events = stack.enter_context(closing(Events(plan.files.events, listeners)))
        warnings = stack.enter_context(warnings_as_events(events))
        try:
            yield _Running(plan, events, cancel, warnings, began)
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


def _announce(run: _Running, series: Series | None, cast: Path | None) -> None:
    plan, film = run.plan, run.plan.film
    given = cast if series is None else series.cast
    run.log.info("run started: %s (%s, %dx%d)", film.source_name, film.id, film.width, film.height)
    run.events.emit(
        "run_started",
        film=film.source_name,
        folder=plan.files.name,
        path=str(plan.path),
        duration_ms=film.duration_ms,
        stages=[stage.name for stage in plan.stages],
        keys=plan.keys,
        settings=plan.settings.model_dump(mode="json"),
        until=plan.until,
        keep_work=plan.keep_work,
        series=None if series is None else (series.paths, series.place),
        cast=None if given is None else str(given),
    )


def _published_before(plan: _Plan) -> Published | None:
    """What lies in the output of exactly this film with exactly these settings, tidied."""
    if plan.until is not None:
        return None
    earlier = published(plan.files.folders.output, plan.film, plan.keys[DatasetStage.name])
    if earlier is not None:
        tidy(plan.files.folders.output, plan.film)
    return earlier


def _say_models(run: _Running) -> None:
    """Notes about the film, the device and which rung of each ladder answers."""
    plan = run.plan
    for note in plan.film.notes:
        run.log.warning("%s", note)
    run.log.info("device: %s", plan.models.device.words)
    for sentence in idle(plan.models.device):
        run.log.warning("%s", sentence)
    for task, asked in models_of(plan.settings):
        info = plan.models.info(task, asked)
        better = [row.spec for row in plan.models.better(task)] if asked == "auto" else []
        run.log.info("%s: %s (%s) %s", task, info.name, " ".join([info.digest, info.engine]).strip(), info.rung)
        if better:
            remedies = "; ".join(f"{spec.name} ({plan.models.remedy(spec)})" for spec in better)
            run.log.info("%s: better rungs that are not here: %s", task, remedies)
        run.events.emit("model", task=task, name=info.name, rung=info.rung, better=[spec.name for spec in better])


def _sorted_and_made(run: _Running, todo: Sequence[AnyStage]) -> Given:
    """Runs the stages; once the faces are sorted, the cast pack is written and the names that were given are remembered."""
    plan = run.plan
    folders, threads = plan.files.folders, plan.models.device.threads
    plan.files.work.mkdir(parents=True, exist_ok=True)
    _check_space(folders, plan.path)
    write_json(plan.files.plan, {"source": plan.film.source_name, "film": plan.film.id, "keys": dict(plan.keys)})
    _say_models(run)

    def write_cast_pack(outputs: Given) -> None:
        full = f"the disk of {folders.output} is full; free some space or use --output, then run the same command"
        with full_disk_as(lambda: full):
            write_pack(plan.files.cast_pack, outputs, threads, run.cancel.check)

    store = FilmStore(folders.work, plan.files.name)
    outputs = run_stages(todo, store, plan.models, run.events, run.cancel, threads, {CastStage: write_cast_pack})
    if CastStage in outputs:
        _remember_names(plan.files.names, plan.cast_key, outputs)
    return outputs


def _remember_names(path: Path, cast_key: str, outputs: Given) -> None:
    """Enter the automatic names that this run gave, for good, whether or not it is published."""
    before = load_names(path)
    after = before.after_run(cast_key, names_given(outputs))
    if after.names and after != before:
        with full_disk_as(lambda: f"the disk of {path} is full; free some space, then run the same command"):
            write_text(path, after.model_dump_json() + "\n")


def _paused(run: _Running) -> RunResult:
    plan = run.plan
    last = plan.stages[-1].name
    run.log.info("run stopped after %s in %.0f s, as asked; the stages are kept", last, run.seconds)
    run.events.emit("paused", after=last, seconds=round(run.seconds, 1))
    return RunResult(plan.film, None, {}, tuple(dict.fromkeys(run.warnings)), False, folder_size(plan.files.work))


def _publish(run: _Running, dataset: Output[Any, Any]) -> Published:
    """The data sets of a finished run to `output`, with the captions that people wrote; says what became of their work."""
    plan = run.plan
    output = plan.files.folders.output
    captions = KeptCaptions(plan.files.edits, plan.settings.caption)
    full = f"the disk of {output} is full; free some space or use --output, then run the same command: only publishing is left"
    with full_disk_as(lambda: full):
        settings = plan.settings.model_dump(mode="json")
        result = publish(dataset.path / "tree", output, plan.film, dataset.key, settings, run.cancel.check, captions)
    if captions.kept:
        run.log.info("%s", captions.kept)
    for sentence in captions.told:
        run.log.warning("%s", sentence)
    if result.set_aside is not None:
        run.log.warning(
            "the earlier dataset had been edited by hand (%s); it was moved to %s",
            first_names(result.by_hand),
            result.set_aside,
        )
    return result


def _finished(run: _Running, result: Published, outputs: Given, up_to_date: bool) -> RunResult:
    """Tells what there is now, and clears up. `outputs` are of the stages that ran; none where nothing had to."""
    plan = run.plan
    if up_to_date:
        run.log.info("%s is up to date with the film and these settings, and left as it is", result.folder)
        _say_what_was_edited(result.folder, plan.files.edits, run.log)
    characters = {name: len(images) for name, images in images_of(result.folder).items()}
    run.events.emit("published", output=str(result.folder), zip=str(result.zip), characters=characters)
    film = outputs[ExtractStage].notes.film if ExtractStage in outputs else plan.film
    notes = tuple(dict.fromkeys([*run.warnings, *film.notes]))
    kept_bytes = folder_size(plan.files.work) if plan.keep_work and outputs else 0
    if not plan.keep_work:
        remove_tree(plan.files.work)
    words = ", ".join(f"{name} {count}" for name, count in characters.items()) or "no characters"
    run.log.info("run finished in %.0f s: %s", run.seconds, words)
    run.events.emit("run_finished", seconds=round(run.seconds, 1))
    return RunResult(plan.film, result, characters, notes, not outputs, kept_bytes)


def _say_what_was_edited(folder: Path, edits: Path, log: logging.Logger) -> None:
    """Take in the captions that were edited in a folder that is up to date, and say what else was."""
    by_hand = [picture for picture in CaptionSet(folder).pictures() if picture.edited]
    if by_hand:
        log.info("%s: captions edited by hand: %d; later runs keep them (%s)", folder, len(by_hand), edits)
    for picture in by_hand:
        if picture.problem:
            log.warning("%s: %s", picture.image, picture.problem)
    if others := changed_files(folder):
        log.warning(
            "%s was edited by hand (%s) and is left as it is; move it away to make it again",
            folder,
            first_names(sorted(others)),
        )


def _last_stage(until: str | None) -> int:
    """How many stages run. Raises `SettingsError` for an unknown section."""
    if until is None:
        return len(PIPELINE)
    if until not in PIPELINE:
        raise SettingsError(f"unknown stage '{until}' to run until; expected one of {', '.join(PIPELINE)}")
    return list(PIPELINE).index(until) + 1


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
