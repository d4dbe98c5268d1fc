"""Boxes and names: geometry that must hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from animeset_lib.records import Box, EmbedRow, Record, safe_name

numbers = st.floats(-1e5, 1e5, allow_nan=False)
sizes = st.floats(0.01, 1e5)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, y0 = draw(numbers), draw(numbers)
    return Box(x0=x0, y0=y0, x1=x0 + draw(sizes), y1=y0 + draw(sizes))


@given(boxes(), boxes())
def test_iou_is_symmetric_and_within_bounds(a: Box, b: Box) -> None:
    assert 0 <= a.iou(b) <= 1 + 1e-9
    assert a.iou(b) == pytest.approx(b.iou(a))
    assert a.iou(a) == pytest.approx(1)


@given(boxes(), st.integers(1, 5000), st.integers(1, 5000))
def test_clip_stays_inside_or_is_none(box: Box, width: int, height: int) -> None:
    inside = box.clip(width, height)
    picture = Box(x0=0, y0=0, x1=width, y1=height)
    if inside is None:
        assert box.intersection(picture) == 0
    else:
        assert inside.x0 >= 0
        assert inside.y1 <= height
        assert inside.area == pytest.approx(box.intersection(picture), abs=1e-3)


@given(boxes(), st.floats(0.1, 10))
def test_json_and_scaling_round_trip(box: Box, factor: float) -> None:
    assert Box.model_validate_json(box.model_dump_json()) == box
    back = box.scaled(factor).scaled(1 / factor)
    assert np.allclose(back.xyxy, box.xyxy, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("xyxy", [(0, 0, 0, 5), (5, 0, 1, 5), (0, 0, float("nan"), 5), (0, 0, float("inf"), 5)])
def test_impossible_boxes_are_refused(xyxy: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Box.of(xyxy)


@given(st.text(max_size=300))
def test_safe_names_can_be_folders(text: str) -> None:
    name = safe_name(text)
    assert name
    assert name[0] not in ".-_ "
    assert not set(name) & set('/\\:*?"<>|\n\t \0')
    assert len(name.encode()) <= 90
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [("Ein Film – ßäü 🎬", "Ein_Film_ßäü"), ("-rf", "rf"), ("con", "film_con"), ("...", "film"), ("a/b\\c", "a_b_c")],
)
def test_safe_name_table(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_ids_that_could_leave_the_folder_are_refused() -> None:
    for bad in ("../x", "a/b", "", ".hidden", "a b"):
        with pytest.raises(ValidationError):
            Record(id=bad)


def test_rows_are_frozen_and_strict() -> None:
    row = Record(id="a")
    with pytest.raises(ValidationError):
        row.dropped = "x"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Record(id="a", colour="red")  # type: ignore[call-arg]


def test_vectors_stay_out_of_json() -> None:
    row = EmbedRow.with_vector("a", np.ones(3, np.float32))
    assert row.model_dump_json() == '{"id":"a","dropped":null,"why":""}'
    with pytest.raises(ValueError, match="without its vector"):
        _ = EmbedRow(id="b").vector
