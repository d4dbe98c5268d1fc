"""Small pictures for a page: read, cut, shrunk and put into the text of a `data:` address, which no file server needs to allow."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from animeset_lib.errors import InputError
from animeset_lib.media import Picture, read_image
from animeset_lib.records import Box

__all__ = ["Cut", "cut", "data_uri", "file_uri", "framed", "thumbnail"]

_QUALITY = 82
Cut = tuple[Callable[[Picture, Box], Picture], Box]
"""What is cut from a picture, and around which box."""


def cut(picture: Picture, box: Box) -> Picture:
    """The part of `picture` in `box`."""
    x0, y0, x1, y1 = box.pixels()
    return picture[y0:y1, x0:x1]


def data_uri(picture: Picture, longest_px: int) -> str:
    """`(H, W, 3)` uint8 RGB as a JPEG of at most `longest_px` on its longer side, in a `data:` address."""
    height, width = picture.shape[:2]
    factor = min(1.0, longest_px / max(height, width))
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[:, :, ::-1]), [int(cv2.IMWRITE_JPEG_QUALITY), _QUALITY]
    )
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def file_uri(path: Path) -> str:
    """A small WebP as it is in a `data:` address; empty when it cannot be read."""
    try:
        return "data:image/webp;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return ""


def framed(still: Picture, face: Box) -> Picture:
    """The whole still with a frame around `face`."""
    marked = still.copy()
    x0, y0, x1, y1 = face.pixels()
    thickness = max(2, still.shape[1] // 320)
    for color, more in (((0, 0, 0), thickness + 2), ((255, 255, 255), thickness)):
        cv2.rectangle(marked, (x0, y0), (x1, y1), color, more, cv2.LINE_AA)
    return marked


def thumbnail(path: Path, longest_px: int, cut: Cut | None = None) -> str:
    """The picture at `path`, or what is cut from it, as a `data:` address; empty when it cannot be read.

    The last made small pictures and the last read stills are kept, for a page asks for the same ones again. A file that was changed is read
    again. May be used by several threads at once.
    """
    try:
        status = path.stat()
        return _made(path, status.st_mtime_ns, status.st_size, longest_px, cut)
    except (OSError, InputError):
        return ""


@lru_cache(maxsize=4000)
def _made(path: Path, mtime_ns: int, size: int, longest_px: int, cut: Cut | None) -> str:
    still = _still(path, mtime_ns, size)
    return data_uri(cut[0](still, cut[1]) if cut else still, longest_px)


@lru_cache(maxsize=4)
def _still(path: Path, mtime_ns: int, size: int) -> Picture:
    return read_image(path)
