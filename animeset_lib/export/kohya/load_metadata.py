"""How kohya-ss/sd-scripts reads metadata: JSON or JSONL with a row per picture.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animeset_lib.export.kohya.load_folders import fed, pictures_in
from animeset_lib.export.loaded import Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes

__all__ = ["load", "metadata_set", "recognises"]


def recognises(path: Path, tree: Any) -> bool:
    """Whether each row has a caption or tags, or the first line an `image_path`."""
    if tree is None:
        return path.name.lower().startswith("meta") and path.suffix.lower() in (".json", ".jsonl")
    if not isinstance(tree, dict) or path.suffix.lower() not in (".json", ".jsonl"):
        return False
    if path.suffix.lower() == ".jsonl":
        return "image_path" in tree
    return bool(tree) and all(isinstance(row, dict) and {"caption", "tags"} & set(row) for row in tree.values())


def load(path: Path, root: Path) -> Loaded:
    """`--in_json path`, or the metadata of a config that is not here: JSON or JSONL, with its pictures in its own folder."""
    notes = Notes(root)
    found = metadata_set(notes.of(path.stem), path, path.parent, {"num_repeats": 1})
    note = f"with image_dir = the folder of {path.name}"
    return Loaded((found,), tuple(notes.findings), has_repeats=False, note=note)


def metadata_set(notes: Notes, path: Path, folder: Path | None, values: Mapping[str, Any]) -> LoadedSet:
    """The pictures of a metadata file; `values` are the well-typed ones of its sub-set in a config."""
    if path.suffix == ".jsonl":
        rows = {row["image_path"]: row for row in notes.json_lines(path, "kohya stops here", "image_path")}
    else:
        rows = notes.tree(path, "json", dict[str, dict[str, Any]], "an object of objects, keyed by picture") or {}
    found = (_picture(notes, path, folder, key, row, values) for key, row in rows.items())
    pictures = tuple(picture for picture in found if picture is not None)
    if not rows:
        notes.error("no_pictures", path, "expected a row per picture, got none; kohya ignores it")
    if folder is not None:
        listed = {picture.path for picture in pictures}
        for other in pictures_in(folder):
            if other not in listed:
                notes.warning("not_listed", other, f"stands in no row of {path.name}, so it is not trained")
    return LoadedSet(path.stem, pictures, values["num_repeats"])


def _picture(
    notes: Notes, config: Path, folder: Path | None, key: str, row: Mapping[str, Any], values: Mapping[str, Any]
) -> LoadedPicture | None:
    if folder is None and not os.path.isabs(key):
        notes.error("no_image_dir", config, f"{key!r} is relative, and the subset has no image_dir; kohya stops here")
        return None
    place = notes.place(key, config, "picture", "picture", "kohya stops when it trains it", folder)
    if place is None:
        return None
    for name in ("caption", "tags"):
        if not isinstance(row.get(name, ""), str | None):
            notes.error("wrong_type", config, f"{name} of {key!r}: expected text, got {row[name]!r}")
            return None
    lines = _lines(row.get("caption") or "", row.get("tags") or "", values)
    if not lines:
        notes.error("empty_caption", place, f"has no text in {config.name}; expected tags with the trigger first")
    if len(lines) > 1 and not values.get("enable_wildcard"):
        words = f"{len(lines)} lines in {config.name}, of which only the first is read"
        notes.error("multi_line_caption", place, words)
        lines = lines[:1]
    captions = tuple(fed(values, line) for line in lines or [""])
    return LoadedPicture(place, captions, size=_stated_size(notes, config, key, row), facts=row)


def _lines(caption: str, tags: str, values: Mapping[str, Any]) -> list[str]:
    """The prompts of a picture: tags behind the caption, behind each of its lines where each is one."""
    separator = values.get("caption_separator") or ","
    if tags and values.get("enable_wildcard"):
        tags = tags.replace("\n", separator)
        caption = "\n".join(f"{line}{separator}{tags}" for line in caption.split("\n") if line.strip())
    elif tags:
        caption = f"{caption}{separator if caption else ''}{tags}"
    return [line.strip() for line in caption.split("\n") if line.strip()]


def _stated_size(notes: Notes, config: Path, key: str, row: Mapping[str, Any]) -> tuple[int, int] | None:
    match row.get("image_size"):
        case None:
            return None
        case [int(width), int(height)]:
            return width, height
        case size:
            notes.error("wrong_type", config, f"image_size of {key!r}: expected [width, height], got {size!r}")
            return None
