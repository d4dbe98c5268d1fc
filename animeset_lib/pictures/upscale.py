"""4b_upscale: which figures are worth finishing, how each will be framed, and enlarging the crops that are too small to train on.

Only what survived the quality check and the pre-selection is enlarged, and only where the training size asks for it: enlarging is the most
expensive step of the pipeline, and most of a film's pixels never reach a data set.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.errors import InputError, ModelError, PictureError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image, write_image
from animeset_lib.models.api import ModelInfo, ModelProvider, Upscaler
from animeset_lib.pictures.framing import FRAMINGS, FramedFigure, Shape, choose_factor, place_all, snap
from animeset_lib.pictures.preselect import FigureCandidate, assign_framings, preselect
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.records import UNREADABLE, Box, Framing, PlannedCrop, Reason, Region
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import SetSize, TrainingSize, UpscaleSettings

__all__ = ["UpscaleNotes", "UpscaleStage"]

# Pixels of the still around a crop that the network sees as well, so that the crop's border looks like its middle.
_CONTEXT_PX = 16
# Side of the plain picture that tells a failing upscaler from a picture that it cannot do.
_PLAIN_PX = 64
# How much the trust in a figure's name counts beside its quality when figures are chosen.
_TRUST = 0.3
# Figures that can be shown in a framing which too few others offer are preferred by this much.
_RARE = 0.15


@dataclass(frozen=True)
class CropItem:
    """One crop to make, or, with `dropped`, a figure that is not used and why."""

    id: str
    region_id: str
    frame_id: str
    character: str
    framing: Framing
    box: Box
    face: Box
    still: Path
    dropped: str | None = None
    why: str = ""


@dataclass(frozen=True)
class _FramedFigure:
    """One figure that passed the quality check: what is known about it."""

    region: Region
    still: Path
    shot: int
    pts_ms: int
    score: float
    vector: Any
    options: Mapping[Framing, Box]


class UpscaleNotes(Notes):
    """What was enlarged.

    model                None where nothing is to be enlarged
    enlarged             `<upscaler> <factor>x` → pictures
    below_training_size  pictures that stay smaller than what is trained
    framings             character → framing → pictures
    """

    model: ModelInfo | None
    enlarged: dict[str, int]
    enlarged_pixels: int
    not_enlarged: int
    below_training_size: int
    framings: dict[str, dict[Framing, int]]


@dataclass(frozen=True)
class UpscaleStage(Stage[CropItem, PlannedCrop, UpscaleNotes]):
    """Plans every crop and enlarges those below the training size; see the module's first lines."""

    settings: UpscaleSettings
    size: TrainingSize = TrainingSize()
    set_size: SetSize = SetSize()
    name: ClassVar[str] = "4b_upscale"
    version: ClassVar[str] = "2"
    seconds_per_minute: ClassVar[float] = 440.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DetectStage, EmbedStage, CastStage, QualityStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
        "other_face": Reason(
            "Another face in it", "Fremdes Gesicht im Bild", "Other faces cannot be kept out of any framing."
        ),
        "not_preselected": Reason(
            "Not preselected", "Nicht vorausgewählt", "Other figures of the character add more variety and quality."
        ),
        "no_framing": Reason(
            "No wanted framing",
            "Kein gewünschter Ausschnitt",
            "The wanted mix has none of the framings that this figure allows.",
        ),
        "not_enlarged": Reason("Enlarging failed", "Vergrößern misslungen", "The upscaler failed on this picture."),
    }
    batch: ClassVar[int] = 4  # enlarging is slow

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        if self.settings.upscaler == "none":
            return {}
        return {"upscaler": models.info("upscaler", self.settings.upscaler).digest}

    def plan(self, given: Given) -> list[CropItem]:
        """Per character, in the order of names: chosen figures, each with its crops, and one dropped item for every other figure."""
        per_character: dict[str, list[_FramedFigure]] = defaultdict(list)
        frames = given[ExtractStage].by_id
        regions = given[DetectStage]
        faces: dict[str, list[Region]] = defaultdict(list)
        for region in regions.kept:
            faces[region.frame_id].append(region)
        for quality in given[QualityStage].kept:
            region = regions.by_id[quality.id]
            cast = given[CastStage].by_id[quality.id]
            assert cast.character is not None, "4a_quality measures only figures with a character"
            frame = frames[region.frame_id]
            figure = FramedFigure(
                face=region.face,
                person=region.person,
                person_estimated=region.person_estimated,
                width=region.width,
                height=region.height,
                head=region.head,
                halfbody=region.halfbody,
                others=tuple(other.face for other in faces[region.frame_id] if other.id != region.id),
            )
            per_character[cast.character].append(
                _FramedFigure(
                    region=region,
                    still=given[ExtractStage].path / frame.file,
                    shot=frame.shot,
                    pts_ms=frame.pts_ms,
                    score=(1 - _TRUST) * quality.score + _TRUST * cast.confidence,
                    vector=given[EmbedStage].by_id[quality.id].vector,
                    options=place_all(figure, self._shape, {f: _fraction(f"{region.id}-{f}") for f in FRAMINGS}),
                )
            )
        return [
            item
            for character in sorted(per_character)
            for item in self._plan_character(character, per_character[character])
        ]

    def process(self, batch: Sequence[CropItem], out: Path, ctx: Context) -> Iterable[PlannedCrop]:
        upscaler = None if self.settings.upscaler == "none" else ctx.models.upscaler(self.settings.upscaler)
        # the crops of one still follow each other
        read = lru_cache(maxsize=1)(read_image)
        at_fault: bool | None = None
        for item in batch:
            ctx.check_cancel()
            if item.dropped is not None:
                yield _row(item, item.box)
                continue
            factors = upscaler.factors if upscaler else ()
            factor = choose_factor(item.box, factors, self._shape, self.settings.tolerance, self.settings.max_factor)
            box = snap(item.box, factor, item.face, self._shape)
            if upscaler is None or factor == 1:
                yield _row(item, box)
                continue
            try:
                still = read(item.still)
            except InputError as error:
                yield _row(item, box, dropped="unreadable", why=str(error))
                continue
            try:
                large = _enlarge(still, box, factor, upscaler)
            except PictureError as error:
                # The batch is not journaled when this raises: the same command goes on here once the cause is mended.
                at_fault = _fails_on_a_plain_picture(upscaler, factor) if at_fault is None else at_fault
                if at_fault:
                    raise ModelError(
                        f"the upscaler {self.settings.upscaler} fails, on a plain picture too: {error}; "
                        "mend that or choose another (upscale.upscaler), then the same command goes on"
                    ) from error
                ctx.log.warning("4b_upscale: %s is left out: %s", item.id, error)
                yield _row(item, box, dropped="not_enlarged", why=str(error))
                continue
            file = f"{item.id}.png"
            write_image(out / file, large)
            yield _row(item, box, factor=factor, file=file, upscaler=upscaler.info.name)

    def finish(
        self,
        rows: Sequence[PlannedCrop],
        items: Sequence[CropItem],
        given: Given,
        out: Path,
        ctx: Context,
    ) -> tuple[Sequence[PlannedCrop], UpscaleNotes]:
        kept = [row for row in rows if row.dropped is None]
        enlarged = Counter(f"{row.upscaler} {row.factor}x" for row in kept if row.factor > 1)
        # snapping to the step takes up to one step from each side
        enough = self.size.training_px / self.settings.tolerance - self.size.bucket_step_px
        below = sum(row.box.area**0.5 * row.factor < enough for row in kept)
        mix = {
            character: dict(sorted(Counter(row.framing for row in kept if row.character == character).items()))
            for character in sorted({row.character for row in rows})
        }
        for character, framings in mix.items():
            figures = len({row.region_id for row in kept if row.character == character})
            several = (
                "" if sum(framings.values()) == figures else ": several framings of one figure, to have more pictures"
            )
            words = ", ".join(f"{count} {framing}" for framing, count in framings.items()) or "nothing usable"
            ctx.log.info("4b_upscale: %s: %s from %d figures%s", character, words, figures, several)
        reasons = Counter(row.dropped for row in rows if row.dropped)
        for reason, count in sorted(reasons.items()):
            ctx.log.info("4b_upscale: %d figures dropped as %s", count, reason)
        ctx.log.info(
            "4b_upscale: enlarged %s; %d of %d pictures stay below the training size",
            ", ".join(f"{count} with {how}" for how, count in sorted(enlarged.items())) or "none",
            below,
            len(kept),
        )
        upscaler = self.settings.upscaler
        return rows, UpscaleNotes(
            model=None if upscaler == "none" else ctx.models.info("upscaler", upscaler),
            enlarged=dict(sorted(enlarged.items())),
            enlarged_pixels=int(sum(row.box.area * row.factor**2 for row in kept if row.factor > 1)),
            not_enlarged=sum(row.factor == 1 for row in kept),
            below_training_size=below,
            framings=mix,
        )

    @property
    def _shape(self) -> Shape:
        return Shape(self.size.training_px, self.size.bucket_step_px)

    @property
    def _shares(self) -> dict[Framing, float]:
        s = self.settings
        return {"face": s.mix_face, "upper_body": s.mix_upper_body, "full": s.mix_full, "frame": s.mix_frame}

    def _plan_character(self, character: str, figures: Sequence[_FramedFigure]) -> list[CropItem]:
        usable = {figure.region.id: figure for figure in figures if figure.options}
        limit = ceil(self.settings.candidates * self.set_size.max_pictures)
        chosen = preselect(self._scored(list(usable.values())), limit)
        target = max(len(chosen), min(limit, ceil(self.settings.candidates * self.set_size.min_pictures)))
        framings = assign_framings(
            [usable[id].options for id in chosen], [self._poor(usable[id]) for id in chosen], self._shares, target
        )
        assigned = dict(zip(chosen, framings, strict=True))
        items: list[CropItem] = []
        for figure in figures:
            id = figure.region.id
            if id not in usable:
                why = "the faces of others in this picture cannot be kept out of any framing"
                items.append(_item(character, figure, "face", figure.region.face, "other_face", why))
            elif id not in assigned:
                why = (
                    f"{len(chosen)} of the character's {len(usable)} figures were chosen for variety and quality "
                    f"(upscale.candidates {self.settings.candidates:g} x dataset.max_pictures {self.set_size.max_pictures})"
                )
                framing = assign_framings([figure.options], [self._poor(figure)], self._shares, 1)[0]
                natural = framing[0] if framing else next(iter(figure.options))
                items.append(_item(character, figure, natural, figure.options[natural], "not_preselected", why))
            elif not assigned[id]:
                natural = next(iter(figure.options))
                why = f"it could only be shown as {', '.join(figure.options)}, and the wanted mix has none of that"
                items.append(_item(character, figure, natural, figure.options[natural], "no_framing", why))
            else:
                items += [_item(character, figure, framing, figure.options[framing]) for framing in assigned[id]]
        return items

    def _scored(self, figures: Sequence[_FramedFigure]) -> list[FigureCandidate]:
        rare = {
            framing
            for framing, share in self._shares.items()
            if sum(framing in figure.options for figure in figures) < share * len(figures)
        }
        return [
            FigureCandidate(
                figure.region.id,
                figure.shot,
                figure.pts_ms,
                figure.score + _RARE * bool(rare & figure.options.keys()),
                figure.vector,
            )
            for figure in figures
        ]

    def _poor(self, figure: _FramedFigure) -> frozenset[Framing]:
        """Framings that reach not even half the training size when enlarged as far as allowed."""
        largest = 1 if self.settings.upscaler == "none" else self.settings.max_factor
        return frozenset(
            framing for framing, box in figure.options.items() if box.area**0.5 * largest < self.size.training_px / 2
        )


def _fraction(text: str) -> float:
    """A number 0..1 that looks random and is the same for the same text everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def _item(
    character: str, figure: _FramedFigure, framing: Framing, box: Box, dropped: str | None = None, why: str = ""
) -> CropItem:
    region = figure.region
    return CropItem(
        id=f"{region.id}-{framing}",
        region_id=region.id,
        frame_id=region.frame_id,
        character=character,
        framing=framing,
        box=box,
        face=region.face,
        still=figure.still,
        dropped=dropped,
        why=why,
    )


def _row(
    item: CropItem,
    box: Box,
    *,
    factor: int = 1,
    file: str | None = None,
    upscaler: str | None = None,
    dropped: str | None = None,
    why: str = "",
) -> PlannedCrop:
    return PlannedCrop(
        id=item.id,
        dropped=dropped or item.dropped,
        why=why or item.why,
        region_id=item.region_id,
        frame_id=item.frame_id,
        character=item.character,
        framing=item.framing,
        box=box,
        factor=factor,
        file=file,
        upscaler=upscaler,
    )


def _fails_on_a_plain_picture(upscaler: Upscaler, factor: int) -> bool:
    try:
        upscaler.upscale(np.full((_PLAIN_PX, _PLAIN_PX, 3), 128, np.uint8), factor)
    except PictureError:
        return True
    return False


def _enlarge(still: Picture, box: Box, factor: int, upscaler: Upscaler) -> Picture:
    """Exactly `box.pixels()` of `still`, `factor` times as wide and high; the network also sees a little of what lies around."""
    height, width = still.shape[:2]
    x0, y0, x1, y1 = box.pixels()
    left, top = max(0, x0 - _CONTEXT_PX), max(0, y0 - _CONTEXT_PX)
    seen = still[top : min(height, y1 + _CONTEXT_PX), left : min(width, x1 + _CONTEXT_PX)]
    large = upscaler.upscale(np.ascontiguousarray(seen), factor)
    x, y = (x0 - left) * factor, (y0 - top) * factor
    return np.ascontiguousarray(large[y : y + (y1 - y0) * factor, x : x + (x1 - x0) * factor])
