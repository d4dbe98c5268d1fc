"""One frame of a film as it is shown: turned upright, with square pixels, whole, in RGB or as its planes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal, TypeGuard

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from animeset_lib.media.colour import hdr_kind, sdr_planes, to_rgb
from animeset_lib.media.fields import COMBED, HARDLY_COMBED, Repair, made_whole
from animeset_lib.media.pictures import Picture
from animeset_lib.records import Box

__all__ = ["CLOCKWISE", "Display", "MovieFrame", "odd_pixels", "orientation_of", "sensible_pixels"]

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""`(H, W)` one channel of a decoded frame."""

# Planar YUV that can be looked at without conversion, with its bits per sample (little endian, as every decoder here gives on our machines).
_PLANAR = {f"yuv{j}{c}p": 8 for j in ("", "j") for c in ("420", "422", "444")} | {
    f"yuv{c}p{bits}le": bits for c in ("420", "422", "444") for bits in (9, 10, 12, 14, 16)
}

CLOCKWISE = {"0": (1, 0, 0, 1), "90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0)}
"""Degrees, as the setting has them, to what `orientation_of` gives."""

_MAX_INTERLACED = 1088
"""Lines; taller pictures never have fields."""


@dataclass
class Display:
    """How a film's frames are shown.

    coded_size   width and height of most frames as coded
    orientation  as `orientation_of` gives it
    interlaced   whether combs were met in the film
    combed       what is done about combed frames, see `FilmSettings.fields`
    """

    coded_size: tuple[int, int] = (0, 0)
    orientation: tuple[int, int, int, int] = (1, 0, 0, 1)
    interlaced: bool = False
    combed: Literal["auto", "always", "never"] = "auto"

    def size(self, frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
        width, height = frame.width, frame.height
        if odd_pixels(aspect) and sensible_pixels(aspect):
            width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
        return (height, width) if self.orientation[0] == 0 else (width, height)

    def oriented(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turns `(H, W, ...)` from the coded to the display orientation; a view."""
        a, b, c, d = self.orientation
        if a == 0:
            array = array.swapaxes(0, 1)
        flip_x, flip_y = (c < 0, b < 0) if a == 0 else (a < 0, d < 0)
        return array[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


class MovieFrame:
    """One decoded frame in display orientation. It holds decoder memory while it lives, so keep only a few at a time.

    pts_ms    presentation time in ms from the container's start, never below 0, each later than the one before: it names the frame
    time      the same, exact, in seconds; below 0 for frames before the container's start
    duration  how long it is shown, in seconds, as the file says; None when it does not
    keyframe  whether the codec marks it as one
    frame, before, after   what was decoded, and its neighbours in time where they are known
    damaged   whether errors were met in it or since the last keyframe: what is built upon a damaged frame is damaged too
    """

    __slots__ = (
        "_aspect",
        "_display",
        "after",
        "before",
        "damaged",
        "duration",
        "frame",
        "keyframe",
        "pts_ms",
        "time",
    )

    def __init__(
        self,
        frame: VideoFrame,
        display: Display,
        aspect: Fraction | None,
        time: Fraction,
        duration: Fraction | None,
        *,
        after_ms: int = -1,
        damaged: bool = False,
    ) -> None:
        self.frame = frame
        self.before: VideoFrame | None = None
        self.after: VideoFrame | None = None
        self._display = display
        self._aspect = aspect
        self.time = time
        self.pts_ms = max(after_ms + 1, round(time * 1000))
        self.duration = duration
        self.keyframe = bool(frame.key_frame)
        self.damaged = damaged

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the display picture; another than the film's where the film changes."""
        return self._display.size(self.frame, self._aspect)

    def repair(self) -> Repair:
        """Makes a combed frame whole and says how; to be called once, before `rgb`."""
        repair: Repair = ""
        if self.frame.height <= _MAX_INTERLACED and self._display.combed != "never":
            always = self._display.combed == "always"
            known = always or self._display.interlaced or bool(self.frame.interlaced_frame)
            limit = HARDLY_COMBED if always else COMBED
            self.frame, repair = made_whole(self.frame, self.before, self.after, known, limit)
            self._display.interlaced |= repair != ""
        self.before = self.after = None
        return repair

    def rgb(self, box: Box | None = None) -> Picture:
        """`(H, W, 3)` uint8 RGB with square pixels, cut to `box` (display pixels) when given. May be called from another thread."""
        width, height = self.size
        picture = self._display.oriented(to_rgb(self.frame))
        if picture.shape[:2] != (height, width):
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        if box is not None:
            x0, y0, x1, y1 = box.pixels()
            picture = picture[y0:y1, x0:x1]
        return np.ascontiguousarray(picture)

    def luma(self, box: Box | None = None) -> Picture:
        """`(H, W)` uint8, the luma plane inside `box` (display pixels), not stretched to square pixels. Often a view: do not write to it."""
        plane, shift = self._plane(self._yuv(), 0, box)
        return (plane >> shift).astype(np.uint8) if shift else plane.astype(np.uint8, copy=False)

    def thumbnail(self, box: Box | None = None, side: int = 160) -> tuple[Picture, Picture, Picture]:
        """Luma `(h, w)` with a long side of about `side` pixels, and both chroma planes `(h // 2, w // 2)`, uint8, straight from the decoder.

        Plain averages over whole numbers of pixels (remainders at the right and lower edge are left out), so it costs a fraction of a
        millisecond. The size is the same for all frames of a film and a box. Limited-range values stay as coded.
        """
        frame = self._yuv()
        hdr = hdr_kind(self.frame)
        luma, shift = self._plane(frame, 0, box)
        factor = max(1, round(max(luma.shape) / side))
        height, width = max(2, luma.shape[0] // factor), max(2, luma.shape[1] // factor)
        drop = 0 if hdr else shift
        small = _shrunk(luma, height, width, drop)
        cb, cr = (_shrunk(self._plane(frame, i, box)[0], height // 2, width // 2, drop) for i in (1, 2))
        return sdr_planes((small, cb, cr), 8 + shift, hdr) if hdr else (small, cb, cr)

    def _yuv(self) -> VideoFrame:
        frame = self.frame
        wrong_size = (frame.width, frame.height) != self._display.coded_size
        if frame.format.name in _PLANAR and not wrong_size:
            return frame
        width, height = self._display.coded_size
        return frame.reformat(width, height, "yuv420p", interpolation=Interpolation.FAST_BILINEAR)

    def _plane(self, frame: VideoFrame, index: int, box: Box | None) -> tuple[npt.NDArray[Any], int]:
        """A view of one plane in display orientation, cut to `box`, and by how many bits it exceeds 8."""
        bits = _PLANAR[frame.format.name]
        plane = frame.planes[index]
        item = 1 if bits == 8 else 2
        data = np.frombuffer(plane, np.uint8 if item == 1 else np.uint16)  # type: ignore[call-overload]
        view = self._display.oriented(data.reshape(-1, plane.line_size // item)[: plane.height, : plane.width])
        if box is not None:
            width, height = self.size
            fx, fy = view.shape[1] / width, view.shape[0] / height
            x0, y0, x1, y1 = box.scaled(fx, fy).pixels()
            view = view[y0:y1, x0:x1]
        return view, bits - 8


def _shrunk(plane: npt.NDArray[Any], height: int, width: int, shift: int) -> npt.NDArray[Any]:
    """`plane` averaged down to `(height, width)`, without its lowest `shift` bits. Whole blocks only, in halves as far as they go: OpenCV is
    several times faster on those."""
    fy, fx = max(1, plane.shape[0] // height), max(1, plane.shape[1] // width)
    small: npt.NDArray[Any] = plane[: height * fy : _line_step(fy), : width * fx]
    while small.shape[0] % (2 * height) == 0 and small.shape[1] % (2 * width) == 0:
        small = cv2.resize(small, (small.shape[1] // 2, small.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if small.shape != (height, width):
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return (small >> shift).astype(np.uint8) if shift else small


@cache
def _line_step(lines: int) -> int:
    """Which lines of a block of so many are read: three or four are average enough, and a quarter of the memory is read; an even number of an
    even one, so that it can be halved."""
    steps = (step for step in range(max(1, lines // 3), 1, -1) if lines % step == 0)
    return next((step for step in steps if lines % 2 or lines // step % 2 == 0), 1)


def odd_pixels(aspect: Fraction | None) -> TypeGuard[Fraction]:
    """Whether pixels are not square; less is a rounding of the encoder's."""
    return bool(aspect) and abs(aspect - 1) > Fraction(1, 200)  # type: ignore[operator]


def sensible_pixels(aspect: Fraction) -> bool:
    return Fraction(1, 4) <= aspect <= 4


def orientation_of(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The display matrix's upper left 2x2 part `a, b, c, d`, each rounded to -1, 0 or 1: x' = ax + cy, y' = bx + dy."""
    sides: Any = frame.side_data  # a mapping by name; PyAV's hints know the motion vectors alone
    matrix = sides.get("DISPLAYMATRIX")
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) > abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
