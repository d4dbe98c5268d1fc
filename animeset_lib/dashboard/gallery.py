"""A published film for a person to look through: each character's pictures, what they cover, and captions edited one by one or many at once.

Captions are changed only through `published.captions`, so everything here can be undone, also after the page was closed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from animeset_lib.dashboard.pictures import data_uri, thumbnail
from animeset_lib.errors import InputError
from animeset_lib.media import read_image
from animeset_lib.published import publish
from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.edits import (
    AddTags,
    CaptionedPicture,
    Change,
    Edit,
    RemoveTags,
    ReplacePattern,
    ReplaceTag,
    Selection,
    SetCaption,
    tag_counts,
    tag_key,
    tags_of,
    tidy_caption,
)
from animeset_lib.published.layout import picture_path
from animeset_lib.records import Framing
from animeset_lib.wording import shortened
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = ["EXPRESSIONS", "Gallery", "published_folders"]

_PX = 220
_BIG_PX = 1100
_SHEET_PX = 2400
"""Greatest width of a sheet, which is as wide as the page and scrolled."""
_SHEETS = ("coverage", "subsets")
_SHOWN_CHANGES = 100
"""Changes of a preview that are sent to the page; all are counted and all are made."""
_TAGS = 200
"""Most different tags that are offered as filters."""
_WORDS = 60
"""Longest part of an edit's words, in characters."""
_ASPECTS = ("framing", "outfit", "emotion", "background")
_SHOWN_FIELDS = ("image", "caption", "time_ms", "edited", "problem")
# fmt: off
EXPRESSIONS = (
    "smile", "laughing", "serious", "expressionless", "surprised", "embarrassed", "sad", "crying", "angry", "scared",
)
# fmt: on
"""What a set is better off with, in the order in which a lack is told: the common ones of those that the captions know."""


def published_folders(output: Path) -> list[dict[str, str]]:
    """`{folder, film}` of every published film below `output`, newest first: the folder's name there and the name of the film's file."""
    folders = publish.published_folders(output)
    folders.sort(key=lambda folder: (-_published_at(folder), folder.name))
    return [{"folder": folder.name, "film": _film(folder)} for folder in folders]


class Gallery:
    """One published film. Reads what is on the disk whenever `state` is asked for; holds only what is chosen and a preview that waits."""

    def __init__(self, film_folder: Path) -> None:
        """Opens its captions as `CaptionSet` does."""
        self.folder = film_folder
        self._captions = CaptionSet(film_folder)
        self._selected: str | None = None
        self._counts: dict[str, int] = {}
        self._pending: tuple[str, list[Change], int] | None = None

    def state(self) -> dict[str, Any]:
        """For the page, plain JSON.

        `pictures`, `tags`, `trigger` are the selected character's, `count` of `pending` is the number of captions that were looked at.
        `version` changes when another run has been published in this folder: pictures of the same name are others then.
        """
        everything = self._captions.pictures()
        sets: dict[str, list[CaptionedPicture]] = {}
        for picture in everything:
            sets.setdefault(picture.character, []).append(picture)
        self._counts = {name: len(pictures) for name, pictures in sets.items()}
        if self._selected not in sets:
            self._selected = next(iter(sets), None)
        selected = sets.get(self._selected or "", [])
        trigger, tags = _trigger(selected), tag_counts(picture.caption for picture in selected)
        return {
            "film": _film(self.folder),
            "folder": self.folder.name,
            "zip": f"{self.folder.parent.name}/{self.folder.name}.zip",
            "version": str(_published_at(self.folder)),
            "total": len(everything),
            "characters": [_character(name, pictures) for name, pictures in sets.items()],
            "selected": self._selected,
            "trigger": trigger,
            "pictures": [
                {name: getattr(picture, name) for name in _SHOWN_FIELDS}
                | {aspect: picture.said(aspect) for aspect in _ASPECTS}
                for picture in selected
            ],
            "tags": [[tag, count] for tag, count in tags if tag_key(tag) != tag_key(trigger)][:_TAGS],
            "pending": self._preview_state(),
            "can_undo": self._captions.can_undo,
            "can_redo": self._captions.can_redo,
            "why": "" if sets else _why_empty(self.folder),
        }

    def select(self, character: str) -> None:
        """Show another character; a preview that waits is given up. Raises `InputError` for one that is not there."""
        names = self._counted_characters()
        if character not in names:
            raise InputError(
                f"no character {character!r} in {self.folder.name}; there are {', '.join(names) or 'none'}"
            )
        self._selected = character
        self._pending = None

    def set_caption(self, image: str, text: str) -> str:
        """Write one caption anew; returns it as it is written, tidied. The same caption again is no edit."""
        picture_path(self.folder, image)
        changes = self._captions.plan(SetCaption(image, text))
        if changes:
            self._pending = None
            stem = PurePosixPath(image).stem
            self._captions.apply(changes, f"{stem}: {_difference(changes[0])}")
        return tidy_caption(text)

    def preview(self, kind: str, **asked: Any) -> None:
        """Work out an edit of many captions and keep it for `apply`; nothing is written. `asked` are the other fields of `_Asked`.

        After an `InputError` no preview waits.
        """
        self._pending = None
        try:
            wanted = _Asked(kind=kind, **asked)  # type: ignore[arg-type]  # that is what it checks
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise InputError(f"{field} of an edit: {first['msg']}; got {str(first['input'])[:40]!r}") from error
        where = self._where(wanted)
        edit, words = _edit(wanted, where)
        looked_at = len(set(where.images)) if where.images is not None else self._count(where.character)
        self._pending = words, self._captions.plan(edit), looked_at

    def apply(self) -> None:
        """Make the edit of the preview. Raises `InputError` when none waits, or a caption has been changed meanwhile; then it still waits."""
        if self._pending is None:
            raise InputError("no preview waits to be applied; make one first")
        words, changes, _ = self._pending
        self._captions.apply(changes, f"{words} ({len(changes)})")
        self._pending = None

    def discard(self) -> None:
        """Give the preview up."""
        self._pending = None

    def undo(self) -> str:
        """Take the last edit back, from whichever session it is; returns its words."""
        self._pending = None
        return self._captions.undo().words

    def redo(self) -> str:
        """Make the last edit that was taken back again; returns its words."""
        self._pending = None
        return self._captions.redo().words

    def pictures(self, images: Iterable[str]) -> dict[str, str]:
        """Image → small picture as a `data:` address; empty for one that is gone or cannot be read. About 10 ms each, the first time."""
        return {image: thumbnail(picture_path(self.folder, image), _PX) for image in images}

    def big(self, image: str) -> dict[str, Any]:
        """`{image, src, width, height}`: a large picture, empty like the small ones, and its size in pixels as it is in the set."""
        path = picture_path(self.folder, image)
        try:
            picture = read_image(path)
        except InputError:
            return {"image": image, "src": "", "width": 0, "height": 0}
        height, width = picture.shape[:2]
        return {"image": image, "src": data_uri(picture, _BIG_PX), "width": width, "height": height}

    def sheet(self, name: str) -> dict[str, str]:
        """`{name, character, src}`: the selected character's coverage or sub-sets sheet as a `data:` address, empty where it cannot be read."""
        if name not in _SHEETS:
            raise InputError(f"a sheet is one of {', '.join(_SHEETS)}; got {str(name)[:40]!r}")
        character = self._chosen() or ""
        try:
            picture = read_image(self.folder / character / f"{name}.png")
            height, width = picture.shape[:2]
            # a sheet of many pictures is several times as high as wide; made to fit by its height, nobody could read it
            src = data_uri(picture, round(_SHEET_PX * max(1.0, height / width)))
        except InputError:
            src = ""
        return {"name": name, "character": character, "src": src}

    def _where(self, wanted: _Asked) -> Selection:
        if wanted.images is None:
            return Selection(character=None if wanted.scope == "all" else self._chosen())
        for image in wanted.images:
            picture_path(self.folder, image)
        if not wanted.images:
            raise InputError("no picture is shown, so there is no caption to edit; change the filter first")
        return Selection(images=tuple(wanted.images))

    def _chosen(self) -> str | None:
        """The selected character, else the first."""
        if self._selected is None:
            self._selected = next(iter(self._counted_characters()), None)
        return self._selected

    def _count(self, character: str | None) -> int:
        """Captions of one character, or of all."""
        counts = self._counted_characters()
        return sum(counts.values()) if character is None else counts.get(character, 0)

    def _counted_characters(self) -> dict[str, int]:
        """Pictures of each character, as the page was last told: reading all captions of a long film takes a fifth of a second."""
        if not self._counts:
            self._counts = dict(Counter(picture.character for picture in self._captions.pictures()))
        return self._counts

    def _preview_state(self) -> dict[str, Any] | None:
        if self._pending is None:
            return None
        words, changes, count = self._pending
        shown = [{"image": one.image, "before": one.before, "after": one.after} for one in changes[:_SHOWN_CHANGES]]
        return {"words": words, "changes": shown, "total": len(changes), "count": count}


class _Asked(BaseModel):
    """An edit of many captions, as a page asks for it."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["add", "remove", "replace", "pattern"]
    """`add` and `remove` take `tags`, `add` also `place`; `replace` takes `old` and `new`, `pattern` takes `pattern` and `replacement`."""
    tags: str = ""
    place: Literal["after_trigger", "end"] = "after_trigger"
    old: str = ""
    new: str = ""
    pattern: str = ""
    replacement: str = ""
    images: list[Any] | None = None
    """Only these; without them all of the selected character's, or of everyone's, as `scope` says."""
    scope: Literal["character", "all"] = "character"


def _edit(wanted: _Asked, where: Selection) -> tuple[Edit, str]:
    """The edit and words for it that need no translation, for they stay in the history."""
    tags, old, new = (shortened(", ".join(tags_of(text)), _WORDS) for text in (wanted.tags, wanted.old, wanted.new))
    if wanted.kind == "add":
        return AddTags(wanted.tags, wanted.place, where), f"+ {tags}"
    if wanted.kind == "remove":
        return RemoveTags(wanted.tags, where), f"− {tags}"
    if wanted.kind == "replace":
        return ReplaceTag(wanted.old, wanted.new, where), f"{old} → {new}"
    if not wanted.pattern:
        raise InputError("there is no pattern to look for; type a regular expression")
    words = f"/{shortened(wanted.pattern, _WORDS)}/ → {shortened(wanted.replacement, _WORDS) or '∅'}"
    return ReplacePattern(wanted.pattern, wanted.replacement, where), words


def _difference(change: Change) -> str:
    """`+ smile`, `− hat`, both, or the new order in short."""
    before, after = tags_of(change.before), tags_of(change.after)
    gone = [tag for tag in before if tag not in after]
    come = [tag for tag in after if tag not in before]
    parts = [f"− {', '.join(gone)}"] if gone else []
    parts += [f"+ {', '.join(come)}"] if come else []
    return shortened(" ".join(parts) or change.after, _WORDS)


def _character(name: str, pictures: Sequence[CaptionedPicture]) -> dict[str, Any]:
    coverage = {aspect: _counted(picture.said(aspect) for picture in pictures) for aspect in _ASPECTS}
    missing: dict[str, list[str]] = {}
    for aspect, values in {"framing": get_args(Framing), "emotion": EXPRESSIONS}.items():
        found = {value for value, _ in coverage[aspect]}
        # where nothing is known at all, nothing can be said to be missing
        missing[aspect] = [] if found <= {UNKNOWN} else [value for value in values if value not in found]
    return {
        "name": name,
        "count": len(pictures),
        "edited": sum(picture.edited for picture in pictures),
        "problems": sum(bool(picture.problem) for picture in pictures),
        "cover": pictures[0].image,
        "coverage": coverage,
        "missing": missing,
    }


def _counted(values: Iterable[str]) -> list[list[Any]]:
    """`[value, count]`, most frequent first, what is unknown last."""
    ranked = sorted(Counter(values).items(), key=lambda pair: (pair[0] == UNKNOWN, -pair[1], pair[0]))
    return [[value, count] for value, count in ranked]


def _trigger(pictures: Sequence[CaptionedPicture]) -> str:
    """The most frequent first tag; empty when there is no caption."""
    first = Counter(tags[0] for picture in pictures if (tags := tags_of(picture.caption)))
    return first.most_common(1)[0][0] if first else ""


def _film(folder: Path) -> str:
    """The name of the film's file, whichever system it was read on."""
    source = str(publish.read_manifest(folder).get("source", ""))
    return PurePosixPath(source.replace("\\", "/")).name or folder.name


def _published_at(folder: Path) -> int:
    try:
        return (folder / publish.MANIFEST).stat().st_mtime_ns
    except OSError:
        return 0


def _why_empty(folder: Path) -> str:
    """What the film's README says about why there is no character; empty when it does not."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    found = re.search(r"^\*\*No character set.*?\n\n+(.+?)\s*(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1].replace("`", "") if found else ""
