"""How combed a picture is: two moments in alternate lines, as interlaced film shows them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["STEP", "combing"]

STEP = 10
"""Of 0..255: how far a line must stand out from those above and below."""
_BLOCK = 16
_ACROSS = 4
"""Columns that are averaged: it leaves combs, whose lines are long, and takes the noise."""
_KERNELS = [np.array(weights, np.float32)[:, None] for weights in ([-1, 1, 0], [0, 1, -1], [1, -3, 4, -3, 1])]
"""A line against the one above, the one below, and the two next to it with those after."""


def combing(luma: npt.NDArray[np.uint8], moving: npt.NDArray[np.bool_] | None = None) -> float:
    """Share 0..1 of combed pixels in the worst block of 16x16 of a luma plane `(H, W)` of 8 bits; with `moving`, of those pixels that move.

    A pixel is combed when its line stands out from both neighbours the same way, the lines next but one agree with it (the measure of
    `fieldmatch`, libavfilter/vf_fieldmatch.c, which has it from TFM), and its neighbours stand out the other way.
    """
    if min(luma.shape) < 2 * _BLOCK:
        return 0.0
    size = (luma.shape[1] // _ACROSS, luma.shape[0])
    luma = np.asarray(cv2.resize(luma[:, : size[0] * _ACROSS], size, interpolation=cv2.INTER_AREA), np.uint8)
    up, down, comb = (cv2.filter2D(luma, cv2.CV_16S, kernel, borderType=cv2.BORDER_REFLECT) for kernel in _KERNELS)
    bright = (cv2.min(up, down) > STEP) & (comb > 6 * STEP)
    dark = (cv2.max(up, down) < -STEP) & (comb < -6 * STEP)
    # by turns in three lines: noise and single lines of a drawing are not
    middle = (bright[1:-1] & dark[:-2] & dark[2:]) | (dark[1:-1] & bright[:-2] & bright[2:])
    combed = np.zeros(luma.shape, np.uint8)
    for first in range(3):
        combed[first : first + len(middle)] |= middle
    if moving is not None:
        combed &= moving[:, : size[0] * _ACROSS : _ACROSS]
    block = (_BLOCK // _ACROSS, _BLOCK)
    counts = cv2.boxFilter(combed, cv2.CV_16S, block, normalize=False, borderType=cv2.BORDER_REFLECT)
    return float(counts.max()) / (block[0] * block[1])
