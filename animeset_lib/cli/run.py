"""`animeset run`: films to image sets."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from animeset_lib.cli.common import (
    DeviceOption,
    DownloadBars,
    FileOption,
    JsonOption,
    LogsOption,
    OnlyOption,
    OutputOption,
    PresetOption,
    SetOption,
    SkipOption,
    WorkOption,
    console,
    errors,
    options,
    say,
    say_columns,
    with_ranges,
)
from animeset_lib.errors import AnimesetError, CancelledError, InputError, SettingsError

if TYPE_CHECKING:
    from animeset_lib.pipeline import Folders, RunResult, Series
    from animeset_lib.run.lock import Cancel
    from animeset_lib.settings import Settings

__all__ = ["run"]


@dataclass
class _Wanted:
    """What is asked for, the same for every film but for `cast`; each field is an option."""

    output: OutputOption = Path("output")
    work: WorkOption = Path("work")
    logs: LogsOption = Path("logs")
    preset: PresetOption = "full"
    settings: FileOption = None
    assign: SetOption = None
    only: OnlyOption = None
    skip: SkipOption = None
    references: Annotated[
        Path | None,
        typer.Option(
            help="Folder with one folder of pictures per character: names them. [default: ./references if it holds any]"
        ),
    ] = None
    cast: Annotated[
        Path | None, typer.Option(help="cast.json of an earlier film of the series: names its characters again.")
    ] = None
    keep_work: Annotated[
        bool,
        typer.Option(
            "--keep-work",
            help="Keep intermediate stages for a run with other settings; a finished film's are made again.",
        ),
    ] = False
    until: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="Stop after this stage, e.g. cast, and keep the stages; the same command without it goes on from there.",
        ),
    ] = None
    device: DeviceOption = "auto"
    fetch: Annotated[
        bool,
        typer.Option(
            "--fetch",
            help="First download the best models that would run here; without network go on with those present.",
        ),
    ] = False
    plan: Annotated[bool, typer.Option("--plan", help="Only say which stages would run.")] = False
    threads: Annotated[int, typer.Option(min=0, help="0: all cores.")] = 0
    as_json: JsonOption = False

    loaded: Settings = field(init=False)
    folders: Folders = field(init=False)

    def __post_init__(self) -> None:
        from animeset_lib.pipeline import Folders
        from animeset_lib.settings import load_settings

        self.loaded = load_settings(self.settings, with_ranges(self.assign, self.only, self.skip), self.preset)
        self.folders = Folders(self.output, self.work, self.logs)
        usual = Path("references")
        if self.references is None and usual.is_dir() and any(path.is_dir() for path in usual.iterdir()):
            self.references = usual


@options
def run(
    films: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILM...",
            help="A video file, or a folder of pictures. Several are a series: one after the other, each with the cast of the one before.",
        ),
    ],
    wanted: _Wanted,
) -> None:
    """Turn a film into captioned image sets, one per character.

    Run it again after an interruption and it goes on where it was.
    """
    if Path() in films:
        raise InputError(
            "no film was named; expected a video file or a folder of pictures (name this folder with its full path)"
        )
    if wanted.plan:
        for film in films:
            _print_plan(film, wanted)
        return
    if wanted.fetch:
        _fetch(wanted)
    failed = _run_all(films, wanted)
    if failed:
        raise AnimesetError(
            f"{len(failed)} of {len(films)} films of the series could not be finished: {', '.join(failed)}; the reasons are above. "
            "The same command tries them again and leaves the finished ones as they are"
        )


def _fetch(wanted: _Wanted) -> None:
    """First the best models that would run here; without network those that are present will do."""
    from animeset_lib.pipeline import fetch_models

    def note(sentence: str) -> None:
        errors.print(f"note: {escape(sentence)}", soft_wrap=True)

    with DownloadBars() as bars:
        fetch_models(wanted.loaded, wanted.device, bars, note)


def _run_all(films: Sequence[Path], wanted: _Wanted) -> list[str]:
    """One film after the other, each with the cast of the one before; returns the names of those that could not be finished."""
    from animeset_lib.pipeline import Series

    switches: list[Cancel] = []
    _cancel_on_signals(switches)
    paths, cast = tuple(str(film) for film in films), wanted.cast
    failed: list[str] = []
    for place, film in enumerate(films):
        switches.clear()
        series = Series(paths, place, wanted.cast) if len(films) > 1 else None
        try:
            result = _run_one(film, cast, series, wanted, switches)
        except (CancelledError, SettingsError):
            raise  # a wrong setting is wrong for the other films, too
        except Exception as error:
            if switches:  # the run had begun, so the log knows more
                errors.print(f"log: {escape(str(wanted.logs / 'process.log'))}", soft_wrap=True)
            if len(films) == 1:
                raise
            # a long series should not end at one broken episode
            failed.append(film.name)
            errors.print(f"[bold red]error:[/] {escape(film.name)}: {escape(str(error))}", soft_wrap=True)
            continue
        if result.published is not None:
            cast = result.published.folder / "cast.json"
        _print_result(result, wanted)
    return failed


def _run_one(
    film: Path, cast: Path | None, series: Series | None, wanted: _Wanted, switches: list[Cancel]
) -> RunResult:
    from animeset_lib.console import RunDisplay
    from animeset_lib.pipeline import run_film

    with RunDisplay(Console(stderr=True, highlight=False) if wanted.as_json else console) as display:
        return run_film(
            film,
            wanted.loaded,
            wanted.folders,
            references=wanted.references,
            cast=cast,
            keep_work=wanted.keep_work,
            until=wanted.until,
            threads=wanted.threads,
            device=wanted.device,
            series=series,
            listeners=(display,),
            on_cancel_switch=switches,
        )


def _print_result(result: RunResult, wanted: _Wanted) -> None:
    """What came of one film, for people or as one line of JSON."""
    published = result.published
    if wanted.as_json:
        answer = {
            "film": result.film.id,
            "output": str(published.folder) if published else None,
            "zip": str(published.zip) if published else None,
            "characters": result.characters,
            "notes": result.notes,
            "up_to_date": result.up_to_date,
        }
        print(json.dumps(answer, ensure_ascii=False))
        return
    if published is None:
        say(
            f"Stopped after {wanted.until}; the stages are kept in {wanted.work}. The same command without --until goes on."
        )
        return
    if result.up_to_date:
        say(f"Up to date already: {published.folder}")
    if not result.characters:
        say(
            f"No character was found; the kept frames and the reasons are in {published.folder} (README.md there explains)"
        )
    for name, count in result.characters.items():
        say(f"  {count:>4} pictures  {name}")
    say(f"Datasets: {published.folder}")
    say(f"Zip:      {published.zip}")
    if result.work_bytes:
        say(f"Kept:     {wanted.work} ({result.work_bytes / 1e6:.0f} MB; `animeset clean` lists what no run needs)")


def _print_plan(film: Path, wanted: _Wanted) -> None:
    from animeset_lib.pipeline import plan_film

    rows = plan_film(
        film,
        wanted.loaded,
        wanted.folders,
        references=wanted.references,
        cast=wanted.cast,
        keep_work=wanted.keep_work,
        device=wanted.device,
    )
    if wanted.as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    reused = sum(row["reused"] for row in rows)
    if reused == len(rows):
        say(f"{film.name}: all {reused} stages are {rows[0]['state']}; nothing to run")
        return
    say_columns([(row["stage"], row["state"]) for row in rows])
    say(f"{film.name}: {reused} of {len(rows)} stages reused, {len(rows) - reused} to run")


def _cancel_on_signals(switches: list[Cancel]) -> None:
    """First Ctrl-C (or SIGTERM): stop at the next safe point. Second: leave at once; the next run repeats one batch."""

    def stop(number: int, frame: FrameType | None) -> None:
        if not switches:
            raise KeyboardInterrupt
        errors.print("stopping at the next safe point (again to stop at once)")
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.default_int_handler)
        for switch in switches:
            switch.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, stop)
