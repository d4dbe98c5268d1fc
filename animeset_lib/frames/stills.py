"""A still on the disk: its picture, the small picture that comparisons see, and how sharp it is. All made once, while the frame is in memory: reading
a still again costs as much as decoding six frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.frames.similarity import analysis_picture
from animeset_lib.media import Picture, write_image
from animeset_lib.records import Frame

__all__ = ["StillWriter", "sharpness", "slopes_at", "small_file", "write_still"]

Ints = npt.NDArray[np.int32]

# Subtitles stand in the lowest part; their edges say nothing about the drawing.
_SUBTITLES = 0.15


def small_file(folder: Path, frame: Frame) -> Path:
    """Where the picture of at most 320 pixels lies that belongs to a still in the stage's `folder`."""
    return folder / "small" / f"{frame.id}.png"


def write_still(folder: Path, frame: Frame, picture: Picture) -> Frame:
    """Writes the still `frame` and its small picture into the stage's `folder`; the row with what was measured on the way."""
    write_image(folder / frame.file, picture)
    small = small_file(folder, frame)
    small.parent.mkdir(exist_ok=True)
    write_image(small, analysis_picture(picture))
    return frame.model_copy(update={"sharpness": round(sharpness(picture), 3)})


class StillWriter:
    """Makes and writes stills on a few threads, never holding more than a few; gives their rows in the order in which they came. The first failure
    is raised by the next call."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._limit = 2 * max(1, threads)
        self._pool = ThreadPoolExecutor(max(1, threads))
        self._pending: deque[Future[Frame]] = deque()

    def __enter__(self) -> StillWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, frame: Frame, picture: Callable[[], Picture]) -> Iterator[Frame]:
        """Takes the next still, whose `picture()` is made in a thread; gives the rows of stills that are written by now."""
        self._pending.append(self._pool.submit(lambda: write_still(self._folder, frame, picture())))
        yield from self._written()

    def pass_on(self, frame: Frame) -> Iterator[Frame]:
        """Takes a row that needs no still of its own."""
        done: Future[Frame] = Future()
        done.set_result(frame)
        self._pending.append(done)
        yield from self._written()

    def _written(self) -> Iterator[Frame]:
        while len(self._pending) > self._limit:
            yield self._pending.popleft().result()

    def rest(self) -> Iterator[Frame]:
        """Waits until all is written."""
        while self._pending:
            yield self._pending.popleft().result()


def sharpness(picture: Picture) -> float:
    """How steep the strongest edges of an RGB picture are, in grey levels per pixel; larger is sharper; 0 for a picture without edges.

    The edges are the hundredth of the pixels with the steepest slope after a blur (sigma 2): line art, not grain. There the slope of the
    unblurred picture is measured *along* the blurred one's direction, so that noise, which points anywhere, averages out instead of
    counting as sharpness. The lowest 15 % of the picture, where subtitles stand, does not count. Frames of one drawing rank by focus,
    motion blur, compression and fade; values of different drawings are not comparable.
    """
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    grey = grey[: max(1, round(len(grey) * (1 - _SUBTITLES)))]
    # every other line tells as much, in half the time; every fourth pixel is enough to place the limit
    cx, cy = (g[::2].astype(np.float32) for g in cv2.spatialGradient(cv2.GaussianBlur(grey, (0, 0), 2)))
    strength = cv2.magnitude(cx, cy)
    line, column = np.nonzero(strength >= max(1.0, float(np.quantile(strength[::4, ::4], 0.99))))
    if not len(line):
        return 0.0
    fx, fy = slopes_at(grey, 2 * line, column)
    along = (fx * cx[line, column] + fy * cy[line, column]) / strength[line, column]
    # the operator weights the pixels on either side with 1, 2, 1, and they are two pixels apart: 8 times the slope
    return max(0.0, float(along.mean())) / 8


def slopes_at(
    grey: npt.NDArray[np.uint8], line: npt.NDArray[np.intp], column: npt.NDArray[np.intp]
) -> tuple[Ints, Ints]:
    """What `cv2.spatialGradient` gives at some points only, of which there are few: 8 times the slope across and down."""
    padded = cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    a, b, c, d, _, e, f, g, h = (
        padded[line + down, column + right].astype(np.int32) for down in range(3) for right in range(3)
    )
    return (c + 2 * e + h) - (a + 2 * d + f), (f + 2 * g + h) - (a + 2 * b + c)
