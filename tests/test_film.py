"""The whole job on the demo film, every stage held against the film's own truth. The floors are what must never be undercut."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import cv2
import pytest

from animeset_demo import DemoTruth, render_demo_film
from animeset_lib import media
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.models.provider import Zoo
from animeset_lib.pipeline import FilmFiles, Folders, RunResult, run_film
from animeset_lib.pipeline.stages import PIPELINE, build_pipeline
from animeset_lib.run.engine import keys_of, run_stages
from animeset_lib.run.events import Events
from animeset_lib.run.lock import Cancel
from animeset_lib.run.stage import Given, Stage
from animeset_lib.run.store import FilmStore
from animeset_lib.settings import Settings, load_settings
from tests.truth import Judge, b_cubed


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoTruth]:
    path = tmp_path_factory.mktemp("film") / "demo.mp4"
    return path, render_demo_film(path, width=640, height=360, fps=12, length_s=30)


def _outputs(path: Path, settings: Settings, folders: Folders) -> Given:
    probed = media.probe(path)
    stages = build_pipeline(settings, probed, path)
    store = FilmStore(folders.work, FilmFiles.of(probed).name)
    keys = keys_of(stages, Zoo())
    found = [store.finished(type(stage), keys[stage.name]) for stage in stages]
    return Given(output for output in found if output is not None)


@pytest.fixture(scope="module")
def run(film: tuple[Path, DemoTruth], tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Judge]:
    root = tmp_path_factory.mktemp("run")
    folders = Folders(root / "output", root / "work", root / "logs")
    settings = load_settings(preset="draft", assignments=["extract.min_gap_ms=250"])
    result = run_film(film[0], settings, folders, keep_work=True)
    return result, Judge(film[1], _outputs(film[0], settings, folders))


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


def test_duplicates_go_and_expressions_stay(film: tuple[Path, DemoTruth], tmp_path: Path) -> None:
    """On stills taken eight times a second, where most repeat a held drawing."""
    settings = load_settings(assignments=["extract.mode=fps", "extract.fps=8"])
    stages = build_pipeline(settings, media.probe(film[0]), film[0])[:2]
    outputs = _run(stages, tmp_path)
    judge = Judge(film[1], outputs)
    recall, precision = judge.duplicates()
    assert len(outputs[ExtractStage].rows) == pytest.approx(30 * 8, abs=1)
    assert recall >= 0.97
    assert precision >= 0.9


def _run(stages: tuple[Stage[Any, Any, Any], ...], root: Path) -> Given:
    store = FilmStore(root, "film")
    store.path.mkdir()
    events = Events(root / "events.jsonl")
    try:
        return run_stages(stages, store, Zoo(), events, Cancel(root / "cancel"), threads=2)
    finally:
        events.close()


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
