"""6b_attributes: what is believed of the tagger, and what kind of picture a crop is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from animeset_lib.records import Box, ClusterRow, Crop, Frame, TagRow
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import AttributesSettings
from animeset_lib.stages.attributes import AttributesStage


def crop(crop_id: str, faces: int = 1) -> Crop:
    face = Box(x0=1, y0=1, x1=5, y1=5)
    return Crop(
        id=crop_id,
        region_id=f"{crop_id}-00",
        frame_id="f-1",
        character="rem",
        framing="face",
        file=f"{crop_id}.png",
        box=face,
        factor=1,
        upscaler=None,
        width=8,
        height=8,
        face=face,
        faces=(face,) * faces,
    )


def tagged(crop_id: str, *tags: str, **changes: Any) -> TagRow:
    return TagRow(id=crop_id, general=dict.fromkeys(tags, 0.9), tagger="fake", **changes)


@pytest.fixture
def inputs(make_output: Callable[..., Output]) -> dict[str, Output]:
    crops = [crop("a"), crop("c"), crop("two", faces=2), crop("broken")]
    tags = [
        tagged("a", "blue_hair", "dress", "smile", "profile"),
        tagged("c", "blue_hair", "jacket"),
        tagged("two", "pink_hair", "kimono", "smile", "indoors"),
        tagged("broken", dropped="unreadable", why="cut short"),
    ]
    return {
        "1_extract": make_output("1_extract", Frame, []),
        "3c_cluster": make_output("3c_cluster", ClusterRow, []),
        "5_crop": make_output("5_crop", Crop, crops),
        "6a_tag": make_output("6a_tag", TagRow, tags),
    }


def test_rows(
    inputs: dict[str, Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(AttributesStage(AttributesSettings()), inputs, make_context())
    assert {row.id: (row.outfit, row.emotion, row.background, row.view) for row in out.rows} == {
        "a": ("dress", "smile", "unknown", "side"),
        "c": ("jacket", "unknown", "unknown", "unknown"),
        # Whose kimono and smile it is cannot be known; the room is everybody's.
        "two": ("unknown", "unknown", "indoors", "unknown"),
    }
    assert out.info["notes"]["attributes"]["rem"]["outfit"] == {"dress": 1, "jacket": 1, "unknown": 1}
