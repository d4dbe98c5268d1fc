"""The cast file: names and a few vectors per character, carried from one episode to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from animeset_lib.cast.names import character_name
from animeset_lib.errors import InputError
from animeset_lib.system import replace_path

__all__ = ["CastCharacter", "CastEmbedder", "CastFile", "load_cast", "representatives", "save_cast"]

_DECIMALS = 5
"""A vector's values are rounded to these: less than 0.0001 of cosine distance, and the file stays readable and small."""
_MOST_VECTORS = 8
"""Vectors kept per character: enough for its faces from both sides, laughing, in the dark and in another outfit."""
_MOST_CANDIDATES = 600

Vectors = npt.NDArray[np.float32]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CastEmbedder(_Frozen):
    """What made the vectors: they can be compared only with vectors of the same `digest`. `same_distance` is its threshold (`models.api.Embedder`);
    None where the file does not say it, and then the file does not tell who is whom."""

    name: str
    digest: str
    dim: int = Field(gt=0)
    same_distance: float | None = None


class CastCharacter(_Frozen):
    """One character. `clusters` (their sizes beside them) are those of the film the file was written for, none if it was not seen there."""

    name: str
    source: Literal["cluster", "reference", "cast", "decision"]
    regions: int = Field(ge=0)
    clusters: tuple[int, ...]
    cluster_sizes: tuple[int, ...]
    vectors: tuple[tuple[float, ...], ...] = Field(min_length=1)

    @property
    def array(self) -> Vectors:
        """`(K, D)` float32 unit vectors."""
        vectors = np.asarray(self.vectors, dtype=np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


class CastFile(_Frozen):
    """All characters known so far: those of this film first, by size, then those of earlier films that were not seen in it."""

    version: Literal[1] = 1
    embedder: CastEmbedder
    characters: tuple[CastCharacter, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [character.name for character in self.characters]
        for character in self.characters:
            if names.count(character.name) > 1:
                raise ValueError(f"the name {character.name!r} stands there twice")
            if character_name(character.name) != character.name:
                raise ValueError(
                    f"the name {character.name!r} does not fit; write it as {character_name(character.name)!r}"
                )
            for vector in character.vectors:
                if len(vector) != self.embedder.dim:
                    raise ValueError(
                        f"{character.name} has a vector of {len(vector)} values instead of {self.embedder.dim}"
                    )
                if not 0.9 < float(np.linalg.norm(vector)) < 1.1:
                    raise ValueError(f"{character.name} has a vector that is not of length 1")
        return self


def load_cast(path: Path) -> CastFile:
    """The cast file at `path`. Raises `InputError` when it is missing, damaged or of a version this program does not know."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read cast file {path}: {error}; expected a cast.json of an earlier run") from error
    try:
        return CastFile.model_validate_json(text)
    except InputError as error:
        raise InputError(f"{path} is not a usable cast file: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path} is not a usable cast file: {place + ': ' if place else ''}{first['msg']}; expected the cast.json that an earlier run "
            "wrote (version 1); take an undamaged copy or run without it"
        ) from error


def save_cast(path: Path, cast: CastFile) -> None:
    """Write `cast` whole or not at all, one vector per line."""
    data = cast.model_dump(mode="json")
    lines = ["{", f' "version": {cast.version},', f' "embedder": {json.dumps(data["embedder"])},', ' "characters": [']
    for character in data["characters"]:
        vectors = character.pop("vectors")
        lines += [
            "  {",
            *(f"   {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in character.items()),
            '   "vectors": [',
            ",\n".join(f"    {json.dumps(vector)}" for vector in vectors),
            "   ]",
            "  }" + ("," if character is not data["characters"][-1] else ""),
        ]
    lines += [" ]", "}", ""]
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    replace_path(draft, path)


def representatives(vectors: Vectors) -> tuple[tuple[float, ...], ...]:
    """Up to 8 of the `(N, D)` unit vectors that stand for all of them (greedy k-medoids), rounded; the most typical first.

    The order of `vectors` breaks ties. Of more than 600 an even selection is looked at.
    """
    if len(vectors) > _MOST_CANDIDATES:
        vectors = vectors[np.linspace(0, len(vectors) - 1, _MOST_CANDIDATES).astype(int)]
    distance = np.clip(1.0 - vectors @ vectors.T, 0.0, 2.0).astype(np.float64)
    left = np.full(len(vectors), 2.0)
    chosen: list[int] = []
    while len(chosen) < min(_MOST_VECTORS, len(vectors)):
        gain = (left[:, None] - np.minimum(left[:, None], distance)).sum(axis=0)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        if chosen and gain[best] <= 1e-6:
            break  # everything is already stood for by an equal vector
        chosen.append(best)
        left = np.minimum(left, distance[:, best])
    return tuple(tuple(round(float(value), _DECIMALS) for value in vectors[i]) for i in chosen)
