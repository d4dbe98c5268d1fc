"""How kohya-ss/sd-scripts reads metadata: JSON or JSONL with a row per picture.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animeset_lib.export.kohya.load_folders import pictures_in
from animeset_lib.export.loaded import (
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    parsed,
)

__all__ = ["load_kohya_metadata", "metadata_set", "word_of"]


def load_kohya_metadata(path: Path, root: Path) -> Loaded:
    """`--in_json path`, or the metadata of a config that is not here: JSON or JSONL, with its pictures in its own folder."""
    notes = Notes(root)
    found = metadata_set(notes, path, path.parent, 1, {})
    return Loaded(
        "kohya-metadata",
        path,
        (found,),
        tuple(notes.findings),
        has_repeats=False,
        note=f"with image_dir = the folder of {path.name}",
    )


def metadata_set(notes: Notes, path: Path, folder: Path | None, repeats: int, values: Mapping[str, Any]) -> LoadedSet:
    rows = _metadata_rows(notes, path)
    pictures = []
    for key, row in rows.items():
        if (picture := _metadata_picture(notes, path, folder, key, row, values)) is not None:
            pictures.append(picture)
    if not rows:
        notes.error("no_pictures", path, "expected a row per picture, got none; kohya ignores it", path.stem)
    if folder is not None:
        listed = {picture.path for picture in pictures}
        for other in pictures_in(folder):
            if other not in listed:
                notes.warning("not_listed", other, f"stands in no row of {path.name}, so it is not trained", path.stem)
    return LoadedSet(path.stem, tuple(pictures), repeats)


def _metadata_rows(notes: Notes, path: Path) -> dict[str, dict[str, Any]]:
    text = notes.text(path)
    if text is None:
        return {}
    rows: dict[str, dict[str, Any]] = {}
    try:
        if path.suffix == ".jsonl":
            for line in text.splitlines():
                row = parsed(line, "json")
                if not isinstance(row, dict) or not isinstance(row.get("image_path"), str):
                    raise ValueError(f"expected an object with image_path on each line, got {line[:60]!r}")
                rows[row["image_path"]] = row
            return rows
        tree = parsed(text, "json")
        if not isinstance(tree, dict) or not all(isinstance(row, dict) for row in tree.values()):
            raise ValueError("expected an object of objects, keyed by picture")
        return tree
    except ValueError as problem:
        notes.error("not_parsed", path, f"cannot be read as metadata ({problem}); run the export again", path.stem)
        return {}


def _metadata_picture(
    notes: Notes, config: Path, folder: Path | None, key: str, row: Mapping[str, Any], values: Mapping[str, Any]
) -> LoadedPicture | None:
    if folder is None and not os.path.isabs(key):
        notes.error(
            "no_image_dir",
            config,
            f"{key!r} is relative, and the subset has no image_dir; kohya stops here",
            config.stem,
        )
        return None
    place = notes.place(key, folder or config.parent, config, "picture", config.stem)
    if place is None:
        return None
    if not place.is_file():
        notes.error(
            "missing_picture",
            config,
            f"there is no picture {notes.shown(place)}; kohya stops when it trains it",
            config.stem,
        )
        return None
    for name in ("caption", "tags"):
        if not isinstance(row.get(name, ""), str | None):
            notes.error("wrong_type", config, f"{name} of {key!r}: expected text, got {row[name]!r}", config.stem)
            return None
    caption, tags = row.get("caption") or "", row.get("tags") or ""
    separator = word_of(values, "caption_separator") or ","
    wildcard = values.get("enable_wildcard") is True
    if tags and wildcard:
        tags = tags.replace("\n", separator)
        caption = "\n".join(f"{line}{separator}{tags}" for line in caption.split("\n") if line.strip())
    elif tags:
        caption = f"{caption}{separator if caption else ''}{tags}"
    lines = [line.strip() for line in caption.split("\n") if line.strip()]
    if not lines:
        notes.error(
            "empty_caption", place, f"has no text in {config.name}; expected tags with the trigger first", config.stem
        )
    if len(lines) > 1 and not wildcard:
        notes.error(
            "multi_line_caption",
            place,
            f"{len(lines)} lines in {config.name}, of which only the first is read",
            config.stem,
        )
        lines = lines[:1]
    prefix, after = word_of(values, "caption_prefix"), word_of(values, "caption_suffix")
    fed = tuple(" ".join(part for part in (prefix, line, after) if part) for line in lines or [""])
    return LoadedPicture(place, fed, size=_stated_size(notes, config, key, row), facts=row)


def _stated_size(notes: Notes, config: Path, key: str, row: Mapping[str, Any]) -> tuple[int, int] | None:
    size = row.get("image_size")
    if size is None:
        return None
    if isinstance(size, list) and len(size) == 2 and all(isinstance(one, int) for one in size):
        return size[0], size[1]
    notes.error("wrong_type", config, f"image_size of {key!r}: expected [width, height], got {size!r}", config.stem)
    return None


def word_of(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else ""
