"""Publishing: nothing of a person's is ever lost, the zip is what the folder is."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib.errors import AnimesetError
from animeset_lib.pipeline import RunResult
from animeset_lib.records import Film
from animeset_lib.run.publish import publish, published

FILM = Film(id="0123456789ab", name="ßäü", source_name="ßäü 🎬.mkv", kind="video", width=64, height=36)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "hero" / "dataset").mkdir(parents=True)
    (folder / "hero" / "dataset" / "a.png").write_bytes(b"picture")
    (folder / "hero" / "dataset" / "a.txt").write_text("hero, smile\n", encoding="utf-8")
    return folder


def _publish(tree: Path, output: Path, key: str = "k1", film: Film = FILM) -> Path:
    return publish(tree, output, film, key, {}, lambda: None).folder


def test_zip_holds_the_folder_byte_for_byte_and_deterministically(tree: Path, tmp_path: Path) -> None:
    one, two = _publish(tree, tmp_path / "o1"), _publish(tree, tmp_path / "o2")
    first, second = (folder.with_name("ßäü.zip").read_bytes() for folder in (one, two))
    assert first == second
    with zipfile.ZipFile(one.with_name("ßäü.zip")) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    outside = {f"ßäü/{p.relative_to(one).as_posix()}": p.read_bytes() for p in one.rglob("*") if p.is_file()}
    assert inside == outside
    assert len(outside) == 3


def test_unedited_version_is_replaced_edited_one_is_moved_aside(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    folder = _publish(tree, output)
    assert _publish(tree, output, "k2") == folder
    assert sorted(p.name for p in output.iterdir()) == ["ßäü", "ßäü.zip"]
    (folder / "hero" / "dataset" / "a.txt").write_text("my own caption\n", encoding="utf-8")
    result = publish(tree, output, FILM, "k3", {}, lambda: None)
    assert result.set_aside is not None
    assert (result.set_aside / "hero" / "dataset" / "a.txt").read_text(encoding="utf-8") == "my own caption\n"
    assert (folder / "hero" / "dataset" / "a.txt").read_text(encoding="utf-8") == "hero, smile\n"


def test_a_folder_of_somebody_else_is_left_alone(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    (output / "ßäü").mkdir(parents=True)
    (output / "ßäü" / "mine.txt").write_text("mine")
    assert _publish(tree, output).name == "ßäü-0123456789ab"
    assert (output / "ßäü" / "mine.txt").read_text() == "mine"
    other = FILM.model_copy(update={"id": "ba9876543210"})
    assert _publish(tree, output, film=other).name == "ßäü-ba9876543210"
    (output / "ßäü-0123456789ab" / "animeset.json").unlink()
    with pytest.raises(AnimesetError, match="move one of them away"):
        _publish(tree, output)


def test_published_needs_folder_zip_and_equal_key(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    assert published(output, FILM, "k1") is None
    folder = _publish(tree, output)
    found = published(output, FILM, "k1")
    assert found is not None
    assert found.folder == folder
    assert published(output, FILM, "k2") is None
    folder.with_name("ßäü.zip").unlink()
    assert published(output, FILM, "k1") is None


def test_editing_a_published_file_does_not_reach_into_work(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    result = toy_run(tmp_path / "a", keep_work=True)
    picture = next(result.published.folder.glob("hero/dataset/images/hero_n0.png"))
    picture.write_text("painted over")
    work = next((tmp_path / "a" / "work").rglob("hero_n0.png"))
    assert work.read_text() != "painted over"


def test_a_zip_of_somebody_else_is_left_alone(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "ßäü.zip").write_bytes(b"mine")
    assert _publish(tree, output).name == "ßäü-0123456789ab"
    assert (output / "ßäü.zip").read_bytes() == b"mine"


def test_a_zip_that_is_left_of_this_film_is_replaced(tree: Path, tmp_path: Path) -> None:
    folder = _publish(tree, tmp_path)
    shutil.rmtree(folder)
    assert _publish(tree, tmp_path) == folder


def test_a_published_file_that_went_missing_is_made_again(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    folder = toy_run(tmp_path / "a").published.folder
    (folder / "hero" / "dataset" / "images" / "hero_n0.png").unlink()
    again = toy_run(tmp_path / "a")
    assert not again.up_to_date
    assert again.characters == {"hero": 6}
    assert "edited-1" in again.notes[0]


def test_an_edited_set_is_left_as_it_is_and_this_is_said(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    picture = toy_run(tmp_path / "a").published.folder / "hero" / "dataset" / "images" / "hero_n0.png"
    picture.write_text("better")
    again = toy_run(tmp_path / "a")
    assert again.up_to_date
    assert "edited by hand" in again.notes[0]
    assert picture.read_text() == "better"
