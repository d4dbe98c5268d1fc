"""How combed a picture is: two moments in alternate lines, as interlaced film shows them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["STEP", "combing"]

STEP = 10
"""Of 0..255: how far a line must stand out from those above and below."""
_BLOCK = 16


def combing(luma: npt.NDArray[np.uint8], moving: npt.NDArray[np.bool_] | None = None) -> float:
    """Share 0..1 of combed pixels in the worst block of 16x16 of a luma plane `(H, W)` of 8 bits; with `moving`, of those pixels that move.

    A pixel is combed when its line stands out from both neighbours the same way, and the lines next but one agree with it: the measure of
    `fieldmatch` (libavfilter/vf_fieldmatch.c, which has it from TFM).
    """
    if min(luma.shape) < 2 * _BLOCK:
        return 0.0
    plane = luma.astype(np.int16)
    middle, above, below = plane[2:-2], plane[1:-3], plane[3:-1]
    up, down = middle - above, middle - below
    stands_out = ((up > STEP) & (down > STEP)) | ((up < -STEP) & (down < -STEP))
    combed = stands_out & (np.abs(plane[:-4] + 4 * middle + plane[4:] - 3 * (above + below)) > 6 * STEP)
    if moving is not None:
        combed &= moving[2:-2]
    return float(cv2.blur(combed.astype(np.float32), (_BLOCK, _BLOCK), borderType=cv2.BORDER_REFLECT).max())
