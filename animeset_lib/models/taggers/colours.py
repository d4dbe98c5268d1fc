"""Names for colours, as booru tags use them for hair and eyes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["EYE_COLOURS", "HAIR_COLOURS", "lab_of", "shares"]

# Typical drawn tones in light and in shade, sRGB. Own observations on anime frames; black hair is drawn with blue and brown lights.
_TONES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "black": ((20, 20, 25), (40, 38, 45), (55, 52, 65), (50, 40, 40), (75, 70, 75), (85, 82, 92)),
    "grey": ((120, 120, 128), (150, 150, 158), (170, 168, 175)),
    "white": ((235, 235, 238), (205, 205, 215), (245, 240, 235), (220, 210, 215)),
    "brown": ((95, 60, 45), (130, 85, 60), (75, 48, 38), (155, 110, 80), (110, 80, 65)),
    "blonde": ((245, 220, 130), (225, 195, 110), (250, 235, 175), (200, 165, 90), (215, 180, 130), (215, 190, 150)),
    "orange": ((225, 125, 50), (190, 95, 40), (240, 155, 85)),
    "red": ((190, 40, 45), (140, 30, 38), (220, 70, 65), (105, 25, 32), (170, 85, 85), (205, 88, 85), (145, 68, 72)),
    "pink": ((245, 170, 190), (225, 130, 160), (250, 200, 210), (245, 140, 175), (215, 140, 165), (230, 165, 170)),
    "purple": ((125, 85, 165), (90, 60, 125), (165, 130, 200), (190, 160, 215), (110, 70, 120)),
    "blue": (
        (60, 95, 180),
        (45, 65, 125),
        (100, 140, 215),
        (150, 185, 235),
        (60, 75, 110),
        (32, 42, 85),
        (165, 202, 228),
    ),
    "aqua": ((90, 200, 210), (130, 225, 225), (60, 150, 165)),
    "green": ((90, 160, 90), (60, 110, 65), (140, 195, 120), (70, 130, 110), (180, 210, 150), (30, 120, 50)),
    "yellow": ((240, 210, 60), (205, 170, 45), (255, 230, 120)),
}
HAIR_COLOURS = tuple(name for name in _TONES if name != "yellow")
EYE_COLOURS = ("yellow", "orange", "red", "pink", "purple", "blue", "aqua", "green")
"""Without black, grey, white and brown: pupil, eyeball, lines and shadows are drawn in these whatever the iris is."""


def lab_of(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """`(..., 3)` uint8 RGB → `(P, 3)` float32 CIELAB."""
    pixels = np.ascontiguousarray(rgb).reshape(1, -1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0], np.float32)


def _lab_tones(names: tuple[str, ...]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    rgb = [tone for name in names for tone in _TONES[name]]
    owner = [index for index, name in enumerate(names) for _ in _TONES[name]]
    return lab_of(np.array(rgb, np.uint8)), np.array(owner)


def shares(
    lab: npt.NDArray[np.float32], names: tuple[str, ...], weights: npt.NDArray[np.float32] | None = None
) -> dict[str, float]:
    """`(P, 3)` CIELAB, P > 0 → which share of the pixels is nearest to a tone of each name; largest first, summing to 1.

    weights  `(P,)`, how much each pixel counts; unset: all the same.
    """
    tones, owner = _lab_tones(names)
    # Lightness counts half: shade and light change it most and the name least.
    scale = np.array([0.5, 1, 1], np.float32)
    distance = np.linalg.norm((lab[:, None] - tones[None]) * scale, axis=2)
    counts = np.bincount(owner[distance.argmin(axis=1)], weights=weights, minlength=len(names))
    return {names[i]: float(counts[i] / counts.sum()) for i in np.argsort(-counts, kind="stable")}
