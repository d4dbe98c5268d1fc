"""What a model must offer to be used here. Adapters take arrays, never paths, and know no stage.

Pictures are `(H, W, 3)` uint8 RGB arrays of any size, at least 1x1. Every method takes a batch: the answer for n pictures equals n single
answers, an empty batch gives an empty answer, and order is kept. A shared contract test holds every adapter to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from animeset_lib.records import Box, Framing

__all__ = [
    "TAG_FLOOR",
    "Detection",
    "Detector",
    "Embedder",
    "ModelInfo",
    "ModelProvider",
    "Picture",
    "Tagger",
    "TaggerInput",
    "Tags",
    "Task",
    "Thresholds",
    "Upscaler",
]

Task = Literal["detector", "embedder", "upscaler", "tagger"]

Picture = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8 RGB."""


@dataclass(frozen=True)
class ModelInfo:
    """Who answered: goes into logs, stage.json, cards and stage keys. `digest` identifies weights, code version and precision."""

    name: str
    task: Task
    digest: str
    rung: str
    """One line for a person: which rung of the ladder this is and what a better one would be."""
    licence: str
    source: str
    engine: str = ""
    """What its ONNX networks run in, and how precisely, such as `OpenVINO bf16`; empty where it has none."""


@dataclass(frozen=True)
class Detection:
    """One box in pixels of the given picture, clipped to it. `score` is 0..1 and comparable only inside one detector."""

    kind: Literal["face", "head", "person", "halfbody"]
    box: Box
    score: float


class Detector(Protocol):
    info: ModelInfo
    score_min: float
    """Score from which on a box is worth using. Belongs to this model alone."""

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Boxes per picture, best score first."""


class Embedder(Protocol):
    info: ModelInfo
    dim: int
    same_distance: float
    """Cosine distance up to which two heads are more likely one character than two. Belongs to this model alone."""

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops (face box grown to hair and chin) → `(N, dim)` float32, each row of length 1."""


class Upscaler(Protocol):
    info: ModelInfo
    factors: tuple[int, ...]
    """Factors it is asked for, ascending, e.g. (2, 3, 4)."""

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """The picture `factor` times as wide and high; `factor` is one of `factors`.

        Raises `PictureError` when this picture cannot be enlarged but others may be, `ModelError` when none can.
        """


@dataclass(frozen=True)
class TaggerInput:
    """A crop and what earlier stages measured about it, in crop pixels. A network that only looks at pixels ignores the rest."""

    picture: Picture
    framing: Framing
    face: Box | None
    faces: tuple[Box, ...]


TAG_FLOOR = 0.05
"""Taggers leave out scores below this: a tagging network knows ten thousand tags and rules nearly all of them out."""


@dataclass(frozen=True)
class Tags:
    """Booru tags (underscores) with scores 0..1, the three categories kept apart. Tags below `TAG_FLOOR` may be missing; what counts as
    seen is decided by thresholds, the tagger's own or the settings'."""

    general: Mapping[str, float]
    character: Mapping[str, float]
    rating: Mapping[str, float]


@dataclass(frozen=True)
class Thresholds:
    """Scores from which on a tagger's tags are worth believing, per category. They belong to one tagger alone; ratings have none, the best wins."""

    general: float
    character: float


class Tagger(Protocol):
    info: ModelInfo
    thresholds: Thresholds
    vocabulary: frozenset[str]
    """Tags that it rules out by not giving them; empty for a tagger whose silence means nothing."""

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]: ...


class ModelProvider(Protocol):
    """Hands out models by the names in the settings (`auto` = the best rung that is present). Loads each once, on first use.

    `info` does not load anything, so that keys and plans are cheap. Raises `ModelError` for an unknown or absent model.
    """

    def info(self, task: Task, name: str) -> ModelInfo: ...

    def detector(self, name: str) -> Detector: ...

    def embedder(self, name: str) -> Embedder: ...

    def upscaler(self, name: str) -> Upscaler: ...

    def tagger(self, name: str) -> Tagger: ...

    @property
    def where(self) -> str:
        """Where networks run, in words."""

    def release(self) -> None:
        """Forget what is loaded, so that the next stage has the memory. Asking again loads again."""
