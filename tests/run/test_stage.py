"""The stage contract's own promises: outputs by class, and the types that a stage's base class names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.records import EmbedRow, Record
from animeset_lib.run.stage import Given, Notes, Output, Stage, StageType, WholeStage, notes_of, row_of
from animeset_lib.run.store import FilmStore
from tests.run.toy import FILM, Knob, NoNotes, Numbers, NumbersNotes, Tree, Vectors

NOTES = NumbersNotes(film=FILM, sum=3)


@pytest.fixture
def numbers(make_output: Callable[..., Output[Any, Any]]) -> Output[Record, NumbersNotes]:
    return make_output(Numbers, [Record(id="n0"), Record(id="n1", dropped="odd", why="one is odd")], NOTES)


def test_an_output_knows_its_rows_and_notes(numbers: Output[Record, NumbersNotes]) -> None:
    assert [row.id for row in numbers.rows] == ["n0", "n1"]
    assert [row.id for row in numbers.kept] == ["n0"]
    assert numbers.notes == NOTES


def test_given_is_asked_by_class(
    numbers: Output[Record, NumbersNotes], make_output: Callable[..., Output[Any, Any]]
) -> None:
    given = Given([numbers])
    assert given[Numbers] is numbers
    assert Numbers in given
    assert Vectors not in given
    with pytest.raises(KeyError):
        given[Vectors]
    with pytest.raises(KeyError):
        given.only((Numbers, Vectors))
    vectors = make_output(Vectors, [], NoNotes())
    more = given.having(vectors)
    assert list(more) == [numbers, vectors]
    assert list(more.only((Vectors,))) == [vectors]
    assert len(given) == 1, "the first one is left as it was"
    assert len(Given()) == 0


@pytest.mark.parametrize(
    ("stage", "row", "notes"),
    [(Numbers, Record, NumbersNotes), (Vectors, EmbedRow, NoNotes), (Tree, Record, NoNotes)],
)
def test_rows_and_notes_are_those_the_base_class_names(stage: StageType, row: type[Record], notes: type[Notes]) -> None:
    assert (row_of(stage), notes_of(stage)) == (row, notes)


@pytest.mark.parametrize("stage", PIPELINE.values(), ids=lambda stage: stage.name)
def test_every_stage_of_the_pipeline_says_its_rows_and_notes(stage: StageType) -> None:
    assert issubclass(row_of(stage), Record)
    assert issubclass(notes_of(stage), Notes)
    assert notes_of(stage) is not Notes


def test_a_stage_made_from_another_has_its_types() -> None:
    class More(Numbers):
        """Only the name differs."""

    assert (row_of(More), notes_of(More)) == (Record, NumbersNotes)


@pytest.mark.parametrize("base", [Stage, WholeStage])
def test_a_stage_without_types_is_refused(base: Any) -> None:
    class Untyped(base):
        """Forgot them."""

    for asked in (row_of, notes_of):
        with pytest.raises(
            TypeError, match=r"Untyped does not say its rows and notes; expected class Untyped\(Stage\["
        ):
            asked(Untyped)


def test_all_fields_that_hold_settings_are_settings() -> None:
    @dataclass(frozen=True)
    class Two(Tree):
        other: Knob
        place: Path

    assert Two(Knob(), Knob(value=7), Path("anywhere")).all_settings() == {
        "settings": {"value": 1},
        "other": {"value": 7},
    }


def test_notes_of_another_version_are_refused(numbers: Output[Record, NumbersNotes]) -> None:
    (numbers.path / "stage.json").write_text('{"stage": "1_numbers", "notes": {"total": 3}}', encoding="utf-8")
    with pytest.raises(ValidationError, match="total"):
        Output(numbers.path, Numbers).notes  # noqa: B018


def test_the_journal_is_read_line_by_line_whatever_its_rows_say(tmp_path: Path) -> None:
    begun = FilmStore(tmp_path, "film").begin(Numbers, "0" * 12)
    rows = [Record(id="n0", why="one\u2028two\x85three\rfour"), Record(id="n1")]
    begun.add(0, ["n0", "n1"], rows)
    assert begun.rows([0]) == rows
