"""Drawing primitives: shapes in a figure's own units in, antialiased pixels in an RGB picture out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]  # (N, 2), x to the right, y down
Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Colour = tuple[int, int, int]  # RGB 0..255

_SHIFT = 4  # fractional bits of the coordinates given to OpenCV: 1/16 px


@lru_cache(maxsize=256)
def _even(count: int, end: bool = True) -> Points:
    """``count`` even steps from 0 to 1, ``end`` included or not; shared, not to be written into."""
    steps = np.linspace(0.0, 1.0, count, endpoint=end)
    steps.flags.writeable = False
    return steps


def quad(start: ArrayLike, control: ArrayLike, end: ArrayLike, steps: int = 10) -> Points:
    """Quadratic Bezier curve as ``steps + 1`` points, both ends included."""
    t = _even(steps + 1)[:, None]
    p, c, q = (np.asarray(v, float) for v in (start, control, end))
    curve: Points = (1 - t) ** 2 * p + 2 * (1 - t) * t * c + t**2 * q
    return curve


def smooth(points: ArrayLike, closed: bool = False, steps: int = 6) -> Points:
    """Catmull-Rom spline through all ``points`` (N, 2), ``steps`` points per span."""
    p = np.asarray(points, float)
    ext = (
        np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    )
    t = _even(steps, False)[None, :, None]
    a, b, c, d = (ext[i : len(ext) - 3 + i, None, :] for i in range(4))
    curve: Points = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    ).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


def ellipse(center: ArrayLike, rx: float, ry: float, steps: int = 28) -> Points:
    """Points of an axis-parallel ellipse."""
    t = 2 * np.pi * _even(steps, False)
    return np.asarray(center, float) + np.stack([np.cos(t) * rx, np.sin(t) * ry], axis=1)


def ribbon(points: ArrayLike, half_widths: ArrayLike) -> Points:
    """A closed outline around the curve ``points``; ``half_widths`` are spread evenly along it."""
    p = np.asarray(points, float)
    widths = np.asarray(half_widths, float)
    at = _even(len(widths))
    if len(widths) > 3:
        at, widths = smooth(np.column_stack([at, widths])).T
    w = np.maximum(np.interp(_even(len(p)), at, widths), 0.0)
    before, after = np.concatenate([p[:1], p[:-1]]), np.concatenate([p[1:], p[-1:]])
    along = after - before
    w /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    across = np.column_stack([-along[:, 1] * w, along[:, 0] * w])
    banks: Points = np.concatenate([p + across, (p - across)[::-1]])
    return banks


def mirror(points: ArrayLike, side: float) -> Points:
    """The points as they are for ``side`` +1, flipped left-right for -1."""
    flipped: Points = np.asarray(points, float) * np.array([side, 1.0])
    return flipped


def moved(points: ArrayLike, dx: float, dy: float) -> Points:
    """The points, each moved by (``dx``, ``dy``)."""
    shifted: Points = np.asarray(points, float) + np.array([dx, dy])
    return shifted


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` with ``share`` (0..1) of ``b`` mixed in."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, bl


class Canvas:
    """Draws into ``image`` (H, W, 3, RGB, changed in place); units are mapped by ``scale`` px per unit and ``origin`` px.

    ``light`` multiplies every colour (scene light on a figure). ``bounds`` collects the pixel box (x0, y0, x1, y1) of what
    of all fills is in the picture, since it was last set to None; None when nothing was.
    """

    def __init__(
        self,
        image: Picture,
        scale: float,
        origin: tuple[float, float],
        light: tuple[float, float, float] = (1.0, 1.0, 1.0),
        min_line_px: float = 1.0,
    ) -> None:
        self.image = image
        self.scale = scale
        self.origin = np.array(origin, float)
        self.light = light
        self.min_line_px = min_line_px
        self.bounds: tuple[float, float, float, float] | None = None

    def px(self, points: ArrayLike) -> Points:
        """Unit coordinates to picture pixels."""
        placed: Points = np.asarray(points, float) * self.scale + self.origin
        return placed

    def _lit(self, colour: Colour) -> tuple[float, float, float]:
        r, g, b = (min(255.0, c * f) for c, f in zip(colour, self.light, strict=True))
        return r, g, b

    def _line_px(self, width: float) -> float:
        return max(width * self.scale, self.min_line_px)

    def fill(self, points: ArrayLike, colour: Colour) -> None:
        """Fill a closed shape."""
        p = self.px(points)
        if self._in_sight(p):
            cv2.fillPoly(self.image, [_fixed(p)], self._lit(colour), cv2.LINE_AA, _SHIFT)
            self._note_bounds(p)

    def _note_bounds(self, p: Points) -> None:
        height, width = self.image.shape[:2]
        (x0, y0), (x1, y1) = p.min(axis=0), p.max(axis=0)
        b = self.bounds
        if (
            b is not None
            and b[0] <= max(x0, 0)
            and b[1] <= max(y0, 0)
            and b[2] >= min(x1, width)
            and b[3] >= min(y1, height)
        ):
            return
        if y0 < 0 or y1 > height:  # only what lies between the upper and the lower edge counts
            x, y = p.T
            after = np.roll(p, -1, axis=0)
            seen = [p[(y >= 0) & (y <= height)]]
            for limit in (0.0, float(height)):  # where the outline enters and leaves
                cross = (y - limit) * (after[:, 1] - limit) < 0
                share = (limit - y[cross]) / (after[cross, 1] - y[cross])
                seen.append(
                    np.column_stack([x[cross] + (after[cross, 0] - x[cross]) * share, np.full(len(share), limit)])
                )
            visible = np.concatenate(seen)
            if not len(visible):
                return
            (x0, y0), (x1, y1) = visible.min(axis=0), visible.max(axis=0)
        if x1 <= 0 or x0 >= width:
            return
        b = b or (x0, y0, x1, y1)
        self.bounds = (max(min(b[0], x0), 0.0), min(b[1], y0), min(max(b[2], x1), float(width)), max(b[3], y1))

    def _in_sight(self, p: Points) -> bool:
        """Whether the box around some pixel points meets the picture: what does not is not worth drawing."""
        (x0, y0), (x1, y1) = p.min(axis=0), p.max(axis=0)
        return bool(x1 >= -8 and y1 >= -8 and x0 <= self.image.shape[1] + 8 and y0 <= self.image.shape[0] + 8)

    def line(self, points: ArrayLike, colour: Colour, width: float, closed: bool = False) -> None:
        """A line of even width (units)."""
        p = self.px(points)
        if self._in_sight(p):
            thick = max(1, round(self._line_px(width)))
            cv2.polylines(self.image, [_fixed(p)], closed, self._lit(colour), thick, cv2.LINE_AA, _SHIFT)

    def shape(self, points: ArrayLike, colour: Colour, line: Colour, width: float) -> None:
        """Fill a closed shape and ink its outline."""
        self.fill(points, colour)
        self.line(points, line, width, closed=True)

    def stroke(self, points: ArrayLike, colour: Colour, *widths: float) -> None:
        """An ink stroke with a pen-like width profile (full widths in units, spread evenly along the curve)."""
        least = self.min_line_px / self.scale
        half = [0.5 * (max(w, least) if w > 0 else 0.25 * least) for w in widths]
        p = self.px(ribbon(points, half))
        if self._in_sight(p):
            cv2.fillPoly(self.image, [_fixed(p)], self._lit(colour), cv2.LINE_AA, _SHIFT)

    def merged(self, shapes: Sequence[ArrayLike], colour: Colour, line: Colour, width: float) -> None:
        """Fill several overlapping shapes as one: ink only around their union."""
        for shape in shapes:
            self.line(shape, line, 2 * width, closed=True)
        for shape in shapes:
            self.fill(shape, colour)

    def fill_inside(
        self,
        points: ArrayLike,
        inside: Sequence[ArrayLike],
        *colours: Colour,
        opacity: float = 1.0,
    ) -> None:
        """Fill the part of a shape that lies inside the union of other shapes; several ``colours`` run top to bottom."""
        p = self.px(points)
        x0, y0 = np.maximum(np.floor(p.min(axis=0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(p.max(axis=0)).astype(int) + 2, (self.image.shape[1], self.image.shape[0]))
        if x1 <= x0 or y1 <= y0:
            return
        corner = np.array([x0, y0], float)
        region = self.image[y0:y1, x0:x1]
        clip = np.zeros(region.shape[:2], np.uint8)
        flat = opacity == 1.0 and len(colours) == 1
        for shape in inside:
            cv2.fillPoly(clip, [_fixed(self.px(shape) - corner)], 255, cv2.LINE_8 if flat else cv2.LINE_AA, _SHIFT)
        if flat:  # the quick way; where the clip cuts, supersampling alone smooths the edge
            filled = region.copy()
            cv2.fillPoly(filled, [_fixed(p - corner)], self._lit(colours[0]), cv2.LINE_AA, _SHIFT)
            cv2.copyTo(filled, clip, region)
            return
        own = np.zeros_like(clip)
        cv2.fillPoly(own, [_fixed(p - corner)], 255, cv2.LINE_AA, _SHIFT)
        mask = cv2.min(own, clip)
        stops = np.array([self._lit(c) for c in colours], np.float32)
        # relative to the shape itself, not to its visible part, so that a cut at the picture's edge changes nothing
        at = (np.arange(y0, y1) - p[:, 1].min()) / max(float(np.ptp(p[:, 1])), 1.0) * (len(stops) - 1)
        paint = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)[:, None]
        alpha = mask.astype(np.float32)[..., None] * np.float32(opacity / 255.0)
        region[...] = (region + (paint - region) * alpha + 0.5).astype(np.uint8)

    def glow(self, center: ArrayLike, rx: float, ry: float, colour: Colour, opacity: float) -> None:
        """A soft elliptic patch (blush, light), strongest in the middle."""
        c = self.px(np.asarray(center, float)[None])[0]
        rx, ry = rx * self.scale, ry * self.scale
        x0, x1 = max(int(c[0] - rx), 0), min(int(c[0] + rx) + 2, self.image.shape[1])
        y0, y1 = max(int(c[1] - ry), 0), min(int(c[1] + ry) + 2, self.image.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        dx = ((np.arange(x0, x1, dtype=np.float32) - c[0]) / rx)[None] ** 2
        dy = ((np.arange(y0, y1, dtype=np.float32) - c[1]) / ry)[:, None] ** 2
        alpha = (np.clip(1 - dx - dy, 0, 1).astype(np.float32) * np.float32(opacity))[..., None]
        region = self.image[y0:y1, x0:x1]
        region[...] = (region + (np.array(self._lit(colour), np.float32) - region) * alpha + 0.5).astype(np.uint8)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Pixels as OpenCV's fixed-point integers."""
    return np.asarray(np.round(points * (1 << _SHIFT)), np.int32)
