"""What colours a head has and where: an identity descriptor without a network. It tells characters apart by hair, eyes and skin.

It does not know a character under quite another light or in a wig, and takes two of one colouring for one. Measured on head crops of seven
casts of fan art, official art and screenshots (at most 24 characters of 16 pictures each; mean over casts, a plain HSV histogram in
brackets): nearest neighbour right for 0.78 of the heads (0.69), area under the verification curve 0.84 (0.75), adjusted Rand index of Ward
clusters, their true number given, 0.48 (0.39).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import Picture
from animeset_lib.models.spec import Parts

__all__ = ["VERSION", "ColourLayout"]

VERSION = "1"

# All numbers here were tuned on those casts; the result is flat around them.
_SIDE = 48  # px of the analysed square: hair shades survive, line art and compression do not
_ROWS, _COLUMNS = 5, 3  # mirrored columns of a 5x5 grid share a zone, so a mirrored head is the same head
_ZONE_SIGMA = 0.08  # of the side
_WINDOW_SIGMA = 0.35  # of the side, from the centre: corners of a head crop are background
_HUES, _LIGHTS = 10, 5
_BINS = 2 * _HUES + _LIGHTS
_CAST_SHARE = 0.6  # share of the mean colour taken off as the light's: all of it would take the hair's colour too
_POWER = 0.4  # Hellinger would be 0.5; small patches (eyes, ribbons) count a little more

# How usual each bin is on drawn heads: ten pale hues from magenta-red on, ten rich ones, greys from black to white. Mean over those casts.
# What every head has (skin, white, black lines) says nothing about who it is, so most of it is taken off.
_USUAL = (
    *(0.17, 0.26, 0.22, 0.14, 0.07, 0.06, 0.07, 0.10, 0.11, 0.10),
    *(0.05, 0.09, 0.05, 0.03, 0.01, 0.01, 0.01, 0.02, 0.03, 0.02),
    *(0.15, 0.32, 0.39, 0.53, 0.47),
)
_USUAL_SHARE = 0.8


class ColourLayout:
    """An `Embedder`: soft histograms of CIELAB hue, chroma and lightness in soft zones around the centre.

    `same_distance`: on the casts above, 5 % of the pairs of two characters are nearer than it (false merges), and 57 % of the pairs of one
    character in different pictures are farther (false splits; half as many where the drawings are of one kind). At 0.6: 15 % and 33 %.
    """

    dim = _ROWS * _COLUMNS * _BINS
    same_distance = 0.45

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self._zones, self._weights = _zones()

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, 375)` float32 unit vectors."""
        vectors = np.empty((len(heads), self.dim), np.float32)
        for vector, head in zip(vectors, heads, strict=True):
            vector[:] = self._embed(head)
        return vectors

    def _embed(self, head: Picture) -> npt.NDArray[np.float64]:
        small = cv2.resize(np.ascontiguousarray(head), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
        lab[:, 1:] -= _CAST_SHARE * lab[:, 1:].mean(axis=0)
        zones = (self._zones @ _soft_bins(lab)) ** _POWER * self._weights[:, None]
        usual = np.array(_USUAL) / np.linalg.norm(_USUAL)
        lengths = np.linalg.norm(zones, axis=1, keepdims=True)
        vector = (zones - _USUAL_SHARE * lengths * usual).ravel()
        return np.asarray(vector / np.linalg.norm(vector))


def _zones() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """`(zones, pixels)` share of each pixel in each zone's mean, and `(zones,)` how much each zone counts."""
    at = (np.arange(_SIDE) + 0.5) / _SIDE
    centres = (np.arange(_ROWS) + 0.5) / _ROWS
    near = np.exp(-((at[None, :] - centres[:, None]) ** 2) / (2 * _ZONE_SIGMA**2))
    window = np.exp(-((at[:, None] - 0.5) ** 2 + (at[None, :] - 0.5) ** 2) / (2 * _WINDOW_SIGMA**2))
    columns = (near + near[::-1])[:_COLUMNS]
    zones = (np.einsum("ry,cx->rcyx", near, columns) * window).reshape(-1, _SIDE * _SIDE)
    weights = np.sqrt(zones.sum(axis=1))
    return zones / zones.sum(axis=1, keepdims=True), weights / weights.mean()


def _soft_bins(lab: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`(P, 3)` CIELAB → `(P, 25)`; each row sums to 1: shared between neighbouring hues, pale and rich, and the greys by lightness."""
    light, a, b = lab.T
    chroma = np.hypot(a, b)
    coloured = np.clip((chroma - 8) / 16, 0, 1)
    rich = np.clip((chroma - 25) / 30, 0, 1)
    hue = _spread((np.arctan2(b, a) / (2 * np.pi) % 1) * _HUES, _HUES, cyclic=True)
    grey = _spread(light / 100 * (_LIGHTS - 1), _LIGHTS, cyclic=False)
    return np.hstack(
        [hue * (coloured * (1 - rich))[:, None], hue * (coloured * rich)[:, None], grey * (1 - coloured)[:, None]]
    )


def _spread(position: npt.NDArray[np.float64], count: int, *, cyclic: bool) -> npt.NDArray[np.float64]:
    """`(P,)` positions 0..count → `(P, count)`: each shared linearly between the two bins around it."""
    low = np.floor(position).astype(int)
    share = position - low
    high = (low + 1) % count if cyclic else np.clip(low + 1, 0, count - 1)
    low = low % count if cyclic else np.clip(low, 0, count - 1)
    bins = np.zeros((len(position), count))
    rows = np.arange(len(position))
    bins[rows, low] += 1 - share
    bins[rows, high] += share
    return bins
