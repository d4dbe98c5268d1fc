"""Small pictures for a page: read, cut, shrunk and put into the text of a `data:` address, which no file server needs to allow."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from animeset_lib.errors import InputError
from animeset_lib.media import Picture, read_image
from animeset_lib.records import Box

__all__ = ["Thumbnails", "data_uri", "file_uri", "framed"]

_QUALITY = 82
_T = TypeVar("_T")


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


class Thumbnails:
    """Keeps the last made small pictures and the last read stills, for a page asks for the same ones again. A file that was changed is read
    again. May be used by several threads at once."""

    def __init__(self, most: int = 4000, most_stills: int = 4) -> None:
        self._made: OrderedDict[Hashable, str] = OrderedDict()
        self._stills: OrderedDict[Hashable, Picture] = OrderedDict()
        self._lock = threading.Lock()
        self._most, self._most_stills = most, most_stills

    def get(self, path: Path, what: Hashable, longest_px: int, cut: Callable[[Picture], Picture] | None = None) -> str:
        """The picture at `path`, cut by `cut`, as a `data:` address; empty when it cannot be read. `what` names the cut."""
        try:
            status = path.stat()
        except OSError:
            return ""
        version = (path, status.st_mtime_ns, status.st_size)
        key = (version, what, longest_px)
        known = self._known(self._made, key)
        if known is not None:
            return known
        picture = self._known(self._stills, version)
        if picture is None:
            try:
                picture = read_image(path)
            except InputError:
                return ""
            self._keep(self._stills, version, picture, self._most_stills)
        uri = data_uri(cut(picture) if cut else picture, longest_px)
        self._keep(self._made, key, uri, self._most)
        return uri

    def _known(self, held: OrderedDict[Hashable, _T], key: Hashable) -> _T | None:
        with self._lock:
            found = held.get(key)
            if found is not None:
                held.move_to_end(key)
            return found

    def _keep(self, held: OrderedDict[Hashable, _T], key: Hashable, value: _T, most: int) -> None:
        with self._lock:
            held[key] = value
            if len(held) > most:
                held.popitem(last=False)
