"""3d_cast: clusters get names, from reference pictures, from an earlier film's cast file, or by size."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import InputError
from animeset_lib.models.api import ModelProvider
from animeset_lib.records import CastRow, ClusterRow, Record, Region
from animeset_lib.run.stage import Context, Output, Stage, WholeSet
from animeset_lib.settings import CastSettings
from animeset_lib.stages.castfile import (
    CastCharacter,
    CastEmbedder,
    CastFile,
    load_cast,
    representatives,
    save_cast,
)
from animeset_lib.stages.grouping import NOISE
from animeset_lib.stages.names import is_automatic, unused_names
from animeset_lib.stages.references import embed_references, find_references, references_digest

__all__ = ["CAST_FILE", "CastStage", "Match", "cast_rows", "match_clusters"]

CAST_FILE = "cast.json"
_REPORT = "naming.json"
_SIDE_BY_SIDE = 0.1
"""Two clusters that share more than this share of the smaller one's stills are two characters, whatever a reference says; below, a false
face or a mirror is likelier."""

Vectors = npt.NDArray[np.float32]
Source = Literal["reference", "cast"]


@dataclass(frozen=True)
class Match:
    """A cluster that looks like a known character. `share` of its faces voted for `name`."""

    cluster: int
    name: str
    source: Source
    share: float


@dataclass(frozen=True)
class CastStage(Stage):
    """One row per face of `3c_cluster`: its character or noise; and `cast.json` for the next film.

    `references` is a folder `<name>/*.png|jpg|webp`, `cast_file` the cast.json of an earlier film; either, both or none.
    """

    settings: CastSettings
    references: Path | None = None
    cast_file: Path | None = None
    name: ClassVar[str] = "3d_cast"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("1_extract", "3a_detect", "3b_embed", "3c_cluster")
    row: ClassVar[type[Record]] = CastRow

    def fingerprint(self, models: ModelProvider) -> dict[str, str]:
        """Contents of what is read from outside the run. Raises `InputError` when it cannot be used, before any stage has run."""
        found = {}
        if self.references is not None:
            found["references"] = references_digest(find_references(self.references))
        if self.cast_file is not None:
            load_cast(self.cast_file)
            found["cast_file"] = hashlib.sha256(self.cast_file.read_bytes()).hexdigest()
        return found

    def plan(self, given: Mapping[str, Output]) -> list[WholeSet]:
        return [WholeSet(given)]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[CastRow]:
        given: Mapping[str, Output] = batch[0].given
        maker = given["3b_embed"].info["notes"]["embedder"]
        clusters: list[ClusterRow] = given["3c_cluster"].kept
        regions: dict[str, Region] = given["3a_detect"].by_id
        place = {row.id: i for i, row in enumerate(given["3b_embed"].rows)}
        vectors = given["3b_embed"].vectors[[place[row.id] for row in clusters]] if clusters else np.zeros((0, 1))
        vectors = np.asarray(vectors, dtype=np.float32)
        labels = np.array([row.cluster for row in clusters], dtype=np.int64)
        stills = [regions[row.id].frame_id for row in clusters]
        same = float(given["3c_cluster"].info["notes"]["parameters"]["same_distance"])

        earlier = self._earlier(maker)
        shown = self._shown(given, maker, ctx)
        known: dict[str, Vectors] = {character.name: character.array for character in earlier}
        pictured = {
            name: np.concatenate([shown[name], known[name]]) if name in known else shown[name] for name in shown
        }
        named, told = match_clusters(
            labels, vectors, stills, pictured, "reference", same, self.settings.reference_confidence
        )
        rest = {name: array for name, array in known.items() if name not in pictured}
        by_cast, told_too = match_clusters(
            labels, vectors, stills, rest, "cast", same, self.settings.reference_confidence
        )
        told += told_too
        for match in by_cast.values():
            if match.cluster not in named:
                named[match.cluster] = match
            else:
                told.append(
                    f"cluster {match.cluster} is {named[match.cluster].name} by its reference pictures; "
                    f"the cast file called it {match.name}"
                )
        told += [
            f"no character looks like the reference pictures of {name}"
            for name in shown
            if name not in {match.name for match in named.values()}
        ]
        for sentence in told:
            ctx.log.info("3d_cast: %s", sentence)
        (out / _REPORT).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

        fresh = unused_names([*known, *shown])
        name_of = {
            cluster: named[cluster].name if cluster in named else next(fresh)
            for cluster in range(int(labels.max(initial=NOISE)) + 1)
        }
        source_of: dict[int, Literal["cluster", "reference", "cast"]] = {
            cluster: named[cluster].source if cluster in named else "cluster" for cluster in name_of
        }
        rows = cast_rows(clusters, stills, name_of, source_of)
        renamed = {match.name for match in by_cast.values() if named[match.cluster].source == "reference"}
        carried = [
            character for character in earlier if not (character.name in renamed and is_automatic(character.name))
        ]
        save_cast(out / CAST_FILE, _cast(maker, rows, vectors, carried))
        yield from rows

    def _earlier(self, maker: Mapping[str, Any]) -> tuple[CastCharacter, ...]:
        """Characters of the cast file. Raises `InputError` when another embedder made its vectors."""
        if self.cast_file is None:
            return ()
        cast = load_cast(self.cast_file)
        if cast.embedder.digest != maker["digest"]:
            raise InputError(
                f"the vectors in {self.cast_file} were made by the embedder {cast.embedder.name} ({cast.embedder.digest[:12]}), this run uses "
                f"{maker['name']} ({maker['digest'][:12]}); they cannot be compared. Use the same embedder (embed.embedder={cast.embedder.name}), "
                "or name the characters with reference pictures instead of the cast file"
            )
        return cast.characters

    def _shown(self, given: Mapping[str, Output], maker: Mapping[str, Any], ctx: Context) -> dict[str, Vectors]:
        """Vectors of the reference pictures by name, by the same detector and embedder as the film's faces."""
        if self.references is None:
            return {}
        references = find_references(self.references)
        if not references:
            ctx.log.warning("3d_cast: %s holds no pictures; expected %s/<name>/*.png", self.references, self.references)
            return {}
        detector = ctx.models.detector(given["3a_detect"].info["notes"]["detector"]["asked"])
        embedder = ctx.models.embedder(maker["asked"])
        return embed_references(references, detector, embedder, ctx.log)

    def finish(
        self, rows: list[CastRow], items: Sequence[WholeSet], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[CastRow]:
        faces = Counter(row.character for row in rows if row.character is not None)
        sources = {row.character: row.source for row in rows}
        clusters = defaultdict(set)
        for row in rows:
            if row.character is not None:
                clusters[row.character].add(row.cluster)
        ctx.note(
            "characters",
            [
                {"name": name, "faces": count, "source": sources[name], "clusters": sorted(clusters[name])}
                for name, count in faces.most_common()
            ],
        )
        ctx.note("naming", json.loads((out / _REPORT).read_text(encoding="utf-8")))
        reasons = Counter(row.dropped for row in rows if row.dropped is not None)
        ctx.log.info(
            "3d_cast: %s; %d faces are noise, %d second figures of one still",
            ", ".join(f"{name} ({count})" for name, count in faces.most_common()) or "no characters",
            reasons["noise"],
            reasons["same_frame"],
        )
        return rows


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


def cast_rows(
    clusters: Sequence[ClusterRow],
    stills: Sequence[str],
    name_of: Mapping[int, str],
    source_of: Mapping[int, Literal["cluster", "reference", "cast"]],
) -> list[CastRow]:
    """A row per face. Where a still holds one character twice, the surest face keeps it."""
    best: dict[tuple[str, str], ClusterRow] = {}
    for row, still in zip(clusters, stills, strict=True):
        if row.cluster != NOISE:
            spot = (still, name_of[row.cluster])
            if spot not in best or row.confidence > best[spot].confidence:
                best[spot] = row
    rows = []
    for row, still in zip(clusters, stills, strict=True):
        if row.cluster == NOISE:
            rows.append(
                CastRow(
                    id=row.id,
                    dropped="noise",
                    why=row.why,
                    character=None,
                    cluster=NOISE,
                    source="noise",
                    confidence=0.0,
                )
            )
            continue
        name = name_of[row.cluster]
        winner = best[still, name]
        beaten = winner.id != row.id
        rows.append(
            CastRow(
                id=row.id,
                dropped="same_frame" if beaten else None,
                why=f"{winner.id} in the same still is {name} with more confidence ({winner.confidence:.2f} to {row.confidence:.2f})"
                if beaten
                else "",
                character=None if beaten else name,
                cluster=row.cluster,
                source="noise" if beaten else source_of[row.cluster],
                confidence=row.confidence,
            )
        )
    return rows


def _cast(
    maker: Mapping[str, Any], rows: Sequence[CastRow], vectors: Vectors, earlier: Sequence[CastCharacter]
) -> CastFile:
    """The cast of this film, with the vectors of `earlier` films behind its own, and who was not seen this time."""
    known = {character.name: character for character in earlier}
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        if row.character is not None:
            members[row.character].append(i)
    characters = []
    for name, mine in sorted(members.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        # The surest faces first: where several are equally typical, the file keeps the surest.
        mine = sorted(mine, key=lambda i: (-rows[i].confidence, i))
        sizes = Counter(rows[i].cluster for i in mine)
        stack = [vectors[mine]] + ([known[name].array] if name in known else [])
        source = rows[mine[0]].source
        assert source in ("cluster", "reference", "cast")
        characters.append(
            CastCharacter(
                name=name,
                source=source,
                regions=len(mine),
                clusters=tuple(sorted(sizes)),
                cluster_sizes=tuple(sizes[cluster] for cluster in sorted(sizes)),
                vectors=representatives(np.concatenate(stack)),
            )
        )
    absent = [
        character.model_copy(update={"regions": 0, "clusters": (), "cluster_sizes": ()})
        for character in earlier
        if character.name not in members
    ]
    embedder = CastEmbedder(name=maker["name"], digest=maker["digest"], dim=maker["dim"])
    return CastFile(embedder=embedder, characters=(*characters, *absent))
