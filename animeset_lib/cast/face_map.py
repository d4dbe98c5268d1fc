"""A flat map of the heads, for looking only: nothing is decided on it."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["flat_map"]

_FEW = 300
"""So many are taken in at a glance in any map; compiling UMAP, half a minute, would take longer than all else that is done with them."""
_NEIGHBOURS = 15
"""UMAP's own default."""


def flat_map(
    vectors: npt.NDArray[np.float32], method: Literal["auto", "umap", "pca"], seed: int
) -> npt.NDArray[np.float64]:
    """`(N, D)` unit vectors → `(N, 2)`, equal for equal input and seed. `auto`: their two main directions (PCA) up to 300 vectors, else UMAP; no more
    than 15, which are all each other's neighbours, always get PCA."""
    n = len(vectors)
    if method == "pca" or n <= (_FEW if method == "auto" else _NEIGHBOURS):
        return _main_directions(vectors)
    with warnings.catch_warnings():
        # About one thread for a fixed seed (meant), and about disconnected pieces (strangers: they may lie anywhere).
        warnings.simplefilter("ignore")
        import umap

        reducer = umap.UMAP(
            n_neighbors=min(_NEIGHBOURS, n - 1),
            min_dist=0.1,
            metric="cosine",
            init=_start(vectors),
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(vectors), dtype=np.float64)


def _start(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """PCA within ±10, as UMAP scales its own spectral start, which fails on sets that fall into pieces."""
    start = _main_directions(vectors)
    return np.asarray(10.0 * start / max(float(np.abs(start).max()), 1e-9), dtype=np.float32)


def _main_directions(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Coordinates along the two directions of most variance, each turned so that its largest value is positive."""
    n = len(vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64) if n else vectors.astype(np.float64)
    flat = np.zeros((n, 2))
    if n > 1 and centred.shape[1]:
        # The covariance of D values is small even where N is 20,000.
        _, axes = np.linalg.eigh(centred.T @ centred)
        found = centred @ axes[:, ::-1][:, :2]
        flat[:, : found.shape[1]] = found * np.where(
            found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])] < 0, -1.0, 1.0
        )
    return flat
