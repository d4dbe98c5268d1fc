"""Exports on the disk, and the command: whole or not at all, and nothing of a person's is lost."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.errors import InputError, SpaceError
from animeset_lib.export import write
from animeset_lib.export.files import MARKER
from animeset_lib.export.forms import WRITERS
from animeset_lib.export.lint import lint
from animeset_lib.export.plan import ExportOptions
from animeset_lib.export.write import export_films
from tests.export.film_on_disk import Shown, make_film

Call = Callable[..., tuple[int, str, str]]
PICTURE = "hana/train/hana_0001.png"
CAPTION = "hana/train/hana_0001.txt"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "output", {"hana": [Shown(), Shown(caption="hana, smile")]})


def export(film: Path, **changes: Any) -> write.Exported:
    _, (done,) = export_films([film], film.parent / "film.exports", ["onetrainer"], ExportOptions(), **changes)
    return done


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_on_the_disk(film: Path) -> None:
    done = export(film)
    assert (done.format, done.pictures, done.set_aside) == ("onetrainer", 2, None)
    assert sorted(tree(done.folder)) == [
        MARKER,
        "README.md",
        "concepts.json",
        CAPTION.replace("0001.txt", "0001.png"),
        CAPTION,
        PICTURE.replace("0001", "0002"),
        CAPTION.replace("0001", "0002"),
        "samples.json",
    ]
    assert (done.folder / CAPTION).read_bytes() == b"hana, 1girl, solo, smile\n"
    marker = json.loads((done.folder / MARKER).read_text())
    assert (marker["format"], marker["films"]) == ("onetrainer", ["0123456789ab"])
    assert set(marker["files"]) == set(tree(done.folder)) - {MARKER}
    assert sorted(path.name for path in done.folder.parent.iterdir()) == ["onetrainer"], "nothing half-made stays"


def test_pictures_are_linked_or_copied_never_encoded(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film / "hana" / "dataset" / "images" / "hana_0001.png"
    linked = export(film).folder / PICTURE
    assert linked.samefile(source)
    copied = export(film, copy=True).folder / PICTURE
    assert not copied.samefile(source)
    assert copied.read_bytes() == source.read_bytes()

    def no_links(*places: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", no_links)
    assert (export(film).folder / PICTURE).read_bytes() == source.read_bytes()


def test_a_link_inside_the_film_is_exported_as_what_it_shows(film: Path) -> None:
    images, captions = film / "hana" / "dataset" / "images", film / "hana" / "dataset" / "captions"
    (images / "again.png").symlink_to("hana_0001.png")
    (captions / "again.txt").write_text("hana, again\n")
    again = export(film).folder / "hana" / "train" / "again.png"
    assert not again.is_symlink()
    assert again.read_bytes() == (images / "hana_0001.png").read_bytes()


def test_captions_of_the_export_are_its_own(film: Path) -> None:
    caption = export(film).folder / CAPTION
    caption.write_text("mine")
    assert (film / "hana" / "dataset" / "captions" / "hana_0001.txt").read_text() == "hana, 1girl, solo, smile\n"


def test_again_gives_equal_bytes_and_follows_the_film(film: Path) -> None:
    first = tree(export(film).folder)
    again = export(film)
    assert (tree(again.folder), again.set_aside) == (first, None)
    (film / "hana" / "dataset" / "captions" / "hana_0002.txt").write_text("hana, edited")
    assert tree(export(film).folder)[CAPTION.replace("0001", "0002")] == b"hana, edited\n"
    (film / "hana" / "dataset" / "images" / "hana_0001.png").unlink()
    assert PICTURE not in tree(export(film).folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / CAPTION).write_text("hana, mine\n"),
        lambda folder: (folder / "hana" / "train" / "more.png").write_bytes(b"x"),
        lambda folder: (folder / CAPTION).unlink(),
        lambda folder: (folder / "hana.safetensors").write_bytes(b"a trained network"),
        lambda folder: [(folder / "output").mkdir(), (folder / "output" / "hana.safetensors").write_bytes(b"x")],
    ],
    ids=["changed", "added", "removed", "a network", "a network in a folder"],
)
def test_what_a_person_or_a_training_made_is_set_aside(film: Path, edit: Callable[[Path], object]) -> None:
    folder = export(film).folder
    before = tree(folder)
    edit(folder)
    edited = tree(folder)
    again = export(film)
    assert again.set_aside == folder.with_name("onetrainer.edited-1")
    assert tree(again.set_aside) == edited
    assert tree(again.folder) == before
    edit(folder)
    assert export(film).set_aside == folder.with_name("onetrainer.edited-2")


def test_caches_of_trainers_are_no_edits(film: Path) -> None:
    folder = export(film).folder
    for name in (
        "hana/train/hana_0001_0064x0064_sdxl.npz",
        "hana/train/metadata_cache.json",
        "hana/train/.aitk_size.json",
        "hana/train/_latent_cache/hana_0001.safetensors",
        ".DS_Store",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    again = export(film)
    assert again.set_aside is None
    assert not (folder / "hana/train/_latent_cache").exists()


def test_other_peoples_folders_are_left_alone(film: Path, tmp_path: Path) -> None:
    mine = film.parent / "film.exports" / "onetrainer"
    mine.mkdir(parents=True)
    (mine / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="no export of animeset"):
        export(film)
    assert tree(mine) == {"a.txt": b"mine"}
    place = tmp_path / "place"
    export_films([film], place, ["onetrainer"], ExportOptions())
    other = make_film(tmp_path / "output", {"hana": [Shown()]}, name="other", film_id="f" * 12)
    with pytest.raises(InputError, match="export of another film"):
        export_films([other], place, ["onetrainer"], ExportOptions())
    with pytest.raises(InputError, match="inside the published film"):
        export_films([film], film / "exports", ["onetrainer"], ExportOptions())
    with pytest.raises(InputError, match="expected some of kohya"):
        export_films([film], place, ["koyha"], ExportOptions())


def test_a_full_disk_leaves_the_earlier_export(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = export(film).folder
    before = tree(folder)

    def full(*places: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(write, "_place", full)
    with pytest.raises(SpaceError, match="free some space"):
        export(film)
    assert tree(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["onetrainer"]


@pytest.mark.parametrize("left", [".onetrainer.new", ".onetrainer.old"])
def test_what_an_interrupted_export_left_is_cleared(film: Path, left: str) -> None:
    place = film.parent / "film.exports"
    (place / left).mkdir(parents=True)
    (place / left / "half.png").write_bytes(b"x")
    export(film)
    assert [path.name for path in place.iterdir()] == ["onetrainer"]


# --------------------------------------------------------------------------------------------------------- the command


def test_the_command(animeset: Call, film: Path) -> None:
    code, out, _ = animeset("export", "film", "--per-epoch", "10")
    assert code == 0
    assert "hana (hana): 2 x 5 = 10 pictures per epoch" in out
    exports = film.parent / "film.exports"
    assert sorted(path.name for path in exports.iterdir()) == sorted(WRITERS)
    code, out, _ = animeset("export", film, "--format", "kohya, onetrainer", "--to", "there", "--json")
    answer = json.loads(out)
    assert [one["folder"] for one in answer["formats"]] == [str(Path("there/kohya")), str(Path("there/onetrainer"))]
    assert answer["characters"] == [
        {
            "name": "hana",
            "trigger": "hana",
            "sets": [{"name": "", "pictures": 2, "repeats": 1}],
            "per_epoch": 2,
            "validation": 0,
        }
    ]
    assert (answer["resolution"], answer["regularisation"], answer["notes"]) == (512, 0, [])
    (exports / "kohya" / "hana" / "meta.json").write_text("{}")
    assert "kohya.edited-1" in animeset("export", "0123456789ab", "--format", "kohya")[1]


def test_a_prefix_may_name_the_format(animeset: Call, film: Path) -> None:
    assert animeset("export", "film", "--path-prefix", "../x/{format}")[0] == 0
    concepts = json.loads((film.parent / "film.exports" / "onetrainer" / "concepts.json").read_text())
    assert concepts[0]["path"] == "../x/onetrainer/hana/train"
    assert (
        '"../x/kohya/hana/img/1_hana"'
        in (film.parent / "film.exports" / "kohya" / "hana" / "dataset_config.toml").read_text()
    )


def test_a_series_has_a_place_of_its_own(animeset: Call, film: Path) -> None:
    make_film(film.parent, {"hana": [Shown()]}, name="film2", film_id="b" * 12)
    code, _, complaint = animeset("export", "film", "film2", "--format", "onetrainer")
    assert (code, "--to" in complaint) == (2, True)
    assert animeset("export", "film", "film2", "--format", "onetrainer", "--to", "series")[0] == 0
    assert (Path("series") / "onetrainer" / "hana" / "train" / "film2_hana_0001.png").is_file()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ["nothing"],
            1,
            "no published film matches 'nothing' in output; expected the path of a published folder, or part",
        ),
        (["f"], 1, "several published films match 'f'"),
        (["film", "--format", "koyha"], 2, "--format koyha is not known"),
        (["film", "--by", "shoes"], 2, "expected one of character, outfit, emotion"),
        (["film", "--characters", "ren"], 1, "no character is called ren"),
        (["film", "--validation", "2"], 1, "0 to 0.5"),
    ],
)
def test_what_the_command_refuses(animeset: Call, film: Path, words: list[str], code: int, says: str) -> None:
    make_film(film.parent, {"hana": [Shown()]}, name="first", film_id="c" * 12)
    got, _, complaint = animeset("export", *words)
    assert (got, says in complaint) == (code, True), complaint


def test_a_note_is_said(animeset: Call, film: Path) -> None:
    (film / "hana" / "dataset" / "captions" / "hana_0002.txt").unlink()
    code, out, notes = animeset("export", "film", "--format", "onetrainer")
    assert code == 0
    assert "hana_0002.png is left out: it has no caption" in notes
    assert "1 x 1 = 1" in out


def test_a_place_that_is_a_file_is_refused(animeset: Call, film: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, complaint = animeset("export", "film", "--to", str(tmp_path / "notes.txt"))
    assert (code, "is a file" in complaint) == (1, True)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_prefix_that_was_asked_for_is_a_warning_and_any_other_absolute_path_an_error(
    animeset: Call, film: Path, tmp_path: Path
) -> None:
    place = tmp_path / "there"
    code, _, _ = animeset(
        "export", "film", "--to", str(place), "--format", "kohya", "--path-prefix", f"{place}/{{format}}"
    )
    assert code == 0
    codes = {(finding.level, finding.code) for finding in lint(place).findings}
    assert ("warning", "absolute_path") in codes
    assert ("error", "absolute_path") not in codes
    (place / "kohya" / MARKER).unlink()
    assert ("error", "absolute_path") in {(finding.level, finding.code) for finding in lint(place).findings}


def test_what_nothing_is_known_of_is_said(animeset: Call, film: Path) -> None:
    make_film(film.parent, {"hana": [Shown(emotion="unknown")] * 2}, name="dull", film_id="d" * 12)
    code, _, notes = animeset("export", "dull", "--by", "emotion", "--format", "onetrainer")
    assert code == 0
    assert "hana: no picture's emotion is known, so all are one set" in notes


def test_lint_finds_a_film_by_name_and_one_character_is_no_film(animeset: Call, film: Path) -> None:
    assert "hana" in animeset("lint", "film")[1]
    code, _, complaint = animeset("export", "output/film/hana")
    assert (code, "name the film's" in complaint) == (1, True)
