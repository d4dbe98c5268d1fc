"""Who of one film is whom of another: by names that people gave and by the vectors in cast.json, never by a number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animeset_lib.cast.cast_file import CastCharacter, CastEmbedder, CastFile, save_cast
from animeset_lib.export.lint import lint
from animeset_lib.export.plan import ExportOptions
from animeset_lib.export.write import export_films
from animeset_lib.published.reader import PublishedFilm, read_film
from animeset_lib.published.series import join_films
from tests.export.film_on_disk import Shown, make_film

BLUE, PINK, GREEN = np.eye(4)[:3]


def film(output: Path, name: str, cast: dict[str, np.ndarray], digest: str = "d", trigger: str = "{}") -> PublishedFilm:
    """A published film in which these people have these looks, each in three pictures."""
    shown = {
        one: [Shown(caption=f"{trigger.format(one)}, 1girl, {name}_{number}") for number in range(3)] for one in cast
    }
    folder = make_film(output, shown, name=name, film_id=name.ljust(12, "0"))
    characters = [
        CastCharacter(
            name=one,
            source="cluster",
            regions=3,
            clusters=(0,),
            cluster_sizes=(3,),
            vectors=tuple(_unit(look + off) for off in (0.0, 0.05)),
        )
        for one, look in cast.items()
    ]
    embedder = CastEmbedder(name="e", digest=digest, dim=4, same_distance=0.3)
    save_cast(folder / "cast.json", CastFile(embedder=embedder, characters=tuple(characters)))
    return read_film(folder)


def _unit(vector: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in vector / np.linalg.norm(vector))


def joined(*films: PublishedFilm) -> dict[str, list[str]]:
    """Name → the films' own names of this person, by the pictures' stems."""
    return {
        one.name: list(dict.fromkeys(picture.stem.rsplit("_", 1)[0] for picture in one.pictures))
        for one in join_films(films).characters
    }


def test_one_number_for_two_people_is_kept_apart_and_said(tmp_path: Path) -> None:
    one, two = film(tmp_path, "ep01", {"character_01": BLUE}), film(tmp_path, "ep03", {"character_01": PINK})
    series = join_films([one, two])
    assert [(c.name, c.trigger, {p.tags[0] for p in c.pictures}) for c in series.characters] == [
        (name, name, {name}) for name in ("ep01_character_01", "ep03_character_01")
    ]
    assert series.notes == tuple(
        f"character_01 of {ep} is kept apart as {ep}_character_01: by their vectors they are not one person"
        for ep in ("ep01", "ep03")
    )
    export_films([one.folder, two.folder], tmp_path / "x", ["kohya"], ExportOptions())
    codes = {finding.code for finding in lint(tmp_path / "x").findings}
    assert not codes & {"other_trigger", "missing_trigger"}


def test_two_numbers_of_one_person_are_one_set_with_one_trigger(tmp_path: Path) -> None:
    one = film(tmp_path, "ep01", {"character_01": BLUE, "character_02": PINK}, trigger="ohwx {}")
    two = film(tmp_path, "ep03", {"character_01": PINK, "character_02": BLUE}, trigger="ohwx {}")
    series = join_films([one, two])
    assert joined(one, two) == {
        "character_01": ["ep01_character_01", "ep03_character_02"],
        "character_02": ["ep01_character_02", "ep03_character_01"],
    }
    assert [(c.trigger, {p.tags[0] for p in c.pictures}) for c in series.characters] == [
        (f"ohwx {c}", {f"ohwx {c}"}) for c in ("character_01", "character_02")
    ]
    assert series.notes[0] == "character_02 of ep03 is character_01 by its vectors and is joined with it"


def test_a_name_that_people_gave_takes_in_whom_it_looks_like(tmp_path: Path) -> None:
    one, two = film(tmp_path, "ep01", {"character_04": BLUE}), film(tmp_path, "ep02", {"hana": BLUE, "mika": PINK})
    assert joined(one, two) == {"hana": ["ep01_character_04", "ep02_hana"], "mika": ["ep02_mika"]}


def test_two_names_that_people_gave_are_never_joined(tmp_path: Path) -> None:
    one, two = film(tmp_path, "ep01", {"hana": BLUE}), film(tmp_path, "ep02", {"mika": BLUE, "hana": PINK})
    assert set(joined(one, two)) == {"ep01_hana", "ep02_hana", "mika"}  # and equal ones not against the vectors
    three = film(tmp_path, "ep03", {"hana": BLUE, "character_01": BLUE})
    assert joined(one, three) == {"character_01": ["ep03_character_01"], "hana": ["ep01_hana", "ep03_hana"]}


@pytest.mark.parametrize("lacking", ["another embedder", "no cast", "no threshold"])
def test_without_vectors_to_compare_only_names_that_people_gave_join(tmp_path: Path, lacking: str) -> None:
    one = film(tmp_path, "ep01", {"character_01": BLUE, "hana": PINK})
    two = film(
        tmp_path, "ep02", {"character_01": BLUE, "hana": PINK}, digest="x" if lacking == "another embedder" else "d"
    )
    place = two.folder / "cast.json"
    if lacking == "no cast":
        place.unlink()
    if lacking == "no threshold":
        place.write_text(place.read_text().replace(', "same_distance": 0.3', ""))
    series = join_films([one, read_film(two.folder)])
    assert [c.name for c in series.characters] == ["ep01_character_01", "ep02_character_01", "hana"]
    assert [note.split(":")[0] for note in series.notes] == [
        "hana of ep02 is joined with that of ep01 by the name alone",
        "character_01 of ep01 is kept apart as ep01_character_01",
        "character_01 of ep02 is kept apart as ep02_character_01",
    ]
