"""From tracks to characters and noise: the rule that decides who is who.

Average linkage of the tracks' faces, which never joins what was seen side by side, with three things that the film itself tells:

1. What all its faces share (style, light, the show's way to draw) is taken out: each face is seen from the middle of the film's people.
2. The more people there are to be confused with, the nearer two groups must be.
3. Who was left alone goes to the group that has a few members as near as that, if it is clearly the nearest: a profile is far from the many
   fronts of its person, and near to the other profiles.

`benchmarks/cast.py` prints what each is worth, beside plain linkage and HDBSCAN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from animeset_lib.cast.linkage import average_linkage, merge_near

__all__ = ["NOISE", "Grouping", "Pair", "group", "mean_distances", "sums_by_group"]

NOISE = -1
Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Pair = tuple[int, int]

_TRUSTED = 8.0
"""So many people must be seen before their middle is taken at half its worth: in a film of one girl it is the girl."""
_JOIN = 0.85
"""Groups are joined up to this share of the film's own distance. Larger finds fewer, larger characters."""
_CROWD, _CROWDED, _LEAST_JOIN = 13.0, 0.43, 0.5
"""With e times as many people as `_CROWD` they are joined up to `_CROWDED` less, and never below `_LEAST_JOIN`. Measured: among 8 people that fill
a show the best share is about 1, among 200 that walk through it about half."""
_MEMBERS, _CLEARLY = 5, 0.9
"""Who was left alone is placed by the mean distance to so many nearest members, which must be at most this share of that to the next group."""
_ROWS_AT_ONCE = 512
_STRANGER = 1.5
"""Distances to groups count up to this many joining distances: how much more foreign a stranger is tells nothing."""
MOST_UNITS = 5000
"""Rows of the square matrices; beyond that the nearest tracks are joined first. 5000 rows take 400 MB for a moment."""


@dataclass(frozen=True)
class Grouping:
    """Row-aligned with the units given.

    labels   0.. by falling number of faces, -1 noise
    nearest  the nearest group, also for noise; -1 where there is none
    own      mean distance to the group it is in (noise: to the nearest), in joining distances, at most 1.5
    other    that of the nearest group beside it
    left_out units that did not fit into memory and are noise for that reason alone
    people   how many there are to be confused with (perplexity of the groups' sizes)
    joined   the joining distance, a cosine distance of `faces`
    faces    `(N, D)` unit vectors seen from the middle of the film's people
    """

    labels: Labels
    nearest: Labels
    own: Floats
    other: Floats
    left_out: int
    people: float
    joined: float
    faces: Matrix


def group(faces: Matrix, units: Labels, forbidden: Sequence[Pair], same_distance: float, min_regions: int) -> Grouping:
    """`(N, D)` unit vectors of faces, each in one of the units 0..U-1 (a track) → characters and noise, per unit.

    A `forbidden` pair of units never ends in one group. Groups with fewer than `min_regions` faces are noise. Same input, same labels.
    """
    count = int(units.max()) + 1 if len(units) else 0
    if count == 0:
        nobody, nothing = np.zeros(0, np.int64), np.zeros(0)
        return Grouping(nobody, nobody, nothing, nothing, 0, 0.0, same_distance, faces)
    bundle = _bundles(faces, units, forbidden, same_distance)
    sizes = np.bincount(bundle[units]).astype(np.float64)
    chosen = np.sort(np.argsort(-sizes, kind="stable")[:MOST_UNITS])
    place = np.full(len(sizes), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    row = place[bundle]  # of the matrices, by unit
    known = row[units] >= 0
    pairs = sorted({(min(row[a], row[b]), max(row[a], row[b])) for a, b in forbidden if row[a] >= 0 and row[b] >= 0})

    rows, sizes = row[units][known], sizes[chosen]
    plain = mean_distances(faces[known], rows)
    first = average_linkage(plain, sizes, pairs, same_distance)
    centred = _seen_from_the_middle(faces, first[rows], known)
    distance = mean_distances(centred[known], rows)
    same = same_distance * _scale(plain, distance)
    people = _perplexity(np.bincount(average_linkage(distance, sizes, pairs, same), weights=sizes).astype(float))
    joined = same * float(np.clip(1 - _CROWDED * np.log(people / _CROWD), _LEAST_JOIN, _JOIN))
    labels = average_linkage(distance, sizes, pairs, joined)

    of_unit = np.where(row >= 0, labels[row], NOISE)
    of_unit = _by_size(of_unit, np.bincount(units, minlength=count), min_regions)
    of_unit = _placed(centred, units, of_unit, forbidden, joined)
    of_unit = _by_size(of_unit, np.bincount(units, minlength=count), min_regions)
    nearest, own, other = _nearest_two(centred, units, of_unit, joined)
    return Grouping(of_unit, nearest, own, other, int((row < 0).sum()), people, joined, centred)


def _bundles(faces: Matrix, units: Labels, forbidden: Sequence[Pair], same_distance: float) -> Labels:
    """Each unit on its own, or, beyond `MOST_UNITS`, joined with its very nearest by the smallest distance that brings the number down."""
    sums = sums_by_group(faces, units)
    labels = np.arange(len(sums), dtype=np.int64)
    if len(sums) > MOST_UNITS:
        means = (sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-9)).astype(np.float32)
        for share in (0.2, 0.35, 0.5, 0.7):
            labels = merge_near(means, np.ones(len(means)), forbidden, share * same_distance)
            if int(labels.max()) < MOST_UNITS:
                break
    return labels


def _seen_from_the_middle(faces: Matrix, first: Labels, known: npt.NDArray[np.bool_]) -> Matrix:
    """The faces less what the film's people (`first`, a group per known face, each counted once) have in common."""
    sums = sums_by_group(faces[known], first)
    people = len(sums)
    middle = (sums / np.bincount(first)[:, None]).sum(axis=0) / (people + _TRUSTED)
    moved = faces - middle.astype(np.float32)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True).clip(1e-9), dtype=np.float32)


def _scale(before: Matrix, after: Matrix) -> float:
    """By how much distances have grown: a distance means what it is beside the others of its film."""
    total = float(before.sum(dtype=np.float64))
    return float(after.sum(dtype=np.float64)) / total if total > 1e-6 else 1.0


def _perplexity(sizes: Floats) -> float:
    """How many groups of equal size are as hard to guess as these."""
    share = sizes / sizes.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def sums_by_group(vectors: Matrix | Floats, groups: Labels) -> Floats:
    """`(G, D)` sums of the vectors of each group 0..G-1."""
    sums = np.zeros((int(groups.max()) + 1 if len(groups) else 0, vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, groups, vectors)
    return sums


def mean_distances(faces: Matrix, rows: Labels) -> Matrix:
    """`(R, R)` float32: the mean cosine distance between the faces of two rows, with a zero diagonal."""
    sums = sums_by_group(faces, rows)
    means = (sums / np.bincount(rows)[:, None]).astype(np.float32) if len(sums) else sums.astype(np.float32)
    distance = np.asarray(1.0 - means @ means.T, dtype=np.float32)
    np.clip(distance, 0.0, 2.0, out=distance)
    distance += distance.T
    distance /= 2
    np.fill_diagonal(distance, 0.0)
    return distance


def _placed(faces: Matrix, units: Labels, labels: Labels, forbidden: Sequence[Pair], joined: float) -> Labels:
    """The labels with the units left alone put to the group that has the nearest members, if they are near enough and clearly nearer than others'."""
    of_face = labels[units]
    rows = np.flatnonzero(of_face == NOISE)
    groups = int(labels.max()) + 1
    if not groups or not len(rows):
        return labels
    members = [faces[of_face == g].T for g in range(groups)]
    near = np.empty((len(rows), groups))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        for g, those in enumerate(members):
            distance = 1.0 - faces[rows[part]] @ those
            few = min(_MEMBERS, distance.shape[1])
            near[part, g] = np.partition(distance, few - 1, axis=1)[:, :few].mean(axis=1)
    alone, place = np.unique(units[rows], return_inverse=True)
    to_group = sums_by_group(near, place) / np.bincount(place)[:, None]
    goal = to_group.argmin(axis=1)
    ranked = np.sort(np.pad(to_group, ((0, 0), (0, 1)), constant_values=np.inf), axis=1)
    sure = (ranked[:, 0] <= joined) & (ranked[:, 0] <= _CLEARLY * ranked[:, 1])
    foes: dict[int, set[int]] = {}
    for a, b in forbidden:
        foes.setdefault(a, set()).add(b)
        foes.setdefault(b, set()).add(a)
    result = labels.copy()
    # the surest first, so that of two figures of one still the better match takes the place
    for i in np.argsort(ranked[:, 0], kind="stable"):
        unit = int(alone[i])
        if sure[i] and all(result[foe] != goal[i] for foe in foes.get(unit, ())):
            result[unit] = goal[i]
    return result


def _nearest_two(faces: Matrix, units: Labels, labels: Labels, joined: float) -> tuple[Labels, Floats, Floats]:
    """The nearest group of each unit, how far its own (noise: the nearest) is, and the next; in joining distances.

    A unit counts nothing in the mean of the group it is in; alone there it stands at the joining distance: nearer than any group that it was
    not joined with.
    """
    count = len(labels)
    groups = int(labels.max()) + 1
    per_unit = sums_by_group(faces, units)
    size = np.bincount(units, minlength=count).astype(np.float64)
    inside = np.flatnonzero(labels != NOISE)
    sums = sums_by_group(per_unit[inside], labels[inside])
    sizes = np.bincount(labels[inside], weights=size[inside])
    means = per_unit / size[:, None]
    distance = np.full((count, groups + 2), _STRANGER)
    if groups:
        distance[:, :groups] = (1.0 - means @ (sums / sizes[:, None]).T) / joined
        rest = sizes[labels[inside]] - size[inside]
        without = (sums[labels[inside]] - per_unit[inside]) / np.maximum(rest, 1.0)[:, None]
        own = (1.0 - np.einsum("ij,ij->i", means[inside], without)) / joined
        distance[inside, labels[inside]] = np.where(rest > 0, own, 1.0)
    np.clip(distance, 0.0, _STRANGER, out=distance)
    rows = np.arange(count)
    ranked = np.argsort(distance, axis=1, kind="stable")
    nearest = np.where(ranked[:, 0] < groups, ranked[:, 0], NOISE).astype(np.int64)
    mine = np.where(labels != NOISE, labels, ranked[:, 0])
    rival = np.where(ranked[:, 0] == mine, ranked[:, 1], ranked[:, 0])
    return nearest, distance[rows, mine], distance[rows, rival]


def _by_size(labels: Labels, faces: Labels, min_regions: int) -> Labels:
    """Renumbered by falling number of faces (equal ones by first member); groups below `min_regions` become noise."""
    inside = labels != NOISE
    names, first, place = np.unique(labels[inside], return_index=True, return_inverse=True)
    totals = np.bincount(place, weights=faces[inside], minlength=len(names))
    order = sorted(range(len(names)), key=lambda i: (-totals[i], int(first[i])))
    new = np.full(len(names), NOISE, dtype=np.int64)
    for number, i in enumerate([i for i in order if totals[i] >= min_regions]):
        new[i] = number
    result = np.full(len(labels), NOISE, dtype=np.int64)
    result[inside] = new[place]
    return result
