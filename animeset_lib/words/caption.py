"""6c_caption: cleaned tags → one line of text and a name per crop, and what is constant about each character."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from animeset_lib.models.api import ModelProvider
from animeset_lib.records import AttributeRow, CaptionRow, Crop, Record
from animeset_lib.run.stage import Context, Output, Stage, WholeSet
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.cleaning import one_figure
from animeset_lib.words.line import order_tags, trigger_first, trigger_of, write_caption
from animeset_lib.words.spelling import safe_slug
from animeset_lib.words.trait_choices import TraitChoices, load_choices
from animeset_lib.words.traits import Pictured, Trait, core_of, left_out, trait_table, traits_json

__all__ = ["CaptionStage", "published_traits"]

_FEW = 12
"""Traits named in the log."""


@dataclass(frozen=True)
class CaptionStage(Stage):
    """Writes captions. Which traits are core can only be known from all pictures of a character, hence one item for all.

    `traits` is the file in which a person says which traits are told (`review.traits`), perhaps not there. It is read once per object: what is
    changed while the stage runs is for the next run, whose key then says so.

    Notes of stage.json: `core_traits` (character → core tags) and `traits` (character → what is published as traits.json).
    """

    settings: CaptionSettings
    traits: Path | None = None

    name: ClassVar[str] = "6c_caption"
    version: ClassVar[str] = "5"
    needs: ClassVar[tuple[str, ...]] = ("3c_cluster", "5_crop", "6b_attributes")
    row: ClassVar[type[Record]] = CaptionRow

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        """What the traits file says. Raises `InputError` when it cannot be used, before any stage has run."""
        return {"traits": self._choices.digest} if self._choices.digest else {}

    @cached_property
    def _choices(self) -> TraitChoices:
        return load_choices(self.traits) if self.traits is not None else TraitChoices()

    def plan(self, given: Mapping[str, Output]) -> Sequence[WholeSet]:
        return [WholeSet(given)]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[CaptionRow]:
        for item in batch:
            core = {name: core_of(traits) for name, traits in self._tables(item.given).items()}
            for row in item.given["6b_attributes"].kept:
                crop = item.given["5_crop"].by_id[row.id]
                yield self._caption(row, crop, core.get(crop.character, []))

    def finish(
        self, rows: list[Any], items: Sequence[Any], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[Record]:
        tables = self._tables(given)
        alone = _alone(given)
        captioned = Counter(given["5_crop"].by_id[row.id].character for row in rows)
        published: dict[str, dict[str, Any]] = {}
        for name in sorted(captioned):
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
        ctx.note("core_traits", {name: core_of(tables.get(name, ())) for name in published})
        ctx.note("traits", published)
        return rows

    def _tables(self, given: Mapping[str, Output]) -> dict[str, tuple[Trait, ...]]:
        return trait_table(_alone(given), self.settings.core_share, self.settings.core_lift)

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


def published_traits(captions: Output) -> dict[str, dict[str, Any]]:
    """Character → what its traits.json says, from the finished stage."""
    found: dict[str, dict[str, Any]] = captions.info["notes"].get("traits", {})
    return found


def _alone(given: Mapping[str, Output]) -> list[Pictured]:
    """The tagged crops that show one character alone: the tags of a crowd may be anybody's."""
    tracks = given["3c_cluster"].by_id
    pictures = []
    for row in given["6b_attributes"].kept:
        crop: Crop = given["5_crop"].by_id[row.id]
        if len(crop.faces) <= 1 and one_figure(row.tags):
            track = str(tracks[crop.region_id].track)
            pictures.append(Pictured(crop.character, tuple(row.tags), crop.framing, track))
    return pictures
