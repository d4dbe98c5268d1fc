"""Faces by `animeset-face`, the small network that comes with animeset (`training/` makes it, `cards/animeset-face.md` describes it).

A centre heat map and the distances to the four sides of a face at every eighth pixel; EfficientNet-lite0 trunk. The file holds the whole
arithmetic: uint8 pictures in, scores (0 off the peaks) and boxes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from animeset_lib.models.api import Detection, Picture
from animeset_lib.models.engines.onnx import open_network
from animeset_lib.models.spec import Parts
from animeset_lib.records import Box

__all__ = ["NAME", "VERSION", "AnimesetFace"]

NAME = "animeset-face"
VERSION = "1"

_GRID = 32
_VIEWS = (640, 448)
"""Long sides at which the picture is looked at. The second look costs half of the first and is worth .06 of recall at a precision of .80:
a face met twice is placed better (boxes are averaged), and close-ups fit into what the network looks at as one thing. A third look at 320
finds nothing more."""
_MAX_ENLARGED = 2.0
_LEAST_SCORE = 0.25
"""Lower peaks are noise by the hundred."""
_SAME_IOU, _SAME_INSIDE = 0.45, 0.8
"""Two boxes are answers for one face when they share this much of their union or of the smaller one."""
_LEAST_SIDE = 4.0
"""Least side in px of the network's picture: narrower boxes are points."""


class AnimesetFace:
    """A `Detector` of faces, brow to chin and ear to ear. `score_min` comes from the file, as the training's evaluation chose it."""

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self._network = open_network(parts.files[0], parts, "NHW3")
        self.score_min = float(self._network.facts["score_min"])

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Faces per picture with scores from 0.25 up, clipped, best first."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Picture) -> list[Detection]:
        height, width = picture.shape[:2]
        found: list[Detection] = []
        seen: set[tuple[int, int]] = set()
        for long_side in _VIEWS:
            factor = min(long_side / max(height, width), _MAX_ENLARGED)
            size = max(1, round(width * factor)), max(1, round(height * factor))
            if size not in seen:
                found += self._look(picture, size)
                seen.add(size)
        return _best_of_each(found, width, height)

    def _look(self, picture: Picture, size: tuple[int, int]) -> list[Detection]:
        """All peaks of the picture scaled to `size` (width, height), in pixels of the picture itself."""
        height, width = picture.shape[:2]
        method = cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR
        scaled = cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)
        padded = np.zeros((-(-size[1] // _GRID) * _GRID, -(-size[0] // _GRID) * _GRID, 3), np.uint8)
        padded[: size[1], : size[0]] = scaled
        scores, boxes = self._network.run(padded[None])
        rows, columns = np.nonzero(scores[0] >= _LEAST_SCORE)
        detections = []
        for score, corners in zip(scores[0, rows, columns].tolist(), boxes[0, rows, columns].tolist(), strict=True):
            x0, y0, x1, y1 = corners
            if min(x1 - x0, y1 - y0) < _LEAST_SIDE:
                continue
            box = Box(x0=x0, y0=y0, x1=x1, y1=y1).scaled(width / size[0], height / size[1]).clip(width, height)
            if box is not None:
                detections.append(Detection("face", box, min(1.0, score)))
        return detections


def _best_of_each(detections: list[Detection], width: int, height: int) -> list[Detection]:
    """One detection per face with its best score and the mean of its boxes, weighted by score; sorted by score, then from the upper left."""
    faces: list[list[Detection]] = []
    for new in sorted(detections, key=lambda d: (-d.score, d.box.y0, d.box.x0, d.box.x1)):
        for face in faces:
            iou = new.box.iou(face[0].box)
            if iou >= _SAME_IOU:
                face.append(new)
                break
            if new.box.intersection(face[0].box) >= _SAME_INSIDE * min(new.box.area, face[0].box.area):
                break
        else:
            faces.append([new])
    result = []
    for face in faces:
        weights = np.array([answer.score for answer in face])
        x0, y0, x1, y1 = (weights @ [answer.box.xyxy for answer in face] / weights.sum()).tolist()
        box = Box(x0=x0, y0=y0, x1=x1, y1=y1).clip(width, height)
        if box is not None:
            result.append(Detection("face", box, face[0].score))
    return result
