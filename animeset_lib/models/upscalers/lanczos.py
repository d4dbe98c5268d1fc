"""Enlarging without a network: Lanczos interpolation. It adds no detail and says so; the last resort among the upscalers."""

from __future__ import annotations

import cv2
import numpy as np

from animeset_lib.models.api import Picture
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.tiling import check_factor

__all__ = ["VERSION", "Lanczos"]

VERSION = "1"


class Lanczos:
    """OpenCV's 8x8 Lanczos kernel (`INTER_LANCZOS4`), edge pixels repeated beyond the border."""

    factors: tuple[int, ...] = (2, 3, 4)

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB → `(H * factor, W * factor, 3)`. Raises `ModelError` for another factor than 2, 3 or 4."""
        check_factor(self.info.name, self.factors, factor)
        height, width = picture.shape[:2]
        large = cv2.resize(
            np.ascontiguousarray(picture), (width * factor, height * factor), interpolation=cv2.INTER_LANCZOS4
        )
        return large.astype(np.uint8, copy=False)
