"""What the tests of the upscalers share: drawings, and an upscaler's parts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from animeset_lib.models.api import ModelInfo, Picture
from animeset_lib.models.engines.device import Device
from animeset_lib.models.spec import Parts

REMEDY = "fetch it again"


def upscaler_parts(*files: Path, threads: int = 2) -> Parts:
    info = ModelInfo(name="tested", task="upscaler", digest="0", rung="a test", licence="none", source="a test")
    return Parts(info, files, Device(threads=threads), REMEDY)


def drawing(side: int) -> Picture:
    """A face-like drawing with lines two pixels wide, drawn eight times as large and averaged."""
    k, fine = side / 256, 8
    large = np.full((side * fine, side * fine, 3), (240, 225, 200), np.uint8)

    def px(value: float) -> int:
        return round(value * k * fine)

    cv2.circle(large, (px(128), px(128)), px(90), (250, 210, 180), -1, cv2.LINE_AA)
    for radius, colour in ((90, (30, 20, 25)), (60, (180, 60, 60)), (40, (60, 80, 170))):
        cv2.circle(large, (px(128), px(128)), px(radius), colour, 2 * fine, cv2.LINE_AA)
    cv2.line(large, (px(10), px(20)), (px(240), px(200)), (20, 20, 30), 2 * fine, cv2.LINE_AA)
    return cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def scene(height: int, width: int) -> Picture:
    """Lines, flats, a gradient and noise beside each other."""
    side = max(height, width)
    picture = drawing(side)[:height, :width].copy()
    picture[: height // 4, : width // 2, 2] = np.linspace(0, 255, width // 2).astype(np.uint8)
    noise = np.random.default_rng(5).integers(0, 256, (height // 3, width // 3, 3), dtype=np.uint8)
    picture[-noise.shape[0] :, -noise.shape[1] :] = noise
    return picture


def noise(height: int, width: int) -> Picture:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def apart(one: Picture, other: Picture) -> int:
    """The largest difference of a value."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())
