"""Enlarging without a network: Lanczos interpolation. It adds no detail and says so; the last resort among the upscalers."""

from __future__ import annotations

import cv2
import numpy as np

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo, Picture

__all__ = ["VERSION", "Lanczos"]

VERSION = "1"


class Lanczos:
    """OpenCV's 8x8 Lanczos kernel (`INTER_LANCZOS4`), edge pixels repeated beyond the border."""

    factors: tuple[int, ...] = (2, 3, 4)

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB → `(H * factor, W * factor, 3)`. Raises `ModelError` for another factor than 2, 3 or 4."""
        if factor not in self.factors:
            raise ModelError(f"{self.info.name} enlarges by {self.factors}, not by {factor}: choose one of these")
        height, width = picture.shape[:2]
        large = cv2.resize(
            np.ascontiguousarray(picture), (width * factor, height * factor), interpolation=cv2.INTER_LANCZOS4
        )
        return large.astype(np.uint8, copy=False)
