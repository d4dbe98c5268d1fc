"""How combed a picture is: two moments in alternate lines, as interlaced film shows them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["STEP", "combing"]

STEP = 10
"""Of 0..255: how far a line must stand out from those above and below."""
_BLOCK = 16
_EVERY = 2
"""Columns: combs are wider than one, and half the work is saved."""
_KERNELS = [np.array(weights, np.float32)[:, None] for weights in ([-1, 1, 0], [0, 1, -1], [1, -3, 4, -3, 1])]
"""A line against the one above, the one below, and the two next to it with those after."""


def combing(luma: npt.NDArray[np.uint8], moving: npt.NDArray[np.bool_] | None = None) -> float:
    """Share 0..1 of combed pixels in the worst block of 16x16 of a luma plane `(H, W)` of 8 bits; with `moving`, of those pixels that move.

    A pixel is combed when its line stands out from both neighbours the same way, and the lines next but one agree with it: the measure of
    `fieldmatch` (libavfilter/vf_fieldmatch.c, which has it from TFM).
    """
    if min(luma.shape) < 2 * _BLOCK:
        return 0.0
    luma = np.ascontiguousarray(luma[:, ::_EVERY])
    up, down, comb = (cv2.filter2D(luma, cv2.CV_16S, kernel, borderType=cv2.BORDER_REFLECT) for kernel in _KERNELS)
    stands_out = (cv2.min(up, down) > STEP) | (cv2.max(up, down) < -STEP)
    combed = (stands_out & (np.abs(comb) > 6 * STEP)).astype(np.uint8)
    combed[:2] = combed[-2:] = 0
    if moving is not None:
        combed &= moving[:, ::_EVERY]
    block = (_BLOCK // _EVERY, _BLOCK)
    counts = cv2.boxFilter(combed, cv2.CV_16S, block, normalize=False, borderType=cv2.BORDER_REFLECT)
    return float(counts.max()) / (block[0] * block[1])
