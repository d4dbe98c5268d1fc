"""Captions of a published film folder: read, edited with a preview first, undone.

Every caption is one non-empty line of tags, separated by `, `; its first tag is the trigger word. After any edit a caption has no tabs, line breaks
or other control characters, no empty tag and no tag twice. Tags are compared as people read them: underscores are spaces, upper and lower case
are equal (`Long hair` is `long_hair`). They are written the way they were typed.

What an edit touches: the pictures' `.txt` files, and `text` of their rows in `metadata.jsonl`, which is always what the `.txt` says from then on,
with `caption_by` (`machine` or `hand`) and, where a person wrote it, `machine_text`, the caption that the program would give.
(Its line is then written as Python's `json` writes it, which is how it was published.)
`tags` and `tag_scores` stay, for they are about the picture. `animeset.json` stays too: its hash of a caption as the program made it is how
`CaptionedPicture.edited` and the next run know that somebody has edited it. A caption that was edited and undone is byte for byte what it was.

`caption_edits.jsonl` in the film folder is the history; lines are only ever added. An `edit` line holds every file's whole text before and after;
an `undo` or `redo` line names the edit it is about. Each is on the disk before the first file changes and is followed by a `finished` line after
the last one. So an edit that was killed in between is known by its missing `finished`, and is completed when the captions are next opened:
files that still say what they said before get the new text, and files that somebody has changed by hand since are left alone.
One process at a time writes (`published.publish.hold_folder`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.published.publish import EDITS, MANIFEST, hold_folder, put_text, read_manifest
from animeset_lib.run.store import full_disk_as, write_text
from animeset_lib.settings import CaptionSettings
from animeset_lib.system import sync
from animeset_lib.words.line import trigger_in, write_caption
from animeset_lib.words.spelling import same_word
from animeset_lib.words.trait_choices import TraitChoices
from animeset_lib.words.traits import core_of, left_out, table_of

__all__ = [
    "ALL",
    "AddTags",
    "CaptionSet",
    "CaptionedPicture",
    "Change",
    "Edit",
    "EditEntry",
    "Recaption",
    "RemoveTags",
    "ReplacePattern",
    "ReplaceTag",
    "RestoreCaptions",
    "Selection",
    "SetCaption",
    "TidyCaptions",
    "difference",
    "tag_key",
    "tags_of",
    "tidy_caption",
]

_PICTURES = {".png", ".webp", ".jpg", ".jpeg"}
_IMAGE = re.compile(r"(?!\.)[^/\\:]+/dataset/images/[^/\\:]+")
_UNKNOWN = "unknown"
_PATTERN_SECONDS = 5.0
"""Most time one preview may spend in a regular expression. Python's can take years on a line of thirty letters (`(a+)+$`) and cannot be
stopped inside a process, so it runs in one of its own; starting that takes some 20 ms."""
_SUBSTITUTE = (
    "import json, re, sys; pattern, replacement, captions = json.load(sys.stdin); pattern = re.compile(pattern); "
    "json.dump([pattern.sub(replacement, caption) for caption in captions], sys.stdout)"
)
_NAMED = 3
"""Files named in a message; the rest is counted."""


@dataclass(frozen=True)
class CaptionedPicture:
    """One picture of a published set with its caption as it is on the disk now."""

    character: str
    image: str
    """Path relative to the film folder, with `/`: `hero/dataset/images/hero_0001.png`."""
    caption: str
    """What the `.txt` says, without the line break at its end; empty when there is none. Bytes that are not UTF-8 are shown as `�`."""
    outfit: str
    emotion: str
    background: str
    framing: str
    """These four are `unknown` where `metadata.jsonl` does not say."""
    time_ms: int | None
    edited: bool
    """Whether the `.txt` is another than the program made (by the hash in `animeset.json`), whoever changed, added or deleted it, and when: also
    before the last run, which kept it."""
    problem: str = ""
    """What is wrong with its files, in words: no caption, not UTF-8, more than one line, no row in metadata.jsonl. Any edit mends the caption."""
    machine_text: str | None = None
    """The caption that the program made, None where metadata.jsonl does not say it any more."""


@dataclass(frozen=True)
class Selection:
    """Which pictures an edit is about: these images, or one character's, or (neither given) all of the film.

    Of those, with tags (several are separated by commas) only the pictures whose captions have all of `with_tags` and none of `without_tags`.
    """

    images: tuple[str, ...] | None = None
    character: str | None = None
    with_tags: str = ""
    without_tags: str = ""


ALL = Selection()
NO_CHOICES = TraitChoices()


@dataclass(frozen=True)
class SetCaption:
    """One picture's whole caption. The only edit, with the two replacing ones, that may give it another trigger word."""

    image: str
    text: str


@dataclass(frozen=True)
class AddTags:
    """Adds tags (several are separated by commas) that a caption does not have yet, in the order given.

    A picture without a caption gets its character's trigger word first.
    """

    tags: str
    place: Literal["after_trigger", "end"] = "after_trigger"
    where: Selection = ALL


@dataclass(frozen=True)
class RemoveTags:
    """Removes tags (several are separated by commas). Refused when one of them is the first tag of a caption, or the trigger word that the
    character's traits.json names: a template may put other words before it."""

    tags: str
    where: Selection = ALL


@dataclass(frozen=True)
class ReplaceTag:
    """Puts another tag (or several, separated by commas) where `old` stands; also the trigger word, which is how it is renamed everywhere."""

    old: str
    new: str
    where: Selection = ALL


@dataclass(frozen=True)
class ReplacePattern:
    r"""Replaces every match of a regular expression (Python's, case-sensitive unless it begins with `(?i)`) in the whole caption line.

    `replacement` may name groups (`\1`, `\g<name>`). Refused when the first tag would go, and when it takes longer than five seconds.
    """

    pattern: str
    replacement: str
    where: Selection = ALL


@dataclass(frozen=True)
class TidyCaptions:
    """Nothing but the rules of a caption: one line, no empty tag, no tag twice. For captions that were written elsewhere."""

    where: Selection = ALL


@dataclass(frozen=True)
class RestoreCaptions:
    """The program's own captions again, as if nobody had edited them. Refused for an edited one whose `machine_text` is not known."""

    where: Selection = ALL


@dataclass(frozen=True)
class Recaption:
    """Captions written anew from the pictures' `tags`, with other settings than the run's: template, trigger, style, underscores, which traits.

    core             character → its core traits, as `CaptionSet.core_traits` gives them; what is core was measured by the run
    choices          what a person wants of single characters (`words.trait_choices.load_choices`); it comes before `settings.core_traits`
    include_edited   also captions that a person wrote; without it those stay, and only the program's (or an earlier Recaption's) become others
    """

    settings: CaptionSettings
    core: Mapping[str, Collection[str]]
    choices: TraitChoices = NO_CHOICES
    include_edited: bool = False
    where: Selection = ALL


Edit = SetCaption | AddTags | RemoveTags | ReplaceTag | ReplacePattern | TidyCaptions | RestoreCaptions | Recaption


@dataclass(frozen=True)
class Change:
    """One caption of a preview. `before` and `after` are as `CaptionedPicture.caption`, `after` keeps the rules of a caption."""

    image: str
    before: str
    after: str
    recaption: bool = False
    """Whether `after` was written by `Recaption`, so that another one may write over it."""


@dataclass(frozen=True)
class EditEntry:
    """One edit of the history."""

    number: int
    time: str
    """UTC, ISO 8601, to the second."""
    words: str
    changes: tuple[Change, ...]
    undone: bool = False


def tags_of(text: str) -> list[str]:
    """The tags of a caption in their order, cleaned of white space and control characters; empty ones are left out, twice is kept."""
    tags = []
    for part in ",".join(text.splitlines()).split(","):
        printable = "".join(c for c in part if c.isspace() or unicodedata.category(c)[0] != "C")
        tag = " ".join(printable.split())
        if tag_key(tag):
            tags.append(tag)
    return tags


def tag_key(tag: str) -> str:
    """Equal for tags that are the same to a reader; empty for what is no tag."""
    return same_word(tag)


def tidy_caption(text: str) -> str:
    """`text` as a caption: one line, tags separated by `, `, each once (the first stays); empty when there is no tag in it."""
    return _joined(tags_of(text))


def difference(before: str, after: str) -> list[tuple[Literal["same", "gone", "new"], str]]:
    """What became of a caption, tag by tag, in reading order: tags that stay, that went and that came. For showing a `Change`."""
    old, new = tags_of(before), tags_of(after)
    parts: list[tuple[Literal["same", "gone", "new"], str]] = []
    for kind, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for tag in old[old_from:old_to]:
            parts.append(("same" if kind == "equal" else "gone", tag))
        for tag in new[new_from:new_to] if kind != "equal" else ():
            parts.append(("new", tag))
    return parts


def _joined(tags: Iterable[str]) -> str:
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(tag_key(tag), tag)
    return ", ".join(first.values())


@dataclass(frozen=True)
class _File:
    """One caption file of a journal line: its whole text before and after, None where it did not exist."""

    image: str
    before: str | None
    after: str | None
    row_before: str | None
    """`text` in `metadata.jsonl`, None where it has none. The same as `before` to a reader, unless somebody edited the caption by hand."""
    row_after: str | None
    recaption: bool = False

    @property
    def reversed(self) -> _File:
        return _File(self.image, self.after, self.before, self.row_after, self.row_before)

    def as_json(self) -> dict[str, str | bool | None]:
        extra: dict[str, str | bool | None] = {}
        if self.row_before != shown(self.before):
            extra["text_before"] = self.row_before
        if self.recaption:
            extra["recaption"] = True
        return {"image": self.image, "before": self.before, "after": self.after, **extra}


@dataclass(frozen=True)
class _Line:
    """An `edit` line of the journal."""

    number: int
    time: str
    words: str
    files: tuple[_File, ...]


@dataclass
class _History:
    """The journal, replayed."""

    edits: list[_Line]
    done: list[_Line]
    undone: list[_Line]
    last_number: int = 0
    pending: tuple[int, tuple[_File, ...]] | None = None
    """Number and files of the last line, when it has no `finished`."""


class CaptionSet:
    """The captions of one published film folder. Holds nothing but the path: every call reads what is on the disk now.

    Opening completes an edit that was interrupted. Raises `InputError` when the folder is no published film.
    """

    def __init__(self, film_folder: Path, *, complete: bool = True) -> None:
        """Without `complete` opening changes nothing: for who only reads, or holds the folder's lock and calls `complete_held`."""
        self.folder = film_folder
        if "film" not in read_manifest(film_folder):
            found = "no such folder" if not film_folder.is_dir() else f"a folder without a readable {MANIFEST}"
            raise InputError(
                f"{film_folder} is no published film: expected a folder below output/ as a run leaves it, with {MANIFEST} in it; "
                f"got {found}. Choose such a folder, or run the film first"
            )
        self._read_journal: tuple[tuple[int, int, int], _History] | None = None
        if complete and self._history().pending is not None:
            with hold_folder(self.folder):
                self._complete()

    def pictures(self) -> list[CaptionedPicture]:
        """All pictures of all characters, by character and file name. A folder without characters gives none."""
        hashes = machine_hashes(read_manifest(self.folder))
        found = []
        for character, images in self._images().items():
            rows = self._metadata(character)
            for image in images:
                raw = self._raw(image)
                row = rows.get(image, {})
                time_ms = row.get("time_ms")
                made = hashes.get(caption_path(image))
                found.append(
                    CaptionedPicture(
                        character=character,
                        image=image,
                        caption=shown(raw),
                        outfit=_word(row, "outfit"),
                        emotion=_word(row, "emotion"),
                        background=_word(row, "background"),
                        framing=_word(row, "framing"),
                        time_ms=time_ms if isinstance(time_ms, int) else None,
                        edited=_digest(raw) != made or row.get("caption_by") == "hand",
                        problem=_problem(raw, image in rows),
                        machine_text=machine_text(row, made),
                    )
                )
        return found

    def select(self, where: Selection) -> list[CaptionedPicture]:
        """The pictures of a selection in the order of `pictures`, one per caption file. Raises `InputError` when it names what is not there."""
        pictures = everything = self.pictures()
        if where.images is not None:
            unknown = sorted(set(where.images) - {picture.image for picture in pictures})
            if unknown:
                raise InputError(
                    f"no such picture in {self.folder.name}: {_names(unknown)}; expected paths such as `hero/dataset/images/hero_0001.png`"
                )
            pictures = [picture for picture in pictures if picture.image in set(where.images)]
        if where.character is not None:
            characters = {picture.character for picture in everything}
            if where.character not in characters:
                raise InputError(
                    f"no character {where.character} in {self.folder.name}; there are {', '.join(sorted(characters)) or 'none'}"
                )
            pictures = [picture for picture in pictures if picture.character == where.character]
        wanted, unwanted = ({tag_key(tag) for tag in tags_of(text)} for text in (where.with_tags, where.without_tags))
        if wanted or unwanted:
            have = {picture.image: {tag_key(tag) for tag in tags_of(picture.caption)} for picture in pictures}
            pictures = [p for p in pictures if wanted <= have[p.image] and not unwanted & have[p.image]]
        return list({caption_path(p.image): p for p in reversed(pictures)}.values())[::-1]

    def written_by_hand(self, where: Selection = ALL) -> list[CaptionedPicture]:
        """Those that `Recaption` leaves as they are: edited, and by no `Recaption`."""
        ours = self.recaptioned()
        return [p for p in self.select(where) if p.edited and (caption_path(p.image), self._raw(p.image)) not in ours]

    def plan(self, edit: Edit) -> list[Change]:
        """What an edit would change: only the captions that become others, in the order of `pictures`. Nothing is written.

        A caption on which the edit has no effect stays as it is, untidy or not. Two pictures that share one caption file (`a.png` beside `a.jpg`)
        are one change. Raises `InputError` when the selection names what is not there, when the edit itself makes no sense, when it would
        leave a caption empty, or when it would take away a first tag and is not allowed to.
        """
        selected = self.select(Selection(images=(edit.image,)) if isinstance(edit, SetCaption) else edit.where)
        after = self._edited(edit, selected)
        changes = [
            Change(picture.image, picture.caption, new, isinstance(edit, Recaption))
            for picture, new in zip(selected, after, strict=True)
            if new != picture.caption
        ]
        emptied = [change.image for change in changes if not change.after]
        if emptied:
            raise InputError(
                f"this would leave no caption for {_names(emptied)}; a caption needs at least one tag, its trigger word"
            )
        return changes

    def apply(self, changes: Sequence[Change], words: str) -> EditEntry:
        """Make the changes of a preview (all or some) as one edit; `words` says what it was, for the history and the undo button.

        Nothing is written when a caption is no longer `before`, a picture is not there any more, or an `after` breaks the rules of a caption
        (`InputError`), or when another process is writing (`BusyError`). When the disk fills up on the way (`SpaceError`), the rest
        follows the next time the captions are opened or edited.
        """
        if not changes:
            raise InputError("nothing to change: the preview holds no caption that would become another")
        broken = [change.image for change in changes if not change.after or tidy_caption(change.after) != change.after]
        if broken:
            raise InputError(
                f"the new caption of {_names(broken)} is no caption: expected one line of tags separated by `, `, each once; make the preview anew"
            )
        with hold_folder(self.folder):
            self._complete()
            known = {image for images in self._images().values() for image in images}
            gone = [change.image for change in changes if change.image not in known]
            if gone:
                raise InputError(f"no such picture in {self.folder.name}: {_names(gone)}; make the preview anew")
            paths = [caption_path(change.image) for change in changes]
            if len(set(paths)) < len(paths):
                raise InputError("two changes are about the same caption file; make them one after the other")
            raws = [self._raw(change.image) for change in changes]
            stale = [change.image for change, raw in zip(changes, raws, strict=True) if shown(raw) != change.before]
            if stale:
                raise InputError(
                    f"the caption of {_names(stale)} was changed since this preview was made (in another window or by hand); "
                    "nothing was written. Look at the new caption and make the preview anew"
                )
            rows = self._rows()
            files = tuple(
                _File(
                    change.image,
                    raw,
                    change.after + "\n",
                    _row_text(rows.get(change.image, {})),
                    change.after,
                    change.recaption,
                )
                for change, raw in zip(changes, raws, strict=True)
            )
            number = self._history().last_number + 1
            line = {
                "number": number,
                "kind": "edit",
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "words": words,
                "changes": [file.as_json() for file in files],
            }
            self._make(line, files)
            return EditEntry(number, str(line["time"]), words, tuple(changes))

    @property
    def can_undo(self) -> str | None:
        """The words of the edit that `undo` would take back, or None."""
        done = self._history().done
        return done[-1].words if done else None

    @property
    def can_redo(self) -> str | None:
        """The words of the edit that `redo` would make again, or None. A new edit ends what can be made again."""
        undone = self._history().undone
        return undone[-1].words if undone else None

    def history(self) -> list[EditEntry]:
        """All edits ever made, oldest first, also those that were undone."""
        history = self._history()
        done = {line.number for line in history.done}
        return [_entry(line, undone=line.number not in done) for line in history.edits]

    def undo(self) -> EditEntry:
        """Take the last edit back, byte for byte; returns it. Raises `InputError` when there is none or a file was changed since."""
        return self._turn("undo")

    def redo(self) -> EditEntry:
        """Make the edit that was undone last again; returns it. Raises `InputError` when there is none or a file was changed since."""
        return self._turn("redo")

    def _turn(self, kind: Literal["undo", "redo"]) -> EditEntry:
        with hold_folder(self.folder):
            self._complete()
            history = self._history()
            stack = history.done if kind == "undo" else history.undone
            if not stack:
                raise InputError(f"there is no caption edit to {kind}")
            line = stack[-1]
            files = tuple(file.reversed for file in line.files) if kind == "undo" else line.files
            changed = [file.image for file in files if self._raw(file.image) != file.before]
            if changed:
                left = "left behind" if kind == "undo" else "began with"
                raise InputError(
                    f"cannot {kind} “{line.words}”: {_names([caption_path(image) for image in changed])} no longer says what that edit {left}, "
                    "somebody has changed it since; nothing was written. Set this caption by hand instead"
                )
            number = history.last_number + 1
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._make({"number": number, "kind": kind, "time": now, "words": line.words, "edit": line.number}, files)
            return _entry(line, undone=kind == "undo")

    def triggers(self) -> dict[str, str]:
        """Character → its trigger word, of those that have a caption."""
        captions: dict[str, list[list[str]]] = {}
        for picture in self.pictures():
            captions.setdefault(picture.character, []).append(tags_of(picture.caption))
        told = dict(self._traits())
        found = {name: trigger_in(tags, told.get(name)) for name, tags in captions.items()}
        return {name: trigger for name, trigger in found.items() if trigger}

    def core_traits(self) -> dict[str, list[str]]:
        """Character → its core traits, from the `traits.json` of those that have one that can be read."""
        found = {}
        for character, traits in self._traits():
            try:
                found[character] = core_of(table_of(traits))
            except (KeyError, TypeError):
                continue
        return found

    def _traits(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Character and what its traits.json holds, where that can be read."""
        for path in sorted(self.folder.glob("*/traits.json")):
            try:
                yield path.parent.name, json_object(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue

    # What `hand_captions` asks

    def recaptioned(self) -> set[tuple[str, str | None]]:
        """Caption files with the whole texts that `Recaption` has ever given them."""
        files = (file for line in self._history().edits for file in line.files if file.recaption)
        return {(caption_path(file.image), file.after) for file in files}

    def complete_held(self) -> None:
        """Finish an edit that was interrupted, for a caller that holds the folder's lock."""
        self._complete()

    def journal_images(self) -> set[str]:
        """All pictures that the history names; empty when there is nothing to undo or redo."""
        history = self._history()
        return {file.image for line in [*history.done, *history.undone] for file in line.files}

    def journal_texts(self) -> dict[str, set[str]]:
        """Picture → all captions that the history knows for it."""
        texts: dict[str, set[str]] = {}
        for line in self._history().edits:
            for file in line.files:
                texts.setdefault(file.image, set()).update((shown(file.before), shown(file.after)))
        return texts

    # Files of the set

    def _images(self) -> dict[str, list[str]]:
        """Character → its images in the order of their names. A character whose files lie outside of the film's folder, behind a link, is left out:
        the folder may have come from somebody else, and what is not in it is not edited.
        """
        found = {}
        own = os.path.realpath(self.folder)
        for folder in sorted(self.folder.glob("*/dataset/images")):
            places = (folder, folder.with_name("captions"))
            if not all(Path(os.path.realpath(place)).is_relative_to(own) for place in places):
                continue
            character = folder.parent.parent.name
            names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _PICTURES and p.is_file())
            visible = [f"{character}/dataset/images/{name}" for name in names if not name.startswith(".")]
            if visible and not character.startswith("."):
                found[character] = visible
        return found

    def _raw(self, image: str) -> str | None:
        """The whole text of a picture's caption file, None when there is none. Bytes that are not UTF-8 become lone surrogates."""
        try:
            return (self.folder / caption_path(image)).read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                f"{self.folder / caption_path(image)} cannot be read ({error.strerror}); expected a text file, mend it or its permissions"
            ) from error

    def _metadata_text(self, character: str) -> str | None:
        try:
            return (self.folder / character / "metadata.jsonl").read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _rows(self) -> dict[str, dict[str, Any]]:
        return {image: row for character in self._images() for image, row in self._metadata(character).items()}

    def _metadata(self, character: str) -> dict[str, dict[str, Any]]:
        """Image → its row. Lines that cannot be read are left out; their pictures say so in `problem`."""
        rows = {}
        for line in (self._metadata_text(character) or "").split("\n"):
            if (row := json_object(line)) and isinstance(row.get("file_name"), str):
                rows[f"{character}/{row['file_name']}"] = row
        return rows

    # Edits

    def _edited(self, edit: Edit, pictures: Sequence[CaptionedPicture]) -> list[str]:
        """The captions after an edit; one on which it has no effect as it was."""
        captions = [picture.caption for picture in pictures]
        if isinstance(edit, SetCaption):
            return [tidy_caption(edit.text)]
        if isinstance(edit, TidyCaptions):
            return [tidy_caption(caption) or caption for caption in captions]
        if isinstance(edit, Recaption):
            return self._recaptioned(edit, pictures)
        if isinstance(edit, RestoreCaptions):
            unknown = [p.image for p in pictures if p.edited and p.machine_text is None]
            if unknown:
                raise InputError(
                    f"the program's own caption of {_names(unknown)} is not known any more, its row in metadata.jsonl was changed; "
                    "choose other pictures, or run the film again, which keeps the captions that are edited"
                )
            return [p.caption if p.machine_text is None else p.machine_text for p in pictures]
        if isinstance(edit, AddTags):
            tags = _given_tags(edit.tags, "add")
            triggers = self.triggers()
            later = {name for name, traits in self._traits() if traits.get("trigger_first") is False}
            return [
                _with_tags(
                    picture.caption,
                    tags,
                    edit.place,
                    triggers.get(picture.character, picture.character),
                    triggers.get(picture.character, "") if picture.character in later else "",
                )
                for picture in pictures
            ]
        if isinstance(edit, RemoveTags):
            unwanted = {tag_key(tag) for tag in _given_tags(edit.tags, "remove")}
            after = [_where_other(c, [t for t in tags_of(c) if tag_key(t) not in unwanted]) for c in captions]
            triggers = self.triggers()
            refused = [
                p.image
                for p in pictures
                if (keys := [tag_key(tag) for tag in tags_of(p.caption)])
                and any(key in unwanted and key in (keys[0], tag_key(triggers[p.character])) for key in keys)
            ]
        elif isinstance(edit, ReplaceTag):
            old, new = _given_tags(edit.old, "replace"), _given_tags(edit.new, "put in its place")
            if len(old) != 1:
                raise InputError(f"one tag can be replaced at a time, got {len(old)}: {', '.join(old)}")
            key = tag_key(old[0])
            after = [
                _where_other(c, [n for tag in tags_of(c) for n in (new if tag_key(tag) == key else [tag])])
                for c in captions
            ]
            refused = _without_trigger(pictures, after)
        else:
            replaced = _substituted(edit.pattern, edit.replacement, captions)
            after = [c if r == c else tidy_caption(r) for c, r in zip(captions, replaced, strict=True)]
            refused = _without_trigger(pictures, after)
        if refused:
            raise InputError(
                f"this would take away the first tag, or the trigger word, of {_names(refused)}; "
                "choose other tags or other pictures, or set such a caption one by one"
            )
        return after

    def _recaptioned(self, edit: Recaption, pictures: Sequence[CaptionedPicture]) -> list[str]:
        """Captions from the tags of the rows. Pictures whose row has no tags keep theirs."""
        rows = self._rows()
        stay = set() if edit.include_edited else {picture.image for picture in self.written_by_hand(edit.where)}
        after = []
        for picture in pictures:
            row = rows.get(picture.image, {})
            tags, scores = row.get("tags"), row.get("tag_scores")
            if picture.image in stay or not isinstance(tags, list):
                after.append(picture.caption)
                continue
            words = [tag for tag in tags if isinstance(tag, str)]
            known = scores if isinstance(scores, dict) else {}
            core, choice = edit.core.get(picture.character, ()), edit.choices.get(picture.character)
            pruned = [tag for tag in words if left_out(tag, edit.settings.core_traits, core, choice)]
            after.append(tidy_caption(write_caption(picture.character, words, pruned, edit.settings, known)))
        return after

    # Journal

    def _history(self) -> _History:
        """The journal replayed; read again only when the file is another than last time."""
        path = self.folder / EDITS
        try:
            state = path.stat()
            stamp = (state.st_ino, state.st_size, state.st_mtime_ns)
            if self._read_journal is None or self._read_journal[0] != stamp:
                self._read_journal = stamp, _replayed(path.read_bytes())
        except FileNotFoundError:
            return _History([], [], [])
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); it is the history of the edits of captions: mend its permissions, or move it away"
            ) from error
        return self._read_journal[1]

    def _append(self, line: Mapping[str, Any]) -> None:
        """Add a line and force it to the disk. A torn line that a crash left behind is ended first; it is no entry."""
        path = self.folder / EDITS
        data = json_line(line).encode()
        new = not path.exists()
        with path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                data = data if file.read(1) == b"\n" else b"\n" + data
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync(self.folder)

    def _make(self, line: Mapping[str, Any], files: Sequence[_File]) -> None:
        """Journal an edit, undo or redo, then do it."""
        try:
            with full_disk_as(
                lambda: f"the disk of {self.folder} is full; no caption was changed. Free some space and try again"
            ):
                self._append(line)
        except OSError as error:
            raise AnimesetError(
                f"cannot write {self.folder / EDITS} ({error.strerror or error}), so no caption was changed; mend its permissions and try again"
            ) from error
        self._write(line["number"], files)

    def _complete(self) -> None:
        """Finish what was interrupted. The folder's lock must be held."""
        pending = self._history().pending
        if pending is not None:
            self._write(*pending)

    def _write(self, number: int, files: Sequence[_File]) -> None:
        """Bring caption files from before to after, then metadata, then say so in the journal. May be interrupted anywhere and called again.

        A file that says neither was changed by hand since the journal line was written, and stays.
        """
        written: list[_File] = []
        try:
            with full_disk_as(
                lambda: (
                    f"the disk of {self.folder} is full: {len(written)} of {len(files)} captions are written. Free some space; the rest follows "
                    "when the captions are opened or edited next"
                )
            ):
                for file in files:
                    raw = self._raw(file.image)
                    if raw == file.before != file.after:
                        put_text(self.folder / caption_path(file.image), file.after)
                    if raw in (file.before, file.after):
                        written.append(file)
                self._write_metadata(written)
                self._append({"number": number, "kind": "finished"})
        except OSError as error:
            raise AnimesetError(
                f"cannot write the captions of {self.folder} ({error.strerror or error}); mend that, then open the captions again: "
                "the interrupted edit is completed then"
            ) from error

    def _write_metadata(self, files: Sequence[_File]) -> None:
        """Give the pictures' rows in `metadata.jsonl` the caption as their `text`; all other lines stay byte for byte."""
        texts: dict[str, dict[str, str | None]] = {}
        stems = {caption_path(file.image): file.row_after for file in files}
        for character, images in self._images().items():
            for image in images:
                if (path := caption_path(image)) in stems:
                    texts.setdefault(character, {})[image.removeprefix(f"{character}/")] = stems[path]
        for character, wanted in texts.items():
            text = self._metadata_text(character)
            if text is None:
                continue
            lines = text.split("\n")
            for index, line in enumerate(lines):
                row = json_object(line)
                name = row.get("file_name")
                if isinstance(name, str) and name in wanted and row.get("text") != wanted[name]:
                    lines[index] = json_line(with_caption(row, wanted[name]))
            if (new := "\n".join(lines)) != text:
                write_text(self.folder / character / "metadata.jsonl", new)


# What `hand_captions` shares


def machine_hashes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """File → SHA-256 of what the program made, from `animeset.json`."""
    files, machine = (manifest.get(key) for key in ("files", "machine"))
    return {**(files if isinstance(files, dict) else {}), **(machine if isinstance(machine, dict) else {})}


def machine_text(row: Mapping[str, Any], sha256: object) -> str | None:
    """The caption that the program made, as far as the picture's row still says it: its file had this hash."""
    texts = (text for key in ("machine_text", "text") if isinstance(text := row.get(key), str) and _is_text(text))
    return next((text for text in texts if _digest(text + "\n") == sha256), None)


def with_caption(row: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    """A row of metadata.jsonl with another caption. One that says who wrote its caption goes on saying so, and keeps what the program wrote."""
    machine = row.get("machine_text") if row.get("caption_by") == "hand" else row.get("text")
    new: dict[str, Any] = {}
    for key, value in row.items():
        if key == "text":
            if text is not None:
                new[key] = text
        elif key == "caption_by":
            by_hand = machine is not None and text != machine
            new |= {key: "hand", "machine_text": machine} if by_hand else {key: "machine"}
        elif key != "machine_text":
            new[key] = value
    return new if "text" in row or text is None else {**new, "text": text}


def caption_path(image: str) -> str:
    """Where the caption of an image is, relative to the film folder."""
    path = PurePosixPath(image)
    return str(path.parent.with_name("captions") / f"{path.stem}.txt")


def shown(raw: str | None) -> str:
    """A caption file's text for people: no byte order mark, no line break at its end, `�` for what is not UTF-8."""
    text = (raw or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.removeprefix("\ufeff").rstrip("\r\n")


def _is_text(raw: str | None) -> bool:
    """Whether this can be the whole text of a file, as `_raw` gives it."""
    try:
        (raw or "").encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _digest(raw: str | None) -> str | None:
    return None if raw is None else hashlib.sha256(raw.encode("utf-8", "surrogateescape")).hexdigest()


def _problem(raw: str | None, has_row: bool) -> str:
    text = shown(raw)
    found = {
        "there is no caption file": raw is None,
        "the caption file is empty": raw is not None and not text.strip(),
        "the caption is not UTF-8": raw is not None and any("\udc80" <= char <= "\udcff" for char in raw),
        "the caption has more than one line": len(text.splitlines()) > 1,
        "metadata.jsonl has no readable row for this picture": not has_row,
    }
    return "; ".join(words for words, true in found.items() if true)


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) and value else _UNKNOWN


def _row_text(row: Mapping[str, Any]) -> str | None:
    text = row.get("text")
    return text if isinstance(text, str) else None


def json_line(value: Mapping[str, Any]) -> str:
    """Readable, unless there are lone surrogates in it (see `_raw`), which only escapes can carry."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if any("\ud800" <= char <= "\udfff" for char in text) else text


def json_object(line: str | bytes) -> dict[str, Any]:
    """The object on a line; empty for any other line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _names(paths: Sequence[str]) -> str:
    named = ", ".join(PurePosixPath(path).name for path in paths[:_NAMED])
    return named if len(paths) <= _NAMED else f"{named} and {len(paths) - _NAMED} more"


def _given_tags(text: str, verb: str) -> list[str]:
    tags = tags_of(text)
    if not tags:
        raise InputError(f"there is no tag to {verb}; type one, or several separated by commas")
    return tags


def _where_other(caption: str, tags: Sequence[str]) -> str:
    """The caption of these tags, or the caption as it was when they are its own."""
    return caption if tags == tags_of(caption) else _joined(tags)


def _with_tags(caption: str, tags: Sequence[str], place: str, trigger: str, behind: str) -> str:
    """`trigger` begins a caption that is empty; `behind` is a trigger word that the template puts behind other tags, else empty."""
    own = tags_of(caption)
    have = {tag_key(tag) for tag in own}
    new = [tag for tag in tags if tag_key(tag) not in have]
    if not new:
        return caption
    own = own or tags_of(trigger)
    at = 1 + next((i for i, tag in enumerate(own) if tag_key(tag) == tag_key(behind)), 0)
    return _joined([*own[:at], *new, *own[at:]] if place == "after_trigger" else [*own, *new])


def _without_trigger(pictures: Sequence[CaptionedPicture], after: Sequence[str]) -> list[str]:
    """Images whose first tag went, so that an old later tag is first now. A first tag that is new is a new trigger word, which is allowed."""
    lost = []
    for picture, text in zip(pictures, after, strict=True):
        old, new = ([tag_key(tag) for tag in tags_of(caption)] for caption in (picture.caption, text))
        if old and new and new[0] != old[0] and new[0] in old[1:]:
            lost.append(picture.image)
    return lost


def _substituted(pattern: str, replacement: str, captions: Sequence[str]) -> list[str]:
    """`re.sub` on every caption, in a process of its own that can be stopped."""
    try:
        re.compile(pattern).sub(replacement, "")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise InputError(
            f"“{pattern}” with “{replacement}” is no regular expression that can be used: {error}; mend it and try again"
        ) from None
    try:
        answer = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SUBSTITUTE],
            input=json.dumps([pattern, replacement, list(captions)]).encode(),
            capture_output=True,
            timeout=_PATTERN_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"“{pattern}” was not done after {_PATTERN_SECONDS:.0f} s: it tries too many ways to match; "
            "avoid a repetition inside a repetition, such as (a+)+"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise InputError(
            f"“{pattern}” could not be used: {' '.join(reason) or 'the search ended early'}; try another one"
        ) from None
    replaced: list[str] = json.loads(answer.stdout)
    return replaced


def _entry(line: _Line, *, undone: bool) -> EditEntry:
    changes = tuple(Change(f.image, shown(f.before), shown(f.after), f.recaption) for f in line.files)
    return EditEntry(line.number, line.time, line.words, changes, undone)


def _replayed(journal: bytes) -> _History:
    """The state after all lines. Lines that are torn or that we did not write are passed over, and so is what refers to them."""
    history = _History([], [], [])
    for row in _journal_rows(journal):
        number, kind = row["number"], row["kind"]
        if kind == "finished":
            if history.pending is not None and history.pending[0] == number:
                history.pending = None
            continue
        history.last_number = max(history.last_number, number)
        history.pending = None
        if kind == "edit":
            line = _Line(number, str(row.get("time", "")), str(row.get("words", "")), _files(row))
            history.edits.append(line)
            history.done.append(line)
            history.undone.clear()
            history.pending = number, line.files
            continue
        source, target = (history.done, history.undone) if kind == "undo" else (history.undone, history.done)
        if source and source[-1].number == row.get("edit"):
            line = source.pop()
            target.append(line)
            history.pending = number, tuple(f.reversed for f in line.files) if kind == "undo" else line.files
    return history


def _journal_rows(journal: bytes) -> Iterator[dict[str, Any]]:
    for text in journal.split(b"\n"):
        row = json_object(text)
        known = row.get("kind") in ("edit", "undo", "redo", "finished") and isinstance(row.get("number"), int)
        if known and (row["kind"] != "edit" or _files(row)):
            yield row


def _files(row: Mapping[str, Any]) -> tuple[_File, ...]:
    """The files of an edit line; none when one of them is not what we write. The folder may have come from somebody else: no path leads out of it."""
    files = []
    for change in row["changes"] if isinstance(row.get("changes"), list) else []:
        if not isinstance(change, dict):
            return ()
        image, before, after = change.get("image"), change.get("before"), change.get("after")
        if not (isinstance(image, str) and _IMAGE.fullmatch(image)):
            return ()
        if not (isinstance(before, str | None) and isinstance(after, str) and _is_text(before) and _is_text(after)):
            return ()
        row_text = change.get("text_before", shown(before))
        if not isinstance(row_text, str | None):
            return ()
        files.append(_File(image, before, after, row_text, shown(after), change.get("recaption") is True))
    return tuple(files)
