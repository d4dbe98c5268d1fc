"""3b_embed: one identity vector per face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np

from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media.reading import read_ahead
from animeset_lib.models.api import ModelInfo, ModelProvider, Picture
from animeset_lib.records import UNREADABLE, Box, EmbedRow, Reason
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import EmbedSettings

__all__ = ["EmbedNotes", "EmbedStage", "Heads"]

_STILLS_AHEAD = 4


@dataclass(frozen=True)
class Heads:
    """The faces in use of one still, so that each still is read once."""

    id: str
    path: Path
    faces: tuple[tuple[str, Box], ...]


class EmbedNotes(Notes):
    """Which embedder answered (`asked` is the setting), the length of its vectors and the cosine distance below which two are one character."""

    asked: str
    embedder: ModelInfo
    dim: int
    same_distance: float


@dataclass(frozen=True)
class EmbedStage(Stage[Heads, EmbedRow, EmbedNotes]):
    """One row with a unit vector per region that `3a_detect` kept, in its order."""

    settings: EmbedSettings
    name: ClassVar[str] = "3b_embed"
    version: ClassVar[str] = "1"
    seconds_per_minute: ClassVar[float] = 4.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DetectStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
    }

    def fingerprint(self, models: ModelProvider) -> dict[str, str]:
        return {"embedder": models.info("embedder", self.settings.embedder).digest}

    def plan(self, given: Given) -> list[Heads]:
        stills = given[ExtractStage]
        return [
            Heads(
                frame_id, stills.path / stills.by_id[frame_id].file, tuple((region.id, region.face) for region in group)
            )
            for frame_id, group in groupby(given[DetectStage].kept, key=lambda region: region.frame_id)
        ]

    def process(self, batch: Sequence[Heads], out: Path, ctx: Context) -> list[EmbedRow]:
        embedder = ctx.models.embedder(self.settings.embedder)
        heads: dict[str, Picture] = {}
        faults: dict[str, str] = {}
        pictures = read_ahead((item.path for item in batch), ctx.threads, room=_STILLS_AHEAD)
        for item, picture in zip(batch, pictures, strict=True):
            for region, face in item.faces:
                if isinstance(picture, InputError):
                    faults[region] = str(picture)
                else:
                    heads[region] = head_crop(picture, face)
        # all heads of a batch at once: a network is quicker with many pictures than with one
        vectors = dict(zip(heads, embedder.embed(list(heads.values())), strict=True))
        rows: list[EmbedRow] = []
        for region, _ in (pair for item in batch for pair in item.faces):
            row = EmbedRow(id=region, dropped="unreadable" if region in faults else None, why=faults.get(region, ""))
            row.attach(vectors.get(region, np.zeros(embedder.dim, np.float32)))
            rows.append(row)
        return rows

    def finish(
        self, rows: Sequence[EmbedRow], items: Sequence[Heads], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[EmbedRow], EmbedNotes]:
        info = ctx.models.info("embedder", self.settings.embedder)
        embedder = ctx.models.embedder(self.settings.embedder)
        notes = EmbedNotes(
            asked=self.settings.embedder, embedder=info, dim=embedder.dim, same_distance=embedder.same_distance
        )
        ctx.log.info("3b_embed: %d vectors of %d values by %s", len(rows), embedder.dim, info.name)
        return rows, notes
