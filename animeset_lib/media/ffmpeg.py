"""The one FFmpeg binary."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from animeset_lib.errors import InputError

__all__ = ["ffmpeg_exe"]


def ffmpeg_exe() -> str:
    """The ffmpeg program that imageio-ffmpeg carries, or the one that IMAGEIO_FFMPEG_EXE names; never one that merely is on the system, for its
    version would change what comes out. Raises `InputError` when there is neither."""
    import imageio_ffmpeg

    with suppress(RuntimeError):
        found = str(imageio_ffmpeg.get_ffmpeg_exe())
        # without a program of its own the package goes on to look for conda's and the system's
        if os.environ.get("IMAGEIO_FFMPEG_EXE") or Path(found).is_relative_to(Path(imageio_ffmpeg.__file__).parent):
            return found
    raise InputError(
        "expected the ffmpeg program of the package imageio-ffmpeg, got none for this system; reinstall the package, "
        "or set IMAGEIO_FFMPEG_EXE to the path of an ffmpeg 9"
    )
