"""Which of a character's crops make its set: many candidates → a short, diverse, ranked list, and a reason for every one, chosen or not.

Greedy facility location (`facility_location.py`) under rules: one odd picture (an outlier is often a wrong face) cannot push its way in as it would
with k-centre.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.dataset.facility_location import FacilityLocation, best_of
from animeset_lib.pictures.framing import FRAMINGS
from animeset_lib.records import Framing, Reason
from animeset_lib.settings import DatasetSettings, Mix
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = ["NOT_SELECTED", "THUMB_PX", "PictureCandidate", "Selected", "choose"]

NOT_SELECTED = Reason("Not selected", "Nicht ausgewählt", "The chosen ones show what it shows.")
THUMB_PX = 64
"""Side of the thumbnails that are compared."""
_SHIFT_PX = 4
"""Thumbnails are laid on each other as well as they fit within this many pixels: the detector's box is never quite in the same place."""
_CELL_PX = 8
"""Side of the parts of a thumbnail whose mean colours are compared. On drawn faces a box 1-4 % off gives differences up to 0.04 between
equal pictures, slight lip movement 0.02 to 0.04, another expression 0.08 to 0.3."""

Matrix = npt.NDArray[np.float32]

# What makes two crops alike. A part that cannot be compared (looks across framings, an attribute nobody measured, tags that all crops share)
# is left out, and the others count for more. Framing counts little, for the planned mix sees to it. Set by what the first 8, 12 and 20 of the
# demo film's crops cover (`benchmarks/selection.py`).
_PARTS = {
    "look": 0.25,
    "identity": 0.05,
    "tags": 0.10,
    "framing": 0.05,
    "time": 0.15,
    "outfit": 0.15,
    "emotion": 0.20,
    "view": 0.10,
    "background": 0.05,
}
_NOT_KNOWN = 0.5
"""Likeness of two attributes when one or both are unknown."""
_LOOK_RANGE = 0.25
"""Root mean square difference of two thumbnails (0..1) from which on they have nothing in common; unrelated pictures lie around it."""
_WORTH_ALIGNING = 0.15
"""Thumbnails further apart than this (as in `_LOOK_RANGE`) are not one picture a few pixels off."""
_TIME_RANGE_MS = 4_000.0
_SHARPEN = 3
"""Likeness enters the gain to this power: a crop half like a chosen one is not half represented by it, so that rare kinds count."""
_NEAREST = 3
"""A crop's company: so many of the others."""


@dataclass(frozen=True)
class PictureCandidate:
    """A crop that could be chosen.

    `vector` is the head's identity vector, length 1; `thumb` the crop squeezed to `(THUMB_PX, THUMB_PX, 3)` float32 0..1 whatever its
    aspect; `quality` and `confidence` (that it shows this character) are 0..1. `outfit`, `emotion`, `background` and `view` are those of
    stage 6b_attributes, `unknown` where nothing could be measured.
    """

    id: str
    region_id: str
    framing: Framing
    shot: int
    pts_ms: int
    vector: npt.NDArray[np.float32]
    tags: Mapping[str, float]
    thumb: npt.NDArray[np.float32]
    quality: float
    confidence: float
    outfit: str = UNKNOWN
    emotion: str = UNKNOWN
    background: str = UNKNOWN
    view: str = UNKNOWN


@dataclass(frozen=True)
class Selected:
    """`ranked` are the chosen ids, most useful first; `chosen` says for each of them why, in that order, `rejected` for every other id why not."""

    ranked: tuple[str, ...]
    rejected: Mapping[str, str]
    chosen: Mapping[str, str]


def choose(
    candidates: Sequence[PictureCandidate],
    settings: DatasetSettings,
    mix: Mix = Mix(),
    check_cancel: Callable[[], None] = lambda: None,
) -> Selected:
    """The set for one character: at most `max_pictures`, the same for any order of `candidates`.

    Never chosen: a crop that is the same picture as a chosen one, a second crop of the same framing of one region. The other rules, the
    stronger first; a rule chooses among what the ones before it leave, and is silent where it would leave nothing:

    1. No shot gives more than `per_shot`, until `min_pictures` cannot be had otherwise.
    2. From `min_pictures` on, only what is new by `novelty_min`.
    3. No framing runs ahead of its planned share while others are to be had.
    4. Every outfit of at least three figures gets `per_outfit` pictures, as far as the rules before let it have so many, evenly spread over the
       first `min_pictures` (over more, when all outfits together ask for more).
    5. Every emotion gets `per_emotion`, in the same way. Unknown outfits and emotions ask for nothing.
    6. The crop that makes all candidates best represented.

    Fewer than `min_pictures` come back only when there are no more different pictures. With a larger `max_pictures` the same list goes on.
    """
    pool = sorted(candidates, key=lambda c: c.id)
    if not pool:
        return Selected((), {}, {})
    return _Greedy(pool, settings, mix, check_cancel).run()


_Rule = Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]
"""Which crops are allowed → which of them are wanted."""


_OUTFIT_FIGURES = 3
"""A dress on fewer figures is as often a wrong face's as the character's: it may be chosen, but nothing is asked for it."""


class _Quota:
    """The least number of pictures of every value of one attribute, paced so that every prefix of a set has its part of it."""

    def __init__(
        self,
        name: str,
        values: Sequence[str],
        pool: Sequence[PictureCandidate],
        each: int,
        settings: DatasetSettings,
        least_figures: int = 1,
    ) -> None:
        """`least_figures`: values that fewer different figures have ask for nothing."""
        self._name = name
        self._values = values
        shots = [c.shot for c in pool]
        figures = Counter(value for value, _ in {(v, c.region_id) for v, c in zip(values, pool, strict=True)})
        supply: Counter[str] = Counter()
        for (value, _), count in Counter(zip(values, shots, strict=True)).items():
            supply[value] += min(count, settings.per_shot)
        self._wanted = {
            value: min(each, supply[value])
            for value in sorted(supply)
            if value != UNKNOWN and figures[value] >= least_figures
        }
        # Evenly spread over the smallest set, or over as many as ask. What there is one of is due in the middle: not
        # sooner, for it is often a wrong face, and not last, or larger quotas would keep it out of a set that has no room for all.
        pace = max(settings.min_pictures, sum(self._wanted.values()))
        self._due = {
            value: [-(-pace * (2 * k - 1) // (2 * wanted)) for k in range(1, wanted + 1)]
            for value, wanted in self._wanted.items()
        }

    def due(self, chosen: Sequence[int], allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Crops one of which must come now, or some value would have too few pictures later; as long as there is time for all, there are none."""
        taken = Counter(self._values[i] for i in chosen)
        left = Counter(self._values[i] for i in np.flatnonzero(allowed).tolist())
        now = len(chosen)
        for until in sorted({moment for moments in self._due.values() for moment in moments}):
            late = {
                value: min(bisect_right(moments, until) - taken[value], left[value])
                for value, moments in self._due.items()
            }
            late = {value: count for value, count in late.items() if count > 0}
            if late and sum(late.values()) >= until - now:
                return np.array([value in late for value in self._values])
        return np.zeros(len(self._values), np.bool_)

    def words(self, index: int, chosen: Sequence[int]) -> str:
        """Why the crop `index` had to come next."""
        value = self._values[index]
        number = sum(self._values[i] == value for i in chosen) + 1
        return f"{number} of {self._wanted[value]} wanted of {self._name} {_in_words(value)}"


class _Greedy:
    """State of one selection. Arrays are aligned with `pool`, which is sorted by id, so that equal gains fall to the same crop every time."""

    def __init__(
        self, pool: Sequence[PictureCandidate], settings: DatasetSettings, mix: Mix, check_cancel: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._check_cancel = check_cancel
        self._like = likeness(pool)
        worth = np.array([0.4 + 0.3 * c.quality + 0.3 * c.confidence for c in pool], np.float32)
        # How well column j stands for row i, and how much row i counts: the better picture of two alike ones represents both.
        stands_for = self._like**_SHARPEN * worth[None, :] * _company(self._like)[:, None]
        self._best_possible = float(stands_for.max(axis=1).sum())
        self._taken = FacilityLocation(stands_for, digits=3)
        self._look_apart = look_apart(pool)
        self._framings = np.array([c.framing for c in pool])
        shots = [c.shot for c in pool]
        self._shots = np.array(shots)
        self._shares = {framing: float(getattr(mix, framing)) for framing in FRAMINGS}
        self._quotas = (
            _Quota("outfit", [c.outfit for c in pool], pool, settings.per_outfit, settings, _OUTFIT_FIGURES),
            _Quota("emotion", [c.emotion for c in pool], pool, settings.per_emotion, settings),
        )
        self._chosen: list[int] = []
        self._possible = np.ones(len(pool), bool)
        # Likeness to the nearest chosen one; below 0 before there is one.
        self._nearest = np.full(len(pool), -1.0, np.float32)
        self._nearest_to = np.zeros(len(pool), np.int64)
        self._why: dict[str, str] = {}
        self._why_not: dict[str, str] = {}

    def run(self) -> Selected:
        while len(self._chosen) < self._settings.max_pictures:
            self._check_cancel()
            allowed = self._allowed()
            if not allowed.any():
                break
            gains = self._taken.gains()
            best = best_of(gains, allowed)
            deciding: list[Callable[[int], str]] = []
            for rule, words in self._rules():
                wanted = allowed & rule(allowed)
                if wanted.any():
                    allowed = wanted
                    now = best_of(gains, allowed)
                    if now != best:
                        deciding.append(words)
                    best = now
            self._explain(best, deciding)
            self._take(best)
        self._explain_rest()
        return Selected(tuple(self._pool[i].id for i in self._chosen), self._why_not, self._why)

    def _allowed(self) -> npt.NDArray[np.bool_]:
        """Which crops may come next at all."""
        below_cap = self._possible & ~self._shot_is_full()
        if len(self._chosen) < self._settings.min_pictures:
            return below_cap if below_cap.any() else self._possible
        return below_cap & (1 - self._nearest >= self._settings.novelty_min)

    def _rules(self) -> Iterator[tuple[_Rule, Callable[[int], str]]]:
        """What narrows the choice, the stronger first, and how each says so of the crop that it led to."""
        yield self._in_the_mix, self._mix_words
        for quota in self._quotas:
            yield partial(quota.due, self._chosen), partial(quota.words, chosen=self._chosen)

    def _shot_is_full(self) -> npt.NDArray[np.bool_]:
        taken = Counter(self._shots[self._chosen].tolist())
        full = [shot for shot, count in taken.items() if count >= self._settings.per_shot]
        return np.isin(self._shots, full)

    def _in_the_mix(self, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Only framings that, with one more picture, are at most one picture ahead of their share among those still to be had."""
        available = [framing for framing in self._shares if (allowed & (self._framings == framing)).any()]
        taken = Counter(self._framings[self._chosen].tolist())
        total = sum(taken[framing] for framing in available) + 1
        share_sum = sum(self._shares[framing] for framing in available)
        if share_sum == 0:
            return np.ones(len(self._pool), np.bool_)
        in_time = [f for f in available if taken[f] + 1 <= self._shares[f] / share_sum * total + 1]
        return np.isin(self._framings, in_time)

    def _mix_words(self, index: int) -> str:
        framing = self._pool[index].framing
        before = int((self._framings[self._chosen] == framing).sum())
        wished = self._shares[framing] / (sum(self._shares.values()) or 1)
        return f"adds {_in_words(framing)} ({before} of {len(self._chosen)} so far, {wished:.0%} wished)"

    def _explain(self, index: int, deciding: Sequence[Callable[[int], str]]) -> None:
        """Says why `index`, which is about to be taken, comes next: the rules without which it would have been another, and what it adds."""
        picture = self._pool[index]
        reasons = [words(index) for words in deciding]
        if self._shot_is_full()[index]:
            reasons.insert(
                0,
                f"more than {self._settings.per_shot} of shot {picture.shot} (dataset.per_shot), "
                f"for other shots have none left and {self._settings.min_pictures} pictures are wanted",
            )
        if self._chosen:
            before, after = (
                float(covered.sum()) / self._best_possible
                for covered in (self._taken.covered, self._taken.covered_with(index))
            )
            reasons.append(
                f"{'of these ' if reasons else ''}adds most: the set stands for {after:.1%} of the {len(self._pool)} candidates with it, "
                f"{before:.1%} without; difference {1 - float(self._nearest[index]):.2f} to {self._pool[self._nearest_to[index]].id}, "
                "the nearest one chosen before"
            )
        elif len(self._pool) > 1:
            reasons.append(f"first choice: stands best for all {len(self._pool)} candidates")
        else:
            reasons.append("the only candidate")
        self._why[picture.id] = "; ".join(reasons)

    def _take(self, index: int) -> None:
        self._chosen.append(index)
        taken = self._pool[index]
        self._possible[index] = False
        self._taken.take(index)
        closer = self._like[:, index] > self._nearest
        self._nearest[closer] = self._like[closer, index]
        self._nearest_to[closer] = index
        for i in np.flatnonzero(self._possible & (self._look_apart[:, index] < _WORTH_ALIGNING)).tolist():
            differs = thumb_difference(self._pool[i].thumb, taken.thumb)
            if differs < self._settings.same_picture:
                self._reject(
                    i,
                    f"almost the same picture as {taken.id}, which was chosen: no part of the thumbnails differs by more than "
                    f"{differs:.3f} (dataset.same_picture {self._settings.same_picture:g})",
                )
        for i in np.flatnonzero(self._possible).tolist():
            other = self._pool[i]
            if (other.region_id, other.framing) == (taken.region_id, taken.framing):
                self._reject(i, f"shows the same figure in the same framing as {taken.id}, which was chosen")

    def _reject(self, index: int, why: str) -> None:
        self._possible[index] = False
        self._why_not[self._pool[index].id] = why

    def _explain_rest(self) -> None:
        full_shots = self._shot_is_full()
        for i in np.flatnonzero(self._possible).tolist():
            nearest = self._pool[self._nearest_to[i]].id
            novelty = 1 - float(self._nearest[i])
            like = f"of the chosen ones {nearest} is most like it (difference {novelty:.2f})"
            if len(self._chosen) >= self._settings.max_pictures:
                why = f"the set is full (dataset.max_pictures {self._settings.max_pictures}); {like}"
            elif full_shots[i]:
                given = f"already gives {self._settings.per_shot} pictures (dataset.per_shot)"
                why = f"its shot {self._shots[i]} {given}; {like}"
            else:
                why = (
                    f"adds almost nothing to {nearest}, which was chosen: difference {novelty:.3f}, "
                    f"at least {self._settings.novelty_min:g} expected (dataset.novelty_min)"
                )
            self._reject(i, why)


def likeness(pool: Sequence[PictureCandidate]) -> Matrix:
    """`(N, N)` float32, 1 for a crop and itself, 0 for crops with nothing in common; symmetric."""
    count = len(pool)
    vectors = np.stack([c.vector for c in pool]).astype(np.float64)
    shots = np.array([c.shot for c in pool])
    times = np.array([c.pts_ms for c in pool], np.float64)
    gap = np.abs(times[:, None] - times[None, :])
    framings = np.array([c.framing for c in pool])
    same_framing = framings[:, None] == framings[None, :]
    parts: dict[str, npt.NDArray[np.float64]] = {
        "look": np.clip(1 - look_apart(pool) / _LOOK_RANGE, 0, 1),
        "identity": np.clip(vectors @ vectors.T, 0, 1),
        "framing": same_framing.astype(np.float64),
        "time": np.where(shots[:, None] == shots[None, :], 0.5 + 0.5 * np.exp(-gap / _TIME_RANGE_MS), 0.0),
    }
    tags = _informative(pool)
    if tags.any():
        parts["tags"] = np.clip(_cosine(tags), 0, 1)
    for name in ("outfit", "emotion", "view", "background"):
        values = np.array([getattr(c, name) for c in pool])
        if (values != UNKNOWN).any():
            parts[name] = _agreement(values)
    like = np.zeros((count, count))
    weights = np.zeros((count, count))
    for name, part in parts.items():
        # A face and the whole figure around it look different however alike the two moments are.
        weight = _PARTS[name] * (same_framing if name == "look" else 1.0)
        like += weight * part
        weights += weight
    like /= weights
    like = (like + like.T) / 2
    like[np.arange(count), np.arange(count)] = 1.0
    return np.asarray(like.round(4), np.float32)


_ALONE = 0.01
"""Mean likeness to the nearest others below which a crop resembles nothing."""


def _company(like: Matrix) -> npt.NDArray[np.float32]:
    """`(N,)`, 0..1: how alike each crop's nearest others are, 1 where as alike as usual here.

    What resembles nothing is often a wrong face; without this it would count in full for resembling itself, and come early.
    """
    count = min(_NEAREST, len(like) - 1)
    if count < 1:
        return np.ones(len(like), np.float32)
    others = like - np.eye(len(like), dtype=np.float32)
    nearest = np.sort(others, axis=1)[:, -count:].mean(axis=1)
    usual = float(np.median(nearest))
    if usual < _ALONE:
        # most resemble nothing, so that says nothing about any of them
        return np.ones(len(like), np.float32)
    return np.asarray(np.clip(nearest / usual, 0, 1), np.float32)


def _agreement(values: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    """`(N, N)`: 1 where two attributes are the same, 0 where they differ, `_NOT_KNOWN` where one of them is unknown."""
    known = values != UNKNOWN
    same = (values[:, None] == values[None, :]).astype(np.float64)
    return np.where(known[:, None] & known[None, :], same, _NOT_KNOWN)


def look_apart(pool: Sequence[PictureCandidate]) -> npt.NDArray[np.float64]:
    """`(N, N)`: root mean square difference (0..1) of the thumbnails, shrunk to 16 px so that details do not count."""
    small = np.stack([cv2.resize(c.thumb, (16, 16), interpolation=cv2.INTER_AREA).ravel() for c in pool]).astype(
        np.float64
    )
    squares = (small**2).mean(axis=1)
    return np.asarray(
        np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * (small @ small.T) / small.shape[1], 0))
    )


def _informative(pool: Sequence[PictureCandidate]) -> npt.NDArray[np.float64]:
    """`(N, T)` tag scores, each tag weighted by how few crops have it: what all have tells none from another."""
    names = sorted({tag for c in pool for tag in c.tags})
    column = {tag: i for i, tag in enumerate(names)}
    scores = np.zeros((len(pool), len(names)))
    for row, candidate in zip(scores, pool, strict=True):
        for tag, score in candidate.tags.items():
            row[column[tag]] = score
    weights = np.log((1 + len(pool)) / (1 + (scores > 0).sum(axis=0)))
    return np.asarray(scores * weights, np.float64)


def _cosine(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cosine of all pairs of rows; two rows without anything are alike, one with and one without are not."""
    lengths = np.sqrt((rows**2).sum(axis=1))
    unit = rows / np.where(lengths > 0, lengths, 1)[:, None]
    empty = lengths == 0
    return np.asarray(unit @ unit.T + np.outer(empty, empty))


def thumb_difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """The largest difference (0..1) between two aligned thumbnails in any part; the largest, for another expression changes only a small part."""
    inner = np.ascontiguousarray(other[_SHIFT_PX:-_SHIFT_PX, _SHIFT_PX:-_SHIFT_PX])
    _, _, (x, y), _ = cv2.minMaxLoc(cv2.matchTemplate(one, inner, cv2.TM_SQDIFF))
    side = len(inner)
    cells = side // _CELL_PX
    apart = one[y : y + side, x : x + side] - inner
    means = apart.reshape(cells, _CELL_PX, cells, _CELL_PX, 3).mean(axis=(1, 3))
    return float(np.abs(means).mean(axis=2).max())


def _in_words(name: str) -> str:
    return name.replace("_", " ")
