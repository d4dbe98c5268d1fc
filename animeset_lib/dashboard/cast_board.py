"""The cast of one film for a person to sort: groups of faces, a map, and what the person says of them, kept at once as decisions.

Shows what the next run will give: the machine's groups with the standing decisions laid over them by the same function that the run uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.dashboard.pictures import Thumbnails, face_picture, framed
from animeset_lib.dashboard.stages_on_disk import stages_with
from animeset_lib.errors import InputError
from animeset_lib.records import ClusterRow, Frame, Region
from animeset_lib.review.decisions import Decision, DecisionLog, Settled, settle
from animeset_lib.run.stage import Output
from animeset_lib.stages.cast import DECISIONS_FILE, Match, name_clusters
from animeset_lib.stages.names import character_name, is_automatic, unused_names

__all__ = ["CastBoard"]

_PX = 112
_BIG_PX = 1100
NOISE, REJECTED = "?noise", "?rejected"
"""Keys of the two groups that are no characters; no character can be called so."""


@dataclass(frozen=True)
class _Face:
    region: Region
    frame: Frame
    cluster: ClusterRow
    now: Settled


class CastBoard:
    """Faces of one film, grouped. Everything a person does is a decision in `log`; nothing else is changed."""

    def __init__(self, outputs: dict[str, Output], log: DecisionLog, thumbs: Thumbnails) -> None:
        """`outputs` are those of the stages up to 3d_cast, by name."""
        self._outputs = outputs
        self._log = log
        self._thumbs = thumbs
        self._stamp: object = None
        self._faces: dict[str, _Face] = {}
        self._told: tuple[str, ...] = ()
        machine = outputs["3d_cast"].info["notes"]["machine_names"]
        self._names = {int(cluster): name for cluster, (name, _) in machine.items()}
        self._sources = {int(cluster): source for cluster, (_, source) in machine.items()}
        # A decision that uses an automatic name can move it from one cluster to another, so the next run's names are asked for anew.
        # Where this run's own cannot be had that way (names of a series whose characters are not in this film), they stay as they are.
        self._fresh = self._name(DecisionLog(outputs["3d_cast"].path / DECISIONS_FILE).standing) == self._names

    @classmethod
    def open(cls, film_work: Path, decisions: Path, thumbs: Thumbnails) -> CastBoard | None:
        """The board of the film whose work folder is given; None where no finished sorting is kept."""
        outputs = stages_with(film_work, "3d_cast")
        return None if outputs is None else cls(outputs, DecisionLog(decisions), thumbs)

    @property
    def folder(self) -> Path:
        """Of the sorting that is shown; another one after a run with other settings."""
        return self._outputs["3d_cast"].path

    @property
    def changed(self) -> bool:
        """Whether something was decided that the sorting on the disk does not know yet."""
        return bool(self._log.digest != self._outputs["3d_cast"].info["fingerprint"].get("decisions", ""))

    def state(self) -> dict[str, Any]:
        """For the page. `faces` are parallel lists; `groups` name their members by place in them, surest first."""
        self._settle()
        ids = list(self._faces)
        groups: dict[str, list[int]] = {}
        for place, face in enumerate(self._faces.values()):
            groups.setdefault(_group(face.now), []).append(place)
        faces = list(self._faces.values())
        shown: list[dict[str, Any]] = []
        for key, members in groups.items():
            members.sort(key=lambda place: (-faces[place].cluster.confidence, ids[place]))
            sure = [faces[place].cluster.confidence for place in members]
            shown.append(
                {
                    "key": key,
                    "kind": {NOISE: "noise", REJECTED: "rejected"}.get(key, "character"),
                    "automatic": is_automatic(key),
                    "members": members,
                    "confidence": round(sum(sure) / len(sure), 2),
                    "sources": dict(Counter(faces[place].now.source for place in members)),
                }
            )
        order = {"character": 0, "noise": 1, "rejected": 2}

        def place_of(group: dict[str, Any]) -> tuple[int, int, int, str]:
            """By the cluster that most of it is from, in the machine's order: a group that is renamed or loses a face stays where it was."""
            clusters = Counter(faces[member].cluster.cluster for member in group["members"])
            first = min(clusters, key=lambda cluster: (cluster < 0, -clusters[cluster], cluster))
            first = first if first >= 0 else len(faces)
            return order[group["kind"]], first, -len(group["members"]), group["key"]

        shown.sort(key=place_of)
        return {
            "ids": ids,
            "x": [round(face.cluster.x, 2) for face in faces],
            "y": [round(face.cluster.y, 2) for face in faces],
            "confidence": [round(face.cluster.confidence, 2) for face in faces],
            "time_ms": [face.frame.pts_ms for face in faces],
            "dropped": [place for place, face in enumerate(faces) if face.now.dropped == "by_hand"],
            "groups": shown,
            "can_undo": self._log.can_undo,
            "can_redo": self._log.can_redo,
            "decisions": len(self._log.standing),
            "file": self._log.path.name,
            "told": list(self._told),
        }

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
            words=f"{_count(here)} → {target}",
            bearers=self._bearers(target),
        )
        return target

    def reject(self, faces: Sequence[str], group: str | None = None) -> None:
        """These faces, or a whole group, are no character."""
        here = self._members(group) if group is not None else self._known(faces)
        what = f"{_words(group)} ({len(here)})" if group is not None else _count(here)
        self._log.add("reject", here, scope="faces" if group is None else "group", words=f"{what}: not a character")

    def drop(self, faces: Sequence[str]) -> None:
        """Do not use these pictures; they stay with their character."""
        here = self._known(faces)
        self._log.add("drop", here, scope="faces", words=f"{_count(here)}: not to be used")

    def restore(self, faces: Sequence[str]) -> None:
        """Forget what was decided about these faces."""
        here = self._known(faces)
        self._log.add("restore", here, scope="faces", words=f"{_count(here)}: as the program sorted them")

    def undo(self) -> None:
        self._log.undo()

    def redo(self) -> None:
        self._log.redo()

    def pictures(self, ids: Iterable[str]) -> dict[str, str]:
        """Region id → its head as a small picture in a `data:` address; unknown ids are left out, unreadable ones are empty."""
        faces = (
            self._faces
        )  # as they were last shown: this runs beside the page's own thread, and the log is for one thread
        wanted = [faces[face] for face in ids if face in faces]
        found = {}
        # faces of one still one after the other, so that it is read once
        for face in sorted(wanted, key=lambda face: face.frame.id):
            found[face.region.id] = self._picture(face, "head", _PX, face_picture)
        return found

    def big(self, face: str) -> dict[str, Any]:
        """The whole still with the face framed, its time and what is known of it. Raises `InputError` for an unknown face."""
        one = self._faces.get(face)
        if one is None:
            raise InputError("this face is not in the film any more; look at the board again")
        return {
            "id": face,
            "src": self._picture(one, "framed", _BIG_PX, framed),
            "time_ms": one.frame.pts_ms,
            "confidence": round(one.cluster.confidence, 2),
            "character": one.now.character or "",
            "why": one.now.why or one.cluster.why,
        }

    def _picture(self, face: _Face, what: str, px: int, cut: Callable[[Any, Any], Any]) -> str:
        path = self._outputs["1_extract"].path / face.frame.file
        return self._thumbs.get(path, (what, face.region.id), px, lambda still: cut(still, face.region.face))

    def _settle(self) -> None:
        standing = self._log.standing
        stamp = tuple(decision.number for decision in standing)
        if stamp == self._stamp:
            return
        clusters: list[ClusterRow] = self._outputs["3c_cluster"].kept
        if self._fresh:
            self._names = self._name(standing)
        settled = settle(
            [row.id for row in clusters], [row.cluster for row in clusters], self._names, self._sources, standing
        )
        regions, frames = self._outputs["3a_detect"].by_id, self._outputs["1_extract"].by_id
        self._faces = {
            row.id: _Face(regions[row.id], frames[regions[row.id].frame_id], row, now)
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
        return name_clusters(self._outputs["3c_cluster"].kept, named, taken, standing)

    def _members(self, group: str) -> list[str]:
        self._settle()
        found = [face for face, one in self._faces.items() if _group(one.now) == group]
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


def _group(now: Settled) -> str:
    if now.dropped == "not_a_character":
        return REJECTED
    return now.character or NOISE


def _words(group: str) -> str:
    return {NOISE: "unsorted faces", REJECTED: "faces that are no character"}.get(group, group)


def _count(faces: Sequence[str]) -> str:
    return "1 face" if len(faces) == 1 else f"{len(faces)} faces"
