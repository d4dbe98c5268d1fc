"""6a_tag with the fake tagger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.media import write_image
from animeset_lib.models.api import TaggerInput, Tags, Thresholds
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import Box, Crop
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import TagSettings
from animeset_lib.words.tag import TagStage, mcut
from tests.fakes import FakeModels, FakeTagger

RED, BLUE = (200, 10, 20), (10, 20, 250)


def crop(crop_id: str, **changes: object) -> Crop:
    face = Box(x0=1, y0=1, x1=5, y1=5)
    values: dict[str, object] = {
        "region_id": "f-1-00",
        "frame_id": "f-1",
        "character": "rem",
        "framing": "face",
        "file": f"{crop_id}.png",
        "box": face,
        "factor": 1,
        "upscaler": None,
        "width": 8,
        "height": 8,
        "face": face,
        "faces": (face,),
    }
    return Crop.model_validate({"id": crop_id, **values, **changes})


@pytest.fixture
def crops(make_output: Callable[..., Output]) -> Output:
    rows = [
        crop("a"),
        crop("b", framing="frame", faces=()),
        crop("gone", dropped="too_small", why="12 px"),
        crop("c"),
        crop("broken"),
    ]
    output = make_output(CropStage, rows)
    for name, color in (("a", RED), ("b", BLUE), ("c", BLUE)):
        write_image(output.path / f"{name}.png", np.full((8, 8, 3), color, np.uint8))
    (output.path / "broken.png").write_bytes(b"\x89PNG\r\n")
    return output


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_scores_by_crop(
    crops: Output, run_stage: Callable[..., Output], make_context: Callable[..., Context], batch: int
) -> None:
    out = run_stage(TagStage(TagSettings()), {CropStage: crops}, make_context(), batch=batch)
    assert {row.id: row.general for row in out.rows} == {
        "a": {"portrait": 0.9, "solo": 0.9, "red_hair": 0.7843},
        "b": {"blue_hair": 0.9804},
        "c": {"blue_hair": 0.9804, "portrait": 0.9, "solo": 0.9},
        "broken": {},
    }
    assert [list(row.general.values()) for row in out.rows] == [
        sorted(row.general.values(), reverse=True) for row in out.rows
    ]
    assert all(row.tagger == "fake-tagger" and row.rating in ({"general": 1.0}, {}) for row in out.rows)


def test_unreadable_crop_is_a_row_with_a_reason(
    crops: Output, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(TagStage(TagSettings()), {CropStage: crops}, make_context())
    assert [(row.id, row.dropped) for row in out.rows] == [
        ("a", None),
        ("b", None),
        ("c", None),
        ("broken", "unreadable"),
    ]
    assert "broken.png" in out.by_id["broken"].why


def test_only_scores_that_reach_the_threshold(
    crops: Output, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(TagStage(TagSettings(general_min=0.95)), {CropStage: crops}, make_context())
    assert [row.general for row in out.kept] == [{}, {"blue_hair": 0.9804}, {"blue_hair": 0.9804}]
    assert out.notes.crops_without_tags == 1


def test_the_tagger_gets_what_is_known_about_the_crop(
    crops: Output, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    seen: list[TaggerInput] = []

    class Spy(FakeTagger):
        def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
            seen.extend(inputs)
            return super().tag(inputs)

    models = FakeModels()
    models._tagger = Spy()
    run_stage(TagStage(TagSettings()), {CropStage: crops}, make_context(models=models))
    assert [(one.framing, one.face, one.faces) for one in seen] == [
        ("face", crops.by_id["a"].face, crops.by_id["a"].faces),
        ("frame", crops.by_id["b"].face, ()),
        ("face", crops.by_id["c"].face, crops.by_id["c"].faces),
    ]
    assert tuple(seen[0].picture[0, 0]) == RED


def test_notes_and_fingerprint_name_the_tagger(
    crops: Output, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    stage = TagStage(TagSettings())
    assert stage.fingerprint(FakeModels()) == {"tagger": "fake-tagger-1"}
    notes = run_stage(stage, {CropStage: crops}, make_context()).notes
    assert notes.model.name == "fake-tagger"
    assert notes.tag_frequencies == {"blue_hair": 2, "portrait": 2, "solo": 2, "red_hair": 1}


def test_no_crops_no_rows(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(TagStage(TagSettings()), {CropStage: make_output(CropStage, [])}, make_context())
    assert out.rows == []
    assert not [path for path in Path(out.path).iterdir() if path.suffix == ".png"]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.9, 0.85, 0.3, 0.2], 0.575), ([0.2, 0.9], 0.55), ([0.7], 0.0), ([], 0.0), ([0.5, 0.5], 0.5)],
)
def test_maximum_cut(scores: list[float], expected: float) -> None:
    assert mcut(scores) == pytest.approx(expected)


class Sure(FakeTagger):
    thresholds = Thresholds(general=0.5, character=0.8)

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        general = {"hat": 0.9, "smile": 0.86, "sky": 0.4, "tree": 0.3}
        return [Tags(general, {"rem": 0.7, "ram": 0.1}, {"general": 0.9, "explicit": 0.01}) for _ in inputs]


@pytest.mark.parametrize(
    ("settings", "general", "character"),
    [
        ({}, {"hat", "smile"}, set()),
        ({"general_min": 0.35, "character_min": 0.6}, {"hat", "smile", "sky"}, {"rem"}),
        ({"general_min": 0.0, "character_min": 0.0}, {"hat", "smile", "sky", "tree"}, {"rem", "ram"}),
        ({"choice": "mcut"}, {"hat", "smile"}, {"rem"}),
    ],
    ids=["the tagger's own", "given", "all", "largest gap"],
)
def test_thresholds_per_category(
    crops: Output,
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
    settings: dict[str, object],
    general: set[str],
    character: set[str],
) -> None:
    models = FakeModels()
    models._tagger = Sure()
    out = run_stage(TagStage(TagSettings.model_validate(settings)), {CropStage: crops}, make_context(models=models))
    for row in out.kept:
        assert set(row.general) == general
        assert set(row.character) == character
        assert row.rating == {"general": 0.9, "explicit": 0.01}, "ratings are kept apart and whole"
