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
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import animeset_lib
from animeset_lib.errors import AnimesetError, CancelledError, InputError, ModelError, SettingsError
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
DeviceOption = Annotated[
    str, typer.Option("--device", help="Where networks run: auto (a CUDA card, else the processor), cpu, cuda, cuda:1.")
]
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
        bool, typer.Option("--keep-work", help="Keep intermediate stages for a run with other settings.")
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
    """Film in, one image set per character out. Run it again after an interruption and it goes on where it was."""
    from animeset_lib.pipeline import Folders, fetch_models, plan_film, run_film

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
            _print_plan(plan_film(film, chosen, folders, references=references, cast=cast, device=device), as_json)
        return
    if fetch:
        with _DownloadBars() as bars:
            fetch_models(
                chosen, device, bars, lambda sentence: _errors.print(f"note: {escape(sentence)}", soft_wrap=True)
            )
    from animeset_lib.console import RunDisplay
    from animeset_lib.run.lock import Cancel

    switches: list[Cancel] = []
    _cancel_on_signals(switches)
    console = Console(stderr=True, highlight=False) if as_json else _console
    paths = tuple(str(film) for film in films)
    failed: list[str] = []
    for place, film in enumerate(films):
        switches.clear()
        try:
            with RunDisplay(console) as display:
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
                    series=(paths, place) if len(films) > 1 else None,
                    listeners=(display,),
                    on_cancel_switch=switches,
                )
        except CancelledError:
            raise
        except SettingsError:
            raise  # wrong for the other films, too
        except Exception as error:
            if switches:  # the run had begun, so the log knows more
                _errors.print(f"log: {escape(str(logs / 'process.log'))}", soft_wrap=True)
            if len(films) == 1:
                raise
            # a long series should not end at one broken episode
            failed.append(film.name)
            _errors.print(f"[bold red]error:[/] {escape(film.name)}: {escape(str(error))}", soft_wrap=True)
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
        _say(f"Stopped after {until}; the stages are kept in {work}. The same command without --until goes on.")
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
def dashboard(
    folder: Annotated[Path, typer.Argument(help="The project folder, with dashboard.ipynb in it.")] = Path(),
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 let other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8866,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    max_upload_gb: Annotated[float, typer.Option(min=0.001, help="Most gigabytes an uploaded file may have.")] = 50,
) -> None:
    """Serve the page on which a film is uploaded, run, sorted and downloaded."""
    if importlib.util.find_spec("voila") is None or importlib.util.find_spec("ipyvue") is None:
        raise AnimesetError(
            "the dashboard is not installed; pip install -c constraints.txt -e '.[dashboard]', or `make dashboard`"
        )
    from animeset_lib.dashboard.app import serve

    serve(folder, host=host, port=port, browser=browser, max_upload_gb=max_upload_gb)


FilmArgument = Annotated[str, typer.Argument(metavar="FILM", help="The film's file, or part of its name or id.")]


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
    """List what was decided about a film, or decide: names, merges, who is nobody, which stills are duplicates. The next run honours it."""
    from animeset_lib.pipeline import Folders, decisions_path, find_film
    from animeset_lib.review.deciding import Deciding

    folder = find_film(film, Folders(output, work))
    deciding = Deciding(work / folder, decisions_path(output, folder))
    words = "" if what == "list" else deciding.decide(what, things or (), duplicate_of=of)
    state = deciding.state()
    if as_json:
        print(json.dumps({"decided": words, **state}, ensure_ascii=False))
        return
    if what != "list":
        _say(words or f"There is nothing to {what}.")
        return
    for group, members in state["groups"].items():
        _say(f"{len(members):>5} faces  {group}")
    for decision in state["decisions"]:
        _say(f"{decision['number']:>5}. {decision['time'][:16].replace('T', ' ')}  {decision['words']}")
    for sentence in state["told"]:
        _say(f"note: {sentence}")
    _say(f"{len(state['decisions'])} decisions stand in {state['file']}; `list --json` names all faces.")


@app.command()
def lens(
    film: FilmArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the App.")] = 5151,
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
) -> None:
    """Open FiftyOne on what --keep-work left: stills with duplicate groups, faces, crops, datasets. Ctrl-C saves your tags as decisions."""
    from animeset_lib.pipeline import Folders, decisions_path, find_film, published_folder
    from animeset_lib.review.lens import Lens

    folder = find_film(film, Folders(output, work))
    opened = Lens(work / folder, decisions_path(output, folder), published_folder(output, folder))
    if not opened.available:
        raise InputError(f"nothing of {folder} is kept; run the film with --keep-work, then open it again")
    datasets = {kind: opened.open(kind) for kind in opened.available}
    for kind, dataset in datasets.items():
        _say(f"{kind}: {len(dataset)} pictures, views: {', '.join(dataset.list_saved_views())}")
    session = opened.launch(datasets.get("faces") or next(iter(datasets.values())), port)
    _say(f"FiftyOne: {session.url}  (stop with Ctrl-C, which saves your tags)")
    with suppress(KeyboardInterrupt):
        session.wait(-1)
    outcome = opened.save_decisions()
    for words in outcome.saved:
        _say(f"saved: {words}")
    for sentence in outcome.refused:
        _errors.print(f"not saved: {escape(sentence)}", soft_wrap=True)
    _say(f"{len(outcome.saved)} decisions saved; the next run honours them.")


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
def doctor(as_json: JsonOption = False, device: DeviceOption = "auto") -> None:
    """What is installed, where networks run, which rung of each model is used, what is missing and the command that gets it."""
    from animeset_lib.media import ffmpeg_exe
    from animeset_lib.models.device import cards, choose, idle
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
    notes += [row["fault"] for row in (_model_row(zoo, shown) for shown in rows) if row["fault"]]
    if as_json:
        models = [_model_row(zoo, row) for row in rows]
        print(json.dumps({"system": system, "notes": notes, "models": models}, ensure_ascii=False, default=str))
        return
    for name, value in system.items():
        if name == "cards":
            _say(f"{'cards':<13} {'; '.join(value) or 'none that the NVIDIA driver shows'}")
        elif name != "extras":
            _say(f"{name:<13} {value}")
    for name, present in system["extras"].items():
        _say(f"{'extra ' + name:<13} {'installed' if present else 'not installed: ' + extra_command(name)}")
    for note in notes:
        _say(f"note: {note}")
    table = Table("task", "used", "better, and the command that gets it", title="models that `auto` takes here")
    for task in dict.fromkeys(row.spec.task for row in rows):
        used = next((row.spec for row in rows if row.spec.task == task and row.auto), None)
        better = [f"{row.spec.name}: {zoo.remedy(row.spec)}" for row in zoo.better(task)]
        table.add_row(
            task,
            escape(f"{used.name}\n{used.rung}" if used else "nothing"),
            escape("\n".join(better[:2]) or "nothing: this is the best"),
        )
    _console.print(table)
    _say("All models, with sizes, licences and where they come from: animeset models list")


models_app = typer.Typer(
    name="models", help="The networks: what there is, getting, checking and carrying them.", no_args_is_help=True
)
app.add_typer(models_app)
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names from `animeset models list`.")
]


@models_app.command("list")
def models_list(
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    long: Annotated[bool, typer.Option("--long", help="Also files with hashes, signatures and thresholds.")] = False,
) -> None:
    """Every model, best rung first: whether it is here, its size, its licence, and how its files are trusted."""
    from animeset_lib.models.device import choose
    from animeset_lib.models.provider import Zoo

    zoo = Zoo(device=choose(device))
    rows = [_model_row(zoo, row) for row in zoo.overview()]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    if long:
        for row in rows:
            _print_model(row)
        return
    for task in dict.fromkeys(row["task"] for row in rows):
        _console.print(f"\n[bold]{task}[/]  (best first)")
        for row in rows:
            if row["task"] == task:
                state = (
                    "ALTERED"
                    if row["fault"]
                    else "used by auto"
                    if row["auto"]
                    else "present"
                    if row["present"]
                    else "not here"
                )
                _say(f"  {row['name']:<27} {state:<12} {row['size']:>11}  {row['trust']}".rstrip())
                _say(f"      {row['rung']}")
                _say(f"      licence: {row['licence']}")
                if row["fault"]:
                    _say(f"      {row['fault']}")
        for family in _families():
            if family.task == task:
                _say(f"  {family.prefix}:{family.argument}")
                _say(f"      Your own: {family.about}.")
    _say("")
    _say(f"Downloads lie in {zoo.weights.folder} (ANIMESET_MODELS names another folder).")
    _say(
        "pinned: the hash is known beforehand. first use: the first download's hash is recorded, and the file must stay so."
    )
    _say("Get one: animeset models fetch NAME; without names: the best that run well here.")


@models_app.command("fetch")
def models_fetch(
    names: NamesArgument = None,
    device: DeviceOption = "auto",
    again: Annotated[bool, typer.Option("--again", help="Download even what is here.")] = False,
) -> None:
    """Download models. Interrupted downloads go on where they were; every file is checked before it is used."""
    from animeset_lib.models.device import choose
    from animeset_lib.models.provider import Zoo
    from animeset_lib.models.weights import OfflineError

    zoo = Zoo(device=choose(device))
    specs = [spec for name in names for spec in zoo.named(name)] if names else zoo.recommended()
    for spec in specs:
        if not spec.files:
            _say(f"{spec.name}: nothing to download ({zoo.remedy(spec)})")
    wanted = [spec for spec in specs if spec.files]
    faults: list[str] = []
    with _DownloadBars() as bars:
        for spec in wanted:
            try:
                zoo.fetch([spec], bars, again=again)
            except OfflineError:
                raise
            except ModelError as error:
                if len(wanted) == 1:
                    raise
                faults.append(spec.name)
                _say(f"{spec.name}: {error}")
                continue
            _say(f"{spec.name}: here, {_size_words(zoo, spec)}, licence: {spec.licence}")
    for spec in wanted:
        if (remedy := zoo.remedy(spec)) != spec.get:
            _say(f"{spec.name} also needs: {remedy}")
    if not specs:
        _say("The best models that run well here are all present.")
    if faults:
        raise ModelError(f"could not be had: {', '.join(faults)}; the reasons are above")


@models_app.command("verify")
def models_verify(names: NamesArgument = None) -> None:
    """Hash the downloaded files anew and compare. Without names: everything that is here."""
    from animeset_lib.models.provider import Zoo

    zoo = Zoo()
    specs = (
        [spec for name in names for spec in zoo.named(name)]
        if names
        else [r.spec for r in zoo.overview() if zoo.any_file(r.spec)]
    )
    faults = 0
    for spec in specs:
        found = zoo.weights.verify(spec.folder, spec.files)
        faults += len(found)
        _say(f"{spec.name}: {'all well' if not found else ''}")
        for fault in found:
            _say(f"  {fault}")
    if not specs:
        _say(f"No downloaded model in {zoo.weights.folder}.")
    if faults:
        raise ModelError(
            f"{faults} files are not what they should be; get them again with `animeset models fetch MODEL --again`"
        )


@models_app.command("export-bundle")
def models_export(
    target: Annotated[Path, typer.Argument(help="The file to write, such as models.zip.")], names: NamesArgument = None
) -> None:
    """Put downloaded models into one file, to carry them to a machine without network. Without names: everything that is here."""
    from animeset_lib.models.provider import Zoo

    zoo = Zoo()
    specs = (
        [spec for name in names for spec in zoo.named(name)]
        if names
        else [r.spec for r in zoo.overview() if zoo.complete(r.spec)]
    )
    chosen = {spec.folder: spec.files for spec in specs if spec.files}
    if not chosen:
        raise ModelError(
            f"there is nothing to export: no downloaded model in {zoo.weights.folder}; get some with `animeset models fetch`"
        )
    with _DownloadBars() as bars:
        zoo.weights.export_bundle(chosen, target, bars)
    _say(f"{target}: {', '.join(chosen)} ({_megabytes(target.stat().st_size)})")


@models_app.command("import-bundle")
def models_import(
    source: Annotated[Path, typer.Argument(help="A file that `animeset models export-bundle` wrote.")],
) -> None:
    """Take models over from a bundle. Every file is checked before it is used."""
    from animeset_lib.models.provider import Zoo

    zoo = Zoo()
    with _DownloadBars() as bars:
        taken = zoo.weights.import_bundle(source, bars, {row.spec.folder: row.spec.files for row in zoo.overview()})
    _say(f"{', '.join(taken) or 'nothing'} now in {zoo.weights.folder}")


def _families() -> tuple[Any, ...]:
    from animeset_lib.models.zoo import FAMILIES

    return FAMILIES


def _model_row(zoo: Any, row: Any) -> dict[str, Any]:
    """What a program or a person may want to know about one model."""
    spec = row.spec
    states = [zoo.weights.state(spec.folder, file) for file in spec.files]
    trusts = [
        state.trust if state.present else "pinned" if file.sha256 else "first use"
        for state, file in zip(states, spec.files, strict=True)
    ]
    return {
        "task": spec.task,
        "name": spec.name,
        "present": row.present,
        "auto": row.auto,
        "why_not": row.why_not,
        "get": zoo.remedy(spec) if not row.present else "",
        "size": _size_words(zoo, spec),
        "trust": " + ".join(dict.fromkeys(trust for trust in trusts if trust)) if spec.files else "in a package",
        "fault": next((state.why_not for state in states if state.present and state.why_not), ""),
        "licence": spec.licence,
        "source": spec.source,
        "signature": spec.signature,
        "thresholds": dict(spec.thresholds),
        "needs": list(spec.needs),
        "rung": spec.rung,
        "files": [
            {
                "name": file.name,
                "source": file.source,
                "revision": state.revision,
                "bytes": state.bytes if state.present else file.size,
                "sha256": state.sha256 or file.sha256,
                "trust": trust,
                "path": str(state.path),
                "present": state.present,
            }
            for file, state, trust in zip(spec.files, states, trusts, strict=True)
        ],
    }


def _print_model(row: dict[str, Any]) -> None:
    _say(f"{row['task']} {row['name']}{' (used by auto)' if row['auto'] else ''}")
    limits = ", ".join(f"{name} {value:g}" for name, value in row["thresholds"].items())
    for title in ("rung", "licence", "source", "signature"):
        _say(f"  {title:<10} {row[title]}")
    if limits:
        _say(f"  {'thresholds':<10} {limits}")
    if row["get"]:
        _say(f"  {'get':<10} {row['get']}")
    for file in row["files"]:
        size = _megabytes(file["bytes"]) or "size unknown"
        _say(
            f"  {file['name']}: {size}, {file['trust']}, {file['sha256'] or 'no hash yet'}, {'here' if file['present'] else 'not here'}"
        )
        _say(f"    {file['source']}")


def _size_words(zoo: Any, spec: Any) -> str:
    known = [zoo.weights.state(spec.folder, file).bytes or file.size for file in spec.files]
    if not any(known):
        return ""
    return f"{'' if all(known) else '> '}{_megabytes(sum(size or 0 for size in known))}"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.1f} MB"


class _DownloadBars:
    """A bar per file in a terminal; elsewhere one line when a file is complete. Call it with (name, bytes, bytes in all or None)."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=_errors,
            transient=True,
            disable=not _errors.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _DownloadBars:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(escape(name), total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
        if total is not None and done >= total and not _errors.is_terminal:
            _errors.print(f"{name}: {total / 1e6:.1f} MB", markup=False, highlight=False)


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
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for switch in switches:
            switch.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
