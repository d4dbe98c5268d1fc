"""A small pipeline that touches everything the engine does: files, several batches, vectors, a whole-set stage that builds a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from animeset_lib.models.api import ModelProvider
from animeset_lib.records import EmbedRow, Film, Reason, Record
from animeset_lib.run.stage import Context, Given, Item, Notes, Stage, StageType, WholeStage

FILM = Film(id="0123456789ab", name="toy", source_name="toy.mkv", kind="video", width=64, height=36)


class Knob(BaseModel):
    model_config = ConfigDict(frozen=True)
    value: int = 1


@dataclass(frozen=True)
class Number:
    id: str
    value: int


class NumbersNotes(Notes):
    """`run_film` asks the first stage for its film."""

    film: Film
    sum: int


@dataclass(frozen=True)
class Numbers(Stage[Number, Record, NumbersNotes]):
    """Seven items, three per batch; item 4 gives no row, item 5 two, item 6 a dropped one. Appends every item it works on to `diary`."""

    settings: Knob
    diary: Path
    name: ClassVar[str] = "1_numbers"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[StageType, ...]] = ()
    reasons: ClassVar[Mapping[str, Reason]] = {"even": Reason("Even", "Gerade", "Its number is even.")}
    batch: ClassVar[int] = 3

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        return {"film": FILM.id}

    def plan(self, given: Given) -> Sequence[Number]:
        return [Number(f"n{i}", i) for i in range(7)]

    def process(self, batch: Sequence[Number], out: Path, ctx: Context) -> Iterable[Record]:
        for item in batch:
            with self.diary.open("a") as diary:
                diary.write(f"{item.id}\n")
            (out / f"{item.id}.txt").write_text(str(item.value * self.settings.value))
            if item.value == 4:
                continue
            if item.value == 5:
                yield Record(id="n5-twin")
            yield Record(
                id=item.id, dropped="even" if item.value == 6 else None, why="six is even" if item.value == 6 else ""
            )

    def finish(
        self, rows: Sequence[Record], items: Sequence[Number], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[Record], NumbersNotes]:
        return rows, NumbersNotes(film=FILM, sum=sum(item.value for item in items))


class NoNotes(Notes):
    """There is nothing to say."""


@dataclass(frozen=True)
class Vectors(Stage[Record, EmbedRow, NoNotes]):
    settings: Knob
    name: ClassVar[str] = "2_vectors"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[StageType, ...]] = (Numbers,)
    batch: ClassVar[int] = 2

    def plan(self, given: Given) -> Sequence[Record]:
        return given[Numbers].kept

    def process(self, batch: Sequence[Record], out: Path, ctx: Context) -> Iterable[EmbedRow]:
        for item in batch:
            yield EmbedRow.with_vector(item.id, np.full(3, len(item.id) * self.settings.value, np.float32))

    def finish(
        self, rows: Sequence[EmbedRow], items: Sequence[Record], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[EmbedRow], NoNotes]:
        return rows, NoNotes()


@dataclass(frozen=True)
class Tree(WholeStage[Record, NoNotes]):
    settings: Knob
    name: ClassVar[str] = "3_tree"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[StageType, ...]] = (Numbers, Vectors)

    def finish(
        self, rows: Sequence[Record], items: Sequence[Item], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[Record], NoNotes]:
        images = out / "tree" / "hero" / "dataset" / "images"
        images.mkdir(parents=True, exist_ok=True)
        for row, vector in zip(given[Vectors].rows, given[Vectors].vectors, strict=True):
            source = given[Numbers].path / f"{row.id}.txt"
            text = source.read_text() if source.exists() else "twin"
            (images / f"hero_{row.id}.png").write_text(f"{text} {vector.sum():.0f}")
        return given[Vectors].rows, NoNotes()


def toy_stages(diary: Path, value: int = 1) -> tuple[Stage[Any, Any, Any], ...]:
    return (Numbers(Knob(value=value), diary), Vectors(Knob()), Tree(Knob()))
