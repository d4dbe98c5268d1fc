"""The cast of one film for a person to sort, in the form that the page shows: groups of faces, a map, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from animeset_lib.cast.names import is_automatic
from animeset_lib.cast.sorting import NOISE, REJECTED, Sorting, group_of
from animeset_lib.dashboard.pictures import file_uri, framed, thumbnail
from animeset_lib.errors import InputError
from animeset_lib.pipeline.cast_pack import CastPack, open_pack
from animeset_lib.run.decisions import DecisionLog

__all__ = ["CastBoard"]

_BIG_PX = 1100


class CastBoard(Sorting):
    """The sorting of one film with its pictures, in the form that the page shows."""

    def __init__(self, pack: CastPack, film_work: Path, log: DecisionLog) -> None:
        """`film_work`, which need not be there: whole stills are shown from it."""
        super().__init__(pack.outputs, log)
        self._pack = pack
        self._film_work = film_work

    @classmethod
    def open(cls, place: Path, film_work: Path, decisions: Path) -> CastBoard | None:
        """The board on the film's cast pack in `place`; None where there is none."""
        pack = open_pack(place)
        return None if pack is None else cls(pack, film_work, DecisionLog(decisions))

    @property
    def folder(self) -> Path:
        """Of the sorting that is shown; another one after a run with other settings."""
        return self._pack.folder

    def state(self) -> dict[str, Any]:
        """For the page. `faces` are parallel lists; `groups` name their members by place in them, surest first."""
        self._settle()
        ids, faces = list(self._faces), list(self._faces.values())
        groups: dict[str, list[int]] = {}
        for place, face in enumerate(faces):
            groups.setdefault(group_of(face.now), []).append(place)

        def place_of(key: str) -> tuple[int, int, int, str]:
            """By the cluster that most of it is from, in the machine's order: a group that is renamed or loses a face stays where it was."""
            clusters = Counter(faces[member].cluster.cluster for member in groups[key])
            first = min(clusters, key=lambda cluster: (cluster < 0, -clusters[cluster], cluster))
            last = {NOISE: 1, REJECTED: 2}.get(key, 0)
            return last, first if first >= 0 else len(faces), -len(groups[key]), key

        shown: list[dict[str, Any]] = []
        for key in sorted(groups, key=place_of):
            members = sorted(groups[key], key=lambda place: (-faces[place].cluster.confidence, ids[place]))
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

    def pictures(self, ids: Iterable[str]) -> dict[str, str]:
        """Region id → its head as a small picture in a `data:` address; unknown ids are left out, unreadable ones are empty."""
        # as they were last shown: this runs beside the page's own thread, and the log is for one thread
        return {face: file_uri(self._pack.head(face)) for face in ids if face in self._faces}

    def big(self, face: str) -> dict[str, Any]:
        """The whole still with the face framed where it is kept (`still`), else the head; its time and what is known of it.

        Raises `InputError` for an unknown face.
        """
        one = self._faces.get(face)
        if one is None:
            raise InputError("this face is not in the film any more; look at the board again")
        stills, src = self._pack.stills(self._film_work), ""
        if stills is not None:
            src = thumbnail(stills / one.frame.file, _BIG_PX, (framed, one.region.face))
        return {
            "id": face,
            "src": src or file_uri(self._pack.head(face)),
            "still": bool(src),
            "time_ms": one.frame.pts_ms,
            "confidence": round(one.cluster.confidence, 2),
            "character": one.now.character or "",
            "why": one.now.why or one.cluster.why,
        }
