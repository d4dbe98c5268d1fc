"""Decisions by words, as the command line and notebooks make them: what is there, and one decision at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from animeset_lib.cast.names import character_name
from animeset_lib.cast.sorting import NOISE, REJECTED, Sorting
from animeset_lib.errors import InputError, SettingsError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.pipeline.cast_pack import open_pack
from animeset_lib.run.decisions import DecisionLog, FrameKind
from animeset_lib.run.settling import settle_frames
from animeset_lib.wording import counted

__all__ = ["Deciding"]

_TAKES = {
    "name": (2, "a GROUP or FACE..., then the NAME"),
    "merge": (2, "GROUP..., then the GROUP that they are"),
    "not-a-character": (1, "GROUP... or FACE..."),
    "drop": (1, "FACE..."),
    "restore": (1, "FACE... or STILL..."),
    "duplicate": (1, "STILL..."),
    "keep": (1, "STILL..."),
    "undo": (0, "nothing else"),
    "redo": (0, "nothing else"),
}
"""What can be decided, of how many things at least, and of which."""


class Deciding:
    """What a person may decide about one film, by names of groups and ids of faces and stills. One object is for one thread."""

    def __init__(self, pack: Path, decisions: Path) -> None:
        """`pack` is the film's cast pack, which need not be there; `decisions` the file of its log. Without a pack nothing can be decided, but
        undone and redone."""
        self._log = DecisionLog(decisions)
        self._film = pack.stem
        found = open_pack(pack)
        self._sorting = Sorting(found.outputs, self._log) if found is not None else None
        self._stills: Mapping[str, Any] = found.outputs[DedupeStage].by_id if found is not None else {}

    def state(self) -> dict[str, Any]:
        """JSON-able: `groups` are name → face ids, `noise` and `not_a_character` among them; `stills` are those decided about, id → effect;
        `decisions` the standing ones; `undo` and `redo` the words of what these would turn; `told` sentences about conflicts."""
        names = {NOISE: "noise", REJECTED: "not_a_character"}
        frames = settle_frames(self._stills, self._log.standing)
        groups = self._sorting.groups if self._sorting is not None else {}
        return {
            "file": str(self._log.path),
            "groups": {names.get(group, group): members for group, members in sorted(groups.items())},
            "stills": {frame: decision.effect for frame, decision in sorted(frames.decided.items())},
            "decisions": [{"number": d.number, "time": d.time, "words": d.words} for d in self._log.standing],
            "undo": self._log.can_undo,
            "redo": self._log.can_redo,
            "told": [*(self._sorting.told if self._sorting is not None else ()), *frames.told],
        }

    def decide(self, what: str, things: Sequence[str] = (), *, duplicate_of: str | None = None) -> str:
        """Append one decision to the log; its words, "" where there was nothing to undo, redo or change.

        name               GROUP or FACE..., then the NAME
        merge              GROUP..., then the GROUP that they are
        not-a-character    GROUP..., or FACE...
        drop               FACE...: do not use these pictures
        restore            FACE... or STILL...: as the program had it
        duplicate, keep    STILL...; `duplicate_of` is the still that shows the same, if you like

        Raises `SettingsError` for a word that is none of these or too few things, `InputError` for things that are not there; nothing is decided
        then.
        """
        if what not in _TAKES:
            raise SettingsError(f"'{what}' is nothing that can be decided; expected list or one of {', '.join(_TAKES)}")
        least, takes = _TAKES[what]
        if len(things) < least or (least == 0 and things):
            raise SettingsError(f"{what} takes {takes}; got {' '.join(things) or 'nothing'}")
        if duplicate_of is not None and what != "duplicate":
            raise SettingsError(f"--of says which still a duplicate shows again; it does not go with {what}")
        if what in ("undo", "redo"):
            words = self._log.can_undo if what == "undo" else self._log.can_redo
            done = self._log.undo() if what == "undo" else self._log.redo()
            return f"{what}: {words}" if done is not None else ""
        before = len(self._log.all)
        kind: FrameKind | None = next((kind for kind in get_args(FrameKind) if kind == what), None)
        if kind is not None and (kind != "restore" or all(thing in self._stills for thing in things)):
            self._about_stills(kind, things, duplicate_of)
        else:
            self._about_faces(what, list(things))
        made = self._log.all[before:]
        return "; ".join(decision.words for decision in made)

    def _about_stills(self, kind: FrameKind, frames: Sequence[str], duplicate_of: str | None) -> None:
        if not self._stills:
            raise self._unsorted()
        for frame in [*frames, *([duplicate_of] if duplicate_of is not None else [])]:
            if frame not in self._stills:
                raise InputError(
                    f"there is no still {frame} in {self._film}; ids are <film>-<time in ms, 9 digits>, such as {next(iter(self._stills))}"
                )
        count = counted(len(set(frames)), "still")
        of = f" of {duplicate_of}" if duplicate_of is not None else ""
        words = {
            "duplicate": f"{count}: duplicate{of}",
            "keep": f"{count}: no duplicate",
            "restore": f"{count}: as the program chose",
        }
        self._log.add_frames(kind, frames, words=words[kind], duplicate_of=duplicate_of)

    def _about_faces(self, what: str, things: list[str]) -> None:
        sorting = self._sorting
        if sorting is None:
            raise self._unsorted()
        target = things.pop() if what in ("name", "merge") else ""
        groups = [self._group(thing) for thing in things if thing not in sorting.faces]
        faces = [thing for thing in things if thing in sorting.faces]
        if what == "merge":
            if faces:
                raise InputError(
                    f"{faces[0]} is a face; merge takes groups. Single faces are moved with `name {faces[0]} {target}`"
                )
            sorting.merge(groups, self._group(target))
            return
        if groups and what in ("drop", "restore"):
            raise InputError(f"{what} takes faces, and {groups[0]} is a group; `list --json` names its faces")
        if groups and faces:
            raise InputError("groups and single faces cannot be decided about at once; make it two decisions")
        if what == "name":
            if len(groups) > 1:
                raise InputError(
                    f"name takes one group, got {', '.join(groups)}; to join several: merge {' '.join(groups)}"
                )
            character_name(target)
            if groups:
                sorting.rename(groups[0], target)
            else:
                sorting.move(faces, target)
        elif what == "not-a-character":
            for group in groups:
                sorting.reject([], group)
            if faces:
                sorting.reject(faces)
        elif what == "drop":
            sorting.drop(faces)
        else:
            sorting.restore(faces)

    def _unsorted(self) -> InputError:
        return InputError(f"{self._film} was not sorted yet; run the film, --until cast is enough")

    def _group(self, name: str) -> str:
        assert self._sorting is not None
        groups = self._sorting.groups
        key = name if name in groups else {"noise": NOISE, "not_a_character": REJECTED}.get(name, name)
        if key not in groups:
            raise InputError(
                f"there is no group, face or still {name} in {self._film}; the groups are {', '.join(self.state()['groups'])}"
            )
        return key
