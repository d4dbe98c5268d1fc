"""How Hugging Face `datasets` reads a folder of pictures: `load_dataset("imagefolder", data_dir=...)`.

Facts: data_files.py and packaged_modules/folder_based_builder of datasets 5.2; tests compare with the real one.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from animeset_lib.export.beside import ignored_pictures
from animeset_lib.export.loaded import (
    Kind,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    lines_of,
    parsed,
)

__all__ = ["METADATA_NAMES", "load_imagefolder", "splits_of"]

METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_SUFFIXES = frozenset(
    {
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".tga",
        ".psd",
        ".jp2",
        ".j2k",
    }
)
"""Of what it reads through Pillow; AVIF, HEIC and JPEG XL are not in its list."""
_WORDS: Mapping[str, Sequence[str]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_TEXT_COLUMNS = ("text", "prompt", "caption")
"""Where training scripts look for the caption, the commonest first."""
_KINDS: Mapping[str, Kind] = {"train": "train", "validation": "validation", "test": "validation"}


def splits_of(paths: Sequence[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """Split → its files among `paths` (relative to the data folder), as datasets sorts them.

    A folder named like a split, alone or between digits and `-._ `, decides; if there is none such, file names do; else all is `train`.
    What has no split's name then is not loaded.
    """
    for parts in (slice(None, -1), slice(-1, None)):
        found = {split: [p for p in paths if any(_says(split, part) for part in p.parts[parts])] for split in _WORDS}
        if any(found.values()):
            return {split: files for split, files in found.items() if files}
    return {"train": list(paths)} if paths else {}


def _says(split: str, part: str) -> bool:
    words = "|".join(_WORDS[split])
    return re.search(rf"(^|[-._ 0-9])({words})($|[-._ 0-9])", part) is not None


def load_imagefolder(path: Path, root: Path) -> Loaded:
    """The data folder `path`; of its sets each is one character of one split, where a column `character` tells."""
    notes = Notes(root)
    files = _visible(path)
    splits = splits_of(files)
    metadata = {split: [path / one for one in chosen if one.name in METADATA_NAMES] for split, chosen in splits.items()}
    taken = {one for chosen in splits.values() for one in chosen}
    _check_layout(notes, path, files, taken, metadata)
    sets: list[LoadedSet] = []
    for split, chosen in splits.items():
        pictures = [path / one for one in chosen if one.suffix.lower() in _SUFFIXES]
        ignored_pictures(
            notes, [path / one for one in chosen], lambda p: p.suffix.lower() in _SUFFIXES, "what Pillow opens", split
        )
        if metadata[split]:
            sets += _split(notes, split, metadata[split], pictures)
        else:
            for picture in pictures:
                notes.error(
                    "missing_caption", picture, "has no row in a metadata.jsonl of its split, so no caption", split
                )
            sets.append(LoadedSet(split, tuple(LoadedPicture(p, ("",)) for p in pictures), kind=_KINDS[split]))
    return Loaded("huggingface", path, tuple(sets), tuple(notes.findings), has_repeats=False, note="as imagefolder")


def _visible(path: Path) -> list[PurePosixPath]:
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        found += [Path(folder, name).relative_to(path) for name in sorted(names)]
    return [PurePosixPath(one.as_posix()) for one in found if not is_hidden(one) and one.name != "README.md"]


def _check_layout(
    notes: Notes,
    path: Path,
    files: Sequence[PurePosixPath],
    taken: set[PurePosixPath],
    metadata: Mapping[str, Sequence[Path]],
) -> None:
    """What lies where datasets does not look, above all a metadata file beside the split folders."""
    for one in files:
        if one in taken:
            continue
        if one.name in METADATA_NAMES:
            notes.error(
                "metadata_outside_split",
                path / one,
                "is not read: there are split folders, and it lies in none of them (datasets loads the pictures without captions); "
                "put it inside, with file_name relative to it",
            )
        elif one.suffix.lower() in _SUFFIXES:
            notes.error(
                "ignored_picture",
                path / one,
                "lies in no split (train, validation, test), so it is not loaded; move it into one",
            )
    suffixes = {one.suffix for group in metadata.values() for one in group}
    if len(suffixes) > 1:
        notes.error(
            "mixed_metadata",
            path,
            f"metadata of several kinds ({', '.join(sorted(suffixes))}); datasets stops here: keep one",
        )


def _split(notes: Notes, split: str, metadata: Sequence[Path], pictures: Sequence[Path]) -> list[LoadedSet]:
    groups: dict[str, list[LoadedPicture]] = {}
    kinds: dict[str, str] = {}
    rows = 0
    for path in metadata:
        for row in _rows(notes, path, split):
            rows += 1
            _check_columns(notes, path, row, kinds, split)
            picture = _row_picture(notes, path, row, split)
            if picture is not None:
                character = row.get("character")
                groups.setdefault(character if isinstance(character, str) else "", []).append(picture)
    if not rows:
        notes.error("no_pictures", metadata[0], "expected a row per picture, got none", split)
    listed_paths = {picture.path for group in groups.values() for picture in group}
    for other in pictures:
        if other not in listed_paths:
            notes.error(
                "missing_caption",
                other,
                "stands in no row of its split's metadata, so it is not loaded; add a row",
                split,
            )
    return [
        LoadedSet(
            f"{split}: {character}" if character else split,
            tuple(group),
            kind=_KINDS[split] if character or not _is_regularisation(group) else "regularisation",
            trigger=character or None,
        )
        for character, group in sorted(groups.items())
    ]


def _is_regularisation(group: Sequence[LoadedPicture]) -> bool:
    """A row whose `character` is there and empty shows nobody: it is a picture for regularisation."""
    return all("character" in picture.facts for picture in group)


def _rows(notes: Notes, path: Path, split: str) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        notes.warning("not_checked", path, "Parquet is not looked into here; metadata.jsonl is", split)
        return []
    text = notes.text(path, split)
    if text is None:
        return []
    if path.suffix == ".csv":
        try:
            return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        except csv.Error as problem:
            notes.error("not_parsed", path, f"cannot be read as CSV ({problem})", split)
            return []
    rows = []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            row = parsed(line, "json")
            if not isinstance(row, dict):
                raise ValueError("expected an object")
            rows.append(row)
        except ValueError as problem:
            notes.error("not_parsed", path, f"line {number} is no JSON object ({problem}); datasets stops here", split)
    return rows


def _check_columns(notes: Notes, path: Path, row: Mapping[str, Any], kinds: dict[str, str], split: str) -> None:
    """A column must hold values of one kind (or null): Arrow makes a table of it."""
    for column, value in row.items():
        if value is None:
            continue
        kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
        if kinds.setdefault(column, kind) != kind:
            notes.error(
                "mixed_column",
                path,
                f"column {column!r} holds a {kinds[column]} in one row and a {kind} in another; datasets stops here: keep to one",
                split,
            )


def _row_picture(notes: Notes, path: Path, row: Mapping[str, Any], split: str) -> LoadedPicture | None:
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        notes.error(
            "missing_key", path, f"a row has no file_name ({str(dict(row))[:80]}); datasets needs it in each", split
        )
        return None
    if os.path.isabs(name) or "://" in name or re.match(r"^[A-Za-z]:", name):
        notes.error(
            "absolute_path",
            path,
            f"file_name {name!r} is absolute; datasets refuses it: write it relative to this file",
            split,
        )
        return None
    if "\\" in name:
        notes.error("backslash", path, f"file_name {name!r}: backslashes are not understood everywhere; write /", split)
    inside = os.path.normpath(name.replace("\\", "/"))
    if inside.startswith(".."):
        notes.error(
            "outside_path", path, f"file_name {name!r} leaves the folder of this file; datasets refuses it", split
        )
        return None
    place = path.parent / inside
    if not os.path.isfile(place):
        notes.error(
            "missing_picture",
            path,
            f"there is no picture {notes.shown(place)}; datasets stops when it is looked at",
            split,
        )
        return None
    column = next((one for one in _TEXT_COLUMNS if one in row), None)
    caption = row.get(column) if column else None
    if column is None:
        notes.error(
            "missing_caption",
            place,
            f"has no caption column in {path.name} (expected {' or '.join(_TEXT_COLUMNS)})",
            split,
        )
    elif not isinstance(caption, str) or not caption.strip():
        notes.error(
            "empty_caption",
            place,
            f"has no text in column {column} of {path.name}; expected tags, the trigger first",
            split,
        )
    elif len([line for line in lines_of(caption) if line.strip()]) > 1:
        notes.error(
            "multi_line_caption", place, f"several lines in column {column} of {path.name}; expected one", split
        )
    return LoadedPicture(place, (caption if isinstance(caption, str) else "",), path, size=_size(row), facts=row)


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
