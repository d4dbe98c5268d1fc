"""Captions of a published film folder: read, edited with a preview first, undone.

What the program wrote is `text` in `metadata.jsonl`, which nobody changes. What people changed is in the film's log (`published.edit_log`), and the
`.txt` files are what both come to: the log over the program's. So people may edit them in any editor, too: what the log does not know is
taken in as an edit of its own when the captions are opened, and can be undone like any other.

One process at a time writes (`publish.hold_folder`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.published.edit_log import NO_CROP, CaptionChange, EditLine, Words, log_of
from animeset_lib.published.edits import (
    ALL,
    CaptionedPicture,
    Change,
    Edit,
    Recaption,
    Selection,
    SetCaption,
    captions_after,
    file_names,
    shown,
    tag_key,
    tags_of,
    tidy_caption,
)
from animeset_lib.published.layout import caption_path, images_of, json_object, rows_of
from animeset_lib.published.publish import hold_folder, manifest_of, put_text, read_manifest
from animeset_lib.run.store import full_disk_as
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import trigger_in, trigger_of
from animeset_lib.words.traits import core_of, table_of

__all__ = ["OUTSIDE", "CaptionSet", "EditEntry", "captioned_pictures"]

OUTSIDE = "edited outside"
"""The words of an edit that was made in another program."""


@dataclass(frozen=True)
class EditEntry:
    """One edit of the history."""

    number: int
    time: str
    """UTC, ISO 8601, to the second."""
    words: str
    changes: tuple[Change, ...]
    """`image` is where the picture is now; of one that is not in the set it is the crop id."""
    undone: bool = False


class CaptionSet:
    """The captions of one published film folder. Holds nothing but paths: every call reads what is on the disk now.

    Opening completes an edit that was interrupted, and takes in what was edited outside. Raises `InputError` when the folder is no published film.
    """

    def __init__(self, film_folder: Path, *, reading: bool = False) -> None:
        """With `reading` opening writes nothing: for who only reads, or holds the folder's lock and calls `take_in_held`."""
        self.folder = film_folder
        manifest_of(film_folder)
        self.log = log_of(film_folder)
        if not reading and (self.log.history().pending is not None or self._outside(self.pictures())):
            with hold_folder(self.folder):
                self.take_in_held()

    def pictures(self) -> list[CaptionedPicture]:
        """All pictures of all characters as they are on the disk, by character and file name. A folder without characters gives none."""
        return captioned_pictures(self.folder, _caption_settings(read_manifest(self.folder)))

    def select(self, where: Selection) -> list[CaptionedPicture]:
        """The pictures of a selection in the order of `pictures`, one per caption file. Raises `InputError` when it names what is not there."""
        return self._selected(where, self.pictures())

    def _selected(self, where: Selection, everything: list[CaptionedPicture]) -> list[CaptionedPicture]:
        pictures = everything
        if where.images is not None:
            unknown = sorted(set(where.images) - {picture.image for picture in pictures})
            if unknown:
                raise InputError(
                    f"no such picture in {self.folder.name}: {file_names(unknown)}; expected paths such as `hero/dataset/images/hero_0001.png`"
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
        pictures = self.pictures()
        by_hand = self._by_hand(pictures)
        return [picture for picture in self._selected(where, pictures) if picture.image in by_hand]

    def _by_hand(self, pictures: Sequence[CaptionedPicture]) -> set[str]:
        recaptioned = {crop: words for crop, words in self.log.history().captions.items() if words.recaption}
        return {p.image for p in pictures if p.edited and not (p.crop in recaptioned and p.says(recaptioned[p.crop]))}

    def plan(self, edit: Edit) -> list[Change]:
        """What an edit would change: only the captions that become others, in the order of `pictures`. Nothing is written.

        A caption on which the edit has no effect stays as it is, untidy or not. Two pictures that share one caption file (`a.png` beside `a.jpg`)
        are one change. Raises `InputError` when the selection names what is not there, when the edit itself makes no sense, when it would
        leave a caption empty, or when it would take away a first tag and is not allowed to.
        """
        pictures = self.pictures()
        where = Selection(images=(edit.image,)) if isinstance(edit, SetCaption) else edit.where
        selected = self._selected(where, pictures)
        traits = dict(self._traits())
        later = {name for name, known in traits.items() if known.get("trigger_first") is False}
        new = captions_after(edit, selected, _triggers(pictures, traits), later, self._by_hand(pictures))
        changes = [
            Change(picture.image, picture.caption, after, isinstance(edit, Recaption))
            for picture, after in zip(selected, new, strict=True)
            if after != picture.caption
        ]
        emptied = [change.image for change in changes if not change.after]
        if emptied:
            raise InputError(
                f"this would leave no caption for {file_names(emptied)}; a caption needs at least one tag, its trigger word"
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
                f"the new caption of {file_names(broken)} is no caption: expected one line of tags separated by `, `, each once; "
                "make the preview anew"
            )
        with hold_folder(self.folder):
            self.take_in_held()
            here = {picture.image: picture for picture in self.pictures()}
            self._check(changes, here)
            captions = self.log.history().captions
            made = []
            for change in changes:
                picture = here[change.image]
                before = captions.get(picture.crop)
                if before is None and picture.machine_text is None:
                    before = picture.words
                own = change.after == picture.machine_text
                after = None if own else Words(f"{change.after}\n", picture.trigger, change.recaption)
                made.append((CaptionChange(picture.crop, before, after), picture.trigger))
            line = self.log.edit(words, made)
            self._complete()
            return EditEntry(line.number, line.time, words, tuple(changes))

    def _check(self, changes: Sequence[Change], here: dict[str, CaptionedPicture]) -> None:
        """Whether the preview still is about what is there. Raises `InputError`."""
        gone = [change.image for change in changes if change.image not in here]
        if gone:
            raise InputError(f"no such picture in {self.folder.name}: {file_names(gone)}; make the preview anew")
        if len({caption_path(change.image) for change in changes}) < len(changes):
            raise InputError("two changes are about the same caption file; make them one after the other")
        stale = [change.image for change in changes if here[change.image].caption != change.before]
        if stale:
            raise InputError(
                f"the caption of {file_names(stale)} was changed since this preview was made (in another window or by hand); "
                "nothing was written. Look at the new caption and make the preview anew"
            )

    @property
    def can_undo(self) -> str | None:
        """The words of the edit that `undo` would take back, or None."""
        done = self.log.history().done
        return done[-1].words if done else None

    @property
    def can_redo(self) -> str | None:
        """The words of the edit that `redo` would make again, or None. A new edit ends what can be made again."""
        undone = self.log.history().undone
        return undone[-1].words if undone else None

    def history(self) -> list[EditEntry]:
        """All edits ever made of this film, in whatever runs, oldest first, also those that were undone."""
        history = self.log.history()
        done = {line.number for line in history.done}
        here = {picture.crop: picture for picture in reversed(self.pictures())}
        return [_entry(line, here, undone=line.number not in done) for line in history.edits]

    def undo(self) -> EditEntry:
        """Take the last edit back, byte for byte; returns it. Raises `InputError` when there is none or a file was changed since."""
        return self._turn("undo")

    def redo(self) -> EditEntry:
        """Make the edit that was undone last again; returns it. Raises `InputError` when there is none or a file was changed since."""
        return self._turn("redo")

    def _turn(self, kind: Literal["undo", "redo"]) -> EditEntry:
        with hold_folder(self.folder):
            words = self.can_undo if kind == "undo" else self.can_redo
            changed = self.take_in_held()
            if changed:
                raise InputError(
                    f"cannot {kind} {f'“{words}”' if words else 'now'}: {file_names(changed)} was changed by hand since; nothing was written. "
                    "That is an edit of its own now, which undo takes back first"
                )
            history = self.log.history()
            stack = history.done if kind == "undo" else history.undone
            if not stack:
                raise InputError(f"there is no caption edit to {kind}")
            line = stack[-1]
            changes = line.changes if kind == "redo" else tuple(change.reversed for change in line.changes)
            here = {picture.crop: picture for picture in self.pictures()}
            known = [(here[change.crop], change.after) for change in changes if change.crop in here]
            lost = [picture.image for picture, after in known if picture.text_under(after) is None]
            if lost:
                raise InputError(
                    f"cannot {kind} “{line.words}”: the program's own caption of {file_names(lost)} is not known, there is no readable row in "
                    "metadata.jsonl for it; nothing was written. Set this caption by hand instead"
                )
            self.log.turn(kind, line)
            self._complete()
            return _entry(line, here, undone=kind == "undo")

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

    # The files and the log

    def take_in_held(self) -> list[str]:
        """Finish an edit that was interrupted and take in what was edited outside, for a caller that holds the folder's lock; nothing in the folder
        is changed by the latter. Returns the pictures whose caption was taken in."""
        self._complete()
        pictures = self.pictures()
        captions = self.log.history().captions
        own = [p.crop for p in pictures if (w := captions.get(p.crop)) and w.recaption and p.says(w) and not p.edited]
        if own:
            self.log.program(own)
        outside = self._outside(pictures)
        if outside:
            line = self.log.edit(OUTSIDE, [(change, picture.trigger) for picture, change in outside])
            self.log.done(line.number)
        return [picture.image for picture, _ in outside]

    def _outside(self, pictures: Sequence[CaptionedPicture]) -> list[tuple[CaptionedPicture, CaptionChange]]:
        """What the caption files say and the log does not."""
        captions = self.log.history().captions
        found: dict[str, tuple[CaptionedPicture, CaptionChange]] = {}
        for picture in pictures:
            words = captions.get(picture.crop)
            # without the program's caption, a picture that was never edited is as it is
            if not (picture.says(words) or (words is None and picture.machine_text is None)):
                now = picture.words if picture.edited else None
                found.setdefault(picture.crop, (picture, CaptionChange(picture.crop, words, now)))
        return list(found.values())

    def _complete(self) -> None:
        """Bring the caption files of the log's last line from before to after, then say there that it is done. May be interrupted anywhere and called
        again. A file that says neither was changed by hand since the line was written, and stays.
        """
        pending = self.log.history().pending
        if pending is None:
            return
        number, changes = pending
        here = {picture.crop: picture for picture in self.pictures()}
        written = 0
        try:
            with full_disk_as(
                lambda: (
                    f"the disk of {self.folder} is full: {written} of {len(changes)} captions are written. Free some space; the rest follows "
                    "when the captions are opened or edited next"
                )
            ):
                for change in changes:
                    picture = here.get(change.crop)
                    if picture is not None and picture.says(change.before) and not picture.says(change.after):
                        text = picture.text_under(change.after)
                        if text is not None:
                            put_text(self.folder / caption_path(picture.image), text)
                    written += 1
                self.log.done(number)
        except OSError as error:
            raise AnimesetError(
                f"cannot write the captions of {self.folder} ({error.strerror or error}); mend that, then open the captions again: "
                "the interrupted edit is completed then"
            ) from error


def captioned_pictures(folder: Path, settings: CaptionSettings) -> list[CaptionedPicture]:
    """The pictures of a film folder that a run with these settings made, by character and file name."""
    found: list[CaptionedPicture] = []
    # of each crop: a copy that somebody made of a picture and its row is a picture of its own
    owner: dict[str, str] = {}
    for character, images in images_of(folder).items():
        rows = rows_of(folder, character)
        trigger = trigger_of(character, settings)
        by_file = {caption_path(image): rows[image] for image in reversed(images) if image in rows}
        for image in images:
            file = caption_path(image)
            about = by_file.get(file, {})
            crop = about.get("crop")
            if not isinstance(crop, str) or not crop or owner.setdefault(crop, file) != file:
                crop = f"{NO_CROP}{character}/{Path(file).stem}"
            row, program, raw = rows.get(image, {}), _program(about), _raw(folder / file)
            found.append(CaptionedPicture(character, image, crop, row, program, raw, trigger))
    return found


def _raw(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}); expected a text file, mend it or its permissions"
        ) from error


def _triggers(pictures: Iterable[CaptionedPicture], traits: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Character → its trigger word, of those that have a caption."""
    captions: dict[str, list[list[str]]] = {}
    for picture in pictures:
        captions.setdefault(picture.character, []).append(tags_of(picture.caption))
    found = {name: trigger_in(tags, traits.get(name)) for name, tags in captions.items()}
    return {name: trigger for name, trigger in found.items() if trigger}


def _program(row: dict[str, Any]) -> str | None:
    text = row.get("text")
    try:
        return text.encode().decode().rstrip("\r\n") if isinstance(text, str) and tags_of(text) else None
    except UnicodeEncodeError:
        return None


def _caption_settings(manifest: dict[str, Any]) -> CaptionSettings:
    """Those of the run that published the folder; the default ones where they cannot be read."""
    settings = manifest.get("settings")
    try:
        return CaptionSettings.model_validate(settings.get("caption", {}) if isinstance(settings, dict) else {})
    except ValidationError:
        return CaptionSettings()


def _entry(line: EditLine, here: Mapping[str, CaptionedPicture], *, undone: bool) -> EditEntry:
    changes = []
    for change in line.changes:
        picture = here.get(change.crop)
        before, after = (
            shown((words.text if words else None) if picture is None else picture.text_under(words))
            for words in (change.before, change.after)
        )
        image = change.crop if picture is None else picture.image
        changes.append(Change(image, before, after, change.after is not None and change.after.recaption))
    return EditEntry(line.number, line.time, line.words, tuple(changes), undone)
