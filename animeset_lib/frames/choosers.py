"""Which decoded frames become stills: one chooser per mode, fed with frames in order, holding only a few at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.frames.shots import ShotDetector
from animeset_lib.media import MovieFrame
from animeset_lib.records import Box
from animeset_lib.settings import ExtractSettings

__all__ = [
    "CHANGE_EDGES",
    "AdaptiveChooser",
    "Chooser",
    "ChosenFrame",
    "FpsChooser",
    "KeyframeChooser",
    "Packed",
    "Seen",
    "changed_share",
    "pack",
]

CHANGE_EDGES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Borders of the histogram of change since the last still that goes into stage.json."""

_BLOCK = 5  # pixels of the thumbnail, about 1/32 of the picture's width: the size of a mouth in a medium close-up
_BLOCK_CHANGED = 8.0  # mean difference of 0..255 from which a block counts; coding noise averages out well below
_SETTLE_MS = 170  # how long a picture must stay to be settled; drawings are often held for 125 ms while things move
_PATIENCE_MS = 900  # how long a change may wait for that: longer than most dissolves and gestures
_EMPTY = 2.5  # standard deviation of 0..255 of a picture without anything to see, such as the black that a shot fades in from
_MEMORY = 8  # stills of the shot that a frame is compared with

Cause = Literal["shot", "change", "interval", "keyframe"]


@dataclass(frozen=True)
class Packed:
    """`pixels`: luma, below it both chroma planes side by side, uint8; `rows` and `columns` of luma in blocks."""

    pixels: npt.NDArray[np.uint8]
    rows: int
    columns: int


@dataclass(frozen=True)
class Seen:
    """A decoded frame with its thumbnail. `own` is False for the frames after a segment's end that are only looked at."""

    frame: MovieFrame
    small: Packed
    own: bool


@dataclass(frozen=True)
class ChosenFrame:
    """A frame to keep. `repeat` is True when the frame-rate filter would show the one before once more, at `pts_ms`."""

    frame: MovieFrame
    cause: Cause
    pts_ms: int
    repeat: bool = False


class Chooser(Protocol):
    """`changes` counts, per `CHANGE_EDGES`, how far each frame was from the last still; all zero where a mode does not ask."""

    changes: npt.NDArray[np.int64]

    def add(self, seen: Seen) -> Iterator[ChosenFrame]:
        """Takes the next frame and gives the choices that are certain by now. The detector must have got its picture already."""

    def end(self) -> Iterator[ChosenFrame]:
        """The rest, after the last frame."""


class KeyframeChooser:
    """Every frame it gets; asks the detector about each so that the shots are known."""

    def __init__(self, detector: ShotDetector) -> None:
        self._detector = detector
        self._asked = 0
        self.changes = np.zeros(len(CHANGE_EDGES) - 1, np.int64)

    def add(self, seen: Seen) -> Iterator[ChosenFrame]:
        self._ask(len(self._detector) - self._detector.lookahead)
        if seen.own:
            yield ChosenFrame(seen.frame, "keyframe", seen.frame.pts_ms)

    def end(self) -> Iterator[ChosenFrame]:
        self._ask(len(self._detector))
        yield from ()

    def _ask(self, until: int) -> None:
        while self._asked < until:
            self._detector.is_cut(self._asked)
            self._asked += 1


class FpsChooser(KeyframeChooser):
    """The pictures that `ffmpeg -vf fps=N` gives, by the rules of its filter (libavfilter/vf_fps.c, round=near, eof_action=round).

    Times are rounded to whole output slots, halves away from zero; slot n shows the last frame whose time rounds to n or less. So a
    frame fills the slots from its own up to the next frame's: none when the film is faster, several when it stands still.
    """

    def __init__(self, detector: ShotDetector, fps: float, step: Fraction) -> None:
        super().__init__(detector)
        self._fps = Fraction(str(fps)).limit_denominator(1_001_000)
        self._step = step
        self._last: Seen | None = None

    def add(self, seen: Seen) -> Iterator[ChosenFrame]:
        list(super().add(seen))
        if self._last is not None and self._last.own:
            yield from self._slots(self._last.frame, self._slot(seen.frame.time))
        self._last = seen

    def end(self) -> Iterator[ChosenFrame]:
        yield from super().end()
        if self._last is not None and self._last.own:
            last = self._last.frame
            yield from self._slots(last, self._slot(last.time + (last.duration or self._step)))

    def _slot(self, time: Fraction) -> int:
        slots = time * self._fps
        return int(slots + Fraction(1, 2)) if slots >= 0 else -int(-slots + Fraction(1, 2))

    def _slots(self, frame: MovieFrame, end: int) -> Iterator[ChosenFrame]:
        for number, slot in enumerate(range(self._slot(frame.time), end)):
            time = frame.pts_ms if number == 0 else round(slot / self._fps * 1000)
            yield ChosenFrame(frame, "interval", time, repeat=number > 0)


class AdaptiveChooser:
    """At least one still per shot, and another whenever enough blocks differ from every recent still of the shot.

    A still waits until the picture has settled, at most for a while: in drawn animation what lies between two key drawings is smears and
    blends. Of equal candidates the sharpest is taken. Decisions wait for the detector's lookahead, so that many frames are held.
    """

    def __init__(self, detector: ShotDetector, settings: ExtractSettings, boxes: Mapping[tuple[int, int], Box]) -> None:
        self._detector = detector
        self._settings = settings
        self._boxes = boxes
        self._waiting: list[Seen] = []
        self._next = 0  # index of the first waiting frame
        self._skip_to = 0
        self._ended = False
        self._kept: list[Packed] = []  # of this shot, the last _MEMORY; without their frames, which are large
        self._kept_ms = 0
        self._wanted: tuple[int, int] | None = None  # first and last time at which a still was due since the last one
        self.changes = np.zeros(len(CHANGE_EDGES) - 1, np.int64)

    def add(self, seen: Seen) -> Iterator[ChosenFrame]:
        self._waiting.append(seen)
        if len(self._waiting) > self._detector.lookahead:
            yield from self._decide()

    def end(self) -> Iterator[ChosenFrame]:
        self._ended = True
        while self._waiting:
            yield from self._decide()

    def _decide(self) -> Iterator[ChosenFrame]:
        """Settles the oldest waiting frame."""
        index, seen = self._next, self._waiting[0]
        if self._detector.is_cut(index):
            self._kept, self._wanted, self._skip_to = [], None, index
        if seen.own and index >= self._skip_to and (cause := self._cause(seen)) is not None and self._is_time(cause):
            position = self._best(cause)
            best = self._waiting[position]
            self._kept = [*self._kept[1 - _MEMORY :], best.small]
            self._kept_ms = best.frame.pts_ms
            self._wanted = None
            self._skip_to = index + position + 1
            yield ChosenFrame(best.frame, cause, best.frame.pts_ms)
        self._waiting.pop(0)
        self._next += 1

    def _cause(self, seen: Seen) -> Cause | None:
        """Why a still is due, if one is."""
        if not self._kept:
            return "shot"
        share = changed_share(self._kept[-1], seen.small)
        self.changes[min(bisect_right(CHANGE_EDGES, share), len(self.changes)) - 1] += 1
        gap = seen.frame.pts_ms - self._kept_ms
        if gap >= self._settings.min_gap_ms and self._is_new(seen):
            return "change"
        return "interval" if gap >= self._settings.max_gap_ms and share > 0 else None

    def _is_time(self, cause: Cause) -> bool:
        """Whether a still that is due is taken now: when the picture has settled, when it was due for long, or when the shot ends."""
        now = self._waiting[0].frame.pts_ms
        if self._wanted is None or now - self._wanted[1] > _PATIENCE_MS:
            self._wanted = (now, now)
        self._wanted = (self._wanted[0], now)
        near = self._near()
        patient = now - self._wanted[0] < _PATIENCE_MS
        if _is_empty(self._waiting[0].small):
            return cause == "shot" and not patient
        if not patient or len(self._settled()) == len(near):
            return True
        ends = not self._goes_on(len(near)) if len(near) < len(self._waiting) else self._ended
        return ends and cause == "shot"

    def _is_new(self, seen: Seen) -> bool:
        """Whether it differs from all recent stills: a mouth that opens and closes gives two of them, not one each time."""
        return all(changed_share(kept, seen.small) >= self._settings.change for kept in self._kept)

    def _goes_on(self, position: int) -> bool:
        """Whether the waiting frame belongs to the segment, and to the shot of the one before."""
        return self._waiting[position].own and not self._detector.may_be_cut(self._next + position)

    def _near(self) -> list[int]:
        """Positions of the waiting frames within the settling time, up to the next possible boundary."""
        first = self._waiting[0].frame.pts_ms
        positions = [0]
        for position, seen in enumerate(self._waiting[1:], start=1):
            if seen.frame.pts_ms - first > _SETTLE_MS or not self._goes_on(position):
                break
            positions.append(position)
        return positions

    def _settled(self) -> list[int]:
        """Those of them that still show the first frame's picture."""
        first = self._waiting[0].small
        return [p for p in self._near() if changed_share(first, self._waiting[p].small) < self._settings.change]

    def _best(self, cause: Cause) -> int:
        """Position of the sharpest waiting frame that may stand for the first one; a shot's first frame, often blended, only alone."""
        positions = self._near()
        if cause == "shot" and len(positions) > 1:
            positions = positions[1:]
        if cause == "interval":
            positions = self._settled()
        if cause == "change":
            positions = [p for p in positions if self._is_new(self._waiting[p])]
        if len(positions) == 1:
            return positions[0]
        frames = {p: self._waiting[p].frame for p in positions}
        return max(frames, key=lambda p: (sharpness(frames[p].luma(self._boxes.get(frames[p].size))), -p))


def pack(luma: npt.NDArray[np.uint8], cb: npt.NDArray[np.uint8], cr: npt.NDArray[np.uint8]) -> Packed:
    """A thumbnail's planes, each cut to whole blocks, in one array, so that two of them are compared in one step."""
    luma, cb, cr = (_whole_blocks(plane) for plane in (luma, cb, cr))
    rows, columns = luma.shape[0] + cb.shape[0], max(luma.shape[1], 2 * cb.shape[1])
    pixels = np.zeros((rows, columns), np.uint8)
    pixels[: luma.shape[0], : luma.shape[1]] = luma
    pixels[luma.shape[0] :, : cb.shape[1]] = cb
    pixels[luma.shape[0] :, cb.shape[1] : 2 * cb.shape[1]] = cr
    return Packed(pixels, luma.shape[0] // _BLOCK, luma.shape[1] // _BLOCK)


def _whole_blocks(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if min(plane.shape) < _BLOCK:  # a picture of a few pixels; every block needs some
        plane = np.repeat(np.repeat(plane, _BLOCK, axis=0), _BLOCK, axis=1)
    return plane[: plane.shape[0] // _BLOCK * _BLOCK, : plane.shape[1] // _BLOCK * _BLOCK]


def changed_share(a: Packed, b: Packed) -> float:
    """Share 0..1 of the picture's small blocks that differ, in luma or in chroma, whichever says more."""
    size = a.pixels.shape[1] // _BLOCK, a.pixels.shape[0] // _BLOCK
    changed = cv2.resize(cv2.absdiff(a.pixels, b.pixels), size, interpolation=cv2.INTER_AREA) >= _BLOCK_CHANGED
    luma, chroma = np.count_nonzero(changed[: a.rows]), np.count_nonzero(changed[a.rows :])
    # a chroma block covers four luma blocks, and there are two such planes
    return min(1.0, max(luma, 2 * chroma) / (a.rows * a.columns))


def _is_empty(picture: Packed) -> bool:
    return float(picture.pixels[: picture.rows * _BLOCK].std()) < _EMPTY


def sharpness(luma: npt.NDArray[np.uint8]) -> float:
    """Mean squared step between neighbouring pixels, both directions, on every fourth pair of lines. Comparable only inside one film."""
    if min(luma.shape) < 2:
        return 0.0
    upper, lower = luma[:-1:4], luma[1::4]
    across = cv2.norm(upper[:, 1:], upper[:, :-1], cv2.NORM_L2SQR)
    down = cv2.norm(upper, lower, cv2.NORM_L2SQR)
    return (across + down) / upper.size
