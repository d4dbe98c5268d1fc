"""The command line. Every command is a few lines over the library; what it prints is for people, `--json` for programs.

Exit codes: 0 done · 1 the input, disk or a model cannot be used · 2 wrong command or setting · 75 another run holds this film ·
130 cancelled.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperGroup

import animeset_lib
from animeset_lib.cli.captions import captions_app
from animeset_lib.cli.common import errors
from animeset_lib.cli.export import export
from animeset_lib.cli.lint import lint
from animeset_lib.cli.machine import clean, demo_film, doctor, show_settings
from animeset_lib.cli.models import models_app
from animeset_lib.cli.notebooks import notebooks
from animeset_lib.cli.probe import probe
from animeset_lib.cli.run import run
from animeset_lib.cli.status import cancel, status
from animeset_lib.cli.traits import traits
from animeset_lib.cli.who import decide, lens
from animeset_lib.errors import AnimesetError, sentence_of

__all__ = ["app", "main"]


_GROUPS = {
    "From a film to image sets": ("probe", "run", "dashboard", "status", "cancel"),
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
for _command in (probe, run, status, cancel, decide, lens, export, lint, notebooks, traits, doctor, clean):
    app.command()(_command)
app.command("settings")(show_settings)
app.command("demo-film")(demo_film)


def main() -> None:
    """Entry point: one clear line instead of a traceback for everything a user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # Windows would take its code page for a pipe, which has no kana
    try:
        app(prog_name="animeset")
    except AnimesetError as error:
        _end(str(error), error.exit_code)
    except PermissionError as error:
        _end(
            f"{error.filename or 'a file'} may not be read or written by you ({error.strerror or 'no permission'}); mend its permissions, "
            "then run the same command"
        )
    except Exception as error:
        if os.environ.get("ANIMESET_DEBUG"):
            raise
        _end(sentence_of(error))


def _end(sentence: str, code: int = 1) -> NoReturn:
    errors.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
    sys.exit(code)


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
