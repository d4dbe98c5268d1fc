"""What colours a head has and where: an identity descriptor without a network. It tells apart characters by hair, eyes and skin.

It cannot know a character under another light or in another wig, and takes two of one colouring for one.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import ModelInfo, Picture

__all__ = ["VERSION", "ColourLayout"]

VERSION = "1"

_SIDE = 48
_GRID = 4
_HUES = 12
_LIGHTS = 5
_BINS = _HUES * 2 + _LIGHTS


class ColourLayout:
    """An `Embedder`: soft histograms of hue, chroma and lightness (CIELAB) on a soft grid, left and right averaged."""

    dim = _BINS * _GRID * _GRID // 2
    same_distance = 0.12

    def __init__(self, info: ModelInfo) -> None:
        self.info = info
        self._zones = _zones()

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, 232)` float32 unit vectors; all values are at least 0."""
        vectors = np.empty((len(heads), self.dim), np.float32)
        for vector, head in zip(vectors, heads, strict=True):
            vector[:] = self._embed(head)
        return vectors

    def _embed(self, head: Picture) -> npt.NDArray[np.float64]:
        small = cv2.resize(np.ascontiguousarray(head), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
        histograms = self._zones @ _soft_bins(lab)
        vector = np.sqrt(histograms).ravel()
        return np.asarray(vector / np.linalg.norm(vector))


def _zones() -> npt.NDArray[np.float64]:
    """`(zones, pixels)`: how much each pixel counts in each zone. Mirrored columns share a zone, so a mirrored head is the same head."""
    centres = (np.arange(_GRID) + 0.5) / _GRID
    at = (np.arange(_SIDE) + 0.5) / _SIDE
    weight = np.exp(-((at[None, :] - centres[:, None]) ** 2) / (2 * (0.5 / _GRID) ** 2))
    columns = (weight + weight[::-1])[: _GRID // 2]
    zones = np.einsum("ry,cx->rcyx", weight, columns).reshape(-1, _SIDE * _SIDE)
    return np.asarray(zones / zones.sum(axis=1, keepdims=True))


def _soft_bins(lab: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`(P, 3)` CIELAB → `(P, bins)`; each row sums to 1: shared between neighbouring hues, two chromas and the greys by lightness."""
    light, a, b = lab.T
    chroma = np.hypot(a, b)
    coloured = np.clip((chroma - 6) / 12, 0, 1)
    strong = np.clip((chroma - 25) / 30, 0, 1)
    hue = _spread((np.arctan2(b, a) / (2 * np.pi) % 1) * _HUES, _HUES, cyclic=True)
    grey = _spread(light / 100 * (_LIGHTS - 1), _LIGHTS, cyclic=False)
    pale, rich = coloured * (1 - strong), coloured * strong
    return np.hstack([hue * pale[:, None], hue * rich[:, None], grey * (1 - coloured)[:, None]])


def _spread(position: npt.NDArray[np.float64], count: int, *, cyclic: bool) -> npt.NDArray[np.float64]:
    """Each position shared linearly between the two bins around it."""
    low = np.floor(position).astype(int)
    share = position - low
    high = (low + 1) % count if cyclic else np.minimum(low + 1, count - 1)
    low = low % count if cyclic else np.clip(low, 0, count - 1)
    bins = np.zeros((len(position), count))
    rows = np.arange(len(position))
    np.add.at(bins, (rows, low), 1 - share)
    np.add.at(bins, (rows, high), share)
    return bins
