"""6a_tag: crops → booru tag scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

from animeset_lib.errors import InputError
from animeset_lib.media.reading import read_ahead
from animeset_lib.models.api import ModelInfo, ModelProvider, TaggerInput, Thresholds
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import UNREADABLE, Crop, Reason, TagRow
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import TagSettings

__all__ = ["TagItem", "TagNotes", "TagStage", "mcut"]

_DECIMALS = 4
_MCUT_CHARACTER = 0.15
"""Without a character in the picture the largest gap lies among scores near zero (the floor is that of the WD taggers' demo)."""


@dataclass(frozen=True)
class TagItem:
    """One crop and its picture file."""

    id: str
    crop: Crop
    path: Path


class TagNotes(Notes):
    """Which tagger answered, how often each tag was given, most frequent first, and how many crops have none."""

    model: ModelInfo
    tag_frequencies: dict[str, int]
    crops_without_tags: int


@dataclass(frozen=True)
class TagStage(Stage[TagItem, TagRow, TagNotes]):
    """Asks the tagger about every crop. A crop that cannot be read is a row dropped as `unreadable`."""

    settings: TagSettings

    name: ClassVar[str] = "6a_tag"
    version: ClassVar[str] = "2"
    seconds_per_minute: ClassVar[float] = 20.0
    needs: ClassVar[tuple[StageType, ...]] = (CropStage,)
    reasons: ClassVar[Mapping[str, Reason]] = {"unreadable": UNREADABLE}

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        return {"tagger": models.info("tagger", self.settings.tagger).digest}

    def plan(self, given: Given) -> Sequence[TagItem]:
        crops = given[CropStage]
        return [TagItem(crop.id, crop, crops.path / crop.file) for crop in crops.kept]

    def process(self, batch: Sequence[TagItem], out: Path, ctx: Context) -> Iterable[TagRow]:
        tagger = ctx.models.tagger(self.settings.tagger)
        least = self._thresholds(tagger.thresholds)
        pictures = list(read_ahead((item.path for item in batch), ctx.threads, len(batch)))
        inputs = [
            TaggerInput(picture, item.crop.framing, item.crop.face, item.crop.faces)
            for item, picture in zip(batch, pictures, strict=True)
            if not isinstance(picture, InputError)
        ]
        answers = iter(tagger.tag(inputs))
        for item, picture in zip(batch, pictures, strict=True):
            if isinstance(picture, InputError):
                why = f"{item.path.name} cannot be read: {picture}"
                yield TagRow(id=item.id, dropped="unreadable", why=why, general={}, tagger=tagger.info.name)
                continue
            tags = next(answers)
            yield TagRow(
                id=item.id,
                general=_chosen(tags.general, least.general, self.settings.choice, 0.0),
                character=_chosen(tags.character, least.character, self.settings.choice, _MCUT_CHARACTER),
                rating=_chosen(tags.rating, 0.0, "fixed", 0.0),
                tagger=tagger.info.name,
            )

    def _thresholds(self, own: Thresholds) -> Thresholds:
        """The settings', and where they say nothing the tagger's own."""
        general, character = self.settings.general_min, self.settings.character_min
        return Thresholds(
            own.general if general is None else general, own.character if character is None else character
        )

    def finish(
        self, rows: Sequence[TagRow], items: Sequence[TagItem], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[TagRow], TagNotes]:
        frequencies = Counter(tag for row in rows for tag in row.general)
        ranked = sorted(frequencies.items(), key=lambda pair: (-pair[1], pair[0]))
        untagged = sum(1 for row in rows if row.dropped is None and not row.general)
        ctx.log.info(
            "6a_tag: %d different tags, most frequent: %s; %d crops without any tag",
            len(ranked),
            ", ".join(f"{tag} {count}" for tag, count in ranked[:8]) or "none",
            untagged,
        )
        model = ctx.models.info("tagger", self.settings.tagger)
        return rows, TagNotes(model=model, tag_frequencies=dict(ranked), crops_without_tags=untagged)


def _chosen(
    scores: Mapping[str, float], least: float, choice: Literal["fixed", "mcut"], floor: float
) -> dict[str, float]:
    """Scores of at least the threshold, best first, rounded so that equal pictures give equal bytes on different processors.

    The threshold is `least`, or for `mcut` the middle of the largest gap between neighbouring scores, but at least `floor`.
    """
    limit = max(mcut(list(scores.values())), floor) if choice == "mcut" else least
    chosen = {tag: round(float(score), _DECIMALS) for tag, score in scores.items() if score >= limit}
    return dict(sorted(chosen.items(), key=lambda pair: (-pair[1], pair[0])))


def mcut(scores: Sequence[float]) -> float:
    """Maximum cut (Largeron et al. 2012): the middle of the largest gap in the sorted scores; with fewer than two, 0."""
    ranked = sorted(scores, reverse=True)
    gaps = [(high - low, (high + low) / 2) for high, low in pairwise(ranked)]
    return max(gaps, default=(0.0, 0.0), key=lambda gap: gap[0])[1]
