"""Black bars: the part of the picture that is used somewhere in the film, from a few dozen of its frames, and in single scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from animeset_lib.records import Box

__all__ = ["BAR_SAMPLES", "Lumas", "SceneBars", "content_box", "film_boxes"]

Lumas = Sequence[tuple[tuple[int, int], npt.NDArray[np.uint8]]]
"""Width and height of frames, and their luma planes."""

BAR_SAMPLES = 32
"""Frames that the film's bars are measured on."""

_BLACK = 32  # luma up to this is black: 16 in limited range, plus ringing and noise of the codec
_FULL_LINE = 0.65  # share of a whole line that must be lit; subtitles, even long ones, light less than half of theirs
_MIN_FRAMES = 5  # with fewer usable frames nothing is cropped
_MIN_CONTENT = 0.4  # of width or height; a smaller picture is rather a dark film than a letterbox
_STRAY = 0.005  # share of a bar's line that may be lit: ringing of the codec at a bright edge
_FLAT = 6  # of 0..255: how far a bar may differ from the blackest border of the picture; the night of a drawing differs more
_EDGE = 4  # lines within which the picture begins behind a bar
_LIT_EDGE = 0.3  # share of such a line that must be lit: a bar ends in a straight line, the dark around a lamp does not
_LEAST_BAR = 0.02  # of width or height; less is the edge of a drawing
_UNEVEN = (
    0.25  # by how much of the wider one bars on both sides may differ; a dark corner of a drawing lies on one side
)
_SEEN = 0.05  # share of the usable frames, at least two, in which a line must be lit


def film_boxes(lumas: Lumas) -> dict[tuple[int, int], Box]:
    """The part of the picture inside the bars, by the size of the frames; a size without bars is not among them."""
    found = {size: content_box([luma for of, luma in lumas if of == size], *size) for size in dict(lumas)}
    return {size: box for size, box in found.items() if box is not None}


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


class SceneBars:
    """Bars of single scenes, which have another shape than the rest of the film: above and below, or at both sides.

    A bar is as black as can be, lies at both sides, and ends in a straight line. A dark picture of which that cannot be said is cut like
    one before it, if all that lies outside is black.
    """

    def __init__(self) -> None:
        self._known: list[tuple[slice, slice]] = []

    def cut(self, luma: npt.NDArray[np.uint8], box: Box) -> Box:
        """The part of `box` between the bars of the picture whose luma inside `box` is `luma`; `box` itself when there are none."""
        # not the least value of all: a codec undershoots beside bright edges
        edges = (luma[0], luma[-1], luma[:, 0], luma[:, -1])
        black = luma <= min(_BLACK, int(min(np.median(edge) for edge in edges)) + _FLAT)
        rows = _between(black)
        columns = _between(black[slice(*rows) if rows else slice(None)].T)
        if rows or columns:
            found = slice(*(rows or (0, luma.shape[0]))), slice(*(columns or (0, luma.shape[1])))
            if found not in self._known:
                self._known.append(found)
        else:
            fitting = (known for known in self._known if _all_black_outside(black, known))
            found = next(fitting, (slice(0, luma.shape[0]), slice(0, luma.shape[1])))
        fy, fx = (box.y1 - box.y0) / luma.shape[0], (box.x1 - box.x0) / luma.shape[1]
        y0, y1 = _whole((found[0].start, found[0].stop), fy, round(box.y1 - box.y0))
        x0, x1 = _whole((found[1].start, found[1].stop), fx, round(box.x1 - box.x0))
        return Box(x0=box.x0 + x0, y0=box.y0 + y0, x1=box.x0 + x1, y1=box.y0 + y1)


def _between(black: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    """First row after one bar and first row of the other; None without a pair of bars."""
    shares = black.mean(axis=1)
    lit = np.flatnonzero(shares < 1 - _STRAY)
    if lit.size == 0:
        return None
    first, end = int(lit[0]), int(lit[-1]) + 1
    bars = first, len(black) - end
    if min(bars) < _LEAST_BAR * len(black) or max(bars) - min(bars) > max(2, _UNEVEN * max(bars)):
        return None
    if end - first < max(_MIN_CONTENT * len(black), 2 * _EDGE):
        return None
    straight = all(
        shares[edge].min() <= 1 - _LIT_EDGE for edge in (slice(first, first + _EDGE), slice(end - _EDGE, end))
    )
    return (first, end) if straight else None


def _all_black_outside(black: npt.NDArray[np.bool_], inside: tuple[slice, slice]) -> bool:
    if inside[0].stop > black.shape[0] or inside[1].stop > black.shape[1]:
        return False
    lit = ~black
    return bool(lit.sum() - lit[inside].sum() <= _STRAY * (black.size - black[inside].size))


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
