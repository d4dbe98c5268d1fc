"""From tracks with one vector each to characters and noise: the rule that decides who is who.

1. Distances are judged with the help of neighbours (`affinity`), half and half with the plain ones.
2. HDBSCAN on that matrix finds dense cores and their number; what it calls noise stays alone for now. A core that holds two figures of
   one frame is taken apart.
3. Constrained average linkage joins cores and single tracks that are alike on the whole.
4. Each track is placed once more: with the group it is clearly nearest to, or with none; one long enough to be a character stays one.

Plain HDBSCAN on such vectors calls up to half of the faces noise, and a distance threshold alone needs another value for each film; the
steps above were chosen on casts of 3 to 12 characters with a tenth of foreign faces (`benchmarks/cluster.py` prints the comparison).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from animeset_lib.cast.linkage import average_linkage, merge_near
from animeset_lib.cast.shared_neighbours import cosine_distances, neighbour_count, shared_neighbour_distances

__all__ = ["NOISE", "Grouping", "Pair", "group", "mixed_distances"]

NOISE = -1
Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Pair = tuple[int, int]

# Units of the mixed distance, where 0 is the same picture and 1 two heads at `same_distance` without a common neighbour.
_JOIN = (0.7, 0.6)
"""Groups are joined up to this mean distance, without and with neighbours to ask (in between by their number). Larger finds fewer, larger
characters: .1 more costs 1-3 points of precision."""
_ACCEPT_BEYOND = 0.2
"""A track further than the joining distance and this from every group is noise."""
_CLEARLY = 0.9
"""A track belongs to a group when its distance is at most this share of the distance to the next group."""
_UNRELATED = 1.25
"""Distances count no further than this: how much more foreign two strangers are tells nothing."""
_CORE = 3
"""Least number of tracks that HDBSCAN takes for a core (its smallest useful value: cores are joined later, never split by size)."""
MOST_UNITS = 3000
"""Rows of the square matrices; beyond that the nearest tracks are joined first. 3000 rows take about 400 MB for a moment."""


@dataclass(frozen=True)
class Grouping:
    """Row-aligned with the units given. `labels` 0.. by falling number of regions, -1 noise; `own` and `other` are the mean mixed distances to
    the nearest and the next group (`_UNRELATED` where there is none)."""

    labels: Labels
    own: Floats
    other: Floats
    nearest: Labels
    """The group `own` speaks of, also for noise; -1 where there is no group at all."""
    left_out: int
    """Units that did not fit into memory and are noise for that reason alone."""


def mixed_distances(vectors: Matrix, same_distance: float) -> Matrix:
    """`(N, D)` unit vectors → `(N, N)` float32: half neighbours' verdict, half cosine distance in units of `same_distance`.

    With fewer than about 30 heads there is no neighbourhood to ask, and the plain distance counts for more: all of it below 8.
    """
    distance = cosine_distances(vectors)
    n = len(distance)
    trust = 0.5 * _neighbourhood(n)
    plain: Matrix = np.minimum(distance / np.float32(same_distance), np.float32(_UNRELATED))
    if trust == 0.0:
        return plain
    shared = shared_neighbour_distances(distance, neighbour_count(n), same_distance)
    return np.asarray(trust * shared + (1.0 - trust) * plain, dtype=np.float32)


def _neighbourhood(n: int) -> float:
    """0 for up to 8 heads, 1 from 32 on: how much neighbours can tell."""
    return float(np.clip((n - 8) / 24, 0.0, 1.0))


def _join_distance(n: int) -> float:
    return _JOIN[0] + _neighbourhood(n) * (_JOIN[1] - _JOIN[0])


def group(
    vectors: Matrix, regions: npt.NDArray[np.int64], forbidden: Sequence[Pair], same_distance: float, min_regions: int
) -> Grouping:
    """`(N, D)` unit vectors of tracks, each of `regions` faces → characters and noise.

    A `forbidden` pair never ends in one group. Groups with fewer than `min_regions` faces are noise. Same input, same labels.
    """
    n = len(vectors)
    if n == 0:
        empty = np.zeros(0)
        return Grouping(empty.astype(np.int64), empty, empty, empty.astype(np.int64), 0)
    bundle = _bundles(vectors, forbidden, same_distance)
    count = int(bundle.max()) + 1
    ones = np.bincount(bundle, minlength=count).astype(np.float64)
    faces = np.bincount(bundle, weights=regions, minlength=count).astype(np.int64)
    sums = np.zeros((count, vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, bundle, vectors)
    means = (sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-9)).astype(np.float32)
    chosen = np.sort(np.argsort(-faces, kind="stable")[:MOST_UNITS])
    place = np.full(count, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    pairs = sorted(
        {
            (min(a, b), max(a, b))
            for a, b in ((int(place[bundle[i]]), int(place[bundle[j]])) for i, j in forbidden)
            if a >= 0 and b >= 0
        }
    )
    mixed = mixed_distances(means[chosen], same_distance)
    labels = _join(mixed, ones[chosen], pairs)
    placed = _place(mixed, labels, ones[chosen], faces[chosen], pairs, min_regions)
    row = place[bundle]
    known = row >= 0
    return Grouping(
        labels=np.where(known, placed.labels[row], NOISE),
        own=np.where(known, placed.own[row], _UNRELATED),
        other=np.where(known, placed.other[row], _UNRELATED),
        nearest=np.where(known, placed.nearest[row], NOISE),
        left_out=int((~known).sum()),
    )


def _bundles(vectors: Matrix, forbidden: Sequence[Pair], same_distance: float) -> Labels:
    """Each unit on its own, or, beyond `MOST_UNITS`, joined with its very nearest by the smallest distance that brings the number down."""
    labels = np.arange(len(vectors), dtype=np.int64)
    for share in (0.2, 0.35, 0.5, 0.7):
        if int(labels.max()) < MOST_UNITS:
            break
        labels = merge_near(vectors, np.ones(len(vectors)), forbidden, share * same_distance)
    return labels


def _join(mixed: Matrix, ones: Floats, forbidden: Sequence[Pair]) -> Labels:
    """Cores by HDBSCAN, then constrained average linkage over cores and the rest."""
    n = len(mixed)
    cores = _cores(mixed, forbidden)
    count = int(cores.max()) + 1
    member = np.zeros((n, count), dtype=np.float32)
    member[np.arange(n), cores] = ones
    sizes = member.sum(axis=0)
    between = (member.T @ mixed @ member) / sizes[:, None] / sizes[None, :]
    pairs = sorted({(int(cores[a]), int(cores[b])) for a, b in forbidden})
    return average_linkage(between, sizes.astype(np.float64), pairs, _join_distance(n))[cores]


def _cores(mixed: Matrix, forbidden: Sequence[Pair]) -> Labels:
    """HDBSCAN's clusters, those with a forbidden pair inside taken apart, each noise point with a label of its own."""
    n = len(mixed)
    labels = np.full(n, NOISE, dtype=np.int64)
    if n > 2 * _CORE:
        import hdbscan

        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", category=FutureWarning
            )  # of its scikit-learn calls, nothing a user can mend
            labels = np.asarray(
                hdbscan.HDBSCAN(metric="precomputed", min_cluster_size=_CORE, min_samples=2).fit_predict(
                    mixed.astype(np.float64)
                ),
                dtype=np.int64,
            )
    result = np.arange(n, dtype=np.int64) + n
    for core in range(int(labels.max()) + 1):
        rows = np.flatnonzero(labels == core)
        inside = {int(row): i for i, row in enumerate(rows)}
        pairs = [(inside[a], inside[b]) for a, b in forbidden if a in inside and b in inside]
        parts = average_linkage(mixed[np.ix_(rows, rows)], np.ones(len(rows)), pairs, np.inf) if pairs else 0
        result[rows] = rows[0] * n + parts + 2 * n
    return np.unique(result, return_inverse=True)[1].astype(np.int64)


def _place(
    mixed: Matrix,
    labels: Labels,
    ones: Floats,
    faces: npt.NDArray[np.int64],
    forbidden: Sequence[Pair],
    min_regions: int,
) -> Grouping:
    """Every unit to the group it is clearly nearest to; the others are noise. Two passes, since leaving members change the groups."""
    foes: dict[int, set[int]] = {}
    for a, b in forbidden:
        foes.setdefault(a, set()).add(b)
        foes.setdefault(b, set()).add(a)
    labels = _by_size(labels, faces, min_regions)
    accept = _join_distance(len(labels)) + _ACCEPT_BEYOND
    for _ in range(2):
        to_group = _mean_distances(mixed, labels, ones)
        nearest, own, other = _nearest_two(to_group, labels)
        clear = (own <= accept) & (own <= _CLEARLY * other)
        placed = np.full(len(labels), NOISE, dtype=np.int64)
        # The surest first, so that of two figures in one frame the better match keeps the place.
        for unit in np.argsort(own, kind="stable"):
            goal = nearest[unit]
            if clear[unit] and not any(placed[foe] == goal for foe in foes.get(int(unit), ())):
                placed[unit] = goal
        # A long track that is not clearly somebody else's is a character of its own: two halves are joined by one click, a lost one by none.
        for unit in np.flatnonzero((placed == NOISE) & (faces >= min_regions)):
            placed[unit] = to_group.shape[1] + unit
        labels = _by_size(placed, faces, min_regions)
    to_group = _mean_distances(mixed, labels, ones)
    nearest, own, other = _nearest_two(to_group, labels)
    # Whoever was placed elsewhere than nearest (its place was taken) is described by the group it is in.
    for unit in np.flatnonzero((labels != NOISE) & (labels != nearest)):
        nearest[unit], own[unit], other[unit] = labels[unit], to_group[unit, labels[unit]], own[unit]
    return Grouping(labels, own, other, nearest, 0)


def _nearest_two(to_group: Floats, labels: Labels) -> tuple[Labels, Floats, Floats]:
    """Nearest group of each unit, its distance and that of the next; -1 and `_UNRELATED` where there is none."""
    n, k = to_group.shape
    rows = np.arange(n)
    padded = np.concatenate([to_group, np.full((n, 2), _UNRELATED)], axis=1)
    # Between equally near groups everybody stays where linkage, which knows who stands beside whom, has put them.
    favour = np.zeros_like(padded)
    favour[rows[labels != NOISE], labels[labels != NOISE]] = -1e-6
    ranked = np.argsort(padded + favour, axis=1, kind="stable")
    nearest = np.where(ranked[:, 0] < k, ranked[:, 0], NOISE).astype(np.int64)
    return nearest, padded[rows, ranked[:, 0]], padded[rows, ranked[:, 1]]


def _mean_distances(mixed: Matrix, labels: Labels, ones: Floats) -> Floats:
    """`(N, k)` mean mixed distance of each unit to each group without itself; a unit alone in its group stands at the joining distance:
    nearer to its own than to any group that it was not joined with."""
    member = np.zeros((len(labels), int(labels.max()) + 1))
    inside = labels != NOISE
    member[inside, labels[inside]] = ones[inside]
    alone = _join_distance(len(labels))
    weight = member.sum(axis=0)[None, :] - member
    sums = mixed.astype(np.float64) @ member
    return np.where(weight > 0, np.minimum(sums / np.maximum(weight, 1e-9), _UNRELATED), alone)


def _by_size(labels: Labels, faces: npt.NDArray[np.int64], min_regions: int) -> Labels:
    """Renumbered by falling number of faces (equal ones by first member); groups below `min_regions` become noise."""
    inside = labels != NOISE
    names, first = np.unique(labels[inside], return_index=True)
    totals = np.array([int(faces[labels == name].sum()) for name in names], dtype=np.int64)
    order = sorted(range(len(names)), key=lambda i: (-totals[i], int(first[i])))
    result = np.full(len(labels), NOISE, dtype=np.int64)
    for new, i in enumerate([i for i in order if totals[i] >= min_regions]):
        result[labels == names[i]] = new
    return result
