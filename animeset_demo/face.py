"""The head without hair: face, ears, eyes, brows, nose and mouth, for any head pose and emotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from animeset_demo.canvas import Canvas, Colour, Points, ellipse, mirror, mix, moved, quad, smooth
from animeset_demo.characters import Character, Emotion

INK: Colour = (62, 38, 44)
INK_WIDTH = 0.027
_NECK = np.array([0.0, 1.05])  # the point about which a head tilts


@dataclass(frozen=True)
class HeadPose:
    """Where a head points. ``yaw`` -1..1: three-quarter left..right of the picture; ``pitch`` -1..1: down..up;
    ``roll_deg``: clockwise tilt; ``sway``: how far hanging hair is blown to the right, in face units per unit of length."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll_deg: float = 0.0
    sway: float = 0.0

    def _roll(self, p: Points, weight: float | Points = 1.0) -> Points:
        angle = np.radians(self.roll_deg) * weight
        x, y = (p - _NECK).T
        cos, sin = np.cos(angle), np.sin(angle)
        rolled: Points = _NECK + np.column_stack([x * cos - y * sin, x * sin + y * cos])
        return rolled

    def _nod(self, y: Points, depth: float) -> Points:
        return y - self.pitch * depth * (1.0 - 0.35 * np.clip(y, -1.5, 1.2) ** 2)

    def face(self, points: ArrayLike, depth: float = 1.0) -> Points:
        """Front-view points of the face surface as seen in this pose.

        A quadratic in x stands for the turned ellipsoid: the centre line moves by 0.3, the far half narrows.
        ``depth`` above 1 lifts the points off the surface (nose, bangs), below 1 sinks them.
        """
        p = np.asarray(points, float)
        x, y, t = p[:, 0], p[:, 1], self.yaw
        turned = x * (1 - 0.167 * abs(t)) + 0.30 * t * depth - 0.37 * t * x**2
        return self._roll(np.column_stack([turned, self._nod(y, 0.13 * depth)]))

    def skull(self, points: ArrayLike, depth: float = -0.12) -> Points:
        """Points of the head behind the face plane: they move against the turn."""
        p = np.asarray(points, float)
        return self._roll(np.stack([p[:, 0] + depth * self.yaw, self._nod(p[:, 1], 0.4 * depth)], axis=1))

    def hanging(self, points: ArrayLike, depth: float = -0.12, on_face: bool = False) -> Points:
        """Points of hair that hangs from the head: the lower, the less it tilts and the more it sways."""
        p = np.array(points, float)
        drop = np.maximum(p[:, 1] + 0.4, 0.0)
        p[:, 0] += self.sway * drop**1.3
        weight = np.clip(1.0 - (p[:, 1] - 0.6) / 3.0, 0.25, 1.0)
        straight = HeadPose(self.yaw, self.pitch)
        return self._roll(straight.face(p) if on_face else straight.skull(p, depth), weight)


@dataclass(frozen=True)
class Expression:
    """What a face does. ``mouth`` and ``lids`` 0..1: closed..open; ``gaze_*`` -1..1 to the picture's right and down."""

    emotion: Emotion = "neutral"
    mouth: float = 0.0
    lids: float = 1.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0


_OUTLINE = np.array([[0.97, -0.60], [0.965, -0.2], [0.95, 0.12], [0.87, 0.42], [0.66, 0.70], [0.33, 0.91], [0.10, 1.0]])


def outline(pose: HeadPose, boy: bool) -> Points:
    """The face's contour, forehead included (closed)."""
    half = _OUTLINE.copy()
    if boy:
        half[:, 0] *= [1, 1, 1, 0.99, 1.03, 1.08, 1.2]
        half[:, 1] *= [1, 1, 1, 1.05, 1.07, 1.06, 1.05]
    top = np.array([[0.78, -1.15], [0.0, -1.5], [-0.78, -1.15]])
    p = np.vstack([half, mirror(half, -1)[::-1], top[::-1]])
    t = abs(pose.yaw)
    far = np.sign(pose.yaw) * p[:, 0] > 0.5
    # in three-quarter view the far contour dips at the eye and comes out again at the cheek
    bump = 0.07 * np.exp(-(((p[:, 1] - 0.40) / 0.20) ** 2)) - 0.035 * np.exp(-(((p[:, 1] + 0.05) / 0.2) ** 2))
    turned = pose.face(p)
    turned[:, 0] += np.where(far, bump * t * np.sign(pose.yaw), 0.0)
    return smooth(turned, closed=True, steps=5)


def draw_head(canvas: Canvas, who: Character, pose: HeadPose) -> Points:
    """Ears and the bare face; returns the face's contour."""
    skin, shade = who.skin
    for side in (-1.0, 1.0):
        if side * pose.yaw > 0.35:
            continue  # the far ear is behind the face
        ear = np.array([[0.90, -0.12], [1.06, -0.16], [1.12, 0.04], [1.06, 0.30], [0.93, 0.40], [0.86, 0.2]])
        p = smooth(pose.face(mirror(ear, side), 0.7), closed=True)
        canvas.shape(p, skin, INK, INK_WIDTH)
        inner = mirror([[0.97, -0.04], [1.05, 0.0], [1.02, 0.18], [0.96, 0.22]], side)
        canvas.stroke(pose.face(inner, 0.7), shade, 0.02, 0.04, 0.02)
    contour = outline(pose, who.boy)
    canvas.shape(contour, skin, INK, INK_WIDTH)
    return contour


def draw_features(canvas: Canvas, who: Character, pose: HeadPose, look: Expression, contour: Points) -> None:
    """Blush, nose, mouth and eyes onto a bare face."""
    _skin, shade = who.skin
    strength = {"smile": 0.50, "surprised": 0.32, "sad": 0.30}.get(look.emotion, 0.22)
    for side in (-1.0, 1.0):
        c = pose.face([[side * 0.60, 0.50]])[0]
        narrow = 1.0 - 0.45 * max(0.0, side * pose.yaw)
        canvas.glow(c, 0.26 * narrow, 0.15, (250, 120, 120), strength * (0.7 if who.boy else 1.0))
        if look.emotion == "smile":
            for dx in (-0.08, 0.0, 0.08):
                tick = pose.face([[side * 0.60 + dx + 0.02, 0.45], [side * 0.60 + dx - 0.02, 0.54]])
                canvas.stroke(tick, (232, 110, 112), 0.01, 0.022, 0.01)
    _draw_nose(canvas, pose, shade)
    _draw_mouth(canvas, who, pose, look)
    for side in (-1.0, 1.0):
        _draw_eye(canvas, who, pose, look, side, contour)


def _draw_nose(canvas: Canvas, pose: HeadPose, shade: Colour) -> None:
    lean = 1.0 if pose.yaw >= 0 else -1.0
    tip = pose.face([[0.0, 0.45]], 1.18)[0]
    low = pose.face([[-0.035 * lean, 0.525]], 1.05)[0]
    canvas.fill(np.array([tip, low, moved(low, -0.05 * lean, -0.02)]), shade)
    canvas.stroke(quad(tip - [0.0, 0.02], moved(tip, 0.02 * lean, 0.05), low, 6), INK, 0.008, 0.03, 0.012)


def _draw_mouth(canvas: Canvas, who: Character, pose: HeadPose, look: Expression) -> None:
    y = 0.73 if not who.boy else 0.76
    wide, bow, drop = {  # half width, corner lift, opening height
        "neutral": (0.15, 0.010, 0.13),
        "smile": (0.24, 0.065, 0.22),
        "angry": (0.18, -0.050, 0.17),
        "sad": (0.15, -0.045, 0.12),
        "surprised": (0.11, 0.0, 0.20),
    }[look.emotion]
    opening = look.mouth
    upper = np.array(
        [
            [-wide, y - bow],
            [-wide * 0.5, y + bow * 0.25],
            [0, y + bow * 0.5],
            [wide * 0.5, y + bow * 0.25],
            [wide, y - bow],
        ]
    )
    if look.emotion in ("angry", "sad"):
        upper[:, 1] += 0.03
    line = smooth(pose.face(upper, 1.08))
    if opening < 0.05:
        canvas.stroke(line, INK, 0.014, 0.03, 0.022, 0.03, 0.014)
        lip = pose.face([[-0.05, y + 0.115], [0.0, y + 0.122], [0.05, y + 0.115]], 1.06)
        canvas.stroke(lip, who.skin[1], 0.01, 0.03, 0.01)
        return
    depth = drop * opening
    if look.emotion == "surprised":
        hole = smooth(
            pose.face(ellipse((0.0, y + 0.04), wide * (0.75 + 0.3 * opening), 0.05 + depth * 0.7, 12), 1.08),
            closed=True,
        )
    else:
        low = [[wide * 0.75, y + depth * 0.62], [0.0, y + depth + 0.04], [-wide * 0.75, y + depth * 0.62]]
        hole = np.vstack([line, smooth(np.vstack([line[-1:], pose.face(low, 1.05), line[:1]]))[1:-1]])
    canvas.fill(hole, (158, 54, 58))
    center = pose.face([[0.0, y + depth + 0.05]], 1.05)[0]
    canvas.fill_inside(ellipse(center, wide * 0.75, depth * 0.55), [hole], (236, 122, 118))
    if look.emotion in ("smile", "angry") and opening > 0.6:
        teeth = np.vstack([line, moved(line, 0.0, 0.05)[::-1]])
        canvas.fill_inside(teeth, [hole], (255, 252, 248))
    canvas.line(hole, INK, 0.022, closed=True)


# Eye curves, u: -1 inner .. 1 outer corner, v: -1 top .. 1 bottom
_UPPER = np.array(
    [[-0.96, 0.12], [-0.74, -0.48], [-0.30, -0.86], [0.22, -0.94], [0.68, -0.68], [0.94, -0.20], [1.02, 0.12]]
)
_LOWER = np.array([[0.90, 0.52], [0.62, 0.86], [0.15, 0.98], [-0.35, 0.92], [-0.72, 0.62]])
_SHUT = np.array([0.42, 0.55, 0.68, 0.72, 0.64, 0.46, 0.34])  # v of the closed upper lid, bowed down
_SHUT_HAPPY = np.array([0.62, 0.30, 0.06, 0.0, 0.10, 0.36, 0.58])  # bowed up


def _draw_eye(canvas: Canvas, who: Character, pose: HeadPose, look: Expression, side: float, contour: Points) -> None:
    happy = look.emotion == "smile"
    lids = look.lids * {"neutral": 0.94, "smile": 0.97, "angry": 0.84, "sad": 0.80, "surprised": 1.07}[look.emotion]
    lash = mix(who.hair[3], (24, 16, 26), 0.6)
    upper = _UPPER.copy()
    shut = _SHUT_HAPPY if happy else _SHUT
    upper[:, 1] = shut + (upper[:, 1] - shut) * lids
    if look.emotion == "angry":
        upper[:, 1] += np.clip(0.26 - 0.34 * (upper[:, 0] + 1) / 2, 0, 1) * look.lids
    if look.emotion == "sad":
        upper[:, 1] += np.clip(0.34 * (upper[:, 0] + 1) / 2 - 0.10, 0, 1) * look.lids

    def place(uv: ArrayLike, depth: float = 1.0) -> Points:
        p = np.array(uv, float)
        x = 0.455 + p[:, 0] * who.eye_width
        y = 0.14 + p[:, 1] * who.eye_height - who.eye_tilt * p[:, 0]
        return pose.face(np.stack([x * side, y], axis=1), depth)

    lid = smooth(place(upper))
    wing_v = upper[-1, 1]
    if look.lids > 0.12:
        lower = smooth(place(_LOWER))
        white = np.vstack([lid, lower])
        canvas.fill_inside(white, [contour], (255, 255, 255))
        gaze = look.gaze_x * side * 0.24
        small = 0.90 if look.emotion == "surprised" else 1.0
        cu, cv = -0.02 + gaze, 0.06 + look.gaze_y * 0.14
        iris = place(ellipse((cu, cv), 0.66 * small, 0.97 * small))
        dark, mid, light = who.iris
        eye = [white]
        canvas.fill_inside(iris, eye, mix(dark, (10, 8, 14), 0.35))
        canvas.fill_inside(
            place(ellipse((cu, cv + 0.03), 0.58 * small, 0.88 * small)), eye, dark, dark, mid, light, light
        )
        canvas.fill_inside(place(ellipse((cu, cv + 0.02), 0.28 * small, 0.46 * small)), eye, mix(dark, (8, 6, 12), 0.6))
        canvas.fill_inside(
            place(ellipse((cu, cv + 0.62 * small), 0.34 * small, 0.20)),
            eye,
            mix(light, (255, 255, 255), 0.35),
            opacity=0.85,
        )
        shadow = np.vstack([lid, place(moved(upper[::-1], 0.0, 0.3))])
        canvas.fill_inside(shadow, eye, (96, 84, 122), opacity=0.45)
        hx = -0.24 if side > 0 else 0.24  # light falls from the picture's upper left
        canvas.fill_inside(place(ellipse((cu + hx, cv - 0.40), 0.24, 0.27)), eye, (255, 255, 255))
        canvas.fill_inside(place(ellipse((cu - hx * 1.1, cv + 0.42), 0.13, 0.14)), eye, (255, 255, 255))
        canvas.stroke(smooth(place(_LOWER[:4])), lash, 0.035, 0.026, 0.01)
        canvas.stroke(place([[1.0, upper[-1, 1]], [0.97, 0.36], [0.88, 0.56]]), lash, 0.06, 0.02, 0.0)
    heavy = 0.075 if who.boy else 0.088
    wing = np.vstack([lid, place([[1.14, wing_v - 0.12]])])
    canvas.stroke(wing, lash, 0.03, heavy * 0.8, heavy, heavy, heavy * 1.05, heavy * 0.95, 0.0)
    if not who.boy:
        canvas.stroke(
            place([[0.92, wing_v - 0.22], [1.10, wing_v - 0.34], [1.24, wing_v - 0.46]]), lash, 0.06, 0.03, 0.0
        )
    if look.lids > 0.5:
        crease = smooth(place(upper[1:6] * [0.96, 1.0] - [0.0, 0.24]))
        canvas.stroke(crease, mix(who.skin[1], INK, 0.45), 0.0, 0.022, 0.022, 0.0)


def draw_brows(canvas: Canvas, who: Character, pose: HeadPose, look: Expression) -> None:
    """Eyebrows; drawn over the bangs, as TV animation does, so that the emotion stays readable."""
    inner, middle, outer = {  # heights in face units
        "neutral": (-0.33, -0.39, -0.33),
        "smile": (-0.37, -0.46, -0.37),
        "angry": (-0.17, -0.32, -0.42),
        "sad": (-0.46, -0.40, -0.27),
        "surprised": (-0.46, -0.56, -0.46),
    }[look.emotion]
    thick = 0.075 if who.boy else 0.048
    for side in (-1.0, 1.0):
        points = mirror([[0.20, inner], [0.46, middle], [0.76, outer]], side)
        colour = mix(who.hair[1], who.hair[3], 0.55)
        canvas.stroke(smooth(pose.face(points)), colour, thick * 0.9, thick, thick * 0.7, 0.0)
