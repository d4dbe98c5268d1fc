"""What earlier stages note, for tests of the stages that read it: `noted(EmbedStage, same_distance=0.3)`."""

from __future__ import annotations

from typing import Any, TypeVar

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage, DistanceHistogram
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.dataset.regularisation import RegularisationStage
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage, FrameCounts
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import Film
from animeset_lib.run.stage import Notes, Stage, StageType, notes_of
from animeset_lib.settings import QualitySettings
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.tag import TagStage
from tests.fakes import FakeDetector, FakeEmbedder, FakeTagger

__all__ = ["noted"]

N = TypeVar("N", bound=Notes)

_FILM = Film(id="0" * 12, name="a", source_name="a.mkv", kind="video", width=99, height=99, duration_ms=1000)

_OF_AN_EMPTY_FILM: dict[StageType, dict[str, Any]] = {
    ExtractStage: {"film": _FILM, "counts": FrameCounts(decoded=0, considered=0, kept=0, damaged=0)},
    DedupeStage: {
        **dict.fromkeys(("stills", "unreadable", "kept", "duplicates", "compared", "aligned"), 0),
        "stopped_at_most_comparisons": 0,
        **{"group_sizes": {}, "hamming_confirmed": {}, "hamming_refused": {}},
    },
    DetectStage: {
        "asked": "auto",
        "detector": FakeDetector.info,
        **dict.fromkeys(("without_face", "with_one_face", "with_more_faces"), 0),
        **dict.fromkeys(("unreadable", "overlays", "score_edges", "score_counts"), ()),
    },
    EmbedStage: {
        "asked": "auto",
        "embedder": FakeEmbedder.info,
        "dim": FakeEmbedder.dim,
        "same_distance": FakeEmbedder.same_distance,
    },
    ClusterStage: {
        "same_distance": FakeEmbedder.same_distance,
        "min_regions": 3,
        "track_gap_ms": 2500,
        "people": 0.0,
        "joined": 0.0,
        **dict.fromkeys(("faces", "tracks", "left_tracks", "too_many", "together", "together_alike"), 0),
        "clusters": (),
        "noise_share": 0.0,
        "distances": DistanceHistogram(edges=(), within=(), between=()),
    },
    CastStage: {"characters": (), "naming": (), "machine_names": {}, "borne": {}, "given": (), "decisions": 0},
    QualityStage: {"distribution": {}, "limits": QualitySettings(), "beyond_limit": {}},
    UpscaleStage: {
        "model": None,
        **dict.fromkeys(("enlarged_pixels", "not_enlarged", "below_training_size"), 0),
        **{"enlarged": {}, "framings": {}},
    },
    CropStage: {"sizes": {}, "framings": {}, "with_other_faces": 0},
    TagStage: {"model": FakeTagger.info, "tag_frequencies": {}, "crops_without_tags": 0},
    AttributesStage: {"attributes": {}, "tags_removed": {}, "tags_added": {}, "subsets": {}},
    CaptionStage: {"core_traits": {}, "traits": {}},
    RegularisationStage: {},
}


def noted(stage: type[Stage[Any, Any, N]], **said: Any) -> N:
    """The notes of a stage that stand-in models made of an empty film, except for what is `said`."""
    return notes_of(stage)(**{**_OF_AN_EMPTY_FILM[stage], **said})
