"""Where things lie in a published film folder: pictures, their captions, their rows. The one place that knows it, but for the trainers' own loaders.

The folder may have come from somebody else: what lies outside of it, behind a link, is not in it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from animeset_lib.errors import InputError

__all__ = [
    "METADATA",
    "PICTURES",
    "caption_of_a_picture",
    "caption_path",
    "character_folders",
    "images_of",
    "is_inside",
    "json_object",
    "picture_path",
    "real_path",
    "rows_of",
    "visible_files",
]

METADATA = "metadata.jsonl"
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
"""What every trainer here reads."""
_CAPTION = re.compile(r"(?P<set>[^/]+/dataset)/captions/(?P<stem>[^/]+)\.txt")


def character_folders(film: Path) -> list[Path]:
    """The folders of the characters, by name: those with pictures in `dataset/images/`."""
    return sorted(p for p in film.iterdir() if p.name[0] != "." and (p / "dataset" / "images").is_dir())


def visible_files(folder: Path) -> list[Path]:
    """The files of a folder by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")


def images_of(film: Path) -> dict[str, list[str]]:
    """Character → its pictures as paths relative to the film folder, with `/`, by name. A character without any, or whose files lie outside of
    the folder, is left out."""
    found = {}
    for folder in character_folders(film):
        base = folder / "dataset"
        if all(is_inside(base / part, film) for part in ("images", "captions")):
            names = [path.name for path in visible_files(base / "images") if path.suffix.lower() in PICTURES]
            if names:
                found[folder.name] = [f"{folder.name}/dataset/images/{name}" for name in names]
    return found


def caption_path(image: str) -> str:
    """Where the caption of a picture is, relative to the film folder like the picture."""
    path = PurePosixPath(image)
    return str(path.parent.with_name("captions") / f"{path.stem}.txt")


def caption_of_a_picture(film: Path, file: str) -> bool:
    """Whether a file, relative to the film folder, is the caption of a picture that is there."""
    found = _CAPTION.fullmatch(file)
    return found is not None and any(
        (film / found["set"] / "images" / f"{found['stem']}{ending}").is_file() for ending in PICTURES
    )


def picture_path(film: Path, image: object) -> Path:
    """Where a picture is that a browser named, there or gone. Raises `InputError` for anything but a picture of a set inside the film folder."""
    parts = image.split("/") if isinstance(image, str) else []
    plain = len(parts) == 4 and all(
        part and not part.startswith(".") and not set(part) & set("\\:\0") for part in parts
    )
    if plain and parts[1:3] == ["dataset", "images"] and PurePosixPath(parts[3]).suffix.lower() in PICTURES:
        path = film.joinpath(*parts)
        if is_inside(path, film):
            return path
    raise InputError(
        f"{str(image)[:80]!r} is no picture of {film.name}; expected one such as `hero/dataset/images/hero_0001.png`"
    )


def rows_of(film: Path, character: str) -> dict[str, dict[str, Any]]:
    """Picture → its row of the character's `metadata.jsonl`. Lines that cannot be read are left out."""
    try:
        lines = (film / character / METADATA).read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return {}
    rows = map(json_object, lines)
    return {f"{character}/{row['file_name']}": row for row in rows if isinstance(row.get("file_name"), str)}


def json_object(line: str | bytes) -> dict[str, Any]:
    """The object on a line; empty for any other line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def real_path(path: Path) -> Path:
    """Where a path leads. `Path.resolve` stops at links that lead to themselves."""
    return Path(os.path.realpath(path))


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path still leads into the folder when all links are followed."""
    return real_path(path).is_relative_to(real_path(folder))
