"""What the attributes tagger says about drawn pictures, and what it keeps quiet about."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import cv2
import numpy as np
import pytest

from animeset_demo import iter_demo_frames
from animeset_lib.models.api import Picture, TaggerInput
from animeset_lib.models.provider import Zoo
from animeset_lib.records import Box, Framing

# character of the demo film → hair and eye tags that are right for it
DEMO = {
    "hana": ("pink_hair", "green_eyes"),
    "ren": ("black_hair", "red_eyes"),
    "yuki": ("blue_hair", "yellow_eyes"),
    "mio": ("blonde_hair", "blue_eyes"),
}


def tags(
    picture: Picture, framing: Framing = "face", face: Box | None = None, faces: tuple[Box, ...] | None = None
) -> Mapping[str, float]:
    given = TaggerInput(picture, framing, face, faces if faces is not None else (face,) if face else ())
    return Zoo().tagger("attributes").tag([given])[0].general


@cache
def drawn_faces() -> tuple[tuple[str, Picture, Box], ...]:
    found = []
    for picture, truth in iter_demo_frames(width=1280, height=720, fps=1, length_s=30):
        for person in truth.persons:
            if truth.defect is None and person.character in DEMO and person.eyes == "open" and person.face_xyxy:
                face = Box.of(person.face_xyxy)
                if face.height >= 80 and face.x0 > 0 and face.x1 < 1280:
                    found.append((person.character, picture, face))
    return tuple(found)


def test_hair_and_eyes_of_the_demo_cast() -> None:
    said = right = 0
    seen = set()
    for character, picture, face in drawn_faces():
        general = tags(picture, "upper_body", face)
        colours = [tag for tag in general if tag.endswith(("_hair", "_eyes"))]
        assert len(colours) <= 2
        said += len(colours)
        right += sum(tag in DEMO[character] for tag in colours)
        seen |= {(character, tag) for tag in colours}
    assert said >= len(drawn_faces()), "at least one colour per face on average"
    assert right / said >= 0.85
    assert {(name, hair) for name, (hair, _) in DEMO.items()} <= seen


def test_small_eyes_are_not_guessed() -> None:
    _, picture, face = drawn_faces()[0]
    factor = 40 / face.height
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(np.uint8)
    assert not [tag for tag in tags(small, "upper_body", face.scaled(factor)) if tag.endswith("_eyes")]


def test_nobody_gets_a_gender_a_garment_or_an_emotion() -> None:
    told = {tag for _, picture, face in drawn_faces() for tag in tags(picture, "upper_body", face)}
    measured = ("_hair", "_eyes", "_background", "upper_body", "solo")
    assert all(tag.endswith(measured) for tag in told), told


FACE = Box(x0=60, y0=50, x1=100, y1=90)


@pytest.mark.parametrize(
    ("framing", "face", "faces", "expected"),
    [
        ("face", FACE, (FACE,), {"portrait", "solo"}),
        ("upper_body", FACE, (FACE, FACE.moved(50, 0)), {"upper_body", "multiple_faces"}),
        ("full", FACE, (FACE,), {"cowboy_shot", "solo"}),
        ("full", FACE.scaled(0.5), (FACE.scaled(0.5),), {"full_body", "solo"}),
        ("frame", None, (), set()),
    ],
)
def test_framing_and_number_of_faces(
    framing: Framing, face: Box | None, faces: tuple[Box, ...], expected: set[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    said = {tag for tag in tags(noise, framing, face, faces) if not tag.endswith(("_hair", "_eyes"))}
    assert said == expected


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((255, 255, 255), {"simple_background", "white_background"}),
        ((0, 0, 0), {"simple_background", "black_background"}),
        ((128, 128, 128), {"simple_background", "grey_background"}),
        ((60, 95, 180), {"simple_background", "blue_background"}),
        ((240, 215, 100), {"simple_background", "yellow_background"}),
    ],
)
def test_plain_backgrounds(colour: tuple[int, int, int], expected: set[str]) -> None:
    picture = np.full((160, 160, 3), colour, np.uint8)
    cv2.ellipse(picture, (80, 80), (36, 44), 0, 0, 360, (250, 220, 200), -1)
    said = {tag for tag in tags(picture, "face", FACE) if tag.endswith("_background")}
    assert said == expected
    noisy = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
    assert not [tag for tag in tags(noisy, "face", FACE) if tag.endswith("_background")]


@pytest.mark.parametrize(
    ("sky", "expected"),
    [
        ((110, 170, 235), {"day"}),
        ((235, 150, 70), {"sunset"}),
        ((20, 25, 60), {"night"}),
        ((90, 140, 80), set()),
    ],
)
def test_time_of_day_from_the_sky(sky: tuple[int, int, int], expected: set[str]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    picture[:80] = sky
    assert set(tags(picture, "frame")) & {"day", "sunset", "night"} == expected
    assert not set(tags(picture, "face")) & {"day", "sunset", "night"}


def test_missing_colour_is_said() -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    assert {"greyscale", "monochrome"} <= set(tags(grey, "frame"))
    tinted = grey.copy()
    tinted[20:40, 20:40, 0] //= 2
    assert not {"greyscale", "monochrome"} & set(tags(tinted, "frame"))
    assert not {"greyscale", "monochrome"} & set(tags(np.zeros((64, 64, 3), np.uint8), "frame"))
