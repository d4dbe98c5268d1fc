"""Captions of a published film folder: read, edited with a preview first, undone.

What the program wrote is `text` in `metadata.jsonl`, which nobody changes. What people changed is in the film's log (`published.edit_log`), and the
`.txt` files are what both come to: the log over the program's. So people may edit them in any editor, too: what the log does not know is
taken in as an edit of its own when the captions are opened, and can be undone like any other.

One process at a time writes (`publish.hold_folder`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    Context,
    Edit,
    Recaption,
    Selection,
    SetCaption,
    captions_after,
    file_names,
    tag_key,
    tags_of,
    tidy_caption,
)
from animeset_lib.published.layout import caption_path, images_of, json_object, rows_of
from animeset_lib.published.publish import MANIFEST, hold_folder, put_text, read_manifest
from animeset_lib.run.store import full_disk_as
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import trigger_in, trigger_of
from animeset_lib.words.traits import core_of, table_of

__all__ = ["OUTSIDE", "CaptionSet", "EditEntry", "PictureFiles", "picture_files", "shown"]

OUTSIDE = "edited outside"
"""The words of an edit that was made in another program."""
_UNKNOWN = "unknown"


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


@dataclass(frozen=True)
class PictureFiles:
    """One picture as it is on the disk."""

    character: str
    image: str
    crop: str
    """What the log calls it; pictures with one caption file are one."""
    row: dict[str, Any]
    program: str | None
    """The program's caption, None where no row says it."""
    raw: str | None
    """The whole text of the caption file, None when there is none. Bytes that are not UTF-8 become lone surrogates."""
    trigger: str
    """The word that the run tied to the character."""

    def says(self, words: Words | None) -> bool:
        """Whether the caption file is what the log's words, or the program's own caption, come to."""
        if words is None:
            return self.program is not None and (self.raw or "").rstrip("\r\n") == self.program
        return (self.raw or "") == words.under(self.trigger)


class CaptionSet:
    """The captions of one published film folder. Holds nothing but paths: every call reads what is on the disk now.

    Opening completes an edit that was interrupted, and takes in what was edited outside. Raises `InputError` when the folder is no published film.
    """

    def __init__(self, film_folder: Path, *, reading: bool = False) -> None:
        """With `reading` opening writes nothing: for who only reads, or holds the folder's lock and calls `take_in_held`."""
        self.folder = film_folder
        if "film" not in read_manifest(film_folder):
            found = "no such folder" if not film_folder.is_dir() else f"a folder without a readable {MANIFEST}"
            raise InputError(
                f"{film_folder} is no published film: expected a folder below output/ as a run leaves it, with {MANIFEST} in it; "
                f"got {found}. Choose such a folder, or run the film first"
            )
        self.log = log_of(film_folder)
        if not reading and (self.log.history().pending is not None or self._outside()):
            with hold_folder(self.folder):
                self.take_in_held()

    def pictures(self) -> list[CaptionedPicture]:
        """All pictures of all characters, by character and file name. A folder without characters gives none."""
        return [_captioned(files) for files in self.files()]

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
        here = self.files()
        by_hand = self._by_hand(here)
        return [p for p in self._selected(where, [_captioned(files) for files in here]) if p.image in by_hand]

    def _by_hand(self, here: Sequence[PictureFiles]) -> set[str]:
        captions = self.log.history().captions
        found = set()
        for files in here:
            words = captions.get(files.crop)
            recaptioned = words is not None and words.recaption and files.says(words)
            if not (files.says(None) or recaptioned):
                found.add(files.image)
        return found

    def plan(self, edit: Edit) -> list[Change]:
        """What an edit would change: only the captions that become others, in the order of `pictures`. Nothing is written.

        A caption on which the edit has no effect stays as it is, untidy or not. Two pictures that share one caption file (`a.png` beside `a.jpg`)
        are one change. Raises `InputError` when the selection names what is not there, when the edit itself makes no sense, when it would
        leave a caption empty, or when it would take away a first tag and is not allowed to.
        """
        here = self.files()
        pictures = [_captioned(files) for files in here]
        where = Selection(images=(edit.image,)) if isinstance(edit, SetCaption) else edit.where
        selected = self._selected(where, pictures)
        context = Context(
            triggers=self._triggers(pictures),
            trigger_later={name for name, traits in self._traits() if traits.get("trigger_first") is False},
            rows={files.image: files.row for files in here},
            by_hand=self._by_hand(here),
        )
        changes = [
            Change(picture.image, picture.caption, new, isinstance(edit, Recaption))
            for picture, new in zip(selected, captions_after(edit, selected, context), strict=True)
            if new != picture.caption
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
            here = {files.image: files for files in self.files()}
            self._check(changes, here)
            captions = self.log.history().captions
            made = []
            for change in changes:
                files = here[change.image]
                before = captions.get(files.crop)
                if before is None and files.program is None:
                    before = Words(files.raw or "", files.trigger)
                after = Words(f"{change.after}\n", files.trigger, change.recaption)
                own = change.after == files.program
                made.append((CaptionChange(files.crop, before, None if own else after), files.trigger))
            line = self.log.edit(words, made)
            self._complete()
            return EditEntry(line.number, line.time, words, tuple(changes))

    def _check(self, changes: Sequence[Change], here: dict[str, PictureFiles]) -> None:
        """Whether the preview still is about what is there. Raises `InputError`."""
        gone = [change.image for change in changes if change.image not in here]
        if gone:
            raise InputError(f"no such picture in {self.folder.name}: {file_names(gone)}; make the preview anew")
        if len({caption_path(change.image) for change in changes}) < len(changes):
            raise InputError("two changes are about the same caption file; make them one after the other")
        stale = [change.image for change in changes if shown(here[change.image].raw) != change.before]
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
        here = {files.crop: files for files in reversed(self.files())}
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
            here = {files.crop: files for files in self.files()}
            lost = [
                here[c.crop].image for c in changes if c.crop in here and _text_under(here[c.crop], c.after) is None
            ]
            if lost:
                raise InputError(
                    f"cannot {kind} “{line.words}”: the program's own caption of {file_names(lost)} is not known, there is no readable row in "
                    "metadata.jsonl for it; nothing was written. Set this caption by hand instead"
                )
            self.log.turn(kind, line)
            self._complete()
            return _entry(line, here, undone=kind == "undo")

    def triggers(self) -> dict[str, str]:
        """Character → its trigger word, of those that have a caption."""
        return self._triggers(self.pictures())

    def _triggers(self, pictures: Sequence[CaptionedPicture]) -> dict[str, str]:
        captions: dict[str, list[list[str]]] = {}
        for picture in pictures:
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

    # The files and the log

    def files(self) -> list[PictureFiles]:
        """All pictures as they are on the disk, by character and file name."""
        return picture_files(self.folder, _caption_settings(read_manifest(self.folder)))

    def take_in_held(self) -> list[str]:
        """Finish an edit that was interrupted and take in what was edited outside, for a caller that holds the folder's lock; nothing in the folder
        is changed by the latter. Returns the pictures whose caption was taken in."""
        self._complete()
        captions = self.log.history().captions
        own = [
            f.crop for f in self.files() if (w := captions.get(f.crop)) and w.recaption and f.says(w) and f.says(None)
        ]
        if own:
            self.log.program(own)
        outside = self._outside()
        if outside:
            line = self.log.edit(OUTSIDE, [(change, files.trigger) for files, change in outside])
            self.log.done(line.number)
        return [files.image for files, _ in outside]

    def _outside(self) -> list[tuple[PictureFiles, CaptionChange]]:
        """What the caption files say and the log does not."""
        captions = self.log.history().captions
        found: dict[str, tuple[PictureFiles, CaptionChange]] = {}
        for files in self.files():
            words = captions.get(files.crop)
            # without the program's caption, a picture that was never edited is as it is
            if not (files.says(words) or (words is None and files.program is None)):
                now = None if files.says(None) else Words(files.raw or "", files.trigger)
                found.setdefault(files.crop, (files, CaptionChange(files.crop, words, now)))
        return list(found.values())

    def _complete(self) -> None:
        """Bring the caption files of the log's last line from before to after, then say there that it is done. May be interrupted anywhere and called
        again. A file that says neither was changed by hand since the line was written, and stays.
        """
        pending = self.log.history().pending
        if pending is None:
            return
        number, changes = pending
        here = {files.crop: files for files in self.files()}
        written = 0
        try:
            with full_disk_as(
                lambda: (
                    f"the disk of {self.folder} is full: {written} of {len(changes)} captions are written. Free some space; the rest follows "
                    "when the captions are opened or edited next"
                )
            ):
                for change in changes:
                    files = here.get(change.crop)
                    text = None if files is None else _text_under(files, change.after)
                    if (
                        files is not None
                        and text is not None
                        and files.says(change.before)
                        and not files.says(change.after)
                    ):
                        put_text(self.folder / caption_path(files.image), text)
                    written += 1
                self.log.done(number)
        except OSError as error:
            raise AnimesetError(
                f"cannot write the captions of {self.folder} ({error.strerror or error}); mend that, then open the captions again: "
                "the interrupted edit is completed then"
            ) from error


def picture_files(folder: Path, settings: CaptionSettings) -> list[PictureFiles]:
    """The pictures of a film folder that a run with these settings made, by character and file name."""
    found: list[PictureFiles] = []
    owner: dict[
        str, str
    ] = {}  # of each crop: a copy that somebody made of a picture and its row is a picture of its own
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
            found.append(PictureFiles(character, image, crop, row, program, raw, trigger))
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


def _text_under(files: PictureFiles, words: Words | None) -> str | None:
    """What a picture's caption file says with these words of the log; None where that would be the program's own caption, which is not known."""
    if words is not None:
        return words.under(files.trigger)
    return None if files.program is None else f"{files.program}\n"


def shown(raw: str | None) -> str:
    """A caption file's text for people: no byte order mark, no line break at its end, `�` for what is not UTF-8."""
    text = (raw or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.removeprefix("\ufeff").rstrip("\r\n")


def _captioned(files: PictureFiles) -> CaptionedPicture:
    time_ms = files.row.get("time_ms")
    return CaptionedPicture(
        character=files.character,
        image=files.image,
        caption=shown(files.raw),
        outfit=_word(files.row, "outfit"),
        emotion=_word(files.row, "emotion"),
        background=_word(files.row, "background"),
        framing=_word(files.row, "framing"),
        time_ms=time_ms if isinstance(time_ms, int) else None,
        edited=not files.says(None),
        problem=_problem(files),
        machine_text=files.program,
    )


def _problem(files: PictureFiles) -> str:
    text = shown(files.raw)
    found = {
        "there is no caption file": files.raw is None,
        "the caption file is empty": files.raw is not None and not text.strip(),
        "the caption is not UTF-8": any("\udc80" <= char <= "\udcff" for char in files.raw or ""),
        "the caption has more than one line": len(text.splitlines()) > 1,
        "metadata.jsonl has no readable row for this picture": not files.row,
    }
    return "; ".join(words for words, true in found.items() if true)


def _word(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) and value else _UNKNOWN


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


def _entry(line: EditLine, here: dict[str, PictureFiles], *, undone: bool) -> EditEntry:
    changes = []
    for change in line.changes:
        files = here.get(change.crop)
        before, after = (
            shown((words.text if words else None) if files is None else _text_under(files, words))
            for words in (change.before, change.after)
        )
        image = change.crop if files is None else files.image
        changes.append(Change(image, before, after, change.after is not None and change.after.recaption))
    return EditEntry(line.number, line.time, line.words, tuple(changes), undone)
