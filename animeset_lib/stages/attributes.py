"""6b_attributes: tag scores → cleaned tags, and what kind of picture each crop is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from animeset_lib.records import AttributeRow, Crop, Record, TagRow
from animeset_lib.run.stage import Context, Output, Stage
from animeset_lib.settings import AttributesSettings
from animeset_lib.tags.vocabulary import background_of, emotion_of, outfit_of, view_of

__all__ = ["AttributesItem", "AttributesStage"]


@dataclass(frozen=True)
class AttributesItem:
    """One tagged crop and its picture file."""

    id: str
    crop: Crop
    tagged: TagRow
    path: Path


@dataclass(frozen=True)
class AttributesStage(Stage):
    """Cleans tags and finds each picture's outfit, emotion, background and view."""

    settings: AttributesSettings

    name: ClassVar[str] = "6b_attributes"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("1_extract", "3c_cluster", "5_crop", "6a_tag")
    row: ClassVar[type[Record]] = AttributeRow

    def plan(self, given: Mapping[str, Output]) -> Sequence[AttributesItem]:
        crops = given["5_crop"]
        return [
            AttributesItem(row.id, crops.by_id[row.id], row, crops.path / crops.by_id[row.id].file)
            for row in given["6a_tag"].kept
        ]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[AttributeRow]:
        for item in batch:
            # With two faces in the picture nobody can say whose dress or smile the tagger saw.
            own = item.tagged.general if len(item.crop.faces) <= 1 else {}
            yield AttributeRow(
                id=item.id,
                tags=item.tagged.general,
                outfit=outfit_of(own),
                emotion=emotion_of(own),
                background=background_of(item.tagged.general),
                view=view_of(own),
            )

    def finish(
        self, rows: list[Any], items: Sequence[Any], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[Record]:
        crops = given["5_crop"].by_id
        attributes: dict[str, dict[str, dict[str, int]]] = {}
        for character in sorted({crops[row.id].character for row in rows}):
            own = [row for row in rows if crops[row.id].character == character]
            attributes[character] = {
                name: dict(sorted(Counter(getattr(row, name) for row in own).items()))
                for name in ("outfit", "emotion", "background", "view")
            }
        ctx.note("attributes", attributes)
        return rows
