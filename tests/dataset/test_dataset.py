"""7_dataset on hand-made outputs of all earlier stages: two characters, an extra, and one of everything that can fall out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.dataset.explain import Loss
from animeset_lib.dataset.regularisation import RegularisationStage
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage, ShotSpan
from animeset_lib.media import read_image, write_image
from animeset_lib.models.api import ModelInfo
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import (
    AttributeRow,
    Box,
    CaptionRow,
    CastRow,
    ClusterRow,
    Crop,
    DedupeRow,
    EmbedRow,
    Film,
    Frame,
    PlannedCrop,
    QualityRow,
    Region,
    RegularisationRow,
    TagRow,
)
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import CaptionSettings, DatasetSettings
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.subsets import Subset, Word
from animeset_lib.words.tag import TagStage
from tests.notes import noted

FILM = Film(
    id="0123456789ab",
    name="Ein_Film",
    source_name="/home/someone/films/Ein Film.mkv",
    kind="video",
    width=640,
    height=360,
    duration_ms=60_000,
)
MODEL = ModelInfo(
    name="fake-tagger", task="tagger", digest="abc123", rung="a stand-in", licence="Apache-2.0", source="x"
)
Given = dict[StageType, Output[Any, Any]]


def picture(seed: int, height: int = 96, width: int = 64) -> np.ndarray:
    """A smooth random picture; unlike for every seed."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def make_film(make_output: Callable[..., Output]) -> Callable[..., Given]:
    """`make_film(per_character={"rem": 4, "エミリア": 2})`: that many figures each, one frame and two crops (face, full) per figure, all unlike.

    Besides: a duplicate frame, a frame without a face, a figure that is noise, a blurred figure of the first character, an unreadable crop of it.
    """

    def make(per_character: Mapping[str, int], dull: bool = False) -> Given:
        rows: dict[StageType, list[Any]] = {stage: [] for stage in DatasetStage.needs}
        pictures: dict[str, np.ndarray] = {}
        box = Box(x0=10, y0=10, x1=60, y1=80)

        def frame(number: int, duplicate_of: str | None = None) -> str:
            frame_id = f"{FILM.id}-{number * 1000:09d}"
            rows[ExtractStage].append(
                Frame(
                    id=frame_id,
                    pts_ms=number * 1000,
                    shot=number,
                    file=f"stills/{frame_id}.png",
                    width=640,
                    height=360,
                    cause="shot",
                )
            )
            dropped = {"dropped": "duplicate", "why": f"like {duplicate_of}: ssim 0.99"} if duplicate_of else {}
            rows[DedupeStage].append(
                DedupeRow(id=frame_id, phash="0" * 16, sharpness=1, duplicate_of=duplicate_of, **dropped)
            )
            pictures[f"1_extract/stills/{frame_id}.png"] = picture(1000 + number, 36, 64)
            return frame_id

        def figure(frame_id: str, character: str | None, seed: int, blurred: bool = False) -> str:
            region = f"{frame_id}-00"
            rows[DetectStage].append(
                Region(
                    id=region,
                    frame_id=frame_id,
                    face=box,
                    person=box,
                    person_estimated=True,
                    score=0.9,
                    width=640,
                    height=360,
                )
            )
            vector = np.random.default_rng(seed).normal(size=8)
            rows[EmbedStage].append(EmbedRow.with_vector(region, vector / np.linalg.norm(vector)))
            cluster = -1 if character is None else sorted(per_character).index(character)
            rows[ClusterStage].append(ClusterRow(id=region, track=seed, cluster=cluster, confidence=0.8, x=0, y=0))
            rows[CastStage].append(
                CastRow(
                    id=region,
                    character=character,
                    cluster=cluster,
                    source="cluster" if character else "noise",
                    confidence=0.8,
                )
            )
            if character is not None:
                why = {"dropped": "blurred", "why": "edge width 12.0 px, at most 9"} if blurred else {}
                rows[QualityStage].append(QualityRow(id=region, measured={"luma": 120.0}, score=0.7, **why))
            return region

        def crop(region: str, character: str, framing: Any, seed: int, readable: bool = True) -> None:
            crop_id, frame_id = f"{region}-{framing}", region.rpartition("-")[0]
            rows[UpscaleStage].append(
                PlannedCrop(
                    id=crop_id,
                    region_id=region,
                    frame_id=frame_id,
                    character=character,
                    framing=framing,
                    box=box,
                    factor=1,
                    file=None,
                    upscaler=None,
                )
            )
            rows[CropStage].append(
                Crop(
                    id=crop_id,
                    region_id=region,
                    frame_id=frame_id,
                    character=character,
                    framing=framing,
                    file=f"crops/{crop_id}.png",
                    box=box,
                    factor=1,
                    upscaler=None,
                    width=64,
                    height=96,
                    face=box,
                    faces=(box,),
                )
            )
            pictures[f"5_crop/crops/{crop_id}.png"] = picture(seed)
            broken = {} if readable else {"dropped": "unreadable", "why": "the file is cut short"}
            rows[TagStage].append(
                TagRow(
                    id=crop_id,
                    general={"blue_hair": 0.9, f"tag_{seed % 3}": 0.5} if readable else {},
                    tagger="fake-tagger",
                    **broken,
                )
            )
            if readable:
                rows[AttributesStage].append(
                    AttributeRow(
                        id=crop_id,
                        tags={**rows[TagStage][-1].general, "solo": 1.0},
                        outfit="unknown" if dull else "dress",
                        emotion="unknown" if dull else ("smile", "angry")[seed % 2],
                        background="unknown",
                        view="unknown",
                    )
                )
                rows[CaptionStage].append(
                    CaptionRow(
                        id=crop_id,
                        caption=f"{character}, solo, blue_hair, anime_style",
                        tags=("solo", "blue_hair"),
                        name=f"{character}_x",
                    )
                )

        number = 0
        for character, count in per_character.items():
            for _ in range(count):
                region = figure(frame(number), character, number)
                crop(region, character, "face", 2 * number)
                crop(region, character, "full", 2 * number + 1)
                number += 1
        frame(number, duplicate_of=rows[ExtractStage][0].id if rows[ExtractStage] else f"{FILM.id}-none")
        frame(number + 1)
        if per_character:
            first = next(iter(per_character))
            figure(frame(number + 2), None, number + 2)
            figure(frame(number + 3), first, number + 3, blurred=True)
            crop(figure(frame(number + 4), first, number + 4), first, "face", 2 * number + 8, readable=False)

        notes: dict[StageType, dict[str, Any]] = {
            ExtractStage: {
                "film": FILM,
                "shots": tuple(
                    ShotSpan(first_ms=1000 * n, last_ms=1000 * n + 900) for n in range(len(rows[ExtractStage]))
                ),
            },
            TagStage: {"model": MODEL},
            AttributesStage: {
                "subsets": {
                    name: (
                        Subset(
                            name="smile",
                            kind="emotion",
                            ids=tuple(
                                row.id
                                for row, made in zip(rows[AttributesStage], rows[CaptionStage], strict=True)
                                if row.emotion == "smile" and made.caption.startswith(f"{name},")
                            ),
                            figures=3,
                            tracks=2,
                            share=0.5,
                            words=(Word("grin", 0.5, 2.0),),
                            colours=(),
                        ),
                    )
                    for name in per_character
                }
            },
            CaptionStage: {
                "core_traits": dict.fromkeys(per_character, ("blue_hair",)),
                "traits": {
                    name: {
                        "character": name,
                        "trigger": f"ohwx {name}",
                        "trigger_first": name != "rem",
                        "dropped": ["long_hair"],
                        "traits": [
                            {"tag": "blue_hair", "share": 0.9, "lift": 3.25, "core": True},
                            {"tag": "red_eyes", "share": 1, "lift": None, "core": True},
                            {"tag": "hat", "share": 0.2, "lift": 1, "core": False},
                        ],
                    }
                    for name in per_character
                },
            },
        }
        given = {
            stage: make_output(stage, found, noted(stage, **notes.get(stage, {}))) for stage, found in rows.items()
        }
        info = given[CaptionStage].path / "stage.json"
        info.write_text(
            json.dumps({**json.loads(info.read_text()), "settings": {"settings": CaptionSettings().model_dump()}})
        )
        (given[CastStage].path / "cast.json").write_text('{"characters": []}\n')
        for name, pixels in pictures.items():
            path = given[ExtractStage].path.parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, pixels)
        return given

    return make


def files(tree: Path) -> list[str]:
    return sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def two(make_film: Callable[..., Given]) -> Given:
    return make_film({"rem": 4, "エミリア": 2})


@pytest.fixture
def result(two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context]) -> Output:
    return run_stage(DatasetStage(DatasetSettings(min_pictures=3, max_pictures=7)), two, make_context())


def test_the_tree_holds_exactly_these_files(result: Output) -> None:
    rem = [
        f"rem/dataset/{kind}/rem_{n:04d}.{end}"
        for kind, end in (("captions", "txt"), ("images", "png"))
        for n in range(1, 8)
    ]
    emilia = [
        f"エミリア/dataset/{kind}/エミリア_{n:04d}.{end}"
        for kind, end in (("captions", "txt"), ("images", "png"))
        for n in range(1, 5)
    ]
    cards = [
        f"{name}/{file}"
        for name in ("rem", "エミリア")
        for file in (
            *("README.md", "contact_sheet.png", "metadata.jsonl", "coverage.json", "coverage.png"),
            *("subsets.json", "subsets.png", "traits.json"),
        )
    ]
    assert files(result.path / "tree") == sorted(
        [*rem, *emilia, *cards, "README.md", "cast.json", "contact_sheet.png", "explain.jsonl"]
    )


def test_every_crop_has_a_row_and_its_reason(result: Output, two: Given) -> None:
    assert [row.id for row in result.rows] == [crop.id for crop in two[CropStage].rows]
    by_reason = {
        reason: [row for row in result.rows if row.dropped == reason] for reason in (None, "not_selected", "unreadable")
    }
    assert {reason: len(rows) for reason, rows in by_reason.items()} == {None: 11, "not_selected": 1, "unreadable": 1}
    assert "max_pictures 7" in by_reason["not_selected"][0].why
    assert by_reason["unreadable"][0].why == "the file is cut short"
    assert sorted(row.rank for row in by_reason[None] if row.character == "rem") == [1, 2, 3, 4, 5, 6, 7]


def test_pictures_are_the_crops_themselves(result: Output, two: Given) -> None:
    for row in result.kept:
        published = result.path / "tree" / row.character / row.image
        assert published.read_bytes() == (two[CropStage].path / two[CropStage].by_id[row.id].file).read_bytes()
        assert (
            result.path / "tree" / row.character / row.caption
        ).read_bytes().decode() == f"{row.character}, solo, blue_hair, anime_style\n"
        assert Path(row.image).stem == Path(row.caption).stem == f"{row.character}_{row.rank:04d}"


def test_a_folder_of_pictures_has_no_measured_shots(
    two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    info = two[ExtractStage].path / "stage.json"
    told = json.loads(info.read_text(encoding="utf-8"))
    del told["notes"]["shots"]
    info.write_text(json.dumps(told), encoding="utf-8")
    given = {**two, ExtractStage: dataclasses.replace(two[ExtractStage])}
    tree = run_stage(DatasetStage(DatasetSettings(min_pictures=1)), given, make_context()).path / "tree"
    covered = json.loads((tree / "rem" / "coverage.json").read_text(encoding="utf-8"))
    assert covered["span_ms"] == [0, 1000 * (len(two[ExtractStage].rows) - 1)]


def test_names_that_say_what_the_picture_shows(
    two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    settings = DatasetSettings(min_pictures=1, names="descriptive")
    made = run_stage(DatasetStage(settings), two, make_context())
    for row in made.kept:
        stem = f"{row.character}_x_{row.rank:04d}"
        assert (row.image, row.caption) == (f"dataset/images/{stem}.png", f"dataset/captions/{stem}.txt")
        assert (made.path / "tree" / row.character / row.image).is_file()
    first = json.loads((made.path / "tree" / "rem" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["file_name"] == "dataset/images/rem_x_0001.png"
    assert "`dataset/images/rem_x_0001.png`" in (made.path / "tree" / "rem" / "README.md").read_text(encoding="utf-8")


def test_metadata_describes_each_picture_in_order(result: Output, two: Given) -> None:
    folder = result.path / "tree" / "rem"
    lines = json_lines(folder / "metadata.jsonl")
    assert [line["rank"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    by_rank = {row.rank: row for row in result.kept if row.character == "rem"}
    for line in lines:
        row = by_rank[line["rank"]]
        crop = two[CropStage].by_id[row.id]
        assert line["file_name"] == row.image
        assert line["sha256"] == hashlib.sha256((folder / line["file_name"]).read_bytes()).hexdigest()
        assert line["text"] == "rem, solo, blue_hair, anime_style"
        assert (line["tag_scores"]["blue_hair"], line["tag_scores"]["solo"]) == (0.9, 1.0)
        assert line["name"] == f"rem_x_{row.rank:04d}"
        assert line["film"] == "Ein Film.mkv"
        assert (line["frame"], line["framing"], line["box"]) == (crop.frame_id, crop.framing, [10, 10, 60, 80])
        assert line["time_ms"] == two[ExtractStage].by_id[crop.frame_id].pts_ms
        assert (line["quality"], line["identity_confidence"], line["quality_measured"]) == (0.7, 0.8, {"luma": 120.0})


def test_nothing_absolute_leaks(result: Output, tmp_path: Path) -> None:
    for path in (result.path / "tree").rglob("*"):
        if path.suffix in (".md", ".jsonl", ".json", ".txt"):
            text = path.read_text(encoding="utf-8")
            assert "/home/someone" not in text, path
            assert str(tmp_path) not in text, path


def test_explain_answers_for_every_frame_figure_and_crop(result: Output, two: Given) -> None:
    lines = json_lines(result.path / "tree" / "explain.jsonl")
    expected = [row.id for stage in (ExtractStage, DetectStage, UpscaleStage) for row in two[stage].rows]
    assert [line["id"] for line in lines] == expected
    assert all(line["why"] for line in lines)
    dropped = {(line["what"], line["stage"], line["reason"]) for line in lines if line["state"] == "dropped"}
    assert dropped == {
        ("frame", "2_dedupe", "duplicate"),
        ("frame", "3a_detect", "no_face"),
        ("frame", "3d_cast", "no_figure_used"),
        ("frame", "4a_quality", "no_figure_used"),
        ("frame", "6a_tag", "no_figure_used"),
        ("figure", "3d_cast", "noise"),
        ("figure", "4a_quality", "blurred"),
        ("figure", "6a_tag", "no_crop_used"),
        ("crop", "6a_tag", "unreadable"),
        ("crop", "7_dataset", "not_selected"),
    }
    kept = {line["id"]: line for line in lines if line["state"] == "kept" and line["what"] == "crop"}
    assert set(kept) == {row.id for row in result.kept}
    reasons = [line["why"].partition(": ")[2] for line in kept.values()]
    assert all(reasons)
    assert any(why.startswith("first choice") for why in reasons)
    assert all(
        (result.path / "tree" / line["why"].removeprefix("is ").partition(": ")[0]).is_file() for line in kept.values()
    )


def test_notes_count_what_was_lost(result: Output) -> None:
    rem = result.notes.characters["rem"]
    assert (rem.chosen, rem.candidates, rem.figures) == (7, 8, 6)
    assert rem.lost == (
        Loss(stage="4a_quality", reason="blurred", what="figure", count=1),
        Loss(stage="6a_tag", reason="unreadable", what="crop", count=1),
        Loss(stage="7_dataset", reason="not_selected", what="crop", count=1),
    )


def kinds(result: Output, row: Any) -> str:
    """What metadata.jsonl says about the emotion of a published picture."""
    lines = (result.path / "tree" / row.character / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return str(next(found["emotion"] for found in map(json.loads, lines) if found["crop"] == row.id))


def test_pictures_without_anybody_are_a_set_of_their_own(
    two: Given,
    make_output: Callable[..., Output],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    row = RegularisationRow(
        id=f"{FILM.id}-000009000",
        shot=3,
        pts_ms=9000,
        file="scenery.png",
        box=Box(x0=0, y0=0, x1=64, y1=64),
        width=64,
        height=64,
        caption="no_humans, anime_style",
        tags={"no_humans": 0.9},
        tagger="fake-tagger",
    )
    given = {**two, RegularisationStage: make_output(RegularisationStage, [row], noted(RegularisationStage))}
    write_image(given[RegularisationStage].path / "scenery.png", picture(3, 64, 64))
    tree = run_stage(DatasetStage(DatasetSettings(min_pictures=1)), given, make_context()).path / "tree"
    assert files(tree / "regularisation") == [
        *("captions/scenery_0001.txt", "images/scenery_0001.png", "metadata.jsonl"),
    ]
    assert (tree / "regularisation/captions/scenery_0001.txt").read_text(encoding="utf-8") == (
        "no_humans, anime_style\n"
    )
    line = json.loads((tree / "regularisation" / "metadata.jsonl").read_text(encoding="utf-8"))
    assert (line["film"], line["time_ms"]) == ("Ein Film.mkv", 9000)
    assert "for regularisation: 1, in `regularisation/`" in (tree / "README.md").read_text(encoding="utf-8")


def test_cards_tell_numbers_models_settings_and_losses(result: Output) -> None:
    card = (result.path / "tree" / "rem" / "README.md").read_text(encoding="utf-8")
    for piece in (
        "7 pictures with captions from **Ein Film.mkv**",
        "| 4a_quality | blurred | 1 figure |",
        "| 6a_tag | unreadable | 1 crop |",
        "| 6a_tag | fake-tagger | a stand-in | Apache-2.0 | `abc123` |",
        "| 6c_caption | core_traits | `keep` |",
        "| 7_dataset | max_pictures | `7` |",
        "The background is unknown for every picture",
        "Only one outfit: dress",
        "Traits of the character itself: `blue_hair` on 90%, 3.2 times as often as elsewhere; `red_eyes` on 100%.",
        "for the trigger word to learn: `long_hair`.",
        "Trigger word: `ohwx rem`, in every caption",
        "## What is missing",
        "fill in before you share",
    ):
        assert piece in card
    (other,) = (path for path in result.path.glob("tree/*/README.md") if path.parent.name != "rem")
    assert f"Trigger word: `ohwx {other.parent.name}`, first in every caption" in other.read_text(encoding="utf-8")
    smiling = [row for row in result.kept if row.character == "rem" and "smile" in kinds(result, row)]
    assert f"| emotion | smile | {len(smiling)} | 2 | `grin` |" in card
    (subset,) = json.loads((result.path / "tree" / "rem" / "subsets.json").read_text(encoding="utf-8"))
    assert subset["files"] == sorted(row.image for row in smiling)
    top = (result.path / "tree" / "README.md").read_text(encoding="utf-8")
    assert "11 pictures of 2 characters." in top
    assert "| [rem](rem/README.md) | 7 | 8 |" in top
    assert "stills taken from the film: 11, without duplicates: 10" in top
    assert "faces that belong to no character (extras, or seen too seldom): 1\n" in top


def test_few_pictures_are_said_plainly(
    make_film: Callable[..., Given],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = run_stage(DatasetStage(DatasetSettings()), make_film({"rem": 4}, dull=True), make_context())
    card = (out.path / "tree" / "rem" / "README.md").read_text(encoding="utf-8")
    assert "Few pictures: 8 of the 30 wanted" in card
    assert "1 figure blurred (4a_quality), 1 crop unreadable (6a_tag)" in card
    assert "The outfit is unknown for every picture" in card
    assert "8 pictures (fewer than dataset.min_pictures 30)" in caplog.text


def test_a_character_of_which_nothing_is_left_is_listed(
    make_film: Callable[..., Given], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    given = make_film({"rem": 2})
    lost = [
        CastRow(
            id=row.id,
            character="ram" if row.character is None else row.character,
            cluster=5,
            source="cluster",
            confidence=0.5,
        )
        for row in given[CastStage].rows
    ]
    (given[CastStage].path / "rows.jsonl").write_text(
        "".join(row.model_dump_json() + "\n" for row in lost), encoding="utf-8"
    )
    given[CastStage] = Output(given[CastStage].path, CastStage)
    out = run_stage(DatasetStage(DatasetSettings()), given, make_context())
    assert not (out.path / "tree" / "ram").exists()
    assert "| ram | 0 | 0 | 0 | 0 | 0 | 0 | Few pictures: 0 of the 30 wanted" in (
        out.path / "tree" / "README.md"
    ).read_text(encoding="utf-8")


def test_without_characters_the_frames_are_kept_and_the_readme_says_why(
    make_film: Callable[..., Given], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    given = make_film({})
    out = run_stage(DatasetStage(DatasetSettings()), given, make_context())
    frame = given[DedupeStage].kept[0].id
    assert files(out.path / "tree") == [
        "README.md",
        "cast.json",
        "contact_sheet.png",
        "explain.jsonl",
        f"frames/{frame}.png",
    ]
    top = (out.path / "tree" / "README.md").read_text(encoding="utf-8")
    assert "No character set could be made from this film" in top
    assert "No face was found in any frame" in top
    assert "animeset doctor" in top


def test_again_over_a_half_made_tree_gives_equal_bytes(
    two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    stage = DatasetStage(DatasetSettings(min_pictures=3, max_pictures=7))
    first = run_stage(stage, two, make_context())
    before = {name: (first.path / "tree" / name).read_bytes() for name in files(first.path / "tree")}
    rows = (first.path / "rows.jsonl").read_bytes()
    (first.path / "tree" / "rem" / "README.md").write_text("half")
    os.truncate(first.path / "tree" / "explain.jsonl", 10)
    # As a copy that was cut short leaves it, on a file system without hard links.
    cut = first.path / "tree" / "rem" / "dataset" / "images" / "rem_0001.png"
    content = cut.read_bytes()
    cut.unlink()
    cut.write_bytes(content[:100])
    again = run_stage(stage, two, make_context())
    assert {name: (again.path / "tree" / name).read_bytes() for name in files(again.path / "tree")} == before
    assert (again.path / "rows.jsonl").read_bytes() == rows
    moved = tmp_path / "elsewhere"
    shutil.copytree(again.path / "tree", moved)
    assert files(moved) == sorted(before)


def test_where_linking_is_impossible_files_are_copied(
    two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    out = run_stage(DatasetStage(DatasetSettings(min_pictures=3, max_pictures=7)), two, make_context())
    for row in out.kept:
        copy, source = (
            out.path / "tree" / row.character / row.image,
            two[CropStage].path / two[CropStage].by_id[row.id].file,
        )
        assert copy.read_bytes() == source.read_bytes()
        assert not copy.samefile(source)


def test_a_crop_that_became_unreadable_is_a_row_with_a_reason(
    two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    crop = two[CropStage].kept[0]
    (two[CropStage].path / crop.file).write_bytes(b"not a picture")
    out = run_stage(DatasetStage(DatasetSettings(min_pictures=3)), two, make_context())
    assert out.by_id[crop.id].dropped == "unreadable"
    assert crop.id not in {row.id for row in out.kept}


def test_contact_sheets_are_readable_in_size(result: Output) -> None:
    for sheet in (result.path / "tree").rglob("contact_sheet.png"):
        height, width = read_image(sheet).shape[:2]
        assert 600 < width <= 2400
        assert height > 200


def test_cancel_is_looked_at(
    two: Given, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    class Stop(Exception):
        pass

    def cancelled() -> None:
        raise Stop

    context = dataclasses.replace(make_context(), check_cancel=cancelled)
    with pytest.raises(Stop):
        run_stage(DatasetStage(DatasetSettings()), two, context)
