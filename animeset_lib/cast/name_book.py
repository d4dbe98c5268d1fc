"""Who was called `character_01`, kept over the runs of one film: `output/<film>-<id>.names.json`.

A name is entered once, with its faces and a few vectors, by the first run that gave it, and never changed, so it is nobody else's later. What a run
read is a part of the keys of its stages: of the entries, those that were there when its settings were first run. So an unchanged run reads
what it read before and is up to date, whatever later runs have entered.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from animeset_lib.cast.cast_file import representatives
from animeset_lib.cast.grouping import NOISE
from animeset_lib.cast.likeness import ONE_PERSON, likeness
from animeset_lib.errors import InputError

__all__ = ["KnownName", "NameBook", "digest_of_names", "load_names", "who_is_known"]

_BY_FACES = 0.25
"""A cluster is whom its faces were before when they are at least this share of it and most of those that are known; as for decisions about groups."""


class KnownName(BaseModel):
    """One entry: whom the machine called `name`. `embedder` is the digest of what made the vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    embedder: str
    faces: tuple[str, ...]
    vectors: tuple[tuple[float, ...], ...]


class NameBook(BaseModel):
    """All entries in the order in which they were made, and how many of them each run read: key of its cast stage without any → number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: dict[str, int] = {}
    names: tuple[KnownName, ...] = ()

    def for_run(self, key: str) -> tuple[KnownName, ...]:
        """What the run with this key reads."""
        return self.names[: self.read.get(key, len(self.names))]

    def after_run(self, key: str, given: Iterable[KnownName]) -> NameBook:
        """With what a run gave: a name that has vectors of this embedder already stays whom it was."""
        known = {(one.name, one.embedder) for one in self.names}
        new = tuple(one for one in given if (one.name, one.embedder) not in known)
        return NameBook(read={key: len(self.names), **self.read}, names=(*self.names, *new))


def load_names(path: Path) -> NameBook:
    """The book at `path`, empty where there is none. Raises `InputError` when it cannot be used."""
    try:
        return NameBook.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return NameBook()
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not usable: expected who was called character_01 and so on in earlier runs, got {str(error).splitlines()[0]}; "
            "put a copy back, or move it away: then names are given anew"
        ) from error


def digest_of_names(names: Sequence[KnownName]) -> str:
    """SHA-256 of entries, in order."""
    return hashlib.sha256("".join(one.model_dump_json() for one in names).encode()).hexdigest()


def who_is_known(
    ids: Sequence[str],
    labels: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
    names: Sequence[KnownName],
    embedder: str,
    same_distance: float,
) -> dict[int, str]:
    """Cluster → the name it bore in an earlier run, each name once: by the faces that it had then, else by its vectors, the best match first.

    `ids`, `labels` and `vectors` are row-aligned faces. Vectors of another embedder than `embedder` (a digest) are passed over.
    """
    bore = {face: one.name for one in reversed(names) for face in one.faces}
    matches: list[tuple[int, float, int, str]] = []
    for cluster in range(int(labels.max(initial=NOISE)) + 1):
        mine = np.flatnonzero(labels == cluster).tolist()
        votes = Counter(bore[ids[i]] for i in mine if ids[i] in bore)
        for name, count in votes.items():
            if 2 * count > votes.total() and count >= _BY_FACES * len(mine):
                matches.append((0, -count, cluster, name))
        own = np.asarray(representatives(vectors[mine]), np.float32)
        for one in names:
            if one.embedder == embedder:
                alike = likeness(own, np.asarray(one.vectors, np.float32), same_distance)
                if alike >= ONE_PERSON:
                    matches.append((1, -alike, cluster, one.name))
    known: dict[int, str] = {}
    for _, _, cluster, name in sorted(matches):
        if cluster not in known and name not in known.values():
            known[cluster] = name
    return known
