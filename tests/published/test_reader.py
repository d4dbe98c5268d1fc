"""Reading a published film as people may have left it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from animeset_lib.errors import InputError
from animeset_lib.published.reader import PublishedFilm, read_film
from animeset_lib.published.series import join_films
from tests.export.film_on_disk import Shown, make_film, write_picture


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path, {"hana": [Shown(), Shown(outfit="kimono", shot=3, mask=True), Shown()]}, scenery=2)


def stems(film: PublishedFilm, character: int = 0) -> list[str]:
    return [picture.stem for picture in film.characters[character].pictures]


def captions(folder: Path) -> Path:
    return folder / "hana" / "dataset" / "captions"


def images(folder: Path) -> Path:
    return folder / "hana" / "dataset" / "images"


def test_what_was_published(film: Path) -> None:
    read = read_film(film)
    (hana,) = read.characters
    assert (read.name, read.film_ids, read.sources, read.training_px) == ("film", ("0123456789ab",), ("film.mp4",), 512)
    assert (hana.name, hana.trigger, read.notes) == ("hana", "hana", ())
    second = hana.pictures[1]
    assert (second.stem, second.caption, second.outfit, second.emotion) == (
        "hana_0002",
        "hana, 1girl, solo, smile",
        "kimono",
        "smile",
    )
    assert (second.framing, second.background, second.view) == ("face", "indoors", "front")
    assert (second.shot, second.time_ms, second.rank, second.width, second.height) == (3, 2000, 2, 64, 64)
    assert second.sha256 == second.row["sha256"]
    assert second.mask == film / "hana" / "dataset" / "masks" / "hana_0002.png"
    assert hana.pictures[0].mask is None
    assert [picture.caption for picture in read.regularisation] == ["no_humans, forest"] * 2


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("hana, edited by hand", "hana, edited by hand"),
        ("hana,smile ,, smile,\n", "hana, smile"),
        ("hana, smile\r\nstanding\n\nindoors", "hana, smile, standing, indoors"),
        ("\ufeffhana\u2028smile\t wide", "hana, smile wide"),
        ("Häna, (o)_(o)", "Häna, (o)_(o)"),
    ],
)
def test_the_caption_is_what_the_file_says_now(film: Path, text: str, caption: str) -> None:
    (captions(film) / "hana_0001.txt").write_bytes(text.encode())
    assert read_film(film).characters[0].pictures[0].caption == caption


def test_a_picture_without_a_row_counts(film: Path) -> None:
    write_picture(images(film) / "mine.png", 7)
    (captions(film) / "mine.txt").write_text("hana, smile")
    mine = read_film(film).characters[0].pictures[-1]
    assert (mine.stem, mine.outfit, mine.shot, mine.rank, dict(mine.row)) == ("mine", "unknown", None, None, {})


@pytest.mark.parametrize(
    ("harm", "note"),
    [
        (lambda film: (images(film) / "hana_0002.png").unlink(), "hana_0002.png is in the manifest but gone"),
        (lambda film: (captions(film) / "hana_0002.txt").unlink(), "it has no caption; write captions/hana_0002.txt"),
        (lambda film: (captions(film) / "hana_0002.txt").write_text(" ,\n"), "is empty; write at least the trigger"),
        (lambda film: (captions(film) / "hana_0002.txt").write_bytes(b"h\xe4na"), "cannot be read as UTF-8"),
        (lambda film: (images(film) / "hana_0002.png").write_bytes(b"GIF89a"), "cannot be read as a picture"),
    ],
    ids=["picture gone", "caption gone", "caption empty", "caption not UTF-8", "picture damaged"],
)
def test_what_cannot_be_used_is_left_out_and_said(film: Path, harm: object, note: str) -> None:
    assert callable(harm)
    harm(film)
    read = read_film(film)
    assert stems(read) == ["hana_0001", "hana_0003"]
    (said,) = read.notes
    assert "hana_0002" in said
    assert note in said


def test_other_files_among_the_pictures(film: Path) -> None:
    write_picture(images(film) / "HANA_0001.jpg", 5)
    (captions(film) / "HANA_0001.txt").write_text("hana")
    (images(film) / "notes.psd").write_text("x")
    (images(film) / ".DS_Store").write_text("x")
    read = read_film(film)
    assert stems(read) == ["hana_0001", "hana_0002", "hana_0003"]
    assert len(read.notes) == 2
    assert "caption file would be that of hana_0001.png" in read.notes[0]
    assert "notes.psd" in read.notes[1]


def test_a_mask_of_another_size_is_not_used(film: Path) -> None:
    write_picture(film / "hana" / "dataset" / "masks" / "hana_0002.png", 1, (32, 64), "L")
    read = read_film(film)
    assert read.characters[0].pictures[1].mask is None
    assert "expected 64x64, got 32x64" in read.notes[0]


def test_without_a_manifest_of_rows_attributes_are_unknown(film: Path) -> None:
    (film / "hana" / "metadata.jsonl").write_text('{"no": "name"}\nnot json\n')
    read = read_film(film)
    assert {picture.outfit for picture in read.characters[0].pictures} == {"unknown"}
    assert [note.split(":")[1] for note in read.notes] == [
        " line 1 of metadata.jsonl is no row and is left out",
        " line 2 of metadata.jsonl is no row and is left out",
    ]


@pytest.mark.parametrize(
    ("first_tags", "trigger"),
    [(["a", "b", "b"], "b"), (["b", "a", "c"], "a"), (["x y", "x y", "z"], "x y")],
)
def test_the_trigger_is_the_most_frequent_first_tag(tmp_path: Path, first_tags: list[str], trigger: str) -> None:
    folder = make_film(tmp_path, {"hana": [Shown(caption=f"{tag}, smile") for tag in first_tags]})
    assert read_film(folder).characters[0].trigger == trigger


@pytest.mark.parametrize(
    ("captions_", "traits", "trigger"),
    [
        (["1girl, solo, hana", "1girl, hana", "1girl, smile"], {"trigger": "hana"}, "hana"),
        # renamed in the captions since: two thirds do not hold it any more
        (["kai, 1girl", "kai, smile", "hana, 1girl"], {"trigger": "hana"}, "kai"),
        (["1girl, hana"], {"trigger": 7}, "1girl"),
        (["1girl, hana"], [], "1girl"),
    ],
)
def test_a_trigger_that_a_template_puts_later_is_known_from_the_traits(
    tmp_path: Path, captions_: list[str], traits: object, trigger: str
) -> None:
    folder = make_film(tmp_path, {"hana": [Shown(caption=caption) for caption in captions_]})
    (folder / "hana" / "traits.json").write_text(json.dumps(traits))
    assert read_film(folder).characters[0].trigger == trigger


def test_what_lies_beside_is_read(film: Path) -> None:
    (film / "hana" / "subsets.json").write_text('{"outfits": []}')
    (film / "hana" / "traits.json").write_text("{broken")
    read = read_film(film)
    assert (read.characters[0].subsets, read.characters[0].traits) == ({"outfits": []}, None)
    assert "traits.json cannot be read" in read.notes[0]


def test_what_is_no_published_film_is_refused(tmp_path: Path, film: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"no published film.*a folder without a readable"):
        read_film(tmp_path / "other")
    with pytest.raises(InputError, match=r"no published film.*no such folder"):
        read_film(tmp_path / "nowhere")
    shutil.rmtree(captions(film))
    with pytest.raises(InputError, match="no picture with a caption"):
        read_film(film)


def test_a_series_joins_characters_by_name(tmp_path: Path) -> None:
    one = make_film(tmp_path, {"hana": [Shown()], "ren": [Shown(caption="ren")]}, name="ep1", scenery=1)
    two = make_film(
        tmp_path,
        {"hana": [Shown(caption="Hana, x"), Shown(caption="Hana, y")]},
        name="ep2",
        film_id="b" * 12,
        scenery=1,
    )
    series = join_films([read_film(one), read_film(two)])
    assert [(c.name, c.trigger, [p.stem for p in c.pictures]) for c in series.characters] == [
        ("hana", "Hana", ["ep1_hana_0001", "ep2_hana_0001", "ep2_hana_0002"]),
        ("ren", "ren", ["ep1_ren_0001"]),
    ]
    assert series.film_ids == ("0123456789ab", "b" * 12)
    assert [picture.stem for picture in series.regularisation] == ["ep1_scenery_0001", "ep2_scenery_0001"]
    assert series.notes == (
        "hana of ep2 is joined with that of ep1 by the name alone: there are no vectors of one embedder to compare",
        "hana: ep1 has the trigger hana; its captions get Hana, the most frequent",
    )
    assert {picture.tags[0] for picture in series.characters[0].pictures} == {"Hana"}


def test_films_of_one_name_do_not_collide(tmp_path: Path) -> None:
    one = read_film(make_film(tmp_path / "a", {"hana": [Shown()]}))
    two = read_film(make_film(tmp_path / "b", {"hana": [Shown()]}, film_id="b" * 12))
    assert stems(join_films([one, two])) == ["film_0123456789ab_hana_0001", f"film_{'b' * 12}_hana_0001"]
    assert join_films([one]) is one
    with pytest.raises(InputError, match="more than once"):
        join_films([one, one])
    with pytest.raises(InputError, match="no film"):
        join_films([])


def test_the_row_is_there_whole(film: Path) -> None:
    first = json.loads((film / "hana" / "metadata.jsonl").read_text().splitlines()[0])
    assert read_film(film).characters[0].pictures[0].row == first


@pytest.mark.parametrize(
    "line",
    ['{"file_name": 5}', '{"file_name": "a\\u0000b"}', '{"file_name": "\\ud800"}', "[" * 100_000, "[1, 2]", "null"],
)
def test_a_row_from_anybody_is_noted_and_left_out(film: Path, line: str) -> None:
    rows = film / "hana" / "metadata.jsonl"
    rows.write_text(f"{rows.read_text()}{line}\n")
    read = read_film(film)
    assert read.notes == ("hana: line 4 of metadata.jsonl is no row and is left out",)
    assert stems(read) == ["hana_0001", "hana_0002", "hana_0003"]


@pytest.mark.parametrize("value", [10**400, True, "12", [1], float("nan")])
def test_a_number_that_no_table_holds_is_unknown(film: Path, value: object) -> None:
    edit_rows(film, time_ms=value, shot=value, rank=value)
    first = read_film(film).characters[0].pictures[0]
    assert (first.time_ms, first.shot, first.rank) == (None, None, None)


def edit_rows(film: Path, **values: object) -> None:
    rows = film / "hana" / "metadata.jsonl"
    edited = [{**json.loads(line), **values} for line in rows.read_text().splitlines()]
    rows.write_text("".join(json.dumps(row) + "\n" for row in edited))


@pytest.mark.parametrize("settings", [None, [1], "x"])
def test_settings_that_are_none(film: Path, settings: object) -> None:
    manifest = json.loads((film / "animeset.json").read_text())
    (film / "animeset.json").write_text(json.dumps({**manifest, "settings": settings}))
    assert read_film(film).training_px is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"film": "\\ud800"}'])
def test_a_manifest_that_nobody_can_read_is_no_film(film: Path, text: str) -> None:
    (film / "animeset.json").write_text(text)
    with pytest.raises(InputError, match="no published film"):
        read_film(film)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody's own picture and text beside the film."""
    write_picture(tmp_path / "own" / "images" / "own.png", 77)
    (tmp_path / "own" / "captions").mkdir()
    (tmp_path / "own" / "captions" / "own.txt").write_text("private, words\n")
    return tmp_path / "own"


def link(place: Path, to: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(to)


@pytest.mark.parametrize(
    ("inside", "target", "left"),
    [
        ("dataset/images/hana_0002.png", "images/own.png", ["hana_0001", "hana_0003"]),
        ("dataset/captions/hana_0002.txt", "captions/own.txt", ["hana_0001", "hana_0003"]),
        ("dataset/masks/hana_0002.png", "images/own.png", ["hana_0001", "hana_0002", "hana_0003"]),
    ],
)
def test_a_link_out_of_the_film_is_not_followed(
    film: Path, outside: Path, inside: str, target: str, left: list[str]
) -> None:
    link(film / "hana" / inside, outside / target)
    read = read_film(film)
    assert stems(read) == left
    assert len(read.notes) == 1
    assert "leads out of the film's folder" in read.notes[0]
    assert all(picture.mask is None for picture in read.characters[0].pictures)


def test_a_character_that_is_a_link_out_of_the_film_is_left_out(film: Path, outside: Path) -> None:
    link(film / "mika", outside)
    outside.joinpath("dataset").mkdir()
    (outside / "images").rename(outside / "dataset" / "images")
    (outside / "captions").rename(outside / "dataset" / "captions")
    read = read_film(film)
    assert [character.name for character in read.characters] == ["hana"]
    assert "mika: own.png is left out: it is a link that leads out of the film's folder" in read.notes[-1]


def test_a_link_to_itself_is_a_picture_that_is_gone(film: Path) -> None:
    link(images(film) / "hana_0002.png", Path("hana_0002.png"))
    read = read_film(film)
    assert stems(read) == ["hana_0001", "hana_0003"]
    assert "hana_0002.png is in the manifest but gone" in read.notes[0]


def test_hidden_folders_are_somebodys_own(film: Path) -> None:
    shutil.copytree(film / "hana", film / ".hana.old")
    assert [character.name for character in read_film(film).characters] == ["hana"]


def test_captions_written_anew_with_another_trigger_are_believed(tmp_path: Path) -> None:
    folder = make_film(tmp_path, {"hana": [Shown(caption="zzz hana, solo, hana, dress")] * 3})
    (folder / "hana" / "traits.json").write_text('{"trigger": "hana", "trigger_first": true}', encoding="utf-8")
    assert read_film(folder).characters[0].trigger == "zzz hana"
