"""How EveryDream2trainer reads a folder and all below it.

Facts: data/dataset.py, data/image_train_item.py and utils/fs_helpers.py of victorchall/EveryDream2trainer (2025-05).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, ignored_pictures, lonely_captions, missing
from animeset_lib.export.loaded import (
    Kind,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    parsed,
    sorted_files,
    stem_path,
    walked,
)

__all__ = ["load_everydream"]

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".jfif"})
_READS = ", ".join(sorted(_SUFFIXES))
_CAPTIONS = (".txt", ".caption", ".yml", ".yaml")
"""All that exist are read and put together."""
_NUMBERS = frozenset({"multiply.txt", "cond_dropout.txt", "flip_p.txt", "loss_scale.txt"})
_NOT_CAPTIONS = frozenset({*_NUMBERS, "shuffle_tags.txt", "batch_id.txt"})


@dataclass(frozen=True)
class _Words:
    """A caption in parts; `main` comes first and is never shuffled."""

    main: str = ""
    tags: tuple[str, ...] = ()

    def joined(self) -> str:
        return ", ".join((self.main, *self.tags)) if self.tags else self.main


def load_everydream(path: Path, root: Path) -> Loaded:
    """`data_root` and what is below it, a set per folder; where `path` has folders `train` and `validation`, these are two roots."""
    notes = Notes(root)
    roots: list[tuple[Path, Kind]] = [(path, "train")]
    if (path / "train").is_dir():
        roots = [(path / "train", "train"), (path / "validation", "validation")]
    sets: list[LoadedSet] = []
    for folder, kind in roots:
        shared: dict[Path, tuple[str, ...]] = {}
        for inner in walked(folder) if folder.is_dir() else ():
            shared[inner] = _visit(notes, inner, folder, kind, shared.get(inner.parent, ()), sets)
    if not sets:
        notes.error("no_pictures", path, f"expected pictures ({_READS}), got none")
    return Loaded(
        "everydream", path, tuple(sets), tuple(notes.findings), note=f"data_root = {notes.shown(roots[0][0])}"
    )


def _visit(
    notes: Notes, folder: Path, top: Path, kind: Kind, shared: tuple[str, ...], sets: list[LoadedSet]
) -> tuple[str, ...]:
    """One folder; returns the tags that it and those above it give to all folders in it."""
    name = folder.relative_to(top.parent).as_posix()
    files = [path for path in sorted_files(folder) if not is_hidden(path)]
    shared += _yaml(notes, folder, "global", name)[0].tags
    local, factor = _yaml(notes, folder, "local", name)
    pictures = [path for path in files if path.suffix.lower() in _SUFFIXES]
    ignored_pictures(notes, sorted_files(folder), set(pictures).__contains__, _READS, name)
    if (folder / "multiply.txt").is_file():
        factor = _multiply(notes, folder / "multiply.txt", name)
    if pictures:
        loaded = tuple(_picture(notes, picture, shared + local.tags, name) for picture in pictures)
        role: Kind = "regularisation" if folder.name.lower() in ("regularisation", "regularization", "reg") else kind
        sets.append(LoadedSet(name, loaded, factor, role))
        captions = [path for path in files if path.name not in _NOT_CAPTIONS]
        lonely_captions(notes, captions, (".txt", ".caption"), pictures, name)
    return shared


def _multiply(notes: Notes, path: Path, name: str) -> float:
    text = (notes.text(path, name) or "").strip()
    try:
        value = float(text)
    except ValueError:
        notes.error(
            "wrong_type", path, f"expected one number such as 2 or 0.5, got {text[:40]!r}; EveryDream takes 1", name
        )
        return 1.0
    if value == 0:
        notes.error(
            "zero_repeats",
            path,
            "0 counts as 1 here; expected a number above 0: to leave the folder out, move it away",
            name,
        )
    elif value < 0:
        notes.error("zero_repeats", path, f"expected a number above 0, got {text}", name)
    return value or 1.0


def _yaml(notes: Notes, folder: Path, stem: str, name: str) -> tuple[_Words, float]:
    """Words and `multiply` that `<stem>.yaml` (or .yml) in `folder` gives its pictures."""
    for path in (folder / f"{stem}.yaml", folder / f"{stem}.yml"):
        if path.is_file():
            values = _table(notes, path, name)
            multiply = values.get("multiply")
            return _words(values), float(multiply) if isinstance(multiply, int | float) and multiply else 1.0
    return _Words(), 1.0


def _table(notes: Notes, path: Path, name: str) -> dict[str, Any]:
    try:
        values = parsed(notes.text(path, name) or "", "yaml")
    except ValueError as problem:
        notes.error(
            "not_parsed", path, f"expected YAML, got text that is none ({' '.join(str(problem).split())})", name
        )
        return {}
    return values if isinstance(values, dict) else {}


def _words(values: dict[str, Any]) -> _Words:
    main = values.get("main_prompt")
    tags = values.get("tags")
    named = [one.get("tag") if isinstance(one, dict) else one for one in (tags if isinstance(tags, list) else [])]
    return _Words(main if isinstance(main, str) else "", tuple(str(one) for one in named if one))


def _picture(notes: Notes, picture: Path, shared: Sequence[str], name: str) -> LoadedPicture:
    parts: list[_Words] = []
    source = None
    for suffix in _CAPTIONS:
        path = Path(stem_path(picture) + suffix)
        if not path.is_file():
            continue
        source = source or path
        if suffix in (".txt", ".caption"):
            (text,) = caption_from(notes, path, "whole", name)
            main, *tags = [part.strip() for part in text.split(",")]
            parts.append(_Words(main, tuple(tags)))
        else:
            parts.append(_words(_table(notes, path, name)))
    main = next((one.main for one in parts if one.main), "")
    if not main:
        main = picture.stem.split("_")[0]
        if source is None:
            missing(notes, picture, ".txt", f"EveryDream trains it with {main!r}, from its file name", name)
    each_once = dict.fromkeys([*(tag for one in parts for tag in one.tags), *shared])
    return LoadedPicture(picture, (_Words(main, tuple(each_once)).joined(),), source)
