"""What people changed in the published sets of one film: `output/<film>-<id>.edits.jsonl`, and what its lines come to.

One JSON object a line; lines are only ever added:

    {"number": 1, "kind": "edit", "time": "…", "words": "+ smile (2)", "changes": [{"crop": "f-…", "before": null, "after": "hana, …\\n", …}]}
    {"number": 2, "kind": "undo", "time": "…", "words": "+ smile (2)", "edit": 1}          or "redo"
    {"number": 2, "kind": "done"}

A change names what it is about by the crop id, which is the same in every run of a film whatever number, name or character its picture has. So
captions follow their pictures, wait for those that are not selected, and are undone after any number of runs. `before` and `after` are the
whole texts of a caption file, null for the program's own caption; `trigger` is the word that the training tied to the character then.
A picture without a crop id is named `file:<character>/<stem>`, which the next run does not know.

An edit, undo or redo is on the disk before the first file changes, and its `done` after the last one: a line without it is completed
when the captions are opened next (`published.captions`). `{"kind": "program", "crops": […]}` says that a run writes by itself what `recaption` had
written; that is nobody's edit. Lines of other kinds, torn ones, and changes of other things are passed over.

Who writes holds the lock of the published folder (`publish.hold_folder`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from animeset_lib.errors import AnimesetError
from animeset_lib.published.layout import json_object
from animeset_lib.published.publish import production_of
from animeset_lib.run.store import append_line, full_disk_as
from animeset_lib.words.line import with_trigger

__all__ = ["NO_CROP", "CaptionChange", "EditLine", "EditLog", "History", "Words", "log_of"]

NO_CROP = "file:"
"""What the name of a picture without a crop id begins with."""


@dataclass(frozen=True)
class Words:
    """The caption that a person gave a picture: the whole text of its file, where bytes that are not UTF-8 are lone surrogates (Python's
    `surrogateescape`). An empty one is no caption at all, be it an empty file or none."""

    text: str
    trigger: str
    recaption: bool = False
    """Whether `Recaption` wrote it, with settings a person chose: kept like any other, until a run writes the same by itself."""

    def under(self, trigger: str) -> str:
        """The text in a set with this trigger word: two in one set would be two characters."""
        return with_trigger(self.text, self.trigger, trigger)


@dataclass(frozen=True)
class CaptionChange:
    """One caption of an edit: what it was and became, None for the program's own."""

    crop: str
    before: Words | None
    after: Words | None

    @property
    def reversed(self) -> CaptionChange:
        return CaptionChange(self.crop, self.after, self.before)

    def as_json(self, trigger: str) -> dict[str, str | bool | None]:
        before, after = (None if words is None else words.under(trigger) for words in (self.before, self.after))
        recaption = {"recaption": True} if self.after is not None and self.after.recaption else {}
        return {"crop": self.crop, "before": before, "after": after, "trigger": trigger, **recaption}


@dataclass(frozen=True)
class EditLine:
    """An edit that was made, whether it was undone since or not."""

    number: int
    time: str
    """UTC, ISO 8601, to the second."""
    words: str
    changes: tuple[CaptionChange, ...]


@dataclass
class History:
    """The log, replayed."""

    edits: list[EditLine] = field(default_factory=list)
    done: list[EditLine] = field(default_factory=list)
    undone: list[EditLine] = field(default_factory=list)
    captions: dict[str, Words] = field(default_factory=dict)
    """Crop → the caption that a person wrote for it."""
    last_number: int = 0
    pending: tuple[int, tuple[CaptionChange, ...]] | None = None
    """Number and changes of the last line, when it is not done."""


def log_of(folder: Path) -> EditLog:
    """The log of the film whose published folder this is."""
    place = folder.resolve()
    return EditLog(place.with_name(f"{production_of(place)}.edits.jsonl"))


class EditLog:
    """The log of one film. Nothing is created before the first edit; a missing file holds none. One object is for one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[tuple[int, int, int], History] | None = None

    def history(self) -> History:
        """The log replayed; read again only when the file is another than last time. Raises `AnimesetError` when it cannot be read."""
        try:
            state = self.path.stat()
            stamp = (state.st_ino, state.st_size, state.st_mtime_ns)
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, _replayed(map(json_object, self.path.read_bytes().split(b"\n")))
        except FileNotFoundError:
            return History()
        except OSError as error:
            raise AnimesetError(
                f"{self.path} cannot be read ({error.strerror or error}); it holds the captions that people edited: "
                "mend its permissions, or move it away to do without them"
            ) from error
        return self._read[1]

    def edit(self, words: str, changes: Sequence[tuple[CaptionChange, str]]) -> EditLine:
        """Add an edit; each change comes with the trigger word of its picture's set. `done` is to follow when the files are written."""
        rows = [change.as_json(trigger) for change, trigger in changes]
        number, time = self._begin("edit", words, changes=rows)
        return EditLine(number, time, words, tuple(change for change, _ in changes))

    def turn(self, kind: Literal["undo", "redo"], line: EditLine) -> None:
        """Add an undo or redo of this edit. `done` is to follow when the files are written."""
        self._begin(kind, line.words, edit=line.number)

    def done(self, number: int) -> None:
        self._append({"number": number, "kind": "done"})

    def program(self, crops: Sequence[str]) -> None:
        """These captions are the program's own now."""
        number = self.history().last_number + 1
        self._write({"number": number, "kind": "program", "crops": list(crops)})

    def _begin(self, kind: str, words: str, **more: Any) -> tuple[int, str]:
        number = self.history().last_number + 1
        time = datetime.now(UTC).isoformat(timespec="seconds")
        self._write({"number": number, "kind": kind, "time": time, "words": words, **more})
        return number, time

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            with full_disk_as(
                lambda: f"the disk of {self.path} is full; no caption was changed. Free some space and try again"
            ):
                self._append(line)
        except OSError as error:
            raise AnimesetError(
                f"cannot write {self.path} ({error.strerror or error}), so no caption was changed; mend its permissions and try again"
            ) from error

    def _append(self, line: Mapping[str, Any]) -> None:
        """Add a line, whole or not at all, and force it to the disk. A torn line that a crash left behind is ended first; it is no entry."""
        text = json.dumps(line, ensure_ascii=False)
        if any("\ud800" <= char <= "\udfff" for char in text):  # lone surrogates, which only escapes can carry
            text = json.dumps(line)
        before = self.path.read_bytes() if self.path.exists() else b""
        append_line(self.path, text if before[-1:] in (b"", b"\n") else f"\n{text}", len(before))


def _replayed(rows: Iterable[Mapping[str, Any]]) -> History:
    """The state after all lines. Those that we did not write are passed over, and so is what refers to them."""
    history = History()
    for row in rows:
        number, kind = row.get("number"), row.get("kind")
        if not isinstance(number, int):
            continue
        if kind == "done":
            if history.pending is not None and history.pending[0] == number:
                history.pending = None
        elif kind == "edit" and (changes := _changes(row, history.captions)):
            line = EditLine(number, str(row.get("time", "")), str(row.get("words", "")), changes)
            history.edits.append(line)
            history.done.append(line)
            history.undone.clear()
            _take(history, number, line.changes)
        elif kind in ("undo", "redo"):
            source, target = (history.done, history.undone) if kind == "undo" else (history.undone, history.done)
            if source and source[-1].number == row.get("edit"):
                target.append(line := source.pop())
                changes = line.changes if kind == "redo" else tuple(change.reversed for change in line.changes)
                # from what each is now, which a line of the program may have made another than the edit left behind
                now = history.captions
                _take(history, number, tuple(CaptionChange(c.crop, now.get(c.crop), c.after) for c in changes))
        elif kind == "program" and isinstance(crops := row.get("crops"), list):
            history.last_number = max(history.last_number, number)
            for crop in crops:
                history.captions.pop(str(crop), None)
    return history


def _take(history: History, number: int, changes: tuple[CaptionChange, ...]) -> None:
    history.last_number = max(history.last_number, number)
    history.pending = number, changes
    for change in changes:
        if change.after is None:
            history.captions.pop(change.crop, None)
        else:
            history.captions[change.crop] = change.after


def _changes(row: Mapping[str, Any], captions: Mapping[str, Words]) -> tuple[CaptionChange, ...]:
    """The changes of captions on an edit line; none when one of them is not what we write."""
    found = []
    for change in row["changes"] if isinstance(row.get("changes"), list) else []:
        if not isinstance(change, dict) or "after" not in change:
            continue
        crop, before, after, trigger = (change.get(key) for key in ("crop", "before", "after", "trigger"))
        if not (isinstance(crop, str) and crop and isinstance(trigger, str) and _is_text(before) and _is_text(after)):
            return ()
        # what the log said of it rather than `before`: that is the same in the words of a trigger that may be another one by now
        old = captions.get(crop) if crop in captions or before is None else Words(before, trigger)
        new = None if after is None else Words(after, trigger, change.get("recaption") is True)
        found.append(CaptionChange(crop, old, new))
    return tuple(found)


def _is_text(value: object) -> bool:
    """Whether this is None or can be the whole text of a file."""
    try:
        return value is None or (isinstance(value, str) and value.encode("utf-8", "surrogateescape") is not None)
    except UnicodeEncodeError:
        return False
