"""Combed frames, in which two moments stand in alternate lines, made whole again.

Film on video (telecine) has both fields of every picture somewhere: they are put together from neighbouring frames. What was taken as video has
only half of the lines of each moment: the rest is made by FFmpeg's bwdif. Frames are judged by what they show, not by what the file says of
itself, which is often wrong: encoders forget it, and films mix both kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.frame import VideoFrame

from animeset_lib.media.combs import STEP, combing

__all__ = ["CERTAIN", "COMBED", "HARDLY_COMBED", "Repair", "made_whole"]

Luma = npt.NDArray[np.uint8]

Repair = Literal["", "woven", "deinterlaced"]
"""What was done to a combed frame: nothing, put together from the fields of neighbours, or lines made anew."""

COMBED = 0.3
"""Share of combed pixels in the worst block from which a picture is combed: as much as `fieldmatch` of FFmpeg takes (80 of 256)."""
HARDLY_COMBED = 0.06
"""Share from which a picture is combed where somebody knows that the film is."""
CERTAIN = 0.6
"""From here on it is no pattern of the drawing, whether anything moves or not: a combed frame may be shown twice."""
_CLEAN = 0.12
"""A match below this has no comb at all; of several such the later picture is taken, for a shot begins there."""


def made_whole(
    frame: VideoFrame, before: VideoFrame | None, after: VideoFrame | None, interlaced: bool, limit: float = COMBED
) -> tuple[VideoFrame, Repair]:
    """The frame, or what it should be if it is combed. `before` and `after` are its neighbours in time, if they are known.

    What no repair mends is no comb but a pattern, such as fine letters, and stays; `interlaced` says that the film is known to have combs.
    `limit` is the share of combed pixels from which a frame is one.
    """
    luma = _luma(frame)
    score = combing(luma)
    if score < limit:
        return frame, ""
    neighbours = [other for other in (after, before) if other is not None and _alike(frame, other)]
    moving = None
    if score < CERTAIN:  # a pattern of the drawing may look like it
        moving = _moving(luma, neighbours)
        if combing(luma, moving) < limit:
            return frame, ""
    best: tuple[float, VideoFrame] | None = None
    for woven in _matches(frame, neighbours):
        left = combing(_luma(woven), moving)
        if best is None or left < best[0]:
            best = (left, woven)
        if left < _CLEAN:
            break
    if best is not None and best[0] < limit:
        return best[1], "woven"
    if score < CERTAIN and not interlaced:
        return frame, ""
    before, after = (other if other in neighbours else frame for other in (before, after))
    for mended in _line_by_line(before, frame, after):
        if combing(_luma(mended), moving) < limit:
            return mended, "deinterlaced"
    return frame, ""


def _line_by_line(before: VideoFrame, frame: VideoFrame, after: VideoFrame) -> Iterator[VideoFrame]:
    """With every other line made anew, the best way first. Both orders of fields are tried: a wrong flag is as usual as none."""
    for order in ("tff", "bff"):
        yield _bwdif(before, frame, after, order)
    yield _from_one_field(frame)


def _alike(frame: VideoFrame, other: VideoFrame) -> bool:
    return (frame.format.name, frame.width, frame.height) == (other.format.name, other.width, other.height)


def _moving(luma: Luma, neighbours: Sequence[VideoFrame]) -> npt.NDArray[np.bool_]:
    """Where the picture differs from all its neighbours, or the line above or below does: combs come of motion, patterns also stand still."""
    moving = np.ones(luma.shape, bool)
    for other in neighbours:
        differs = (cv2.absdiff(luma, _luma(other)) > STEP).astype(np.uint8)
        moving &= cv2.dilate(differs, np.ones((3, 1), np.uint8)) > 0
    return moving


def _luma(frame: VideoFrame) -> Luma:
    """The luma plane in 8 bits; empty for all but planar YUV: what is RGB is never interlaced, what is packed cannot be woven."""
    if not frame.format.name.startswith("yuv") or not frame.format.is_planar or frame.format.is_big_endian:
        return np.zeros((0, 0), np.uint8)
    lines = _lines(frame, 0)[:, : frame.width]
    return (lines >> (frame.format.components[0].bits - 8)).astype(np.uint8)


def _lines(frame: VideoFrame, plane: int) -> npt.NDArray[Any]:
    """`(H, line length)` of one plane, padding included; a view."""
    data = frame.planes[plane]
    wide = frame.format.components[0].bits > 8
    lines = np.frombuffer(data, np.uint16 if wide else np.uint8)  # type: ignore[call-overload]
    return np.asarray(lines).reshape(-1, data.line_size // (2 if wide else 1))[: data.height]


def _matches(frame: VideoFrame, neighbours: Sequence[VideoFrame]) -> Iterator[VideoFrame]:
    """The frame's fields with the other ones of its neighbours, the later picture first."""
    for other in neighbours:
        yield _woven(other, frame)
        yield _woven(frame, other)


def _woven(top: VideoFrame, bottom: VideoFrame) -> VideoFrame:
    """The even lines of one frame and the odd ones of another."""
    woven = _empty_like(top)
    for plane in range(len(woven.planes)):
        lines, width = _lines(woven, plane), woven.planes[plane].width
        lines[0::2, :width] = _lines(top, plane)[0::2, :width]
        lines[1::2, :width] = _lines(bottom, plane)[1::2, :width]
    return woven


def _from_one_field(frame: VideoFrame) -> VideoFrame:
    """Its even lines, and between them what a cubic curve through them gives; for a combed frame among copies of itself."""
    made = _woven(frame, frame)
    for plane in range(len(made.planes)):
        lines = _lines(made, plane)
        even = np.pad(lines[0::2].astype(np.int32), ((1, 2), (0, 0)), mode="edge")
        count = len(lines[1::2])
        between = (9 * (even[1:-2] + even[2:-1]) - even[:-3] - even[3:] + 8) // 16
        lines[1::2] = np.clip(between[:count], 0, np.iinfo(lines.dtype).max)
    return made


def _empty_like(frame: VideoFrame) -> VideoFrame:
    empty = VideoFrame(frame.width, frame.height, frame.format.name)
    for tag in ("colorspace", "color_range", "color_trc", "color_primaries"):
        setattr(empty, tag, getattr(frame, tag))
    return empty


def _bwdif(before: VideoFrame, frame: VideoFrame, after: VideoFrame, order: str) -> VideoFrame:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base, name="in"
    )
    bwdif = graph.add("bwdif", f"mode=send_frame:parity={order}:deint=all")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    for time, one in enumerate((before, frame, after)):
        copy = _woven(one, one)  # the filter takes times from the frame, which others hold, too
        copy.pts, copy.time_base = time, frame.time_base
        graph.vpush(copy)
    graph.vpush(None)
    whole = [graph.vpull() for _ in range(2)][1]
    assert isinstance(whole, VideoFrame)
    return whole
