"""Framing: what must hold for every figure, and a few figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from animeset_lib.cast.head_box import estimated_person
from animeset_lib.pictures.framing import (
    FRAMINGS,
    FramedFigure,
    Shape,
    buckets,
    choose_factor,
    keep_inside,
    output_size,
    place,
    place_all,
    snap,
)
from animeset_lib.records import Box, Framing

SHAPE = Shape(1024, 64)
SHAPES = st.sampled_from([SHAPE, Shape(512, 64), Shape(768, 32), Shape(1024, 8), Shape(256, 256)])


def figure(
    face: Box, width: int = 1920, height: int = 1080, others: tuple[Box, ...] = (), person: Box | None = None
) -> FramedFigure:
    return FramedFigure(face, person or estimated_person(face, width, height), person is None, width, height, others)


def box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


@st.composite
def figures(draw: st.DrawFn) -> FramedFigure:
    """A still with one to five faces anywhere in it, the first one's body seen by a detector or drawn from its face."""
    width, height = draw(st.integers(64, 2500)), draw(st.integers(64, 1500))
    faces = []
    for _ in range(draw(st.integers(1, 5))):
        size = draw(st.floats(8, 600))
        x0, y0 = draw(st.floats(-size / 2, width - size / 2)), draw(st.floats(-size / 2, height - size / 2))
        aspect = draw(st.floats(0.6, 1.5))
        inside = box(x0, y0, x0 + size * aspect, y0 + size).clip(width, height)
        if inside is not None and min(inside.width, inside.height) >= 1:
            faces.append(inside)
    if not faces:
        faces = [box(0, 0, width / 2, height / 2)]
    person = None
    if draw(st.booleans()):
        person = faces[0].grown(*(draw(st.floats(0, 2)) for _ in range(3)), draw(st.floats(0, 9))).clip(width, height)
    one = figure(faces[0], width, height, tuple(faces[1:]), person)
    if draw(st.booleans()):
        around = [draw(st.floats(-0.1, 0.8)) for _ in range(4)]
        one = replace(one, head=faces[0].grown(*around).clip(width, height))
    if draw(st.booleans()):
        down = [draw(st.floats(0, 3)) for _ in range(3)]
        one = replace(one, halfbody=faces[0].grown(down[0], 0.3, down[1], down[2]).clip(width, height))
    return one


def _can_be_whole(someone: FramedFigure, shape: Shape) -> bool:
    """Whether the largest box of some bucket's ratio in the still is as wide and as high as the face."""
    for width, height in buckets(shape):
        scale = min(someone.width / width, someone.height / height)
        if round(width * scale) >= someone.face.width and round(height * scale) >= someone.face.height:
            return True
    return False


@given(figures(), SHAPES, st.floats(0, 1))
@example(figure(box(0, 0, 57, 113), 64, 126), SHAPE, 0.0)
def test_every_box_keeps_the_promises(someone: FramedFigure, shape: Shape, zoom: float) -> None:
    for framing, placed in place_all(someone, shape, dict.fromkeys(FRAMINGS, zoom)).items():
        assert all(value == int(value) for value in placed.xyxy)
        assert 0 <= placed.x0 < placed.x1 <= someone.width
        assert 0 <= placed.y0 < placed.y1 <= someone.height
        # whole pixels may cost a sliver; a face that no bucket holds in this still loses what it must, never more than a little
        face = someone.face
        if someone.others or _can_be_whole(someone, shape):
            assert placed.intersection(face) >= 0.98 * face.area
        else:
            assert placed.intersection(face) >= 0.8 * face.area
            width, height = min(placed.width, face.width), min(placed.height, face.height)
            assert placed.intersection(face) >= (width - 1) * (height - 1)
        assert all(placed.intersection(other) == 0 for other in someone.others), framing
        ratio = placed.width / placed.height
        slack = 1 / placed.height + 1 / placed.width
        assert min(abs(log(ratio / (w / h))) for w, h in buckets(shape)) <= slack + 1e-9
        assert placed == place(someone, framing, shape, zoom)


@given(figures(), SHAPES, st.floats(0, 1), st.integers(1, 4))
def test_snapping_keeps_the_face_and_ends_on_the_step(
    someone: FramedFigure, shape: Shape, zoom: float, factor: int
) -> None:
    for placed in place_all(someone, shape, dict.fromkeys(FRAMINGS, zoom)).values():
        snapped = snap(placed, factor, someone.face, shape)
        assert snapped.intersection(placed) == pytest.approx(snapped.area)
        if snapped != placed:
            assert snapped.width * factor % shape.step == 0
            assert snapped.height * factor % shape.step == 0
            assert 0.5 <= snapped.width / snapped.height <= 2
        if snapped.width >= someone.face.width + 1 and snapped.height >= someone.face.height + 1:
            assert snapped.intersection(someone.face) >= 0.97 * someone.face.area


@given(SHAPES)
def test_buckets_fill_the_training_area(shape: Shape) -> None:
    for width, height in buckets(shape):
        assert width % shape.step == height % shape.step == 0
        assert width * height <= shape.training_px**2
        assert 0.5 <= width / height <= 2
        assert (max(width, height) + shape.step) * min(width, height) > shape.training_px**2


def test_buckets_of_sdxl() -> None:
    assert (1024, 1024) in buckets(SHAPE)
    assert (832, 1216) in buckets(SHAPE)
    assert (1344, 768) in buckets(SHAPE)


@given(st.integers(1, 5000), st.integers(1, 5000), SHAPES, st.booleans())
def test_the_finished_size_is_never_larger(width: int, height: int, shape: Shape, shrink: bool) -> None:
    size = output_size(width, height, shape, shrink)
    if size is None:
        assert min(width, height) < shape.step
    else:
        assert size[0] <= width
        assert size[1] <= height
        assert size[0] % shape.step == size[1] % shape.step == 0
        if not shrink:
            assert width - size[0] < shape.step
            assert height - size[1] < shape.step


@given(figures(), SHAPES, st.floats(0, 1))
def test_what_is_large_enough_becomes_a_bucket(someone: FramedFigure, shape: Shape, zoom: float) -> None:
    for placed in place_all(someone, shape, dict.fromkeys(FRAMINGS, zoom)).values():
        x0, y0, x1, y1 = placed.scaled(4).pixels()
        if placed.area * 16 >= 1.1 * shape.training_px**2:
            assert output_size(x1 - x0, y1 - y0, shape, True) in buckets(shape)


@pytest.mark.parametrize(
    ("side", "factors", "tolerance", "max_factor", "expected"),
    [
        (1024, (2, 3, 4), 1.2, 4, 1),
        (860, (2, 3, 4), 1.2, 4, 1),  # needs 1.19
        (850, (2, 3, 4), 1.2, 4, 2),  # needs 1.205
        (512, (2, 3, 4), 1.2, 4, 2),
        (511, (2, 3, 4), 1.2, 4, 3),
        (300, (2, 4), 1.2, 4, 4),
        (300, (2, 4), 1.2, 3, 2),  # 4 is not allowed
        (100, (2, 3, 4), 1.2, 4, 4),  # not enough, but the best there is
        (300, (4, 2, 3), 1.2, 1, 1),
        (300, (), 1.2, 4, 1),
    ],
)
def test_choose_factor(side: int, factors: tuple[int, ...], tolerance: float, max_factor: int, expected: int) -> None:
    assert choose_factor(box(0, 0, side, side), factors, SHAPE, tolerance, max_factor) == expected


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        (box(900, 150, 990, 250), {"face", "upper_body", "full", "frame"}),  # a small figure in the middle
        (box(860, 300, 1060, 500), {"face", "upper_body", "frame"}),  # knees are cut off
        (box(700, 200, 1200, 800), {"face", "frame"}),  # a close-up
        (box(0, 0, 1920, 1080), {"face", "frame"}),
    ],
)
def test_what_a_still_can_show(face: Box, expected: set[Framing]) -> None:
    assert set(place_all(figure(face), SHAPE, dict.fromkeys(FRAMINGS, 0.5))) == expected


def test_a_seen_body_decides_over_an_estimated_one() -> None:
    face = box(900, 150, 990, 250)
    behind_a_table = box(850, 80, 1040, 420)
    whole = box(820, 80, 1070, 1000)
    zooms = dict.fromkeys(FRAMINGS, 0.5)
    assert set(place_all(figure(face, person=behind_a_table), SHAPE, zooms)) == {"face", "upper_body", "frame"}
    full = place_all(figure(face, person=whole), SHAPE, zooms)["full"]
    assert full.intersection(whole) == whole.area


@pytest.mark.parametrize("zoom", [0.0, 0.5, 1.0])
def test_a_head_has_room_above_and_its_chin(zoom: float) -> None:
    face = box(900, 400, 1000, 500)
    placed = place(figure(face), "face", SHAPE, zoom)
    assert placed is not None
    assert 0.6 <= (face.y0 - placed.y0) / face.height <= 1.0
    assert 0.3 <= (placed.y1 - face.y1) / face.height <= 1.0
    assert placed.center[0] == pytest.approx(face.center[0], abs=1)


def test_zoom_widens() -> None:
    sizes = [place(figure(box(900, 400, 1000, 500)), "face", SHAPE, zoom) for zoom in (0.0, 0.5, 1.0)]
    areas = [placed.area for placed in sizes if placed]
    assert len(areas) == 3
    assert areas == sorted(areas)
    assert sqrt(areas[2] / areas[0]) == pytest.approx(2.7 / 2.1, abs=0.05)


@pytest.mark.parametrize(
    "other", [box(1080, 400, 1180, 500), box(760, 380, 860, 480), box(900, 620, 1000, 720), box(900, 230, 1000, 330)]
)
def test_a_near_face_is_kept_out(other: Box) -> None:
    face = box(900, 400, 1000, 500)
    placed = place(figure(face, others=(other,)), "face", SHAPE, 1.0)
    assert placed is not None
    assert placed.intersection(other) == 0


def test_overlapping_faces_give_no_crop_and_two_faces_no_frame() -> None:
    face = box(900, 400, 1000, 500)
    zooms = dict.fromkeys(FRAMINGS, 0.5)
    assert place_all(figure(face, others=(box(990, 400, 1090, 500),)), SHAPE, zooms) == {}
    assert "frame" not in place_all(figure(face, others=(box(100, 100, 200, 200),)), SHAPE, zooms)


def test_a_profile_at_the_border_of_the_still() -> None:
    placed = place(figure(box(0, 300, 90, 500)), "face", SHAPE, 0.5)
    assert placed is not None
    assert placed.x0 == 0


@given(st.integers(1, 80), st.integers(1, 80), figures())
def test_keep_inside_holds_what_fits(width: int, height: int, someone: FramedFigure) -> None:
    whole = box(0, 0, max(80, someone.width), max(80, someone.height))
    part = keep_inside(width, height, whole, someone.face)
    assert (part.width, part.height) == (width, height)
    assert part.intersection(whole) == part.area
    if someone.face.width + 1 <= width and someone.face.height + 1 <= height:
        assert part.intersection(someone.face) >= 0.8 * someone.face.area


def test_a_seen_head_stays_whole_in_a_face_picture() -> None:
    """A mane twice as wide as the rule for hair allows."""
    plain = figure(box(900, 400, 1000, 500))
    mane = replace(plain, head=box(750, 300, 1150, 560))
    narrow, wide = place(plain, "face", SHAPE, 0.0), place(mane, "face", SHAPE, 0.0)
    assert narrow is not None
    assert wide is not None
    assert narrow.x0 > 750
    assert wide.x0 <= 750
    assert wide.x1 >= 1150
    assert wide.y0 <= 300


def test_a_seen_upper_body_is_what_an_upper_body_picture_shows() -> None:
    """A figure that lies: its upper body is beside its face, where no rule for standing figures looks."""
    lying = replace(figure(box(400, 500, 500, 600)), halfbody=box(380, 450, 900, 800))
    placed = place(lying, "upper_body", SHAPE, 0.0)
    assert placed is not None
    assert placed.intersection(box(380, 450, 900, 800)) >= 0.85 * 520 * 350


def test_snapping_keeps_half_a_pixel_of_the_face() -> None:
    """The face ends between two pixels, eight of which are all it has."""
    kept = keep_inside(64, 64, box(20, 0, 112, 64), box(80.5, 0, 88.5, 8))
    assert kept.intersection(box(80.5, 0, 88.5, 8)) == 64
