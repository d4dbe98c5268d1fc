"""Which cluster is which known character, what the others are called, and one row per face."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from animeset_lib.cast.grouping import NOISE
from animeset_lib.cast.names import is_automatic, unused_names
from animeset_lib.records import CastRow, ClusterRow
from animeset_lib.run.decisions import Decision
from animeset_lib.run.settling import Settlement
from animeset_lib.wording import counted

__all__ = ["ClusterSource", "Match", "Vectors", "cast_rows", "match_clusters", "name_clusters"]


_SIDE_BY_SIDE = 0.1
"""Two clusters that share more than this share of the smaller one's stills are two characters, whatever a reference says; below, a false
face or a mirror is likelier."""

Vectors = npt.NDArray[np.float32]
Source = Literal["reference", "cast"]
ClusterSource = Literal["cluster", "reference", "cast"]


@dataclass(frozen=True)
class Match:
    """A cluster that looks like a known character. `share` of its faces voted for `name`."""

    cluster: int
    name: str
    source: Source
    share: float


def match_clusters(
    labels: npt.NDArray[np.int64],
    vectors: Vectors,
    stills: Sequence[str],
    known: Mapping[str, Vectors],
    source: Source,
    same_distance: float,
    least_share: float,
) -> tuple[dict[int, Match], list[str]]:
    """Cluster → the known character it is, for those clusters that are one; and sentences about conflicts.

    `labels`, `vectors` and `stills` (still ids) are row-aligned faces, `known` is name → `(K, D)` vectors. Each face votes for the name with
    the nearest vector, if it is within `same_distance`; a cluster takes the name that at least `least_share` of its faces voted for.
    Several clusters may be one character, but not two that stand side by side: then the better match keeps the name.
    """
    matches: list[Match] = []
    names = sorted(known)
    if names and len(labels):
        nearest = np.stack([(1.0 - vectors @ known[name].T).min(axis=1) for name in names], axis=1)
        vote = np.where(nearest.min(axis=1) <= same_distance, nearest.argmin(axis=1), -1)
        for cluster in range(int(labels.max()) + 1):
            votes = vote[labels == cluster]
            counts = np.bincount(votes[votes >= 0], minlength=len(names))
            share = float(counts.max()) / len(votes)
            if counts.max() and share >= least_share:
                matches.append(Match(cluster, names[int(counts.argmax())], source, round(share, 4)))
    named: dict[int, Match] = {}
    told: list[str] = []
    seen: dict[str, set[str]] = {}
    for match in sorted(matches, key=lambda m: (-m.share, m.cluster)):
        here = {still for still, label in zip(stills, labels, strict=True) if label == match.cluster}
        there = seen.setdefault(match.name, set())
        if len(here & there) > max(1.0, _SIDE_BY_SIDE * min(len(here), len(there))):
            told.append(
                f"cluster {match.cluster} looks like {match.name} too ({match.share:.0%} of its faces), but stands beside the better match in "
                f"{len(here & there)} stills; it keeps a name of its own"
            )
            continue
        there |= here
        named[match.cluster] = match
        told.append(f"cluster {match.cluster} is {match.name} ({match.share:.0%} of its faces, {source})")
    return named, told


def name_clusters(
    clusters: Sequence[ClusterRow],
    named: Mapping[int, Match],
    taken: Iterable[str],
    decisions: Sequence[Decision],
    before: Mapping[int, str] | None = None,
    given_before: Iterable[str] = (),
) -> dict[int, str]:
    """Cluster → the machine's name of it, by cluster number: that of its match in `named`, else the one it bore `before`, else `character_01`, ...
    by size, without `taken` and what was `given_before`.

    Where a decision tells who bore the automatic name it uses, that name stays with the cluster that now holds most of those faces (of whom
    the machine called so; nobody, where a person made the character), and no other gets it; all other names are as they
    would be without decisions. A decision that does not tell changes nothing: faces were moved to the group that was called so, and
    in unchanged groups it still is.
    """
    known = set(taken)
    bearing: dict[str, str] = {}
    kept_back: set[str] = set()
    by_person: set[str] = set()
    for decision in decisions:
        name = decision.character
        if name is not None and decision.bearers is not None and is_automatic(name) and name not in known:
            kept_back.add(name)
            bearing |= {face: name for face in decision.bearers if face not in by_person}
        by_person |= set(decision.faces) if name is not None else set()
    held = Counter((bearing[row.id], row.cluster) for row in clusters if row.id in bearing and row.cluster != NOISE)
    name_of = {cluster: match.name for cluster, match in named.items()}
    placed: set[str] = set()
    for (name, cluster), _ in sorted(held.items(), key=lambda entry: (-entry[1], entry[0])):
        if name not in placed:
            placed.add(name)
            name_of.setdefault(cluster, name)
    every = range(max((row.cluster for row in clusters), default=NOISE) + 1)
    borne = before or {}
    spoken_for = {*known, *given_before}
    unused = unused_names(spoken_for)
    by_size = {cluster: borne.get(cluster) or next(unused) for cluster in every if cluster not in named}
    spare = unused_names({*spoken_for, *kept_back, *by_size.values()})
    for cluster, name in by_size.items():
        if cluster not in name_of:
            name_of[cluster] = next(spare) if name in kept_back else name
    return {cluster: name_of[cluster] for cluster in every}


def cast_rows(
    clusters: Sequence[ClusterRow], stills: Sequence[str], settlement: Settlement
) -> tuple[list[CastRow], list[str]]:
    """A row per face, and sentences about conflicts. Where a still holds one character twice, one face keeps it: one that a person named before
    one that only its group names, then the surer one. Pictures that are not to be used stand in nobody's way.

    A face that a person picked out is as sure as can be; one that was only in a group keeps the machine's confidence.
    """
    best: dict[tuple[str, str], int] = {}
    both_decided: dict[str, list[str]] = defaultdict(list)
    for i, (row, still, face) in enumerate(zip(clusters, stills, settlement.faces, strict=True)):
        if face.character is None or face.dropped is not None:
            continue
        spot = (still, face.character)
        if spot not in best:
            best[spot] = i
            continue
        rival = settlement.faces[best[spot]]
        if face.listed and rival.listed:
            both_decided[face.character].append(still)
        if (face.listed, row.confidence) > (rival.listed, clusters[best[spot]].confidence):
            best[spot] = i
    rows = []
    for i, (row, still, face) in enumerate(zip(clusters, stills, settlement.faces, strict=True)):
        if face.dropped is None and face.character is not None and best[still, face.character] != i:
            first = best[still, face.character]
            by_person = settlement.faces[first].listed and not face.listed
            rows.append(_second_face(row, face.character, clusters[first], by_person))
            continue
        picked = face.listed and face.decision is not None and (face.decision.scope == "faces" or row.cluster == NOISE)
        machine = 0.0 if row.cluster == NOISE else row.confidence
        rows.append(
            CastRow(
                id=row.id,
                dropped=face.dropped,
                why=row.why if face.dropped == "noise" else face.why,
                character=face.character,
                cluster=row.cluster,
                source=face.source,
                confidence=1.0 if picked and face.character is not None else machine,
            )
        )
    told = [
        f"you named two faces {name} in {counted(len(set(where)), 'still')} ({', '.join(sorted(set(where))[:3])}"
        f"{', ...' if len(set(where)) > 3 else ''}); the surer one keeps the name"
        for name, where in sorted(both_decided.items())
    ]
    return rows, told


def _second_face(row: ClusterRow, character: str, winner: ClusterRow, by_person: bool) -> CastRow:
    """The face of a still in which `winner` keeps the character's name."""
    sureness = f"with more confidence ({winner.confidence:.2f} to {row.confidence:.2f})"
    return CastRow(
        id=row.id,
        dropped="same_frame",
        why=f"{winner.id} in the same still is {character} {'by your decision' if by_person else sureness}",
        character=None,
        cluster=row.cluster,
        source="noise",
        confidence=row.confidence,
    )
