"""3d_cast: clusters get names, from reference pictures, from an earlier film's cast file, or by size; a person's decisions override them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from animeset_lib.cast.cast_file import (
    CastCharacter,
    CastEmbedder,
    CastFile,
    load_cast,
    representatives,
    save_cast,
)
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedNotes, EmbedStage
from animeset_lib.cast.grouping import NOISE
from animeset_lib.cast.name_book import KnownName, digest_of_names, who_is_known
from animeset_lib.cast.names import character_name, is_automatic
from animeset_lib.cast.naming import ClusterSource, Match, Vectors, cast_rows, match_clusters, name_clusters
from animeset_lib.cast.references import embed_references, find_references, references_digest
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.models.api import ModelProvider
from animeset_lib.records import CastRow, Reason
from animeset_lib.run.decisions import Decision, DecisionLog, about_faces, digest_of
from animeset_lib.run.settling import Settlement, settle
from animeset_lib.run.stage import Context, Given, Item, Notes, StageType, WholeStage
from animeset_lib.settings import CastSettings

__all__ = [
    "BY_A_PERSON",
    "CAST_FILE",
    "DECISIONS_FILE",
    "CastNotes",
    "CastStage",
    "MachineName",
    "NamedCharacter",
    "names_given",
]


CAST_FILE = "cast.json"
DECISIONS_FILE = "decisions.jsonl"
BY_A_PERSON = frozenset({"not_a_character", "by_hand"})
"""Reasons for which a row of this stage is dropped because a person said so."""


class MachineName(BaseModel):
    """What the machine calls a cluster, and from where it has the name."""

    model_config = ConfigDict(frozen=True)

    name: str
    source: ClusterSource


class NamedCharacter(BaseModel):
    """One character of this film: its faces, where most of them have the name from, and the clusters they came from."""

    model_config = ConfigDict(frozen=True)

    name: str
    faces: int
    source: Literal["cluster", "reference", "cast", "decision"]
    clusters: tuple[int, ...]


class CastNotes(Notes):
    """Characters by size; sentences on how they got their names; cluster → its name before decisions, with which `settle` gives what the next run
    will; of the automatic names of earlier runs, which cluster bears one (`borne`), and all of them (`given`); and how many decisions about faces
    stand."""

    characters: tuple[NamedCharacter, ...]
    naming: tuple[str, ...]
    machine_names: dict[int, MachineName]
    borne: dict[int, str]
    given: tuple[str, ...]
    decisions: int


@dataclass(frozen=True)
class CastStage(WholeStage[CastRow, CastNotes]):
    """One row per face of `3c_cluster`: its character or noise; and `cast.json` for the next film.

    `references` is a folder of pictures `<name>/*.png`, `cast_file` the cast.json of an earlier film; either, both or none. `decisions` is the file
    of a `DecisionLog`, perhaps not there yet; those about faces that stand override the machine, and all that stand are written to
    `decisions.jsonl` (those about stills are in the key of 2_dedupe and thereby in this one's). They are read once
    per object: what a person decides while the stage runs is for the next run, whose key then says so. `names` is whom earlier runs of the film
    gave automatic names.
    """

    settings: CastSettings
    references: Path | None = None
    cast_file: Path | None = None
    decisions: Path | None = None
    names: tuple[KnownName, ...] = ()
    name: ClassVar[str] = "3d_cast"
    version: ClassVar[str] = "2"
    seconds_per_minute: ClassVar[float] = 0.1
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DetectStage, EmbedStage, ClusterStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "noise": Reason(
            "Belongs to no character", "Gehört zu keiner Figur", "It resembles no character often enough to be one."
        ),
        "same_frame": Reason(
            "Character twice in one still",
            "Figur zweimal in einem Still",
            "Another face in the still is more surely this character.",
        ),
        "not_a_character": Reason("Not a character", "Keine Figur", "A person said that this is no character."),
        "by_hand": Reason("Removed by hand", "Von Hand entfernt", "A person took the picture out."),
    }

    def fingerprint(self, models: ModelProvider) -> dict[str, str]:
        """Contents of what is read from outside the run. Raises `InputError` when it cannot be used, before any stage has run."""
        found = {}
        if self.references is not None:
            found["references"] = references_digest(find_references(self.references))
        if self.cast_file is not None:
            load_cast(self.cast_file)
            found["cast_file"] = hashlib.sha256(self.cast_file.read_bytes()).hexdigest()
        if self._standing:
            found["decisions"] = digest_of(self._standing)
        if self.names:
            found["names"] = digest_of_names(self.names)
        return found

    @cached_property
    def _all_standing(self) -> tuple[Decision, ...]:
        return tuple(DecisionLog(self.decisions).standing) if self.decisions is not None else ()

    @cached_property
    def _standing(self) -> tuple[Decision, ...]:
        """Those about faces. Raises `InputError` for a damaged file, or a name that is none."""
        standing = about_faces(self._all_standing)
        for decision in standing:
            if decision.character is not None and character_name(decision.character) != decision.character:
                raise InputError(
                    f"{decision.named} in {self.decisions} gives the name {decision.character!r}, which does not fit; write it as "
                    f"{character_name(decision.character)!r}"
                )
        return standing

    def finish(
        self, rows: Sequence[CastRow], items: Sequence[Item], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[CastRow], CastNotes]:
        maker = given[EmbedStage].notes
        clusters = given[ClusterStage].kept
        regions = given[DetectStage].by_id
        place = {row.id: i for i, row in enumerate(given[EmbedStage].rows)}
        vectors = given[EmbedStage].vectors[[place[row.id] for row in clusters]] if clusters else np.zeros((0, 1))
        vectors = np.asarray(vectors, dtype=np.float32)
        labels = np.array([row.cluster for row in clusters], dtype=np.int64)
        stills = [regions[row.id].frame_id for row in clusters]
        same = given[ClusterStage].notes.same_distance

        earlier = self._earlier(maker)
        shown = self._shown(given, maker, ctx)
        known: dict[str, Vectors] = {character.name: character.array for character in earlier}
        named, by_cast, told = self._recognised(labels, vectors, stills, known, shown, same)
        taken = {*known, *shown}
        earlier_names = [one for one in self.names if one.name not in taken]
        before = who_is_known([row.id for row in clusters], labels, vectors, earlier_names, maker.embedder.digest, same)
        given_before = sorted({one.name for one in self.names})
        name_of = name_clusters(clusters, named, taken, self._standing, before, given_before)
        source_of: dict[int, ClusterSource] = {
            cluster: named[cluster].source if cluster in named else "cluster" for cluster in name_of
        }
        settlement = settle([row.id for row in clusters], labels.tolist(), name_of, source_of, self._standing)
        rows, told_last = cast_rows(clusters, stills, settlement)
        told += [*settlement.told, *told_last]
        for sentence in told:
            ctx.log.info("3d_cast: %s", sentence)
        if settlement.absent:
            ctx.log.info(
                "3d_cast: %d faces that were decided about are not in this run (other settings); those decisions are without effect on them",
                settlement.absent,
            )
        if self._all_standing:
            lines = "".join(f"{decision.line}\n" for decision in self._all_standing)
            (out / DECISIONS_FILE).write_text(lines, encoding="utf-8", newline="\n")

        renamed = {match.name for match in by_cast.values() if _is_renamed(match, rows, settlement)}
        renamed |= {match.name for match in by_cast.values() if named[match.cluster].source == "reference"}
        carried = [
            character for character in earlier if not (character.name in renamed and is_automatic(character.name))
        ]
        save_cast(out / CAST_FILE, _cast(maker, rows, vectors, carried))
        notes = CastNotes(
            characters=_characters(rows),
            naming=tuple(told),
            machine_names={
                cluster: MachineName(name=name, source=source_of[cluster]) for cluster, name in name_of.items()
            },
            borne=before,
            given=tuple(given_before),
            decisions=len(self._standing),
        )
        self._tell(rows, notes, ctx)
        return rows, notes

    def _recognised(
        self,
        labels: npt.NDArray[np.int64],
        vectors: Vectors,
        stills: Sequence[str],
        known: Mapping[str, Vectors],
        shown: Mapping[str, Vectors],
        same: float,
    ) -> tuple[dict[int, Match], dict[int, Match], list[str]]:
        """Clusters that look like the reference pictures or an earlier cast: all, those of the cast alone, and sentences about it."""
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
        return named, by_cast, told

    def _tell(self, rows: Sequence[CastRow], notes: CastNotes, ctx: Context) -> None:
        reasons = Counter(row.dropped for row in rows if row.dropped is not None)
        ctx.log.info(
            "3d_cast: %s; %d faces are noise, %d second figures of one still",
            ", ".join(f"{one.name} ({one.faces})" for one in notes.characters) or "no characters",
            reasons["noise"],
            reasons["same_frame"],
        )
        if notes.decisions:
            ctx.log.info(
                "3d_cast: %d decisions of yours stand; %d faces are no character by them, %d are not to be used",
                notes.decisions,
                reasons["not_a_character"],
                reasons["by_hand"],
            )

    def _earlier(self, maker: EmbedNotes) -> tuple[CastCharacter, ...]:
        """Characters of the cast file. Raises `InputError` when another embedder made its vectors."""
        if self.cast_file is None:
            return ()
        cast = load_cast(self.cast_file)
        if cast.embedder.digest != maker.embedder.digest:
            raise InputError(
                f"the vectors in {self.cast_file} were made by the embedder {cast.embedder.name} ({cast.embedder.digest[:12]}), this run uses "
                f"{maker.embedder.name} ({maker.embedder.digest[:12]}); they cannot be compared. Use the same embedder "
                f"(embed.embedder={cast.embedder.name}), or name the characters with reference pictures instead of the cast file"
            )
        return cast.characters

    def _shown(self, given: Given, maker: EmbedNotes, ctx: Context) -> dict[str, Vectors]:
        """Vectors of the reference pictures by name, by the same detector and embedder as the film's faces."""
        if self.references is None:
            return {}
        references = find_references(self.references)
        if not references:
            ctx.log.warning("3d_cast: %s holds no pictures; expected %s/<name>/*.png", self.references, self.references)
            return {}
        detector = ctx.models.detector(given[DetectStage].notes.asked)
        embedder = ctx.models.embedder(maker.asked)
        return embed_references(references, detector, embedder, ctx.log)


def _characters(rows: Sequence[CastRow]) -> tuple[NamedCharacter, ...]:
    faces = Counter(row.character for row in rows if row.character is not None)
    sources = _sources(rows)
    clusters: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.character is not None:
            clusters[row.character].add(row.cluster)
    return tuple(
        NamedCharacter(name=name, faces=count, source=sources[name], clusters=tuple(sorted(clusters[name])))
        for name, count in faces.most_common()
    )


def names_given(given: Given) -> list[KnownName]:
    """The automatic names of a finished 3d_cast, by the machine, before decisions."""
    clusters: dict[str, list[str]] = defaultdict(list)
    names = given[CastStage].notes.machine_names
    for row in given[ClusterStage].kept:
        if row.cluster != NOISE and is_automatic(names[row.cluster].name):
            clusters[names[row.cluster].name].append(row.id)
    embedded = given[EmbedStage]
    place = {row.id: i for i, row in enumerate(embedded.rows)}
    return [
        KnownName(
            name=name,
            embedder=embedded.notes.embedder.digest,
            faces=tuple(faces),
            vectors=representatives(embedded.vectors[[place[face] for face in faces]]),
        )
        for name, faces in sorted(clusters.items())
    ]


def _is_renamed(match: Match, rows: Sequence[CastRow], settlement: Settlement) -> bool:
    """Whether a person gave the cluster of `match` another name, so that the old one is nobody's."""
    others = {
        face.character
        for row, face in zip(rows, settlement.faces, strict=True)
        if row.cluster == match.cluster and face.source == "decision" and face.character is not None
    }
    return bool(others) and all(face.character != match.name for face in settlement.faces)


def _sources(rows: Sequence[CastRow]) -> dict[str, Literal["cluster", "reference", "cast", "decision"]]:
    """Character → where most of its faces have the name from."""
    counts: dict[str, Counter[Literal["cluster", "reference", "cast", "decision"]]] = defaultdict(Counter)
    for row in rows:
        if row.character is not None and row.source != "noise":
            counts[row.character][row.source] += 1
    return {name: found.most_common(1)[0][0] for name, found in counts.items()}


def _cast(maker: EmbedNotes, rows: Sequence[CastRow], vectors: Vectors, earlier: Sequence[CastCharacter]) -> CastFile:
    """The cast of this film, with the vectors of `earlier` films behind its own, and who was not seen this time."""
    known = {character.name: character for character in earlier}
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        # A picture that a person does not want may be blurred, hidden or of somebody else: nobody is to be known by it.
        if row.character is not None and row.dropped is None:
            members[row.character].append(i)
    sources = _sources(rows)
    characters = []
    for name, mine in sorted(members.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        # The surest faces first: where several are equally typical, the file keeps the surest.
        mine = sorted(mine, key=lambda i: (-rows[i].confidence, i))
        sizes = Counter(rows[i].cluster for i in mine)
        stack = [vectors[mine]] + ([known[name].array] if name in known else [])
        characters.append(
            CastCharacter(
                name=name,
                source=sources[name],
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
    embedder = CastEmbedder(
        name=maker.embedder.name, digest=maker.embedder.digest, dim=maker.dim, same_distance=maker.same_distance
    )
    return CastFile(embedder=embedder, characters=(*characters, *absent))
