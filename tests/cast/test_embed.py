"""3b_embed: one vector per face in use, in order, whatever the batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedNotes, EmbedStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import write_image
from animeset_lib.records import Box, Frame, Region
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import EmbedSettings
from tests.fakes import FakeEmbedder, FakeModels

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]


@pytest.fixture
def given(make_output: Callable[..., Output]) -> dict[StageType, Output[Any, Any]]:
    """Three stills with two faces each, the second of the middle one dropped; every still has a colour of its own."""
    frames, regions = [], []
    for i in range(3):
        frames.append(
            Frame(id=f"abc-{i:09d}", pts_ms=i, shot=0, file=f"f{i}.png", width=120, height=90, cause="change")
        )
        for j, x in enumerate((10, 60)):
            box = Box(x0=x, y0=20, x1=x + 40, y1=60)
            dropped = "low_score" if (i, j) == (1, 1) else None
            regions.append(
                Region(
                    id=f"abc-{i:09d}-{j:02d}",
                    frame_id=f"abc-{i:09d}",
                    face=box,
                    person=box,
                    person_estimated=True,
                    score=0.9,
                    width=120,
                    height=90,
                    dropped=dropped,
                )
            )
    outputs = {
        ExtractStage: make_output(ExtractStage, frames),
        DetectStage: make_output(DetectStage, regions),
    }
    for frame, colour in zip(frames, COLOURS, strict=True):
        write_image(outputs[ExtractStage].path / frame.file, np.full((90, 120, 3), colour, np.uint8))
    return outputs


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_vectors_of_kept_regions_in_order(
    given: dict[StageType, Output[Any, Any]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
    batch: int,
) -> None:
    result = run_stage(EmbedStage(EmbedSettings()), given, make_context(), batch=batch)
    assert [row.id for row in result.rows] == [row.id for row in given[DetectStage].kept]
    expected = FakeEmbedder().embed(
        [
            head_crop(np.full((90, 120, 3), COLOURS[i], np.uint8), Box(x0=10, y0=20, x1=50, y1=60))
            for i in (0, 0, 1, 2, 2)
        ]
    )
    np.testing.assert_array_equal(result.vectors, expected)
    assert result.notes == EmbedNotes(asked="auto", embedder=FakeEmbedder.info, dim=13, same_distance=0.1)


def test_a_still_that_went_bad_drops_its_faces_with_the_reason(
    given: dict[StageType, Output[Any, Any]], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    (given[ExtractStage].path / "f2.png").write_bytes(b"gone")
    result = run_stage(EmbedStage(EmbedSettings()), given, make_context())
    assert [row.dropped for row in result.rows] == [None, None, None, "unreadable", "unreadable"]
    assert "f2.png" in result.rows[3].why
    assert (result.vectors[3:] == 0).all()


def test_no_faces(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    empty = {ExtractStage: make_output(ExtractStage, []), DetectStage: make_output(DetectStage, [])}
    result = run_stage(EmbedStage(EmbedSettings()), empty, make_context())
    assert result.rows == []
    assert result.notes.dim == 13


def test_another_embedder_makes_another_key() -> None:
    assert EmbedStage(EmbedSettings()).fingerprint(FakeModels()) == {"embedder": "fake-embedder-1"}
