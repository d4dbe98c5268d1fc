"""Small films that tests make themselves: any codec, size, clock, colour tag and container."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt

from animeset_lib.media import ffmpeg_exe

Picture = npt.NDArray[np.uint8]

LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def write_film(
    path: Path,
    pictures: Iterable[npt.NDArray[Any]],
    *,
    fps: int | Fraction = 24,
    times_ms: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    source_format: str = "rgb24",
    aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
    gop: int = 12,
) -> Path:
    """Encodes `pictures` (RGB, or planes as `source_format` says) into `path`; `times_ms` gives each its own time."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.options = dict(options or {"preset": "ultrafast", "crf": "18"})
        context = stream.codec_context
        context.gop_size = gop
        if times_ms is not None:
            context.time_base = stream.time_base = Fraction(1, 1000)
        for name, value in (tags or {}).items():
            setattr(context, name, value)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format=source_format)
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pix_fmt
                if aspect is not None:
                    context.sample_aspect_ratio = aspect
            for name, value in (tags or {}).items():
                setattr(frame, name, value)
            if pix_fmt != source_format:
                frame = frame.reformat(
                    format=pix_fmt, dst_colorspace="itu601", src_color_range="JPEG", dst_color_range="MPEG"
                )
            frame.pts = number if times_ms is None else times_ms[number]
            frame.time_base = 1 / Fraction(fps) if times_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def remux(
    source: Path,
    target: Path,
    *,
    extra_inputs: Sequence[Any] = (),
    source_options: dict[str, Any] | None = None,
    **output: Any,
) -> Path:
    """The ffmpeg program's own view of things: copies `source` with options such as a rotation or a time offset."""
    inputs = [ffmpeg.input(str(source), **(source_options or {})), *extra_inputs]
    settings = {"c": "copy", **output}
    ffmpeg.output(*inputs, str(target), **settings).overwrite_output().run(cmd=ffmpeg_exe(), quiet=True)
    return target


def drawing(seed: int, width: int = 320, height: int = 180) -> Picture:
    """A flat coloured drawing: a background, some shapes with dark outlines; another seed is another scene."""
    random = np.random.default_rng(seed)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = random.integers(40, 220, 3)
    for _ in range(14):
        center = int(random.integers(0, width)), int(random.integers(0, height))
        size = int(random.integers(height // 12, height // 3))
        color = tuple(int(v) for v in random.integers(30, 240, 3))
        shape = random.integers(0, 2)
        for thickness, paint in ((-1, color), (2, (25, 20, 30))):
            if shape:
                cv2.circle(picture, center, size, paint, thickness, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, center, (center[0] + 2 * size, center[1] + size), paint, thickness)
    return picture


def face(mouth: str, seed: int = 5) -> Picture:
    """A talking head on a drawing; `mouth` is `shut`, `open` or `smile`. Only the mouth and the eyes differ."""
    picture = drawing(seed)
    cv2.circle(picture, (160, 95), 60, (250, 220, 200), -1, cv2.LINE_AA)
    for x in (138, 182):
        if mouth == "smile":
            cv2.ellipse(picture, (x, 85), (12, 6), 0, 180, 360, (30, 20, 40), 3, cv2.LINE_AA)
        else:
            cv2.circle(picture, (x, 85), 11, (60, 90, 200), -1, cv2.LINE_AA)
    if mouth == "open":
        cv2.ellipse(picture, (160, 128), (12, 10), 0, 0, 360, (170, 40, 50), -1, cv2.LINE_AA)
    elif mouth == "smile":
        cv2.ellipse(picture, (160, 120), (22, 16), 0, 0, 180, (170, 40, 50), -1, cv2.LINE_AA)
    else:
        cv2.line(picture, (150, 128), (170, 128), (60, 30, 30), 2, cv2.LINE_AA)
    return picture
