"""6b_attributes: tag scores and pixels → tags that can be believed, and what kind of picture each crop is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.errors import InputError
from animeset_lib.media.reading import read_ahead
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import UNREADABLE, AttributeRow, Crop, Reason, TagRow
from animeset_lib.run.stage import Context, Given, Notes, Output, Stage, StageType
from animeset_lib.settings import AttributesSettings
from animeset_lib.words.cleaning import clean
from animeset_lib.words.clothes import clothes_look
from animeset_lib.words.emotions import emotions
from animeset_lib.words.outfits import outfits
from animeset_lib.words.subsets import Subset, Subsets, TaggedCrop
from animeset_lib.words.tag import TagItem, TagStage
from animeset_lib.words.vocabulary import UNKNOWN, background_of, category_of, view_of
from animeset_lib.words.voting import Sighted, vote

__all__ = ["AttributesItem", "AttributesNotes", "AttributesStage", "groupings"]

_NOTED = 200
"""Most tags whose numbers go into stage.json."""
_MEASURED = 0.5
"""Score of an outfit's name as a tag: it says colours, which are measured, of clothes that were grouped, which may err."""
_ATTRIBUTES = ("outfit", "emotion", "background", "view")


@dataclass(frozen=True)
class AttributesItem(TagItem):
    """One crop, its picture file and its tags."""

    tagged: TagRow


class AttributesNotes(Notes):
    """Character → its sub-sets, and → attribute → value → pictures; and the tags that went or came most often."""

    attributes: dict[str, dict[str, dict[str, int]]]
    tags_removed: dict[str, int]
    tags_added: dict[str, int]
    subsets: dict[str, tuple[Subset, ...]]


@dataclass(frozen=True)
class AttributesStage(Stage[AttributesItem, AttributeRow, AttributesNotes]):
    """Cleans the tags of each picture and measures its clothes; then, over all pictures of a character, finds outfits and emotions."""

    settings: AttributesSettings

    name: ClassVar[str] = "6b_attributes"
    version: ClassVar[str] = "2"
    seconds_per_minute: ClassVar[float] = 2.0
    needs: ClassVar[tuple[StageType, ...]] = (ClusterStage, CropStage, TagStage)
    reasons: ClassVar[Mapping[str, Reason]] = {"unreadable": UNREADABLE}

    def plan(self, given: Given) -> Sequence[AttributesItem]:
        crops = given[CropStage]
        return [
            AttributesItem(row.id, crops.by_id[row.id], crops.path / crops.by_id[row.id].file, row)
            for row in given[TagStage].kept
        ]

    def process(self, batch: Sequence[AttributesItem], out: Path, ctx: Context) -> Iterable[AttributeRow]:
        pictures = read_ahead((item.path for item in batch), ctx.threads, len(batch))
        for item, picture in zip(batch, pictures, strict=True):
            if isinstance(picture, InputError):
                yield AttributeRow(
                    id=item.id,
                    dropped="unreadable",
                    why=f"{item.path.name} cannot be read: {picture}",
                    tags={},
                    outfit=UNKNOWN,
                    emotion=UNKNOWN,
                    background=UNKNOWN,
                    view=UNKNOWN,
                )
                continue
            found = clean(item.tagged.general, len(item.crop.faces), self.settings.blacklist)
            yield AttributeRow(
                id=item.id,
                tags=found.tags,
                removed=found.removed,
                added=found.added,
                # outfit and emotion are known when all pictures of the character are
                outfit=UNKNOWN,
                emotion=UNKNOWN,
                background=background_of(found.tags),
                # with two faces in the picture nobody can say who is seen from the side
                view=view_of(found.tags) if len(item.crop.faces) <= 1 else UNKNOWN,
                looks=clothes_look(picture, item.crop.face),
            )

    def finish(
        self, rows: Sequence[AttributeRow], items: Sequence[AttributesItem], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[AttributeRow], AttributesNotes]:
        crops, tracks = given[CropStage].by_id, given[ClusterStage].by_id
        found = {row.id: row for row in rows if row.dropped is None}
        track_of = {crop_id: tracks[crops[crop_id].region_id].track for crop_id in found}
        if self.settings.vote:
            found |= _agreed(found, crops, track_of)
        cast: dict[str, list[TaggedCrop]] = defaultdict(list)
        for row in found.values():
            crop = crops[row.id]
            seen = TaggedCrop(row.id, crop.region_id, track_of[row.id], row.tags, row.looks, len(crop.faces))
            cast[crop.character].append(seen)
        subsets: dict[str, tuple[Subset, ...]] = {}
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for character, own in sorted(cast.items()):
            wears, moods = outfits(own, self.settings), emotions(own, self.settings)
            subsets[character] = (*wears.subsets, *moods.subsets)
            for one in own:
                names = {"outfit": wears.name_of[one.id], "emotion": moods.name_of[one.id]}
                found[one.id] = _named(found[one.id], names, self.settings.blacklist)
            counts[character] = {
                name: dict(sorted(Counter(getattr(found[one.id], name) for one in own).items())) for name in _ATTRIBUTES
            }
            for sentence in (*wears.notes, *moods.notes):
                ctx.log.info("6b_attributes: %s: %s", character, sentence)
            said = (_counted(counts[character][name]) for name in ("outfit", "emotion"))
            ctx.log.info("6b_attributes: %s: outfits %s; emotions %s", character, *said)
        rows = [found.get(row.id, row) for row in rows]
        return rows, AttributesNotes(
            attributes=counts,
            tags_removed=dict(Counter(tag for row in rows for tag in row.removed).most_common(_NOTED)),
            tags_added=dict(Counter(tag for row in rows for tag in row.added).most_common(_NOTED)),
            subsets=subsets,
        )


def _agreed(
    found: Mapping[str, AttributeRow], crops: Mapping[str, Crop], track_of: Mapping[str, int]
) -> dict[str, AttributeRow]:
    """The rows with what the pictures of each track agree on."""
    by_track: dict[int, list[AttributeRow]] = defaultdict(list)
    for row in found.values():
        by_track[track_of[row.id]].append(row)
    agreed = {}
    for own in by_track.values():
        seen = [crops[row.id] for row in own]
        pictures = [
            Sighted(row.tags, crop.framing, len(crop.faces), crop.frame_id) for row, crop in zip(own, seen, strict=True)
        ]
        for row, result in zip(own, vote(pictures), strict=True):
            changed = {
                "tags": result.tags,
                # what one step took out and the other put back was neither
                "removed": _but({**row.removed, **result.removed}, result.tags, False),
                "added": _but({**row.added, **result.added}, result.tags, True),
            }
            agreed[row.id] = row.model_copy(update=changed)
    return agreed


def _but(reasons: Mapping[str, str], tags: Mapping[str, float], there: bool) -> dict[str, str]:
    """The reasons of those tags that are there in the end, or that are not."""
    return {tag: why for tag, why in reasons.items() if (tag in tags) is there}


def _named(row: AttributeRow, names: Mapping[str, str], blacklist: str) -> AttributeRow:
    """The row with its sub-sets. Where clothes are seen of which no tag says anything, the outfit's measured name becomes a tag, so that captions can
    tell it from the character's other outfits; unless the blacklist has it."""
    outfit, new = names["outfit"], dict[str, float]()
    if row.looks and outfit != UNKNOWN and not any(category_of(tag) == "outfit" for tag in row.tags):
        new = clean({outfit: _MEASURED}, 0, blacklist).tags
    said = {
        "tags": {**row.tags, **new},
        "removed": _but(row.removed, new, False),
        "added": {**row.added, **dict.fromkeys(new, "the name of its outfit; no other tag says what is worn")},
    }
    return row.model_copy(update={**names, **said})


def groupings(
    attributes: Output[AttributeRow, AttributesNotes], crop_ids: Sequence[str], character: str
) -> tuple[Subsets, Subsets]:
    """A character's outfits and emotions as the finished stage found them; `crop_ids` are the character's crops."""
    found = attributes.notes.subsets.get(character, ())
    rows = [attributes.by_id[crop_id] for crop_id in crop_ids]
    return (
        Subsets({row.id: row.outfit for row in rows}, tuple(s for s in found if s.kind == "outfit")),
        Subsets({row.id: row.emotion for row in rows}, tuple(s for s in found if s.kind == "emotion")),
    )


def _counted(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(values.items(), key=lambda p: (-p[1], p[0])))
