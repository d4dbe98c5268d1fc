"""5_crop: the finished pictures, cut from the enlarged files or the stills, in sizes that the trainer's buckets take as they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from animeset_lib.cast.detect import DetectStage
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image, write_image
from animeset_lib.pictures.framing import Shape, keep_inside, output_size
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import UNREADABLE, Box, Crop, Framing, PlannedCrop, Reason, Region
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import CropSettings, TrainingSize

__all__ = ["CropNotes", "CropStage"]

# A face counts as being in the picture when at least this share of its box is.
_VISIBLE = 0.3


@dataclass(frozen=True)
class CutItem:
    """One planned crop, the picture it is cut from, and the faces of its still: the character's own and all of them."""

    id: str
    planned: PlannedCrop
    source: Path
    face: Box
    faces: tuple[Box, ...]


class CropNotes(Notes):
    """Finished pictures by size (`<width>x<height>`) and by framing, and how many show another face."""

    sizes: dict[str, int]
    framings: dict[Framing, int]
    with_other_faces: int


@dataclass(frozen=True)
class CropStage(Stage[CutItem, Crop, CropNotes]):
    """Cuts and shrinks, never enlarges; each crop's sides are multiples of the bucket step."""

    settings: CropSettings
    size: TrainingSize = TrainingSize()
    name: ClassVar[str] = "5_crop"
    version: ClassVar[str] = "1"
    seconds_per_minute: ClassVar[float] = 6.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DetectStage, UpscaleStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
        "too_small": QualityStage.reasons["too_small"],
    }
    batch: ClassVar[int] = 32

    def plan(self, given: Given) -> list[CutItem]:
        """The planned crops that are in use, in their order."""
        stills, upscaled, regions = given[ExtractStage], given[UpscaleStage], given[DetectStage]
        faces: dict[str, list[Region]] = defaultdict(list)
        for region in regions.kept:
            faces[region.frame_id].append(region)
        items = []
        for planned in upscaled.kept:
            still = stills.path / stills.by_id[planned.frame_id].file
            source = upscaled.path / planned.file if planned.file else still
            own = regions.by_id[planned.region_id]
            everyone = (own.face, *(r.face for r in faces[planned.frame_id] if r.id != own.id))
            items.append(CutItem(planned.id, planned, source, own.face, everyone))
        return items

    def process(self, batch: Sequence[CutItem], out: Path, ctx: Context) -> Iterable[Crop]:
        # crops of one still that need no enlarging follow each other
        read = lru_cache(maxsize=1)(read_image)
        for item in batch:
            ctx.check_cancel()
            try:
                picture = read(item.source)
            except InputError as error:
                yield _row(item, item.planned.box, _size(item.planned.box), "unreadable", str(error))
                continue
            yield self._cut(item, picture, out)

    def finish(
        self, rows: Sequence[Crop], items: Sequence[CutItem], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[Crop], CropNotes]:
        kept = [row for row in rows if row.dropped is None]
        sizes = Counter(f"{row.width}x{row.height}" for row in kept)
        shared = sum(len(row.faces) > 1 for row in kept)
        ctx.log.info("5_crop: %d pictures in %d sizes, %d with another face in them", len(kept), len(sizes), shared)
        return rows, CropNotes(
            sizes=dict(sorted(sizes.items())),
            framings=dict(sorted(Counter(row.framing for row in kept).items())),
            with_other_faces=shared,
        )

    def _cut(self, item: CutItem, picture: Picture, out: Path) -> Crop:
        """Cuts one picture, writes it and says what is in it."""
        planned = item.planned
        x0, y0, x1, y1 = planned.box.pixels()
        if planned.file is None:
            picture, factor = picture[y0:y1, x0:x1], 1
        else:
            factor = planned.factor
        height, width = picture.shape[:2]
        size = output_size(width, height, self._shape, self.size.shrink_to_training)
        if size is None:
            why = f"the crop has {width}x{height} px, less than one bucket step of {self.size.bucket_step_px} px"
            return _row(item, planned.box, (width, height), "too_small", why)
        # a bucket's ratio is a few pixels off that of the box at most; what is too much goes from both sides, but not from the face
        shrink = min(width / size[0], height / size[1])
        face = item.face.moved(-x0, -y0).scaled(factor)
        whole = Box(x0=0, y0=0, x1=width, y1=height)
        part = keep_inside(min(width, round(size[0] * shrink)), min(height, round(size[1] * shrink)), whole, face)
        px0, py0, px1, py1 = part.pixels()
        cut = picture[py0:py1, px0:px1]
        if (px1 - px0, py1 - py0) != size:
            cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
        write_image(out / f"{item.id}.png", np.ascontiguousarray(cut))
        return _row(item, part.scaled(1 / factor).moved(x0, y0), size)

    @property
    def _shape(self) -> Shape:
        return Shape(self.size.training_px, self.size.bucket_step_px)


def _size(box: Box) -> tuple[int, int]:
    x0, y0, x1, y1 = box.pixels()
    return x1 - x0, y1 - y0


def _row(item: CutItem, box: Box, size: tuple[int, int], dropped: str | None = None, why: str = "") -> Crop:
    """The row for `box` of the still, shown as a picture of `size` (width, height)."""
    planned = item.planned
    width, height = size
    scale_x, scale_y = width / box.width, height / box.height

    def shown(face: Box) -> Box | None:
        if face.intersection(box) < _VISIBLE * face.area:
            return None
        return face.moved(-box.x0, -box.y0).scaled(scale_x, scale_y).clip(width, height)

    return Crop(
        id=item.id,
        dropped=dropped,
        why=why,
        region_id=planned.region_id,
        frame_id=planned.frame_id,
        character=planned.character,
        framing=planned.framing,
        file=f"{item.id}.png",
        box=box,
        factor=planned.factor,
        upscaler=planned.upscaler,
        width=width,
        height=height,
        face=shown(item.face),
        faces=tuple(face for face in map(shown, item.faces) if face is not None),
    )
