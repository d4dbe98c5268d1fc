"""The demo film's script: length and seed in, a list of shots with every pose, line and camera move out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from animeset_demo.backgrounds import Place
from animeset_demo.body import ArmPose
from animeset_demo.characters import EMOTIONS, Emotion, character
from animeset_demo.face import HeadPose
from animeset_demo.truth import ShotKind

Effect = Literal["fade_in", "fade_out", "dissolve", "flash", "blur", "bright"]


@dataclass(frozen=True)
class Beat:
    """A key pose held from drawing number ``first_step`` of the shot until the next beat."""

    first_step: int
    emotion: Emotion
    head: HeadPose
    gaze_x: float
    gaze_y: float
    arms: tuple[ArmPose, ArmPose]
    talking: bool


@dataclass(frozen=True)
class Actor:
    """A character in a shot. ``x``: picture heights right of the middle; ``face_y``: 0 top .. 1 bottom of the picture;
    ``unit``: half a face height in picture heights; ``blinks`` and ``flaps`` are per drawing number."""

    character: str
    outfit: int
    x: float
    face_y: float
    unit: float
    beats: tuple[Beat, ...]
    blinks: tuple[int, ...]
    flaps: tuple[float, ...]
    phase: int
    back: bool
    walking: bool


@dataclass(frozen=True)
class Camera:
    """``pan``: picture heights to the right of the middle; ``zoom`` 1: as laid out."""

    pan: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class Shot:
    """One shot. ``hold``: frames per drawing (animated on ones, twos, threes); ``lively``: hair and breath keep moving,
    otherwise drawings are held until a mouth, an eye or the head moves. ``framing``: backdrop zoom and offset."""

    kind: ShotKind
    frame_count: int
    place: Place
    backdrop_seed: int
    framing: tuple[float, float, float]
    softness: float
    actors: tuple[Actor, ...]
    hold: int
    lively: bool
    camera: tuple[Camera, Camera]
    effects: tuple[Effect, ...]

    @property
    def moving(self) -> bool:
        """Whether the camera moves."""
        return self.camera[0] != self.camera[1]


@dataclass(frozen=True)
class _Line:
    """One line of the script: ``cast`` as name plus outfit number; ``tier`` 0 is in every film, 2 in long ones only."""

    kind: ShotKind
    place: Place
    cast: tuple[tuple[str, int], ...]
    seconds: float
    tier: int
    effects: tuple[Effect, ...] = ()


_TITLE = _Line("title", "sunset", (), 2.2, 1)
_CREDITS = _Line("credits", "sunset", (), 4.5, 1)
_SCRIPT: tuple[_Line, ...] = (
    # at school
    _Line("pan", "classroom", (("hana", 0),), 2.6, 1, ("fade_in",)),
    _Line("close_up", "classroom", (("hana", 0),), 3.0, 0),
    _Line("bust", "classroom", (("ren", 0),), 3.0, 0),
    _Line("two", "classroom", (("hana", 0), ("ren", 0)), 3.0, 2),
    _Line("close_up", "library", (("sora", 0),), 3.0, 0),
    _Line("bust", "library", (("yuki", 0),), 3.0, 2),
    _Line("close_up", "classroom", (("mio", 0),), 3.0, 0),
    _Line("three", "library", (("yuki", 0), ("sora", 0), ("mio", 0)), 3.0, 2),
    _Line("zoom", "classroom", (("ren", 0),), 3.0, 1, ("bright",)),
    # on the way home
    _Line("walk", "street", (("mio", 0),), 2.6, 1, ("flash",)),
    _Line("bust", "sunset", (("sora", 0),), 2.8, 2),
    _Line("two", "street", (("yuki", 0), ("mio", 0)), 3.0, 0),
    _Line("back", "sunset", (("hana", 0),), 2.0, 1),
    _Line("close_up", "sunset", (("yuki", 0),), 2.8, 2, ("fade_out",)),
    # the weekend
    _Line("bust", "park", (("hana", 1),), 3.0, 1, ("fade_in", "fade_out")),
    _Line("zoom", "park", (("mio", 1),), 2.6, 2),
    _Line("two", "park", (("ren", 1), ("sora", 1)), 3.0, 0),
    _Line("close_up", "street", (("yuki", 1),), 3.0, 2),
    _Line("walk", "park", (("ren", 1),), 2.4, 2, ("blur",)),
    _Line("bust", "bedroom", (("sora", 1),), 2.8, 1, ("blur", "dissolve")),
    _Line("close_up", "bedroom", (("hana", 1),), 2.8, 1),
    _Line("dark", "bedroom", (("yuki", 1),), 1.6, 1),
    _Line("noisy", "bedroom", (("mio", 1),), 2.2, 1),
    # in the evening
    _Line("night", "night_street", (("ren", 1),), 3.0, 1),
    _Line("two", "night_street", (("sora", 1), ("mio", 1)), 3.0, 2),
    _Line("three", "sunset", (("hana", 1), ("ren", 1), ("yuki", 1)), 3.0, 1),
    _Line("close_up", "sunset", (("mio", 1),), 2.6, 2),
)  # fmt: skip

_LEAST_STRETCH = 0.55  # below this share of their written length shots get too short to follow; then fewer are shown


def _choose_lines(length_s: float) -> list[_Line]:
    """The lines of a film of that length: as many tiers as fit, repeated when there is much room."""

    def fits(lines: list[_Line]) -> bool:
        return length_s >= _LEAST_STRETCH * sum(line.seconds for line in lines)

    for tier in (2, 1):
        lines = [_TITLE, *(line for line in _SCRIPT if line.tier <= tier), _CREDITS]
        if fits(lines):
            body = sum(line.seconds for line in lines[1:-1])
            rounds = max(1, round((length_s - _TITLE.seconds - _CREDITS.seconds) / body))
            return [_TITLE, *lines[1:-1] * rounds, _CREDITS]
    lines = [line for line in _SCRIPT if line.tier == 0]
    while len(lines) > 1 and not fits(lines):
        lines.pop()
    return lines


def write_script(frame_count: int, fps: int, seed: int, aspect: float) -> list[Shot]:
    """All shots of a film of ``frame_count`` frames whose picture is ``aspect`` times as wide as high.

    From 30 s on every kind of shot and effect occurs; in 75 s every character shows every emotion in both outfits.
    """
    lines = _choose_lines(frame_count / fps)
    ends = np.cumsum([line.seconds for line in lines])
    cuts = np.round(np.concatenate([[0.0], ends / ends[-1]]) * frame_count).astype(int)
    moods = _Moods(seed)
    shots = []
    for i, line in enumerate(lines):
        rng = np.random.default_rng([seed, i])
        shots.append(_write_shot(line, int(cuts[i + 1] - cuts[i]), fps, aspect, rng, moods))
    return shots


class _Moods:
    """Deals emotions so that each character shows all of them in each outfit before one comes again."""

    def __init__(self, seed: int) -> None:
        self._left: dict[tuple[str, int], list[Emotion]] = {}
        self._rng = np.random.default_rng([seed, 1000])

    def deal(self, name: str, outfit: int) -> Emotion:
        left = self._left.setdefault((name, outfit), [])
        if not left:
            left.extend(EMOTIONS[int(i)] for i in self._rng.permutation(len(EMOTIONS)))
        return left.pop()


def _write_shot(
    line: _Line, frame_count: int, fps: int, aspect: float, rng: np.random.Generator, moods: _Moods
) -> Shot:
    hold = max(1, round(fps / 24 * (2 if line.kind in ("walk", "pan") or rng.random() < 0.35 else 3)))
    lively = line.kind in ("walk", "pan", "back") or rng.random() < 0.45
    steps = -(-frame_count // hold)
    spots = _layout(line, aspect, rng)
    actors = tuple(
        _write_actor(line, name, outfit, spot, steps, frame_count / fps, len(spots), rng, moods)
        for (name, outfit), spot in zip(line.cast, spots, strict=True)
    )
    move = (Camera(), Camera())
    if line.kind == "pan":
        reach = 0.55 * (1 if rng.random() < 0.5 else -1)
        move = (Camera(-reach), Camera(0.35 * reach))
    elif line.kind == "zoom":
        move = (Camera(), Camera(zoom=1.9))
        if rng.random() < 0.4:
            move = (move[1], move[0])
    elif line.kind == "walk":
        reach = 0.30 if actors[0].beats[0].head.yaw >= 0 else -0.30
        move = (Camera(-reach), Camera(reach))
    near = max((a.unit for a in actors), default=0.1)
    framing = (
        float(rng.uniform(1.0, 1.12) + max(0.0, near - 0.11) * 3.0),
        float(rng.uniform(-1, 1)),
        float(rng.uniform(-0.6, 0.3)),
    )
    if line.kind in ("walk", "pan"):
        framing = (1.0, 0.0, 0.0)
    return Shot(
        kind=line.kind,
        frame_count=frame_count,
        place=line.place,
        backdrop_seed=int(rng.integers(4)),
        framing=framing,
        softness=0.0
        if line.kind in ("walk", "pan", "title", "credits")
        else float(np.clip((near - 0.08) * 0.06, 0.0, 0.01)),
        actors=actors,
        hold=hold,
        lively=lively,
        camera=move,
        effects=line.effects,
    )


def _layout(line: _Line, aspect: float, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Where the actors stand: x, face_y, unit per actor."""
    room = aspect / 2.0  # 1 in the usual 2:1 picture
    many = {"two": (0.44, 0.46, 0.150), "three": (0.64, 0.44, 0.118)}
    if line.kind in many:
        reach, face_y, unit = many[line.kind]
        places = np.linspace(-reach, reach, len(line.cast)) * room
        return [
            (
                float(x + rng.uniform(-0.03, 0.03)),
                float(face_y + rng.uniform(-0.03, 0.03)),
                float(unit * rng.uniform(0.95, 1.06)),
            )
            for x in places
        ]
    face_y, unit, spread = {
        "close_up": (0.54, 0.240, 0.22),
        "bust": (0.44, 0.165, 0.40),
        "night": (0.50, 0.205, 0.25),
        "dark": (0.50, 0.200, 0.20),
        "noisy": (0.50, 0.200, 0.25),
        "back": (0.42, 0.120, 0.35),
        "pan": (0.42, 0.125, 0.15),
        "zoom": (0.46, 0.120, 0.04),
        "walk": (0.155, 0.0600, 0.10),
    }.get(line.kind, (0.5, 0.2, 0.0))
    size = 1.0 if line.kind == "walk" else rng.uniform(0.90, 1.10)
    return [
        (float(rng.uniform(-spread, spread) * room), float(face_y + rng.uniform(-0.02, 0.02)), float(unit * size))
        for _ in line.cast
    ]


def _write_actor(
    line: _Line,
    name: str,
    outfit: int,
    spot: tuple[float, float, float],
    steps: int,
    length_s: float,
    company: int,
    rng: np.random.Generator,
    moods: _Moods,
) -> Actor:
    count = int(np.clip(round(length_s / 0.95), 1, max(1, steps // 5)))
    starts = np.round(np.linspace(0, steps, count, endpoint=False)).astype(int)
    if company > 1:
        starts[1:] += rng.integers(-2, 3, count - 1)
    inward = -np.sign(spot[0]) if company > 1 else 0.0
    walking_to = 1.0 if rng.random() < 0.5 else -1.0
    beats = tuple(
        _write_beat(line.kind, int(start), emotion, float(inward), walking_to, rng)
        for start, emotion in zip(starts, _write_moods(line.kind, name, outfit, count, rng, moods), strict=True)
    )
    x, face_y, unit = spot
    if character(name).boy and line.kind in ("two", "three"):
        face_y -= 0.02
    blinks: list[int] = []
    at = int(rng.integers(6, 16))
    while at < steps:
        blinks.append(at)
        at += int(rng.integers(16, 34))
    return Actor(
        character=name,
        outfit=outfit,
        x=x,
        face_y=face_y,
        unit=unit,
        beats=beats,
        blinks=tuple(blinks),
        flaps=tuple(float(v) for v in rng.choice([0.0, 0.5, 1.0], steps, p=[0.34, 0.33, 0.33])),
        phase=int(rng.integers(8)),
        back=line.kind == "back",
        walking=line.kind == "walk",
    )


def _write_moods(
    kind: ShotKind, name: str, outfit: int, count: int, rng: np.random.Generator, moods: _Moods
) -> list[Emotion]:
    """An emotion per beat. Where little can be seen none is dealt, so that a clear shot gets it."""
    if kind == "back":
        return ["neutral"] * count
    if kind in ("dark", "noisy"):
        return [EMOTIONS[int(i)] for i in rng.integers(len(EMOTIONS), size=count)]
    return [moods.deal(name, outfit) for _ in range(count)]


def _write_beat(
    kind: ShotKind, first_step: int, emotion: Emotion, inward: float, walking_to: float, rng: np.random.Generator
) -> Beat:
    turned = rng.random()
    if kind == "walk":
        yaw = walking_to * rng.uniform(0.55, 0.85)
    elif inward != 0.0 and turned < 0.55:
        yaw = inward * rng.uniform(0.5, 0.9)
    elif turned < 0.55:
        yaw = rng.uniform(-0.3, 0.3)
    else:
        yaw = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 0.95)
    pitch = float(np.clip(rng.normal(-0.15 if emotion == "sad" else 0.0, 0.35), -0.8, 0.8))
    roll = float(np.clip(rng.normal(0.0, 5.0), -11.0, 11.0))
    arms: list[ArmPose] = ["down", "down"]
    if kind not in ("walk", "back") and rng.random() < 0.6:
        pose: ArmPose = {"smile": "wave", "angry": "hip", "sad": "chest", "surprised": "chest", "neutral": "book"}[
            emotion
        ]  # type: ignore[assignment]
        arms[int(rng.integers(2))] = pose
    return Beat(
        first_step=first_step,
        emotion=emotion,
        head=HeadPose(float(yaw), pitch, roll),
        gaze_x=float(np.clip(yaw * 0.4 + rng.normal(0, 0.4), -0.9, 0.9)),
        gaze_y=float(np.clip(rng.normal(0.2 if emotion == "sad" else 0.0, 0.3), -0.7, 0.7)),
        arms=(arms[0], arms[1]),
        talking=rng.random() < 0.6,
    )
