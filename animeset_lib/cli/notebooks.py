"""`animeset notebooks`: copies of the notebooks, to run and to change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from animeset_lib.cli.common import say
from animeset_lib.shipped import lay_out_notebooks

__all__ = ["notebooks"]


def notebooks(folder: Annotated[Path, typer.Argument(help="Where to put them; made where it is missing.")]) -> None:
    """Lay out copies of the notebooks that show each step.

    What is there already is never written over.
    """
    laid_out = lay_out_notebooks(folder)
    say(f"{len(laid_out.written)} notebooks written to {folder}")
    for name in laid_out.left:
        say(
            f"left as it is: {name} has another content than the one that comes with animeset; move it away to get that"
        )
    say(f'Open them with: {sys.executable} -m jupyterlab "{folder / "00_tour.ipynb"}"')
