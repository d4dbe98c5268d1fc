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
from animeset_lib.export.files import is_hidden
from animeset_lib.export.loaded import Kind, Loaded, LoadedPicture, LoadedSet, stated_size
from animeset_lib.export.notes import Notes
from animeset_lib.export.texts import lines_of

__all__ = ["load", "recognises"]

_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_PILLOW = "png apng jpg jpeg jpe jfif webp bmp gif tif tiff tga psd jp2 j2k"
_SUFFIXES = frozenset(f".{kind}" for kind in _PILLOW.split())
"""Of what it reads through Pillow; AVIF, HEIC and JPEG XL are not in its list."""
_WORDS: Mapping[str, str] = {
    "train": "train|training",
    "validation": "validation|valid|dev|val",
    "test": "test|testing|eval|evaluation",
}
"""Split → the words that name it."""
_TEXT_COLUMNS = ("text", "prompt", "caption")
"""Where training scripts look for the caption, the commonest first."""
_KINDS: Mapping[str, Kind] = {"train": "train", "validation": "validation", "test": "validation"}


def recognises(path: Path, tree: Any) -> bool:
    """Whether `path` has a metadata file that names pictures, or a split folder with one."""
    return any(_names_files(path / name) for name in _METADATA) or any(
        (path / split / name).is_file() for split in _WORDS for name in _METADATA
    )


def _names_files(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix != ".jsonl":
        return True
    with path.open("rb") as lines:
        return b'"image_path"' not in lines.readline()  # that would be kohya's


def load(path: Path, root: Path) -> Loaded:
    """The data folder `path`; of its sets each is one character of one split, where a column `character` tells."""
    notes = Notes(root)
    files = _visible(path)
    splits = _splits_of(files)
    _check_layout(notes, path, files, splits)
    sets: list[LoadedSet] = []
    for split, chosen in splits.items():
        within = [path / one for one in chosen]
        pictures = [one for one in within if one.suffix.lower() in _SUFFIXES]
        ignored_pictures(notes.of(split), within, set(pictures).__contains__, "what Pillow opens")
        metadata = [one for one in within if one.name in _METADATA]
        sets += _split(notes.of(split), split, metadata, pictures)
    return Loaded(tuple(sets), tuple(notes.findings), has_repeats=False, note="as imagefolder")


def _splits_of(paths: Sequence[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
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
    return re.search(rf"(^|[-._ 0-9])({_WORDS[split]})($|[-._ 0-9])", part) is not None


def _visible(path: Path) -> list[PurePosixPath]:
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        found += [Path(folder, name).relative_to(path) for name in sorted(names)]
    return [PurePosixPath(one.as_posix()) for one in found if not is_hidden(one) and one.name != "README.md"]


def _check_layout(
    notes: Notes, path: Path, files: Sequence[PurePosixPath], splits: Mapping[str, Sequence[PurePosixPath]]
) -> None:
    """What lies where datasets does not look, above all a metadata file beside the split folders."""
    taken = {one for chosen in splits.values() for one in chosen}
    for one in files:
        if one in taken:
            continue
        if one.name in _METADATA:
            words = (
                "is not read: there are split folders, and it lies in none of them (datasets loads the pictures without captions); "
                "put it inside, with file_name relative to it"
            )
            notes.error("metadata_outside_split", path / one, words)
        elif one.suffix.lower() in _SUFFIXES:
            words = "lies in no split (train, validation, test), so it is not loaded; move it into one"
            notes.error("ignored_picture", path / one, words)
    suffixes = sorted({one.suffix for one in taken if one.name in _METADATA})
    if len(suffixes) > 1:
        words = f"metadata of several kinds ({', '.join(suffixes)}); datasets stops here: keep one"
        notes.error("mixed_metadata", path, words)


def _split(notes: Notes, split: str, metadata: Sequence[Path], pictures: Sequence[Path]) -> list[LoadedSet]:
    if not metadata:
        for picture in pictures:
            notes.error("missing_caption", picture, "has no row in a metadata.jsonl of its split, so no caption")
        return [LoadedSet(split, tuple(LoadedPicture(p, ("",)) for p in pictures), kind=_KINDS[split])]
    groups: dict[str, list[LoadedPicture]] = {}
    kinds: dict[str, str] = {}
    rows = [(path, row) for path in metadata for row in _rows(notes, path)]
    for path, row in rows:
        _check_columns(notes, path, row, kinds)
        if found := _picture(notes, path, row):
            character = row.get("character")
            groups.setdefault(character if isinstance(character, str) else "", []).append(found)
    if not rows:
        notes.error("no_pictures", metadata[0], "expected a row per picture, got none")
    listed = {picture.path for group in groups.values() for picture in group}
    for other in pictures:
        if other not in listed:
            words = "stands in no row of its split's metadata, so it is not loaded; add a row"
            notes.error("missing_caption", other, words)
    return [_set(split, character, group) for character, group in sorted(groups.items())]


def _set(split: str, character: str, group: Sequence[LoadedPicture]) -> LoadedSet:
    """A row whose `character` is there and empty shows nobody: it is a picture for regularisation."""
    nobody = not character and all("character" in picture.facts for picture in group)
    name = f"{split}: {character}" if character else split
    kind = "regularisation" if nobody else _KINDS[split]
    return LoadedSet(name, tuple(group), kind=kind, trigger=character or None)


def _rows(notes: Notes, path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        notes.warning("not_checked", path, "Parquet is not looked into here; metadata.jsonl is")
        return []
    if path.suffix == ".jsonl":
        return notes.json_lines(path, "datasets stops here")
    try:
        return [dict(row) for row in csv.DictReader(io.StringIO(notes.text(path) or "", newline=""))]
    except csv.Error as problem:
        notes.error("not_parsed", path, f"cannot be read as CSV ({problem})")
        return []


def _check_columns(notes: Notes, path: Path, row: Mapping[str, Any], kinds: dict[str, str]) -> None:
    """A column must hold values of one kind (or null): Arrow makes a table of it."""
    for column, value in row.items():
        if value is None:
            continue
        kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
        if kinds.setdefault(column, kind) != kind:
            words = f"column {column!r} holds a {kinds[column]} in one row and a {kind} in another; datasets stops here: keep to one"
            notes.error("mixed_column", path, words)


def _picture(notes: Notes, path: Path, row: Mapping[str, Any]) -> LoadedPicture | None:
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        words = f"a row has no file_name ({str(dict(row))[:80]}); datasets needs it in each"
        notes.error("missing_key", path, words)
        return None
    if os.path.isabs(name) or "://" in name or re.match(r"^[A-Za-z]:", name):
        words = f"file_name {name!r} is absolute; datasets refuses it: write it relative to this file"
        notes.error("absolute_path", path, words)
        return None
    if "\\" in name:
        notes.error("backslash", path, f"file_name {name!r}: backslashes are not understood everywhere; write /")
    inside = os.path.normpath(name.replace("\\", "/"))
    if inside.startswith(".."):
        notes.error("outside_path", path, f"file_name {name!r} leaves the folder of this file; datasets refuses it")
        return None
    place = path.parent / inside
    if not os.path.isfile(place):
        words = f"there is no picture {notes.shown(place)}; datasets stops when it is looked at"
        notes.error("missing_picture", path, words)
        return None
    caption = _caption(notes, path, row, place)
    return LoadedPicture(place, (caption,), path, size=stated_size(row), facts=row)


def _caption(notes: Notes, path: Path, row: Mapping[str, Any], picture: Path) -> str:
    """What training scripts take from a row for the caption."""
    column = next((one for one in _TEXT_COLUMNS if one in row), None)
    if column is None:
        words = f"has no caption column in {path.name} (expected {' or '.join(_TEXT_COLUMNS)})"
        notes.error("missing_caption", picture, words)
        return ""
    caption = row[column]
    if not isinstance(caption, str) or not caption.strip():
        words = f"has no text in column {column} of {path.name}; expected tags, the trigger first"
        notes.error("empty_caption", picture, words)
    elif sum(bool(line.strip()) for line in lines_of(caption)) > 1:
        words = f"several lines in column {column} of {path.name}; expected one"
        notes.error("multi_line_caption", picture, words)
    return caption if isinstance(caption, str) else ""
