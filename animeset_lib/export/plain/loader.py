"""Folders of pictures with a caption of the same name beside each, made for no trainer in particular."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.export.beside import caption_from, ignored_pictures, kohya_caption, lonely_captions, missing
from animeset_lib.export.loaded import (
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    sorted_files,
    walked,
)

__all__ = ["PLAIN_SUFFIXES", "load_plain"]

PLAIN_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
"""What most trainers read."""
_MASK = "-masklabel"


def load_plain(path: Path, root: Path) -> Loaded:
    """`path` and all below it, a set per folder. Strict where any of the trainers is: one line each, kohya's way of finding captions."""
    notes = Notes(root)
    sets = [found for folder in walked(path) if (found := _folder(notes, folder, path)) is not None]
    if not sets:
        notes.error(
            "no_pictures",
            path,
            "expected pictures (.png, .jpg, .jpeg, .webp, .bmp) with captions beside them, got none",
        )
    return Loaded("folder", path, tuple(sets), tuple(notes.findings), has_repeats=False)


def _folder(notes: Notes, folder: Path, top: Path) -> LoadedSet | None:
    name = folder.relative_to(top).as_posix() if folder != top else folder.name
    files = sorted_files(folder)
    masks = {file for file in files if file.stem.endswith(_MASK)}
    pictures = [p for p in files if p.suffix.lower() in PLAIN_SUFFIXES and not is_hidden(p) and p not in masks]
    ignored_pictures(notes, files, {*pictures, *masks}.__contains__, "mostly .png, .jpg, .jpeg, .webp and .bmp", name)
    if not pictures:
        return None
    suffix = _suffix_of(files)
    lonely_captions(notes, files, (suffix,), pictures, name)
    return LoadedSet(name, tuple(_picture(notes, picture, suffix, name) for picture in pictures))


def _suffix_of(files: list[Path]) -> str:
    return max((".txt", ".caption"), key=lambda suffix: sum(1 for file in files if file.suffix == suffix))


def _picture(notes: Notes, picture: Path, suffix: str, name: str) -> LoadedPicture:
    mask = picture.with_name(f"{picture.stem}{_MASK}.png")
    mask_path = mask if mask.is_file() else None
    found = kohya_caption(picture, suffix)
    if found is None:
        missing(notes, picture, suffix, "most trainers train it with an empty prompt", name)
        return LoadedPicture(picture, ("",), mask=mask_path)
    if found.borrowed:
        notes.error(
            "borrowed_caption",
            picture,
            f"has no caption {picture.stem}{suffix}, so kohya would take {notes.shown(found.path)}, which belongs to another picture: "
            "write its own",
            name,
        )
    return LoadedPicture(picture, caption_from(notes, found.path, "first_line", name), found.path, mask_path)
