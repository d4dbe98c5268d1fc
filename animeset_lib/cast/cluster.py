"""3c_cluster: which faces are one character.

Faces are first followed through their shot (`tracks`), a track has one voice, and characters are groups of tracks (`grouping`). Two figures
of one still never end in one cluster. What belongs nowhere is noise, cluster -1: extras, statues, false faces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.face_map import flat_map
from animeset_lib.cast.grouping import NOISE, Grouping, group, sums_by_group
from animeset_lib.cast.tracks import TrackedFace, link_tracks, split_outliers
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.records import ClusterRow, Frame, Region
from animeset_lib.run.stage import Context, Given, Item, Notes, StageType, WholeStage
from animeset_lib.settings import ClusterSettings

__all__ = ["ClusterNotes", "ClusterStage", "DistanceHistogram", "follow", "least_regions"]

_SAMPLE = 1500
"""Faces, evenly spread over the film, whose distances make the histogram of stage.json: about a million pairs."""

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def least_regions(faces: int) -> int:
    """How many faces make a character in a film with so many: a quarter of the root, 3 to 15 (100 faces: 3, 1,000: 8, from 3,600: 15)."""
    return int(np.clip(round(faces**0.5 / 4), 3, 15))


class DistanceHistogram(BaseModel):
    """Cosine distances of pairs of faces: bin edges, and counts inside one cluster and between two."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    within: tuple[int, ...]
    between: tuple[int, ...]


class ClusterNotes(Notes):
    """How the faces were grouped.

    same_distance  the embedder's cosine distance within a character, or the setting
    people         how many there are to be confused with; `joined` the cosine distance up to which groups were joined for that reason, between
                   faces seen from the middle of the film's people
    left_tracks    tracks split off because they did not look like the rest of theirs
    too_many       tracks that were too many to compare
    together       pairs of tracks seen side by side; `together_alike` of them the embedder would take for one
    """

    same_distance: float
    min_regions: int
    track_gap_ms: int
    people: float
    joined: float
    faces: int
    tracks: int
    left_tracks: int
    too_many: int
    clusters: tuple[int, ...]
    noise_share: float
    distances: DistanceHistogram
    together: int
    together_alike: int


@dataclass(frozen=True)
class ClusterStage(WholeStage[ClusterRow, ClusterNotes]):
    """One row per face that has a vector: its track, its cluster or noise, how sure that is, and its place on a map."""

    settings: ClusterSettings
    name: ClassVar[str] = "3c_cluster"
    version: ClassVar[str] = "3"
    seconds_per_minute: ClassVar[float] = 4.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DetectStage, EmbedStage)

    def finish(
        self, rows: Sequence[ClusterRow], items: Sequence[Item], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[ClusterRow], ClusterNotes]:
        embedded = given[EmbedStage]
        used = [i for i, row in enumerate(embedded.rows) if row.dropped is None]
        same = self.settings.same_distance or embedded.notes.same_distance
        least = self.settings.min_regions or least_regions(len(used))
        regions: list[Region] = [given[DetectStage].by_id[embedded.rows[i].id] for i in used]
        vectors = np.asarray(embedded.vectors[used], dtype=np.float32) if used else np.zeros((0, 1), np.float32)

        tracks, units, forbidden = follow(regions, vectors, given[ExtractStage].by_id, same, self.settings.track_gap_ms)
        ctx.check_cancel()
        found = group(vectors, units, forbidden, same, least)
        ctx.check_cancel()
        labels = found.labels[units]
        confidence = _confidence(units, found)
        places = flat_map(vectors, self.settings.map, self.settings.seed)
        pairs, alike = _together(found, units, forbidden)
        notes = ClusterNotes(
            same_distance=same,
            min_regions=least,
            track_gap_ms=self.settings.track_gap_ms,
            people=round(found.people, 1),
            joined=round(found.joined, 4),
            faces=len(used),
            tracks=len(np.unique(tracks)),
            left_tracks=len(found.labels) - len(np.unique(tracks)),
            too_many=found.left_out,
            clusters=tuple(np.bincount(labels[labels != NOISE]).tolist()),
            noise_share=round(float((labels == NOISE).mean()), 4) if used else 0.0,
            distances=_histogram(found.faces, labels),
            together=pairs,
            together_alike=alike,
        )
        self._tell(notes, ctx)
        return [
            ClusterRow(
                id=region.id,
                why=_why_noise(found, int(units[i]), least) if labels[i] == NOISE else "",
                track=int(tracks[i]),
                cluster=int(labels[i]),
                confidence=round(float(confidence[i]), 4),
                x=round(float(places[i, 0]), 3),
                y=round(float(places[i, 1]), 3),
            )
            for i, region in enumerate(regions)
        ], notes

    def _tell(self, notes: ClusterNotes, ctx: Context) -> None:
        ctx.log.info(
            "3c_cluster: %d faces in %d tracks: %d characters (%s faces), %.0f %% noise; as hard to tell apart as %.0f people",
            notes.faces,
            notes.tracks,
            len(notes.clusters),
            ", ".join(map(str, notes.clusters)) or "no",
            100 * notes.noise_share,
            notes.people,
        )
        if notes.together >= 5 and notes.together_alike > 0.2 * notes.together:
            ctx.log.warning(
                "3c_cluster: %d of %d pairs of figures seen side by side look alike to the embedder; expect mixed-up characters "
                "(a better embedder or a smaller cluster.same_distance helps)",
                notes.together_alike,
                notes.together,
            )
        if notes.too_many:
            ctx.log.warning("3c_cluster: %d tracks were too many to compare and are noise", notes.too_many)


def follow(
    regions: Sequence[Region], vectors: Vectors, frames: Mapping[str, Frame], same: float, gap_ms: int
) -> tuple[Labels, Labels, list[tuple[int, int]]]:
    """Per face its track and its unit (a track without its outliers, or an outlier), and the pairs of units that are surely two people."""
    stills = [frames[region.frame_id] for region in regions]
    seen = [
        TrackedFace(still.shot, still.pts_ms, still.id, region.face, vector)
        for still, region, vector in zip(stills, regions, vectors, strict=True)
    ]
    tracks = link_tracks(seen, same, gap_ms)
    units = split_outliers(tracks, vectors, same)
    return tracks, units, _seen_together(regions, units)


def _seen_together(regions: Sequence[Region], units: Labels) -> list[tuple[int, int]]:
    """Pairs of units that hold two faces of one still, each pair once, ascending."""
    by_still: dict[str, set[int]] = defaultdict(set)
    for region, unit in zip(regions, units, strict=True):
        by_still[region.frame_id].add(int(unit))
    return sorted({pair for seen in by_still.values() for pair in combinations(sorted(seen), 2)})


def _confidence(units: Labels, found: Grouping) -> npt.NDArray[np.float64]:
    """0..1 per face: how much nearer its own cluster is than the next one, half by its track and half by its own look; 0 for noise."""
    labels = found.labels[units]
    result = np.zeros(len(labels))
    inside = np.flatnonzero(labels != NOISE)
    if not len(inside):
        return result
    by_track = ((found.other - found.own) / found.other.clip(1e-9))[units]
    vectors = found.faces[inside]
    centres = sums_by_group(vectors, labels[inside])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True).clip(1e-9)
    # Beyond 1.5 joining distances everybody is a stranger; capping keeps a face without rivals comparable with the others.
    distance = np.minimum(1.0 - vectors @ centres.T, 1.5 * found.joined)
    rows = np.arange(len(inside))
    own = distance[rows, labels[inside]].copy()
    distance[rows, labels[inside]] = 1.5 * found.joined
    other = distance.min(axis=1)
    by_look = (other - own) / other.clip(1e-9)
    result[inside] = (by_track[inside].clip(0, 1) + by_look.clip(0, 1)) / 2
    return result


def _why_noise(found: Grouping, unit: int, least: int) -> str:
    if found.nearest[unit] == NOISE:
        return f"no character with at least {least} faces looks like this one"
    return (
        f"nearest to cluster {found.nearest[unit]} at {found.own[unit]:.2f}, next at {found.other[unit]:.2f} (up to 1 is one person here): "
        f"not one of them, and fewer than {least} faces of its own"
    )


def _histogram(vectors: Vectors, labels: Labels) -> DistanceHistogram:
    """Cosine distances of pairs of faces in steps of .05, inside clusters and between them (noise left out)."""
    rows = np.flatnonzero(labels != NOISE)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(int)] if len(rows) else rows
    first, second = np.triu_indices(len(rows), k=1)
    distance = (1.0 - vectors[rows] @ vectors[rows].T)[first, second]
    equal = labels[rows][first] == labels[rows][second]
    edges = np.linspace(0.0, 2.0, 41)
    return DistanceHistogram(
        edges=tuple(round(float(e), 2) for e in edges),
        within=tuple(np.histogram(distance[equal], edges)[0].tolist()),
        between=tuple(np.histogram(distance[~equal], edges)[0].tolist()),
    )


def _together(found: Grouping, units: Labels, forbidden: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """How many pairs of tracks are surely two characters (seen side by side), and how many of them the embedder would take for one."""
    if not forbidden:
        return 0, 0
    means = sums_by_group(found.faces, units) / np.bincount(units)[:, None]
    alike = sum(1.0 - float(means[a] @ means[b]) < found.joined for a, b in forbidden)
    return len(forbidden), alike
