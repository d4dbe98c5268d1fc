"""How alike two heads are, judged by their neighbours as well as by their distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["cosine_distances", "neighbour_count", "shared_neighbour_distances"]

Matrix = npt.NDArray[np.float32]


def cosine_distances(vectors: Matrix) -> Matrix:
    """`(N, D)` unit vectors → `(N, N)` float32 cosine distances 0..2 with a zero diagonal."""
    d = 1.0 - vectors @ vectors.T
    np.clip(d, 0.0, 2.0, out=d)
    d = (d + d.T) / 2
    np.fill_diagonal(d, 0.0)
    return np.asarray(d, dtype=np.float32)


def neighbour_count(n: int) -> int:
    """How many neighbours say who somebody is, for `n` heads: about 1.5 times the root of n.

    Too few and a character falls into poses; more than a character has heads and neighbours are strangers.
    """
    return int(np.clip(round(1.5 * n**0.5), 3, 80))


def shared_neighbour_distances(distance: Matrix, neighbours: int, within: float) -> Matrix:
    """`(N, N)` distances → `(N, N)` float32 in 0..1: how little two heads' weighted neighbourhoods overlap (Jaccard).

    Only mutual neighbours at most `within` away count, extended by the close circle of sure neighbours, and each neighbourhood is averaged
    with those of its nearest few. One misleading pair (same pose, same light) thus has no effect where everybody around disagrees.
    Method: k-reciprocal re-ranking, Zhong et al., CVPR 2017 (arXiv 1701.08398), their shares of k and 2/3 rule.
    """
    n = len(distance)
    k = min(neighbours, n - 1)
    if k < 1:
        return np.zeros((n, n), dtype=np.float32)
    order = np.argsort(distance, axis=1, kind="stable")[:, : k + 1]

    def mutual(count: int) -> npt.NDArray[np.bool_]:
        near = np.zeros((n, n), dtype=bool)
        np.put_along_axis(near, order[:, : count + 1], True, axis=1)
        near &= distance <= within
        near &= near.T
        np.fill_diagonal(near, True)
        return near

    wide, close = mutual(k), mutual(max(1, k // 2))
    close_f = close.astype(np.float32)
    shared = wide.astype(np.float32) @ close_f.T
    trusted = wide & (shared > close_f.sum(axis=1)[None, :] * (2 / 3))
    members = wide | (trusted.astype(np.float32) @ close_f > 0)
    # The weight of a neighbour falls to 1/e^2 at `within`: the same shape for embedders with small and with large distances.
    weight = np.where(members, np.exp(-2.0 / within * distance), 0.0).astype(np.float32)
    weight /= weight.sum(axis=1, keepdims=True)
    few = np.zeros((n, n), dtype=np.float32)
    np.put_along_axis(few, order[:, : max(1, k // 4)], 1.0, axis=1)
    few *= members  # a stranger is not to be described by whoever happens to be least far
    np.fill_diagonal(few, 1.0)
    weight = (few / few.sum(axis=1, keepdims=True)) @ weight
    by_neighbour = np.ascontiguousarray(weight.T)
    result = np.empty((n, n), dtype=np.float32)
    for i in range(n):
        support = np.flatnonzero(weight[i])
        common = np.minimum(by_neighbour[support], weight[i, support][:, None]).sum(axis=0)
        result[i] = 1.0 - common / (2.0 - common)
    result = np.clip((result + result.T) / 2, 0.0, 1.0)
    np.fill_diagonal(result, 0.0)
    return result
