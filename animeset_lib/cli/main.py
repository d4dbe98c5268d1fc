"""The command line. Every command is a few lines over the library; what it prints is for people, `--json` for programs.

Exit codes: 0 done · 1 the input, disk or a model cannot be used · 2 wrong command or setting · 75 another run holds this film ·
130 cancelled.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import platform
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

import animeset_lib
from animeset_lib.cli.captions import captions_app
from animeset_lib.cli.common import (
    DeviceOption,
    DownloadBars,
    FileOption,
    FilmArgument,
    JsonOption,
    LogsOption,
    OutputOption,
    PresetOption,
    SetOption,
    WorkOption,
    console,
    errors,
    say,
    say_columns,
)
from animeset_lib.cli.export import export
from animeset_lib.cli.lint import lint
from animeset_lib.cli.models import model_row, models_app
from animeset_lib.cli.notebooks import notebooks
from animeset_lib.cli.traits import traits
from animeset_lib.errors import AnimesetError, CancelledError, InputError, SettingsError
from animeset_lib.settings import load_settings

__all__ = ["app", "main"]

_GROUPS = {
    "From a film to image sets": ("run", "dashboard", "status", "cancel"),
    "Who is who": ("decide", "lens"),
    "Published sets": ("export", "lint", "captions", "traits"),
    "This machine": ("models", "doctor", "settings", "clean", "demo-film", "notebooks"),
}
"""Commands in the order in which they are used, as `--help` lists them."""


class _InOrderOfUse(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return [name for names in _GROUPS.values() for name in names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command: Any = super().get_command(ctx, cmd_name)
        if command is not None:
            command.rich_help_panel = next(group for group, names in _GROUPS.items() if cmd_name in names)
        return command


app = typer.Typer(
    name="animeset",
    cls=_InOrderOfUse,
    help="Turn an anime film into captioned image sets, one per character, ready for LoRA training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models_app)
app.add_typer(captions_app)
app.command()(export)
app.command()(lint)
app.command()(notebooks)
app.command()(traits)


def main() -> None:
    """Entry point: one clear line instead of a traceback for everything a user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # Windows would take its code page for a pipe, which has no kana
    try:
        app(prog_name="animeset")
    except AnimesetError as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except PermissionError as error:
        what = escape(str(error.filename or "a file"))
        errors.print(
            f"[bold red]error:[/] {what} may not be read or written by you ({escape(error.strerror or 'no permission')}); mend its permissions, "
            "then run the same command",
            soft_wrap=True,
        )
        sys.exit(1)
    except Exception as error:
        errors.print(
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
    films: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILM...",
            help="A video file, or a folder of pictures. Several are a series: one after the other, each with the cast of the one before.",
        ),
    ],
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
        bool,
        typer.Option(
            "--keep-work",
            help="Keep intermediate stages for a run with other settings; a finished film's are made again.",
        ),
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="Stop after this stage, e.g. cast, and keep the stages; the same command without it goes on from there.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    fetch: Annotated[
        bool,
        typer.Option(
            "--fetch",
            help="First download the best models that would run here; without network go on with those present.",
        ),
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say which stages would run.")] = False,
    threads: Annotated[int, typer.Option(min=0, help="0: all cores.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Turn a film into captioned image sets, one per character.

    Run it again after an interruption and it goes on where it was.
    """
    from animeset_lib.pipeline import Folders, Series, fetch_models, plan_film, run_film

    if Path() in films:
        raise InputError(
            "no film was named; expected a video file or a folder of pictures (name this folder with its full path)"
        )
    chosen = load_settings(settings, assign or (), preset)
    folders = Folders(output, work, logs)
    if references is None and any(path.is_dir() for path in _children(Path("references"))):
        references = Path("references")
    if plan:
        for film in films:
            rows = plan_film(
                film, chosen, folders, references=references, cast=cast, keep_work=keep_work, device=device
            )
            _print_plan(film, rows, as_json)
        return
    if fetch:
        with DownloadBars() as bars:
            fetch_models(
                chosen, device, bars, lambda sentence: errors.print(f"note: {escape(sentence)}", soft_wrap=True)
            )
    from animeset_lib.console import RunDisplay
    from animeset_lib.run.lock import Cancel

    switches: list[Cancel] = []
    _cancel_on_signals(switches)
    screen = Console(stderr=True, highlight=False) if as_json else console
    paths, given = tuple(str(film) for film in films), cast
    failed: list[str] = []
    for place, film in enumerate(films):
        switches.clear()
        try:
            with RunDisplay(screen) as display:
                result = run_film(
                    film,
                    chosen,
                    folders,
                    references=references,
                    cast=cast,
                    keep_work=keep_work,
                    until=until,
                    threads=threads,
                    device=device,
                    series=Series(paths, place, given) if len(films) > 1 else None,
                    listeners=(display,),
                    on_cancel_switch=switches,
                )
        except CancelledError:
            raise
        except SettingsError:
            raise  # wrong for the other films, too
        except Exception as error:
            if switches:  # the run had begun, so the log knows more
                errors.print(f"log: {escape(str(logs / 'process.log'))}", soft_wrap=True)
            if len(films) == 1:
                raise
            # a long series should not end at one broken episode
            failed.append(film.name)
            errors.print(f"[bold red]error:[/] {escape(film.name)}: {escape(str(error))}", soft_wrap=True)
            continue
        if result.published is not None:
            cast = result.published.folder / "cast.json"
        _print_result(result, work, until, as_json)
    if failed:
        raise AnimesetError(
            f"{len(failed)} of {len(films)} films of the series could not be finished: {', '.join(failed)}; the reasons are above. "
            "The same command tries them again and leaves the finished ones as they are"
        )


def _print_result(result: Any, work: Path, until: str | None, as_json: bool) -> None:
    """What came of one film, for people or as one line of JSON."""
    if as_json:
        print(
            json.dumps(
                {
                    "film": result.film.id,
                    "output": str(result.published.folder) if result.published else None,
                    "zip": str(result.published.zip) if result.published else None,
                    "characters": result.characters,
                    "notes": result.notes,
                    "up_to_date": result.up_to_date,
                },
                ensure_ascii=False,
            )
        )
        return
    if result.published is None:
        say(f"Stopped after {until}; the stages are kept in {work}. The same command without --until goes on.")
        return
    if result.up_to_date:
        say(f"Up to date already: {result.published.folder}")
    if not result.characters:
        say(
            f"No character was found; the kept frames and the reasons are in {result.published.folder} (README.md there explains)"
        )
    for name, count in result.characters.items():
        say(f"  {count:>4} pictures  {name}")
    say(f"Datasets: {result.published.folder}")
    say(f"Zip:      {result.published.zip}")
    if result.work_bytes:
        say(f"Kept:     {work} ({result.work_bytes / 1e6:.0f} MB; `animeset clean` lists what no run needs)")


@app.command()
def dashboard(
    folder: Annotated[Path, typer.Argument(help="The project: films, work and results lie in it.")] = Path(),
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 let other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8866,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    max_upload_gb: Annotated[float, typer.Option(min=0.001, help="Most gigabytes an uploaded file may have.")] = 50,
) -> None:
    """Serve the page: upload a film, run it, sort the cast, download."""
    if importlib.util.find_spec("voila") is None or importlib.util.find_spec("ipyvue") is None:
        from animeset_lib.models.provider import extra_command

        raise AnimesetError(f"the dashboard is not installed; get it with: {extra_command('dashboard')}")
    from animeset_lib.dashboard.app import serve

    serve(folder, host=host, port=port, browser=browser, max_upload_gb=max_upload_gb)


@app.command()
def decide(
    film: FilmArgument,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="list · name GROUP|FACE... NAME · merge GROUP... GROUP · not-a-character GROUP|FACE... · drop FACE... · restore FACE...|STILL... · "
            "duplicate STILL... · keep STILL... · undo · redo",
        ),
    ] = "list",
    things: Annotated[list[str] | None, typer.Argument(metavar="[...]", help="Groups, faces, stills, a name.")] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="STILL", help="With duplicate: which still it shows again.")
    ] = None,
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
    as_json: JsonOption = False,
) -> None:
    """List what was decided about a film, or decide.

    Names, merges, who is nobody, which stills are duplicates. The next run honours it.
    """
    from animeset_lib.pipeline import Folders, find_film
    from animeset_lib.pipeline.deciding import Deciding

    files = find_film(film, Folders(output, work))
    deciding = Deciding(files.cast_pack, files.decisions)
    words = "" if what == "list" else deciding.decide(what, things or (), duplicate_of=of)
    state = deciding.state()
    if as_json:
        print(json.dumps({"decided": words, **state}, ensure_ascii=False))
        return
    if what != "list":
        say(words or f"There is nothing to {what}.")
        return
    for group, members in state["groups"].items():
        say(f"{len(members):>5} faces  {group}")
    for decision in state["decisions"]:
        say(f"{decision['number']:>5}. {decision['time'][:16].replace('T', ' ')}  {decision['words']}")
    for sentence in state["told"]:
        say(f"note: {sentence}")
    say(f"{len(state['decisions'])} decisions stand in {state['file']}; `list --json` names all faces.")


@app.command()
def lens(
    film: FilmArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the App.")] = 5151,
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
) -> None:
    """Open FiftyOne on a film.

    Faces and dataset; after --keep-work stills with duplicate groups and crops, too. Ctrl-C saves your tags as decisions.
    """
    from animeset_lib.notebook.fiftyone_lens import Lens
    from animeset_lib.pipeline import Folders, find_film

    files = find_film(film, Folders(output, work))
    opened = Lens(files.work, files.cast_pack, files.decisions, files.published)
    if not opened.available:
        raise InputError(f"{files.name} was not sorted yet; run the film, --until cast is enough, then open it again")
    datasets = {kind: opened.open(kind) for kind in opened.available}
    for kind, dataset in datasets.items():
        say(f"{kind}: {len(dataset)} pictures, views: {', '.join(dataset.list_saved_views())}")
    if opened.missing:
        say(opened.missing)
    session = opened.launch(datasets.get("faces") or next(iter(datasets.values())), port)
    say(f"FiftyOne: {session.url}  (stop with Ctrl-C, which saves your tags)")
    with suppress(KeyboardInterrupt):
        session.wait(-1)
    outcome = opened.save_decisions()
    for words in outcome.saved:
        say(f"saved: {words}")
    for sentence in outcome.refused:
        errors.print(f"not saved: {escape(sentence)}", soft_wrap=True)
    say(f"{len(outcome.saved)} decisions saved; the next run honours them.")


@app.command()
def status(
    work: WorkOption = Path("work"),
    logs: LogsOption = Path("logs"),
    show_all: Annotated[bool, typer.Option("--all", help="Every stage of every film.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Which films are in work, how far each is, what is running."""
    from animeset_lib.pipeline import film_states

    states = film_states(work, logs)
    if as_json:
        print(json.dumps(states, ensure_ascii=False))
        return
    if not states:
        say(f"No film is in {work}.")
    if not show_all:
        say_columns([(state["source"], _state_words(state, work)) for state in states])
        return
    for state in states:
        say(f"{state['source']}: {_state_words(state, work)}")
        say_columns([(f"  {stage['stage']}", _stage_words(stage)) for stage in state["stages"]])


def _state_words(state: dict[str, Any], work: Path) -> str:
    """How far a film is, in a line."""
    if state["running"]:
        at = state["progress"]
        done = f"{at['stage']} {100 * at['done'] / max(at['total'], 1):.0f} %" if at else "just begun"
        return f"running: {done} (process {state['running'].get('pid', '?')})"
    current = [stage for stage in state["stages"] if stage["current"]]
    finished = [stage["stage"] for stage in current if stage["finished"]]
    words = f"finished up to {finished[-1]}" if finished else "no stage is finished"
    words += "".join(f", {stage['stage']} begun" for stage in current if not stage["finished"])
    words += f", {state['bytes'] / 1e6:.0f} MB in {work}{os.sep}"
    unused = len(state["stages"]) - len(current)
    return f"{words}; no run needs {unused} of its stages (animeset clean)" if unused else words


def _stage_words(stage: dict[str, Any]) -> str:
    how = "finished" if stage["finished"] else f"in work, {stage['parts']} batches done"
    return how if stage["current"] else f"{how}, no current run uses it"


@app.command()
def cancel(
    film: Annotated[
        str | None, typer.Argument(help="Part of the film's name or id; without it: every live run.")
    ] = None,
    work: WorkOption = Path("work"),
) -> None:
    """Ask live runs to stop at their next safe point.

    Finished batches are kept.
    """
    from animeset_lib.pipeline import live_runs
    from animeset_lib.run.lock import request_cancel

    asked = [folder for folder in live_runs(work) if (film is None or film in folder) and request_cancel(work, folder)]
    for folder in asked:
        say(f"asked to stop: {folder}")
    if not asked:
        say("No live run matches; see `animeset status`.")


@app.command()
def clean(
    work: WorkOption = Path("work"),
    everything: Annotated[
        bool, typer.Option("--all", help="Also what the last runs would reuse: every work folder.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it only list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List, and with --yes remove, stages that no current run uses.

    Films that are running are left alone.
    """
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
            say(f"{'removed' if yes else 'would remove'}  {size / 1e6:>8.1f} MB  {path}")
    if not found and not as_json:
        say("Nothing to remove.")
    elif not yes and not as_json:
        say("Nothing was removed yet; add --yes to do it.")


@app.command("settings")
def show_settings(preset: PresetOption = "full", settings: FileOption = None, assign: SetOption = None) -> None:
    """Print all settings as a TOML file for --settings.

    Each with its meaning, range and value.
    """
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
    """Draw a small animated film to try things with.

    The truth about every frame goes into a JSON file beside it.
    """
    from rich.progress import Progress

    from animeset_demo import render_demo_film

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
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
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def doctor(as_json: JsonOption = False, device: DeviceOption = "auto") -> None:
    """What is installed, which models are used, what is missing.

    Also where networks run, and the command that gets what is missing.
    """
    from animeset_lib.media import ffmpeg_exe
    from animeset_lib.models.engines.device import cards, choose, idle
    from animeset_lib.models.provider import Zoo, extra_command

    chosen = choose(device)
    zoo = Zoo(device=chosen)
    rows = zoo.overview()
    system: dict[str, Any] = {
        "animeset": animeset_lib.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "ffmpeg": ffmpeg_exe(),
        "device": chosen.words,
        "cards": [f"{card.name}, {card.memory / 2**30:.0f} GiB" for card in cards()],
        "models": str(zoo.weights.folder),
        "extras": {name: importlib.util.find_spec(module) is not None for name, module in _EXTRAS.items()},
    }
    notes = idle(chosen)
    notes += [row["fault"] for row in (model_row(zoo, shown) for shown in rows) if row["fault"]]
    if as_json:
        models = [model_row(zoo, row) for row in rows]
        print(json.dumps({"system": system, "notes": notes, "models": models}, ensure_ascii=False, default=str))
        return
    for name, value in system.items():
        if name == "cards":
            say(f"{'cards':<13} {'; '.join(value) or 'none that the NVIDIA driver shows'}")
        elif name != "extras":
            say(f"{name:<13} {value}")
    for name, present in system["extras"].items():
        say(f"{'extra ' + name:<13} {'installed' if present else 'not installed: ' + extra_command(name)}")
    for note in notes:
        say(f"note: {note}")
    table = Table("task", "used", "better, and the command that gets it", title="models that `auto` takes here")
    for task in dict.fromkeys(row.spec.task for row in rows):
        used = next((row.spec for row in rows if row.spec.task == task and row.auto), None)
        better = [f"{row.spec.name}: {zoo.remedy(row.spec)}" for row in zoo.better(task)]
        table.add_row(
            task,
            escape(f"{used.name}\n{used.rung}" if used else "nothing"),
            escape("\n".join(better[:2]) or "nothing: this is the best"),
        )
    console.print(table)
    say("All models, with sizes, licences and where they come from: animeset models list")


_EXTRAS = {"dashboard": "voila", "fiftyone": "fiftyone", "torch": "torch", "notebooks": "jupyterlab"}


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _print_plan(film: Path, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    reused = sum(row["reused"] for row in rows)
    if reused == len(rows):
        say(f"{film.name}: all {reused} stages are {rows[0]['state']}; nothing to run")
        return
    say_columns([(row["stage"], row["state"]) for row in rows])
    say(f"{film.name}: {reused} of {len(rows)} stages reused, {len(rows) - reused} to run")


def _cancel_on_signals(switches: list[Any]) -> None:
    """First Ctrl-C (or SIGTERM): stop at the next safe point. Second: leave at once; the next run repeats one batch."""

    def stop(number: int, frame: FrameType | None) -> None:
        if not switches:
            raise KeyboardInterrupt
        errors.print("stopping at the next safe point (again to stop at once)")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for switch in switches:
            switch.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
