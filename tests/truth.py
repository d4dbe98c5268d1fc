"""Compares a run's stages with what the demo film's truth says. Numbers only; the floors are in the tests and the README quotes them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from animeset_demo.truth import DemoTruth, FrameTruth, PersonTruth
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.records import Box, Frame, Region
from animeset_lib.run.stage import Given

__all__ = ["Judge", "b_cubed"]


def b_cubed(predicted: Mapping[str, object], true: Mapping[str, object]) -> tuple[float, float, float]:
    """B-cubed precision, recall and F1 over the items of `predicted` (Bagga and Baldwin 1998); an item alone in its class counts too."""
    items = list(predicted)
    if not items:
        return 0.0, 0.0, 0.0
    by_prediction: dict[object, list[str]] = defaultdict(list)
    by_truth: dict[object, list[str]] = defaultdict(list)
    for item in items:
        by_prediction[predicted[item]].append(item)
        by_truth[true[item]].append(item)
    together = Counter((predicted[item], true[item]) for item in items)
    precision = sum(together[predicted[i], true[i]] / len(by_prediction[predicted[i]]) for i in items) / len(items)
    recall = sum(together[predicted[i], true[i]] / len(by_truth[true[i]]) for i in items) / len(items)
    return precision, recall, 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class Judge:
    """Numbers about one run of the demo film."""

    truth: DemoTruth
    outputs: Given

    @cached_property
    def frame_of(self) -> dict[str, FrameTruth]:
        """Still id → the true frame nearest in time."""
        step = 1000 / self.truth.film.fps
        return {
            row.id: self.truth.frames[min(round(row.pts_ms / step), len(self.truth.frames) - 1)]
            for row in self.outputs[ExtractStage].rows
        }

    def shots(self, tolerance: int = 2) -> tuple[float, float]:
        """Recall and precision of shot starts within `tolerance` frames. A cross-dissolve counts as found anywhere inside it."""
        step = 1000 / self.truth.film.fps
        found = [round(shot.first_ms / step) for shot in self.outputs[ExtractStage].notes.shots][1:]
        true = [shot.first for shot in self.truth.shots][1:]
        soft = {frame.index for frame in self.truth.frames if frame.defect in ("blend", "fade")}

        def near(a: int, b: int) -> bool:
            return abs(a - b) <= tolerance or (a in soft and b in soft and abs(a - b) <= self.truth.film.fps)

        hits = sum(any(near(f, t) for f in found) for t in true)
        right = sum(any(near(f, t) for t in true) for f in found)
        return hits / len(true), right / max(1, len(found))

    def shots_with_a_still(self) -> float:
        """Share of true shots from which at least one frame was taken."""
        seen = {frame.shot for frame in self.frame_of.values()}
        return len(seen) / len(self.truth.shots)

    def duplicates(self) -> tuple[float, float]:
        """Recall: of stills that repeat a drawing already present in their shot, the share that was dropped.
        Precision: of dropped stills, the share whose kept twin shows the same shot, people, emotions and eyes."""
        rows = self.outputs[DedupeStage].rows
        groups: dict[tuple[int, int], list[bool]] = defaultdict(list)
        for row in rows:
            frame = self.frame_of[row.id]
            if frame.defect is None and not frame.credits:
                groups[frame.shot, frame.drawing].append(row.dropped is not None)
        repeats = sum(len(group) - 1 for group in groups.values())
        missed = sum(max(0, group.count(False) - 1) for group in groups.values())
        pairs = [
            (self.frame_of[row.id], self.frame_of[row.duplicate_of]) for row in rows if row.duplicate_of is not None
        ]
        usable = [(a, b) for a, b in pairs if a.defect is None and b.defect is None]
        right = sum(_looks(a) == _looks(b) for a, b in usable)
        return 1 - missed / max(1, repeats), right / max(1, len(usable))

    @cached_property
    def person_of(self) -> dict[str, PersonTruth]:
        """Region id → the person whose face it is, by overlap of at least .3; regions that match nobody are left out."""
        matched = {}
        for region in self.outputs[DetectStage].rows:
            people = [
                (self._face(p).iou(region.face), p)
                for p in self.frame_of[region.frame_id].persons
                if p.face_xyxy is not None
            ]
            if people:
                overlap, person = max(people, key=lambda pair: pair[0])
                if overlap >= 0.3:
                    matched[region.id] = person
        return matched

    def faces(self, min_px: int, views: Iterable[str] = ("front", "three_quarter")) -> tuple[float, float]:
        """Recall over true faces at least `min_px` high in clean kept frames, and precision over all regions of those frames."""
        frames = [row for row in self.outputs[DedupeStage].kept if self.frame_of[row.id].defect is None]
        ids = {row.id for row in frames}
        regions = [row for row in self.outputs[DetectStage].kept if row.frame_id in ids]
        want = [
            (row.id, p)
            for row in frames
            for p in self.frame_of[row.id].persons
            if self._wanted(p, min_px, tuple(views))
        ]
        found = {
            (region.frame_id, self.person_of[region.id].character) for region in regions if region.id in self.person_of
        }
        hits = sum((frame, person.character) in found for frame, person in want)
        return hits / max(1, len(want)), sum(region.id in self.person_of for region in regions) / max(1, len(regions))

    def clusters(self) -> dict[str, float]:
        """B-cubed over true faces in clusters, purity, and the share of true faces left as noise."""
        rows = [row for row in self.outputs[ClusterStage].rows if row.id in self.person_of]
        inside = {row.id: row.cluster for row in rows if row.cluster >= 0}
        true = {key: self.person_of[key].character for key in inside}
        precision, recall, f1 = b_cubed(inside, true)
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        for key, cluster in inside.items():
            counts[cluster][true[key]] += 1
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "purity": sum(max(c.values()) for c in counts.values()) / max(1, len(inside)),
            "noise": 1 - len(inside) / max(1, len(rows)),
            "clusters": len(counts),
            "characters": len(set(true.values())),
        }

    def quality(self) -> tuple[float, float]:
        """Share of regions in faulty frames that were dropped, and share of regions in clean frames that were dropped."""
        faulty, clean = [], []
        for row in self.outputs[QualityStage].rows:
            defect = self.frame_of[self._region(row.id).frame_id].defect
            (clean if defect is None else faulty).append(row.dropped is not None)
        return sum(faulty) / max(1, len(faulty)), sum(clean) / max(1, len(clean))

    def dataset(self) -> dict[str, Counter[str]]:
        """Character of the dataset → true characters of its pictures; `nobody` where the face is none."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        regions = {crop.id: crop.region_id for crop in self.outputs[CropStage].rows}
        for row in self.outputs[DatasetStage].kept:
            person = self.person_of.get(regions[row.id])
            found[row.character][person.character if person else "nobody"] += 1
        return dict(found)

    def _region(self, key: str) -> Region:
        return self.outputs[DetectStage].by_id[key]

    def _face(self, person: PersonTruth) -> Box:
        """The true face box in still pixels: the bars are cut off the stills."""
        content = self.outputs[ExtractStage].notes.film.content_box
        assert person.face_xyxy is not None
        box = Box.of(person.face_xyxy)
        return box.moved(-content.x0, -content.y0) if content else box

    @staticmethod
    def _wanted(person: PersonTruth, min_px: int, views: tuple[str, ...]) -> bool:
        return (
            person.face_xyxy is not None
            and person.view in views
            and person.face_xyxy[3] - person.face_xyxy[1] >= min_px
        )

    def still(self, key: str) -> Frame:
        return self.outputs[ExtractStage].by_id[key]


def _looks(frame: FrameTruth) -> tuple[object, ...]:
    """What must be equal for two frames to be called duplicates: shot, and each person's pose-independent looks."""
    return frame.shot, tuple((p.character, p.outfit, p.emotion, p.view, p.eyes) for p in frame.persons)
