"""3b_embed: one identity vector per face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from animeset_lib.cast.head_box import head_crop
from animeset_lib.errors import InputError
from animeset_lib.media.reading import read_ahead
from animeset_lib.models.api import ModelProvider, Picture
from animeset_lib.records import Box, EmbedRow, Record
from animeset_lib.run.stage import Context, Output, Stage
from animeset_lib.settings import EmbedSettings

__all__ = ["EmbedStage", "Heads"]

_STILLS_AHEAD = 4


@dataclass(frozen=True)
class Heads:
    """The faces in use of one still, so that each still is read once."""

    id: str
    path: Path
    faces: tuple[tuple[str, Box], ...]


@dataclass(frozen=True)
class EmbedStage(Stage):
    """One row with a unit vector per region that `3a_detect` kept, in its order."""

    settings: EmbedSettings
    name: ClassVar[str] = "3b_embed"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("1_extract", "3a_detect")
    row: ClassVar[type[Record]] = EmbedRow

    def fingerprint(self, models: ModelProvider) -> dict[str, str]:
        return {"embedder": models.info("embedder", self.settings.embedder).digest}

    def plan(self, given: Mapping[str, Output]) -> list[Heads]:
        stills = given["1_extract"]
        return [
            Heads(
                frame_id, stills.path / stills.by_id[frame_id].file, tuple((region.id, region.face) for region in group)
            )
            for frame_id, group in groupby(given["3a_detect"].kept, key=lambda region: region.frame_id)
        ]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> list[EmbedRow]:
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
        self, rows: list[EmbedRow], items: Sequence[Heads], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[EmbedRow]:
        info = ctx.models.info("embedder", self.settings.embedder)
        embedder = ctx.models.embedder(self.settings.embedder)
        ctx.note(
            "embedder",
            {
                "asked": self.settings.embedder,
                **asdict(info),
                "dim": embedder.dim,
                "same_distance": embedder.same_distance,
            },
        )
        ctx.log.info("3b_embed: %d vectors of %d values by %s", len(rows), embedder.dim, info.name)
        return rows
