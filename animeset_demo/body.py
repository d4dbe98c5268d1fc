"""Neck, clothes, arms and legs, from the shoulders to the shoes, for any arm pose and walking phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from animeset_demo.canvas import Canvas, Colour, Points, ellipse, mirror, mix, moved, quad, ribbon, smooth
from animeset_demo.characters import Character, Outfit
from animeset_demo.face import INK, INK_WIDTH

ArmPose = Literal["down", "wave", "hip", "chest", "book"]

# shoulder, elbow, wrist per arm pose, for the right arm of the picture
_ARMS: dict[ArmPose, list[list[float]]] = {
    "down": [[1.14, 2.24], [1.52, 4.2], [1.52, 6.0]],
    "wave": [[1.14, 2.24], [1.95, 3.7], [2.35, 1.9]],
    "hip": [[1.14, 2.24], [2.20, 3.9], [1.35, 5.1]],
    "chest": [[1.14, 2.24], [1.65, 4.1], [0.50, 3.45]],
    "book": [[1.14, 2.24], [1.58, 4.2], [0.55, 4.35]],
}


@dataclass(frozen=True)
class BodyPose:
    """``turn`` -1..1 as the head's yaw; arms of the picture's left and right; ``stride`` -1..1 or None when standing."""

    turn: float = 0.0
    left_arm: ArmPose = "down"
    right_arm: ArmPose = "down"
    stride: float | None = None
    back: bool = False

    def place(self, points: ArrayLike, lift: float = 0.0) -> Points:
        """Front-view points as seen in this pose; ``lift`` is how far they lie in front of the body's middle."""
        p = np.array(points, float)
        p[:, 1] -= 0.15  # a short neck looks young
        p[:, 0] = p[:, 0] * (1 - 0.16 * abs(self.turn)) + self.turn * (0.10 + 0.22 * lift)
        return p


def draw_body(canvas: Canvas, who: Character, outfit: Outfit, pose: BodyPose) -> None:
    """The whole body without head, as far as it is in the picture."""
    waist_px = canvas.px([[0.0, 4.2]])[0, 1]
    if waist_px < canvas.image.shape[0]:
        _draw_legs(canvas, who, outfit, pose)
        if outfit.skirt:
            _draw_skirt(canvas, outfit, pose)
    behind = [s for s, arm in ((-1.0, pose.left_arm), (1.0, pose.right_arm)) if arm in ("down", "hip")]
    for side in behind:
        _draw_arm(canvas, who, outfit, pose, side)
    _draw_neck(canvas, who, pose)
    _draw_torso(canvas, who, outfit, pose)
    for side in (-1.0, 1.0):
        if side not in behind:
            _draw_arm(canvas, who, outfit, pose, side)


def _shade(colour: Colour) -> Colour:
    """The shadow tone of cloth: darker and a little bluer."""
    return mix(colour, (58, 50, 104), 0.30)


def _draw_legs(canvas: Canvas, who: Character, outfit: Outfit, pose: BodyPose) -> None:
    skin, skin_shade = who.skin
    step = pose.stride
    for side in (-1.0, 1.0):
        swing = 0.0 if step is None else step * side
        hip = np.array([0.55 * side, 5.6])
        knee = np.array([0.60 * side + 0.55 * swing, 9.0 - 0.12 * abs(swing)])
        ankle = np.array(
            [0.58 * side + (0.95 if swing > 0 else 1.5) * swing, 12.5 - (0.55 * -swing if swing < 0 else 0.0)]
        )
        spine = pose.place(smooth([hip, (hip + knee) / 2, knee, (knee + ankle) / 2, ankle]))
        shoe = pose.place(
            smooth(
                ankle
                + mirror([[-0.22, -0.1], [0.24, -0.1], [0.42, 0.5], [0.46, 0.88], [-0.24, 0.88], [-0.28, 0.4]], side),
                closed=True,
            )
        )
        canvas.shape(shoe, outfit.shoes, INK, INK_WIDTH)
        canvas.fill_inside(
            pose.place(ankle + mirror([[-0.3, 0.66], [0.5, 0.66], [0.5, 1.0], [-0.3, 1.0]], side)),
            [shoe],
            _shade(outfit.shoes),
        )
        if not outfit.skirt:
            leg = ribbon(spine, [0.72, 0.62, 0.48, 0.44, 0.40])
            canvas.shape(leg, outfit.lower, INK, INK_WIDTH)
            canvas.fill_inside(ribbon(moved(spine, 0.36, 0), [0.3, 0.26, 0.2, 0.2, 0.2]), [leg], _shade(outfit.lower))
            continue
        leg = ribbon(spine, [0.56, 0.50, 0.34, 0.37, 0.20])
        canvas.shape(leg, skin, INK, INK_WIDTH)
        canvas.fill_inside(ribbon(moved(spine, 0.3, 0), [0.3, 0.28, 0.16, 0.18, 0.1]), [leg], skin_shade)
        if outfit.legs is not None:
            n = len(spine)
            sock = ribbon(spine[int(n * 0.42) :], [0.39, 0.40, 0.40, 0.34, 0.24])
            canvas.shape(sock, outfit.legs, INK, INK_WIDTH)
            canvas.fill_inside(
                ribbon(moved(spine[int(n * 0.42) :], 0.24, 0), [0.2, 0.2, 0.2, 0.18, 0.1]), [sock], _shade(outfit.legs)
            )


def _draw_skirt(canvas: Canvas, outfit: Outfit, pose: BodyPose) -> None:
    swing = 0.0 if pose.stride is None else 0.18 * pose.stride
    hem_y = 7.9
    x = np.linspace(-1.75, 1.75, 15)
    hem = np.stack([x + swing, hem_y - 0.10 * x**2 / 3 + np.where(np.arange(15) % 2 == 0, 0.10, -0.06)], axis=1)
    waist = np.array([[0.90, 4.5], [-0.90, 4.5]])
    p = pose.place(
        np.vstack([quad([-0.90, 4.5], [-1.30, 5.6], hem[0], 8), hem, quad(hem[-1], [1.30, 5.6], waist[0], 8)])
    )
    canvas.shape(p, outfit.lower, INK, INK_WIDTH)
    for i in range(1, 14):
        top = np.array([hem[i, 0] * 0.52, 4.7])
        if i % 2 == 1:
            fold = np.vstack([top[None], moved(hem[i : i + 1], 0, 0.2), moved(hem[i + 1 : i + 2], 0, 0.2)])
            canvas.fill_inside(pose.place(fold), [p], _shade(outfit.lower))
        canvas.stroke(pose.place(np.vstack([top, hem[i]])), mix(outfit.lower, INK, 0.65), 0.01, 0.03, 0.03)
    if outfit.top in ("dress", "sailor"):
        band = pose.place(np.vstack([hem - [0, 0.42], (hem - [0, 0.30])[::-1]]))
        canvas.fill_inside(band, [p], outfit.trim if outfit.top == "dress" else _WHITE_BAND)
    canvas.line(p, INK, INK_WIDTH, closed=True)


_WHITE_BAND: Colour = (226, 230, 244)


def _draw_neck(canvas: Canvas, who: Character, pose: BodyPose) -> None:
    skin, shade = who.skin
    wide = 0.44 if who.boy else 0.35
    half = np.array([[wide, 0.55], [wide, 1.25], [wide + 0.10, 1.50], [1.0, 1.72], [1.0, 2.6]])
    p = pose.place(np.vstack([half, mirror(half, -1)[::-1]]))
    canvas.shape(p, skin, INK, INK_WIDTH)
    if pose.back:
        return
    cast = smooth(pose.place([[-0.6, 0.8], [-0.42, 1.28], [0.05, 1.52], [0.42, 1.34], [0.6, 0.8]]))
    canvas.fill_inside(cast, [p], shade)
    for side in (-1.0, 1.0):
        bone = mirror([[0.12, 1.86], [0.45, 1.78], [0.75, 1.76]], side)
        canvas.stroke(smooth(pose.place(bone, 0.3)), mix(shade, INK, 0.3), 0.0, 0.026, 0.0)


def _torso_half(who: Character, outfit: Outfit) -> Points:
    if who.boy:
        half = np.array([[0.50, 1.50], [1.0, 1.66], [1.62, 1.98], [1.46, 3.1], [1.24, 4.4], [1.26, 5.9]])
    else:
        half = np.array([[0.46, 1.52], [0.85, 1.66], [1.36, 1.98], [1.16, 2.9], [1.17, 3.3], [0.90, 4.5], [1.14, 5.4]])
    if outfit.top in ("hoodie", "jacket", "sweater", "tracksuit"):
        half[2:, 0] += [0.06, 0.12, 0.16, 0.28, 0.16][: len(half) - 2] if not who.boy else [0.04, 0.08, 0.12, 0.12]
    return half


def _draw_torso(canvas: Canvas, who: Character, outfit: Outfit, pose: BodyPose) -> None:
    half = _torso_half(who, outfit)
    depth = {
        "sailor": 2.55,
        "blazer": 3.3,
        "dress": 2.35,
        "hoodie": 1.95,
        "jacket": 1.9,
        "sweater": 1.9,
        "tracksuit": 1.95,
    }[outfit.top]
    right, left = smooth(half), smooth(mirror(half, -1))
    middle = [] if pose.back else [[0.0, depth]]
    body = np.vstack([pose.place(right), pose.place(left)[::-1], *([pose.place(middle, 0.6)] if middle else [])])
    if outfit.top == "dress" or (pose.back and outfit.top != "hoodie"):
        middle_y = 2.2 if outfit.top == "dress" else 1.62
        body = np.vstack(
            [
                pose.place(right),
                pose.place(left)[::-1],
                smooth(pose.place([[-0.46, 1.52], [-0.30, middle_y], [0.30, middle_y], [0.46, 1.52]], 0.4))[1:-1],
            ]
        )
    canvas.shape(body, outfit.main, INK, INK_WIDTH)
    flank = half * [1.1, 1.0]
    side_shade = np.vstack([flank[2:], (flank[2:] * [0.72, 1.0])[::-1]])
    canvas.fill_inside(pose.place(smooth(side_shade, closed=True)), [body], _shade(outfit.main))
    for side in (-1.0, 1.0):
        low = mirror([[0.95, 4.2], [0.70, 4.38], [0.45, 4.36]], side)
        canvas.stroke(smooth(pose.place(low, 0.4)), mix(outfit.main, INK, 0.5), 0.03, 0.03, 0.0)
    canvas.line(body, INK, INK_WIDTH, closed=True)
    if pose.back:
        if outfit.top == "sailor":
            flap = pose.place([[-0.5, 1.5], [-1.02, 1.80], [-0.98, 3.2], [0.98, 3.2], [1.02, 1.80], [0.5, 1.5]])
            canvas.shape(flap, outfit.trim, INK, INK_WIDTH)
            canvas.line(pose.place([[-0.86, 1.9], [-0.84, 3.04], [0.84, 3.04], [0.86, 1.9]]), _WHITE_BAND, 0.05)
        return
    _DETAILS[outfit.top](canvas, outfit, pose, body)


def _bow(canvas: Canvas, center: Points, colour: Colour, size: float) -> None:
    dark = mix(colour, (40, 10, 40), 0.4)
    for side in (-1.0, 1.0):
        tail = center + mirror([[0.02, 0.05], [0.34, 0.95], [0.10, 0.88]], side) * size
        canvas.shape(tail, dark, INK, INK_WIDTH)
        wing = smooth(
            center + mirror([[0.0, 0.0], [0.30, -0.26], [0.62, -0.22], [0.62, 0.24], [0.30, 0.22]], side) * size,
            closed=True,
        )
        canvas.shape(wing, colour, INK, INK_WIDTH)
        canvas.stroke(center + mirror([[0.08, 0.0], [0.36, 0.02]], side) * size, dark, 0.05, 0.0)
    canvas.shape(ellipse(center, 0.13 * size, 0.15 * size, 14), colour, INK, INK_WIDTH)


def _sailor(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    for side in (-1.0, 1.0):
        flap = pose.place(
            mirror(
                [[0.44, 1.46], [0.86, 1.60], [1.14, 1.92], [0.92, 2.45], [0.10, 2.98], [0.0, 2.62], [0.30, 2.0]], side
            ),
            0.5,
        )
        canvas.shape(flap, outfit.trim, INK, INK_WIDTH)
        canvas.line(pose.place(mirror([[0.98, 1.90], [0.80, 2.36], [0.12, 2.80]], side), 0.5), _WHITE_BAND, 0.045)
    _bow(canvas, pose.place([[0.0, 2.86]], 0.7)[0], outfit.accent, 1.0)


def _blazer(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    shirt = pose.place([[-0.50, 1.48], [-0.42, 2.0], [0.0, 3.5], [0.42, 2.0], [0.50, 1.48]], 0.5)
    canvas.shape(shirt, outfit.trim, INK, INK_WIDTH)
    canvas.fill_inside(
        moved(pose.place([[-0.5, 1.4], [0.0, 2.0], [0.5, 1.4]], 0.5), 0.0, 0.2), [shirt], _shade(outfit.trim)
    )
    tie = pose.place(
        [[-0.15, 1.98], [0.15, 1.98], [0.12, 2.22], [0.24, 3.3], [0.0, 3.55], [-0.24, 3.3], [-0.12, 2.22]], 0.55
    )
    canvas.shape(tie, outfit.accent, INK, INK_WIDTH)
    canvas.fill_inside(moved(tie, 0.13, 0.0), [tie], _shade(outfit.accent))
    for side in (-1.0, 1.0):
        collar = pose.place(mirror([[0.42, 1.36], [0.56, 1.60], [0.42, 2.15], [0.04, 1.98]], side), 0.5)
        canvas.shape(collar, outfit.trim, INK, INK_WIDTH)
        lapel = pose.place(
            mirror([[0.50, 1.55], [0.86, 1.86], [0.72, 2.25], [0.84, 2.4], [0.02, 3.62], [0.36, 2.3]], side), 0.5
        )
        canvas.shape(lapel, mix(outfit.main, (255, 255, 255), 0.10), INK, INK_WIDTH)
    canvas.line(pose.place([[0.02, 3.6], [0.04, 6.0]], 0.5), INK, INK_WIDTH)
    for y in (4.0, 4.7):
        canvas.shape(ellipse(pose.place([[0.16, y]], 0.5)[0], 0.07, 0.07, 10), (220, 190, 110), INK, 0.02)


def _dress(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    edge = smooth(pose.place([[-0.46, 1.54], [-0.32, 2.16], [0.0, 2.28], [0.32, 2.16], [0.46, 1.54]], 0.4))
    canvas.stroke(edge, INK, 0.16, 0.16)
    canvas.stroke(edge, outfit.trim, 0.10, 0.10)
    sash = pose.place([[-1.1, 4.28], [-1.1, 4.72], [1.1, 4.72], [1.1, 4.28]], 0.2)
    canvas.fill_inside(sash, [body], outfit.accent)
    _bow(canvas, pose.place([[0.0, 2.55]], 0.6)[0], outfit.accent, 0.62)
    for x, y in ((-0.6, 3.1), (0.55, 3.3), (-0.15, 3.75), (-0.7, 3.9), (0.62, 3.95), (0.2, 3.2)):
        canvas.fill_inside(ellipse(pose.place([[x, y]], 0.5)[0], 0.07, 0.07, 10), [body], outfit.accent)


def _hoodie(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    for side in (-1.0, 1.0):
        hood = smooth(
            pose.place(
                mirror(
                    [[0.40, 1.20], [0.86, 1.36], [1.12, 1.78], [0.72, 2.20], [0.0, 2.42], [0.10, 2.02], [0.40, 1.75]],
                    side,
                ),
                0.4,
            ),
            closed=True,
        )
        canvas.shape(hood, mix(outfit.main, (255, 255, 255), 0.12), INK, INK_WIDTH)
        canvas.fill_inside(moved(hood, 0.0, 0.3), [hood], _shade(outfit.main), opacity=0.55)
        cord = pose.place(mirror([[0.24, 2.28], [0.28, 2.8], [0.25, 3.25]], side), 0.6)
        canvas.stroke(smooth(cord), INK, 0.09, 0.09)
        canvas.stroke(smooth(cord), outfit.trim, 0.055, 0.055)
    pocket = pose.place([[-0.62, 4.2], [0.62, 4.2], [0.85, 5.2], [-0.85, 5.2]], 0.4)
    canvas.line(pocket, mix(outfit.main, INK, 0.7), INK_WIDTH, closed=True)
    star = [[np.sin(a) * r, -np.cos(a) * r] for a, r in zip(np.arange(10) * np.pi / 5, [0.34, 0.15] * 5, strict=True)]
    canvas.fill(pose.place(moved(np.asarray(star), 0.0, 3.42), 0.5), outfit.trim)


def _jacket(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    shirt = pose.place(
        [[-0.46, 1.52], [-0.62, 3.0], [-0.50, 6.0], [0.50, 6.0], [0.62, 3.0], [0.46, 1.52], [0.0, 1.86]], 0.4
    )
    canvas.fill_inside(shirt, [body], outfit.accent)
    canvas.line(shirt, INK, INK_WIDTH, closed=True)
    canvas.fill_inside(
        pose.place([[0.25, 1.4], [0.4, 6.0], [0.9, 6.0], [0.9, 1.4]], 0.4), [shirt], _shade(outfit.accent)
    )
    neck = smooth(pose.place([[-0.44, 1.50], [-0.20, 1.82], [0.20, 1.82], [0.44, 1.50]], 0.4))
    canvas.stroke(neck, INK, 0.12, 0.12)
    canvas.stroke(neck, outfit.trim, 0.07, 0.07)
    for side in (-1.0, 1.0):
        collar = pose.place(mirror([[0.44, 1.28], [0.72, 1.52], [0.98, 1.98], [0.62, 2.30], [0.46, 1.72]], side), 0.4)
        canvas.shape(collar, outfit.trim, INK, INK_WIDTH)
        canvas.line(pose.place(mirror([[0.9, 4.5], [1.12, 4.1]], side), 0.3), mix(outfit.main, INK, 0.6), INK_WIDTH)


def _sweater(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    roll = smooth(
        pose.place([[-0.50, 1.62], [-0.46, 1.22], [0.0, 1.42], [0.46, 1.22], [0.50, 1.62], [0.0, 1.95]], 0.3),
        closed=True,
    )
    canvas.shape(roll, mix(outfit.main, (255, 255, 255), 0.15), INK, INK_WIDTH)
    for x in (-0.3, -0.1, 0.1, 0.3):
        canvas.stroke(pose.place([[x, 1.45], [x, 1.80]], 0.3), mix(outfit.main, INK, 0.5), 0.02, 0.02)
    for x in (-0.55, 0.0, 0.55):
        for y in np.arange(2.3, 5.4, 0.5):
            knot = pose.place([[x - 0.12, y], [x, y + 0.22], [x + 0.12, y]], 0.4)
            canvas.stroke(knot, outfit.accent, 0.02, 0.05, 0.02)


def _tracksuit(canvas: Canvas, outfit: Outfit, pose: BodyPose, body: Points) -> None:
    collar = smooth(
        pose.place([[-0.52, 1.70], [-0.50, 1.24], [0.0, 1.62], [0.50, 1.24], [0.52, 1.70], [0.0, 2.12]], 0.4),
        closed=True,
    )
    canvas.shape(collar, outfit.trim, INK, INK_WIDTH)
    canvas.line(pose.place([[0.0, 2.0], [0.0, 5.6]], 0.4), INK, 0.05)
    canvas.line(pose.place([[0.0, 2.0], [0.0, 5.6]], 0.4), outfit.accent, 0.025)
    for side in (-1.0, 1.0):
        stripe = pose.place(mirror([[0.62, 1.60], [1.22, 2.9], [1.34, 2.9], [0.82, 1.66]], side), 0.2)
        canvas.fill_inside(stripe, [body], outfit.trim)
    canvas.fill_inside(
        pose.place([[-0.95, 3.2], [-0.45, 3.2], [-0.45, 3.34], [-0.95, 3.34]], 0.4), [body], outfit.accent
    )


_DETAILS = {
    "sailor": _sailor,
    "blazer": _blazer,
    "dress": _dress,
    "hoodie": _hoodie,
    "jacket": _jacket,
    "sweater": _sweater,
    "tracksuit": _tracksuit,
}


def _draw_arm(canvas: Canvas, who: Character, outfit: Outfit, pose: BodyPose, side: float) -> None:
    arm = pose.right_arm if side > 0 else pose.left_arm
    joints = np.array(_ARMS[arm])
    if who.boy:
        joints[:, 0] += [0.18, 0.16, 0.14]
    if pose.stride is not None and arm == "down":
        joints[1:, 0] += np.array([0.25, 0.7]) * -pose.stride * side
        joints[2, 1] -= 0.25 * abs(pose.stride)
    joints = pose.place(mirror(joints, side), 0.7 if arm in ("chest", "book") else 0.0)
    shoulder, elbow, wrist = joints
    forward = (wrist - elbow) / np.hypot(*(wrist - elbow))
    across = np.array([-forward[1], forward[0]]) * side
    _draw_hand(canvas, who.skin, wrist, forward, across)
    cut = {"sailor": 0.62, "dress": 0.42}.get(outfit.top)
    if cut is None:
        wide = [0.38, 0.40, 0.38, 0.36, 0.34 if outfit.top != "hoodie" else 0.44]
        sleeve = _draw_limb(canvas, joints, wide, outfit.main, _shade(outfit.main))
        cuff = outfit.trim if outfit.top in ("tracksuit", "hoodie", "jacket", "sweater") else _shade(outfit.main)
        band = np.vstack([wrist - forward * 0.34, wrist - forward * 0.1, wrist])
        canvas.fill_inside(ribbon(band, [0.6, 0.6]), sleeve, cuff)
        canvas.line(np.vstack([band[0] - across * 0.36, band[0] + across * 0.36]), INK, INK_WIDTH)
        canvas.line(np.vstack([wrist - across * wide[-1], wrist + across * wide[-1]]), INK, INK_WIDTH)
        for k in (0.30, 0.55):
            crease = elbow + forward * k + across * [[0.34], [0.06]] + forward * [[0.0], [0.14]]
            canvas.stroke(crease, mix(outfit.main, INK, 0.6), 0.035, 0.0)
        return
    _draw_limb(canvas, joints, [0.30, 0.28, 0.25, 0.24, 0.17], *who.skin)
    canvas.fill(ribbon(wrist + forward * [[-0.10], [0.10]], [0.14, 0.13]), who.skin[0])
    end = shoulder + (elbow - shoulder) * cut
    along = end - shoulder
    normal = np.array([-along[1], along[0]]) / np.hypot(*along)
    top = ellipse(shoulder, 0.38, 0.38, 20)
    flare = 0.52 if outfit.top == "sailor" else 0.44
    hem = np.vstack([end + normal * flare, end + along * 0.06, end - normal * flare])
    sleeve_shape = np.vstack([shoulder + normal * 0.36, smooth(hem), shoulder - normal * 0.36])
    canvas.merged([top, sleeve_shape], outfit.main, INK, INK_WIDTH)
    canvas.fill_inside(moved(sleeve_shape, 0.42, 0.05), [sleeve_shape], _shade(outfit.main))
    if outfit.top == "sailor":
        band = np.vstack([smooth(hem), smooth(hem - along * 0.20)[::-1]])
        canvas.fill_inside(band, [sleeve_shape], outfit.trim)
    canvas.line(
        np.vstack([shoulder + normal * 0.36 + along * 0.1, smooth(hem), shoulder - normal * 0.36 + along * 0.1]),
        INK,
        INK_WIDTH,
    )


def _draw_limb(canvas: Canvas, joints: Points, widths: list[float], colour: Colour, shade: Colour) -> list[Points]:
    """An arm of two segments with round joints, shaded on the picture's right; returns the shapes that make it up."""
    a, b, c = joints
    shapes = [
        ellipse(a, widths[0], widths[0], 20),
        ribbon(quad(a, (a + b) / 2, b, 6), widths[:3]),
        ellipse(b, widths[2], widths[2], 20),
        ribbon(quad(b, (b + c) / 2, c, 6), widths[2:]),
    ]
    canvas.merged(shapes, colour, INK, INK_WIDTH)
    for shape in shapes[1:]:
        canvas.fill_inside(moved(shape, widths[1] * 1.2, 0.04), shapes, shade)
    return shapes


def _draw_hand(canvas: Canvas, skin: tuple[Colour, Colour], wrist: Points, forward: Points, across: Points) -> None:
    def at(uv: ArrayLike) -> Points:
        p = np.asarray(uv, float)
        placed: Points = wrist + p[:, :1] * forward + p[:, 1:] * across
        return placed

    thumb = ribbon(smooth(at([[0.0, -0.12], [0.26, -0.26], [0.48, -0.31]])), [0.09, 0.085, 0.05])
    canvas.shape(thumb, skin[0], INK, 0.022)
    palm = [
        [-0.2, -0.14], [0.15, -0.19], [0.42, -0.21], [0.70, -0.18], [0.82, -0.10], [0.88, 0.02],
        [0.82, 0.12], [0.70, 0.19], [0.40, 0.20], [0.12, 0.18], [-0.2, 0.14],
    ]  # fmt: skip
    hand = smooth(at(palm), closed=True)
    canvas.shape(hand, skin[0], INK, 0.022)
    canvas.fill_inside(moved(hand, 0.24, 0.06), [hand], skin[1])
    for v, tip in ((-0.08, 0.84), (0.03, 0.88), (0.12, 0.80)):
        canvas.stroke(at([[0.46, v * 0.9], [tip, v]]), INK, 0.014, 0.022)
