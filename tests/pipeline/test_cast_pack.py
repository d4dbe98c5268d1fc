"""The cast pack: small, whole after a kill at any call, and all that the cast board needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from animeset_demo import iter_demo_frames
from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.errors import CancelledError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image
from animeset_lib.pipeline.cast_pack import HEAD_PX, newest_pack, open_pack, write_pack
from animeset_lib.run.stage import Given
from animeset_lib.run.store import folder_size
from tests.dashboard.test_cast_board import ALONE, IDS, run_cast, sort_film
from tests.killing import COUNT, When, killed

ROWS_AND_VECTOR = 2_500
"""Bytes of all rows of a face and its still with a vector of 128 numbers, generously."""


@pytest.fixture
def sorted_film(tmp_path: Path) -> Callable[[], Given]:
    """Each call is a sorting of the same film with another key; all stills are a scene of the demo film."""
    (picture, _), *_ = iter_demo_frames(width=400, height=200, fps=1, length_s=1)
    given = sort_film(tmp_path / "work" / "film-abc", ALONE, still=np.asarray(picture))
    return lambda: given.having(run_cast(given, tmp_path / "work" / "film-abc", tmp_path / "decisions.jsonl"))


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_holds_what_was_sorted_and_a_small_head_of_each_face(
    sorted_film: Callable[[], Given], tmp_path: Path
) -> None:
    outputs = sorted_film()
    write_pack(tmp_path / "film.cast", outputs, 2)
    pack = open_pack(tmp_path / "film.cast")
    assert pack is not None
    for output in outputs:
        assert [row.model_dump() for row in pack.outputs[output.stage].rows] == [
            row.model_dump() for row in output.rows
        ]
        assert pack.outputs[output.stage].key == output.key
        assert pack.outputs[output.stage].notes == output.notes
    assert np.array_equal(pack.outputs[EmbedStage].vectors, outputs[EmbedStage].vectors)
    heads = [pack.head(face) for face in IDS]
    assert sorted((pack.folder / "heads").iterdir()) == sorted(heads)
    assert all(max(read_image(head).shape) <= HEAD_PX for head in heads)
    assert pack.stills(tmp_path / "work" / "film-abc") == outputs[ExtractStage].path
    shutil.rmtree(tmp_path / "work")
    assert pack.stills(tmp_path / "work" / "film-abc") is None
    assert not list(pack.folder.rglob("*.png"))


def test_a_head_takes_a_few_kilobytes_even_of_noise(tmp_path: Path) -> None:
    """A close-up of random pixels is the worst that a still can be; a drawing takes a third of it."""
    film = tmp_path / "work" / "film-abc"
    given = sort_film(film, ALONE, still=np.random.default_rng(0).integers(0, 256, (200, 400, 3), np.uint8))
    outputs = given.having(run_cast(given, film, tmp_path / "decisions.jsonl"))
    write_pack(tmp_path / "film.cast", outputs, 1)
    assert folder_size(tmp_path / "film.cast") / len(IDS) < 12_000 + ROWS_AND_VECTOR


def test_a_drawn_film_takes_less_than_six_kilobytes_a_face(sorted_film: Callable[[], Given], tmp_path: Path) -> None:
    write_pack(tmp_path / "film.cast", sorted_film(), 1)
    assert folder_size(tmp_path / "film.cast") / len(IDS) < 3_500 + ROWS_AND_VECTOR


def test_the_next_one_takes_its_place_and_an_equal_one_is_left_alone(
    sorted_film: Callable[[], Given], tmp_path: Path
) -> None:
    place, first, second = tmp_path / "film.cast", sorted_film(), sorted_film()
    write_pack(place, first, 1)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    write_pack(place, first, 1)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
    write_pack(place, second, 1)
    assert [path.name for path in place.iterdir()] == [second[CastStage].key]
    write_pack(place, first, 1)
    assert newest_pack(place) == place / first[CastStage].key


def test_a_still_that_cannot_be_read_costs_only_its_heads(sorted_film: Callable[[], Given], tmp_path: Path) -> None:
    outputs = sorted_film()
    (outputs[ExtractStage].path / "3.png").write_bytes(b"not a picture")
    write_pack(tmp_path / "film.cast", outputs, 1)
    pack = open_pack(tmp_path / "film.cast")
    assert pack is not None
    assert [face for face in IDS if not pack.head(face).is_file()] == [IDS[3]]


def test_a_cancelled_one_leaves_the_earlier(sorted_film: Callable[[], Given], tmp_path: Path) -> None:
    place, first, second = tmp_path / "film.cast", sorted_film(), sorted_film()
    write_pack(place, first, 1)

    def stop() -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        write_pack(place, second, 1, stop)
    assert newest_pack(place) == place / first[CastStage].key
    assert newest_pack(tmp_path / "nowhere") is None
    assert open_pack(tmp_path / "nowhere") is None


def test_without_all_its_stages_it_is_none(sorted_film: Callable[[], Given], tmp_path: Path) -> None:
    outputs = sorted_film()
    write_pack(tmp_path / "film.cast", outputs, 1)
    (tmp_path / "film.cast" / outputs[CastStage].key / "3a_detect" / "stage.json").unlink()
    assert open_pack(tmp_path / "film.cast") is None


@pytest.mark.forks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process per kill")
def test_killed_anywhere_it_is_the_earlier_or_the_new_one(
    sorted_film: Callable[[], Given], tmp_path: Path, exhaustive: bool
) -> None:
    first, second = sorted_film(), sorted_film()
    packs = {}
    for name, outputs in (("second", second), ("first", first)):
        write_pack(tmp_path / name, outputs, 1)
        packs[outputs[CastStage].key] = _files(tmp_path / name / outputs[CastStage].key)
    shutil.copytree(tmp_path / "first", tmp_path / "counted")
    calls = killed(lambda: write_pack(tmp_path / "counted", second, 1), COUNT)
    assert calls is not None
    assert calls > 15
    seen = set()
    both: tuple[When, When] = ("before", "after")
    for when, at in product(both, {*range(1, calls + 1, 1 if exhaustive else 6), calls}):
        place = shutil.copytree(tmp_path / "first", tmp_path / f"{when}{at}.cast")
        assert killed(lambda place=place: write_pack(place, second, 1), at, when) is None
        newest = newest_pack(place)
        assert newest is not None
        assert _files(newest) == packs[newest.name], f"killed {when} call {at}"
        seen.add(newest.name)
        write_pack(place, second, 1)
        assert {path.name: _files(path) for path in place.iterdir()} == {
            second[CastStage].key: packs[second[CastStage].key]
        }
        shutil.rmtree(place)
    assert seen == set(packs)
