"""The demo film itself: frames with their truth one by one, or encoded as a video file beside its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from animeset_demo.acting import Pose, pose_at
from animeset_demo.backgrounds import LIGHT, paint_backdrop, soften
from animeset_demo.canvas import Canvas, Picture
from animeset_demo.cards import credits_card, title_card
from animeset_demo.characters import CAST, character
from animeset_demo.figure import draw_figure
from animeset_demo.script import Camera, Shot, write_script
from animeset_demo.truth import (
    Box,
    CharacterTruth,
    Defect,
    DemoTruth,
    FilmTruth,
    FrameTruth,
    PersonTruth,
    ShotTruth,
    View,
)

_SUPERSAMPLE = 2
_PARALLAX = 0.6  # a backdrop is farther away than the figures: it moves and grows by this share of the camera's move
_PICTURE_RATIO = 2.0  # of the content box; the coded frame around it is black
_KEYFRAME_S = 5.0
_MIN_FACE_INSIDE = 0.5  # a face cut by the picture's edge beyond this is not counted as visible
_GRAIN = 26.0  # standard deviation of the noisy span, 8 bit levels

_State = tuple[Camera, tuple[Pose, ...], float]  # all that a picture before effects depends on


@dataclass(frozen=True)
class _Treatment:
    """What happens to a finished picture in one frame; ``amount`` is the effect's own measure."""

    defect: Defect | None = None
    amount: float = 0.0


@dataclass(frozen=True)
class _Persons:
    picture: Picture
    persons: tuple[PersonTruth, ...]


def describe_film(width: int, height: int, fps: int, length_s: float) -> FilmTruth:
    """The coded format of a film: the picture is 2:1 or as near as even numbers allow, with bars above and below."""
    if width % 2 or height % 2 or min(width, height) < 64:
        raise ValueError(
            f"demo film size: expected even numbers of at least 64, got {width}x{height}; choose e.g. 640x360"
        )
    if fps < 1 or length_s * fps < 1:
        raise ValueError(f"demo film length: expected at least one frame, got {length_s} s at {fps} fps")
    inner = min(height, 2 * round(width / _PICTURE_RATIO / 2))
    bar = (height - inner) // 4 * 2
    return FilmTruth(width, height, fps, round(length_s * fps), (0, bar, width, height - bar))


def iter_demo_frames(
    *, width: int = 1280, height: int = 720, fps: int = 24, length_s: float = 75.0, seed: int = 7
) -> Iterator[tuple[Picture, FrameTruth]]:
    """Yield every frame as (height, width, 3) uint8 RGB with its truth, in order.

    Deterministic in its arguments, byte for byte. Held frames may share one array: do not write into it.
    """
    film = describe_film(width, height, fps, length_s)
    for picture, row, _ in _frames(film, seed):
        yield picture, row


def render_demo_film(
    path: Path,
    *,
    width: int = 1280,
    height: int = 720,
    fps: int = 24,
    length_s: float = 75.0,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> DemoTruth:
    """Write the film to ``path`` (container by suffix, H.264) and its truth beside it as ``.truth.json``; return the truth.

    ``progress`` is called with (frames done, frames in all) after each frame. An unfinished film file is left as it is
    after an error; the truth is only written when the film is complete.
    """
    film = describe_film(width, height, fps, length_s)
    rows: list[FrameTruth] = []
    shots: list[Shot] = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, fps)
        context.gop_size = max(1, round(_KEYFRAME_S * fps))
        context.thread_count = 1  # more threads would change the bits from machine to machine
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
        context.options = {"crf": "16", "preset": "veryfast", "tune": "animation", "threads": "1"}
        coded_from: Picture | None = None
        for picture, row, shot in _frames(film, seed):
            cut = not shots or row.shot != rows[-1].shot
            if cut:
                shots.append(shot)
            if picture is not coded_from:  # held pictures are converted once
                rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
                yuv = rgb.reformat(
                    format="yuv420p", src_color_range="JPEG", dst_color_range="MPEG", dst_colorspace="ITU709"
                )
                planes, coded_from = yuv.to_ndarray(), picture
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = row.index, Fraction(1, fps)
            frame.color_range, frame.colorspace = 1, 1
            frame.pict_type = av.video.frame.PictureType.I if cut else av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
            rows.append(row)
            if progress is not None:
                progress(len(rows), film.frame_count)
        container.mux(stream.encode(None))
    truth = _truth(film, shots, rows)
    truth.save(path.with_suffix(".truth.json"))
    return truth


def _truth(film: FilmTruth, shots: list[Shot], rows: list[FrameTruth]) -> DemoTruth:
    first = 0
    shot_rows = []
    for i, shot in enumerate(shots):
        shot_rows.append(
            ShotTruth(i, first, first + shot.frame_count - 1, shot.kind, tuple(a.character for a in shot.actors))
        )
        first += shot.frame_count
    cast = tuple(CharacterTruth(c.name, c.hair_colour, c.eye_colour, tuple(o.name for o in c.outfits)) for c in CAST)
    return DemoTruth(film, cast, tuple(shot_rows), tuple(rows))


def _frames(film: FilmTruth, seed: int) -> Iterator[tuple[Picture, FrameTruth, Shot]]:
    _, top, _, bottom = film.content_box
    inner_height = bottom - top
    shots = write_script(film.frame_count, film.fps, seed, film.width / inner_height)
    index = 0
    previous: _Stage | None = None
    following: _Stage | None = _Stage(shots[0], film.width, inner_height, seed)
    for number, shot in enumerate(shots):
        assert following is not None
        stage = following
        following = _Stage(shots[number + 1], film.width, inner_height, seed) if number + 1 < len(shots) else None
        drawings: dict[object, int] = {}
        last: tuple[object, Picture, tuple[PersonTruth, ...]] | None = None
        for k in range(shot.frame_count):
            treatment = _treatment(shot, shots[number - 1] if number else None, k, film.fps)
            key = (stage.state(k), treatment)
            if last is None or last[0] != key or treatment.defect == "noisy":
                drawn = stage.draw(k)
                neighbour = previous if k < shot.frame_count / 2 else following
                other = None
                if treatment.defect == "blend" and neighbour is not None:
                    other = neighbour.draw(neighbour.shot.frame_count - 1 if neighbour is previous else 0).picture
                grain = np.random.default_rng([seed, index])
                inner = _treat(drawn.picture, treatment, other, grain)
                picture = np.zeros((film.height, film.width, 3), np.uint8)
                picture[top:bottom] = inner
                persons = () if treatment.defect == "flat" else tuple(_shift(p, top) for p in drawn.persons)
                last = (key, picture, persons)
            row = FrameTruth(
                index=index,
                pts_ms=round(index * 1000 / film.fps),
                shot=number,
                drawing=drawings.setdefault(key, len(drawings)),
                moving=shot.moving,
                persons=last[2],
                defect=treatment.defect,
                credits=shot.kind == "credits",
            )
            yield last[1], row, shot
            index += 1
        previous = stage


class _Stage:
    """One shot set up for drawing: its backdrop is painted once, the last picture is kept."""

    def __init__(self, shot: Shot, width: int, height: int, seed: int) -> None:
        self.shot = shot
        self.width, self.height = width, height
        self._seed = seed
        self._backdrop: Picture | None = None
        self._plate: tuple[Camera, Picture] | None = None
        self._last: tuple[_State, _Persons] | None = None

    def state(self, k: int) -> _State:
        """All that the picture of frame ``k`` of this shot depends on, effects aside."""
        shot = self.shot
        share = k / max(shot.frame_count - 1, 1)
        a, b = shot.camera
        camera = Camera(a.pan + (b.pan - a.pan) * share, a.zoom * (b.zoom / a.zoom) ** share)
        roll = share if shot.kind == "credits" else 0.0
        return camera, tuple(pose_at(actor, k // shot.hold, shot.lively) for actor in shot.actors), roll

    def draw(self, k: int) -> _Persons:
        """The picture of frame ``k`` with the persons in it, boxes in pixels of the content box."""
        state = self.state(k)
        if self._last is None or self._last[0] != state:
            self._last = (state, self._draw(state))
        return self._last[1]

    def _draw(self, state: _State) -> _Persons:
        camera, poses, roll = state
        if self.shot.kind == "credits":
            return _Persons(credits_card(self.width, self.height, roll), ())
        if self.shot.kind == "title":
            return _Persons(title_card(self.width, self.height, self._seed), ())
        image = self._view(camera).copy()
        persons = tuple(self._draw_actor(image, i, camera, pose) for i, pose in enumerate(poses))
        picture = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return _Persons(np.asarray(picture, np.uint8), persons)

    def _view(self, camera: Camera) -> Picture:
        """The backdrop as this camera sees it, at drawing resolution."""
        if self._plate is not None and self._plate[0] == camera:
            return self._plate[1]
        shot, high = self.shot, self.height * _SUPERSAMPLE
        wide = self.width * _SUPERSAMPLE
        reach = 2 * _PARALLAX * max(abs(c.pan) for c in shot.camera)
        if self._backdrop is None:
            full = round(wide + reach * high)
            self._backdrop = soften(paint_backdrop(shot.place, full, high, shot.backdrop_seed), shot.softness)
        zoom = shot.framing[0] * (1 + (camera.zoom - 1) * _PARALLAX)
        full = self._backdrop.shape[1]
        half_w, half_h = wide / zoom / 2, high / zoom / 2
        x = full / 2 + shot.framing[1] * (wide / 2 - half_w) + camera.pan * _PARALLAX * high
        y = high / 2 + shot.framing[2] * (high / 2 - half_h)
        x, y = np.clip(x, half_w, full - half_w), np.clip(y, half_h, high - half_h)
        matrix = np.array([[zoom, 0, wide / 2 - x * zoom], [0, zoom, high / 2 - y * zoom]])
        view = cv2.warpAffine(
            self._backdrop, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        self._plate = (camera, np.asarray(view, np.uint8))
        return self._plate[1]

    def _draw_actor(self, image: Picture, number: int, camera: Camera, pose: Pose) -> PersonTruth:
        actor = self.shot.actors[number]
        who = character(actor.character)
        outfit = who.outfits[actor.outfit]
        high = self.height * _SUPERSAMPLE
        unit = actor.unit * camera.zoom
        x = self.width * _SUPERSAMPLE / 2 + (actor.x - camera.pan) * camera.zoom * high
        y = (0.5 + (actor.face_y - 0.5) * camera.zoom - pose.lift * unit) * high
        canvas = Canvas(image, unit * high, (x, y), LIGHT[self.shot.place], min_line_px=0.9 * _SUPERSAMPLE)
        boxes = draw_figure(canvas, who, outfit, pose.head, pose.look, pose.body)
        view: View = "back" if actor.back else "front" if pose.view < 0.4 else "three_quarter"
        return PersonTruth(
            character=actor.character,
            outfit=outfit.name,
            emotion=pose.look.emotion,
            view=view,
            face_xyxy=self._clip(boxes.face, _MIN_FACE_INSIDE),
            head_xyxy=self._clip(boxes.head, 0.0),
            body_xyxy=self._clip(boxes.body, 0.0),
            mouth="open" if pose.look.mouth > 0.0 else "closed",
            eyes="open" if pose.look.lids > 0.3 else "closed",
        )

    def _clip(self, box: tuple[float, float, float, float] | None, least: float) -> Box | None:
        """Drawing pixels to picture pixels; None when no more than the share ``least`` of the box is in the picture."""
        if box is None:
            return None
        x0, y0, x1, y1 = (v / _SUPERSAMPLE for v in box)
        cut = (max(x0, 0), max(y0, 0), min(x1, self.width), min(y1, self.height))
        if cut[2] <= cut[0] or cut[3] <= cut[1]:
            return None
        if (cut[2] - cut[0]) * (cut[3] - cut[1]) <= least * (x1 - x0) * (y1 - y0):
            return None
        return round(cut[0]), round(cut[1]), round(cut[2]), round(cut[3])


def _shift(person: PersonTruth, top: int) -> PersonTruth:
    """Boxes of the content box moved to the coded picture."""

    def down(box: Box | None) -> Box | None:
        return None if box is None else (box[0], box[1] + top, box[2], box[3] + top)

    return replace(
        person, face_xyxy=down(person.face_xyxy), head_xyxy=down(person.head_xyxy), body_xyxy=down(person.body_xyxy)
    )


def _treatment(shot: Shot, before: Shot | None, k: int, fps: int) -> _Treatment:
    """The effect on frame ``k`` of ``shot``. Spans are in seconds, at most a third of the shot each."""
    count = shot.frame_count

    def span(seconds: float) -> int:
        return max(1, min(round(seconds * fps), count // 3))

    left = count - 1 - k
    if shot.kind == "dark":
        return _Treatment("dark", 0.10)
    if shot.kind == "noisy":
        return _Treatment("noisy", _GRAIN)
    if "flash" in shot.effects and k < span(0.125):
        return _Treatment("flat")
    if before is not None and "dissolve" in before.effects and k < span(0.3):
        return _Treatment("blend", 0.5 - 0.5 * (k + 0.5) / span(0.3))
    if "dissolve" in shot.effects and left < span(0.3):
        return _Treatment("blend", 0.5 - 0.5 * (left + 0.5) / span(0.3))
    if "fade_in" in shot.effects and k < span(0.5):
        return _Treatment("fade", k / span(0.5))
    if "fade_out" in shot.effects and left < span(0.5):
        return _Treatment("fade", left / span(0.5))
    middle = count // 2
    if "blur" in shot.effects and middle <= k < middle + span(0.5):
        return _Treatment("blurred", 0.045 if shot.kind == "walk" else -0.014)
    if "bright" in shot.effects and middle <= k < middle + span(0.4):
        return _Treatment("bright", 0.22)
    return _Treatment()


def _treat(picture: Picture, treatment: _Treatment, other: Picture | None, rng: np.random.Generator) -> Picture:
    """Apply an effect to a finished picture; ``other`` is the second picture of a blend."""
    amount = treatment.amount
    levels = np.arange(256, dtype=np.float64)
    match treatment.defect:
        case "dark" | "fade":
            return np.asarray(cv2.LUT(picture, np.round(levels * amount).astype(np.uint8)), np.uint8)
        case "bright":
            return np.asarray(cv2.LUT(picture, np.round(255 - (255 - levels) * amount).astype(np.uint8)), np.uint8)
        case "flat":
            return np.full_like(picture, (252, 244, 226))
        case "blurred" if amount > 0:  # motion blur, sideways
            return np.asarray(cv2.blur(picture, (max(3, round(amount * picture.shape[0])), 1)), np.uint8)
        case "blurred":  # out of focus
            return soften(picture, -amount)
        case "blend" if other is not None:
            return np.asarray(cv2.addWeighted(picture, 1 - amount, other, amount, 0), np.uint8)
        case "noisy":
            grain = rng.normal(0.0, amount, picture.shape[:2])[..., None] + rng.normal(0.0, amount * 0.4, picture.shape)
            return np.clip(picture + grain, 0, 255).astype(np.uint8)
        case _:
            return picture
