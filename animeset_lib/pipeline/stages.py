"""One file per stage, and the one ordered list of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.name_book import KnownName
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.dataset.regularisation import RegularisationStage
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import Film
from animeset_lib.run.stage import Stage, StageType
from animeset_lib.settings import Settings
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.tag import TagStage

__all__ = ["PIPELINE", "AnyStage", "build_pipeline"]

AnyStage = Stage[Any, Any, Any]

PIPELINE: dict[str, StageType] = {
    "extract": ExtractStage,
    "dedupe": DedupeStage,
    "detect": DetectStage,
    "embed": EmbedStage,
    "cluster": ClusterStage,
    "cast": CastStage,
    "quality": QualityStage,
    "upscale": UpscaleStage,
    "crop": CropStage,
    "tag": TagStage,
    "attributes": AttributesStage,
    "caption": CaptionStage,
    "regularisation": RegularisationStage,
    "dataset": DatasetStage,
}
"""Settings section → stage, in the order in which a film goes through them; each reads only from earlier ones."""


def build_pipeline(
    settings: Settings,
    film: Film,
    path: Path,
    *,
    references: Path | None = None,
    cast_file: Path | None = None,
    decisions: Path | None = None,
    traits: Path | None = None,
    names: tuple[KnownName, ...] = (),
) -> tuple[AnyStage, ...]:
    """The stages of `PIPELINE` with their settings and, where one reads something from outside the run, its place."""
    outside: dict[str, dict[str, Any]] = {
        "extract": {"film": film, "path": path, "reading": settings.film},
        "dedupe": {"decisions": decisions},
        "cast": {"references": references, "cast_file": cast_file, "decisions": decisions, "names": names},
        "upscale": {"size": settings.training_size, "set_size": settings.set_size},
        "crop": {"size": settings.training_size},
        "caption": {"traits": traits},
        "regularisation": {"size": settings.training_size, "words": settings.caption_words},
        "dataset": {"mix": settings.mix},
    }
    # A frozen dataclass has the constructor its fields say; the base class cannot know it.
    kinds: dict[str, Any] = dict(PIPELINE)
    return tuple(kind(getattr(settings, section), **outside.get(section, {})) for section, kind in kinds.items())
