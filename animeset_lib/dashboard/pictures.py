"""Small pictures for a page: read, cut, shrunk and put into the text of a `data:` address, which no file server needs to allow."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import cv2
import numpy as np

from animeset_lib.errors import InputError
from animeset_lib.media import Picture, read_image
from animeset_lib.records import Box
from animeset_lib.stages.heads import head_crop

__all__ = ["Thumbnails", "data_uri", "face_picture", "framed"]

_QUALITY = 82


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


def face_picture(still: Picture, face: Box) -> Picture:
    """The head around `face`, as the sorting sees it."""
    return head_crop(still, face)


def framed(still: Picture, face: Box) -> Picture:
    """The whole still with a frame around `face`."""
    marked = still.copy()
    x0, y0, x1, y1 = face.pixels()
    thickness = max(2, still.shape[1] // 320)
    for color, more in (((0, 0, 0), thickness + 2), ((255, 255, 255), thickness)):
        cv2.rectangle(marked, (x0, y0), (x1, y1), color, more, cv2.LINE_AA)
    return marked


class Thumbnails:
    """Keeps the last made small pictures and the last read stills, for a page asks for the same ones again."""

    def __init__(self, most: int = 4000, most_stills: int = 4) -> None:
        self._made: OrderedDict[Hashable, str] = OrderedDict()
        self._stills: OrderedDict[Path, Picture] = OrderedDict()
        self._most, self._most_stills = most, most_stills

    def get(self, path: Path, what: Hashable, longest_px: int, cut: Callable[[Picture], Picture] | None = None) -> str:
        """The picture at `path`, cut by `cut`, as a `data:` address; empty when it cannot be read. `what` names the cut."""
        key = (path, what, longest_px)
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        try:
            picture = self._still(path)
        except InputError:
            return ""
        uri = data_uri(cut(picture) if cut else picture, longest_px)
        self._made[key] = uri
        if len(self._made) > self._most:
            self._made.popitem(last=False)
        return uri

    def _still(self, path: Path) -> Picture:
        if path in self._stills:
            self._stills.move_to_end(path)
            return self._stills[path]
        picture = read_image(path)
        self._stills[path] = picture
        if len(self._stills) > self._most_stills:
            self._stills.popitem(last=False)
        return picture
