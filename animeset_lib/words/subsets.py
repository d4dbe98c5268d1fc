"""Sub-sets of a character's pictures, and what outfits and emotions have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from animeset_lib.words.vocabulary import category_of

__all__ = ["NAMED", "Floats", "Subset", "Subsets", "TaggedCrop", "Word", "make_subsets", "tags_of_figures"]

Kind = Literal["outfit", "emotion"]
Floats = npt.NDArray[np.float64]

NAMED = 0.35
"""A tag names a sub-set when it is on this share of its tracks."""
_TELLING = 8
"""Words kept per sub-set."""


@dataclass(frozen=True)
class TaggedCrop:
    """One crop of the character.

    `region_id` and `track` say whose figure it is; `tags` are booru tags with scores 0..1; `looks` is what `clothes_look` gave; `faces` is the
    number of faces in the picture: with two nobody can say whose dress or smile the tagger saw, so its tags are not asked.
    """

    id: str
    region_id: str
    track: int
    tags: Mapping[str, float]
    looks: tuple[float, ...]
    faces: int


@dataclass(frozen=True)
class Word:
    """A tag with its share of the sub-set's figures and how many times that is its share of all the character's figures."""

    tag: str
    share: float
    lift: float


@dataclass(frozen=True)
class Subset:
    """Pictures that belong together.

    `ids` are crops in order; `figures` counts different figures among them and `tracks` different tracks; `share` is the sub-set's part of all
    figures of the character. `words` are its telling tags, most telling first; `colours` the measured colours of the clothes with their shares.
    """

    name: str
    kind: Kind
    ids: tuple[str, ...]
    figures: int
    tracks: int
    share: float
    words: tuple[Word, ...]
    colours: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Subsets:
    """`name_of` says for every crop its sub-set, `unknown` where nothing is known; `subsets` are the known ones, largest first; `notes` are
    sentences about what was merged and what was left out."""

    name_of: Mapping[str, str]
    subsets: tuple[Subset, ...]
    notes: tuple[str, ...] = ()


def tags_of_figures(sightings: Iterable[TaggedCrop], kind: Kind) -> dict[str, dict[str, float]]:
    """Each figure's tags that are about its outfit or its emotion, with their best scores."""
    found: dict[str, dict[str, float]] = {}
    for sighting in sightings:
        own = found.setdefault(sighting.region_id, {})
        for tag, score in sighting.tags.items() if sighting.faces <= 1 else ():
            if category_of(tag) == kind:
                own[tag] = max(score, own.get(tag, 0.0))
    return found


def make_subsets(
    kind: Kind,
    sightings: Sequence[TaggedCrop],
    names: Sequence[str],
    name_of: Mapping[str, str],
    colours: Mapping[str, tuple[tuple[str, float], ...]],
) -> tuple[Subset, ...]:
    """The sub-sets `names`, in that order, of what `name_of` says of every crop."""
    tags = tags_of_figures(sightings, kind)
    all_counts = Counter(tag for own in tags.values() for tag in own)
    found = []
    for name in names:
        own = [sighting for sighting in sightings if name_of[sighting.id] == name]
        regions = {sighting.region_id for sighting in own}
        counts = Counter(tag for region in regions for tag in tags[region])
        words = [
            Word(tag, round(count / len(regions), 3), round(count / len(regions) * len(tags) / all_counts[tag], 3))
            for tag, count in counts.items()
        ]
        words.sort(key=lambda word: (-word.share * word.lift, word.tag))
        found.append(
            Subset(
                name=name,
                kind=kind,
                ids=tuple(sighting.id for sighting in own),
                figures=len(regions),
                tracks=len({sighting.track for sighting in own}),
                share=round(len(regions) / len(tags), 3),
                words=tuple(words[:_TELLING]),
                colours=colours.get(name, ()),
            )
        )
    return tuple(found)
