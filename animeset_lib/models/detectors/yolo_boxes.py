"""What every YOLO-like network has in common, whatever runs it: pictures made to fit, and answers of six forms turned into boxes.

Two conventions, each followed to the pixel, for a network answers best what it was trained on:

- `stretch`, that of deepghs' networks (https://github.com/deepghs/imgutils, `generic/yolo.py`): Pillow's bicubic stretch, areas in
  non-maximum suppression one pixel wider and higher than the box, boxes rounded to whole pixels (half to even).
- `letterbox`, that of ultralytics (https://docs.ultralytics.com): aspect kept, bilinear, the rest grey on both sides, boxes not rounded.
  `fill` is its variant for RT-DETR: a bilinear stretch.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.planes import normalising, planes
from animeset_lib.records import Box

__all__ = ["EXPECTED", "Fit", "Form", "Found", "Reader", "form_of", "read_names", "suppressed"]

Fit = Literal["stretch", "letterbox", "fill"]

Form = Literal["anchors", "end2end", "v5", "detr", "detr_topk"]
"""One picture's answer, `(rows, columns)`, with nc classes:

anchors     `(4+nc, anchors)`: centre x, y, width, height in pixels of the input, then a score per class (YOLOv8, v9, v11, v12)
end2end     `(n, 6)`: x0, y0, x1, y1 in pixels of the input, score, class number; without doubles (YOLOv10, v26)
v5          `(anchors, 5+nc)`: centre x, y, width, height in pixels of the input, objectness, class scores (YOLOv5, v7)
detr        `(n, 4+nc)`: centre x, y, width, height as shares of the input, class scores; without doubles (RT-DETR)
detr_topk   `(n, 6)`: the same, score, class number (RT-DETR, exported by ultralytics since 8.4)
"""

EXPECTED = (
    "one picture's answer [1, 4+classes, anchors] (YOLOv8, v11), [1, boxes, 6] (end to end: YOLOv10, v26), "
    "[1, anchors, 5+classes] (YOLOv5) or [1, boxes, 4+classes] (RT-DETR)"
)

_TO_ONE = normalising()
_GREY = 114
_MOST = 300
"""Boxes per picture, ultralytics' `max_det`."""
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (4, 8, 16), (8, 16, 32, 64, 128), (16, 32))
"""Of YOLOv5's published layouts: P5, P6, P2, P34, P7, tiny."""
_V5_ANCHORS = 3


@dataclass(frozen=True)
class Found:
    """A box in pixels of the picture, clipped to it; `label` is the network's own word, `score` 0..1."""

    label: str
    box: Box
    score: float


def read_names(text: str) -> tuple[str, ...]:
    """The class names in a network's metadata: a Python literal, `{0: 'face'}` or `['face']`. Raises `ValueError` for anything else."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"no Python literal: {text[:80]!r}") from error
    return checked_names(value)


def checked_names(value: Any) -> tuple[str, ...]:
    """The same from the literal's value: a list, or a dict whose keys are 0, 1, 2 ..."""
    if isinstance(value, Mapping):
        try:
            by_number = {int(key): name for key, name in value.items()}
        except (TypeError, ValueError) as error:
            raise ValueError(f"class numbers expected as keys: {value!r}") from error
        if sorted(by_number) != list(range(len(value))):
            raise ValueError(f"class numbers 0..{len(value) - 1} expected as keys: {value!r}")
        value = [by_number[number] for number in range(len(value))]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(f"a list of class names expected: {value!r}")
    return tuple(value)


def form_of(
    answer: npt.NDArray[Any], labels: tuple[str, ...] | None, height: int, width: int, *, detr: bool
) -> tuple[Form, tuple[str, ...]] | None:
    """The form of one picture's answer `(rows, columns)` to an input of `height` x `width`, and the class names; None when it has none of them.

    labels   None where the network does not say: then classes are named "0", "1", ..., as many as the form has room for.
    detr     whether the network says that it is an RT-DETR; only needed where it has two classes or answers the best boxes only.
    """
    if answer.ndim != 2:
        return None
    rows, columns = answer.shape
    v5 = rows in {_V5_ANCHORS * sum(-(-height // s) * -(-width // s) for s in strides) for strides in _STRIDES}
    if labels is None:
        if v5 and columns > 5:
            return "v5", _numbered(columns - 5)
        # without names nothing else can be told: the last column may be a class's score or its number
        return ("anchors", _numbered(rows - 4)) if 4 < rows < columns else None
    classes = len(labels)
    form: Form | None = None
    if columns == 5 + classes and v5:
        form = "v5"
    elif rows == 4 + classes:
        form = "anchors"
    elif columns == 6:
        # an RT-DETR of two classes answers scores in both columns, which are never whole numbers for every box
        numbers = classes != 2 or bool((answer[:, 5] == np.rint(answer[:, 5])).all())
        form = "end2end" if not detr else "detr_topk" if numbers else "detr"
    elif columns == 4 + classes:
        form = "detr"
    elif columns == 5 + classes:
        form = "v5"
    return (form, labels) if form else None


def _numbered(classes: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(classes))


class Reader:
    """Prepares pictures for one network and reads its answers.

    name            the model's, for messages
    height, width   of the network's input
    """

    def __init__(self, name: str, form: Form, labels: tuple[str, ...], fit: Fit, height: int, width: int) -> None:
        self.labels = labels
        self.form = form
        self._name = name
        # RT-DETR is trained on stretched pictures, and ultralytics gives it such
        self._fit: Fit = "fill" if fit == "letterbox" and form in ("detr", "detr_topk") else fit
        self._height, self._width = height, width

    def prepare(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(3, height, width)` float32 RGB, 0..1."""
        picture = np.ascontiguousarray(picture)
        size = self._width, self._height
        if self._fit == "stretch":
            fitted = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
        elif self._fit == "fill":
            fitted = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
        else:
            left, top, new_width, new_height = self._frame(picture)
            fitted = np.full((self._height, self._width, 3), _GREY, np.uint8)
            if picture.shape[:2] != (new_height, new_width):
                picture = np.asarray(
                    cv2.resize(picture, (new_width, new_height), interpolation=cv2.INTER_LINEAR), np.uint8
                )
            fitted[top : top + new_height, left : left + new_width] = picture
        return planes(fitted, _TO_ONE)

    def _frame(self, picture: Picture) -> tuple[int, int, int, int]:
        """Where the picture lies in the network's input: left, top, width, height in px."""
        height, width = picture.shape[:2]
        if self._fit != "letterbox":
            return 0, 0, self._width, self._height
        factor = min(self._height / height, self._width / width)
        new_width, new_height = max(round(width * factor), 1), max(round(height * factor), 1)
        # an odd rest goes to the right and below
        return (
            round((self._width - new_width) / 2 - 0.1),
            round((self._height - new_height) / 2 - 0.1),
            new_width,
            new_height,
        )

    def read(self, answer: npt.NDArray[Any], picture: Picture, score_min: float, iou_max: float) -> list[Found]:
        """Boxes in `picture` with scores above `score_min`, best first, at most 300; boxes without area inside it are left out.

        iou_max   boxes of one class that share more of their union are one; not asked of networks that answer without doubles.

        Raises `ModelError` for a class number that has no name.
        """
        corners, scores, classes = self._candidates(answer.astype(np.float32), score_min)
        if len(classes) and not 0 <= classes.min() <= classes.max() < len(self.labels):
            raise ModelError(
                f"{self._name}: expected class numbers 0..{len(self.labels) - 1}, got {classes.min()}..{classes.max()}: "
                "its class names do not belong to it; export it again"
            )
        if self.form in ("anchors", "v5"):
            kept = suppressed(corners, scores, classes, iou_max, extra=1.0 if self._fit == "stretch" else 0.0)
        else:
            kept = np.argsort(-scores, kind="stable")
        left, top, new_width, new_height = self._frame(picture)
        height, width = picture.shape[:2]
        whole = self.form in ("detr", "detr_topk")  # shares of the whole input
        unit = np.array([self._width, self._height] * 2 if whole else [1, 1, 1, 1], np.float64)
        factor = np.array([width / new_width, height / new_height] * 2)
        boxes = (corners[kept] * unit - [left, top, left, top]) * factor
        boxes = np.clip(boxes, 0, [width, height, width, height])
        if self._fit == "stretch":
            boxes = np.rint(boxes)
        found = [
            Found(self.labels[classes[i]], Box(x0=x0, y0=y0, x1=x1, y1=y1), min(1.0, float(scores[i])))
            for i, (x0, y0, x1, y1) in zip(kept.tolist(), boxes.tolist(), strict=True)
            if x1 > x0 and y1 > y0
        ]
        return found[:_MOST]

    def _candidates(
        self, answer: npt.NDArray[np.float32], score_min: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Corners `(n, 4)`, scores and class numbers of what scores above `score_min`; only the best class of a box counts."""
        rows = answer.T if self.form == "anchors" else answer
        boxes = rows[:, :4]
        if self.form in ("end2end", "detr_topk"):
            scores, classes = rows[:, 4], rows[:, 5].astype(np.int64)
        else:
            per_class = rows[:, 5:] * rows[:, 4:5] if self.form == "v5" else rows[:, 4:]
            classes = per_class.argmax(axis=1)
            scores = np.take_along_axis(per_class, classes[:, None], axis=1)[:, 0]
        good = (scores > score_min) & np.isfinite(boxes).all(axis=1)
        boxes, scores, classes = boxes[good], scores[good], classes[good]
        if self.form != "end2end":
            half = boxes[:, 2:] / 2
            boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
        return boxes, scores, classes


def suppressed(
    corners: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    iou_max: float,
    extra: float,
) -> npt.NDArray[np.int64]:
    """Indices of the boxes that remain after non-maximum suppression within each class, best score first, equal scores in order.

    extra   added to width and height wherever an area is measured: 1 takes corners for pixels that both belong to the box.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = corners[order, :2], corners[order, 2:] + np.float32(extra)
    areas = (high - low).prod(axis=1)
    of_class = classes[order]
    kept: list[int] = []
    left = np.arange(len(order))
    while len(left) and len(kept) < _MOST:
        best, rest = left[0], left[1:]
        kept.append(int(order[best]))
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.maximum(sides, 0).prod(axis=1)
        union = areas[best] + areas[rest] - shared
        # written as a product: boxes without any area have a union of 0
        left = rest[(shared <= iou_max * union) | (of_class[rest] != of_class[best])]
    return np.array(kept, np.int64)
