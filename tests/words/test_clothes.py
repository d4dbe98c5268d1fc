"""The clothes' descriptor on figures drawn from plain areas: what is in it, and what must not be."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from animeset_lib.records import Box
from animeset_lib.words.clothes import COLOURS, SKIN, ZONES, Look, clothes_look, lab_of, relit, rgb_of

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

FAIR, BROWN_HAIR, SKY = (255, 228, 208), (120, 70, 40), (120, 180, 235)
RED, NAVY, WHITE, GREEN = (200, 40, 45), (40, 50, 100), (250, 250, 250), (70, 150, 80)
FACE = Box(x0=170, y0=60, x1=230, y1=120)


def figure(
    top: Colour,
    bottom: Colour | None = None,
    *,
    behind: Colour = SKY,
    hair: Colour = BROWN_HAIR,
    locks: float = 0.0,
    height: int = 420,
) -> Picture:
    """A figure in a 400 px wide picture: hair above and beside the face, a neck, a torso of two colours; `locks`: so much of each side of the
    torso is covered by hair."""
    picture = np.full((420, 400, 3), behind, np.uint8)
    cv2.rectangle(picture, (155, 20), (245, 120), hair, -1)
    cv2.rectangle(picture, (170, 66), (230, 120), FAIR, -1)
    cv2.rectangle(picture, (188, 120), (212, 132), FAIR, -1)
    cv2.rectangle(picture, (140, 130), (260, 420), top, -1)
    cv2.rectangle(picture, (140, 270), (260, 420), bottom or top, -1)
    if locks:
        wide = round(120 * locks)
        for x0 in (140, 260 - wide):
            cv2.rectangle(picture, (x0, 120), (x0 + wide, 420), hair, -1)
    return picture[:height].copy()


def tinted(picture: Picture, light: tuple[float, float, float]) -> Picture:
    return np.asarray(np.clip(picture * np.array(light), 0, 255), np.uint8)


def look(picture: Picture, face: Box = FACE) -> Look:
    return Look.unpack(clothes_look(picture, face))


def main_rgb(seen: Look, zone: int) -> Colour:
    r, g, b = (rgb_of(seen.zones[zone, 0, 1:]) * 255).round().astype(int).tolist()
    return r, g, b


def apart(one: Look, other: Look, zone: int) -> float:
    return float(np.linalg.norm(one.zones[zone, 0, 1:] - other.zones[zone, 0, 1:]))


@pytest.mark.parametrize("colour", [RED, NAVY, WHITE, GREEN], ids=["red", "navy", "white", "green"])
def test_each_zone_has_the_colour_worn_there(colour: Colour) -> None:
    seen = look(figure(colour, NAVY))
    wanted = lab_of(np.array([colour, NAVY], np.float32) / np.float32(255))
    assert np.linalg.norm(seen.zones[1, 0, 1:] - wanted[0]) < 12
    assert np.linalg.norm(seen.zones[3, 0, 1:] - wanted[1]) < 12
    assert seen.zones[1, :, 0].sum() > 0.9


@pytest.mark.parametrize(
    "light", [(0.42, 0.46, 0.68), (1.0, 0.82, 0.66), (0.7, 0.7, 0.72)], ids=["night", "dusk", "dim"]
)
@pytest.mark.parametrize("colour", [RED, NAVY, WHITE, GREEN], ids=["red", "navy", "white", "green"])
def test_the_light_of_the_scene_is_taken_out(colour: Colour, light: tuple[float, float, float]) -> None:
    day, other = look(figure(colour)), look(tinted(figure(colour), light))
    assert apart(day, other, 1) < 8
    lightness = float(
        lab_of(tinted(np.full((1, 1, 3), FAIR, np.uint8), light).astype(np.float32) / np.float32(255))[0, 0, 0]
    )
    assert other.skin[0] == pytest.approx(lightness, abs=1.5), "the skin is kept as it was seen"


def test_different_clothes_stay_different_in_the_dark() -> None:
    night = (0.42, 0.46, 0.68)
    one, other = (look(tinted(figure(colour), night)) for colour in (RED, NAVY))
    assert apart(one, other, 1) > 40


def test_bare_skin_is_no_clothes_and_white_cloth_is_no_skin() -> None:
    assert clothes_look(figure(FAIR), FACE) == ()
    shade = (226, 186, 166)
    assert clothes_look(figure(shade), FACE) == ()
    assert main_rgb(look(figure(WHITE)), 1) == pytest.approx((250, 250, 250), abs=14)


def test_hair_that_hangs_down_is_left_out() -> None:
    seen = look(figure(RED, locks=0.25))
    rows = seen.zones[1][seen.zones[1][:, 0] > 0.02]
    hair = lab_of(np.array([BROWN_HAIR], np.float32) / np.float32(255))[0]
    assert len(rows)
    assert all(np.linalg.norm(row[1:] - hair) > 15 for row in rows)


def test_clothes_in_the_colour_of_the_hair_are_kept() -> None:
    pink = (240, 150, 180)
    seen = look(figure(pink, hair=pink))
    assert main_rgb(seen, 1) == pytest.approx(pink, abs=14)


def test_what_is_behind_the_figure_does_not_count() -> None:
    slim = figure(RED)
    for behind in (SKY, GREEN, (30, 30, 60)):
        picture = figure(RED, behind=behind)
        picture[130:, 140:165] = behind  # narrower than the zone
        picture[130:, 235:260] = behind
        seen = look(picture)
        assert apart(seen, look(slim), 1) < 4
        assert seen.zones[1, 1:, 0].sum() < 0.05


def test_nothing_is_said_without_a_face_or_without_clothes() -> None:
    picture = figure(RED)
    assert clothes_look(picture, None) == ()
    assert clothes_look(figure(RED, height=122), FACE) == ()
    small = cv2.resize(picture, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA).astype(np.uint8)
    assert clothes_look(small, FACE.scaled(0.15)) == ()
    outside = Box(x0=900, y0=900, x1=960, y1=960)
    assert clothes_look(picture, outside) == ()
    sliver = Box(
        x0=579.7, y0=60, x1=639.7, y1=120
    )  # what is looked at begins three face widths to the left, at 399.7 of 400
    assert clothes_look(picture, sliver) == ()


def test_a_face_picture_shows_the_collar_only() -> None:
    seen = look(figure(RED, height=160))
    assert seen.zones[0, :, 0].sum() > 0.3
    assert not seen.zones[1:, :, 0].any()


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.3])
def test_size_does_not_matter(factor: float) -> None:
    picture = figure(WHITE, NAVY)
    resized = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(np.uint8)
    one, other = look(picture), look(resized, FACE.scaled(factor))
    for zone in range(4):
        assert apart(one, other, zone) < 5
        assert other.zones[zone, :, 0].sum() == pytest.approx(one.zones[zone, :, 0].sum(), abs=0.1)


def test_it_is_a_short_row_of_round_numbers() -> None:
    values = clothes_look(figure(WHITE, NAVY), FACE)
    assert len(values) == 3 + len(ZONES) * COLOURS * 4
    assert values == clothes_look(figure(WHITE, NAVY), FACE)
    assert Look.unpack(json.loads(json.dumps(values))).pack() == values
    assert all(value == round(value, 2) for value in values)
    with pytest.raises(ValueError, match="reshape"):
        Look.unpack(values[:-1])


def test_relit_undoes_a_light() -> None:
    tint = np.array((0.5, 0.6, 0.8), np.float32)
    cloth = np.array([RED, NAVY, GREEN], np.float32) / np.float32(255)
    skin = rgb_of(SKIN)
    seen, seen_skin = np.asarray(cloth * tint, np.float32), np.asarray(skin * tint, np.float32)
    assert np.abs(relit(seen, lab_of(seen_skin), SKIN) - lab_of(cloth)).max() < 2
