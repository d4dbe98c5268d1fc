"""Runs of one film with other settings: who was called `character_01` stays it, and a run that changes nothing has nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from animeset_lib.cast.cast_file import load_cast
from animeset_lib.cast.name_book import load_names
from animeset_lib.pipeline import FilmFiles, Folders, RunResult, run_film
from animeset_lib.pipeline import run as room
from animeset_lib.settings import load_settings
from tests.fakes import FakeModels
from tests.run.killed_run import SETTINGS
from tests.run.test_kill_pipeline import _film


def test_names_are_kept_and_an_unchanged_run_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "Zoo", FakeModels)
    film, folders = _film(tmp_path / "film.mkv"), Folders(tmp_path / "output", tmp_path / "work", tmp_path / "logs")

    def run(*more: str) -> RunResult:
        return run_film(film, load_settings(assignments=[*SETTINGS, *more]), folders, keep_work=True)

    first = run()
    book = FilmFiles.of(first.film, folders).names
    entered = load_names(book)
    assert {one.name for one in entered.names} == {"character_01", "character_02"}
    assert run().up_to_date
    # as if earlier runs had seen them the other way round
    swap = {"character_01": "character_02", "character_02": "character_01"}
    swapped = entered.model_copy(
        update={"names": tuple(one.model_copy(update={"name": swap[one.name]}) for one in entered.names), "read": {}}
    )
    book.write_text(swapped.model_dump_json())
    looks = {one.name: one.vectors for one in load_cast(folders.output / "film" / "cast.json").characters}
    assert not run().up_to_date
    assert {one.name: one.vectors for one in load_cast(folders.output / "film" / "cast.json").characters} == {
        swap[name]: vectors for name, vectors in looks.items()
    }
    assert run().up_to_date
    # other stills: the same two people under the same names, though other settings made other groups
    assert not run("extract.mode=fps", "extract.fps=3").up_to_date
    assert load_names(book).names == swapped.names
    assert run("extract.mode=fps", "extract.fps=3").up_to_date
