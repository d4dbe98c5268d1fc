"""Acting: an actor and a drawing number in, the exact pose of that drawing out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from animeset_demo.body import BodyPose
from animeset_demo.face import Expression, HeadPose
from animeset_demo.script import Actor, Beat

_TURN_STEPS = 4  # drawings from one key pose to the next
_SWAY_STEPS = 8  # drawings per period of breath and hair sway
_WALK_STEPS = 12  # drawings per two paces


@dataclass(frozen=True)
class Pose:
    """Everything a drawing of an actor depends on; equal poses give equal pictures. ``lift``: face units upwards."""

    head: HeadPose
    look: Expression
    body: BodyPose
    lift: float

    @property
    def view(self) -> float:
        """How far the face is turned away from the camera, 0..1."""
        return abs(self.head.yaw)


def pose_at(actor: Actor, step: int, lively: bool) -> Pose:
    """The pose of ``actor`` in drawing number ``step`` of the shot."""
    number = max((i for i, b in enumerate(actor.beats) if b.first_step <= step), default=0)
    beat = actor.beats[number]
    since = step - beat.first_step if number else _TURN_STEPS
    before = actor.beats[max(number - 1, 0)]
    turn = _ease(since / _TURN_STEPS)
    shown = beat if since >= _TURN_STEPS // 2 else before

    phase = 2 * np.pi * ((step + actor.phase) % _SWAY_STEPS) / _SWAY_STEPS if lively else actor.phase
    stride = float(np.sin(2 * np.pi * (step % _WALK_STEPS) / _WALK_STEPS)) if actor.walking else None
    yaw = _between(before.head.yaw, beat.head.yaw, turn)
    head = HeadPose(
        yaw=yaw,
        pitch=_between(before.head.pitch, beat.head.pitch, turn),
        roll_deg=_between(before.head.roll_deg, beat.head.roll_deg, turn),
        sway=round(0.035 * float(np.sin(phase)), 6),
    )
    left, right = shown.arms
    return Pose(
        head=head,
        look=_look(actor, shown, step, since),
        body=BodyPose(turn=yaw * 0.6, left_arm=left, right_arm=right, stride=stride, back=actor.back),
        lift=round(0.03 * float(np.sin(phase + 1.0)) + (0.12 * abs(stride) if stride is not None else 0.0), 6),
    )


def _look(actor: Actor, beat: Beat, step: int, since: int) -> Expression:
    mouth = actor.flaps[step] if beat.talking and since >= _TURN_STEPS else 0.0
    lids = {0: 0.45, 1: 0.0, 2: 0.45}.get(min((step - b for b in actor.blinks if 0 <= step - b <= 2), default=-1), 1.0)
    if beat.emotion == "surprised":
        mouth, lids = max(mouth, 0.45), 1.0  # the jaw drops, nobody blinks
    return Expression(beat.emotion, mouth, lids, beat.gaze_x, beat.gaze_y)


def _ease(t: float) -> float:
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _between(a: float, b: float, share: float) -> float:
    return a + (b - a) * share
