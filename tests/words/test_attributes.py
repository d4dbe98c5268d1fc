"""6b_attributes: what is believed of the tagger, and what kind of picture a crop is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.media import write_image
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import Box, ClusterRow, Crop, TagRow
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import AttributesSettings
from animeset_lib.words.attributes import AttributesStage, groupings
from animeset_lib.words.tag import TagStage

SKIN, RED, BLUE = (240, 205, 180), (200, 40, 40), (40, 60, 190)


def figure(clothes: tuple[int, int, int]) -> np.ndarray:
    """A face with a plain garment below, on white."""
    picture = np.full((240, 160, 3), 255, np.uint8)
    picture[20:60, 60:100] = SKIN
    picture[60:240, 40:120] = clothes
    return picture


def crop(crop_id: str, region: str, faces: int = 1) -> Crop:
    face = Box(x0=60, y0=20, x1=100, y1=60)
    return Crop(
        id=crop_id,
        region_id=region,
        frame_id="f-1",
        character="rem",
        framing="full",
        file=f"{crop_id}.png",
        box=face,
        factor=1,
        upscaler=None,
        width=160,
        height=240,
        face=face,
        faces=(face,) * faces,
    )


def tagged(crop_id: str, *tags: str, **changes: Any) -> TagRow:
    return TagRow(id=crop_id, general=dict.fromkeys(tags, 0.9), tagger="fake", **changes)


@pytest.fixture
def inputs(make_output: Callable[..., Output]) -> dict[StageType, Output[Any, Any]]:
    """Six tracks of two figures each in red (with a tag for it), six in blue (without), a picture with two faces, one that cannot be read."""
    crops, tags, clusters, pictures = [], [], [], {}
    for track in range(12):
        red = track % 2 == 0
        for part in "ab":
            name = f"{track:02d}{part}"
            crops.append(crop(name, f"r{name}"))
            words = ("dress", "red_dress", "smile", "profile") if red else ("blue_hair", "angry", "indoors")
            tags.append(tagged(name, *words))
            clusters.append(ClusterRow(id=f"r{name}", track=track, cluster=0, confidence=1, x=0, y=0))
            pictures[f"{name}.png"] = figure(RED if red else BLUE)
    for number, name in enumerate(("two", "broken", "gone")):
        crops.append(crop(name, f"r{name}", faces=2 if name == "two" else 1))
        clusters.append(ClusterRow(id=f"r{name}", track=20 + number, cluster=0, confidence=1, x=0, y=0))
    tags += [tagged("two", "kimono", "smile", "profile", "indoors"), tagged("broken", "dress")]
    tags.append(tagged("gone", dropped="unreadable", why="cut short"))
    pictures["two.png"] = figure(RED)
    given = {
        ClusterStage: make_output(ClusterStage, clusters),
        CropStage: make_output(CropStage, crops),
        TagStage: make_output(TagStage, tags),
    }
    for name, picture in pictures.items():
        write_image(given[CropStage].path / name, picture)
    (given[CropStage].path / "broken.png").write_bytes(b"no picture")
    return given


def test_outfits_and_emotions_are_found_over_all_pictures(
    inputs: dict[StageType, Output[Any, Any]], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(AttributesStage(AttributesSettings()), inputs, make_context())
    kinds = {row.id: (row.outfit, row.emotion, row.background, row.view) for row in out.kept}
    red, blue = kinds["00a"], kinds["01a"]
    assert red == ("dress", "smile", "unknown", "side")
    # No tag names a garment, so only the colour is said.
    assert blue == ("blue_outfit", "angry", "indoors", "unknown")
    assert all(kinds[f"{t:02d}{p}"] == (red if t % 2 == 0 else blue) for t in range(12) for p in "ab")
    assert out.by_id["01a"].tags["blue_outfit"] == 0.5
    assert out.by_id["01a"].added["blue_outfit"] == "the name of its outfit; no other tag says what is worn"
    assert not any(tag.endswith("outfit") for tag in out.by_id["00a"].tags)
    without = run_stage(AttributesStage(AttributesSettings(blacklist="*_outfit")), inputs, make_context())
    assert (without.by_id["01a"].outfit, without.by_id["01a"].tags.get("blue_outfit")) == ("blue_outfit", None)
    # Whose smile it is cannot be known; the room is everybody's, and the clothes are those below this figure's face.
    assert kinds["two"][1:] == ("unknown", "indoors", "unknown")
    assert out.by_id["broken"].dropped == "unreadable"
    assert "gone" not in out.by_id
    assert out.notes.attributes["rem"]["emotion"] == {"angry": 12, "smile": 12, "unknown": 1}
    ids = [row.id for row in out.kept]
    wears, moods = groupings(out, ids, "rem")
    assert {s.name: (s.figures, s.tracks) for s in moods.subsets} == {"angry": (12, 6), "smile": (12, 6)}
    assert wears.name_of == {row.id: row.outfit for row in out.kept}
    assert {subset.kind for subset in wears.subsets} == {"outfit"}


def test_no_crops_no_rows(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(
        AttributesStage(AttributesSettings()),
        {stage: make_output(stage, []) for stage in (ClusterStage, CropStage, TagStage)},
        make_context(),
    )
    assert out.rows == []


def test_tags_are_cleaned_and_the_pictures_of_a_track_agree(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    said = [("blue_eyes", "long_hair"), ("blue_eyes", "long_hair"), ("blue_eyes",), ("green_eyes", "long_hair")]
    crops = [crop(f"c{n}", f"r{n}").model_copy(update={"framing": "face", "frame_id": f"f-{n}"}) for n in range(4)]
    tags = [tagged(f"c{n}", "very_long_hair", "letterboxed", *own) for n, own in enumerate(said)]
    given = {
        ClusterStage: make_output(
            ClusterStage,
            [ClusterRow(id=f"r{n}", track=1, cluster=0, confidence=1, x=0, y=0) for n in range(4)],
        ),
        CropStage: make_output(CropStage, crops),
        TagStage: make_output(TagStage, tags),
    }
    for one in crops:
        write_image(given[CropStage].path / one.file, figure(RED))
    out = run_stage(AttributesStage(AttributesSettings()), given, make_context())
    assert all("blue_eyes" in row.tags and "green_eyes" not in row.tags for row in out.rows)
    assert all({"letterboxed", "long_hair"}.isdisjoint(row.tags) for row in out.rows)
    assert out.by_id["c0"].removed["long_hair"] == "very_long_hair says it more exactly"
    assert "blue_eyes" in out.by_id["c3"].added
    assert out.notes.tags_removed["letterboxed"] == 4
    alone = run_stage(AttributesStage(AttributesSettings(vote=False, blacklist="very_*")), given, make_context())
    assert "green_eyes" in alone.by_id["c3"].tags
    assert "very_long_hair" not in alone.by_id["c0"].tags
