"""Stand-ins for every model: instant, deterministic, and simple enough to be worked out by hand.

A test draws a pure magenta rectangle where a face should be, and surrounds it with a colour of its own for each character. The fakes pass the
same contract test as the real adapters, so a stage that works with them asks nothing that a real model may refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detection, ModelInfo, Picture, TaggerInput, Tags, Task, Thresholds
from animeset_lib.models.engines.device import Device
from animeset_lib.records import Box

__all__ = ["FAKE_FACE_RGB", "FakeDetector", "FakeEmbedder", "FakeModels", "FakeTagger", "FakeUpscaler"]

FAKE_FACE_RGB = (255, 0, 255)
"""What the fake detector takes for a face; what video compression makes of it is still recognised."""

_FRAMING_TAGS = {"face": "portrait", "upper_body": "upper_body", "full": "full_body"}
_NO_TAGS: dict[str, float] = {}


def _info(task: Task) -> ModelInfo:
    return ModelInfo(
        name=f"fake-{task}",
        task=task,
        digest=f"fake-{task}-1",
        rung="A stand-in for tests; every real rung is better.",
        licence="Apache-2.0",
        source="animeset",
    )


class FakeDetector:
    """Every patch of magenta at least 4 px wide and high is a face; the score is how much of its box it fills."""

    info = _info("detector")
    score_min = 0.5

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Boxes per picture, best score first, then the larger, then the upper left one."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Picture) -> list[Detection]:
        red, green, blue = (picture[..., c] for c in range(3))
        mask = ((red > 190) & (green < 70) & (blue > 190)).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found = [
            Detection("face", Box(x0=x, y0=y, x1=x + w, y1=y + h), float(area / (w * h)))
            for x, y, w, h, area in stats[1:].tolist()
            if min(w, h) >= 4
        ]
        return sorted(found, key=lambda d: (-d.score, -d.box.area, d.box.y0, d.box.x0))


class FakeEmbedder:
    """The mean colour of each quadrant, centred on grey, as a unit vector: heads of one colouring are near, others far."""

    info = _info("embedder")
    dim = 13
    same_distance = 0.1

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """`(N, 13)` float32 unit vectors; the last value is a small constant, so that plain grey has a direction too."""
        vectors = np.empty((len(heads), self.dim), np.float32)
        for vector, head in zip(vectors, heads, strict=True):
            quadrants = cv2.resize(np.ascontiguousarray(head), (32, 32), interpolation=cv2.INTER_AREA)
            means = quadrants.reshape(2, 16, 2, 16, 3).mean(axis=(1, 3), dtype=np.float64)
            vector[:12] = means.ravel() / 255 - 0.5
            vector[12] = 0.05
            vector /= np.linalg.norm(vector)
        return vectors


class FakeUpscaler:
    """Every pixel becomes `factor` x `factor` pixels."""

    info = _info("upscaler")
    factors: tuple[int, ...] = (2, 3, 4)

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """Nearest neighbour. Raises `ModelError` for a factor it does not have."""
        if factor not in self.factors:
            raise ModelError(f"{self.info.name} enlarges by {self.factors}, not by {factor}: choose one of these")
        return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


class FakeTagger:
    """Tags the strongest channel of the mean colour as hair (`red_hair`, `green_hair`, `blue_hair`), the framing, and `solo` for one face."""

    info = _info("tagger")
    thresholds = Thresholds(general=0.35, character=0.85)
    vocabulary = frozenset({"red_hair", "green_hair", "blue_hair", "solo", *_FRAMING_TAGS.values()})

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        return [self._tag(given) for given in inputs]

    def _tag(self, given: TaggerInput) -> Tags:
        means = given.picture.mean(axis=(0, 1), dtype=np.float64)
        strongest = int(means.argmax())
        general = {("red_hair", "green_hair", "blue_hair")[strongest]: float(means[strongest] / 255)}
        if given.framing in _FRAMING_TAGS:
            general[_FRAMING_TAGS[given.framing]] = 0.9
        if len(given.faces) == 1:
            general["solo"] = 0.9
        return Tags(general=general, character=_NO_TAGS, rating={"general": 1.0})


class FakeModels:
    """A `ModelProvider` whose every task knows the names `auto` and `fake`; a run can take it instead of the zoo."""

    def __init__(self, device: Device | None = None) -> None:
        self.device = device or Device()
        self._detector = FakeDetector()
        self._embedder = FakeEmbedder()
        self._upscaler = FakeUpscaler()
        self._tagger = FakeTagger()

    def info(self, task: Task, name: str) -> ModelInfo:
        _check(task, name)
        return _info(task)

    def detector(self, name: str) -> FakeDetector:
        _check("detector", name)
        return self._detector

    def embedder(self, name: str) -> FakeEmbedder:
        _check("embedder", name)
        return self._embedder

    def upscaler(self, name: str) -> FakeUpscaler:
        _check("upscaler", name)
        return self._upscaler

    def tagger(self, name: str) -> FakeTagger:
        _check("tagger", name)
        return self._tagger

    @property
    def where(self) -> str:
        return self.device.words

    def better(self, task: Task) -> list[Any]:
        """Nothing is better."""
        return []

    def release(self) -> None:
        """Nothing is loaded."""


def _check(task: str, name: str) -> None:
    if name not in ("auto", "fake"):
        raise ModelError(f"unknown {task} `{name}`: expected auto or fake")
