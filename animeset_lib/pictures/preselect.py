"""Which figures of a character are worth finishing, and in which framing: many → few, diverse, deterministic. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from animeset_lib.records import Box, Framing

__all__ = ["FigureCandidate", "assign_framings", "preselect"]

# What counts when the next figure is chosen: how different it looks, how far away in time it is, how good it is. Sum 1.
_LOOK, _TIME, _GOOD = 0.4, 0.2, 0.4
# Two framings of one figure that overlap more than this are one picture.
_SAME_BOX = 0.65


@dataclass(frozen=True)
class FigureCandidate:
    """One figure. `score` is 0..1, all in all; `vector` its identity vector of length 1."""

    id: str
    shot: int
    pts_ms: int
    score: float
    vector: npt.NDArray[np.float32]


def preselect(candidates: Sequence[FigureCandidate], limit: int) -> list[str]:
    """Ids of at most `limit` candidates, most useful first; the same for any order of `candidates`, and a longer list begins with the shorter one.

    Greedy: the best one, then always the one that is best in itself and farthest from all chosen ones in looks (cosine distance of the
    identity vectors) and time. While other shots have something to offer, no shot gives more than two pictures more than they.
    Distance counts only up to that of two ordinary pictures, so that outliers, which often are another character, are not sought.
    """
    pool = sorted(candidates, key=lambda c: c.id)
    if not pool or limit < 1:
        return []
    vectors = np.stack([c.vector for c in pool]).astype(np.float64)
    times = np.array([c.pts_ms for c in pool], np.float64)
    scores = np.array([c.score for c in pool], np.float64)
    shots = [c.shot for c in pool]
    # twice the median distance from the middle: what two ordinary pictures of this character differ by
    middle = vectors.mean(axis=0)
    usual = max(1e-6, 2 * float(np.median(1 - vectors @ middle / max(float(np.linalg.norm(middle)), 1e-6))))
    spacing = max(1.0, float(np.ptp(times)) / len(pool))
    look = np.full(len(pool), np.inf)
    gap = np.full(len(pool), np.inf)
    free = np.ones(len(pool), np.bool_)
    taken: Counter[int] = Counter()
    chosen: list[int] = []
    while len(chosen) < min(limit, len(pool)):
        fewest = min(taken[shot] for shot, is_free in zip(shots, free, strict=True) if is_free)
        in_turn = free & np.array([taken[shot] <= fewest + 1 for shot in shots])
        value = _LOOK * np.minimum(1, look / usual) + _TIME * np.minimum(1, gap / (4 * spacing)) + _GOOD * scores
        # rounded, so that another processor's last bit does not choose another picture
        best = int(np.where(in_turn, value.round(6), -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        taken[shots[best]] += 1
        look = np.minimum(look, 1 - vectors @ vectors[best])
        gap = np.minimum(gap, np.abs(times - times[best]))
    return [pool[i].id for i in chosen]


def assign_framings(
    options: Sequence[Mapping[Framing, Box]],
    poor: Sequence[frozenset[Framing]],
    shares: Mapping[Framing, float],
    target: int,
) -> list[list[Framing]]:
    """The framings each figure gets, aligned with `options`: one each where it has any, then more until `target` pictures are planned.

    options  what each figure allows, with the boxes; best figure first.
    poor     which of these would stay far below the training size; used only by figures that have nothing else.
    shares   wanted share of each framing, 0..1; a framing with share 0 is never used, unless all are 0, which means no preference.
    target   number of pictures to plan; no figure gets a framing twice, or two nearly equal boxes.
    """
    wanted = {framing: share for framing, share in shares.items() if share > 0} or dict.fromkeys(shares, 1.0)
    total = sum(wanted.values())
    usable = [[f for f in boxes if f in wanted and f not in bad] for boxes, bad in zip(options, poor, strict=True)]
    usable = [good or [f for f in boxes if f in wanted] for good, boxes in zip(usable, options, strict=True)]
    result: list[list[Framing]] = [[] for _ in options]
    planned: Counter[Framing] = Counter()
    goal = max(target, sum(bool(few) for few in usable))

    def missing(framing: Framing) -> float:
        return wanted[framing] / total * goal - planned[framing]

    def take(index: int, framing: Framing) -> None:
        result[index].append(framing)
        planned[framing] += 1

    # who has least choice chooses first
    for index in sorted(range(len(options)), key=lambda i: (len(usable[i]), i)):
        if usable[index]:
            take(index, max(usable[index], key=missing))
    while sum(planned.values()) < target:
        more = [
            (-missing(framing), len(result[index]), index, framing)
            for index, few in enumerate(usable)
            for framing in few
            if framing not in result[index]
            and all(options[index][framing].iou(options[index][f]) <= _SAME_BOX for f in result[index])
        ]
        if not more:
            break
        _, _, index, framing = min(more)
        take(index, framing)
    return result
