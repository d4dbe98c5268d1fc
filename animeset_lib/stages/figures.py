"""From a detector's loose boxes to figures: one per face, with the body that belongs to it where the detector saw one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animeset_lib.models.api import Detection
from animeset_lib.records import Box

__all__ = ["Figure", "join_figures"]

_SAME_IOU = 0.45
_SAME_INSIDE = 0.75
"""Two face boxes are one face when they share this much of their union, or this much of the smaller one: detectors answer a large face
at two scales, and the small answer lies inside the large one."""
_FACE_INSIDE = 0.8
"""A body holds a face when at least this share of the face lies inside it."""


@dataclass(frozen=True)
class Figure:
    """One face of a still. `person` is the detected body, None where none was found.

    `double_of` is the better-scored box of the same face when this one is its double, and `shared` how much of the smaller box they share.
    """

    face: Box
    score: float
    person: Box | None = None
    double_of: Box | None = None
    shared: float = 0.0


def join_figures(detections: Sequence[Detection]) -> list[Figure]:
    """All face boxes as figures, doubles marked, from left to right and top to bottom whatever the order given.

    A face takes the smallest body that holds it and that no better-scored face has taken: two heads before one body are two figures, the
    second without a known body. Bodies and heads without a face make no figure.
    """
    faces = sorted((d for d in detections if d.kind == "face"), key=lambda d: (-d.score, d.box.xyxy))
    bodies = sorted((d.box for d in detections if d.kind == "person"), key=lambda b: (b.area, b.xyxy))
    figures: list[Figure] = []
    for face in faces:
        for better in figures:
            if better.double_of is not None:
                continue
            shared = face.box.intersection(better.face) / min(face.box.area, better.face.area)
            if face.box.iou(better.face) >= _SAME_IOU or shared >= _SAME_INSIDE:
                figures.append(Figure(face.box, face.score, double_of=better.face, shared=shared))
                break
        else:
            body = next((b for b in bodies if b.intersection(face.box) >= _FACE_INSIDE * face.box.area), None)
            if body is not None:
                bodies.remove(body)
            figures.append(Figure(face.box, face.score, body))
    return sorted(figures, key=lambda f: (f.face.x0, f.face.y0, f.face.xyxy, -f.score))
