"""`animeset decide`: the log of decisions by words, and what is said where something does not fit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.pipeline import Folders, run_film
from animeset_lib.pipeline.deciding import Deciding
from animeset_lib.settings import load_settings

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(drawn_film: Callable[..., Path], made_once: Callable[..., Path]) -> Path:
    """A film that was run until it was sorted, with its stages kept."""

    def fill(folder: Path) -> None:
        film = Path(shutil.copy(drawn_film("mp4", seconds=12), folder / "Ein Film ß.mp4"))
        settings = load_settings(None, ["extract.mode=fps", "extract.fps=3"], "draft")
        run_film(film, settings, Folders(folder / "output", folder / "work", folder / "logs"), until="cast")

    return made_once("decide", fill)


@pytest.fixture
def decide(made: Path, animeset: Command, tmp_path: Path) -> Command:
    """`decide("name", ...)` in a folder of its own with that film in it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return lambda *words: animeset("decide", "Ein_Film", *words)


def _state(decide: Command) -> dict[str, Any]:
    code, out, _ = decide("list", "--json")
    assert code == 0
    state: dict[str, Any] = json.loads(out)
    return state


def test_names_merges_and_what_is_nobody(decide: Command) -> None:
    groups = _state(decide)["groups"]
    first, second, *_ = sorted(name for name in groups if name.startswith("character_"))
    assert decide("name", first, "Hana")[:2] == (0, f"{first} → hana ({len(groups[first])})\n")
    assert decide("merge", second, "hana")[0] == 0
    face = groups[first][0]
    assert decide("drop", face)[:2] == (0, "1 face: not to be used\n")
    assert decide("name", face, "rem")[0] == 0
    now = _state(decide)["groups"]
    assert sorted([*now["hana"], *now["rem"]]) == sorted([*groups[first], *groups[second]])
    assert decide("not-a-character", "rem")[0] == 0
    assert _state(decide)["groups"]["not_a_character"] == [face]
    assert decide("restore", face)[0] == 0
    # without decisions of its own a face follows its group
    assert sorted(_state(decide)["groups"]["hana"]) == sorted([*groups[first], *groups[second]])
    assert decide("undo")[:2] == (0, "undo: 1 face: as the program sorted them\n")
    assert decide("redo")[:2] == (0, "redo: 1 face: as the program sorted them\n")
    assert decide("redo")[:2] == (0, "There is nothing to redo.\n")
    code, out, _ = decide()
    assert code == 0
    assert "faces  hana" in out
    assert "6 decisions stand in output/Ein_Film" in out


def test_duplicates_by_hand_and_what_the_next_run_does(decide: Command, animeset: Command, tmp_path: Path) -> None:
    rows = [
        json.loads(line) for line in next((tmp_path / "work").glob("*/2_dedupe-*/rows.jsonl")).open(encoding="utf-8")
    ]
    kept = [row["id"] for row in rows if row["dropped"] is None]
    dropped = next(row["id"] for row in rows if row["dropped"] == "duplicate")
    assert decide("duplicate", kept[0], "--of", kept[1])[:2] == (0, f"1 still: duplicate of {kept[1]}\n")
    assert decide("keep", dropped)[:2] == (0, "1 still: no duplicate\n")
    assert _state(decide)["stills"] == {kept[0]: "duplicate", dropped: "no duplicate"}
    film = tmp_path / "Ein Film ß.mp4"
    words = ("--preset", "draft", "--set", "extract.mode=fps", "--set", "extract.fps=3", "--until", "dedupe")
    assert animeset("run", film, *words)[0] == 0
    newest = max((tmp_path / "work").glob("*/2_dedupe-*/rows.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    now = {row["id"]: row for row in map(json.loads, newest.open(encoding="utf-8"))}
    assert (now[kept[0]]["dropped"], now[kept[0]]["duplicate_of"]) == ("duplicate", kept[1])
    assert now[dropped]["dropped"] is None
    assert decide("restore", kept[0], dropped)[0] == 0
    assert _state(decide)["stills"] == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("love", "x"), 2, "'love' is nothing that can be decided; expected list or one of name, merge,"),
        (("name", "hana"), 2, "name takes a GROUP or FACE..., then the NAME; got hana"),
        (("undo", "3"), 2, "undo takes nothing else; got 3"),
        (("keep", "x", "--of", "y"), 2, "--of says which still"),
        (("name", "nobody", "hana"), 1, "there is no group, face or still nobody in Ein_Film"),
        (("name", "character_01", "..."), 1, "has no letter or digit"),
        (("name", "character_01", "character_02", "hana"), 1, "to join several: merge character_01 character_02"),
        (("merge", "character_01", "nobody"), 1, "there is no group, face or still nobody"),
        (("drop", "character_01"), 1, "drop takes faces, and character_01 is a group"),
        (("keep", "character_01"), 1, "there is no still character_01"),
        (("duplicate", "x-1"), 1, "ids are <film>-<time in ms, 9 digits>, such as "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(
    decide: Command, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    got, _, complaint = decide(*words)
    assert got == code
    assert said in complaint
    assert complaint.startswith("error:")
    assert not list((tmp_path / "output").glob("*.jsonl"))


def test_films_are_found_by_file_name_or_id(decide: Command, animeset: Command, tmp_path: Path) -> None:
    folder = next((tmp_path / "work").glob("Ein_Film*")).name
    for film in ("Ein Film ß.mp4", folder, folder[-6:]):
        assert animeset("decide", film)[0] == 0
    code, _, complaint = animeset("decide", "Another")
    assert code == 1
    assert (
        f"no film matches 'Another' in work and output; expected a film's file, or part of the name or id of one of: {folder}"
        in complaint
    )


def test_the_cast_of_a_finished_film_is_decided_about_though_nothing_else_is_kept(
    decide: Command, animeset: Command, tmp_path: Path
) -> None:
    words = ("run", tmp_path / "Ein Film ß.mp4", "--preset", "draft")
    assert animeset(*words)[0] == 0
    assert os.listdir(tmp_path / "work") == [".locks"]
    before = _state(decide)
    group = before["groups"]["character_01"]
    still = next(iter(Deciding(next((tmp_path / "output").glob("*.cast")), tmp_path / "none")._stills))
    assert decide("name", "character_01", "Hana")[0] == 0
    assert decide("drop", group[0])[0] == 0
    assert decide("keep", still)[:2] == (0, "1 still: no duplicate\n")
    code, out, _ = animeset(*words, "--json")
    assert code == 0
    assert "hana" in json.loads(out)["characters"]
    assert _state(decide)["groups"]["hana"] == group


def test_undo_needs_no_sorting(decide: Command, tmp_path: Path) -> None:
    assert decide("name", "character_01", "hana")[0] == 0
    shutil.rmtree(tmp_path / "work")
    shutil.rmtree(next((tmp_path / "output").glob("*.cast")))
    assert decide("undo")[0] == 0
    for words in (("name", "character_01", "hana"), ("keep", "x")):
        assert "Ein_Film" in decide(*words)[2]
        assert "was not sorted yet; run the film, --until cast is enough" in decide(*words)[2]
