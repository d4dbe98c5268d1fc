"""From a face box to the head crop that every identity embedder sees, and to a body drawn from the face alone."""

from __future__ import annotations

import cv2
import numpy as np

from animeset_lib.models.api import Picture
from animeset_lib.records import Box

__all__ = ["estimated_person", "head_box", "head_crop"]

HEAD_SIDE = 2.0
"""Side of the square head crop in face sizes (root of the face box's area)."""
HEAD_RISE = 0.18
"""How far the crop's centre lies above the face's centre, in face heights: hair rises above the brows more than the chin lies below."""
HEAD_MAX_PX = 256
"""Larger crops are shrunk to this side: no embedder here looks at more, and a close-up would cost megabytes per face."""

# A figure in face boxes (brow to chin): hair begins 0.6 of a box above, and an adult anime figure is about six and a half heads of 1.6 boxes
# tall and, arms included, at most one head wide on either side of the nose. Children and chibis are shorter: their box reaches too low.
_ABOVE, _FIGURE, _ASIDE = 0.6, 6.5 * 1.6, 1.6


def head_box(face: Box) -> Box:
    """The square around face, hair and chin; may reach beyond the picture."""
    side = HEAD_SIDE * face.area**0.5
    x, y = face.center
    y -= HEAD_RISE * face.height
    return Box(x0=x - side / 2, y0=y - side / 2, x1=x + side / 2, y1=y + side / 2)


def head_crop(picture: Picture, face: Box) -> Picture:
    """`(S, S, 3)` uint8 RGB, S at most `HEAD_MAX_PX`: the head square of `face` in `picture`, whose edge pixels are repeated beyond its border.

    A face lies inside its picture, so at least a part of the square does too.
    """
    x0, y0, x1, y1 = head_box(face).pixels()
    y1 = y0 + (x1 - x0)
    height, width = picture.shape[:2]
    inside = picture[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
    if inside.shape[:2] != (y1 - y0, x1 - x0):
        inside = cv2.copyMakeBorder(
            inside,
            max(0, -y0),
            max(0, y1 - height),
            max(0, -x0),
            max(0, x1 - width),
            cv2.BORDER_REPLICATE,
        ).astype(np.uint8)
    if x1 - x0 > HEAD_MAX_PX:
        inside = cv2.resize(inside, (HEAD_MAX_PX, HEAD_MAX_PX), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return np.ascontiguousarray(inside)


def estimated_person(face: Box, width: int, height: int) -> Box:
    """Where the body of a standing figure with this face would be, clipped to the `width` x `height` still."""
    x, _ = face.center
    top = face.y0 - _ABOVE * face.height
    box = Box(
        x0=x - _ASIDE * face.width,
        y0=top,
        x1=x + _ASIDE * face.width,
        y1=top + _FIGURE * face.height,
    ).clip(width, height)
    assert box is not None, "a face inside the still has a body that touches it"
    return box
