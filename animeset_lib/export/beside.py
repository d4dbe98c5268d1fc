"""Captions in files beside their pictures: what each trainer makes of such a file, and which files nobody reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from animeset_lib.export.files import ANY_PICTURE, is_hidden, stem_path
from animeset_lib.export.notes import Notes
from animeset_lib.export.texts import lines_of

__all__ = [
    "Manner",
    "caption_from",
    "ignored_pictures",
    "kohya_caption",
    "lonely_captions",
    "missing",
    "taken_pictures",
]

Manner = Literal["first_line", "alternatives", "whole"]
"""How a trainer reads a caption file: its first line only, one line at random each time, or all of it as one prompt."""

_MULTI_LINE = {
    "first_line": "{n} lines, of which only the first is read; expected exactly one line: join them with commas",
    "alternatives": "{n} lines, each of which is a prompt of its own, one drawn at random; expected one line: join them with commas",
    "whole": "{n} lines, whose line breaks become a part of the prompt; expected exactly one line: join them with commas",
}


def caption_from(notes: Notes, path: Path, manner: Manner) -> tuple[str, ...]:
    """The prompts in the caption file `path`, at least one, `("",)` where there is nothing to learn from.

    More than one line is an error, a warning where each is a prompt.
    """
    text = notes.text(path)
    if text is None:
        return ("",)
    lines = lines_of(text)
    filled = [line.strip() for line in lines if line.strip()]
    if not filled:
        words = "is empty; expected one line of tags with the trigger first (kohya stops at an empty file): write one or run the export again"
        notes.error("empty_caption", path, words)
        return ("",)
    if manner == "first_line" and not lines[0].strip():
        notes.error("empty_caption", path, "its first line is empty, and only that one is read; move the text up")
        return ("",)
    if len(filled) > 1:
        say = notes.warning if manner == "alternatives" else notes.error
        say("multi_line_caption", path, _MULTI_LINE[manner].format(n=len(filled)))
    if manner == "first_line":
        return (lines[0].strip(),)
    return tuple(filled) if manner == "alternatives" else (text,)


def missing(notes: Notes, picture: Path, suffix: str, instead: str) -> None:
    """Says that `picture` has no caption file with this suffix, what the trainer takes instead, and what lies there under another name."""
    near = sorted(
        other.name
        for other in picture.parent.iterdir()
        if other.stem.casefold() == picture.stem.casefold()
        and other.suffix.lower() in (".txt", ".caption", suffix.lower())
    )
    hint = f" (there is {near[0]}, which is another name to it)" if near else ""
    words = f"has no caption {picture.stem}{suffix}{hint}; {instead}: write it or take the picture out"
    notes.error("missing_caption", picture, words)


def taken_pictures(
    notes: Notes, folder: Path, files: Sequence[Path], taken: Callable[[Path], bool], reads: str, then: str = ""
) -> list[Path]:
    """Those of the `files` in `folder` that the trainer takes. Says what else there is, and `then`, what it does where there are none."""
    pictures = [path for path in files if taken(path)]
    ignored_pictures(notes, files, set(pictures).__contains__, reads)
    if not pictures:
        notes.error("no_pictures", folder, f"expected pictures ({reads}), got none{then}")
    return pictures


def ignored_pictures(notes: Notes, files: Iterable[Path], taken: Callable[[Path], bool], reads: str) -> None:
    """Says which of `files` are pictures that the trainer does not take; `reads` is what it takes, in words."""
    for path in files:
        if path.suffix.lower() not in ANY_PICTURE or taken(path):
            continue
        if is_hidden(path):
            notes.warning("hidden_picture", path, "is hidden (its name begins with a dot), so it is not trained")
        else:
            words = f"is not trained: this trainer reads {reads}; save it as .png or take it out"
            notes.error("ignored_picture", path, words)


def lonely_captions(notes: Notes, files: Iterable[Path], suffix: str, pictures: Iterable[Path]) -> None:
    """Says which caption files have no picture beside them."""
    stems = {stem_path(picture) for picture in pictures}
    for path in files:
        if path.suffix.lower() == suffix and not is_hidden(path) and stem_path(path) not in stems:
            words = "belongs to no picture: expected one of the same name; was the picture renamed or removed?"
            notes.warning("caption_without_picture", path, words)


def kohya_caption(notes: Notes, picture: Path, suffix: str) -> Path | None:
    """The caption file that kohya finds for `picture`; says when it is another picture's.

    Without one of its own it tries the path less its last four parts between underscores, meant for crops of faces named
    `photo_<x>_<y>_<w>_<h>`. The whole path is cut, so underscores of folder names count as well.
    Source: kohya-ss/sd-scripts, library/train_util.py, DreamBoothDataset (2026-02).
    """
    base = stem_path(picture)
    if os.path.isfile(base + suffix):
        return Path(base + suffix)
    parts = base.split("_")
    shorter = "_".join(parts[:-4]) + suffix
    if len(parts) < 5 or not os.path.isfile(shorter):
        return None
    taken = f"so kohya takes {notes.shown(Path(shorter))}, which belongs to another picture: write its own"
    notes.error("borrowed_caption", picture, f"has no caption {picture.stem}{suffix}, {taken}")
    return Path(shorter)
