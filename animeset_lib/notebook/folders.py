"""Where a notebook's project is, and a sentence for a package that is missing."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.shipped import extra_command

__all__ = ["find_film", "needed", "project_folder"]

_MARKS = ("dashboard.ipynb", "logs/process.log")
"""A clone has the one, a folder in which a film was run the other."""


def project_folder(start: Path | None = None) -> Path:
    """The folder with `input/`, `work/`, `output/` and `logs/` for somebody who works in `start` (unset: the working folder).

    That is the nearest folder, `start` or one above it, with `dashboard.ipynb` or the log of runs; so notebooks find the same project from
    `notebooks/` and from the top. Where there is none (a plain folder on Colab) it is `start` itself.
    """
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if any((folder / mark).is_file() for mark in _MARKS)), here)


def find_film(path: Path, root: Path) -> Path:
    """`path` as seen from the working folder, else from `root`, made absolute. Raises `InputError` with what is in `input/` when neither has it."""
    for place in (path, root / path):
        if place.exists():
            return place.absolute()
    here = sorted(film.name for film in (root / "input").glob("[!.]*")) if (root / "input").is_dir() else []
    raise InputError(
        f"{path}: no such file or folder, neither in {Path.cwd()} nor in {root}; in {root / 'input'} there "
        f"{'is ' + ', '.join(here) if here else 'is nothing yet'}. "
        "Put your film there, or open input/demo-short.mp4, which is drawn where it is missing"
    )


def needed(module: str) -> ModuleType:
    """`module`, imported. Raises `AnimesetError` with the command that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise AnimesetError(
            f"the package {error.name} is not installed; expected it for tables and plots. Get it with: {extra_command('notebooks')}"
        ) from error
