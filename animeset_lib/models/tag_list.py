"""The CSV beside a tagging network: which output means which tag."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import TAG_FLOOR, Tags

__all__ = ["TagList", "read_tag_list"]

_CATEGORIES = {"0": "general", "4": "character", "9": "rating"}
"""Danbooru's numbers, and 9, which the WD taggers use for the four ratings at the head of their list."""


@dataclass(frozen=True)
class TagList:
    """Tag `names[i]` of category `categories[i]` belongs to output `i` of the network. Ratings are rows like all others."""

    names: tuple[str, ...]
    categories: tuple[str, ...]

    def tags(self, scores: npt.NDArray[np.float32], never: frozenset[str] = frozenset()) -> Tags:
        """`(len(names),)` probabilities → tags from `TAG_FLOOR` up by category, best first; ratings whatever their score."""
        found: dict[str, dict[str, float]] = {"general": {}, "character": {}, "rating": {}}
        for i in np.argsort(-scores, kind="stable").tolist():
            name, category, score = self.names[i], self.categories[i], float(scores[i])
            if (score >= TAG_FLOOR or category == "rating") and category in found and name not in never:
                # half precision may leave a probability a hair above 1
                found[category][name] = min(1.0, max(0.0, score))
        return Tags(general=found["general"], character=found["character"], rating=found["rating"])


def read_tag_list(path: Path, outputs: int | None, remedy: str, rating_prefix: str = "") -> TagList:
    """The list in `path`, whose columns `name` and `category` are read by their titles.

    outputs        how many values the network gives; None: not known before it ran
    rating_prefix  names beginning with it are ratings whatever their category, without the prefix

    Raises `ModelError` when the columns are missing, a category is no number, or there is not one row per output: every tag would be another
    one's.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(
            f"{path}: expected a CSV with the network's tags, got a file that cannot be read ({error}); {remedy}"
        ) from error
    titles = set(rows[0]) if rows else set()
    if not {"name", "category"} <= titles:
        got = ", ".join(sorted(str(title) for title in titles)) or "no rows"
        raise ModelError(f"{path}: expected a CSV with the columns name and category, got {got}; {remedy}")
    if outputs is not None and len(rows) != outputs:
        raise ModelError(
            f"{path}: expected one row for each of the network's {outputs} outputs, got {len(rows)} rows: list and network belong to "
            f"different models or versions; {remedy}"
        )
    names, categories = [], []
    for number, row in enumerate(rows, start=2):
        name, category = (row["name"] or "").strip(), (row["category"] or "").strip()
        if not name or not category.isdecimal():
            raise ModelError(
                f"{path}, line {number}: expected a tag and its category number, got `{name}` and `{category}`; {remedy}"
            )
        if rating_prefix and name.startswith(rating_prefix):
            names.append(name.removeprefix(rating_prefix))
            categories.append("rating")
        else:
            names.append(name.replace(" ", "_").lower())
            categories.append(_CATEGORIES.get(category, "other"))
    return TagList(tuple(names), tuple(categories))
