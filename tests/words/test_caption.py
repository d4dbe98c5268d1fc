"""6c_caption: captions of all pictures, what is constant about each character, and what a person wants told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.errors import InputError
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import AttributeRow, Box, ClusterRow, Crop
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.traits import leaks_of
from animeset_lib.words.vocabulary import background_of
from tests.fakes import FakeModels


def crop(crop_id: str, character: str = "rem", faces: int = 1, **changes: Any) -> Crop:
    face = Box(x0=1, y0=1, x1=5, y1=5)
    return Crop(
        id=crop_id,
        region_id=f"f-{crop_id}-00",
        frame_id=f"f-{crop_id}",
        character=character,
        framing="face",
        file=f"{crop_id}.png",
        box=face,
        factor=1,
        upscaler=None,
        width=8,
        height=8,
        face=face,
        faces=(face,) * faces,
        **changes,
    )


def kind(crop_id: str, *tags: str, outfit: str = "unknown", emotion: str = "unknown", **changes: Any) -> AttributeRow:
    return AttributeRow(
        id=crop_id,
        tags=dict.fromkeys(tags, 0.9),
        outfit=outfit,
        emotion=emotion,
        background=background_of(dict.fromkeys(tags, 0.9)),
        view="unknown",
        **changes,
    )


def track(crop_id: str, number: int) -> ClusterRow:
    return ClusterRow(id=f"f-{crop_id}-00", track=number, cluster=0, confidence=1, x=0, y=0)


@pytest.fixture
def inputs(make_output: Callable[..., Output]) -> dict[StageType, Output[Any, Any]]:
    crops = [
        crop("a"),
        crop("b"),
        crop("c"),
        crop("two", faces=2),
        crop("r", "エミリア"),
        crop("broken"),
        crop("gone", dropped="x", why="y"),
    ]
    tags = [
        kind("a", "solo", "blue_hair", "dress", "smile", outfit="dress", emotion="smile"),
        kind("b", "solo", "blue_hair", "dress", "angry", "night", outfit="dress", emotion="angry"),
        kind("c", "solo", "light_blue_hair", "jacket", outfit="jacket"),
        kind("two", "pink_hair", "kimono", "smile", "indoors"),
        kind("r", "solo", "grey_hair"),
        kind("broken", dropped="unreadable", why="cut short"),
    ]
    return {
        ClusterStage: make_output(ClusterStage, [track(one.id, i) for i, one in enumerate(crops)]),
        CropStage: make_output(CropStage, crops),
        AttributesStage: make_output(AttributesStage, tags),
    }


@pytest.fixture
def captions(
    inputs: dict[StageType, Output[Any, Any]], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> Callable[..., Output]:
    """`captions(traits="[rem]...", core_traits="drop")` → the finished stage."""

    def run(traits: Path | None = None, **settings: Any) -> Output:
        return run_stage(CaptionStage(CaptionSettings(**settings), traits), inputs, make_context())

    return run


def lines(out: Output) -> dict[str, str]:
    return {row.id: row.caption for row in out.rows}


def test_rows(captions: Callable[..., Output]) -> None:
    out = captions()
    assert {row.id: (row.caption, row.name) for row in out.rows} == {
        "a": ("rem, solo, blue_hair, dress, smile, anime_style", "rem_dress_smile_unknown"),
        "b": ("rem, solo, blue_hair, dress, angry, night, anime_style", "rem_dress_angry_night"),
        "c": ("rem, solo, light_blue_hair, jacket, anime_style", "rem_jacket_unknown_unknown"),
        # Whose kimono and smile it is cannot be known; the room is everybody's.
        "two": ("rem, pink_hair, kimono, smile, indoors, anime_style", "rem_unknown_unknown_indoors"),
        "r": ("エミリア, solo, grey_hair, anime_style", "emiria_unknown_unknown_unknown"),
    }
    assert out.by_id["a"].tags == ("solo", "blue_hair", "dress", "smile")
    assert out.notes.core_traits == {"rem": ("blue_hair",), "エミリア": ("grey_hair",)}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", {"c": "rem, solo, light_blue_hair, jacket, anime_style"}),
        (
            "drop",
            {
                "a": "rem, solo, dress, smile, anime_style",
                # what is more exact than a core trait tells it, too
                "c": "rem, solo, jacket, anime_style",
                "two": "rem, pink_hair, kimono, smile, indoors, anime_style",
                "r": "エミリア, solo, anime_style",
            },
        ),
        ("drop_all", {"c": "rem, solo, jacket, anime_style", "two": "rem, kimono, smile, indoors, anime_style"}),
    ],
)
def test_policies(captions: Callable[..., Output], policy: str, expected: dict[str, str]) -> None:
    out = captions(core_traits=policy)
    assert {crop_id: lines(out)[crop_id] for crop_id in expected} == expected
    assert "blue_hair" in out.by_id["a"].tags


def test_a_person_decides_per_character(captions: Callable[..., Output], tmp_path: Path) -> None:
    file = tmp_path / "film.traits.toml"
    file.write_text('[rem]\npolicy = "drop"\nalways_drop = ["dress"]\n[ramm]\npolicy = "drop"\n', encoding="utf-8")
    out = captions(file)
    assert lines(out)["a"] == "rem, solo, smile, anime_style"
    assert lines(out)["r"] == "エミリア, solo, grey_hair, anime_style"
    rem, emilia = (out.notes.traits[name] for name in ("rem", "エミリア"))
    assert (rem["policy"], rem["settings_policy"], rem["dropped"]) == (
        "drop",
        "keep",
        ["blue_hair", "light_blue_hair", "dress"],
    )
    assert (emilia["policy"], emilia["dropped"], emilia["pictures"], emilia["tracks"]) == ("keep", [], 1, 1)
    for row in out.rows:
        name = "エミリア" if row.id == "r" else "rem"
        if row.id != "two":
            assert leaks_of(out.notes.traits[name], row.caption.split(", ")) == []


def test_a_character_that_is_not_there_is_said(
    captions: Callable[..., Output], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "film.traits.toml"
    file.write_text('[ram]\npolicy = "drop"\n', encoding="utf-8")
    with caplog.at_level("WARNING", "animeset"):
        captions(file)
    assert "ram is no character of this film (did you mean rem?)" in caplog.text


def test_the_key_knows_what_the_file_does_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "film.traits.toml"

    def key() -> dict[str, str]:
        return dict(CaptionStage(CaptionSettings(), file).fingerprint(FakeModels()))

    assert key() == dict(CaptionStage(CaptionSettings()).fingerprint(FakeModels())) == {}
    file.write_text("# nothing yet\n[rem]\n", encoding="utf-8")
    assert key() == {}
    file.write_text('[rem]\npolicy = "drop"\n', encoding="utf-8")
    first = key()
    assert list(first) == ["traits"]
    file.write_text('# a comment\n[rem]\npolicy = "drop"  # as I like it\n', encoding="utf-8")
    assert key() == first
    file.write_text('[rem]\npolicy = "drop_all"\n', encoding="utf-8")
    assert key() != first
    file.write_text("[rem\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not TOML"):
        key()


def test_a_trigger_and_a_limit_reach_the_captions(captions: Callable[..., Output]) -> None:
    out = captions(trigger="ohwx {charname}", max_tags=2)
    assert lines(out)["b"] == "ohwx rem, solo, blue_hair, anime_style"
    assert out.notes.traits["rem"]["trigger"] == "ohwx rem"


def test_no_crops_no_captions(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    empty = {stage: make_output(stage, []) for stage in (ClusterStage, CropStage, AttributesStage)}
    out = run_stage(CaptionStage(CaptionSettings()), empty, make_context())
    assert out.rows == []
    assert out.notes.core_traits == {}
    assert out.notes.traits == {}
