"""How kohya-ss/sd-scripts reads folders named `N_words`, and any one folder of pictures.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from animeset_lib.export.beside import (
    caption_from,
    ignored_pictures,
    kohya_caption,
    lonely_captions,
    missing,
)
from animeset_lib.export.loaded import (
    ANY_PICTURE,
    Kind,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    sorted_files,
    sorted_folders,
)

__all__ = ["KOHYA_SUFFIXES", "Subset", "kohya_roots", "load_kohya_folders", "pictures_in", "pictures_of", "repeats_of"]


_LOWER = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
KOHYA_SUFFIXES = frozenset((*_LOWER, *(suffix.upper() for suffix in _LOWER)))
"""All small or all capital: `.Png` is not found. AVIF and JPEG XL only where their plug-ins are installed, so not here."""
_READS = ".png, .jpg, .jpeg, .webp and .bmp, all small or all capital letters"
_CAPTIONS = (".txt", ".caption")
_REGULARISATION = ("reg", "regularisation", "regularization")
_GUI_FOLDERS = frozenset({"log", "logs", "model", "models", "sample", "samples"})
"""What kohya_ss makes beside `img` and `reg`; no pictures to train in them."""


def repeats_of(name: str) -> int | None:
    """The number before the first `_` of a folder's name, as kohya reads it; `None` when there is none."""
    try:
        return int(name.split("_")[0])
    except ValueError:
        return None


def kohya_roots(path: Path) -> list[tuple[Path, Kind]]:
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


def pictures_in(folder: Path) -> list[Path]:
    """What kohya's glob finds directly in `folder`."""
    return [path for path in sorted_files(folder) if path.suffix in KOHYA_SUFFIXES and not is_hidden(path)]


def load_kohya_folders(path: Path, root: Path) -> Loaded:
    """`--train_data_dir` (and `--reg_data_dir`) with one `N_words` folder per set, N being the repeats."""
    notes = Notes(root)
    roots = kohya_roots(path) or [(path, "train")]
    suffix = suffix_in([child for parent, _ in roots for child in sorted_folders(parent)])
    sets = []
    for parent, kind in roots:
        ignored_pictures(notes, sorted_files(parent), lambda _: False, "pictures in N_words folders only", "")
        for child in sorted_folders(parent):
            if is_hidden(child) or _is_root(child) or child.name.lower() in _GUI_FOLDERS:
                continue
            if found := _numbered_folder(notes, child, kind, suffix):
                sets.append(found)
    return Loaded("kohya-folders", path, tuple(sets), tuple(notes.findings), note=f"with --caption_extension {suffix}")


def _numbered_folder(notes: Notes, folder: Path, kind: Kind, suffix: str) -> LoadedSet | None:
    pictures = [p for p in sorted_files(folder) if p.suffix.lower() in ANY_PICTURE]
    repeats = repeats_of(folder.name)
    if repeats is None:
        if pictures:
            notes.error(
                "no_repeats",
                folder,
                f"expected a name like 10_{folder.name}, the number being the repeats; kohya ignores a folder without: rename it",
                folder.name,
            )
        return None
    if repeats < 1:
        notes.error(
            "zero_repeats",
            folder,
            f"{repeats} repeats: kohya ignores the folder; expected 1 or more: rename it",
            folder.name,
        )
        return None
    words = folder.name.partition("_")[2]
    if not words:
        notes.warning(
            "no_class_tokens",
            folder,
            f"expected a name like {repeats}_trigger, got no words after the number",
            folder.name,
        )
    subset = Subset(folder, folder.name, repeats, kind, class_tokens=words or None, suffix=suffix)
    return pictures_of(notes, subset)


def suffix_in(folders: Sequence[Path]) -> str:
    """The caption suffix that most files in `folders` have; it is given on the command line."""
    count = {suffix: sum(1 for f in folders for p in sorted_files(f) if p.suffix == suffix) for suffix in _CAPTIONS}
    return max(_CAPTIONS, key=lambda suffix: count[suffix])


# --------------------------------------------------------------------------------------------- one folder of pictures


@dataclass(frozen=True)
class Subset:
    folder: Path
    name: str
    repeats: int
    kind: Kind
    class_tokens: str | None
    suffix: str
    wildcard: bool = False
    prefix: str = ""
    after: str = ""
    masks: Path | None = None

    def fed(self, caption: str) -> str:
        """With what the config puts before and after each caption."""
        caption = f"{self.prefix} {caption}" if self.prefix else caption
        return f"{caption} {self.after}" if self.after else caption


def pictures_of(notes: Notes, subset: Subset) -> LoadedSet:
    files = sorted_files(subset.folder)
    pictures = pictures_in(subset.folder)
    ignored_pictures(notes, files, set(pictures).__contains__, _READS, subset.name)
    for inner in sorted_folders(subset.folder):
        if not is_hidden(inner) and inner != subset.masks:
            ignored_pictures(notes, sorted_files(inner), lambda _: False, "no folder inside this one", subset.name)
    if not pictures:
        notes.error(
            "no_pictures",
            subset.folder,
            f"expected pictures ({_READS}), got none; kohya ignores the folder",
            subset.name,
        )
    masks = _masks_of(subset)
    loaded = tuple(_one_picture(notes, subset, picture, masks.get(picture.stem)) for picture in pictures)
    lonely_captions(notes, files, (subset.suffix,), pictures, subset.name)
    if subset.masks is not None:
        _check_masks(notes, subset, loaded)
    return LoadedSet(subset.name, loaded, subset.repeats, subset.kind, subset.class_tokens)


def _one_picture(notes: Notes, subset: Subset, picture: Path, mask: Path | None) -> LoadedPicture:
    found = kohya_caption(picture, subset.suffix)
    instead = subset.class_tokens or ""
    if found is None:
        words = f"kohya trains it with {instead!r}" if instead else "kohya trains it with an empty prompt"
        missing(notes, picture, subset.suffix, words, subset.name)
        return LoadedPicture(picture, (subset.fed(instead),), mask=mask)
    if found.borrowed:
        notes.error(
            "borrowed_caption",
            picture,
            f"has no caption {picture.stem}{subset.suffix}, so kohya takes {notes.shown(found.path)}, which belongs to another picture: "
            "write its own",
            subset.name,
        )
    captions = caption_from(
        notes, found.path, "alternatives" if subset.wildcard else "first_line", subset.name, not subset.wildcard
    )
    return LoadedPicture(picture, tuple(map(subset.fed, captions)), found.path, mask)


def _masks_of(subset: Subset) -> dict[str, Path]:
    """Stem → mask; of several with one stem the first by name."""
    masks: dict[str, Path] = {}
    for mask in pictures_in(subset.masks) if subset.masks is not None else ():
        masks.setdefault(mask.stem, mask)
    return masks


def _check_masks(notes: Notes, subset: Subset, pictures: Sequence[LoadedPicture]) -> None:
    assert subset.masks is not None
    for picture in pictures:
        if picture.mask is None:
            notes.error(
                "missing_mask",
                picture.path,
                f"has no mask of its name in {notes.shown(subset.masks)}; kohya stops unless each picture has one",
                subset.name,
            )
    used = {picture.mask for picture in pictures}
    for mask in pictures_in(subset.masks):
        if mask not in used:
            notes.error(
                "mask_without_picture", mask, "belongs to no picture; kohya stops at it: remove it", subset.name
            )
