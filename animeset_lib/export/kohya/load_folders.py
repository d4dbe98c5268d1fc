"""How kohya-ss/sd-scripts reads folders named `N_words`, and any one folder of pictures.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import (
    caption_from,
    ignored_pictures,
    kohya_caption,
    lonely_captions,
    missing,
    taken_pictures,
)
from animeset_lib.export.files import ANY_PICTURE, is_hidden, sorted_files, sorted_folders
from animeset_lib.export.loaded import Kind, Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes

__all__ = ["fed", "load", "pictures_in", "pictures_of", "recognises", "repeats_of"]

_LOWER = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SUFFIXES = frozenset((*_LOWER, *(suffix.upper() for suffix in _LOWER)))
"""All small or all capital: `.Png` is not found. AVIF and JPEG XL only where their plug-ins are installed, so not here."""
_READS = ".png, .jpg, .jpeg, .webp and .bmp, all small or all capital letters"
_CAPTIONS = (".txt", ".caption")
_REGULARISATION = ("reg", "regularisation", "regularization")
_GUI_FOLDERS = frozenset({"log", "logs", "model", "models", "sample", "samples"})
"""What kohya_ss makes beside `img` and `reg`; no pictures to train in them."""


def recognises(path: Path, tree: Any) -> bool:
    """Whether the folder `path` holds `N_words` folders, or the folders `img` and `reg` with such."""
    return any(parent == path or parent.name in ("img", "reg") for parent, _ in _roots(path))


def load(path: Path, root: Path) -> Loaded:
    """`--train_data_dir` (and `--reg_data_dir`) with one `N_words` folder per set, N being the repeats."""
    notes = Notes(root)
    roots = _roots(path) or [(path, "train")]
    files = [file for parent, _ in roots for child in sorted_folders(parent) for file in sorted_files(child)]
    suffix = max(_CAPTIONS, key=lambda suffix: sum(file.suffix == suffix for file in files))
    sets = []
    for parent, kind in roots:
        ignored_pictures(notes, sorted_files(parent), lambda _: False, "pictures in N_words folders only")
        for child in sorted_folders(parent):
            if is_hidden(child) or _is_root(child) or child.name.lower() in _GUI_FOLDERS:
                continue
            if found := _numbered_folder(notes.of(child.name), child, kind, suffix):
                sets.append(found)
    return Loaded(tuple(sets), tuple(notes.findings), note=f"with --caption_extension {suffix}")


def repeats_of(name: str) -> int | None:
    """The number before the first `_` of a folder's name, as kohya reads it; `None` when there is none."""
    try:
        return int(name.split("_")[0])
    except ValueError:
        return None


def pictures_in(folder: Path) -> list[Path]:
    """What kohya's glob finds directly in `folder`."""
    return [path for path in sorted_files(folder) if _is_taken(path)]


def _is_taken(path: Path) -> bool:
    return path.suffix in _SUFFIXES and not is_hidden(path)


def _roots(path: Path) -> list[tuple[Path, Kind]]:
    """The folders in `path` that hold `N_words` folders with pictures, each with what it is for; `path` itself may be one.

    Of the folders that kohya_ss makes (`img`, `reg`) and others, only the former are given to the trainer.
    """
    roots: list[tuple[Path, Kind]] = [(path, _kind(path))] if _holds_numbered(path) else []
    inner = [child for child in sorted_folders(path) if _is_root(child)]
    if any(child.name == "img" for child in inner):
        inner = [child for child in inner if child.name == "img" or _kind(child) == "regularisation"]
    return roots + [(child, _kind(child)) for child in inner]


def _kind(folder: Path) -> Kind:
    return "regularisation" if folder.name.lower() in _REGULARISATION else "train"


def _is_root(folder: Path) -> bool:
    return not is_hidden(folder) and repeats_of(folder.name) is None and _holds_numbered(folder)


def _holds_numbered(path: Path) -> bool:
    return any(
        "_" in child.name and repeats_of(child.name) is not None and pictures_in(child)
        for child in sorted_folders(path)
    )


def _numbered_folder(notes: Notes, folder: Path, kind: Kind, suffix: str) -> LoadedSet | None:
    repeats = repeats_of(folder.name)
    if repeats is None:
        if any(file.suffix.lower() in ANY_PICTURE for file in sorted_files(folder)):
            name = f"10_{folder.name}, the number being the repeats"
            notes.error("no_repeats", folder, f"expected a name like {name}; kohya ignores a folder without: rename it")
        return None
    if repeats < 1:
        words = f"{repeats} repeats: kohya ignores the folder; expected 1 or more: rename it"
        notes.error("zero_repeats", folder, words)
        return None
    words = folder.name.partition("_")[2]
    if not words:
        notes.warning(
            "no_class_tokens", folder, f"expected a name like {repeats}_trigger, got no words after the number"
        )
    values = {"num_repeats": repeats, "class_tokens": words, "caption_extension": suffix}
    return pictures_of(notes, folder, values, kind)


# --------------------------------------------------------------------------------------------- one folder of pictures


def fed(values: Mapping[str, Any], caption: str) -> str:
    """A caption with what the config puts before and after each."""
    parts = (values.get("caption_prefix", ""), caption, values.get("caption_suffix", ""))
    return " ".join(part for part in parts if part)


def pictures_of(
    notes: Notes, folder: Path, values: Mapping[str, Any], kind: Kind, masks: Path | None = None
) -> LoadedSet:
    """The set in `folder`, by the well-typed `values` of its sub-set in a config."""
    files = sorted_files(folder)
    pictures = taken_pictures(notes, folder, files, _is_taken, _READS, "; kohya ignores the folder")
    for inner in sorted_folders(folder):
        if not is_hidden(inner) and inner != masks:
            ignored_pictures(notes, sorted_files(inner), lambda _: False, "no folder inside this one")
    # of several masks with one stem the first by name
    by_stem = {mask.stem: mask for mask in reversed(pictures_in(masks))} if masks is not None else {}
    loaded = tuple(_picture(notes, picture, values, by_stem.get(picture.stem)) for picture in pictures)
    lonely_captions(notes, files, values["caption_extension"], pictures)
    if masks is not None:
        _check_masks(notes, masks, loaded)
    return LoadedSet(folder.name, loaded, values["num_repeats"], kind, values.get("class_tokens") or None)


def _picture(notes: Notes, picture: Path, values: Mapping[str, Any], mask: Path | None) -> LoadedPicture:
    suffix = values["caption_extension"]
    caption = kohya_caption(notes, picture, suffix)
    if caption is None:
        instead = values.get("class_tokens", "")
        missing(notes, picture, suffix, f"kohya trains it with {repr(instead) if instead else 'an empty prompt'}")
        return LoadedPicture(picture, (fed(values, instead),), mask=mask)
    captions = caption_from(notes, caption, "alternatives" if values.get("enable_wildcard") else "first_line")
    return LoadedPicture(picture, tuple(fed(values, one) for one in captions), caption, mask)


def _check_masks(notes: Notes, masks: Path, pictures: Sequence[LoadedPicture]) -> None:
    for picture in pictures:
        if picture.mask is None:
            words = f"has no mask of its name in {notes.shown(masks)}; kohya stops unless each picture has one"
            notes.error("missing_mask", picture.path, words)
    used = {picture.mask for picture in pictures}
    for mask in pictures_in(masks):
        if mask not in used:
            notes.error("mask_without_picture", mask, "belongs to no picture; kohya stops at it: remove it")
