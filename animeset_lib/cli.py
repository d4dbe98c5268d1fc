"""The command line. Every command is a few lines over the library; what it prints is for people, `--json` for programs.

Exit codes: 0 done · 1 the input, disk or a model cannot be used · 2 wrong command or setting · 75 another run holds this film ·
130 cancelled.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import animeset_lib
from animeset_lib.errors import AnimesetError, CancelledError, InputError, SettingsError
from animeset_lib.settings import PRESETS, load_settings

__all__ = ["app", "main"]

app = typer.Typer(
    name="animeset",
    help="Turn an anime film into captioned image sets, one per character, ready for LoRA training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_console = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)

OutputOption = Annotated[Path, typer.Option("--output", help="Where datasets and zips go.")]
WorkOption = Annotated[Path, typer.Option("--work", help="Where intermediate stages go.")]
LogsOption = Annotated[Path, typer.Option("--logs", help="Where process.log and each run's own log go.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.KEY=VALUE", help="One setting; may be repeated.")
]
FileOption = Annotated[Path | None, typer.Option("--settings", help="TOML file as `animeset settings` prints it.")]
PresetOption = Annotated[str, typer.Option("--preset", help=f"One of {', '.join(PRESETS)}.")]


def main() -> None:
    """Entry point: one clear line instead of a traceback for everything a user can mend."""
    try:
        app(prog_name="animeset")
    except AnimesetError as error:
        _errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception as error:
        _errors.print(
            f"[bold red]error:[/] something went wrong inside animeset ({escape(f'{type(error).__name__}: {error}')}); "
            "nothing finished is lost",
            soft_wrap=True,
        )
        if os.environ.get("ANIMESET_DEBUG"):
            raise
        sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        print(animeset_lib.__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    film: Annotated[Path, typer.Argument(help="A video file, or a folder of pictures.")],
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
    logs: LogsOption = Path("logs"),
    preset: PresetOption = "full",
    settings: FileOption = None,
    assign: SetOption = None,
    references: Annotated[
        Path | None,
        typer.Option(
            help="Folder with one folder of pictures per character: names them. [default: ./references if it holds any]"
        ),
    ] = None,
    cast: Annotated[
        Path | None, typer.Option(help="cast.json of an earlier film of the series: names its characters again.")
    ] = None,
    keep_work: Annotated[
        bool, typer.Option("--keep-work", help="Keep intermediate stages for a run with other settings.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say which stages would run.")] = False,
    threads: Annotated[int, typer.Option(min=0, help="0: all cores.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Film in, one image set per character out. Run it again after an interruption and it goes on where it was."""
    from animeset_lib.pipeline import Folders, plan_film, run_film

    if film == Path():
        raise InputError(
            "no film was named; expected a video file or a folder of pictures (name this folder with its full path)"
        )
    chosen = load_settings(settings, assign or (), preset)
    folders = Folders(output, work, logs)
    if references is None and any(path.is_dir() for path in _children(Path("references"))):
        references = Path("references")
    if plan:
        _print_plan(plan_film(film, chosen, folders, references=references, cast=cast), as_json)
        return
    from animeset_lib.console import RunDisplay
    from animeset_lib.run.lock import Cancel

    switches: list[Cancel] = []
    _cancel_on_signals(switches)
    console = Console(stderr=True, highlight=False) if as_json else _console
    try:
        with RunDisplay(console) as display:
            result = run_film(
                film,
                chosen,
                folders,
                references=references,
                cast=cast,
                keep_work=keep_work,
                threads=threads,
                listeners=(display,),
                on_cancel_switch=switches,
            )
    except CancelledError:
        raise
    except Exception:
        if switches:  # the run had begun, so the log knows more
            _errors.print(f"log: {escape(str(logs / 'process.log'))}", soft_wrap=True)
        raise
    if as_json:
        print(
            json.dumps(
                {
                    "film": result.film.id,
                    "output": str(result.published.folder),
                    "zip": str(result.published.zip),
                    "characters": result.characters,
                    "notes": result.notes,
                    "up_to_date": result.up_to_date,
                },
                ensure_ascii=False,
            )
        )
        return
    if result.up_to_date:
        _say(f"Up to date already: {result.published.folder}")
    if not result.characters:
        _say(
            f"No character was found; the kept frames and the reasons are in {result.published.folder} (README.md there explains)"
        )
    for name, count in result.characters.items():
        _say(f"  {count:>4} pictures  {name}")
    _say(f"Datasets: {result.published.folder}")
    _say(f"Zip:      {result.published.zip}")
    if result.work_bytes:
        _say(f"Kept:     {work} ({result.work_bytes / 1e6:.0f} MB; `animeset clean` lists what no run needs)")


@app.command()
def status(work: WorkOption = Path("work"), logs: LogsOption = Path("logs"), as_json: JsonOption = False) -> None:
    """Which films have work folders, how far each stage is, and whether a run is alive."""
    from animeset_lib.pipeline import film_states

    states = film_states(work, logs)
    if as_json:
        print(json.dumps(states, ensure_ascii=False))
        return
    if not states:
        _say(f"No film is in {work}.")
    for state in states:
        running = state["running"]
        _say(f"{state['source']}  [{'running, process ' + str(running.get('pid', '?')) if running else 'not running'}]")
        for stage in state["stages"]:
            unused = "" if stage["current"] else "  (no current run uses it)"
            how = "finished" if stage["finished"] else f"in work, {stage['parts']} batches done"
            _say(f"  {stage['stage']:<11} {how}{unused}")
        if state["progress"]:
            _say(f"  {state['progress']['stage']}: {state['progress']['done']:.0f} of {state['progress']['total']}")


@app.command()
def cancel(
    film: Annotated[
        str | None, typer.Argument(help="Part of the film's name or id; without it: every live run.")
    ] = None,
    work: WorkOption = Path("work"),
) -> None:
    """Ask live runs to stop at their next safe point. Finished batches are kept."""
    from animeset_lib.pipeline import live_runs
    from animeset_lib.run.lock import request_cancel

    asked = [folder for folder in live_runs(work) if (film is None or film in folder) and request_cancel(work, folder)]
    for folder in asked:
        _say(f"asked to stop: {folder}")
    if not asked:
        _say("No live run matches; see `animeset status`.")


@app.command()
def clean(
    work: WorkOption = Path("work"),
    everything: Annotated[
        bool, typer.Option("--all", help="Also what the last runs would reuse: every work folder.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it only list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List, and with --yes remove, stage folders that no current run uses. Films that are running are left alone."""
    from animeset_lib.pipeline import removable, remove_unused
    from animeset_lib.run.store import folder_size

    found = [(path, folder_size(path)) for path in removable(work, everything)]
    if as_json:
        print(
            json.dumps([{"path": str(path), "bytes": size, "removed": yes} for path, size in found], ensure_ascii=False)
        )
    for path, size in found:
        if yes:
            remove_unused(work, path)
        if not as_json:
            _say(f"{'removed' if yes else 'would remove'}  {size / 1e6:>8.1f} MB  {path}")
    if not found and not as_json:
        _say("Nothing to remove.")
    elif not yes and not as_json:
        _say("Nothing was removed yet; add --yes to do it.")


@app.command("settings")
def show_settings(preset: PresetOption = "full", settings: FileOption = None, assign: SetOption = None) -> None:
    """Print all settings with their meaning, range and value, as a TOML file for --settings."""
    print(load_settings(settings, assign or (), preset).to_toml())


@app.command("demo-film")
def demo_film(
    path: Annotated[Path, typer.Argument(help="Where to write the film; its truth goes beside it.")] = Path(
        "input/demo.mp4"
    ),
    length: Annotated[float, typer.Option(min=2, max=3600, help="Seconds.")] = 75.0,
    width: Annotated[int, typer.Option(min=160, max=3840, help="Pixels, an even number.")] = 1280,
    height: Annotated[int, typer.Option(min=90, max=2160, help="Pixels, an even number.")] = 720,
    fps: Annotated[int, typer.Option(min=1, max=60)] = 24,
    seed: Annotated[int, typer.Option(min=0)] = 7,
) -> None:
    """Render a small animated film drawn by this program, with the truth about every frame in a JSON file beside it."""
    from rich.progress import Progress

    from animeset_lib.demo import render_demo_film

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Progress(console=_errors, transient=True, disable=not _errors.is_terminal) as bar:
            task = bar.add_task("drawing", total=round(length * fps))
            render_demo_film(
                path,
                width=width,
                height=height,
                fps=fps,
                length_s=length,
                seed=seed,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except ValueError as error:
        raise SettingsError(f"the demo film cannot be drawn: {error}") from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; name another place") from error
    _say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """What is installed, which rung of each model is used, what is missing and the command that gets it."""
    from animeset_lib.media import ffmpeg_exe
    from animeset_lib.models.zoo import Zoo

    models = Zoo().overview()
    system: dict[str, Any] = {
        "animeset": animeset_lib.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "ffmpeg": ffmpeg_exe(),
        "extras": {name: importlib.util.find_spec(module) is not None for name, module in _EXTRAS.items()},
    }
    if as_json:
        print(json.dumps({"system": system, "models": models}, ensure_ascii=False, default=str))
        return
    for name, value in system.items():
        if name != "extras":
            _say(f"{name:<13} {value}")
    for name, present in system["extras"].items():
        _say(
            f"{'extra ' + name:<13} {'installed' if present else f'not installed: pip install -c constraints.txt -e .[{name}]'}"
        )
    table = Table("task", "model", "state", "rung", title="models, best first; `auto` takes the first that is present")
    for row in models:
        table.add_row(
            row["task"],
            row["name"],
            "present" if row["present"] else escape(f"missing: {row['get']}"),
            escape(row["rung"]),
        )
    _console.print(table)


_EXTRAS = {"dashboard": "voila", "fiftyone": "fiftyone", "torch": "torch", "notebooks": "jupyterlab"}


def _say(text: str) -> None:
    """Print as it is: file names may hold what rich would take for markup."""
    _console.print(text, markup=False, soft_wrap=True)


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _print_plan(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        _say(f"{row['stage']:<11} {row['state']}")


def _cancel_on_signals(switches: list[Any]) -> None:
    """First Ctrl-C (or SIGTERM): stop at the next safe point. Second: leave at once; the next run repeats one batch."""

    def stop(number: int, frame: FrameType | None) -> None:
        if not switches:
            raise KeyboardInterrupt
        _errors.print("stopping at the next safe point (again to stop at once)")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for switch in switches:
            switch.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
