"""Files and folders as the loaders look at them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from animeset_lib.errors import InputError
from animeset_lib.media import PICTURE_SUFFIXES
from animeset_lib.run.store import parse_json

__all__ = [
    "ANY_PICTURE",
    "MARKER",
    "existing",
    "is_hidden",
    "marker_of",
    "sorted_files",
    "sorted_folders",
    "stem_path",
    "walked",
]

ANY_PICTURE = PICTURE_SUFFIXES | {".heic", ".heif", ".jxl", ".jp2", ".jpe", ".tga", ".psd"}
"""Lower-case suffixes of files that someone surely meant as pictures, whether or not a trainer reads them."""

MARKER = ".animeset-export.json"
"""The file in an export that says what the export is."""


def stem_path(path: Path) -> str:
    """`path` without its last suffix, as `os.path.splitext` sees it."""
    return os.path.splitext(path)[0]


def is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def existing(path: Path) -> Path | None:
    """`path` where it is a file."""
    return path if path.is_file() else None


def sorted_files(folder: Path) -> list[Path]:
    return _inside(folder, Path.is_file)


def sorted_folders(folder: Path) -> list[Path]:
    return _inside(folder, Path.is_dir)


def _inside(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """What is directly in `folder`, none where there is no such folder. Raises `InputError` where it may not be looked into."""
    try:
        return sorted(path for path in folder.iterdir() if wanted(path)) if folder.is_dir() else []
    except OSError as problem:
        raise InputError(f"{folder} cannot be looked into ({problem.strerror}); mend its permissions") from problem


def walked(folder: Path) -> list[Path]:
    """`folder` and all folders below it that are not hidden, each before those in it. Links in a circle are not followed twice."""
    found, seen, waiting = [], set(), [folder]
    while waiting:
        one = waiting.pop()
        if (real := os.path.realpath(one)) not in seen:
            seen.add(real)
            found.append(one)
            waiting += [inner for inner in reversed(sorted_folders(one)) if not is_hidden(inner)]
    return found


def marker_of(folder: Path) -> dict[str, Any]:
    """What the marker of the export in `folder` says; empty where there is none."""
    try:
        told = parse_json((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
