"""Folders of pictures with a caption of the same name beside each, made for no trainer in particular."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, ignored_pictures, kohya_caption, lonely_captions, missing
from animeset_lib.export.files import ANY_PICTURE, existing, is_hidden, sorted_files, walked
from animeset_lib.export.loaded import Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes

__all__ = ["load", "recognises"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What most trainers read."""
_MASK = "-masklabel"


def recognises(path: Path, tree: Any) -> bool:
    """Whether there are pictures in `path` or below it."""
    return any(file.suffix.lower() in ANY_PICTURE for folder in walked(path) for file in sorted_files(folder))


def load(path: Path, root: Path) -> Loaded:
    """`path` and all below it, a set per folder. Strict where any of the trainers is: one line each, kohya's way of finding captions."""
    notes = Notes(root)
    sets = [found for folder in walked(path) if (found := _folder(notes, folder, path)) is not None]
    if not sets:
        words = f"expected pictures ({', '.join(_SUFFIXES)}) with captions beside them, got none"
        notes.error("no_pictures", path, words)
    return Loaded(tuple(sets), tuple(notes.findings), has_repeats=False)


def _folder(notes: Notes, folder: Path, top: Path) -> LoadedSet | None:
    name = folder.relative_to(top).as_posix() if folder != top else folder.name
    notes = notes.of(name)
    files = sorted_files(folder)
    masks = {file for file in files if file.stem.endswith(_MASK)}
    pictures = [p for p in files if p.suffix.lower() in _SUFFIXES and not is_hidden(p) and p not in masks]
    ignored_pictures(notes, files, {*pictures, *masks}.__contains__, f"mostly {', '.join(_SUFFIXES)}")
    if not pictures:
        return None
    suffix = max((".txt", ".caption"), key=lambda suffix: sum(file.suffix == suffix for file in files))
    lonely_captions(notes, files, suffix, pictures)
    return LoadedSet(name, tuple(_picture(notes, picture, suffix) for picture in pictures))


def _picture(notes: Notes, picture: Path, suffix: str) -> LoadedPicture:
    mask = existing(picture.with_name(f"{picture.stem}{_MASK}.png"))
    caption = kohya_caption(notes, picture, suffix)
    if caption is None:
        missing(notes, picture, suffix, "most trainers train it with an empty prompt")
        return LoadedPicture(picture, ("",), mask=mask)
    return LoadedPicture(picture, caption_from(notes, caption, "first_line"), caption, mask)
