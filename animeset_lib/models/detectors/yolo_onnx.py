"""YOLO-like ONNX networks: YOLOv5 to v12, v26 and RT-DETR, as ultralytics, the YOLOv5 repository and deepghs export them.

Class names and picture size come from the file's metadata (`names`, `imgsz`), the form of the answers from their shape.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import Picture
from animeset_lib.models.detectors.yolo_boxes import EXPECTED, Found, Reader, form_of, read_names
from animeset_lib.models.engines.batches import Batches
from animeset_lib.models.engines.device import first_line
from animeset_lib.models.engines.onnx import Network, open_network
from animeset_lib.models.spec import Parts

__all__ = ["YoloOnnx"]

_SIDE = 640
"""ultralytics' default where neither the input nor the metadata says."""
_ON_CARD, _ON_PROCESSOR = 16, 2


class YoloOnnx:
    """One network, the first file of `parts`.

    fit      how pictures are made to fit, see `yolo_boxes`; an RT-DETR with `letterbox` gets them stretched, as ultralytics does
    labels   the network's class names; their numbers as text where the file has none

    Raises `ModelError` for a file that is not such a network. It is run once, on black, to see what it answers.
    """

    def __init__(self, parts: Parts, fit: Literal["stretch", "letterbox"]) -> None:
        network = open_network(parts.files[0], parts, "N3HW")
        self._network = network
        task = network.facts.get("task", "detect")
        if task != "detect":
            raise network.fault("a detection network", f"one for the task `{task}`")
        if network.kind not in ("float32", "float16"):
            raise network.fault("an input of float32 or float16 values", network.kind)
        if network.shape[0] not in (1, None):
            raise network.fault("an input for one picture or any number of them", f"one for exactly {network.shape[0]}")
        height, width = _size(network)
        answer = self._first_answer(height, width)
        labels = None
        if "names" in network.facts:
            try:
                labels = read_names(network.facts["names"])
            except ValueError as error:
                raise network.fault("class names in the metadata `names`, such as {0: 'face'}", str(error)) from error
        form = None
        if answer.shape[:1] == (1,):
            form = form_of(answer[0], labels, height, width, detr=_is_detr(network.facts))
        if form is None:
            known = f"{len(labels)} classes" if labels else "no class names in its metadata"
            raise network.fault(EXPECTED, f"{list(answer.shape)} with {known}")
        self._reader = Reader(parts.info.name, *form, fit, height, width)
        self.labels = self._reader.labels
        size = _ON_CARD if network.on_card else _ON_PROCESSOR
        self._batches = Batches(parts.info.name, size, parts.device.threads)

    def detect(self, pictures: Sequence[Picture], score_min: float, iou_max: float) -> list[list[Found]]:
        """Boxes per picture with scores above `score_min`, best first; `iou_max` as in `Reader.read`."""
        answers = self._batches.run(pictures, self._reader.prepare, self._run)
        pairs = zip(answers, pictures, strict=True)
        return [self._reader.read(answer, picture, score_min, iou_max) for answer, picture in pairs]

    def _first_answer(self, height: int, width: int) -> npt.NDArray[Any]:
        try:
            return self._run(np.zeros((1, 3, height, width), np.float32))
        except Exception as error:  # onnxruntime raises classes of its own that have no common ancestor but Exception
            raise self._network.fault(
                f"a network that runs on one picture of {width} x {height}", first_line(error)
            ) from error

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        return self._network.each(batch.astype(self._network.kind, copy=False))


def _size(network: Network) -> tuple[int, int]:
    """Height and width of the input: fixed by the network, else `imgsz` of the metadata, else 640."""
    text = network.facts.get("imgsz", str(_SIDE))
    try:
        value = ast.literal_eval(text)
        height, width = (int(side) for side in ([value, value] if isinstance(value, int) else value))
        if min(height, width) < 1:
            raise ValueError
    except (SyntaxError, TypeError, ValueError) as error:
        raise network.fault("a metadata entry `imgsz` such as [640, 640]", repr(text[:80])) from error
    return network.shape[2] or height, network.shape[3] or width


def _is_detr(facts: dict[str, str]) -> bool:
    """As ultralytics writes it: `head` since 8.4, and always a description with the name of the layout, such as `rtdetr-l`."""
    said = f"{facts.get('head', '')} {facts.get('description', '')}".lower()
    return "rtdetr" in said or "rt-detr" in said
