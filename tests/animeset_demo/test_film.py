"""The demo film against its own promises: same bytes every time, truth that fits the pixels, faces a network finds."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from animeset_demo import DemoTruth, FrameTruth, iter_demo_frames, render_demo_film
from animeset_demo import film as film_module
from animeset_demo.acting import pose_at
from animeset_demo.characters import CAST, EMOTIONS, character
from animeset_demo.film import describe_film
from animeset_demo.script import write_script
from animeset_lib.models.provider import Zoo
from animeset_lib.records import Box

Frames = list[tuple[NDArray[np.uint8], FrameTruth]]

SMALL: dict[str, Any] = {"width": 320, "height": 180, "length_s": 30.0}
ALL_KINDS = {
    "title", "close_up", "bust", "two", "three", "back", "pan", "zoom", "walk", "dark", "night", "noisy", "credits",
}  # fmt: skip
ALL_DEFECTS = {"dark", "bright", "flat", "blurred", "fade", "blend", "noisy"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, tuple[Path, DemoTruth]]:
    """The frames and the file of them. Drawing takes long, so what both ask for is drawn once; that it is the same again has its own test."""
    path, draw = tmp_path_factory.mktemp("film") / "demo.mp4", film_module._frames
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_module, "_frames", cache(lambda *asked: list(draw(*asked))))
        return list(iter_demo_frames(**SMALL)), (path, render_demo_film(path, **SMALL))


@pytest.fixture(scope="module")
def frames(drawn: tuple[Frames, tuple[Path, DemoTruth]]) -> Frames:
    return drawn[0]


@pytest.fixture(scope="module")
def film(drawn: tuple[Frames, tuple[Path, DemoTruth]]) -> tuple[Path, DemoTruth]:
    return drawn[1]


def _digests(frames: Iterator[tuple[NDArray[np.uint8], FrameTruth]]) -> list[tuple[str, FrameTruth]]:
    return [(hashlib.sha256(picture.tobytes()).hexdigest(), row) for picture, row in frames]


def test_equal_arguments_give_equal_bytes_and_another_seed_does_not() -> None:
    short: dict[str, Any] = {"width": 160, "height": 90, "length_s": 4.0}
    first = _digests(iter_demo_frames(**short))
    assert first == _digests(iter_demo_frames(**short))
    assert [d for d, _ in first] != [d for d, _ in _digests(iter_demo_frames(**short, seed=8))]


def test_the_file_has_the_frames_size_rate_and_colours_it_states(film: tuple[Path, DemoTruth]) -> None:
    path, truth = film
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded = list(container.decode(stream))
    assert (stream.width, stream.height, stream.average_rate) == (320, 180, 24)
    assert (stream.codec_context.color_range, stream.codec_context.colorspace) == (1, 1)
    assert len(decoded) == len(truth.frames) == truth.film.frame_count == 720
    assert [round(1000 * f.time) for f in decoded] == [r.pts_ms for r in truth.frames]
    keyframes = [i for i, f in enumerate(decoded) if f.key_frame]
    assert {s.first for s in truth.shots} <= set(keyframes)
    assert max(b - a for a, b in pairwise([*keyframes, len(decoded)])) <= 5 * 24


def test_the_file_shows_what_the_renderer_drew(film: tuple[Path, DemoTruth], frames: Frames) -> None:
    with av.open(str(film[0])) as container:
        for frame, (picture, row) in zip(container.decode(video=0), frames, strict=True):
            if row.index % 60 == 0 and row.defect != "noisy":
                shown = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray().astype(float)
                assert np.abs(shown - picture).mean() < 3.0


def test_truth_is_the_same_from_file_renderer_and_iterator(film: tuple[Path, DemoTruth], frames: Frames) -> None:
    path, truth = film
    assert DemoTruth.load(path.with_suffix(".truth.json")) == truth
    assert truth.frames == tuple(row for _, row in frames)


def test_every_frame_is_in_exactly_one_shot(film: tuple[Path, DemoTruth]) -> None:
    _, truth = film
    spans = [range(s.first, s.last + 1) for s in truth.shots]
    assert [i for span in spans for i in span] == [r.index for r in truth.frames] == list(range(720))
    for row in truth.frames:
        shot = truth.shots[row.shot]
        assert row.index in spans[row.shot]
        assert {p.character for p in row.persons} <= set(shot.characters)
        assert row.credits == (shot.kind == "credits")


def test_a_30_s_film_has_everything_once(film: tuple[Path, DemoTruth]) -> None:
    _, truth = film
    assert {s.kind for s in truth.shots} == ALL_KINDS
    assert {r.defect for r in truth.frames} - {None} == ALL_DEFECTS
    assert {r.moving for r in truth.frames} == {True, False}
    persons = [p for r in truth.frames for p in r.persons]
    assert {(p.character, p.outfit) for p in persons} == {(c.name, o.name) for c in CAST for o in c.outfits}
    assert {p.view for p in persons} == {"front", "three_quarter", "back"}
    assert {p.mouth for p in persons} == {p.eyes for p in persons} == {"open", "closed"}


def test_in_75_s_every_character_shows_every_emotion_in_both_outfits_for_long_enough() -> None:
    shown: dict[tuple[str, str, str], int] = defaultdict(int)
    shots_of: dict[str, set[int]] = defaultdict(set)
    for number, shot in enumerate(write_script(75 * 24, 24, 7, 2.0)):
        for actor in shot.actors:
            if actor.back or shot.kind in ("dark", "noisy"):
                continue
            shots_of[actor.character].add(number)
            outfit = character(actor.character).outfits[actor.outfit].name
            for k in range(shot.frame_count):
                emotion = pose_at(actor, k // shot.hold, shot.lively).look.emotion
                shown[actor.character, outfit, emotion] += 1
    assert set(shown) == {(c.name, o.name, e) for c in CAST for o in c.outfits for e in EMOTIONS}
    for c in CAST:
        assert sum(n for (name, _, _), n in shown.items() if name == c.name) >= 12 * 24
        assert len(shots_of[c.name]) >= 4


def test_boxes_lie_inside_the_picture_and_inside_each_other(film: tuple[Path, DemoTruth]) -> None:
    _, truth = film
    left, top, right, bottom = truth.film.content_box
    for row in truth.frames:
        for person in row.persons:
            for box in (person.face_xyxy, person.head_xyxy, person.body_xyxy):
                if box is not None:
                    assert left <= box[0] < box[2] <= right
                    assert top <= box[1] < box[3] <= bottom
            assert (person.face_xyxy is None) == (person.view == "back")
            if person.face_xyxy is not None:
                assert _inside(person.face_xyxy, person.head_xyxy)
                assert _inside(person.head_xyxy, person.body_xyxy)


def _inside(small: tuple[int, ...] | None, large: tuple[int, ...] | None, slack_px: int = 2) -> bool:
    assert small is not None
    assert large is not None
    return (
        small[0] >= large[0] - slack_px
        and small[1] >= large[1] - slack_px
        and small[2] <= large[2] + slack_px
        and small[3] <= large[3] + slack_px
    )


def test_one_drawing_is_one_picture_and_other_drawings_are_other_pictures(frames: Frames) -> None:
    pictures: dict[tuple[int, int], NDArray[np.uint8]] = {}
    for picture, row in frames:
        known = pictures.setdefault((row.shot, row.drawing), picture)
        if row.defect != "noisy":
            assert np.array_equal(known, picture), row.index
    held = sum(a[1].drawing == b[1].drawing for a, b in pairwise(frames) if a[1].shot == b[1].shot)
    assert held > 0.35 * len(frames)
    for (a, before), (b, after) in pairwise(frames):
        mouths = [[p.mouth for p in r.persons] for r in (before, after)]
        if before.shot == after.shot and mouths[0] != mouths[1]:
            assert before.drawing != after.drawing
            assert not np.array_equal(a, b)


def test_content_box_is_where_the_bars_end(frames: Frames, film: tuple[Path, DemoTruth]) -> None:
    left, top, right, bottom = film[1].film.content_box
    assert (left, top, right, bottom) == (0, 10, 320, 170)
    brightest = np.max([picture.max(axis=2) for picture, _ in frames[::24]], axis=0)
    assert not brightest[:top].any()
    assert not brightest[bottom:].any()
    assert (brightest[top:bottom].mean(axis=1) > 100).all()


@pytest.mark.parametrize(
    ("defect", "check"),
    [
        ("dark", lambda p: p.mean() < 30),
        ("bright", lambda p: p.mean() > 190),
        ("flat", lambda p: p.std(axis=(0, 1)).max() == 0),
    ],
)
def test_defects_show_in_the_pixels(frames: Frames, defect: str, check: Any) -> None:
    for picture, row in frames:
        if row.defect == defect:
            assert check(picture[10:170])


def test_a_very_short_film_still_has_a_face() -> None:
    rows = [row for _, row in iter_demo_frames(width=160, height=90, length_s=1.0)]
    assert len(rows) == 24
    assert any(p.face_xyxy for r in rows for p in r.persons)


def test_long_films_repeat_scenes_with_other_poses() -> None:
    shots = write_script(200 * 24, 24, 7, 2.0)
    assert sum(s.frame_count for s in shots) == 200 * 24
    assert [s.kind for s in shots].count("pan") >= 2
    assert len({s.actors for s in shots if s.kind == "pan"}) >= 2


@pytest.mark.parametrize(("width", "height", "length_s"), [(641, 360, 1.0), (32, 32, 1.0), (640, 360, 0.0)])
def test_impossible_formats_are_refused_at_the_border(width: int, height: int, length_s: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        describe_film(width, height, 24, length_s)


def test_the_default_detector_finds_the_faces_and_little_else() -> None:
    detector = Zoo().detector("auto")
    faces = found = false = 0
    for picture, row in iter_demo_frames(width=640, height=360, fps=2, length_s=30.0):
        if row.index % 2 == 0 or row.defect is not None:
            continue
        (detections,) = detector.detect([picture])
        boxes = [detection.box for detection in detections if detection.kind == "face" and detection.score >= 0.5]
        true = [Box.of(p.face_xyxy) for p in row.persons if p.face_xyxy is not None]
        false += sum(all(box.iou(face) < 0.1 for face in true) for box in boxes)
        large = [face for face in true if face.height >= 60]
        faces += len(large)
        found += sum(any(box.iou(face) >= 0.3 for box in boxes) for face in large)
    assert faces >= 12
    assert found >= 0.9 * faces
    assert false <= 3
