"""Settings of 3a_detect to 3d_cast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from animeset_lib.settings.section import Section

__all__ = ["CastSettings", "ClusterSettings", "DetectSettings", "EmbedSettings"]


class DetectSettings(Section):
    """3a_detect: faces and figures in each kept still."""

    detector: Annotated[
        str,
        Field(
            title="Face detector",
            description="Detector by name (`animeset models list`), several joined by + add up, yolo:FILE for your own; auto: the best present.",
        ),
    ] = "auto"
    score_min: Annotated[
        float | None,
        Field(
            title="Least detection score",
            ge=0,
            le=1,
            description="Least detection score; unset: the detector's own value.",
        ),
    ] = None
    min_face_px: Annotated[
        int,
        Field(
            title="Smallest face (px)",
            ge=8,
            le=2048,
            description="Faces less high than this many pixels are recorded and dropped.",
        ),
    ] = 40


class EmbedSettings(Section):
    """3b_embed: identity vectors of heads."""

    embedder: Annotated[
        str,
        Field(
            title="Network that knows characters",
            description="Embedder by name (`animeset models list`), or open_clip:MODEL/PRETRAINED; auto: the best that is present.",
        ),
    ] = "auto"


class ClusterSettings(Section):
    """3c_cluster: which heads belong to one character."""

    track_gap_ms: Annotated[
        int,
        Field(
            title="Longest gap in a track (ms)",
            ge=0,
            le=60_000,
            description="Longest time in ms a figure may be unseen inside a track.",
        ),
    ] = 2_500
    min_regions: Annotated[
        int | None,
        Field(
            title="Fewest faces per character",
            ge=2,
            le=500,
            description="Least number of faces of a character; unset: grows with the film (3 to 15).",
        ),
    ] = None
    same_distance: Annotated[
        float | None,
        Field(
            title="Largest distance within a character",
            gt=0,
            le=2,
            description="Distance up to which two heads are one character; unset: the embedder's own value.",
        ),
    ] = None
    map: Annotated[
        Literal["auto", "umap", "pca"],
        Field(
            title="Map of the faces",
            description="Flat map of the faces, for looking only; umap needs up to a minute to start, pca none; auto: umap above 300 faces.",
        ),
    ] = "auto"
    seed: Annotated[int, Field(title="Seed of the map", ge=0, description="Seed of the UMAP map.")] = 7


class CastSettings(Section):
    """3d_cast: names for clusters."""

    reference_confidence: Annotated[
        float,
        Field(
            title="Least share of matching faces",
            ge=0,
            le=1,
            description="Share of a cluster's faces that must be nearest to a reference for the cluster to take its name.",
        ),
    ] = 0.5
