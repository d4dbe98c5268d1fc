"""The colour-and-layout descriptor on simple drawn heads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animeset_lib.models.api import Embedder, Picture
from animeset_lib.models.provider import Zoo

Colour = tuple[int, int, int]
PINK, BLUE, BLACK, BLONDE = (245, 160, 185), (90, 130, 205), (45, 42, 55), (245, 215, 125)
GREEN_EYES, RED_EYES = (60, 160, 90), (190, 50, 50)


def head(
    hair: Colour, eyes: Colour, *, shift: int = 0, background: Colour = (200, 210, 215), long: bool = False
) -> Picture:
    """A round face under hair, 128 px, moved sideways by `shift` px."""
    picture = np.full((128, 128, 3), background, np.uint8)
    x = 64 + shift
    cv2.ellipse(picture, (x, 60), (48, 52), 0, 0, 360, hair, -1)
    if long:
        cv2.rectangle(picture, (x - 48, 60), (x + 48, 127), hair, -1)
    cv2.ellipse(picture, (x, 76), (34, 36), 0, 0, 360, (252, 226, 205), -1)
    for side in (-1, 1):
        cv2.ellipse(picture, (x + 15 * side, 72), (7, 9), 0, 0, 360, eyes, -1)
    cv2.ellipse(picture, (x - 12, 44), (26, 12), 10, 0, 360, hair, -1)
    return picture


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Zoo().embedder("colour-layout")


def distance(embedder: Embedder, one: Picture, other: Picture) -> float:
    a, b = embedder.embed([one, other])
    return float(1 - a @ b)


def test_mirrored_head_is_the_same(embedder: Embedder) -> None:
    one = head(PINK, GREEN_EYES)
    assert distance(embedder, one, one[:, ::-1]) < 1e-4


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("moved", head(PINK, GREEN_EYES, shift=5)),
        ("darker", (head(PINK, GREEN_EYES) * 0.8).astype(np.uint8)),
        ("warm light", (head(PINK, GREEN_EYES) * np.array([1.0, 0.96, 0.88])).astype(np.uint8)),
        ("another background", head(PINK, GREEN_EYES, background=(120, 150, 110))),
        ("smaller", cv2.resize(head(PINK, GREEN_EYES), (40, 40), interpolation=cv2.INTER_AREA).astype(np.uint8)),
    ],
)
def test_one_character_in_other_circumstances_stays_near(embedder: Embedder, name: str, other: Picture) -> None:
    assert distance(embedder, head(PINK, GREEN_EYES), other) < embedder.same_distance, name


@pytest.mark.parametrize(("one", "other"), [(PINK, BLUE), (PINK, BLACK), (BLACK, BLONDE), (BLUE, BLONDE)])
def test_other_hair_is_another_character(embedder: Embedder, one: Colour, other: Colour) -> None:
    assert distance(embedder, head(one, GREEN_EYES), head(other, GREEN_EYES)) > embedder.same_distance


def test_eyes_and_length_of_hair_count(embedder: Embedder) -> None:
    one = head(BLACK, GREEN_EYES)
    moved = distance(embedder, one, head(BLACK, GREEN_EYES, shift=2))
    assert distance(embedder, one, head(BLACK, RED_EYES)) > moved
    assert distance(embedder, one, head(BLACK, GREEN_EYES, long=True)) > moved
