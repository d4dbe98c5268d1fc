"""The one FFmpeg binary."""

from __future__ import annotations

import shutil

from animeset_lib.errors import InputError

__all__ = ["ffmpeg_exe"]


def ffmpeg_exe() -> str:
    """The ffmpeg program: the system's, else the one that imageio-ffmpeg carries. Raises `InputError` when there is neither."""
    if found := shutil.which("ffmpeg"):
        return found
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as problem:
        raise InputError(
            f"no ffmpeg program: {problem}; install ffmpeg, or set IMAGEIO_FFMPEG_EXE to its path"
        ) from problem
