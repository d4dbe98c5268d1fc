"""Black bars: the part of the picture that is used somewhere in the film, from a few dozen of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from animeset_lib.records import Box

__all__ = ["content_box", "without_bars"]

_BLACK = 32  # luma up to this is black: 16 in limited range, plus ringing and noise of the codec
_FULL_LINE = 0.65  # share of a whole line that must be lit; subtitles, even long ones, light less than half of theirs
_MIN_FRAMES = 5  # with fewer usable frames nothing is cropped
_MIN_CONTENT = 0.4  # of width or height; a smaller picture is rather a dark film than a letterbox
_STRAY = 0.005  # share of a bar's line that may be lit: ringing of the codec at a bright edge
_LEAST_BAR = 0.02  # of width or height; less is the edge of a drawing
_UNEVEN = (
    0.25  # by how much of the wider one bars on both sides may differ; a dark corner of a drawing lies on one side
)
_SEEN = 0.05  # share of the usable frames, at least two, in which a line must be lit


def content_box(lumas: Sequence[npt.NDArray[np.uint8]], width: int, height: int) -> Box | None:
    """The rectangle, in pixels of a `width` x `height` picture, outside which the film stays black; None when there are no bars.

    `lumas` are `(H, W)` uint8 luma planes of frames spread over the film. A line belongs to the picture when it is lit nearly from end to
    end in some frames; so a dark scene does not shrink it, and subtitles inside a bar do not enlarge it.
    """
    masks = [luma > _BLACK for luma in lumas]
    rows = _span([m.mean(axis=1) for m in masks])
    columns = _span([m.mean(axis=0) for m in masks])
    if rows is None or columns is None:
        return None
    fy, fx = height / lumas[0].shape[0], width / lumas[0].shape[1]
    y0, y1 = _whole(rows, fy, height)
    x0, x1 = _whole(columns, fx, width)
    if (x0, y0, x1, y1) == (0, 0, width, height):
        return None
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def without_bars(luma: npt.NDArray[np.uint8], box: Box) -> Box:
    """`box`, or the part of it that lies between black bars in this one picture, whose luma inside `box` is `luma`.

    Scenes of another shape than the film's have bars of their own, above and below or at both sides. What is cut off is black from end to
    end, so that a dark scene loses nothing that could be seen.
    """
    height, width = luma.shape
    black = luma <= _BLACK
    rows = _between(black.mean(axis=1) >= 1 - _STRAY)
    columns = _between(black[slice(*rows) if rows else slice(None)].mean(axis=0) >= 1 - _STRAY)
    if rows is None and columns is None:
        return box
    fy, fx = (box.y1 - box.y0) / height, (box.x1 - box.x0) / width
    y0, y1 = _whole(rows or (0, height), fy, round(box.y1 - box.y0))
    x0, x1 = _whole(columns or (0, width), fx, round(box.x1 - box.x0))
    return Box(x0=box.x0 + x0, y0=box.y0 + y0, x1=box.x0 + x1, y1=box.y0 + y1)


def _between(black: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    """First line after one bar and first line of the other, of lines that are black or not; None without a pair of bars."""
    lit = np.flatnonzero(~black)
    if lit.size == 0:
        return None
    first, end = int(lit[0]), int(lit[-1]) + 1
    bars = first, len(black) - end
    if min(bars) < _LEAST_BAR * len(black) or max(bars) - min(bars) > max(2, _UNEVEN * max(bars)):
        return None
    return (first, end) if end - first >= _MIN_CONTENT * len(black) else None


def _span(shares: Sequence[npt.NDArray[np.float64]]) -> tuple[int, int] | None:
    """First line inside and first line after the picture, from each frame's share of lit pixels per line; None when unsure."""
    # lines are compared with the fullest ones of their frame: beside bars at the sides no line is lit from end to end
    usable = [s / full for s in shares if (full := float(np.percentile(s, 90))) > _MIN_CONTENT]
    if len(usable) < _MIN_FRAMES:
        return None
    lit = np.sum([s >= _FULL_LINE for s in usable], axis=0) >= max(2, _SEEN * len(usable))
    inside = np.flatnonzero(lit)
    if inside.size == 0:
        return None
    first, end = int(inside[0]), int(inside[-1]) + 1
    return (first, end) if end - first >= _MIN_CONTENT * lit.size else None


def _whole(span: tuple[int, int], scale: float, size: int) -> tuple[int, int]:
    """To whole picture pixels, one line further in on each side that has a bar: its edge is blended with the black."""
    first, end = span
    low = 0 if first == 0 else int(np.ceil((first + 1) * scale))
    high = size if round(end * scale) >= size else int((end - 1) * scale)
    return low, high
