"""Why is this picture not in my set? The fate of every frame, figure and crop, put together from the rows of all stages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.dataset.selection import NOT_SELECTED
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import DatasetRow, PlannedCrop, Reason, Region
from animeset_lib.run.stage import Given, StageType
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.tag import TagStage

__all__ = ["CROP_STAGES", "LAST", "REASONS", "Fate", "Loss", "fates", "losses"]

What = Literal["frame", "figure", "crop"]

NO_CROP_USED = "no_crop_used"
LAST = "7_dataset"
"""Name of the stage that asks: its class builds on this module."""
_FRAME_STAGES: tuple[StageType, ...] = (ExtractStage, DedupeStage)
_REGION_STAGES: tuple[StageType, ...] = (DetectStage, EmbedStage, ClusterStage, CastStage, QualityStage)
CROP_STAGES: tuple[StageType, ...] = (UpscaleStage, CropStage, TagStage, AttributesStage, CaptionStage)
"""Stages that may drop a crop. All their rows have the crop's id."""
REASONS: Mapping[str, Reason] = {
    **{
        code: reason
        for stage in (*_FRAME_STAGES, *_REGION_STAGES, *CROP_STAGES)
        for code, reason in stage.reasons.items()
    },
    "not_selected": NOT_SELECTED,
    "not_planned": Reason(
        "Enough others planned", "Genug andere geplant", "Other pictures of the character were planned."
    ),
    "missing": Reason("Picture is missing", "Bild fehlt", "It was planned, but no picture was made of it."),
    NO_CROP_USED: Reason(
        "None of its crops used", "Kein Crop davon verwendet", "All crops of the figure were dropped."
    ),
    "no_figure_used": Reason("None of its figures used", "Niemand daraus verwendet", "All figures in it were dropped."),
    "chosen": Reason("In the data set", "Im Datensatz", "It is in the set, itself or what was cut from it."),
}
"""Of every code that a fate may have."""


@dataclass(frozen=True)
class Fate:
    """What became of one thing. `stage` is where it was dropped, or `LAST` when it was kept; `why` is a sentence."""

    id: str
    what: What
    state: Literal["kept", "dropped"]
    stage: str
    reason: str
    why: str
    character: str | None


@dataclass(frozen=True)
class Loss:
    """How many figures or crops a character lost at one stage for one reason."""

    stage: str
    reason: str
    what: What
    count: int


def fates(given: Given, chosen: Sequence[DatasetRow]) -> Iterator[Fate]:
    """Frames, then figures, then crops, each in their stage's order. `chosen` are the rows of 7_dataset."""
    by_id = {row.id: row for row in chosen}
    crops = [_crop_fate(crop, given, by_id) for crop in given[UpscaleStage].rows]
    of_region: dict[str, list[Fate]] = defaultdict(list)
    for planned, fate in zip(given[UpscaleStage].rows, crops, strict=True):
        of_region[planned.region_id].append(fate)
    figures = [_figure_fate(region, given, of_region[region.id]) for region in given[DetectStage].rows]
    of_frame: dict[str, list[Fate]] = defaultdict(list)
    for region, fate in zip(given[DetectStage].rows, figures, strict=True):
        of_frame[region.frame_id].append(fate)
    for frame in given[ExtractStage].rows:
        yield _frame_fate(frame.id, given, of_frame[frame.id])
    yield from figures
    yield from crops


def losses(all_fates: Iterable[Fate]) -> dict[str, list[Loss]]:
    """Per character what was lost where, in the order of the stages, most frequent reason first.

    A figure of which crops were planned counts by these.
    """
    counts: dict[str, Counter[tuple[str, str, What]]] = defaultdict(Counter)
    for fate in all_fates:
        if fate.character is not None and fate.state == "dropped" and fate.reason != NO_CROP_USED:
            counts[fate.character][fate.stage, fate.reason, fate.what] += 1
    return {
        character: [
            Loss(stage, reason, what, count)
            for (stage, reason, what), count in sorted(found.items(), key=lambda pair: (pair[0][0], -pair[1], pair[0]))
        ]
        for character, found in counts.items()
    }


def _crop_fate(crop: PlannedCrop, given: Given, chosen: Mapping[str, DatasetRow]) -> Fate:
    for stage in CROP_STAGES:
        row = given[stage].by_id.get(crop.id)
        if row is not None and row.dropped is not None:
            return Fate(crop.id, "crop", "dropped", stage.name, row.dropped, row.why, crop.character)
    final = chosen.get(crop.id)
    if final is None:
        return Fate(
            crop.id,
            "crop",
            "dropped",
            CropStage.name,
            "missing",
            "planned, but no picture was made of it",
            crop.character,
        )
    if final.dropped is not None:
        return Fate(crop.id, "crop", "dropped", LAST, final.dropped, final.why, crop.character)
    return Fate(
        crop.id,
        "crop",
        "kept",
        LAST,
        "chosen",
        f"is {final.character}/{final.image}: {final.why}",
        crop.character,
    )


def _figure_fate(region: Region, given: Given, crops: Sequence[Fate]) -> Fate:
    cast = given[CastStage].by_id.get(region.id)
    character = cast.character if cast is not None else None

    def dropped(stage: str, reason: str, why: str) -> Fate:
        return Fate(region.id, "figure", "dropped", stage, reason, why, character)

    for stage in _REGION_STAGES:
        row = given[stage].by_id.get(region.id)
        if row is not None and row.dropped is not None:
            return dropped(stage.name, row.dropped, row.why)
    if cast is None or character is None:
        return dropped(
            CastStage.name, "noise", (cast.why if cast else "") or "resembles no character often enough to be one"
        )
    if not crops:
        return dropped(UpscaleStage.name, "not_planned", "enough other pictures of this character were planned")
    kept = [fate for fate in crops if fate.state == "kept"]
    if kept:
        return Fate(region.id, "figure", "kept", LAST, "chosen", "; ".join(f.why for f in kept), character)
    last = max(crops, key=lambda fate: fate.stage)
    return dropped(last.stage, NO_CROP_USED, f"none of its {len(crops)} crops was used; {last.id}: {last.why}")


def _frame_fate(frame_id: str, given: Given, figures: Sequence[Fate]) -> Fate:
    def dropped(stage: str, reason: str, why: str) -> Fate:
        return Fate(frame_id, "frame", "dropped", stage, reason, why, None)

    for stage in _FRAME_STAGES:
        row = given[stage].by_id.get(frame_id)
        if row is not None and row.dropped is not None:
            return dropped(stage.name, row.dropped, row.why)
    if not figures:
        return dropped(DetectStage.name, "no_face", "no face was found in it")
    kept = [fate for fate in figures if fate.state == "kept"]
    if kept:
        return Fate(frame_id, "frame", "kept", LAST, "chosen", "; ".join(f.why for f in kept), None)
    last = max(figures, key=lambda fate: fate.stage)
    return dropped(last.stage, "no_figure_used", f"none of its {len(figures)} figures was used; {last.id}: {last.why}")
