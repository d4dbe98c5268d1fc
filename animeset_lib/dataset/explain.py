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
from animeset_lib.records import DatasetRow, PlannedCrop, Reason, Record, Region
from animeset_lib.run.stage import Given, StageType
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.tag import TagStage

__all__ = ["CROP_STAGES", "LAST", "REASONS", "Fate", "Loss", "dropped_by", "fates", "losses"]

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
    crops, figures = list[Fate](), list[Fate]()
    of_region, of_frame = defaultdict[str, list[Fate]](list), defaultdict[str, list[Fate]](list)
    for crop in given[UpscaleStage].rows:
        crops.append(_crop_fate(crop, given, by_id.get(crop.id)))
        of_region[crop.region_id].append(crops[-1])
    for region in given[DetectStage].rows:
        figures.append(_figure_fate(region, given, of_region[region.id]))
        of_frame[region.frame_id].append(figures[-1])
    no_face = DetectStage.name, "no_face", "no face was found in it"
    for frame in given[ExtractStage].rows:
        yield _fate(frame.id, "frame", None, dropped_by(given, _FRAME_STAGES, frame.id), of_frame[frame.id], no_face)
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


def dropped_by(given: Given, stages: Iterable[StageType], id: str) -> tuple[str, Record] | None:
    """The first of these stages that dropped the thing, and its row; None when none did."""
    rows = ((stage.name, given[stage].by_id.get(id)) for stage in stages)
    return next(((stage, row) for stage, row in rows if row is not None and row.dropped is not None), None)


def _crop_fate(crop: PlannedCrop, given: Given, final: DatasetRow | None) -> Fate:
    lost = dropped_by(given, CROP_STAGES, crop.id)
    if lost is None and final is not None and final.dropped is None:
        why = f"is {final.character}/{final.image}: {final.why}"
        return Fate(crop.id, "crop", "kept", LAST, "chosen", why, crop.character)
    if lost is None and final is not None:
        lost = LAST, final
    missing = CropStage.name, "missing", "planned, but no picture was made of it"
    return _fate(crop.id, "crop", crop.character, lost, (), missing)


def _figure_fate(region: Region, given: Given, crops: Sequence[Fate]) -> Fate:
    cast = given[CastStage].by_id.get(region.id)
    character = cast.character if cast is not None else None
    nothing = UpscaleStage.name, "not_planned", "enough other pictures of this character were planned"
    if character is None:
        why = (cast.why if cast else "") or "resembles no character often enough to be one"
        crops, nothing = (), (CastStage.name, "noise", why)
    return _fate(region.id, "figure", character, dropped_by(given, _REGION_STAGES, region.id), crops, nothing)


def _fate(
    id: str,
    what: What,
    character: str | None,
    lost: tuple[str, Record] | None,
    parts: Sequence[Fate],
    nothing: tuple[str, str, str],
) -> Fate:
    """Of a thing that a stage dropped (`lost`), else of which only its parts tell; stage, reason and why where there are none (`nothing`)."""
    kept = [fate.why for fate in parts if fate.state == "kept"]
    if lost is not None:
        nothing = lost[0], str(lost[1].dropped), lost[1].why
    elif kept:
        return Fate(id, what, "kept", LAST, "chosen", "; ".join(kept), character)
    elif parts:
        last = max(parts, key=lambda fate: fate.stage)
        why = f"none of its {len(parts)} {last.what}s was used; {last.id}: {last.why}"
        nothing = last.stage, f"no_{last.what}_used", why
    return Fate(id, what, "dropped", *nothing, character)
