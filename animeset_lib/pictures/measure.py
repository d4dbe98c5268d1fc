"""What can be measured about a drawn face in a picture: tones, line width, noise, coding blocks, and mixing with its neighbours in time.

Everything here is a pure function of arrays. Values were calibrated on television frames and on degraded copies of them; the table
is printed by `benchmarks/quality.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.records import Box

__all__ = [
    "Mixture",
    "blockiness",
    "find_mixture",
    "line_width",
    "luma_around",
    "measure_face",
    "mixing_patch",
    "noise_sigma",
]

Picture = npt.NDArray[np.uint8]
Luma = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

# Line widths are measured on a face of at most this height: finer detail than that is lost in training anyway, and it makes the cost of a
# close-up that of a small face.
_LINE_FACE_PX = 128
# Two Gaussian scales in px; the ratio of the gradients at both tells how wide the edge was before (Zhuo & Sim, "Defocus map estimation
# from a single image", 2011).
_FINE, _COARSE = 1.0, 2.0
_WIDEST_PX = 5.0
# Each direction is judged by its finer lines: soft shading and a soft background between sharp lines are meant to be so.
_LINE_PERCENTILE = 30
_MIN_EDGES = 8
_MIN_AMPLITUDE = 12.0
_MIXING_SIDE = 24


def measure_face(picture: Picture, face: Box) -> dict[str, float]:
    """All single-picture values of one face by name.

    picture  the whole still, `(H, W, 3)` uint8 RGB.
    face     in its pixels; what lies outside the still is ignored.

    luma_*       mean, 5th and 95th percentile of luma (0..255) inside the face box
    contrast     98th minus 2nd percentile of luma inside the face box
    saturation   mean HSV saturation, 0..255
    blur         width (sigma) of the drawn lines in percent of the face's height, in the direction in which they are widest
    blur_px      the same in pixels of the still
    noise        robust sigma of luma in the flattest parts of the head, 0..255
    blockiness   how many luma levels steps on one phase of the 8-px grid exceed the others, over head and shoulders
    face_px      height of the face box in px
    """
    inner = _cut(picture, face)
    gray = _gray(inner)
    p02, p05, p95, p98 = (float(v) for v in np.percentile(gray, (2, 5, 95, 98)))
    head = _gray(_cut(picture, face.grown(0.1, 0.25, 0.1, 0.08)))
    blur_px = line_width(head, face.height)
    return {
        "luma_mean": float(gray.mean()),
        "luma_p05": p05,
        "luma_p95": p95,
        "contrast": p98 - p02,
        "saturation": float(cv2.cvtColor(inner, cv2.COLOR_RGB2HSV)[..., 1].mean()),
        "blur": 100 * blur_px / face.height,
        "blur_px": blur_px,
        "noise": noise_sigma(head),
        "blockiness": blockiness(luma_around(picture, face)),
        "face_px": face.height,
    }


def luma_around(picture: Picture, face: Box) -> Luma:
    """`(h, w)` uint8 luma of head and shoulders around `face`."""
    height, width = picture.shape[:2]
    return _gray(_cut(picture, face.grown(0.6, 0.6, 0.6, 1.0).clip(width, height) or face))


def line_width(gray: Luma, face_px: float) -> float:
    """Sigma in px of the blur that the drawn lines of a head went through; 0 when they are as sharp as pixels allow.

    gray     `(H, W)` uint8, the head.
    face_px  height of the face in it.

    The lines are the strongest half of all edges by their true amplitude, so a drawing with few lines is judged by these few. They are
    sorted into four directions and the softest direction counts, which finds motion blur. A picture without edges gives 0: it is flat, not blurred.
    """
    scale = min(1.0, _LINE_FACE_PX / face_px)
    small = gray if scale == 1 else cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    plane = small.astype(np.float32)
    fine_x, fine_y = _gradient(plane, _FINE)
    fine = np.hypot(fine_x, fine_y)
    coarse = np.hypot(*_gradient(plane, _COARSE))
    direction = np.round(np.rad2deg(np.arctan2(fine_y, fine_x)) / 45).astype(np.int64) % 4
    peak = _ridge(fine, direction) & (fine > 1)
    ratio = (fine[peak] / np.maximum(coarse[peak], 1e-6)) ** 2
    variance = np.where(ratio > 1, (_COARSE**2 - ratio * _FINE**2) / np.maximum(ratio - 1, 1e-6), _WIDEST_PX**2)
    sigma = np.sqrt(np.clip(variance, 0, _WIDEST_PX**2))
    # the height of the step that a blur of sigma would flatten to the gradient seen
    amplitude = fine[peak] * np.sqrt(2 * np.pi * (sigma**2 + _FINE**2))
    strong = amplitude >= _MIN_AMPLITUDE
    if strong.sum() < _MIN_EDGES:
        return 0.0
    strong &= amplitude >= np.percentile(amplitude, 60)
    sigma, direction = sigma[strong], direction[peak][strong]
    widths = [
        float(np.percentile(sigma[direction == d], _LINE_PERCENTILE))
        for d in range(4)
        if (direction == d).sum() >= _MIN_EDGES
    ]
    return max(widths, default=0.0) / scale


def noise_sigma(gray: Luma) -> float:
    """Sigma of the noise in luma levels, from the flattest fifth of 8x8 patches (median absolute response to Immerkær's mask, 1996).

    Flat cel shading between lines has none; texture that is drawn everywhere counts as noise. 0 for a picture under 10 px.
    """
    if min(gray.shape) < 10:
        return 0.0
    plane = gray.astype(np.float32)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(plane, cv2.CV_32F, mask))[1:-1, 1:-1] / 6
    # black and white are clipped, and clipping hides noise
    usable = ((plane > 6) & (plane < 249))[1:-1, 1:-1]
    patches, inside = _patches(response), _patches(usable)
    full = inside.mean(axis=1) > 0.9
    if not full.any():
        return 0.0
    per_patch = np.median(patches[full], axis=1) / 0.6745
    return float(np.percentile(per_patch, 20))


def blockiness(gray: Luma) -> float:
    """Excess in luma levels of the steps across the borders of 8x8 coding blocks, mean of both directions; about 0 to 1 when clean.

    The phase of the grid is searched, because stills are cut out of the coded picture at any place. Steps are cut at 8 levels, so that drawn lines
    which happen to lie on the grid count little. 0 for a picture under 40 px.
    """
    if min(gray.shape) < 40:
        return 0.0
    plane = gray.astype(np.float32)
    return (_grid_excess(plane) + _grid_excess(plane.T)) / 2


@dataclass(frozen=True)
class Mixture:
    """A picture explained as a blend of two neighbours in time.

    share     how much of the foreign part is in it, 0..1: the lesser picture of a dissolve, or the plain colour of a fade
    residual  what stays unexplained, relative to the distance from the nearer neighbour; 0 a perfect blend, 1 no explanation at all
    fade      one of both neighbours is a plain colour
    """

    share: float
    residual: float
    fade: bool


def mixing_patch(picture: Picture, face: Box) -> Plane:
    """The head as a `(24, 24, 3)` float32 patch, so small that a figure may move a little between two stills."""
    return cv2.resize(
        _cut(picture, face.grown(0.4, 0.5, 0.4, 0.4)), (_MIXING_SIDE, _MIXING_SIDE), interpolation=cv2.INTER_AREA
    ).astype(np.float32)


def find_mixture(patch: Plane, before: Iterable[Plane], after: Iterable[Plane]) -> Mixture | None:
    """The best explanation of `patch` as a cross-dissolve of one patch from `before` and one from `after`, None when nothing speaks for one.

    Two neighbours of equal structure (a held shot, a change of light) explain nothing, nor does a neighbour that equals the picture.
    """
    best: Mixture | None = None
    after = list(after)
    for one in before:
        for other in after:
            mixture = _mix(patch, one, other)
            if mixture is not None and (best is None or mixture.residual < best.residual):
                best = mixture
    return best


def _mix(patch: Plane, one: Plane, other: Plane) -> Mixture | None:
    difference = one - other
    nearer = min(_rms(patch - one), _rms(patch - other))
    if _rms(difference) < 10 or nearer < 5:
        return None
    plain_one, plain_other = (bool(p.std(axis=(0, 1)).max() < 6) for p in (one, other))
    if plain_one == plain_other and _correlation(one, other) > 0.75:
        return None
    share = float(((patch - other) * difference).mean() / (difference**2).mean())
    foreign = share if plain_one else 1 - share if plain_other else min(share, 1 - share)
    return Mixture(
        min(1.0, max(0.0, foreign)), _rms(patch - other - share * difference) / nearer, plain_one or plain_other
    )


def _cut(picture: Picture, box: Box) -> Picture:
    """The part of `box` inside the picture; at least one pixel."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = (box.clip(width, height) or Box(x0=0, y0=0, x1=1, y1=1)).pixels()
    return np.ascontiguousarray(picture[min(y0, height - 1) : y1, min(x0, width - 1) : x1])


def _gray(picture: Picture) -> Luma:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _gradient(plane: Plane, sigma: float) -> tuple[Plane, Plane]:
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=1 / 8) for dx in (1, 0))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _ridge(strength: Plane, direction: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where `strength` is not exceeded by its two neighbours along `direction` (0: x, 1: down right, 2: y, 3: down left)."""
    height, width = strength.shape
    padded = np.pad(strength, 1, mode="edge")
    peak = np.zeros(strength.shape, np.bool_)
    for d, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        peak |= (direction == d) & (strength >= ahead) & (strength >= behind)
    return peak


def _patches(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """All whole 8x8 patches as rows of 64."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    whole = plane[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)
    return whole.swapaxes(1, 2).reshape(-1, 64).astype(np.float32)


def _grid_excess(plane: Plane) -> float:
    """Columns only: mean step above its two neighbours at the strongest of eight phases, less the median phase."""
    steps = np.minimum(np.abs(np.diff(plane, axis=1)), 8)
    above = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(axis=0)
    phases = np.array([above[phase::8].mean() for phase in range(8)])
    strongest = int(phases.argmax())
    return float(phases[strongest] - np.median(np.delete(phases, strongest)))


def _rms(difference: Plane) -> float:
    return float(np.sqrt((difference**2).mean()))


def _correlation(one: Plane, other: Plane) -> float:
    a, b = (patch - patch.mean(axis=(0, 1)) for patch in (one, other))
    return float((a * b).sum() / max(float(np.sqrt((a**2).sum() * (b**2).sum())), 1e-6))
