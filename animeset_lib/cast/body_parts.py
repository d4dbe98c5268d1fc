"""From a detector's loose boxes to figures: one per face, with the head and the body that belong to it where the detector saw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from animeset_lib.models.api import Detection
from animeset_lib.records import Box

__all__ = ["DetectedFigure", "join_figures"]

_SAME_IOU = 0.45
_SAME_INSIDE = 0.75
"""Two face boxes are one face when they share this much of their union, or this much of the smaller one: detectors answer a large face
at two scales, and the small answer lies inside the large one."""
_INSIDE = 0.8
"""A head or a body holds a face when at least this share of the face lies inside it."""

Misfit = Callable[[Box, Box], float]

# Brow to chin and ear to ear within a head box: halfway across and 0.62 of it wide, the lower part of it and half as high.
_FACE_IN_HEAD = (0.19, 0.4, 0.81, 0.92)


@dataclass(frozen=True)
class DetectedFigure:
    """One face of a still, or a head whose face is not seen (`faceless`; `face` is then where it would be).

    `head`, `person` and `halfbody` are detected boxes, None where none was found. `double_of` is the better-scored box of the same face when this
    one is its double, and `shared` how much of the smaller box they share.
    """

    face: Box
    score: float
    head: Box | None = None
    person: Box | None = None
    halfbody: Box | None = None
    double_of: Box | None = None
    shared: float = 0.0
    faceless: bool = False


def join_figures(detections: Sequence[Detection]) -> list[DetectedFigure]:
    """All face boxes as figures, doubles marked, and the heads that hold none of them, from left to right and top to bottom whatever the
    order given.

    Heads and bodies are dealt out to all faces at once, so that the whole fits best: each goes to one figure at most, a head to a face in
    its lower middle, a body to a head at its upper end. Bodies without a head make no figure.
    """
    singles: list[Detection] = []
    doubles: list[DetectedFigure] = []
    for face in sorted((d for d in detections if d.kind == "face"), key=_order):
        for better in singles:
            shared = face.box.intersection(better.box) / min(face.box.area, better.box.area)
            if face.box.iou(better.box) >= _SAME_IOU or shared >= _SAME_INSIDE:
                doubles.append(DetectedFigure(face.box, face.score, double_of=better.box, shared=shared))
                break
        else:
            singles.append(face)
    heads, persons, halves = (
        sorted((d for d in detections if d.kind == kind), key=_order) for kind in ("head", "person", "halfbody")
    )
    faces = [face.box for face in singles]
    sure = [face.score for face in singles]
    head_of = _dealt(faces, sure, [head.box for head in heads], _head_misfit)
    faceless = _left_over(heads, list(head_of.values()))
    holders = [head_of.get(i, box) for i, box in enumerate(faces)] + [head.box for head in faceless]
    sure += [head.score for head in faceless]
    person_of = _dealt(holders, sure, [d.box for d in persons], _body_misfit)
    half_of = _dealt(holders, sure, [d.box for d in halves], _body_misfit)
    figures = [
        DetectedFigure(face.box, face.score, head_of.get(i), person_of.get(i), half_of.get(i))
        for i, face in enumerate(singles)
    ]
    figures += [
        DetectedFigure(_face_in(head.box), head.score, head.box, person_of.get(i), half_of.get(i), faceless=True)
        for i, head in enumerate(faceless, start=len(singles))
    ]
    return sorted([*figures, *doubles], key=lambda f: (f.face.x0, f.face.y0, f.face.xyxy, -f.score))


def _order(detection: Detection) -> tuple[float, tuple[float, float, float, float]]:
    return -detection.score, detection.box.xyxy


def _left_over(heads: Sequence[Detection], taken: list[Box]) -> list[Detection]:
    """Heads that nobody took and that are no second box of one that was, or of each other: several detectors may have seen the same."""
    left: list[Detection] = []
    for head in heads:
        if all(head.box.iou(box) < _SAME_IOU for box in (*taken, *(other.box for other in left))):
            left.append(head)
    return left


def _dealt(inner: Sequence[Box], sure: Sequence[float], outer: Sequence[Box], misfit: Misfit) -> dict[int, Box]:
    """Index of the inner box → its outer box; the largest number of pairs, and of these the best fitting, each box in one pair at most.

    sure   scores of the inner boxes: where two want the same outer box, a likely one goes before a doubtful one that fits better
    """
    if not inner or not outer:
        return {}
    from scipy.optimize import linear_sum_assignment  # half of what it takes to import the pipeline

    never = 1e6
    cost = np.array(
        [
            [
                misfit(small, large) + 1 - score if large.intersection(small) >= _INSIDE * small.area else never
                for large in outer
            ]
            for small, score in zip(inner, sure, strict=True)
        ]
    )
    rows, columns = linear_sum_assignment(cost)
    return {int(i): outer[j] for i, j in zip(rows, columns, strict=True) if cost[i, j] < never}


def _head_misfit(face: Box, head: Box) -> float:
    """Distance of the face from where it lies in a head, in head sizes."""
    wished = _face_in(head).center
    return abs(face.center[0] - wished[0]) / head.width + abs(face.center[1] - wished[1]) / head.height


def _body_misfit(head: Box, body: Box) -> float:
    """Distance of the head from a body's upper middle, in body sizes."""
    return abs(head.center[0] - body.center[0]) / body.width + abs(head.y0 - body.y0) / body.height


def _face_in(head: Box) -> Box:
    x0, y0, x1, y1 = _FACE_IN_HEAD
    return Box(
        x0=head.x0 + x0 * head.width,
        y0=head.y0 + y0 * head.height,
        x1=head.x0 + x1 * head.width,
        y1=head.y0 + y1 * head.height,
    )
