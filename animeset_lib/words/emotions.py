"""The emotions of a character's figures, by tags."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from animeset_lib.settings import AttributesSettings
from animeset_lib.words.subsets import Subsets, TaggedCrop, make_subsets, tags_of_figures
from animeset_lib.words.vocabulary import UNKNOWN, emotion_of, listed

__all__ = ["emotions"]

_KIN = listed("kin")
_ALIKE = 0.85
_NEIGHBOURS = 0.5


def emotions(sightings: Iterable[TaggedCrop], settings: AttributesSettings) -> Subsets:
    """The emotions of one character's figures. All crops of one figure get one name; `unknown` where no tag says."""
    everything = sorted(sightings, key=lambda s: s.id)
    voted = _voted(tags_of_figures(everything, "emotion"))
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
        alike = np.flatnonzero((matrix @ matrix[row]).round(6) >= _ALIKE).tolist() if total else []
        others = [other for other in alike if other != row]
        for other in others:
            for name, value in evidence[other].items():
                total[name] += _NEIGHBOURS * value / len(others)
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
