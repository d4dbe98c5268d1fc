"""How alike two pictures are: structural similarity over the whole picture and in its least similar part, after taking out a small camera move.

SSIM is Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity, 2004, with the paper's
constants and its Gaussian window (11 pixels, sigma 1.5). The camera move is found by enhanced correlation (Evangelidis, Psarakis 2008) as OpenCV has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ANALYSIS_SIDE_PX", "Grey", "Similarity", "analysis_picture", "compare", "similarity", "ssim_map"]

Grey = npt.NDArray[np.uint8]
"""`(H, W)` uint8."""

Picture = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8 RGB."""

ANALYSIS_SIDE_PX = 320
"""Longest side of the pictures that are compared. A talking head's mouth is still 6 to 12 pixels wide; codec noise is averaged away."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # the paper's K1, K2 for 8 bits

# A part is a square of a tenth of the picture's height: about the mouth, or the eyes, of a talking head (a face a quarter to a half high).
# Measured on television clips: noise and codec leave such a part above 0.85, a shimmer of light or a hair's flutter above 0.7; a mouth that
# opens in a face a sixth of the height gives 0.6, a blink or a laugh in a close-up less than 0.3.
_PART = 0.1
# The lowest part of the picture is where subtitles stand; a line of text that changes does not make another drawing.
_SUBTITLES = 0.15
# Parts whose colour differs by this (Euclidean in Cb, Cr, levels of 255) count as not similar at all: a sepia memory of a shot is another
# picture although the lines are equal. The codec's own colour error stays below a tenth of it.
_COLOUR = 60.0
# A camera move is taken out up to this share of the longest side, measured at the corner that moves most: a slow pan or zoom between two
# stills of a held drawing. More would be another framing, of its own use to a training set.
_MOVE_MAX = 0.08


@dataclass(frozen=True)
class Similarity:
    """`mean` over the picture and `worst` of its parts, both at most 1 (equal); `aligned` when a camera move was taken out first."""

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


def similarity(a: Picture, b: Picture, shown: npt.NDArray[np.bool_] | None = None) -> Similarity:
    """Compares two RGB pictures of equal size as they stand; only where `shown`, `(H, W)` bool, is true, if given."""
    ya, yb = (cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb).astype(np.float32) for p in (a, b))
    values = ssim_map(np.ascontiguousarray(ya[:, :, 0]), np.ascontiguousarray(yb[:, :, 0]))
    height, width = values.shape
    side = max(1, min(round(height * _PART), width))
    shift = cv2.blur(ya[:, :, 1:] - yb[:, :, 1:], (side, side), borderType=cv2.BORDER_REFLECT)
    colour = 1 - np.hypot(shift[:, :, 0], shift[:, :, 1]) / _COLOUR
    if shown is not None:
        values = np.where(shown, values, np.float32(1))
    parts = np.minimum(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), colour)
    parts = parts[: max(1, round(height * (1 - _SUBTITLES)))]
    mean = float(values.mean() if shown is None else values[shown].mean())
    return Similarity(mean, float(parts.min()))


def compare(a: Picture, b: Picture, mean_min: float, worst_min: float) -> Similarity:
    """Compares as they stand, and where that falls short of the limits again with `b` moved onto `a`; returns the better one.

    A picture of another size is not similar: mean and worst 0. Better is: reaches both limits, else the larger mean.
    """
    if a.shape != b.shape:
        return Similarity(0.0, 0.0)
    plain = similarity(a, b)
    if (plain.mean >= mean_min and plain.worst >= worst_min) or (moved := _moved_onto(a, b)) is None:
        return plain
    picture, shown = moved
    found = similarity(a, picture, shown)
    aligned = Similarity(found.mean, found.worst, aligned=True)
    if aligned.mean >= mean_min and aligned.worst >= worst_min:
        return aligned
    return max(plain, aligned, key=lambda s: s.mean)


def _moved_onto(a: Picture, b: Picture) -> tuple[Picture, npt.NDArray[np.bool_]] | None:
    """`b` moved, scaled and turned slightly so that it lies on `a`, and where it has content there; None when no small move does that."""
    height, width = a.shape[:2]
    if min(height, width) < 32:
        return None
    half = [
        cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for p in (a, b)
    ]
    start = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        _, found = cv2.findTransformECC(half[0], half[1], start, cv2.MOTION_AFFINE, stop, None, 5)  # type: ignore[call-overload]
    except cv2.error:  # flat or unrelated pictures: it did not converge
        return None
    matrix = np.array(found, np.float64)
    # pixel centres lie at (i + 0.5): p_full = 2 p_half + 0.5
    matrix[:, 2] = 2 * matrix[:, 2] + 0.5 * (1 - matrix[:, :2].sum(axis=1))
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)], np.float64)
    move = np.abs(corners @ matrix.T - corners[:, :2]).max()
    if not move <= _MOVE_MAX * max(height, width):
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(b, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full((height, width), 255, np.uint8), matrix, (width, height), flags=flags)
    # the SSIM window reaches 5 pixels, and must not reach beyond the moved picture's edge
    shown = cv2.erode((inside == 255).astype(np.uint8), np.ones((11, 11), np.uint8)).astype(bool)
    return picture.astype(np.uint8, copy=False), shown
