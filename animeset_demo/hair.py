"""Hair: the part behind the head, the bangs and side locks in front, and the head seen from behind, per hair style."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from animeset_demo.canvas import Canvas, Colour, Points, ellipse, mirror, mix, moved, quad, ribbon, smooth
from animeset_demo.characters import Character, HairStyle
from animeset_demo.face import INK, HeadPose

LINE = 0.024

# the top of the head from the right temple over the crown to the left temple
_CROWN_HALF = np.array([[1.06, -0.30], [1.16, -0.72], [1.07, -1.20], [0.78, -1.60], [0.38, -1.82]])
CROWN = np.vstack([_CROWN_HALF, [[0.0, -1.88]], mirror(_CROWN_HALF, -1)[::-1]])
_SPIKES = np.array(
    [
        [1.06, -0.25], [1.36, -0.30], [1.16, -0.62], [1.50, -0.86], [1.16, -1.06], [1.40, -1.46], [0.98, -1.42],
        [1.02, -1.92], [0.62, -1.68], [0.42, -2.16], [0.18, -1.80], [-0.22, -2.12], [-0.36, -1.76], [-0.84, -1.98],
        [-0.82, -1.56], [-1.32, -1.56], [-1.10, -1.14], [-1.48, -0.96], [-1.16, -0.66], [-1.34, -0.30], [-1.06, -0.25],
    ]
)  # fmt: skip

# lower edge of the bangs from the left to the right temple: valley, tip, valley, tip, ..., valley
_BANGS: dict[HairStyle, ArrayLike] = {
    "twin_tails": [
        [-1.06, -0.30], [-0.86, 0.02], [-0.72, -0.50], [-0.48, -0.10], [-0.26, -0.56], [0.02, -0.12], [0.16, -0.60],
        [0.42, -0.14], [0.60, -0.54], [0.88, 0.02], [1.06, -0.30],
    ],
    "bob": [
        [-1.06, -0.30], [-0.90, 0.10], [-0.72, -0.34], [-0.56, -0.02], [-0.40, -0.46], [-0.16, -0.12], [-0.02, -0.60],
        [0.22, -0.24], [0.36, -0.78], [0.82, -0.08], [1.06, -0.30],
    ],
    "spiky": [
        [-1.06, -0.25], [-0.92, 0.14], [-0.74, -0.44], [-0.50, 0.0], [-0.38, -0.52], [-0.10, -0.02], [0.02, -0.58],
        [0.24, -0.16], [0.36, -0.60], [0.66, -0.06], [0.74, -0.50], [0.94, 0.10], [1.06, -0.25],
    ],
    "hime": [
        [-1.06, -0.30], [-0.86, -0.22], [-0.62, -0.32], [-0.44, -0.24], [-0.22, -0.32], [0.0, -0.24], [0.22, -0.32],
        [0.44, -0.24], [0.62, -0.32], [0.86, -0.22], [1.06, -0.30],
    ],
    "ponytail": [
        [-1.06, -0.30], [-0.94, 0.16], [-0.78, -0.44], [-0.62, -0.04], [-0.40, -0.70], [-0.20, -0.26], [-0.06, -1.02],
        [0.30, -0.24], [0.38, -0.66], [0.70, -0.02], [0.80, -0.46], [0.96, 0.14], [1.06, -0.30],
    ],
}  # fmt: skip


def _bangs_map(pose: HeadPose, points: ArrayLike) -> Points:
    """Bangs grow from the skull and end on the face: the lower a point, the more it moves as the face does."""
    p = np.asarray(points, float)
    w = np.clip((p[:, 1:] + 1.55) / 0.95, 0.0, 1.0)
    on_face: Points = w * pose.face(p, 1.10) + (1 - w) * pose.skull(p, -0.04)
    return on_face


def _lower_edge(nodes: Points, blunt: bool) -> Points:
    """The bangs' edge: each lock is a leaf with both sides bulging outward."""
    parts: list[Points] = []
    for i, (a, b) in enumerate(pairwise(nodes)):
        valley, tip = (a, b) if i % 2 == 0 else (b, a)
        control = (
            (valley + tip) / 2 if blunt else np.array([0.8 * valley[0] + 0.2 * tip[0], 0.5 * valley[1] + 0.5 * tip[1]])
        )
        parts.append(quad(a, control, b, 6)[:-1])
    return np.vstack([*parts, nodes[-1:]])


def _lock(root_a: ArrayLike, root_b: ArrayLike, tip: ArrayLike, bend: float = 0.0) -> Points:
    """A pointed lock between two roots and a tip; ``bend`` bulges it to the right."""
    a, b, t = (np.asarray(v, float) for v in (root_a, root_b, tip))
    left, right = (np.array([0.85 * p[0] + 0.15 * t[0] + bend, 0.45 * p[1] + 0.55 * t[1]]) for p in (a, b))
    return np.vstack([quad(a, left, t, 9), quad(t, right, b, 9)[1:]])


def _tail(canvas: Canvas, colours: Sequence[Colour], center: Points, widths: ArrayLike) -> None:
    """One bound bundle of hair: filled, shaded on its inner side, with flow lines."""
    base, shade, shine, ink = colours
    spine = smooth(center, steps=8)
    body = ribbon(spine, widths)
    canvas.shape(body, base, ink, LINE)
    right, left = body[: len(spine)], body[len(spine) :][::-1]

    def between(share: float) -> Points:  # a line along the bundle, 0 on its left bank, 1 on its right
        return left + (right - left) * share

    canvas.fill_inside(np.vstack([between(0.76), between(1.0)[::-1]]), [body], shade)
    n = len(spine)
    canvas.fill_inside(ribbon(between(0.28)[n // 5 : n // 2], [0.0, 0.07, 0.09, 0.05, 0.0]), [body], shine)
    for share, first, last in ((0.55, n // 8, n), (0.32, n // 3, n - 1), (0.80, n // 4, n - 2)):
        canvas.stroke(between(share)[first:last], ink, 0.0, 0.024, 0.018, 0.0)
    canvas.line(body, ink, LINE, closed=True)


def draw_back_hair(canvas: Canvas, who: Character, pose: HeadPose) -> None:
    """Everything that hangs behind neck and shoulders; drawn before the body."""
    base, shade, _, ink = who.hair
    style = who.hair_style
    if style == "hime":
        half = np.array(
            [[0.5, -1.5], [0.98, -1.15], [1.15, -0.5], [1.19, 0.2], [1.26, 1.4], [1.36, 2.8], [1.42, 4.3], [1.16, 4.5]]
        )
        p = smooth(pose.hanging(np.vstack([half, [[0.4, 4.42], [-0.4, 4.42]], mirror(half, -1)[::-1]])), closed=True)
        canvas.shape(p, base, ink, LINE)
        inner = np.array([[0.8, 0.2], [0.86, 1.4], [0.98, 3.0], [0.92, 4.6]])
        canvas.fill_inside(pose.hanging(np.vstack([inner, mirror(inner, -1)[::-1]])), [p], shade)
        for x in (-1.22, -1.08, -0.7, -0.35, 0.0, 0.35, 0.7, 1.08, 1.22):
            flow = smooth([[x * 0.92, 0.3], [x, 2.0], [x * 1.06, 4.2]])
            canvas.stroke(pose.hanging(flow), ink, 0.0, 0.028, 0.028, 0.0)
    elif style == "bob":
        half = np.array(
            [
                [0.5, -1.5],
                [0.98, -1.2],
                [1.18, -0.6],
                [1.31, 0.0],
                [1.36, 0.45],
                [1.24, 0.92],
                [0.98, 1.22],
                [0.7, 1.15],
            ]
        )
        p = smooth(pose.hanging(np.vstack([half, [[0.0, 1.05]], mirror(half, -1)[::-1]])), closed=True)
        canvas.shape(p, base, ink, LINE)
        inner = np.array([[0.95, -0.4], [1.06, 0.4], [0.98, 0.9], [0.8, 1.3]])
        canvas.fill_inside(pose.hanging(np.vstack([inner, mirror(inner, -1)[::-1]])), [p], shade)
    else:
        half = np.array([[0.5, -1.4], [1.0, -1.0], [1.12, -0.5], [1.06, 0.1], [0.90, 0.55], [0.72, 0.85], [0.5, 0.8]])
        low = 0.8
        p = smooth(pose.skull(np.vstack([half, [[0.0, low + 0.1]], mirror(half, -1)[::-1]])), closed=True)
        canvas.shape(p, shade, ink, LINE)
    if style == "twin_tails":
        _twin_tails(canvas, who, pose)
    if style == "ponytail":
        spine = np.array([[0.15, -1.60], [0.85, -2.02], [1.55, -1.45], [1.74, -0.1], [1.62, 1.2], [1.86, 2.4]])
        _tail(canvas, who.hair, pose.hanging(spine, -0.5), [0.16, 0.34, 0.42, 0.40, 0.30, 0.0])


def _twin_tails(canvas: Canvas, who: Character, pose: HeadPose) -> None:
    for side in (-1.0, 1.0):
        spine = mirror([[1.0, -1.12], [1.48, -1.12], [1.80, -0.30], [1.84, 0.9], [1.64, 2.1], [1.90, 3.2]], side)
        _tail(canvas, who.hair, pose.hanging(spine, -0.15), [0.12, 0.34, 0.44, 0.42, 0.28, 0.0])


def _crown(who: Character) -> Points:
    return _SPIKES if who.hair_style == "spiky" else smooth(CROWN, steps=7)


def bangs_shape(who: Character, pose: HeadPose) -> Points:
    """The front hair as one closed shape: crown above, the bangs' edge below."""
    edge = _bangs_map(pose, _lower_edge(np.asarray(_BANGS[who.hair_style], float), who.hair_style == "hime"))
    return np.vstack([pose.skull(_crown(who), -0.10), edge])


def draw_bangs_shadow(canvas: Canvas, who: Character, pose: HeadPose, contour: Points) -> None:
    """The shadow the bangs cast on the forehead; drawn before the eyes."""
    canvas.fill_inside(moved(bangs_shape(who, pose), 0.03, 0.1), [contour], who.skin[1])


def draw_front_hair(canvas: Canvas, who: Character, pose: HeadPose) -> None:
    """Bangs with shading and shine, side locks, and what holds the hair."""
    base, shade, shine, ink = who.hair
    style = who.hair_style
    _draw_side_locks(canvas, who, pose)
    front = bangs_shape(who, pose)
    canvas.fill(front, base)

    nodes = np.asarray(_BANGS[style], float)
    blunt = style == "hime"
    part = np.array([-0.05 if style == "ponytail" else 0.30 if style == "bob" else 0.05, -1.55])
    for i in range(2, len(nodes) - 1, 2):  # a dark wedge and an ink line run up from every valley
        v = nodes[i]
        up = v + (part - v) * ((0.40 if i % 4 == 2 else 0.26) if not blunt else 0.30)
        side = np.array([0.06, 0.0])
        canvas.fill_inside(
            _bangs_map(
                pose,
                np.vstack(
                    [
                        quad(v - side, v * 0.6 + up * 0.4 - side * 0.4, up, 5),
                        quad(up, v * 0.6 + up * 0.4 + side, v + side * 1.6, 5),
                    ]
                ),
            ),
            [front],
            shade,
        )
    if blunt:
        rim = np.vstack([moved(nodes, 0, 0.05), moved(nodes, 0, -0.1)[::-1]])
        canvas.fill_inside(_bangs_map(pose, rim), [front], shade)
    for side_x in (-1.0, 1.0):
        rim = mirror(
            [[1.25, -1.45], [1.3, -0.2], [0.92, -0.1], [0.95, -0.45], [1.0, -0.75], [1.0, -1.0], [0.94, -1.25]], side_x
        )
        canvas.fill_inside(_bangs_map(pose, rim), [front], shade)

    x = np.linspace(-0.86, 0.86, 19)
    arc = -1.12 + 0.30 * x**2
    jag = np.where(np.arange(19) % 2 == 0, 0.06, -0.03)
    fade = np.clip(1.15 - np.abs(x) / 0.86, 0.0, 1.0)
    band = np.vstack(
        [np.stack([x, arc - 0.11 * fade - jag * 0.7], 1), np.stack([x, arc + (0.05 + jag * 1.6) * fade], 1)[::-1]]
    )
    canvas.fill_inside(_bangs_map(pose, band), [front], shine)

    for i in range(2, len(nodes) - 1, 2):
        v = nodes[i]
        up = v + (part - v) * (0.62 if not blunt else 0.22)
        canvas.stroke(
            _bangs_map(pose, quad(v, v * 0.55 + up * 0.45 + [0.04 * np.sign(v[0]), 0], up, 7)), ink, 0.03, 0.02, 0.0
        )
    for dx, drop in ((-0.75, 0.62), (-0.55, 0.30), (-0.22, 0.26), (0.2, 0.28), (0.52, 0.32), (0.72, 0.60)):
        flow = quad(moved(part, dx * 0.15, 0.0), moved(part, dx * 0.8, 0.0), moved(part, dx * 1.2, drop), 8)
        canvas.stroke(_bangs_map(pose, flow), ink, 0.0, 0.02, 0.0)
    canvas.line(front, ink, LINE, closed=True)
    if style == "bob":
        for k in (0.0, 0.13):
            clip = pose.face([[0.58, -0.62 + k], [0.86, -0.50 + k]], 1.1)
            canvas.stroke(clip, INK, 0.10, 0.10)
            canvas.stroke(clip, who.ribbon, 0.06, 0.06)
    _draw_ties(canvas, who, pose)


def _draw_side_locks(canvas: Canvas, who: Character, pose: HeadPose) -> None:
    base, shade, _, ink = who.hair
    style = who.hair_style
    for side in (-1.0, 1.0):
        if style == "hime":
            p = mirror([[0.76, -0.5], [0.74, 0.3], [0.74, 0.98], [1.10, 1.00], [1.14, 0.3], [1.08, -0.5]], side)
            lock = pose.hanging(np.vstack([smooth(p[:3]), smooth(p[3:])]), on_face=True)
            rim = mirror([[1.0, -0.5], [0.98, 1.1], [1.2, 1.1], [1.2, -0.5]], side)
        elif style == "bob":
            p = mirror(
                [
                    [0.80, -0.5],
                    [0.86, 0.2],
                    [0.78, 0.72],
                    [0.56, 0.98],
                    [1.0, 1.08],
                    [1.30, 0.72],
                    [1.32, 0.2],
                    [1.08, -0.6],
                ],
                side,
            )
            lock = pose.hanging(np.vstack([smooth(p[:4]), smooth(p[3:])]), on_face=True)
            rim = mirror(
                [[1.12, -0.4], [1.14, 0.4], [0.95, 0.85], [0.5, 1.0], [1.0, 1.2], [1.5, 0.5], [1.4, -0.4]], side
            )
        else:
            inner, tip_x, tip_y = {
                "twin_tails": (0.80, 0.84, 0.98),
                "spiky": (0.84, 0.90, 0.34),
                "ponytail": (0.86, 0.86, 1.25),
            }[style]
            lock = pose.hanging(mirror(_lock([inner, -0.55], [1.10, -0.55], [tip_x, tip_y], 0.10), side), on_face=True)
            rim = mirror(_lock([1.0, -0.55], [1.2, -0.55], [tip_x, tip_y], 0.12), side)
        canvas.fill(lock, base)
        canvas.fill_inside(pose.hanging(rim, on_face=True), [lock], shade)
        if style in ("hime", "bob"):
            for x in (0.86, 0.97):
                flow = mirror([[x, -0.2], [x + (0.12 if style == "bob" else 0), 0.3], [x + 0.02, 0.85]], side)
                canvas.stroke(pose.hanging(smooth(flow), on_face=True), ink, 0.0, 0.022, 0.0)
        canvas.line(lock, ink, LINE, closed=True)


def _draw_ties(canvas: Canvas, who: Character, pose: HeadPose) -> None:
    dark = mix(who.ribbon, (30, 10, 30), 0.35)
    if who.hair_style == "twin_tails":
        for side in (-1.0, 1.0):
            c = pose.skull(mirror([[1.06, -1.16]], side), -0.15)[0]
            for up in (-1.0, 1.0):
                wing = np.array([[0, 0], [0.10, 0.34 * up], [0.34, 0.42 * up], [0.30, 0.12 * up]])
                p = smooth(c + mirror(wing, side), closed=True)
                canvas.shape(p, who.ribbon, INK, LINE)
                canvas.fill_inside(
                    c + mirror([[0.0, 0.0], [0.24, 0.36 * up], [0.4, 0.4 * up], [0.3, 0.1 * up]], side),
                    [p],
                    dark,
                    opacity=0.6,
                )
                canvas.line(p, INK, LINE, closed=True)
            canvas.shape(ellipse(c, 0.10, 0.12, 14), who.ribbon, INK, LINE)
    if who.hair_style == "ponytail":
        c = pose.skull([[0.42, -1.84]], -0.4)[0]
        for dx, dy in ((-0.16, 0.06), (0.16, -0.08), (0.0, 0.0)):
            canvas.shape(ellipse(moved(c, dx, dy), 0.15, 0.17, 16), who.ribbon, INK, LINE)


def draw_head_from_behind(canvas: Canvas, who: Character, pose: HeadPose) -> None:
    """The whole head seen from the back; drawn after the body."""
    base, shade, shine, ink = who.hair
    style = who.hair_style
    for side in (-1.0, 1.0):
        ear = mirror([[1.0, -0.1], [1.14, -0.08], [1.14, 0.22], [1.0, 0.36]], side)
        canvas.shape(smooth(pose.skull(ear), closed=True), who.skin[0], INK, LINE)
    if style == "hime":
        half = np.array([[1.14, -0.4], [1.22, 0.6], [1.30, 2.4], [1.40, 4.4]])
        low = np.array([[0.9, 4.5], [0.3, 4.42], [-0.3, 4.52], [-0.9, 4.44]])
    elif style == "bob":
        half = np.array([[1.20, -0.4], [1.36, 0.4], [1.22, 0.95], [0.92, 1.22]])
        low = np.array([[0.3, 1.14], [-0.3, 1.14]])
    else:
        half = np.array([[1.10, -0.3], [1.02, 0.35], [0.80, 0.80], [0.52, 1.02]])
        low = np.array([[0.25, 0.86], [0.0, 1.05], [-0.25, 0.86]])
    crown = _crown(who)
    lower = np.vstack([half, low, mirror(half, -1)[::-1]])
    p = np.vstack([pose.hanging(smooth(lower)), pose.skull(crown, 0.0)[::-1]])
    canvas.shape(p, base, ink, LINE)
    rim = np.vstack([moved(lower, 0, 0.1), (lower * [0.86, 1.0] - [0, 0.35])[::-1]])
    canvas.fill_inside(pose.hanging(rim), [p], shade)
    x = np.linspace(-0.8, 0.8, 15)
    jag = np.where(np.arange(15) % 2 == 0, 0.08, -0.05)
    band = np.vstack([np.stack([x, -1.0 + 0.3 * x**2 - jag], 1), np.stack([x, -0.82 + 0.25 * x**2 + jag], 1)[::-1]])
    canvas.fill_inside(pose.skull(band), [p], shine)
    bottom = float(half[-1, 1])
    for x0 in (-0.85, -0.5, -0.18, 0.18, 0.5, 0.85):
        canvas.stroke(
            pose.hanging(
                smooth([[x0 * 0.4, -1.5], [x0, -0.5], [x0 * 0.98, bottom - 0.1 - 0.75 * abs(x0) * (bottom < 2)]])
            ),
            ink,
            0.0,
            0.026,
            0.026,
            0.0,
        )
    if style == "twin_tails":
        canvas.stroke(pose.skull([[0.0, -1.85], [0.02, 0.8]]), ink, 0.02, 0.03, 0.02)
    if style == "ponytail":
        spine = np.array([[0.0, -1.45], [0.25, -1.75], [0.55, -0.9], [0.35, 0.5], [0.2, 1.6], [0.35, 2.6]])
        _tail(canvas, who.hair, pose.hanging(spine), [0.14, 0.36, 0.46, 0.42, 0.30, 0.0])
        c = pose.skull([[0.05, -1.55]])[0]
        canvas.shape(ellipse(c, 0.20, 0.17, 16), who.ribbon, INK, LINE)
    if style == "twin_tails":
        _twin_tails(canvas, who, pose)
        _draw_ties(canvas, who, pose)
