"""6c_caption: cleaned tags → one line of text and a name per crop."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from animeset_lib.records import AttributeRow, CaptionRow, Crop, Record
from animeset_lib.run.stage import Context, Output, Stage, WholeSet
from animeset_lib.settings import CaptionSettings
from animeset_lib.tags.line import order_tags, write_caption
from animeset_lib.tags.spelling import safe_slug
from animeset_lib.tags.vocabulary import CATEGORIES, CORE_CATEGORIES, category_of

__all__ = ["CaptionStage", "core_traits"]

_CORE_SUPPORT = 3
"""A trait seen on fewer pictures than this (or on fewer than all, when there are not as many) may be chance and is never core."""


def core_traits(pictures: Sequence[Sequence[str]], share: float) -> list[str]:
    """Tags of hair, eyes and body that belong to the character: on at least `share` of the pictures that show that category at all.

    A full figure too small for its eye colour to be seen says nothing about eye colour, hence "that show that category".
    Sorted by category, most frequent first.
    """
    showing: Counter[str] = Counter()
    with_tag: Counter[str] = Counter()
    for tags in pictures:
        showing.update({category_of(tag) for tag in tags})
        with_tag.update(set(tags))
    least = min(_CORE_SUPPORT, len(pictures))
    core = [
        tag
        for tag, count in with_tag.items()
        if (category := category_of(tag)) in CORE_CATEGORIES and count >= least and count >= share * showing[category]
    ]
    return sorted(core, key=lambda tag: (CATEGORIES.index(category_of(tag)), -with_tag[tag], tag))


@dataclass(frozen=True)
class CaptionStage(Stage):
    """Writes captions. Which traits are core can only be known from all pictures of a character, hence one item for all."""

    settings: CaptionSettings

    name: ClassVar[str] = "6c_caption"
    version: ClassVar[str] = "3"
    needs: ClassVar[tuple[str, ...]] = ("3d_cast", "5_crop", "6b_attributes")
    row: ClassVar[type[Record]] = CaptionRow

    def plan(self, given: Mapping[str, Output]) -> Sequence[WholeSet]:
        return [WholeSet(given)]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[CaptionRow]:
        for item in batch:
            ordered = _ordered_tags(item.given)
            core = self._core(item.given, ordered)
            for row in item.given["6b_attributes"].kept:
                yield self._caption(row, item.given["5_crop"].by_id[row.id], ordered[row.id], core)

    def finish(
        self, rows: list[Any], items: Sequence[Any], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[Record]:
        core = self._core(given, _ordered_tags(given))
        crops = given["5_crop"].by_id
        ctx.note("core_traits", core)
        for character in core:
            own = [row for row in rows if crops[row.id].character == character]
            ctx.log.info(
                "6c_caption: %s: %d captions, core traits %s: %s",
                character,
                len(own),
                "kept in the captions" if self.settings.core_traits == "keep" else "left out for the trigger to learn",
                ", ".join(core[character]) or "none",
            )
        return rows

    def _core(self, given: Mapping[str, Output], ordered: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Core traits per character, from pictures with one face only: the tags of a crowd may be anybody's."""
        pictures: dict[str, list[Sequence[str]]] = defaultdict(list)
        for crop in given["5_crop"].kept:
            if crop.id in ordered:
                pictures[crop.character] += [ordered[crop.id]] if len(crop.faces) <= 1 else []
        return {name: core_traits(pictures[name], self.settings.core_share) for name in sorted(pictures)}

    def _caption(
        self, row: AttributeRow, crop: Crop, tags: tuple[str, ...], core: Mapping[str, list[str]]
    ) -> CaptionRow:
        pruned = core[crop.character] if self.settings.core_traits == "drop" else []
        return CaptionRow(
            id=row.id,
            caption=write_caption(crop.character, tags, pruned, self.settings, row.tags),
            tags=tags,
            name="_".join(safe_slug(part) for part in (crop.character, row.outfit, row.emotion, row.background)),
        )


def _ordered_tags(given: Mapping[str, Output]) -> dict[str, tuple[str, ...]]:
    """Crop id → ordered tags, for every crop that was tagged."""
    return {row.id: order_tags(row.tags) for row in given["6b_attributes"].kept}
