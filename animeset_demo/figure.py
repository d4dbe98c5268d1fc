"""One whole character in one pose: drawn onto a canvas, with the boxes of what was drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from animeset_demo.body import BodyPose, draw_body
from animeset_demo.canvas import Canvas, Points
from animeset_demo.characters import Character, Outfit
from animeset_demo.face import Expression, HeadPose, draw_brows, draw_features, draw_head, outline
from animeset_demo.hair import (
    bangs_shape,
    draw_back_hair,
    draw_bangs_shadow,
    draw_front_hair,
    draw_head_from_behind,
)

Box = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True)
class FigureBoxes:
    """Boxes in the canvas's pixels: ``face`` from above the brows to the chin and cheek to cheek (None from behind),
    ``head`` from the crown to the chin without hanging hair, both not clipped; ``body`` around everything of the character
    that is in the picture (None when nothing is)."""

    face: Box | None
    head: Box
    body: Box | None


def draw_figure(
    canvas: Canvas, who: Character, outfit: Outfit, head: HeadPose, look: Expression, body: BodyPose
) -> FigureBoxes:
    """Draw ``who`` with the face's middle at the canvas's origin."""
    canvas.bounds = None
    contour = outline(head, who.boy)
    if body.back:
        draw_body(canvas, who, outfit, body)
        draw_head_from_behind(canvas, who, head)
    else:
        draw_back_hair(canvas, who, head)
        draw_body(canvas, who, outfit, body)
        draw_head(canvas, who, head)
        draw_bangs_shadow(canvas, who, head, contour)
        draw_features(canvas, who, head, look, contour)
        draw_front_hair(canvas, who, head)
        draw_brows(canvas, who, head, look)
    return FigureBoxes(
        face=None if body.back else _box(canvas, contour[contour[:, 1] > _brow_line(head, contour)]),
        head=_box(canvas, np.vstack([contour, bangs_shape(who, head)])),
        body=canvas.bounds,
    )


def _brow_line(head: HeadPose, contour: Points) -> float:
    """Height just above the eyebrows in this pose, in face units."""
    return float(head.face(np.array([[0.0, -0.68]]))[0, 1])


def _box(canvas: Canvas, points: Points) -> Box:
    p = canvas.px(points)
    (x0, y0), (x1, y1) = p.min(axis=0), p.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)
