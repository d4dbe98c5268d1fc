"""The stage contract: what a step of the pipeline is, what it is given and what it promises.

A stage is a frozen settings object plus a few methods. It sees the outputs of the stages named in `needs`, its own folder `out` and the
context, nothing else; so a batch gives the same rows and files wherever and in whatever company it runs.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from animeset_lib.models.api import ModelProvider
from animeset_lib.records import Box, EmbedRow, Reason, Record

__all__ = [
    "Context",
    "Given",
    "Item",
    "Notes",
    "Output",
    "Stage",
    "StageInfo",
    "StageType",
    "WholeStage",
    "notes_of",
    "read_rows",
    "row_of",
]


class Item(Protocol):
    """One unit of work of a stage. Any frozen object with an id; carries all that `process` needs, paths included."""

    @property
    def id(self) -> str: ...


class Notes(BaseModel):
    """What a finished stage says of itself beside its rows: counts, histograms, rungs. Each stage has a class of its own, written to stage.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


I = TypeVar("I", bound=Item)  # noqa: E741
R = TypeVar("R", bound=Record)
N = TypeVar("N", bound=Notes)


@dataclass(frozen=True)
class Context:
    """What a running stage may use. Nothing here may change a result: device and threads are not part of a key.

    progress     call `progress(done, total)` in items of the stage's own choice for the bar; cheap, may be called often.
    check_cancel raises `CancelledError` when the run was asked to stop; call it in long loops.
    """

    models: ModelProvider
    threads: int
    log: logging.Logger
    progress: Callable[[float, float], None]
    check_cancel: Callable[[], None]


class StageInfo(BaseModel):
    """What stage.json says of every stage. `notes` are the stage's own, unread; `Output.notes` gives them their class."""

    model_config = ConfigDict(frozen=True)

    stage: str
    version: str = ""
    key: str = ""
    settings: dict[str, dict[str, Any]] = {}
    """Name of the stage's field → its values; `settings` is the stage's own section."""
    inputs: dict[str, str] = {}
    fingerprint: dict[str, str] = {}
    rows: int = 0
    kept: int = 0
    dropped: dict[str, int] = {}
    notes: dict[str, Any] = {}
    seconds: float = 0.0
    device: str = ""
    libraries: dict[str, str] = {}


@dataclass(frozen=True)
class Output(Generic[R, N]):
    """A finished stage's folder: `rows.jsonl`, `stage.json`, perhaps `vectors.npy`, and files named by record id."""

    path: Path
    stage: type[Stage[Any, R, N]]
    key: str = ""

    @cached_property
    def rows(self) -> list[R]:
        """All rows in the stage's own order, dropped ones included. Read once and kept; embed rows carry their vectors."""
        return read_rows(self.path / "rows.jsonl", row_of(self.stage), lambda: self.vectors)

    @property
    def kept(self) -> list[R]:
        """The rows that are still in use."""
        return [row for row in self.rows if row.dropped is None]

    @cached_property
    def by_id(self) -> dict[str, R]:
        return {row.id: row for row in self.rows}

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32]:
        """`(N, D)` float32, row-aligned with `rows`."""
        vectors: npt.NDArray[np.float32] = np.load(self.path / "vectors.npy")
        return vectors

    @cached_property
    def info(self) -> StageInfo:
        """The parsed stage.json."""
        return StageInfo.model_validate_json((self.path / "stage.json").read_text(encoding="utf-8"))

    @cached_property
    def notes(self) -> N:
        """What the stage noted when it was finished."""
        return notes_of(self.stage).model_validate_json(json.dumps(self.info.notes))


class Given:
    """Finished outputs by the class of their stage: `given[ExtractStage].rows` are `Frame`s, and the type checker knows.

    >>> from animeset_lib.frames.extract import ExtractStage
    >>> given = Given([Output(Path("work/film/1_extract-abc"), ExtractStage, key="abc")])
    >>> given[ExtractStage].key, ExtractStage in given, len(given.only([]))
    ('abc', True, 0)
    """

    def __init__(self, outputs: Iterable[Output[Any, Any]] = ()) -> None:
        self._outputs: dict[type[Stage[Any, Any, Any]], Output[Any, Any]] = {output.stage: output for output in outputs}

    def __getitem__(self, stage: type[Stage[Any, R, N]]) -> Output[R, N]:
        """Raises `KeyError` for a stage that is not among them."""
        return self._outputs[stage]

    def __contains__(self, stage: type[Stage[Any, Any, Any]]) -> bool:
        return stage in self._outputs

    def __iter__(self) -> Iterator[Output[Any, Any]]:
        """All outputs, in the order in which they were made."""
        return iter(self._outputs.values())

    def __len__(self) -> int:
        return len(self._outputs)

    def only(self, stages: Iterable[type[Stage[Any, Any, Any]]]) -> Given:
        """Those of the given stages. Raises `KeyError` when one is missing."""
        return Given(self._outputs[stage] for stage in stages)

    def having(self, output: Output[Any, Any]) -> Given:
        """These and one more."""
        return Given([*self, output])


class Stage(ABC, Generic[I, R, N]):
    """A step of the pipeline: `class DedupeStage(Stage[Still, DedupeRow, DedupeNotes])`, a frozen dataclass whose first field is `settings`.

    Every field that is a pydantic model is settings and enters the stage's key.

    name     also the folder's name, e.g. `3b_embed`
    version  raised when equal input gives another output than before
    needs    earlier stages whose output it reads
    reasons  code → reason of everything its rows may be dropped for; the engine takes no row with another code
    seconds_per_minute  what a minute of film takes on two processor cores with the models that need no download: for estimates only
    batch    items per batch: small where an item is long, for a batch is what an interruption can cost
    """

    name: ClassVar[str]
    version: ClassVar[str]
    needs: ClassVar[tuple[type[Stage[Any, Any, Any]], ...]]
    reasons: ClassVar[Mapping[str, Reason]] = {}
    seconds_per_minute: ClassVar[float] = 1.0
    batch: ClassVar[int] = 16
    settings: BaseModel

    def all_settings(self) -> dict[str, dict[str, Any]]:
        """Name of the field → its values, of every field that holds settings."""
        held = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {name: value.model_dump(mode="json") for name, value in held.items() if isinstance(value, BaseModel)}

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        """Content hashes of everything the stage reads that is neither a setting nor an earlier stage: film, models, reference pictures."""
        return {}

    @abstractmethod
    def plan(self, given: Given) -> Sequence[I]:
        """All items in a fixed order, with unique ids; the same for equal inputs."""

    @abstractmethod
    def process(self, batch: Sequence[I], out: Path, ctx: Context) -> Iterable[R]:
        """Rows for `batch`, in its order (one item may give none or several rows). Files go below `out`, named by record id, written whole
        (`media.write_image` does that). A bad item is a row with `dropped` and `why`; an exception ends the run."""

    def shown(self, row: R, items: Mapping[str, I], out: Path) -> tuple[Path, Box | None] | None:
        """The picture that a row of the batch `items` (by id) is about, for who looks on meanwhile, and the part that is meant. None: nothing to
        show."""
        file = getattr(row, "file", None)
        return (out / file, None) if file and row.dropped is None else None

    @abstractmethod
    def finish(
        self, rows: Sequence[R], items: Sequence[I], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[R], N]:
        """The last look over all rows in plan order before the stage is committed: numbering, grouping, notes.

        `items` is what `plan` returned. Returns the rows to store and the stage's notes. Must give equal results however the rows were
        batched, and may be repeated after an interruption.
        """


StageType = type[Stage[Any, Any, Any]]
"""The class of any stage, as `needs` names it."""


class WholeStage(Stage[Item, R, N]):
    """A stage that must see everything at once: it plans no items, all its work is in `finish`, and an interruption repeats it."""

    def plan(self, given: Given) -> Sequence[Item]:
        return ()

    def process(self, batch: Sequence[Item], out: Path, ctx: Context) -> Iterable[R]:
        return ()


def row_of(stage: type[Stage[Any, R, Any]]) -> type[R]:
    """The record type of a stage's rows, as its base class names it."""
    row: type[R] = _arguments(stage)[-2]
    return row


def notes_of(stage: type[Stage[Any, Any, N]]) -> type[N]:
    """The type of a stage's notes, as its base class names it."""
    notes: type[N] = _arguments(stage)[-1]
    return notes


def read_rows(path: Path, row: type[R], vectors: Callable[[], npt.NDArray[np.float32]], skip: int = 0) -> list[R]:
    """The rows in a file with one JSON object a line, behind the first `skip` lines; embed rows get their `vectors`, which are row-aligned."""
    # `splitlines` would split at U+2028 and its like, too, which may stand inside a row
    lines = path.read_text(encoding="utf-8").split("\n")[skip:-1]
    rows = [row.model_validate_json(line) for line in lines]
    if row is EmbedRow and rows:
        for embedded, vector in zip(rows, vectors(), strict=True):
            assert isinstance(embedded, EmbedRow)
            embedded.attach(vector)
    return rows


def _arguments(stage: type[Any]) -> tuple[Any, ...]:
    for kind in stage.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            arguments = get_args(base)
            if len(arguments) >= 2 and all(isinstance(one, type) for one in arguments[-2:]):
                return arguments
    raise TypeError(
        f"{stage.__name__} does not say its rows and notes; expected class {stage.__name__}(Stage[Item, Row, Notes])"
    )
