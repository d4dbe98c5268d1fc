"""One figure through the stills of one shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from animeset_lib.records import Box

__all__ = ["TrackedFace", "link_tracks", "split_outliers"]

_BY_OVERLAP = 0.6
"""What a full overlap of the face boxes is worth, in units of `same_distance`: a face in the same place of the same shot may look that much
different (turned, mouth open, eyes shut) and still be the same figure."""
_BY_MOTION = 0.25
"""What each face size of movement or factor of e in scale costs, in the same units. Stills are up to seconds apart, so figures do move."""
_FAR = 4.0
"""Movement counts up to this many face sizes: across the whole picture is no worse than across half of it."""
_OUTSIDE = 1.25
"""A member of a track may be this many `same_distance` from its robust mean: the shot vouches for what the look alone would not."""
_ALIEN = 1.5
"""Never link heads further apart than this many `same_distance`, whatever the place: the shot boundary between them was missed."""


@dataclass(frozen=True)
class TrackedFace:
    """One face in one still; `vector` is `(D,)` of length 1."""

    shot: int
    pts_ms: int
    frame_id: str
    face: Box
    vector: npt.NDArray[np.float32]


@dataclass
class _Track:
    number: int
    last: TrackedFace
    total: npt.NDArray[np.float64]


def link_tracks(sightings: Sequence[TrackedFace], same_distance: float, gap_ms: int) -> npt.NDArray[np.int64]:
    """`(N,)` track numbers from 0, row-aligned with `sightings`, which may come in any order.

    Inside a shot, still after still, faces are matched to the tracks seen at most `gap_ms` ago so that the sum of costs is least
    (Hungarian method): distance of the heads to the nearer of the track's last and mean head, less for overlap, more for movement.
    A pair that costs more than one `same_distance` is not linked. A track never holds two faces of one still.
    """
    from scipy.optimize import linear_sum_assignment

    numbers = np.full(len(sightings), -1, dtype=np.int64)
    order = sorted(
        range(len(sightings)), key=lambda i: (sightings[i].shot, sightings[i].pts_ms, sightings[i].frame_id, i)
    )
    count = 0
    for _, in_shot in groupby(order, key=lambda i: sightings[i].shot):
        active: list[_Track] = []
        for _, in_still in groupby(in_shot, key=lambda i: (sightings[i].pts_ms, sightings[i].frame_id)):
            here = list(in_still)
            now = sightings[here[0]].pts_ms
            active = [track for track in active if now - track.last.pts_ms <= gap_ms]
            cost = np.array([[_cost(track, sightings[i], same_distance) for i in here] for track in active])
            taken: dict[int, _Track] = {}
            if cost.size:
                # An impossible pair costs more than all possible ones together, so it is only ever chosen for want of a better.
                rows, columns = linear_sum_assignment(np.where(cost <= 1.0, cost, 10.0 * (1 + max(cost.shape))))
                taken = {
                    here[column]: active[row]
                    for row, column in zip(rows, columns, strict=True)
                    if cost[row, column] <= 1.0
                }
            for i in here:
                track = taken.get(i)
                if track is None:
                    track = _Track(count, sightings[i], np.zeros(len(sightings[i].vector)))
                    active.append(track)
                    count += 1
                track.last = sightings[i]
                track.total += sightings[i].vector
                numbers[i] = track.number
    return numbers


def _cost(track: _Track, seen: TrackedFace, same_distance: float) -> float:
    """About 0 for the same drawing in the same place, 1 where two figures become as likely as one."""
    mean = track.total / max(float(np.linalg.norm(track.total)), 1e-9)
    head = 1.0 - max(float(mean @ seen.vector), float(track.last.vector @ seen.vector))
    if head > _ALIEN * same_distance:
        return np.inf
    old, new = track.last.face, seen.face
    size = (old.area * new.area) ** 0.25
    moved = float(np.hypot(old.center[0] - new.center[0], old.center[1] - new.center[1])) / size
    scaled = abs(float(np.log(new.area / old.area))) / 2
    return float(head / same_distance - _BY_OVERLAP * old.iou(new) + _BY_MOTION * min(moved + scaled, _FAR))


def split_outliers(
    numbers: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], same_distance: float
) -> npt.NDArray[np.int64]:
    """Track numbers → unit numbers from 0, in order of the tracks: members too far from their track's robust mean stand on their own.

    The robust mean is taken over the half that is nearest to the track's medoid; the limit is 1.25 `same_distance`. It catches a track that went
    over from one figure to another little by little, and a face hidden behind a hand.
    """
    units = np.empty(len(numbers), dtype=np.int64)
    count = 0
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        members = vectors[rows]
        if len(rows) > 2:
            # The medoid by distance to the sum: exact for cosine distances, without a matrix.
            medoid = members[int((members @ members.sum(axis=0)).argmax())]
            near = np.argsort(1.0 - members @ medoid, kind="stable")[: (len(rows) + 1) // 2]
            mean = members[near].sum(axis=0)
            outside = 1.0 - members @ (mean / max(float(np.linalg.norm(mean)), 1e-9)) > _OUTSIDE * same_distance
        else:
            outside = np.zeros(len(rows), dtype=bool)
        units[rows[~outside]] = count
        count += 1
        for row in rows[outside]:
            units[row] = count
            count += 1
    return units
