"""A small pipeline that touches everything the engine does: files, several batches, vectors, a whole-set stage that builds a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from animeset_lib.models.api import ModelProvider
from animeset_lib.records import EmbedRow, Film, Record
from animeset_lib.run.stage import Context, Output, Stage, StageType, WholeSet

FILM = Film(id="0123456789ab", name="toy", source_name="toy.mkv", kind="video", width=64, height=36)


class Knob(BaseModel):
    model_config = ConfigDict(frozen=True)
    value: int = 1


@dataclass(frozen=True)
class Number:
    id: str
    value: int


@dataclass(frozen=True)
class Numbers(Stage):
    """Seven items, three per batch; item 4 gives no row, item 5 two, item 6 a dropped one. Appends every item it works on to `diary`."""

    settings: Knob
    diary: Path
    name: ClassVar[str] = "1_numbers"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ()
    row: ClassVar[type[Record]] = Record
    batch: ClassVar[int] = 3

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        return {"film": FILM.id}

    def plan(self, given: Mapping[StageType, Output[Any, Any]]) -> Sequence[Number]:
        return [Number(f"n{i}", i) for i in range(7)]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[Record]:
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
        self,
        rows: list[Any],
        items: Sequence[Any],
        given: Mapping[StageType, Output[Any, Any]],
        out: Path,
        ctx: Context,
    ) -> Sequence[Record]:
        ctx.note("sum", sum(item.value for item in items))
        return rows


@dataclass(frozen=True)
class Vectors(Stage):
    settings: Knob
    name: ClassVar[str] = "2_vectors"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("1_numbers",)
    row: ClassVar[type[Record]] = EmbedRow
    batch: ClassVar[int] = 2

    def plan(self, given: Mapping[StageType, Output[Any, Any]]) -> Sequence[Record]:
        return given["1_numbers"].kept

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[Record]:
        for item in batch:
            yield EmbedRow.with_vector(item.id, np.full(3, len(item.id) * self.settings.value, np.float32))


@dataclass(frozen=True)
class Tree(Stage):
    settings: Knob
    name: ClassVar[str] = "3_tree"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("1_numbers", "2_vectors")
    row: ClassVar[type[Record]] = Record

    def plan(self, given: Mapping[StageType, Output[Any, Any]]) -> Sequence[WholeSet]:
        return [WholeSet(given)]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[Record]:
        (given,) = (item.given for item in batch)
        images = out / "tree" / "hero" / "dataset" / "images"
        images.mkdir(parents=True, exist_ok=True)
        for row, vector in zip(given["2_vectors"].rows, given["2_vectors"].vectors, strict=True):
            source = given["1_numbers"].path / f"{row.id}.txt"
            text = source.read_text() if source.exists() else "twin"
            (images / f"hero_{row.id}.png").write_text(f"{text} {vector.sum():.0f}")
            yield row


def toy_stages(diary: Path, value: int = 1) -> tuple[Stage, ...]:
    return (Numbers(Knob(value=value), diary), Vectors(Knob()), Tree(Knob()))
