"""Average linkage that never joins what must not be joined."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["average_linkage", "merge_near"]

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def average_linkage(
    distance: Matrix, sizes: npt.NDArray[np.float64], forbidden: Iterable[tuple[int, int]], stop: float
) -> Labels:
    """`(N, N)` symmetric distances → `(N,)` labels from 0, numbered by first member; groups are joined while their mean distance is <= `stop`.

    `sizes` is how many things each row stands for. Two rows of a `forbidden` pair never get one label, nor do groups that hold them:
    a forbidden distance is infinite, and every average with it stays so. Needs a copy of the matrix; time grows with N².
    The nearest pair is joined first, the lowest index winning ties, so equal input gives equal labels.
    """
    n = len(distance)
    d = distance.astype(np.float32, copy=True)
    weight = sizes.astype(np.float32, copy=True)
    np.fill_diagonal(d, np.inf)
    for a, b in forbidden:
        d[a, b] = d[b, a] = np.inf
    labels = np.arange(n, dtype=np.int64)
    if n < 2:
        return labels
    nearest = d.argmin(axis=1)
    least = d[np.arange(n), nearest]
    while True:
        a = int(least.argmin())
        if least[a] > stop or least[a] == np.inf:
            break
        a, b = sorted((a, int(nearest[a])))
        d[a] = (weight[a] * d[a] + weight[b] * d[b]) / (weight[a] + weight[b])
        weight[a] += weight[b]
        d[a, a] = np.inf
        d[:, a] = d[a]
        d[b] = np.inf
        d[:, b] = np.inf
        labels[labels == b] = a
        # An average lies between what it averages, so only rows that pointed at one of the two can have a new nearest row.
        stale = np.flatnonzero((nearest == a) | (nearest == b))
        stale = np.union1d(stale, [a, b])
        nearest[stale] = d[stale].argmin(axis=1)
        least[stale] = d[stale, nearest[stale]]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def merge_near(
    vectors: Matrix,
    sizes: npt.NDArray[np.float64],
    forbidden: Iterable[tuple[int, int]],
    stop: float,
    *,
    rows_at_once: int = 2048,
) -> Labels:
    """`(N, D)` unit vectors → `(N,)` labels: average linkage up to the small distance `stop` without an N x N matrix.

    The mean cosine distance between two groups is 1 minus the product of their mean vectors, so groups are kept as means; pairs that are
    each other's nearest are joined round by round, which gives the same groups as joining the nearest pair first (average linkage is
    reducible) except where a forbidden pair stands between. Memory is N x `rows_at_once`.
    """
    means = vectors.astype(np.float32, copy=True)
    weight = sizes.astype(np.float32, copy=True)
    owner = np.arange(len(vectors), dtype=np.int64)
    enemies: dict[int, set[int]] = {}
    for a, b in forbidden:
        enemies.setdefault(a, set()).add(b)
        enemies.setdefault(b, set()).add(a)
    alive = owner.copy()
    while len(alive) > 1:
        place = {int(group): i for i, group in enumerate(alive)}
        nearest = np.empty(len(alive), dtype=np.int64)
        least = np.empty(len(alive), dtype=np.float32)
        for start in range(0, len(alive), rows_at_once):
            rows = np.arange(start, min(start + rows_at_once, len(alive)))
            d = 1.0 - means[alive[rows]] @ means[alive].T
            d[rows - start, rows] = np.inf
            for i in rows:
                foes = [place[foe] for foe in enemies.get(int(alive[i]), ())]
                d[i - start, foes] = np.inf
            nearest[rows] = d.argmin(axis=1)
            least[rows] = d[rows - start, nearest[rows]]
        pairs = [
            (int(alive[i]), int(alive[j]))
            for i, j in enumerate(nearest)
            if i < j and nearest[j] == i and least[i] <= stop
        ]
        if not pairs:
            break
        for a, b in pairs:
            means[a] = (weight[a] * means[a] + weight[b] * means[b]) / (weight[a] + weight[b])
            weight[a] += weight[b]
            owner[owner == b] = a
            for foe in enemies.pop(b, set()):
                enemies[foe].discard(b)
                enemies[foe].add(a)
                enemies.setdefault(a, set()).add(foe)
        alive = np.unique(owner)
    return np.unique(owner, return_inverse=True)[1].astype(np.int64)
