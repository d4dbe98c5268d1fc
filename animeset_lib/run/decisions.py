"""A person's decisions about faces and stills: the file they are kept in, and what they make of the machine's groups.

`DecisionLog` only ever appends; undoing is one more line. `settle` and `settle_frames` are the one place that says what decisions do: the
stages, the board of the dashboard, the command line and FiftyOne all call them, so that what is shown is what the next run will give.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from animeset_lib.errors import BusyError, InputError
from animeset_lib.records import RecordId, safe_name
from animeset_lib.run.store import append_line

__all__ = ["Decision", "DecisionLog", "about_faces", "about_frames", "digest_of"]


Kind = Literal["assign", "reject", "drop", "restore", "duplicate", "keep", "undo"]
FaceKind = Literal["assign", "reject", "drop", "restore"]
FrameKind = Literal["duplicate", "keep", "restore"]
Scope = Literal["group", "faces"]

_PATIENCE_S = 30.0


class Decision(BaseModel):
    """One decision about some faces or some stills, and one line of a log. Raises `ValueError` where the fields do not fit its kind.

    number        its line in the log, from 1
    time          when it was made, ISO 8601 in UTC with seconds
    kind          assign     these faces are `character` (so groups are renamed, merged and split, and single pictures moved)
                  reject     these faces are no character
                  drop       whoever it is, do not use these pictures; the faces keep their character, also through later assigns
                  duplicate  these stills show what others show: drop them
                  keep       these stills are no duplicates, whatever the program says
                  restore    forget what was decided about these faces, or these stills, before
                  undo       decision `undoes` does not count; to undo an undo is to redo
    words         one sentence for a person
    character     whom, in the form of `stages.names.character_name`; for assign only
    scope         group: the whole group was meant, and faces that are in its cluster later follow; faces: only those listed
    faces         region ids
    frames        still ids; a decision has these or faces, never both
    duplicate_of  for duplicate: the still that shows the same, if the person told which
    bearers       for assign: the faces that bore `character` already when it was decided, none where the name was new; None where nobody told.
                  They say whom a name like `character_01` meant, for the machine gives that one to somebody else when its groups change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    time: str
    kind: Kind
    words: str
    character: str | None = None
    undoes: int | None = Field(default=None, ge=1)
    scope: Scope = "faces"
    faces: tuple[RecordId, ...] = ()
    frames: tuple[RecordId, ...] = ()
    duplicate_of: RecordId | None = None
    bearers: tuple[RecordId, ...] | None = None

    @field_validator("time")
    @classmethod
    def _utc(cls, time: str) -> str:
        parsed = datetime.fromisoformat(time)
        if parsed.utcoffset() != timedelta(0) or not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", time):
            raise ValueError(f"the time {time!r} is not in UTC with seconds; expected e.g. 2025-12-31T23:59:59+00:00")
        return time

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for field, value, wanted in (
            ("character", self.character is not None, self.kind == "assign"),
            ("undoes", self.undoes is not None, self.kind == "undo"),
            ("faces", bool(self.faces), self.kind in ("assign", "reject", "drop")),
            ("frames", bool(self.frames), self.kind in ("duplicate", "keep")),
        ):
            if value != wanted and not (self.kind == "restore" and field in ("faces", "frames")):
                raise ValueError(f"{self.kind} needs {field}" if wanted else f"{self.kind} has no {field}")
        if self.kind == "restore" and bool(self.faces) == bool(self.frames):
            raise ValueError("restore needs faces or frames, and not both")
        if self.frames and self.scope != "faces":
            raise ValueError(f"{self.kind} of frames has no scope")
        if self.duplicate_of is not None and (self.kind != "duplicate" or self.duplicate_of in self.frames):
            raise ValueError(f"{self.kind} of {', '.join(self.frames)} cannot be a duplicate of {self.duplicate_of}")
        if self.bearers is not None and self.kind != "assign":
            raise ValueError(f"{self.kind} has no bearers")
        if self.undoes is not None and self.undoes >= self.number:
            raise ValueError(f"decision {self.number} undoes {self.undoes}, which does not come before it")
        if self.character is not None and not _is_name(self.character):
            raise ValueError(f"the character {self.character!r} is not a name as `character_name` makes them")
        return self

    @property
    def line(self) -> str:
        """Its line in the log, without the end of line; what its kind does not have is left out."""
        values = {key: value for key, value in self.model_dump(mode="json").items() if value is not None}
        if not self.faces:
            del values["scope"], values["faces"]
        if not self.frames:
            del values["frames"]
        return json.dumps(values, ensure_ascii=False)

    @property
    def effect(self) -> str:
        """`hana`, or what else it makes of its faces or stills, for sentences."""
        return self.character or {"reject": "not a character", "drop": "not to be used", "keep": "no duplicate"}.get(
            self.kind, self.kind
        )

    @property
    def named(self) -> str:
        """`decision 3 of 2025-12-31 23:59:59 UTC`, for sentences."""
        return f"decision {self.number} of {self.time[:10]} {self.time[11:19]} UTC"


def _is_name(text: str) -> bool:
    # The stages' own function decides; this room may not ask it, and only guards what will be a folder's name.
    return re.fullmatch(r"[^\W_]+(_[^\W_]+)*", text) is not None and text == safe_name(
        text.casefold(), fallback="character", max_length=40
    )


class DecisionLog:
    """The decisions about one film, one JSON object a line. Nothing is created before the first is made; a missing file is an empty log.

    Several processes may use one file: it is read anew whenever it has changed, and appended to under a lock that lies hidden beside it. A last line
    without its end, torn by a crash, does not count and is cut off by the next append. Any other line that is no decision raises
    `InputError`, from every member. Numbers must rise from line to line: a log this class wrote counts its lines, one with gaps (the
    published copy of the decisions that stood) can be read and gone on with. One object is for one thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._all: list[Decision] = []
        self._whole = 0

    @property
    def all(self) -> list[Decision]:
        """Every line, undone ones and undos included, in order."""
        self._read()
        return list(self._all)

    @property
    def standing(self) -> list[Decision]:
        """The decisions that count, in order: undos and what they undo are resolved and not in it."""
        return [decision for decision in _counting(self.all) if decision.kind != "undo"]

    @property
    def can_undo(self) -> str:
        """The words of the decision that `undo` would take back, "" when there is none."""
        return _to_undo(self.all)[1]

    @property
    def can_redo(self) -> str:
        """The words of the decision that `redo` would bring back, "" when there is none."""
        return _to_redo(self.all)[1]

    def add(
        self,
        kind: FaceKind,
        faces: Iterable[str],
        *,
        scope: Scope,
        character: str | None = None,
        words: str,
        bearers: Iterable[str] | None = None,
    ) -> Decision:
        """Append one decision about faces, on the disk when this returns; see `Decision` for the arguments. What was undone before can be redone
        no more.

        Raises `InputError` when they do not fit together or the file cannot be written, `BusyError` when another process keeps the lock; the log
        is unchanged then.
        """
        fields = {"kind": kind, "words": words, "character": character, "scope": scope}
        return self._decide({**fields, "faces": _once(faces), "bearers": None if bearers is None else _once(bearers)})

    def add_frames(
        self, kind: FrameKind, frames: Iterable[str], *, words: str, duplicate_of: str | None = None
    ) -> Decision:
        """Append one decision about stills; everything else as `add`."""
        return self._decide({"kind": kind, "words": words, "frames": _once(frames), "duplicate_of": duplicate_of})

    def undo(self) -> Decision | None:
        """Take the newest standing decision back; the line that was written, or None when there was nothing to undo. Raises as `add`."""
        return self._append(lambda decisions: _turning("undo", *_to_undo(decisions)))

    def redo(self) -> Decision | None:
        """Bring back what was undone last, unless something was decided since; the line that was written, or None. Raises as `add`."""
        return self._append(lambda decisions: _turning("redo", *_to_redo(decisions)))

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                seen = (status.st_ino, status.st_size, status.st_mtime_ns)
                if seen == self._seen:
                    return
                content = file.read()
        except FileNotFoundError:
            self._seen, self._all, self._whole = None, [], 0
            return
        except OSError as error:
            raise InputError(
                f"cannot read the decisions in {self.path}: {error}; make the file readable, or move it away to begin without decisions"
            ) from error
        whole = content.rfind(b"\n") + 1
        self._all = _parse(self.path, content[:whole])
        self._seen, self._whole = seen, whole

    def _decide(self, fields: dict[str, Any]) -> Decision:
        made = self._append(lambda decisions: fields)
        assert made is not None
        return made

    def _append(self, make: Callable[[Sequence[Decision]], dict[str, Any] | None]) -> Decision | None:
        """Add the decision that `make` gives the fields of, from all before it; nothing is written where it gives none."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_PATIENCE_S):
                self._read()
                fields = make(self._all)
                if fields is None:
                    return None
                number = self._all[-1].number + 1 if self._all else 1
                decision = Decision(number=number, time=_now(), **fields)
                append_line(self.path, decision.line, self._whole)
                self._seen = None
                return decision
        except Timeout:
            raise BusyError(
                f"another process has kept {self.path} locked for {_PATIENCE_S:.0f} s; nothing was saved, try again"
            ) from None
        except ValidationError as error:
            raise InputError(f"this is no decision that can be kept: {_first(error)}; nothing was saved") from error
        except OSError as error:
            raise InputError(
                f"cannot save the decision in {self.path}: {error}; nothing was saved. Make room on the disk or the folder writable, then try again"
            ) from error


def digest_of(standing: Sequence[Decision]) -> str:
    """SHA-256 of what standing decisions do, in order, without numbers, times and words; "" when there is none.

    Stages use that of the decisions that concern them, so that a name does not repeat the search for duplicates.
    """
    if not standing:
        return ""
    # decisions about faces have the form of the first release, for keys of stages that lie on disks are made of it
    effects = [
        [d.kind, d.faces, d.scope, d.character, d.bearers] if d.faces else [d.kind, d.frames, d.duplicate_of]
        for d in standing
    ]
    return hashlib.sha256(json.dumps(effects, ensure_ascii=True).encode()).hexdigest()


def about_faces(standing: Iterable[Decision]) -> tuple[Decision, ...]:
    """Those for the cast stage, in order."""
    return tuple(decision for decision in standing if decision.faces)


def about_frames(standing: Iterable[Decision]) -> tuple[Decision, ...]:
    """Those for the dedupe stage, in order."""
    return tuple(decision for decision in standing if decision.frames)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parse(path: Path, content: bytes) -> list[Decision]:
    decisions: list[Decision] = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            decision = Decision.model_validate_json(line)
            if decisions and decision.number <= decisions[-1].number:
                raise ValueError(f"number {decision.number} does not come after {decisions[-1].number}")
            if decision.undoes is not None and decision.undoes not in {d.number for d in decisions}:
                raise ValueError(f"undoes decision {decision.undoes}, which is not there")
        except ValueError as error:
            what = _first(error) if isinstance(error, ValidationError) else str(error)
            shown = line[:80].decode("utf-8", "replace")
            raise InputError(
                f"line {number} of {path} is no decision: {what}; expected a JSON object as this program writes them, got {shown!r}. Take the line "
                "out with a text editor, or move the file away to begin without decisions"
            ) from error
        decisions.append(decision)
    return decisions


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"


def _counting(decisions: Sequence[Decision]) -> list[Decision]:
    """Those that nothing undoes, undos included. Only later lines undo earlier ones, so from the end each one is known to count or not."""
    undone: set[int] = set()
    found = []
    for decision in reversed(decisions):
        if decision.number in undone:
            continue
        found.append(decision)
        if decision.undoes is not None:
            undone.add(decision.undoes)
    return found[::-1]


def _to_undo(decisions: Sequence[Decision]) -> tuple[int, str]:
    """Number and words of the newest decision that counts; 0 and "" when there is none."""
    return next(((d.number, d.words) for d in reversed(_counting(decisions)) if d.kind != "undo"), (0, ""))


def _to_redo(decisions: Sequence[Decision]) -> tuple[int, str]:
    """Number of the newest undo of a decision that counts and that no new decision came after, and the words of what it undid; else 0 and ""."""
    by_number = {d.number: d for d in decisions}
    newest = max((d.number for d in decisions if d.kind != "undo"), default=0)
    undos = [d for d in _counting(decisions) if d.undoes is not None and by_number[d.undoes].kind != "undo"]
    if not undos or undos[-1].number < newest:
        return 0, ""
    return undos[-1].number, by_number[undos[-1].undoes or 0].words


def _turning(verb: str, number: int, words: str) -> dict[str, Any] | None:
    """The fields of a line that undoes this number."""
    return {"kind": "undo", "words": f"{verb}: {words}", "undoes": number} if number else None


def _once(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))
