"""The form of an entry in the table of models (`zoo.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detector, Embedder, ModelInfo, Tagger, Task, Upscaler
from animeset_lib.models.engines.device import Device, first_line

__all__ = ["Adapter", "Family", "HubFile", "Inference", "ModelSpec", "Parts", "ReleaseFile", "WeightFile"]

Adapter = Detector | Embedder | Upscaler | Tagger


@dataclass(frozen=True)
class HubFile:
    """A file of a Hugging Face repository.

    revision   a commit; `main` where none is known: then the first download records the commit it got.
    size       bytes, where known.
    sha256     of the content; None where it could not be verified: then the first download records it, and it must stay the same.
    as_name    its name in the model's folder; by default the last part of `path`.
    """

    repo: str
    path: str
    revision: str = "main"
    size: int | None = None
    sha256: str | None = None
    as_name: str | None = None

    @property
    def name(self) -> str:
        return self.as_name or self.path.rsplit("/", 1)[-1]

    @property
    def source(self) -> str:
        return f"https://huggingface.co/{self.repo}/blob/{self.revision}/{self.path}"


@dataclass(frozen=True)
class ReleaseFile:
    """A file behind a fixed address, such as a GitHub release. `size` and `sha256` as in `HubFile`."""

    url: str
    size: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def source(self) -> str:
        return self.url


WeightFile = HubFile | ReleaseFile


@dataclass(frozen=True)
class Inference:
    """How an ONNX network is run on a processor. Both are measured (`benchmarks/engines.py`), never guessed.

    precision     `fast`: in 16 bits (bf16) where the processor computes in them, because its answers are then those of `exact`: no tag's score
                  moves by more than .01, vectors keep a cosine of .999 and their clusters, enlarged pictures 50 dB.
    side_by_side  one picture on each core, which is quicker for it than one picture on all.
    """

    precision: Literal["exact", "fast"] = "exact"
    side_by_side: bool = False


@dataclass(frozen=True)
class Parts:
    """What an adapter is made of: who it is, its files in the order of the spec (downloads first), where and how it runs, and what mends a bad
    file."""

    info: ModelInfo
    files: tuple[Path, ...]
    device: Device
    remedy: str
    inference: Inference = Inference()

    def fault(self, expected: str, got: object, place: object = None) -> ModelError:
        """The error to raise for a file (at `place`, else the first) that is not what it should be. Of an error, `got` is its first line."""
        if isinstance(got, BaseException):
            got = first_line(got)
        return ModelError(f"{place or self.files[0]}: expected {expected}, got {got}; {self.remedy}")


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    load        makes the adapter; called once, on first use.
    version     the adapter's own; raised when equal weights should give other answers. Part of the digest.
    files       what is downloaded, in the order in which `load` gets it.
    packaged    finds files that came with a package or that the user named. Raises `ModelError` with the reason when they are not there.
    needs       modules that must be importable.
    get         the command that makes it present; unset: that downloads are fetched, and all else comes with animeset.
    signature   what goes into the network and what comes out.
    thresholds  the model's own limits, as its source states or measures them; they are never shared between models.
    rung        one line for a person: what this is, and what a better rung would be.
    card_only   too slow on a processor for `auto` to take it there.
    inference   how its ONNX networks run; None where it has none.
    """

    task: Task
    name: str
    load: Callable[[Parts], Adapter]
    version: str
    licence: str
    source: str
    rung: str
    signature: str
    get: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    files: tuple[WeightFile, ...] = ()
    packaged: Callable[[], tuple[Path, ...]] = tuple
    needs: tuple[str, ...] = ()
    card_only: bool = False
    inference: Inference | None = None

    def __post_init__(self) -> None:
        if not self.get:
            words = f"animeset models fetch {self.name}" if self.files else "comes with animeset"
            object.__setattr__(self, "get", words)

    @property
    def folder(self) -> str:
        """Name of its folder among the downloads: its name without what a file system may not like."""
        return re.sub(r"[^\w.+-]+", "_", self.name)


@dataclass(frozen=True)
class Family:
    """Models that are named with an argument, `<prefix>:<argument>`: the user's own files and programs.

    spec   makes the entry for an argument. Raises `ModelError` for one that cannot be.
    """

    task: Task
    prefix: str
    argument: str
    about: str
    spec: Callable[[str], ModelSpec]
