"""Picture files that are given as films: WebP, GIF, PNG and AVIF can move. FFmpeg reads the moving ones but for WebP, which is read here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.media.pictures import Picture, rgb_of

__all__ = ["ANIMATION_SUFFIXES", "Animation", "check_no_still", "open_animation", "still_picture"]

ANIMATION_SUFFIXES = frozenset({".apng", ".avif", ".gif", ".webp"})
"""Endings of pictures that may be films. `.png` is not among them: hardly any of those moves."""

_MOVING = ("AVIF", "GIF", "PNG", "WEBP")
_STILL = ("BMP", "JPEG", "JPEG2000", "TIFF")
_HASTY_MS = (
    10  # browsers show what is given no longer than this for 100 ms, so makers of animations write 0 and mean that
)
_SHOWN_MS = 100


@dataclass(frozen=True)
class Animation:
    """A WebP file that moves. `times_ms` says when each of its pictures begins; the last one ends at `duration_ms`."""

    path: Path
    width: int
    height: int
    times_ms: tuple[int, ...]
    duration_ms: int

    def frames(self, start_ms: int = 0) -> Iterator[tuple[Picture, int]]:
        """Pictures, `(height, width, 3)` uint8 sRGB, with their times in ms, in order, from the first at or after `start_ms` on.

        Each picture builds upon the one before, so a late start is not cheaper. Raises `InputError` where a picture cannot be decoded.
        """
        try:
            with Image.open(self.path, formats=("WEBP",)) as image:
                for number in range(bisect_left(self.times_ms, start_ms), len(self.times_ms)):
                    image.seek(number)
                    yield rgb_of(image), self.times_ms[number]
        except (OSError, ValueError, EOFError, Image.DecompressionBombError) as problem:
            raise InputError(
                f"{self.path}: expected an animated WebP, got one that cannot be decoded ({problem}); copy or download it again"
            ) from problem


def open_animation(path: Path) -> Animation | None:
    """The moving WebP in `path`, None for every other file. Reads the headers of its pictures alone."""
    size = (0, 0)
    lengths: list[int] = []
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WEBP":
            return None
        # https://developers.google.com/speed/webp/docs/riff_container: numbers are little endian, sizes less one
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            start = file.read(min(length, 16))
            if chunk[:4] == b"VP8X" and len(start) >= 10:
                size = (int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1)
            elif chunk[:4] == b"ANMF" and len(start) >= 15:
                lengths.append(int.from_bytes(start[12:15], "little"))
            file.seek(length + length % 2 - len(start), 1)
    if len(lengths) < 2:
        return None
    ends = list(accumulate(length if length > _HASTY_MS else _SHOWN_MS for length in lengths))
    return Animation(path, *size, (0, *ends[:-1]), ends[-1])


def still_picture(path: Path) -> str:
    """The format of the still picture in `path`, such as `JPEG`; "" when it moves or is no picture at all."""
    with (
        suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError),
        Image.open(path, formats=(*_MOVING, *_STILL)) as image,
    ):
        # what else has several pictures in one file, such as a TIFF of several pages, has no times for them
        moves = image.format in _MOVING and getattr(image, "is_animated", False)
        return "" if moves else str(image.format)
    return ""


def check_no_still(path: Path) -> None:
    """Raises `InputError` when `path` is a still picture: FFmpeg would take it for a film of one frame."""
    if kind := still_picture(path):
        raise InputError(
            f"{path}: expected a film, got a still picture ({kind}); put the pictures into a folder and give the folder"
        )
