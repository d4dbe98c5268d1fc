"""Two or more models of one task as one: `a+b` in the settings. Detectors put their boxes together, taggers vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from animeset_lib.models.api import (
    TAG_FLOOR,
    Detection,
    Detector,
    ModelInfo,
    Picture,
    Tagger,
    TaggerInput,
    Tags,
    Thresholds,
)

__all__ = ["CombinedDetector", "CombinedTagger", "levelled"]

_HALF = 0.5


def levelled(score: float, threshold: float) -> float:
    """`score` on a scale where `threshold` lies at one half, 0 and 1 staying where they are; only then can two models' scores be compared."""
    if score >= threshold:
        return 1.0 if threshold >= 1 else _HALF + _HALF * (score - threshold) / (1 - threshold)
    return _HALF * score / threshold


class CombinedDetector:
    """All boxes of all detectors, scores levelled to `score_min` 0.5. Doubles are told apart by the detect stage, which does that anyway."""

    score_min = _HALF

    def __init__(self, info: ModelInfo, detectors: Sequence[Detector]) -> None:
        self.info = info
        self._detectors = tuple(detectors)

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Boxes per picture, best score first."""
        found: list[list[Detection]] = [[] for _ in pictures]
        for detector in self._detectors:
            for all_boxes, own in zip(found, detector.detect(pictures), strict=True):
                all_boxes += [replace(box, score=levelled(box.score, detector.score_min)) for box in own]
        return [sorted(boxes, key=lambda d: (-d.score, d.kind, d.box.xyxy)) for boxes in found]


class CombinedTagger:
    """A tag's score is the mean of the levelled scores of the taggers that know it. Ratings, whose names differ, are those of the first tagger
    that gives any.

    A tagger that knows a tag and does not give it votes 0; one that never heard of it, or whose silence means nothing, does not vote.
    """

    thresholds = Thresholds(general=_HALF, character=_HALF)

    def __init__(self, info: ModelInfo, taggers: Sequence[Tagger]) -> None:
        self.info = info
        self._taggers = tuple(taggers)
        self.vocabulary = frozenset[str]().union(*(tagger.vocabulary for tagger in taggers))

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        answers = zip(*(tagger.tag(inputs) for tagger in self._taggers), strict=True)
        return [self._voted(tags) for tags in answers]

    def _voted(self, answers: Sequence[Tags]) -> Tags:
        limits = [tagger.thresholds for tagger in self._taggers]
        return Tags(
            general=self._mean([tags.general for tags in answers], [limit.general for limit in limits]),
            character=self._mean([tags.character for tags in answers], [limit.character for limit in limits]),
            rating=next((tags.rating for tags in answers if tags.rating), {}),
        )

    def _mean(self, answers: Sequence[Mapping[str, float]], limits: Sequence[float]) -> dict[str, float]:
        means = {}
        for tag in dict.fromkeys(tag for scores in answers for tag in scores):
            votes = [
                levelled(scores.get(tag, 0.0), limit)
                for tagger, scores, limit in zip(self._taggers, answers, limits, strict=True)
                if tag in scores or tag in tagger.vocabulary
            ]
            means[tag] = sum(votes) / len(votes)
        kept = {tag: score for tag, score in means.items() if score >= TAG_FLOOR}
        return dict(sorted(kept.items(), key=lambda pair: (-pair[1], pair[0])))
