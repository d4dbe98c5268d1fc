"""The emotions of a character's figures, by tags."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from animeset_lib.settings import AttributesSettings
from animeset_lib.words.subsets import Subsets, TaggedCrop, make_subsets
from animeset_lib.words.vocabulary import UNKNOWN, category_of, emotion_of

__all__ = ["emotions"]


_KIN: dict[str, tuple[str, ...]] = {
    "grin": ("smile", "laughing", "smug"),
    "laughing": ("grin", "smile"),
    "smug": ("grin", "smile"),
    "smile": ("grin", "laughing"),
    "crying": ("sad",),
    "sad": ("crying", "nervous"),
    "annoyed": ("angry", "pout"),
    "pout": ("annoyed", "angry"),
    "angry": ("annoyed", "screaming"),
    "disgust": ("annoyed", "angry"),
    "strained": ("angry", "screaming"),
    "screaming": ("angry", "strained"),
    "scared": ("surprised", "nervous"),
    "surprised": ("scared",),
    "nervous": ("embarrassed", "scared"),
    "embarrassed": ("nervous",),
    "confused": ("nervous", "surprised"),
    "bored": ("expressionless", "sleepy"),
    "sleepy": ("sleeping", "bored"),
    "sleeping": ("sleepy",),
    "serious": ("expressionless", "angry"),
    "expressionless": ("serious", "bored"),
}
"""An emotion with too few pictures joins the first of these that the character also shows: mouth and brows do the same there, more or less."""

_ALIKE = 0.85
_NEIGHBOURS = 0.5


def emotions(sightings: Iterable[TaggedCrop], settings: AttributesSettings) -> Subsets:
    """The emotions of one character's figures. All crops of one figure get one name; `unknown` where no tag says."""
    everything = sorted(sightings, key=lambda s: s.id)
    faces: dict[str, dict[str, float]] = {}
    for sighting in everything:
        own = faces.setdefault(sighting.region_id, {})
        for tag, score in sighting.tags.items() if sighting.faces <= 1 else ():
            if category_of(tag) == "emotion":
                own[tag] = max(score, own.get(tag, 0.0))
    voted = _voted(faces)
    named = {region: max(scores, key=lambda name: (scores[name], name)) for region, scores in voted.items() if scores}
    merged, notes = _kin_merged(named, settings.subset_min)
    name_of = {sighting.id: merged.get(sighting.region_id, UNKNOWN) for sighting in everything}
    counts = Counter(merged.values())
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return Subsets(name_of, make_subsets("emotion", everything, names, name_of, {}), tuple(notes))


def _evidence(tags: Mapping[str, float]) -> dict[str, float]:
    """Emotion → how sure its tags are together: 1 less the chance that all of them are wrong."""
    wrong: dict[str, float] = {}
    for tag, score in sorted(tags.items()):
        name = emotion_of({tag: score})
        if name != UNKNOWN:
            wrong[name] = wrong.get(name, 1.0) * (1.0 - score)
    return {name: round(1.0 - chance, 6) for name, chance in wrong.items()}


def _voted(faces: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Evidence of every figure, with half of the mean of those whose face tags are nearly the same; only for figures that have any of their own."""
    regions = sorted(faces)
    vocabulary = {tag: i for i, tag in enumerate(sorted({tag for tags in faces.values() for tag in tags}))}
    if not vocabulary:
        return {}
    matrix = np.zeros((len(regions), len(vocabulary)))
    for row, region in enumerate(regions):
        for tag, score in faces[region].items():
            matrix[row, vocabulary[tag]] = score
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    evidence = [_evidence(faces[region]) for region in regions]
    found = {}
    for row, region in enumerate(regions):
        total = defaultdict(float, evidence[row])
        if total:
            alike = [
                other for other in np.flatnonzero((matrix @ matrix[row]).round(6) >= _ALIKE).tolist() if other != row
            ]
            for other in alike:
                for name, value in evidence[other].items():
                    total[name] += _NEIGHBOURS * value / len(alike)
        found[region] = {name: round(value, 6) for name, value in total.items()}
    return found


def _kin_merged(named: Mapping[str, str], least: int) -> tuple[dict[str, str], list[str]]:
    """Rare emotions put to their kin, the rarest first; an emotion without kin in this character stays, however rare."""
    merged = dict(named)
    notes: list[str] = []
    while True:
        counts = Counter(merged.values())
        rare = sorted((count, name) for name, count in counts.items() if count < least)
        step = next(
            ((name, kin) for _, name in rare for kin in _KIN.get(name, ()) if counts[kin] >= counts[name]), None
        )
        if step is None:
            return merged, notes
        name, kin = step
        notes.append(f"emotion {name}: {counts[name]} figure(s), too few for a sub-set, put to {kin}")
        merged = {region: kin if own == name else own for region, own in merged.items()}
