"""The finished stages in a film's work folder: the newest of its kind with all it was made from, or nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.run.stage import StageType
from tests.run.toy import Numbers


def _key(letter: str) -> str:
    return letter * 12


def _stage(film: Path, stage: str, letter: str, changed: int, inputs: dict[str, str]) -> Path:
    """A finished stage without rows; keys are a letter, twelve times."""
    folder = film / f"{stage}-{_key(letter)}"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").touch()
    named = {name: _key(key) for name, key in inputs.items()}
    (folder / "stage.json").write_text(json.dumps({"stage": stage, "inputs": named}), encoding="utf-8")
    os.utime(folder / "stage.json", ns=(changed, changed))
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two chains: extract a → dedupe a, b; detect a is made from dedupe a, the newer detect b from dedupe b."""
    film = tmp_path / "work" / "film-0123456789ab"
    _stage(film, "1_extract", "a", 1, {})
    _stage(film, "2_dedupe", "a", 2, {"1_extract": "a"})
    _stage(film, "2_dedupe", "b", 3, {"1_extract": "a"})
    _stage(film, "3a_detect", "c", 4, {"1_extract": "a", "2_dedupe": "a"})
    _stage(film, "3a_detect", "b", 5, {"1_extract": "a", "2_dedupe": "b"})
    return film


def _found(film: Path, last: StageType) -> dict[str, str] | None:
    outputs = stages_with(film, last)
    return None if outputs is None else {output.stage.name: output.path.name for output in outputs}


def test_the_newest_with_all_it_was_made_from(film: Path) -> None:
    newest = {name: f"{name}-{_key(letter)}" for name, letter in (("1_extract", "a"), ("2_dedupe", "b"))}
    assert _found(film, DetectStage) == {**newest, "3a_detect": f"3a_detect-{_key('b')}"}
    os.utime(film / f"3a_detect-{_key('c')}" / "stage.json", ns=(6, 6))
    older = {**newest, "2_dedupe": f"2_dedupe-{_key('a')}"}
    assert _found(film, DetectStage) == {**older, "3a_detect": f"3a_detect-{_key('c')}"}
    assert _found(film, DedupeStage) == newest
    assert _found(film, ExtractStage) == {"1_extract": f"1_extract-{_key('a')}"}


def test_the_last_run_counts_even_if_another_one_was_made_later(film: Path) -> None:
    """Back to earlier settings, whose stages were kept."""
    (film / "plan.json").write_text(
        json.dumps({"keys": {"3a_detect": _key("c"), "2_dedupe": _key("e")}}), encoding="utf-8"
    )
    found = _found(film, DetectStage)
    assert found is not None
    assert found["3a_detect"] == f"3a_detect-{_key('c')}"
    assert _found(film, DedupeStage) == {
        name: f"{name}-{_key(x)}" for name, x in (("1_extract", "a"), ("2_dedupe", "b"))
    }


def test_what_is_found_knows_its_rows_and_key(film: Path) -> None:
    outputs = stages_with(film, DetectStage)
    assert outputs is not None
    assert [(output.stage, output.key, output.rows) for output in outputs] == [
        (ExtractStage, _key("a"), []),
        (DedupeStage, _key("b"), []),
        (DetectStage, _key("b"), []),
    ]


def test_none_when_one_of_them_is_gone(film: Path) -> None:
    shutil.rmtree(film / f"2_dedupe-{_key('b')}")
    assert _found(film, DetectStage) is None
    assert _found(film, DedupeStage) == {
        "1_extract": f"1_extract-{_key('a')}",
        "2_dedupe": f"2_dedupe-{_key('a')}",
    }
    shutil.rmtree(film / f"1_extract-{_key('a')}")
    assert _found(film, DedupeStage) is None


@pytest.mark.parametrize("last", [CastStage, Numbers])
def test_none_when_there_is_none(last: StageType, film: Path, tmp_path: Path) -> None:
    assert stages_with(film, last) is None
    assert stages_with(tmp_path / "work" / "nowhere", last) is None


def test_what_is_not_finished_does_not_count(film: Path) -> None:
    partial = _stage(film, "3a_detect", "d", 9, {"1_extract": "a", "2_dedupe": "b"})
    partial.rename(partial.with_name(f"{partial.name}.partial"))
    (film / f"3a_detect-{_key('e')}").mkdir()
    (film / "3a_detect-notes").mkdir()
    found = _found(film, DetectStage)
    assert found is not None
    assert found["3a_detect"] == f"3a_detect-{_key('b')}"


def test_stages_of_another_version_are_none(film: Path) -> None:
    _stage(film, "3d_cast", "a", 9, {"0_older": "a"})
    _stage(film, "0_older", "a", 8, {})
    assert stages_with(film, CastStage) is None
