"""The cast of one film as a person has sorted it so far, and the words by which that person goes on sorting.

Shows what the next run will give: the machine's groups with the standing decisions laid over them by the same function that the run uses. The board
of the dashboard, FiftyOne and the command line decide through this one class, so that they mean the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animeset_lib.cast.cast import DECISIONS_FILE, CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.names import character_name, unused_names
from animeset_lib.cast.naming import Match, name_clusters
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.records import ClusterRow, Frame, Region
from animeset_lib.run.decisions import Decision, DecisionLog, about_faces, about_frames, digest_of
from animeset_lib.run.settling import Settled, settle
from animeset_lib.run.stage import Given, StageInfo, StageType
from animeset_lib.wording import counted

__all__ = ["NOISE", "REJECTED", "Face", "Sorting", "group_of"]

NOISE, REJECTED = "?noise", "?rejected"
"""Keys of the two groups that are no characters; no character can be called so."""


@dataclass(frozen=True)
class Face:
    """One face, where it was seen, its place among the machine's groups, and what it is by the decisions that stand."""

    region: Region
    frame: Frame
    cluster: ClusterRow
    now: Settled


class Sorting:
    """Faces of one film, grouped. Everything a person does is a decision in `log`; nothing else is changed. One object is for one thread."""

    def __init__(self, outputs: Given, log: DecisionLog) -> None:
        """`outputs` are those of the stages up to 3d_cast, by name."""
        self._outputs = outputs
        self._log = log
        self._stamp: object = None
        self._faces: dict[str, Face] = {}
        self._told: tuple[str, ...] = ()
        machine = outputs[CastStage].notes.machine_names
        self._names = {cluster: one.name for cluster, one in machine.items()}
        self._sources = {cluster: one.source for cluster, one in machine.items()}
        # A decision that uses an automatic name can move it from one cluster to another, so the next run's names are asked for anew.
        # Where this run's own cannot be had that way (names of a series whose characters are not in this film), they stay as they are.
        self._fresh = self._name(DecisionLog(outputs[CastStage].path / DECISIONS_FILE).standing) == self._names

    @property
    def changed(self) -> bool:
        """Whether something was decided that the stages on the disk do not know yet."""
        standing = self._log.standing
        return self._unknown_to(CastStage, about_faces(standing)) or self._unknown_to(
            DedupeStage, about_frames(standing)
        )

    def _unknown_to(self, stage: StageType, decisions: Sequence[Decision]) -> bool:
        if stage not in self._outputs:
            return False
        info: StageInfo = self._outputs[stage].info
        return digest_of(decisions) != info.fingerprint.get("decisions", "")

    @property
    def faces(self) -> dict[str, Face]:
        """Region id → face, as the decisions make it now."""
        self._settle()
        return self._faces

    @property
    def groups(self) -> dict[str, list[str]]:
        """Character, `NOISE` or `REJECTED` → its faces, surest first."""
        found: dict[str, list[str]] = {}
        for id, face in self.faces.items():
            found.setdefault(group_of(face.now), []).append(id)
        for members in found.values():
            members.sort(key=lambda id: (-self._faces[id].cluster.confidence, id))
        return found

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences about conflicts between decisions, and about faces that follow their group."""
        self._settle()
        return self._told

    def rename(self, group: str, name: str) -> str:
        """Give a whole group a name, which becomes its trigger word; a name that is taken joins the two. Returns the name as it is written.

        Raises `InputError` for a name without letters or digits, or a group that is not there.
        """
        chosen = character_name(name)
        members = self._members(group)
        if chosen == group:
            return chosen
        self._log.add(
            "assign",
            members,
            scope="group",
            character=chosen,
            words=f"{_words(group)} → {chosen} ({len(members)})",
            bearers=self._bearers(chosen),
        )
        return chosen

    def merge(self, groups: Sequence[str], into: str) -> None:
        """All faces of `groups` become `into`."""
        members = [face for group in groups if group != into for face in self._members(group)]
        self._members(into)
        if members:
            names = ", ".join(_words(group) for group in groups if group != into)
            self._log.add(
                "assign",
                members,
                scope="group",
                character=into,
                words=f"{names} → {into} ({len(members)})",
                bearers=self._bearers(into),
            )

    def move(self, faces: Sequence[str], to: str) -> str:
        """Single faces to a character: one that is there, a new name, or, with an empty `to`, a new character without a name. Returns its name."""
        here = self._known(faces)
        target = character_name(to) if to.strip() else next(unused_names(self._taken()))
        self._log.add(
            "assign",
            here,
            scope="faces",
            character=target,
            words=f"{counted(len(here), 'face')} → {target}",
            bearers=self._bearers(target),
        )
        return target

    def reject(self, faces: Sequence[str], group: str | None = None) -> None:
        """These faces, or a whole group, are no character."""
        here = self._members(group) if group is not None else self._known(faces)
        what = f"{_words(group)} ({len(here)})" if group is not None else counted(len(here), "face")
        self._log.add("reject", here, scope="faces" if group is None else "group", words=f"{what}: not a character")

    def drop(self, faces: Sequence[str]) -> None:
        """Do not use these pictures; they stay with their character."""
        here = self._known(faces)
        self._log.add("drop", here, scope="faces", words=f"{counted(len(here), 'face')}: not to be used")

    def restore(self, faces: Sequence[str]) -> None:
        """Forget what was decided about these faces."""
        here = self._known(faces)
        self._log.add("restore", here, scope="faces", words=f"{counted(len(here), 'face')}: as the program sorted them")

    def undo(self) -> None:
        self._log.undo()

    def redo(self) -> None:
        self._log.redo()

    def _settle(self) -> None:
        standing = self._log.standing
        stamp = tuple(decision.number for decision in standing)
        if stamp == self._stamp:
            return
        clusters: list[ClusterRow] = self._outputs[ClusterStage].kept
        if self._fresh:
            self._names = self._name(standing)
        settled = settle(
            [row.id for row in clusters], [row.cluster for row in clusters], self._names, self._sources, standing
        )
        regions, frames = self._outputs[DetectStage].by_id, self._outputs[ExtractStage].by_id
        self._faces = {
            row.id: Face(regions[row.id], frames[regions[row.id].frame_id], row, now)
            for row, now in zip(clusters, settled.faces, strict=True)
        }
        self._told = settled.told
        self._stamp = stamp

    def _name(self, standing: Sequence[Decision]) -> dict[int, str]:
        """Cluster → what the machine calls it under these decisions, as far as that can be told from this film alone."""
        named = {
            cluster: Match(cluster, self._names[cluster], source, 1.0)
            for cluster, source in self._sources.items()
            if source != "cluster"
        }
        taken = [match.name for match in named.values()]
        notes = self._outputs[CastStage].notes
        return name_clusters(self._outputs[ClusterStage].kept, named, taken, standing, notes.borne, notes.given)

    def _members(self, group: str) -> list[str]:
        self._settle()
        found = [face for face, one in self._faces.items() if group_of(one.now) == group]
        if not found:
            raise InputError(f"the group {_words(group)} is not there any more; look at the board again")
        return found

    def _known(self, faces: Sequence[str]) -> list[str]:
        self._settle()
        here = [face for face in dict.fromkeys(faces) if face in self._faces]
        if not here:
            raise InputError("none of the chosen faces is in this film any more; choose again")
        return here

    def _bearers(self, name: str) -> list[str]:
        self._settle()
        return [face for face, one in self._faces.items() if one.now.character == name]

    def _taken(self) -> set[str]:
        self._settle()
        return {one.now.character for one in self._faces.values() if one.now.character} | set(self._names.values())


def group_of(now: Settled) -> str:
    """The key of the group that a face is in."""
    if now.dropped == "not_a_character":
        return REJECTED
    return now.character or NOISE


def _words(group: str) -> str:
    return {NOISE: "unsorted faces", REJECTED: "faces that are no character"}.get(group, group)
