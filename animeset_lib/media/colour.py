"""The colours of a decoded frame as RGB."""

from __future__ import annotations

import threading

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from animeset_lib.media.pictures import Picture

__all__ = ["_HDR", "_frame_to_rgb", "_matrix"]


# Slower than swscale's default, but chroma is interpolated across coloured lines instead of repeated, and values round to the nearest.
_RGB_QUALITY = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

# AVColorSpace numbers of ITU-T H.273 to swscale's names; anything else is guessed and said in the film's notes.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_RGB_MATRIX, _BT2020_PRIMARIES = 0, 9
_HDR = {16: "PQ", 18: "HLG"}

_local = threading.local()


def _frame_to_rgb(frame: VideoFrame, size: tuple[int, int]) -> Picture:
    """A decoded frame to RGB by the matrix and range it is tagged with; HDR is mapped to the standard range."""
    # one converter per thread: setting one up costs as much as using it
    converter: VideoReformatter | None = getattr(_local, "converter", None)
    if converter is None:
        converter = _local.converter = VideoReformatter()
    matrix, _ = _matrix(frame)
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    hdr = frame.color_trc in _HDR
    converted = converter.reformat(
        frame,
        size[0],
        size[1],
        "rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        interpolation=_RGB_QUALITY,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        dst_color_trc=ColorTrc.BT709 if hdr else None,
        dst_color_primaries=ColorPrimaries.BT709 if hdr else None,
        threads=1,
    )
    return np.asarray(converted.to_ndarray(), np.uint8)


def _matrix(frame: VideoFrame) -> tuple[Colorspace | None, str]:
    """The YUV matrix of a frame, and a note when it had to be guessed. None for RGB frames."""
    if frame.format.is_rgb or frame.format.name == "pal8" or frame.colorspace == _RGB_MATRIX:
        return None, ""
    if frame.colorspace in _MATRICES:
        return _MATRICES[frame.colorspace], ""
    if frame.color_primaries == _BT2020_PRIMARIES:
        return Colorspace.BT2020, "colour matrix not given: BT.2020 assumed from its primaries"
    if frame.format.name.startswith("yuvj"):
        return Colorspace.ITU601, ""  # what JFIF prescribes
    if min(frame.width, frame.height) < 720:
        return Colorspace.ITU601, "colour matrix not given: BT.601 assumed, as usual below 720 lines"
    return Colorspace.ITU709, "colour matrix not given: BT.709 assumed, as usual from 720 lines on"
