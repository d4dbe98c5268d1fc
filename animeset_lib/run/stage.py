"""The stage contract: what a step of the pipeline is, what it is given and what it promises.

A stage is a frozen settings object plus a few methods. It sees the outputs of the stages named in `needs`, its own folder `out` and the
context, nothing else; so a batch gives the same rows and files wherever and in whatever company it runs.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from animeset_lib.models.api import ModelProvider
from animeset_lib.records import EmbedRow, Record

__all__ = ["Context", "Item", "Output", "Stage", "WholeSet"]


class Item(Protocol):
    """One unit of work of a stage. Any frozen object with an id; carries all that `process` needs, paths included."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True)
class Context:
    """What a running stage may use. Nothing here may change a result: device and threads are not part of a key.

    progress     call `progress(done, total)` in items of the stage's own choice for the bar; cheap, may be called often.
    check_cancel raises `CancelledError` when the run was asked to stop; call it in long loops.
    note         `note(key, value)` puts a JSON-able value into stage.json (histograms, rungs, counts); last call wins. Call it from `finish`
                 only: batches done before an interruption are not processed again.
    """

    models: ModelProvider
    threads: int
    log: logging.Logger
    progress: Callable[[float, float], None]
    check_cancel: Callable[[], None]
    note: Callable[[str, Any], None]


@dataclass(frozen=True)
class Output:
    """A finished stage's folder: `rows.jsonl`, `stage.json`, perhaps `vectors.npy`, and files named by record id."""

    path: Path
    row_type: type[Record]
    key: str = ""

    @cached_property
    def rows(self) -> list[Any]:
        """All rows in the stage's own order, dropped ones included. Read once and kept; embed rows carry their vectors."""
        with (self.path / "rows.jsonl").open(encoding="utf-8") as lines:
            rows = [self.row_type.model_validate_json(line) for line in lines]
        if self.row_type is EmbedRow:
            for row, vector in zip(rows, self.vectors, strict=True):
                assert isinstance(row, EmbedRow)
                row.attach(vector)
        return rows

    @property
    def kept(self) -> list[Any]:
        """The rows that are still in use."""
        return [row for row in self.rows if row.dropped is None]

    @cached_property
    def by_id(self) -> dict[str, Any]:
        return {row.id: row for row in self.rows}

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32]:
        """`(N, D)` float32, row-aligned with `rows`."""
        vectors: npt.NDArray[np.float32] = np.load(self.path / "vectors.npy")
        return vectors

    @cached_property
    def info(self) -> dict[str, Any]:
        """The parsed stage.json; what a stage noted is under `notes`."""
        info: dict[str, Any] = json.loads((self.path / "stage.json").read_text(encoding="utf-8"))
        return info


class Stage(ABC):
    """A step of the pipeline. Subclasses are frozen dataclasses whose first field is `settings`.

    name     also the folder's name, e.g. `3b_embed`
    version  raised when equal input gives another output than before
    needs    names of earlier stages whose output it reads
    row      the record type of its rows
    batch    items per batch: small where an item is long, for a batch is what an interruption can cost
    """

    name: ClassVar[str]
    version: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    row: ClassVar[type[Record]]
    batch: ClassVar[int] = 16
    settings: BaseModel

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        """Content hashes of everything the stage reads that is neither a setting nor an earlier stage: film, models, reference pictures."""
        return {}

    @abstractmethod
    def plan(self, given: Mapping[str, Output]) -> Sequence[Item]:
        """All items in a fixed order, with unique ids; the same for equal inputs. A whole-set stage plans one item."""

    @abstractmethod
    def process(self, batch: Sequence[Item], out: Path, ctx: Context) -> Iterable[Record]:
        """Rows for `batch`, in its order (one item may give none or several rows). Files go below `out`, named by record id, written whole
        (`media.write_image` does that). A bad item is a row with `dropped` and `why`; an exception ends the run."""

    def finish(
        self, rows: list[Any], items: Sequence[Any], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[Record]:
        """The last look over all rows in plan order before the stage is committed: numbering, grouping, summary notes.

        `items` is what `plan` returned. Returns the rows to store. Must give equal results however the rows were
        batched, and may be repeated after an interruption.
        """
        return rows


@dataclass(frozen=True)
class WholeSet:
    """The one item of a stage that must see everything at once."""

    given: Mapping[str, Output] = field(repr=False)
    id: str = "all"
