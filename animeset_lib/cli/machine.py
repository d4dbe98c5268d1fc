"""`animeset doctor`, `settings`, `clean` and `demo-film`: what concerns this machine and its folders."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

import animeset_lib
from animeset_lib.cli.common import (
    DeviceOption,
    FileOption,
    JsonOption,
    PresetOption,
    SetOption,
    WorkOption,
    console,
    errors,
    say,
)
from animeset_lib.cli.models import model_row
from animeset_lib.errors import InputError, SettingsError

__all__ = ["clean", "demo_film", "doctor", "show_settings"]


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

    unused = [(path, folder_size(path)) for path in removable(work, everything)]
    for path, size in unused:
        if yes:
            remove_unused(work, path)
        if not as_json:
            say(f"{'removed' if yes else 'would remove'}  {size / 1e6:>8.1f} MB  {path}")
    if as_json:
        rows = [{"path": str(path), "bytes": size, "removed": yes} for path, size in unused]
        print(json.dumps(rows, ensure_ascii=False))
    elif not unused:
        say("Nothing to remove.")
    elif not yes:
        say("Nothing was removed yet; add --yes to do it.")


def show_settings(preset: PresetOption = "full", settings: FileOption = None, assign: SetOption = None) -> None:
    """Print all settings as a TOML file for --settings.

    Each with its meaning, range and value.
    """
    from animeset_lib.settings import load_settings

    print(load_settings(settings, assign or (), preset).to_toml())


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
    models = [model_row(zoo, row) for row in rows]
    notes = idle(chosen) + [row["fault"] for row in models if row["fault"]]
    if as_json:
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
            escape("\n".join(filter(None, (used.name, zoo.engine(used), used.rung))) if used else "nothing"),
            escape("\n".join(better[:2]) or "nothing: this is the best"),
        )
    console.print(table)
    say("All models, with sizes, licences and where they come from: animeset models list")


_EXTRAS = {"dashboard": "voila", "fiftyone": "fiftyone", "torch": "torch", "notebooks": "jupyterlab"}
