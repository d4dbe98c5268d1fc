"""6c_caption: cleaned tags → one line of text and a name per crop, and what is constant about each character."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.models.api import ModelProvider
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import AttributeRow, CaptionRow, Crop
from animeset_lib.run.stage import Context, Given, Item, Notes, StageType, WholeStage
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.cleaning import one_figure
from animeset_lib.words.line import order_tags, trigger_first, trigger_of, write_caption
from animeset_lib.words.spelling import safe_slug
from animeset_lib.words.trait_choices import TraitChoices, load_choices
from animeset_lib.words.traits import Pictured, core_of, left_out, trait_table, traits_json

__all__ = ["CaptionNotes", "CaptionStage"]

_FEW = 12
"""Traits named in the log."""


class CaptionNotes(Notes):
    """Character → its core tags, and → what is published as traits.json."""

    core_traits: dict[str, tuple[str, ...]]
    traits: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class CaptionStage(WholeStage[CaptionRow, CaptionNotes]):
    """Writes captions. Which traits are core can only be known from all pictures of a character, hence all at once.

    `traits` is the file in which a person says which traits are told (`words.trait_choices`), perhaps not there. It is read once per object: what is
    changed while the stage runs is for the next run, whose key then says so.
    """

    settings: CaptionSettings
    traits: Path | None = None

    name: ClassVar[str] = "6c_caption"
    version: ClassVar[str] = "5"
    seconds_per_minute: ClassVar[float] = 0.1
    needs: ClassVar[tuple[StageType, ...]] = (ClusterStage, CropStage, AttributesStage)

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        """What the traits file says. Raises `InputError` when it cannot be used, before any stage has run."""
        return {"traits": self._choices.digest} if self._choices.digest else {}

    @cached_property
    def _choices(self) -> TraitChoices:
        return load_choices(self.traits) if self.traits is not None else TraitChoices()

    def finish(
        self, rows: Sequence[CaptionRow], items: Sequence[Item], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[CaptionRow], CaptionNotes]:
        alone = _alone(given)
        tables = trait_table(alone, self.settings.core_share, self.settings.core_lift)
        crops = given[CropStage].by_id
        seen = given[AttributesStage].kept
        captioned = Counter(crops[row.id].character for row in seen)
        core = {name: tuple(core_of(tables.get(name, ()))) for name in sorted(captioned)}
        rows = [self._caption(row, crops[row.id], core[crops[row.id].character]) for row in seen]
        published: dict[str, dict[str, Any]] = {}
        for name in core:
            own = [picture for picture in alone if picture.character == name]
            published[name] = traits_json(
                name,
                trigger_of(name, self.settings),
                self.settings.core_traits,
                tables.get(name, ()),
                pictures=len(own),
                tracks=len({picture.track for picture in own}),
                choice=self._choices.get(name),
                trigger_first=trigger_first(self.settings),
            )
            ctx.log.info(
                "6c_caption: %s: %d captions, policy %s, left out: %s",
                name,
                captioned[name],
                published[name]["policy"],
                ", ".join(published[name]["dropped"][:_FEW]) or "nothing",
            )
        for sentence in self._choices.unknown(published):
            ctx.log.warning("6c_caption: %s names traits of a character that is not there: %s", self.traits, sentence)
        return rows, CaptionNotes(core_traits=core, traits=published)

    def _caption(self, row: AttributeRow, crop: Crop, core: Sequence[str]) -> CaptionRow:
        tags = order_tags(row.tags)
        choice = self._choices.get(crop.character)
        pruned = [tag for tag in tags if left_out(tag, self.settings.core_traits, core, choice)]
        return CaptionRow(
            id=row.id,
            caption=write_caption(crop.character, tags, pruned, self.settings, row.tags),
            tags=tags,
            name="_".join(safe_slug(part) for part in (crop.character, row.outfit, row.emotion, row.background)),
        )


def _alone(given: Given) -> list[Pictured]:
    """The tagged crops that show one character alone: the tags of a crowd may be anybody's."""
    tracks = given[ClusterStage].by_id
    pictures = []
    for row in given[AttributesStage].kept:
        crop = given[CropStage].by_id[row.id]
        if len(crop.faces) <= 1 and one_figure(row.tags):
            track = str(tracks[crop.region_id].track)
            pictures.append(Pictured(crop.character, tuple(row.tags), crop.framing, track))
    return pictures
