"""What all tagging networks have in common: pictures in, one probability per row of a CSV out."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import TAG_FLOOR, Picture, TaggerInput, Tags, Thresholds
from animeset_lib.models.engines.batches import Batches
from animeset_lib.models.engines.onnx import open_network
from animeset_lib.models.spec import Parts

__all__ = ["CsvTagger", "TagList", "read_tag_list"]

_ON_CARD, _ON_PROCESSOR = 16, 2

_CATEGORIES = {"0": "general", "4": "character", "9": "rating"}
"""Danbooru's numbers, and 9, which the WD taggers use for the four ratings at the head of their list."""


@dataclass(frozen=True)
class TagList:
    """Tag `names[i]` of category `categories[i]` belongs to output `i` of the network. Ratings are rows like all others."""

    names: tuple[str, ...]
    categories: tuple[str, ...]

    @cached_property
    def _ratings(self) -> npt.NDArray[np.bool_]:
        return np.array([category == "rating" for category in self.categories])

    def tags(self, scores: npt.NDArray[np.float32], never: frozenset[str] = frozenset()) -> Tags:
        """`(len(names),)` probabilities → tags from `TAG_FLOOR` up by category, best first; ratings whatever their score."""
        found: dict[str, dict[str, float]] = {"general": {}, "character": {}, "rating": {}}
        told = np.flatnonzero((scores >= TAG_FLOOR) | self._ratings)
        for i in told[np.argsort(-scores[told], kind="stable")].tolist():
            name, category, score = self.names[i], self.categories[i], float(scores[i])
            if category in found and name not in never:
                # half precision may leave a probability a hair above 1
                found[category][name] = min(1.0, max(0.0, score))
        return Tags(general=found["general"], character=found["character"], rating=found["rating"])


def read_tag_list(path: Path, outputs: int | None, parts: Parts, rating_prefix: str = "") -> TagList:
    """The list in `path`, whose columns `name` and `category` are read by their titles.

    outputs        how many values the network gives; None: not known before it ran
    rating_prefix  names beginning with it are ratings whatever their category, without the prefix

    Raises `ModelError` when the columns are missing, a category is no number, or there is not one row per output: every tag would be another
    one's.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        got = f"a file that cannot be read ({error})"
        raise parts.fault("a CSV with the network's tags", got, path) from error
    titles = set(rows[0]) if rows else set()
    if not {"name", "category"} <= titles:
        got = ", ".join(sorted(str(title) for title in titles)) or "no rows"
        raise parts.fault("a CSV with the columns name and category", got, path)
    if outputs is not None and len(rows) != outputs:
        got = f"{len(rows)} rows: list and network belong to different models or versions"
        raise parts.fault(f"one row for each of the network's {outputs} outputs", got, path)
    names, categories = [], []
    for number, row in enumerate(rows, start=2):
        name, category = (row["name"] or "").strip(), (row["category"] or "").strip()
        if not name or not category.isdecimal():
            got = f"`{name}` and `{category}`"
            raise parts.fault("a tag and its category number", got, f"{path}, line {number}")
        if rating_prefix and name.startswith(rating_prefix):
            names.append(name.removeprefix(rating_prefix))
            categories.append("rating")
        else:
            names.append(name.replace(" ", "_").lower())
            categories.append(_CATEGORIES.get(category, "other"))
    return TagList(tuple(names), tuple(categories))


class CsvTagger(ABC):
    """A `Tagger`. Files: a network that takes `[N, H, W, 3]` float32, and its CSV.

    side           of the network's pictures where the file does not say
    rating_prefix  of the names that are ratings
    never          tags that are not told
    """

    def __init__(
        self,
        parts: Parts,
        thresholds: Thresholds,
        side: int,
        rating_prefix: str = "",
        never: frozenset[str] = frozenset(),
    ) -> None:
        self.info = parts.info
        self.thresholds = thresholds
        network, tags = parts.files
        self._network = open_network(network, parts, "NHW3")
        self._height, self._width = self._network.shape[1] or side, self._network.shape[2] or side
        kind, answer = self._network.kind, self._network.answer
        if kind != "float32" or len(answer) != 2:
            expected = "a network from float32 pictures to one row of probabilities each"
            raise self._network.fault(expected, f"{kind} to {list(answer)}")
        self._tags = read_tag_list(tags, answer[1], parts, rating_prefix)
        self._never = never
        self.vocabulary = frozenset(self._tags.names) - never
        size = _ON_CARD if self._network.on_card else _ON_PROCESSOR
        self._batches = Batches(parts.info.name, size, parts.device.threads)

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        answers = self._batches.run([given.picture for given in inputs], self.prepared, self._network.each)
        return [self._told(answer) for answer in answers]

    def _told(self, answer: npt.NDArray[np.float32]) -> Tags:
        if answer.shape != (len(self._tags.names),):
            raise self._network.fault(f"one probability for each of {len(self._tags.names)} tags", f"{answer.shape}")
        return self._tags.tags(answer, self._never)

    @abstractmethod
    def prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(H, W, 3)` float32, what the network was trained on."""
