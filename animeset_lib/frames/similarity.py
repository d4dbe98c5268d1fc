"""How alike two pictures are: over the whole picture, and in its least similar part, with a small move of camera or figure taken out.

The measure is SSIM (Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity, 2004) with
the paper's constants and Gaussian window (11 pixels, sigma 1.5). The move is dense optical flow (Kroeger, Timofte, Dai, Van Gool: Fast optical
flow using dense inverse search, 2016) as OpenCV has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "ANALYSIS_SIDE_PX",
    "Similarity",
    "analysis_picture",
    "may_have_moved",
    "moved_similarity",
    "similarity",
    "ssim_map",
]

Picture = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8 RGB."""

ANALYSIS_SIDE_PX = 320
"""Longest side of the pictures that are compared. A talking head's mouth is still 6 to 12 pixels wide; codec noise is averaged away."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # the paper's K1, K2 for 8 bits

# A part is a square of a tenth of the picture's height: about the mouth, or the eyes, of a talking head (a face a quarter to a half high).
# Measured on television clips: noise and codec leave such a part above 0.85, a shimmer of light above 0.7; lips that part by a few pixels in a
# face a quarter of the height give 0.67, a mouth that opens in a face a sixth of it 0.6, a blink or a laugh in a close-up less than 0.3.
_PART = 0.1
# The lowest part of the picture is where subtitles stand; a line of text that changes does not make another drawing.
_SUBTITLES = 0.15
# Parts whose colour differs by this (Euclidean in Cb, Cr, levels of 255) count as not similar at all: a sepia memory of a shot is another
# picture although the lines are equal. The codec's own colour error stays below a tenth of it.
_COLOUR = 60.0
# A move is taken out up to this share of the longest side: a slow pan or zoom over a held drawing, a head that sways. More is another framing.
_MOVE_MAX = 0.1
# The flow is smoothed to about the size of a part, so that it can carry a face but not close its mouth.
_SMOOTH = 0.5 * _PART
# Only between these is it worth looking for a move: below nothing is shared, above nothing moved and what differs is drawn differently.
_MOVED_BETWEEN = 0.4, 0.98


@dataclass(frozen=True)
class Similarity:
    """`mean` over the picture and `worst` of its parts, both at most 1 (equal); `aligned` when a move was taken out first."""

    mean: float
    worst: float
    aligned: bool = False


def analysis_picture(picture: Picture) -> Picture:
    """`picture` with its longest side at most `ANALYSIS_SIDE_PX`, averaged over areas; smaller pictures stay as they are."""
    height, width = picture.shape[:2]
    scale = ANALYSIS_SIDE_PX / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def ssim_map(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """SSIM around each pixel of two `(H, W)` float32 pictures with values 0..255, edges mirrored; -1..1, equal pictures give 1."""

    def window(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT).astype(np.float32, copy=False)

    mean_a, mean_b = window(a), window(b)
    spread = window(a * a + b * b) - mean_a * mean_a - mean_b * mean_b
    shared = window(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    values: npt.NDArray[np.float32] = light * (2 * shared + _C2) / (spread + _C2)
    return values


def similarity(a: Picture, b: Picture) -> Similarity:
    """Compares two RGB pictures as they stand; `b` is first brought to the size of `a`. Of different shapes: mean and worst 0."""
    fitted = _fit(a, b)
    return Similarity(0.0, 0.0) if fitted is None else _summary(*_judge(a, fitted))


def may_have_moved(plain: Similarity) -> bool:
    """Whether two pictures that compare like this as they stand could be one drawing after a small move."""
    low, high = _MOVED_BETWEEN
    return low <= plain.mean < high


def moved_similarity(a: Picture, b: Picture) -> Similarity:
    """Compares again with `b` moved onto `a`, at several times the cost; each pixel and part counts as similar as it is either way.

    Below 32 pixels there is nothing to follow, and they are compared as they stand.
    """
    fitted = _fit(a, b)
    if fitted is None or min(a.shape[:2]) < 32:
        return similarity(a, b)
    b = fitted
    values, parts = _judge(a, b)
    values_moved, parts_moved = _judge(a, *_moved_onto(a, b))
    return _summary(np.maximum(values, values_moved), np.maximum(parts, parts_moved), aligned=True)


def _fit(a: Picture, b: Picture) -> Picture | None:
    """`b` at the size of `a`, None when their shapes differ by more than the rounding of sizes explains (2 %)."""
    if a.shape == b.shape:
        return b
    (height, width), (b_height, b_width) = a.shape[:2], b.shape[:2]
    if abs(width * b_height - height * b_width) > 0.02 * width * b_height:
        return None
    return cv2.resize(b, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _judge(
    a: Picture, b: Picture, unknown: npt.NDArray[np.bool_] | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Similarity around each pixel, and of the part around each pixel, both `(H, W)`; what is `unknown` of `b` counts as equal."""
    (ya, *colours_a), (yb, *colours_b) = (cv2.split(cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb)) for p in (a, b))
    values = ssim_map(ya.astype(np.float32), yb.astype(np.float32))
    if unknown is not None:
        values[unknown] = 1
    side = _part_side(a)

    def over_part(plane: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT).astype(np.float32, copy=False)

    red, blue = (over_part(cv2.subtract(m, n, dtype=cv2.CV_32F)) for m, n in zip(colours_a, colours_b, strict=True))
    colour = 1 - cv2.magnitude(red, blue) / _COLOUR
    if unknown is not None:
        colour[unknown] = 1
    return values, np.minimum(over_part(values), colour)


def _part_side(picture: Picture) -> int:
    height, width = picture.shape[:2]
    return max(1, min(round(int(height) * _PART), int(width)))


def _summary(values: npt.NDArray[np.float32], parts: npt.NDArray[np.float32], aligned: bool = False) -> Similarity:
    above_subtitles = parts[: max(1, round(len(parts) * (1 - _SUBTITLES)))]
    return Similarity(float(values.mean()), float(above_subtitles.min()), aligned)


def _moved_onto(a: Picture, b: Picture) -> tuple[Picture, npt.NDArray[np.bool_]]:
    """`b` with each region moved to where it lies in `a`, and where nothing of `b` can be known, because `a` shows there what lay outside.

    Moves beyond `_MOVE_MAX` are left undone. Both pictures are at least 32 pixels wide and high.
    """
    height, width = a.shape[:2]
    grey_a, grey_b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (a, b))
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey_a, grey_b, None)  # type: ignore[call-overload]
    dx, dy = cv2.split(cv2.GaussianBlur(flow, (0, 0), _SMOOTH * height))
    near = cv2.magnitude(dx, dy) <= _MOVE_MAX * max(height, width)
    dx, dy = np.where(near, dx, 0), np.where(near, dy, 0)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    moved = cv2.remap(b, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # The flow itself is lost at an edge beyond which `a` looks, so the width of the unknown strip is read off a part further in. The SSIM
    # window reaches 5 pixels beyond the strip.
    inside = _part_side(a)
    unknown = np.zeros((height, width), bool)
    strips = (
        (-dx[:, inside], unknown),
        (dx[:, -1 - inside], unknown[:, ::-1]),
        (-dy[inside], unknown.T),
        (dy[-1 - inside], unknown.T[:, ::-1]),
    )
    for outwards, seen_from_edge in strips:
        strip = math.ceil(float(np.quantile(outwards, 0.9)))
        if strip > 0:
            seen_from_edge[:, : strip + 5] = True
    return moved.astype(np.uint8, copy=False), unknown
