"""The detectors for drawn figures by deepghs: face, head, person and half body, four YOLOv8 networks of one class each.

Model cards: https://huggingface.co/deepghs/anime_face_detection, `anime_head_detection`, `anime_person_detection`, `anime_halfbody_detection`.
Pictures are stretched to the networks' square. Each network has a threshold of its own, measured by its authors for the best F1 and stored
beside it in `threshold.json`; the IoU limits are the defaults of their library, imgutils. Scores of two networks cannot be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from animeset_lib.models.api import Detection, Picture
from animeset_lib.models.detectors.yolo_onnx import YoloOnnx
from animeset_lib.models.spec import Parts

__all__ = ["IOU_MAX", "SCORE_MIN", "VERSION", "Deepghs", "DeepghsOne", "Kind"]

VERSION = "1"

Kind = Literal["face", "head", "person", "halfbody"]

SCORE_MIN: dict[Kind, float] = {"face": 0.307, "head": 0.413, "person": 0.348, "halfbody": 0.577}
"""`threshold.json` of face_detect_v1.4_s, head_detect_v2.0_s, person_detect_v1.1_m and halfbody_detect_v1.0_s."""
IOU_MAX: dict[Kind, float] = {"face": 0.7, "head": 0.7, "person": 0.5, "halfbody": 0.7}
"""Defaults of `detect_faces`, `detect_heads`, `detect_person` and `detect_halfbody` in imgutils 0.19."""
_UNCERTAIN = 0.5
"""Faces are told from this share of their threshold on, so that the stage can record those it does not use."""


class DeepghsOne:
    """A `Detector` of one `kind`: one file, one class. Faces are returned from half of `score_min` on, other kinds above `score_min`."""

    def __init__(self, parts: Parts, kind: Kind, score_min: float, iou_max: float) -> None:
        self.info = parts.info
        self.score_min = score_min
        self._kind: Kind = kind
        self._iou_max = iou_max
        self._network = YoloOnnx(parts, "stretch")
        if len(self._network.labels) != 1:
            raise parts.fault(f"a network with the one class {kind}", f"classes {', '.join(self._network.labels)}")

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Boxes per picture in whole pixels, clipped, best score first."""
        lowest = self.score_min * _UNCERTAIN if self._kind == "face" else self.score_min
        return [
            [Detection(self._kind, found.box, found.score) for found in boxes]
            for boxes in self._network.detect(pictures, lowest, self._iou_max)
        ]


class Deepghs:
    """A `Detector` of all four kinds. Files: the face, head, person and half body networks, in this order.

    `score_min` is the faces' threshold. Half bodies are looked for inside each person and at most one is taken, for that network was trained
    on pictures of single figures.
    """

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self._face, self._head, self._person, self._half = (
            DeepghsOne(replace(parts, files=(path,)), kind, SCORE_MIN[kind], IOU_MAX[kind])
            for kind, path in zip(SCORE_MIN, parts.files, strict=True)
        )
        self.score_min = self._face.score_min

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Boxes per picture in whole pixels, clipped, best score first."""
        persons = self._person.detect(pictures)
        together = zip(
            self._face.detect(pictures),
            self._head.detect(pictures),
            persons,
            self._halves(pictures, persons),
            strict=True,
        )
        return [
            sorted((box for kind in kinds for box in kind), key=lambda d: (-d.score, d.kind, d.box.xyxy))
            for kinds in together
        ]

    def _halves(self, pictures: Sequence[Picture], persons: Sequence[Sequence[Detection]]) -> list[list[Detection]]:
        """The best half body inside each person, in pixels of the whole picture."""
        places = [(i, person.box.pixels()) for i, boxes in enumerate(persons) for person in boxes]
        crops = [pictures[i][y0:y1, x0:x1] for i, (x0, y0, x1, y1) in places]
        halves: list[list[Detection]] = [[] for _ in pictures]
        for (i, (x0, y0, _, _)), found in zip(places, self._half.detect(crops), strict=True):
            for best in found[:1]:
                halves[i].append(Detection(best.kind, best.box.moved(x0, y0), best.score))
        return halves
