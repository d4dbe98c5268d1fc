"""`animeset captions`: what it lists and writes, what it says, and the way of an edit through real runs of the pipeline."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.pipeline import Folders, RunResult, run_film
from animeset_lib.pipeline import run as room
from animeset_lib.published.publish import changed_files
from animeset_lib.settings import load_settings
from tests.fakes import FakeModels
from tests.published.small_world import FIRST, A, B, C, World
from tests.run.killed_run import SETTINGS
from tests.run.test_kill_pipeline import _film

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.run(FIRST)
    return world


@pytest.fixture
def captions(world: World, animeset: Command) -> Command:
    """`captions("add", "smile")` on the film of `world`, in its project folder."""
    return lambda *words: animeset("captions", "Film", *words)


def _answer(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def _zipped(world: World, name: str) -> str:
    with zipfile.ZipFile(world.output / "Film.zip") as archive:
        return archive.read(f"Film/{name}").decode()


def test_captions_are_listed_with_what_was_edited_and_what_is_wrong(captions: Command, world: World) -> None:
    world.write(B, "hana\nsmile\n")
    assert captions("list")[:2] == (
        0,
        "  hana_0001  hana, 1girl, long_hair, smile\n"
        "* hana_0002  hana\nsmile\n    the caption has more than one line\n"
        "  レム_0001  レム, 1girl, blue_hair\n"
        "3 captions, 1 edited\n",
    )
    assert captions("list", "--edited", "--character", "レム")[1] == "0 captions, 0 edited\n"
    rows = _answer(captions("list", "--json", "--tag", "1girl", "--missing", "smile"))
    assert [(row["image"], row["edited"], row["machine_text"]) for row in rows] == [(C.image, False, C.caption)]
    assert not world.log.exists()  # who only reads takes nothing in


def test_tags_are_counted(captions: Command) -> None:
    assert captions("tags", "--character", "hana")[1] == (
        "     2  1girl\n     2  hana\n     2  long_hair\n     1  indoors\n     1  smile\n5 tags on 2 captions\n"
    )
    assert _answer(captions("tags", "--tag", "blue hair", "--json")) == {"1girl": 1, "blue_hair": 1, "レム": 1}


def test_a_preview_shows_word_by_word_and_writes_nothing(captions: Command, world: World) -> None:
    world.write(C, "レム, by an editor\n")
    before = {path: path.read_bytes() for path in world.output.rglob("*") if path.is_file()}
    code, out, err = captions("replace", "long_hair", "very_long_hair, wind", "--preview")
    assert (code, err) == (0, "")
    assert out == (
        "  hana_0001  hana, 1girl, [-long_hair-], {+very_long_hair+}, {+wind+}, smile\n"
        "  hana_0002  hana, 1girl, [-long_hair-], {+very_long_hair+}, {+wind+}, indoors\n"
        "2 of 3 captions would change: hana 2\n"
        "Nothing was written; the same without --preview does it.\n"
    )
    answer = _answer(captions("replace", "long_hair", "bob_cut", "--preview", "--json"))
    assert (answer["written"], answer["looked_at"], answer["changed"]) == (False, 3, {"hana": 2})
    assert answer["changes"][0] == {"image": A.image, "before": A.caption, "after": "hana, 1girl, bob_cut, smile"}
    assert {path: path.read_bytes() for path in world.output.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "first", "second", "third"),
    [
        (("add", "a, b"), "hana, a, b, 1girl, long_hair, smile", "hana, a, b, 1girl, long_hair, indoors", "レム, a, b, 1girl, blue_hair"),
        (("add", "a", "--end", "--character", "hana"), f"{A.caption}, a", f"{B.caption}, a", C.caption),
        (("add", "a", "--tag", "smile"), "hana, a, 1girl, long_hair, smile", B.caption, C.caption),
        (("add", "a", "--missing", "long hair", "--end"), A.caption, B.caption, f"{C.caption}, a"),
        (("add", "a", "--end", "--image", "hana_0002", "--image", C.image), A.caption, f"{B.caption}, a", f"{C.caption}, a"),
        (("remove", "1girl, smile"), "hana, long_hair", "hana, long_hair, indoors", "レム, blue_hair"),
        (("replace", "hana", "h4n4"), "h4n4, 1girl, long_hair, smile", "h4n4, 1girl, long_hair, indoors", C.caption),
        (
            ("replace", "--regex", r"(\w+)_hair", r"\1 hair"),
            *("hana, 1girl, long hair, smile", "hana, 1girl, long hair, indoors", "レム, 1girl, blue hair"),
        ),
        (("replace", "--regex", ", smile", ""), "hana, 1girl, long_hair", B.caption, C.caption),
        (("set", "hana_0002.png", "hana,  mine"), A.caption, "hana, mine", C.caption),
        (
            ("recaption", "--set", "caption.underscores=false", "--set", "caption.style=", "--character", "hana"),
            *("hana, 1girl, long hair, smile", "hana, 1girl, long hair, indoors", C.caption),
        ),
    ],
)  # fmt: skip
def test_an_edit_is_written_zipped_and_undone(
    captions: Command, world: World, words: tuple[str, ...], first: str, second: str, third: str
) -> None:
    wanted = {pic: f"{text}\n" for pic, text in zip(FIRST, (first, second, third), strict=True)}
    changed = [pic for pic in FIRST if wanted[pic] != f"{pic.caption}\n"]
    code, out, err = captions(*words)
    assert (code, err) == (0, "")
    assert {pic: world.read(pic).decode() for pic in FIRST} == wanted
    assert {pic: _zipped(world, pic.file) for pic in FIRST} == wanted
    assert f"{len(changed)} of " in out
    assert out.endswith("Undo: animeset captions Film undo\nZip:  output/Film.zip\n")
    code, out, _ = captions("undo")
    assert code == 0
    assert "Undo takes back next: nothing; redo makes again: " in out
    assert {pic: world.read(pic).decode() for pic in FIRST} == {pic: f"{pic.caption}\n" for pic in FIRST}
    assert _zipped(world, A.file) == f"{A.caption}\n"
    assert captions("redo")[0] == 0
    assert {pic: world.read(pic).decode() for pic in FIRST} == wanted
    assert [entry["undone"] for entry in _answer(captions("history", "--json"))] == [False]


def test_what_was_edited_outside_is_in_the_history_and_undone(captions: Command, world: World) -> None:
    world.write(A, "hana, mine\n")
    lines = captions("history")[1].splitlines()
    assert [line[25:] for line in lines[:1]] == ["edited outside"]
    assert lines[1:] == ["Undo takes back: edited outside"]
    assert captions("undo")[1].startswith("undo: edited outside: 1 caption changed\n")
    assert world.read(A) == f"{A.caption}\n".encode()


def test_the_history_is_told(captions: Command) -> None:
    assert captions("add", "a")[0] == 0
    assert captions("set", "レム_0001", "レム, " + "long words " * 20)[0] == 0
    assert captions("undo")[0] == 0
    lines = captions("history")[1].splitlines()
    assert [line[25:] for line in lines[:2]] == [
        "+ a (3)",
        "レム_0001: レム, long words long words long words long words long words long words… (1)  (undone)",
    ]
    assert lines[2:] == ["Undo takes back: + a (3)"]
    answer = _answer(captions("undo", "--json"))
    assert (answer["undo"], answer["changed"], answer["can_undo"]) == ("+ a (3)", 3, None)


def test_a_zip_is_left_alone_where_that_is_asked_for(captions: Command, world: World) -> None:
    before = (world.output / "Film.zip").read_bytes()
    code, out, _ = captions("add", "a", "--no-zip")
    assert (code, out.splitlines()[-1]) == (0, "The zip is as it was (--no-zip).")
    assert (world.output / "Film.zip").read_bytes() == before


def test_restoring_and_tidying(captions: Command, world: World) -> None:
    world.write(A, "hana,, mine , MINE\n")
    code, out, _ = captions("tidy")
    assert (code, world.read(A)) == (0, b"hana, mine\n")
    assert '(was "hana,, mine , MINE")' not in out
    assert "  hana_0001  hana, mine, [-MINE-]\n" in out
    world.write(B, "hana ,mine\n")
    assert '  hana_0002  hana, mine  (was "hana ,mine")\n' in captions("tidy", "--preview")[1]
    assert captions("restore", "--image", "hana_0001")[0] == 0
    assert (world.read(A), world.read(B)) == (f"{A.caption}\n".encode(), b"hana ,mine\n")
    assert captions("restore")[0] == 0
    assert {pic: world.read(pic).decode() for pic in FIRST} == {pic: f"{pic.caption}\n" for pic in FIRST}
    assert captions("restore")[:2] == (0, "No caption becomes another; 3 captions looked at.\n")


def test_captions_are_written_anew_as_traits_and_settings_say(captions: Command, world: World) -> None:
    world.write(B, "hana, mine\n")
    trait = {"category": "hair", "pictures": 3, "count": 3, "share": 1.0, "rest_share": 0.0, "lift": 21.0, "core": True}
    (world.folder / "hana" / "traits.json").write_text(json.dumps({"traits": [{"tag": "long_hair", **trait}]}))
    (world.output / "Film-0123456789ab.traits.toml").write_text('["レム"]\nalways_drop = ["blue_hair"]\n', "utf-8")
    words = ("recaption", "--set", "caption.style=x", "--set", "caption.core_traits=drop")
    code, out, _ = captions(*words)
    assert code == 0
    assert [world.read(pic).decode() for pic in FIRST] == [
        "hana, 1girl, smile, x\n",
        "hana, mine\n",
        "レム, 1girl, x\n",
    ]
    assert "somebody edited 1 caption that stays so; --include-edited takes it, too\n" in out
    assert captions(*words, "--include-edited")[0] == 0
    assert world.read(B) == b"hana, 1girl, indoors, x\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("Filn", "list"), 1, "no published film matches 'Filn' in output; expected the path of a published folder"),
        (("Film", "list", "--character", "hanna"), 1, "no character hanna in Film; there are hana, レム"),
        (("Film", "add", "a", "--image", "x"), 1, "no picture is called x in Film; expected one such as hana/dataset"),
        (("Film", "add", " , "), 1, "there is no tag to add"),
        (("Film", "remove", "hana"), 1, "this would take away the first tag, or the trigger word"),
        (("Film", "replace", "--regex", "(", ""), 1, "is no regular expression that can be used"),
        (("Film", "set", "hana_0001", ""), 1, "this would leave no caption for hana_0001.png"),
        (("Film", "undo"), 1, "there is no caption edit to undo"),
        (("Film", "recaption", "--set", "tag.score_min=1"), 2, "recaption takes settings such as caption.underscores"),
        (("Film", "recaption", "--set", "caption.stile=x"), 2, "unknown setting"),
        (("Film", "recaption", "--set", "caption.template={people}"), 2, "the template must hold"),
        (("Film", "shout"), 2, "No such command 'shout'"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_changes_nothing(
    animeset: Command, world: World, words: tuple[str, ...], code: int, said: str
) -> None:
    before = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    got, _, err = animeset("captions", *words)
    assert got == code
    assert said in err
    assert code == 2 or len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()} == before


def test_a_film_is_named_by_its_folder_wherever_it_is(animeset: Command, world: World, tmp_path: Path) -> None:
    (tmp_path / "output").rename(tmp_path / "elsewhere")
    assert animeset("captions", tmp_path / "elsewhere" / "Film", "add", "a")[0] == 0
    assert animeset("captions", "0123", "list", "--edited", "--output", tmp_path / "elsewhere")[1].endswith(
        "3 edited\n"
    )


def test_an_edit_goes_through_real_runs(animeset: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "Zoo", FakeModels)
    film = _film(tmp_path / "film.mkv")
    folders = Folders(tmp_path / "output", tmp_path / "work", tmp_path / "logs")

    def run(*more: str) -> RunResult:
        return run_film(film, load_settings(assignments=[*SETTINGS, *more]), folders, keep_work=True)

    folder = tmp_path / "output" / "film"
    run()
    first, second, *_ = sorted(folder.glob("character_01/dataset/captions/*.txt"))
    machine = first.read_text(encoding="utf-8")
    first.write_text("character_01, my own words", encoding="utf-8")
    assert animeset("captions", "film", "add", "added", "--image", second.stem)[0] == 0
    added = second.read_text(encoding="utf-8")
    again = run()
    assert again.up_to_date
    assert again.published is not None
    assert [note for note in again.notes if "by hand" in note] == []
    # other settings: other captions, the same pictures
    other = run("caption.style=other_style")
    assert other.published is not None
    assert (other.up_to_date, other.published.set_aside) == (False, None)
    assert first.read_text(encoding="utf-8") == "character_01, my own words"
    assert second.read_text(encoding="utf-8") == added
    third = sorted(folder.glob("character_01/dataset/captions/*.txt"))[2]
    assert third.read_text(encoding="utf-8").endswith(", other_style\n")
    log = (tmp_path / "logs" / "process.log").read_text(encoding="utf-8")
    assert "captions edited by hand: 2; later runs keep them" in log
    assert "2 captions edited by hand were kept" in log
    rows = [json.loads(line) for line in (folder / "character_01" / "metadata.jsonl").open(encoding="utf-8")]
    assert rows[0]["text"] == machine.strip().replace("anime_style", "other_style")
    assert [line["words"] for line in _answer(animeset("captions", "film", "history", "--json"))] == [
        "edited outside",
        "+ added (1)",
    ]
    # the program's own again, also for later runs
    assert animeset("captions", "film", "restore")[0] == 0
    assert run().published is not None
    assert (first.read_text(encoding="utf-8"), changed_files(folder)) == (machine, set())
