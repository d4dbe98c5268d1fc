"""The whole job on the demo film, every stage held against the film's own truth. The floors are what must never be undercut."""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from pathlib import Path

import cv2
import pytest

from animeset_demo import DemoTruth
from animeset_lib import open_run
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.notebook.demo import DEMO_FILM
from animeset_lib.pipeline import RunResult
from animeset_lib.pipeline.stages import PIPELINE
from tests.truth import Judge, b_cubed


@pytest.fixture(scope="module")
def project(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(finished_demo, tmp_path_factory.mktemp("film") / "project"))


@pytest.fixture(scope="module")
def run(project: Path) -> tuple[RunResult, Judge]:
    """The demo film's run and what its truth says about it."""
    run = open_run(DEMO_FILM, root=project)
    return run.finish(), Judge(_truth(project), run.outputs)


def _truth(project: Path) -> DemoTruth:
    return DemoTruth.load((project / DEMO_FILM).with_suffix(".truth.json"))


def test_every_stage_of_the_pipeline_ran(run: tuple[RunResult, Judge]) -> None:
    assert [output.stage for output in run[1].outputs] == list(PIPELINE.values())


def test_shots_are_found(run: tuple[RunResult, Judge]) -> None:
    recall, precision = run[1].shots()
    assert recall >= 0.85
    assert precision >= 0.85
    assert run[1].shots_with_a_still() == 1.0


def test_bars_are_cut_off(run: tuple[RunResult, Judge]) -> None:
    content = run[1].outputs[ExtractStage].notes.film.content_box
    assert content is not None
    for edge, true in zip(content.xyxy, run[1].truth.film.content_box, strict=True):
        assert abs(edge - true) <= 2


def test_duplicates_go_and_expressions_stay(project: Path) -> None:
    """On stills taken eight times a second, where most repeat a held drawing."""
    settings = ("extract.mode=fps", "extract.fps=8")
    many = open_run(DEMO_FILM, preset="full", settings=settings, root=project).upto("dedupe")
    judge = Judge(_truth(project), many.outputs)
    recall, precision = judge.duplicates()
    assert len(many.outputs[ExtractStage].rows) == pytest.approx(30 * 8, abs=1)
    assert recall >= 0.97
    assert precision >= 0.9


def test_faces_are_found(run: tuple[RunResult, Judge]) -> None:
    recall, precision = run[1].faces(min_px=48)
    assert recall >= 0.95
    assert precision >= 0.95


def test_characters_are_sorted(run: tuple[RunResult, Judge]) -> None:
    numbers = run[1].clusters()
    logging.getLogger("animeset").info("clusters: %s", numbers)
    assert numbers["characters"] == 5
    assert numbers["precision"] >= 0.97, "a mixed set ruins a model"
    assert numbers["f1"] >= 0.9
    assert numbers["noise"] <= 0.1
    assert numbers["clusters"] <= 6


def test_bad_pictures_are_sorted_out(run: tuple[RunResult, Judge]) -> None:
    caught, false_alarms = run[1].quality()
    assert caught >= 0.8
    assert false_alarms <= 0.1


def test_sets_hold_their_own_character(run: tuple[RunResult, Judge]) -> None:
    sets = run[1].dataset()
    right = sum(people.most_common(1)[0][1] for people in sets.values())
    assert right / sum(people.total() for people in sets.values()) >= 0.98, sets
    owners = {people.most_common(1)[0][0] for people in sets.values()}
    assert owners == {c.name for c in run[1].truth.characters}


def test_what_is_published_is_what_a_trainer_wants(run: tuple[RunResult, Judge]) -> None:
    folder = run[0].published.folder
    for name, count in run[0].characters.items():
        images = sorted((folder / name / "dataset" / "images").iterdir())
        captions = sorted((folder / name / "dataset" / "captions").iterdir())
        assert (
            [p.stem for p in images] == [p.stem for p in captions] == [f"{name}_{i:04d}" for i in range(1, count + 1)]
        )
        rows = [
            json.loads(line) for line in (folder / name / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert [row["file_name"] for row in rows] == [f"dataset/images/{p.name}" for p in images]
        for image, caption, row in zip(images, captions, rows, strict=True):
            text = caption.read_text(encoding="utf-8")
            assert text == row["text"] + "\n"
            assert text.startswith(f"{name}, ")
            picture = cv2.imread(str(image))
            assert picture.shape[:2] == (row["height"], row["width"])
            assert row["width"] % 64 == 0
            assert row["height"] % 64 == 0
            assert min(picture.shape[:2]) >= 256
    with zipfile.ZipFile(run[0].published.zip) as archive:
        assert archive.testzip() is None
        assert len([n for n in archive.namelist() if n.endswith(".txt")]) == sum(run[0].characters.values())
    text = "".join(
        p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.suffix in (".md", ".json", ".jsonl", ".txt")
    )
    assert str(folder.parent) not in text, "no absolute path may leave this machine"


def test_b_cubed_by_hand() -> None:
    predicted = {"a": 1, "b": 1, "c": 1, "d": 2}
    true = {"a": "x", "b": "x", "c": "y", "d": "y"}
    precision, recall, _ = b_cubed(predicted, true)
    assert precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert recall == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)
