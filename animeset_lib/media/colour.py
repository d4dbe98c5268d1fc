"""The colours of a decoded frame as RGB of the standard range."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from animeset_lib.media.pictures import Picture
from animeset_lib.settings import FilmSettings

__all__ = ["Colours", "colours_of", "has_dolby_data", "hdr_kind", "matrix_of", "retagged", "sdr_planes", "to_rgb"]

Floats = npt.NDArray[np.float32]
Planes = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]

# Slower than swscale's default, but values round to the nearest, and chroma is interpolated across coloured lines instead of repeated.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

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
_NAMES = {
    Colorspace.ITU709: "BT.709",
    Colorspace.FCC: "FCC",
    Colorspace.ITU601: "BT.601",
    Colorspace.SMPTE240M: "SMPTE 240M",
    Colorspace.BT2020: "BT.2020",
}
_RGB_OF_GBR = (2, 0, 1)
_RGB_MATRIX, _BT709, _BT2020_PRIMARIES = 0, 1, 9
_HDR = {16: "PQ", 18: "HLG"}

_WHITE_NITS = 203
"""Diffuse white of HDR pictures (ITU-R BT.2408); it becomes the white of the standard range."""
_KNEE = 0.85
"""Of white, in linear light: what is darker stays as it is, what is brighter is bent so that highlights keep some drawing."""
_GAMMA = 2.4
"""Of the display that pictures of the standard range are graded on (ITU-R BT.1886)."""
_LEVELS = 4096
_STRIPE = 256
"""Lines that are mapped at a time: linear light takes sixteen times the memory of the picture."""
_TO_709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""Linear BT.2020 to BT.709 primaries (ITU-R BT.2087)."""
_YCC_2020 = (0.2627, 0.0593)
_YCC_709 = np.array([[0.2126, 0.7152, 0.0722], [-0.114572, -0.385428, 0.5], [0.5, -0.454153, -0.045847]], np.float32)

_local = threading.local()


def hdr_kind(frame: VideoFrame) -> str:
    """`PQ`, `HLG`, or nothing for the standard range."""
    return _HDR.get(int(frame.color_trc), "")


def has_dolby_data(frame: VideoFrame) -> bool:
    """Whether the frame brings along how Dolby Vision would change it."""
    sides: Any = frame.side_data  # PyAV's hints know the motion vectors alone
    return any("DOVI" in str(data.type) for data in sides)


def retagged(frame: VideoFrame, settings: FilmSettings) -> None:
    """Makes the frame say what the settings say of its colours."""
    if settings.hdr != "auto":
        frame.color_trc = {"pq": 16, "hlg": 18, "never": _BT709}[settings.hdr]
    if settings.matrix != "auto":
        frame.colorspace = {"bt601": 6, "bt709": _BT709, "bt2020": 9}[settings.matrix]
    if settings.levels != "auto":
        frame.color_range = {"limited": ColorRange.MPEG, "full": ColorRange.JPEG}[settings.levels]


@dataclass(frozen=True)
class Colours:
    """What the colours of a film are read as: `matrix` by its usual name, `hdr` as `hdr_kind` has it; `assumed` where the file does not say."""

    matrix: str = "RGB"
    hdr: str = ""
    full: bool = False
    assumed: bool = False


def colours_of(frame: VideoFrame) -> Colours:
    """Of a frame as it was decoded, with what the settings say of it."""
    matrix, note = matrix_of(frame)
    name = "RGB" if matrix is None else _NAMES[matrix]
    return Colours(name, hdr_kind(frame), matrix is None or _is_full(frame), bool(note))


def to_rgb(frame: VideoFrame) -> Picture:
    """`(H, W, 3)` uint8 RGB in the frame's own size by the matrix and range it is tagged with; HDR is brought to the standard range."""
    hdr = hdr_kind(frame)
    matrix, _ = matrix_of(frame)
    # one converter per thread: setting one up costs as much as using it
    converter: VideoReformatter | None = getattr(_local, "converter", None)
    if converter is None:
        converter = _local.converter = VideoReformatter()
    # As planes: exact to half a level from any depth, in half the time. Packed RGB of ten bits has its chroma repeated, tens of levels off at edges.
    converted = converter.reformat(
        frame,
        frame.width,
        frame.height,
        "gbrp16le" if hdr else "gbrp",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        interpolation=_EXACT,
        src_color_range=ColorRange.JPEG if _is_full(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    planes = [_plane(converted, index) for index in _RGB_OF_GBR]
    picture = cv2.merge(planes)
    if not hdr:
        return np.asarray(picture, np.uint8)
    rgb = np.empty(picture.shape, np.uint8)
    light = _light_of(hdr)
    for top in range(0, len(rgb), _STRIPE):
        levels = picture[top : top + _STRIPE] // (65536 // _LEVELS)
        rgb[top : top + _STRIPE] = _standard(light[levels])
    return rgb


def _plane(frame: VideoFrame, index: int) -> npt.NDArray[Any]:
    plane = frame.planes[index]
    values = np.frombuffer(plane, np.uint8 if frame.format.components[0].bits == 8 else np.uint16)  # type: ignore[call-overload]
    return np.asarray(values.reshape(plane.height, -1)[:, : plane.width])


def _is_full(frame: VideoFrame) -> bool:
    jpeg = frame.format.name.startswith("yuvj")
    return frame.color_range == ColorRange.JPEG or (jpeg and frame.color_range != ColorRange.MPEG)


def sdr_planes(planes: Planes, bits: int, hdr: str) -> tuple[Picture, Picture, Picture]:
    """Small planes of an HDR frame (limited range of `bits` bits; luma `(h, w)`, chroma half of that) as an SDR film would have them, in 8 bits.

    So cuts and changes are judged by the same measures.
    """
    luma, *chroma = (plane.astype(np.float32) / (1 << (bits - 8)) for plane in planes)
    height, width = luma.shape
    y = (luma - 16) / 219
    cb, cr = ((cv2.resize(part, (width, height)) - 128) / 224 for part in chroma)
    kr, kb = _YCC_2020
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    levels = np.clip(np.stack([red, green, blue], axis=-1), 0, 1) * (_LEVELS - 1)
    rgb = _standard(_light_of(hdr)[np.rint(levels).astype(np.int32)]).astype(np.float32) / 255
    ycc = rgb @ _YCC_709.T * (219, 224, 224) + (16, 128, 128)
    half = chroma[0].shape[::-1]
    small = (ycc[..., 0], *(cv2.resize(ycc[..., i], half, interpolation=cv2.INTER_AREA) for i in (1, 2)))
    y8, cb8, cr8 = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in small)
    return y8, cb8, cr8


def _standard(light: Floats) -> Picture:
    """`(..., 3)` linear BT.2020 light, 1 = diffuse white, to RGB of BT.709 as bytes."""
    light = light @ _TO_709.T
    brightest = light.max(axis=-1, keepdims=True)
    bent = np.where(brightest > _KNEE, _KNEE + (1 - _KNEE) * -np.expm1((_KNEE - brightest) / (1 - _KNEE)), brightest)
    light *= bent / np.maximum(brightest, 1e-6)
    # the square root spreads the dark levels before they are looked up
    rgb: Picture = _bytes_of()[np.rint(np.sqrt(np.clip(light, 0, 1)) * (_LEVELS - 1)).astype(np.int32)]
    return rgb


@cache
def _bytes_of() -> Picture:
    root = np.arange(_LEVELS) / (_LEVELS - 1)
    return np.rint(255 * root ** (2 / _GAMMA)).astype(np.uint8)


@cache
def _light_of(hdr: str) -> Floats:
    """Linear light, 1 = diffuse white, of signal 0..1 in `_LEVELS` steps."""
    curve: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] = {"PQ": _pq_nits, "HLG": _hlg_nits}[hdr]
    return (curve(np.arange(_LEVELS) / (_LEVELS - 1)) / _WHITE_NITS).astype(np.float32)


def _pq_nits(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084."""
    power = signal ** (32 / 2523)
    return np.asarray(
        10_000 * (np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305), np.float64
    )


def _hlg_nits(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ARIB STD-B67 on a display of 1000 nits, its gamma of 1.2 channel by channel as a display of the standard range would do it."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(1_000 * scene**1.2, np.float64)


def matrix_of(frame: VideoFrame) -> tuple[Colorspace | None, str]:
    """The YUV matrix of a frame, and a note when it had to be guessed. None for RGB frames."""
    if frame.format.is_rgb or frame.format.name == "pal8" or frame.colorspace == _RGB_MATRIX:
        return None, ""
    if frame.colorspace in _MATRICES:
        return _MATRICES[frame.colorspace], ""
    if frame.color_primaries == _BT2020_PRIMARIES or hdr_kind(frame):
        return Colorspace.BT2020, "colour matrix not given: BT.2020 assumed from its primaries"
    if frame.format.name.startswith("yuvj"):
        return Colorspace.ITU601, ""  # what JFIF prescribes
    if min(frame.width, frame.height) < 720:
        return Colorspace.ITU601, "colour matrix not given: BT.601 assumed, as usual below 720 lines"
    return Colorspace.ITU709, "colour matrix not given: BT.709 assumed, as usual from 720 lines on"
