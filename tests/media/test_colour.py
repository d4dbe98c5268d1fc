"""Decoded frames as RGB, against the arithmetic of the standard in floating point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame

from animeset_lib.media import FilmReader
from animeset_lib.media.colour import to_rgb
from tests.film_maker import drawing, write_film

WIDTH, HEIGHT = 192, 108
BT709 = 1


@pytest.fixture(params=[(8, "libx264", "yuv420p"), (10, "libx265", "yuv420p10le")], ids=["8 bit", "10 bit"])
def decoded(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[VideoFrame, int]:
    """A frame of a film in 4:2:0, and its bits."""
    depth, codec, pix_fmt = request.param
    path = write_film(
        tmp_path / "film.mkv", [drawing(3, WIDTH, HEIGHT)] * 2, codec=codec, pix_fmt=pix_fmt, tags={"colorspace": BT709}
    )
    with FilmReader(path) as reader:
        return next(reader.frames()).frame, depth


def _expected(frame: VideoFrame, depth: int) -> npt.NDArray[np.float32]:
    """ITU-R BT.709 with chroma interpolated between its samples, which stand on every other column and between the lines (H.264 Annex E)."""
    y, u, v = (_levels(frame, index, depth) for index in range(3))
    columns, rows = np.meshgrid(np.arange(WIDTH) / 2, (np.arange(HEIGHT) - 0.5) / 2)
    at = columns.astype(np.float32), rows.astype(np.float32)
    u, v = (cv2.remap(p, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in (u, v))
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    return np.dstack([y + 1.5748 * v, y - 0.187324 * u - 0.468124 * v, y + 1.8556 * u])


def _levels(frame: VideoFrame, index: int, depth: int) -> npt.NDArray[np.float32]:
    plane = frame.planes[index]
    kind: Any = np.uint8 if depth == 8 else np.uint16
    values = np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)[:, : plane.width]
    return values.astype(np.float32) / 2 ** (depth - 8)


def test_rgb_is_exact_to_a_level(decoded: tuple[VideoFrame, int]) -> None:
    off = np.abs(to_rgb(decoded[0]).astype(np.float32) - _expected(*decoded).clip(0, 255))
    assert off.max() < 1
    assert off.mean() < 0.3
