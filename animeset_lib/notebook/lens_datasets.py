"""FiftyOne's four datasets of one film, built from the rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.head_box import head_box
from animeset_lib.cast.sorting import NOISE, REJECTED, Face, Sorting, group_of
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pipeline.cast_pack import open_pack
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.layout import images_of, rows_of
from animeset_lib.records import Box, Crop, DedupeRow, QualityRow
from animeset_lib.run.decisions import DecisionLog
from animeset_lib.run.settling import settle_frames
from animeset_lib.run.stage import Given, StageType
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.tag import TagStage

__all__ = ["KINDS", "LABELS", "Builder", "Kind", "decided_words", "label_of"]

Kind = Literal["stills", "faces", "crops", "dataset"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LABELS = {NOISE: "noise", REJECTED: "not_a_character"}
"""Group of faces → its label, for the two that are no character."""
_SURE = 0.5
"""Below this confidence (of the cluster stage, 0..1) a face is in the view "low confidence". A place to begin looking, no limit of anything."""
_NEARLY_AS_SHARP = 0.98
"""A duplicate with at least this share of the sharpness of the still that stands for it is in "dropped as duplicate but sharp"."""
_ABOUT = {
    "duplicate groups": "One group at a time: the still that stays, then what it stands for",
    "dropped as duplicate but sharp": (
        f"Duplicates with at least {_NEARLY_AS_SHARP:.0%} of the sharpness of the still that stays, the least similar ones first"
    ),
    "closest calls": "Duplicates, the least similar ones first",
    "all faces": "One picture per face; tag labels here",
    "low confidence": f"Faces of a character with a confidence below {_SURE:g}",
}
"""Saved view → what FiftyOne says of it, where its name is not enough."""


class Builder:
    """Fills the datasets of one film; what its parameters are is said at `Lens`."""

    def __init__(self, fo: Any, film_work: Path, pack: Path, log: DecisionLog, published: Path | None) -> None:
        self._fo = fo
        self._work = film_work
        self._place = pack
        self._log = log
        self._published = published

    def build(self, kind: Kind, dataset: Any) -> None:
        """Samples, fields and saved views for an empty `dataset`. Raises `InputError` where the pictures are not there any more."""
        build: dict[Kind, Callable[[Any], dict[str, Any]]] = {
            "stills": self._stills,
            "faces": self._faces,
            "crops": self._crops,
            "dataset": self._dataset,
        }
        for name, view in build[kind](dataset).items():
            dataset.save_view(name, view, description=_ABOUT.get(name))

    def _stills(self, dataset: Any) -> dict[str, Any]:
        outputs = self._kept(DedupeStage)
        stills = outputs[ExtractStage]
        rows = outputs[DedupeStage].by_id
        decided = settle_frames(rows, self._log.standing).decided
        samples = []
        for row in rows.values():
            frame, first = stills.by_id[row.id], rows[_stands_for(row, rows)]
            samples.append(
                self._fo.Sample(
                    filepath=str((stills.path / frame.file).resolve()),
                    frame_id=row.id,
                    time_s=frame.pts_ms / 1000,
                    **_fields(frame, "shot", "cause"),
                    group=first.id,
                    state="kept" if row.dropped is None else "dropped",
                    reason=row.dropped,
                    **_fields(row, "why", "duplicate_of", "hamming", "ssim", "local_ssim", "sharpness", "contrast"),
                    sharpness_share=row.sharpness / first.sharpness if first.sharpness else None,
                    decided=decided[row.id].effect if row.id in decided else None,
                )
            )
        words, numbers = ("reason", "duplicate_of", "decided"), ("ssim", "local_ssim", "sharpness_share")
        self._fill(dataset, samples, StringField=words, FloatField=numbers, IntField=("hamming",))
        if not samples:
            return {}
        f = self._fo.ViewField
        several = [group for group, size in Counter(dataset.values("group")).items() if size > 1]
        dropped = dataset.match(f("reason") == "duplicate")
        sharp = dropped.match(f("sharpness_share") >= _NEARLY_AS_SHARP)
        return {
            # the still that stands for a group has no distance to itself and comes first
            "duplicate groups": dataset.match(f("group").is_in(several)).group_by("group", order_by="hamming"),
            "kept": dataset.match(f("state") == "kept"),
            "dropped as duplicate": dropped.sort_by("group"),
            "dropped as duplicate but sharp": sharp.sort_by("local_ssim"),
            "closest calls": dropped.sort_by("local_ssim"),
            "decided by you": dataset.match(f("decided") != None),  # noqa: E711 - builds an expression
        }

    def _faces(self, dataset: Any) -> dict[str, Any]:
        pack = open_pack(self._place)
        if pack is None:
            raise InputError(f"{self._work.name} is not sorted any more; run the film, --until cast is enough")
        stills, outputs = pack.stills(self._work), pack.outputs
        quality = self._quality_of(outputs)
        shown: dict[Path, list[Face]] = defaultdict(list)
        for _, face in sorted(Sorting(outputs, self._log).faces.items()):
            shown[stills / face.frame.file if stills is not None else pack.head(face.region.id)].append(face)
        box_of = _in_still if stills is not None else _in_head
        samples = []
        for picture, own in shown.items():
            found = [self._detection(face, box_of(face), quality.get(face.region.id)) for face in own]
            samples.append(
                self._fo.Sample(
                    filepath=str(picture.resolve()),
                    frame_id=own[0].frame.id,
                    time_s=own[0].frame.pts_ms / 1000,
                    shot=own[0].frame.shot,
                    faces=self._fo.Detections(detections=found),
                )
            )
        words = (f"faces.detections.{name}" for name in ("decided", "quality_reason", "quality_why"))
        self._fill(dataset, samples, StringField=words, FloatField=("faces.detections.quality",))
        if not samples:
            return {}
        self._add_map(dataset, outputs)
        f = self._fo.ViewField

        def faces(condition: Any) -> Any:
            return dataset.filter_labels("faces", condition).to_patches("faces")

        reasons = sorted({row.dropped for row in quality.values() if row.dropped is not None} | {"too_dark"})
        return {
            "all faces": dataset.to_patches("faces"),
            "noise": faces(f("label") == LABELS[NOISE]),
            "low confidence": faces((f("label") != LABELS[NOISE]) & (f("confidence") < _SURE)),
            "not a character": faces(f("label") == LABELS[REJECTED]),
            "decided by you": faces(f("decided") != None),  # noqa: E711 - builds an expression
            **{reason.replace("_", " "): faces(f("quality_reason") == reason) for reason in reasons},
        }

    def _crops(self, dataset: Any) -> dict[str, Any]:
        outputs = self._kept(DatasetStage, CaptionStage, AttributesStage, TagStage, CropStage)

        def rows(stage: StageType) -> dict[str, Any]:
            return outputs[stage].by_id if stage in outputs else {}

        tagged, kinds = rows(TagStage), rows(AttributesStage)
        captions, chosen = rows(CaptionStage), rows(DatasetStage)
        samples = []
        for crop in outputs[CropStage].kept:
            final, quality = chosen.get(crop.id), outputs[QualityStage].by_id[crop.region_id]
            samples.append(
                self._fo.Sample(
                    filepath=str((outputs[CropStage].path / crop.file).resolve()),
                    crop_id=crop.id,
                    **_fields(crop, "frame_id", "region_id"),
                    character=self._fo.Classification(label=crop.character),
                    **_fields(crop, "framing", "factor", "upscaler"),
                    faces=self._faces_in(crop),
                    quality=quality.score,
                    measured=quality.measured,
                    booru=self._scores(tagged[crop.id].general if crop.id in tagged else {}),
                    **_fields(captions.get(crop.id), "caption"),
                    **_fields(kinds.get(crop.id), "outfit", "emotion", "background", "view"),
                    used=None if final is None else final.dropped is None,
                    **_fields(final, "rank", "why"),
                )
            )
        words = ("upscaler", "caption", "outfit", "emotion", "background", "view", "why")
        self._fill(dataset, samples, StringField=words, BooleanField=("used",), IntField=("rank",))
        if not samples:
            return {}
        f = self._fo.ViewField
        framings = sorted({crop.framing for crop in outputs[CropStage].kept})
        return {
            "by character": dataset.sort_by("character.label"),
            "used": dataset.match(f("used") == True).sort_by("rank"),  # noqa: E712 - builds an expression
            "not used": dataset.match(f("used") == False),  # noqa: E712 - builds an expression
            "with another face": dataset.match(f("faces.detections").length() > 1),
            "worst quality first": dataset.sort_by("quality"),
            **{framing.replace("_", " "): dataset.match(f("framing") == framing) for framing in framings},
        }

    def _dataset(self, dataset: Any) -> dict[str, Any]:
        assert self._published is not None
        samples = []
        characters = images_of(self._published)
        rows = {image: row for name in characters for image, row in rows_of(self._published, name).items()}
        for picture in CaptionSet(self._published, reading=True).pictures():
            about = rows.get(picture.image, {})
            samples.append(
                self._fo.Sample(
                    filepath=str((self._published / picture.image).resolve()),
                    frame_id=about.get("frame"),
                    region_id=about.get("region"),
                    character=self._fo.Classification(label=picture.character),
                    framing=picture.said("framing"),
                    caption=picture.caption,
                    caption_edited=picture.edited,
                    caption_problem=picture.problem or None,
                    booru=self._scores(about.get("tag_scores", {})),
                    outfit=picture.said("outfit"),
                    emotion=picture.said("emotion"),
                    background=picture.said("background"),
                    quality=about.get("quality"),
                    rank=about.get("rank"),
                    time_s=None if picture.time_ms is None else picture.time_ms / 1000,
                )
            )
        words = ("frame_id", "region_id", "caption_problem")
        self._fill(dataset, samples, StringField=words, IntField=("rank",), FloatField=("quality", "time_s"))
        if not samples:
            return {}
        return {
            "one character at a time": dataset.group_by("character.label", order_by="rank"),
            "worst quality first": dataset.sort_by("quality"),
        }

    def _kept(self, *stages: StageType) -> Given:
        """The first of `stages` whose rows are kept, with those before it."""
        for stage in stages:
            if (outputs := stages_with(self._work, stage)) is not None:
                return outputs
        what = "stills" if DedupeStage in stages else "crops"
        raise InputError(f"the {what} of {self._work.name} are not kept any more; run the film with --keep-work")

    def _fill(self, dataset: Any, samples: Sequence[Any], **optional: Iterable[str]) -> None:
        """`optional` is FiftyOne's type → fields of it that may be empty in every sample: FiftyOne takes types from values, and without one the
        field could be neither shown nor set later."""
        dataset.add_samples(samples, progress=False)
        if samples:
            dataset.add_dynamic_sample_fields()
        for kind, names in optional.items():
            for name in names:
                if samples and dataset.get_field(name) is None:
                    dataset.add_sample_field(name, getattr(self._fo, kind))
        dataset.app_config.color_scheme = self._fo.ColorScheme(color_by="value")
        dataset.save()

    def _detection(self, face: Face, place: list[float], quality: QualityRow | None) -> Any:
        label = label_of(face)
        return self._fo.Detection(
            label=label,
            shown=label,
            bounding_box=place,
            region_id=face.region.id,
            **_fields(face.cluster, "confidence", "cluster", "track"),
            score=face.region.score,
            why=face.now.why or face.cluster.why,
            decided=decided_words(face),
            quality=getattr(quality, "score", None),
            quality_reason=getattr(quality, "dropped", None),
            quality_why=getattr(quality, "why", None),
        )

    def _faces_in(self, crop: Crop) -> Any:
        return self._fo.Detections(
            detections=[
                self._fo.Detection(
                    label=crop.character if face == crop.face else "another",
                    bounding_box=_relative(face, crop.width, crop.height),
                )
                for face in crop.faces
            ]
        )

    def _scores(self, scores: Mapping[str, float]) -> Any:
        return self._fo.Classifications(
            classifications=[self._fo.Classification(label=tag, confidence=score) for tag, score in scores.items()]
        )

    def _add_map(self, dataset: Any, outputs: Given) -> None:
        """The UMAP points of 3c_cluster for the embeddings panel (brain key `umap`) and the vectors of 3b_embed for sorting by similarity
        (`identity`); nothing is computed here."""
        places = {row.id: place for place, row in enumerate(outputs[EmbedStage].rows)}
        clusters = outputs[ClusterStage].by_id
        vectors = outputs[EmbedStage].vectors
        points: dict[str, Any] = {}
        rows: dict[str, Any] = {}
        samples, labels, regions = dataset.values(["id", "faces.detections.id", "faces.detections.region_id"])
        for sample, ids, faces in zip(samples, labels, regions, strict=True):
            rows[sample] = np.stack([vectors[places[face]] for face in faces])
            points |= {id: np.array([clusters[face].x, clusters[face].y]) for id, face in zip(ids, faces, strict=True)}
        about: dict[str, Any] = {"patches_field": "faces", "progress": False}
        self._fo.brain.compute_visualization(dataset, points=points, brain_key="umap", **about)
        self._fo.brain.compute_similarity(
            dataset, embeddings=rows, brain_key="identity", backend="sklearn", metric="cosine", **about
        )

    def _quality_of(self, outputs: Given) -> dict[str, QualityRow]:
        """Quality rows that were made from this very sorting."""
        later = stages_with(self._work, QualityStage)
        if later is None or later[CastStage].key != outputs[CastStage].key:
            return {}
        return later[QualityStage].by_id


def _fields(row: object, *names: str) -> dict[str, Any]:
    """Those fields of a row; each None where there is no row."""
    return {name: getattr(row, name, None) for name in names}


def _relative(box: Box, width: int, height: int) -> list[float]:
    """FiftyOne's form: left, top, width, height as shares of the picture."""
    return [box.x0 / width, box.y0 / height, box.width / width, box.height / height]


def _in_still(face: Face) -> list[float]:
    return _relative(face.region.face, face.region.width, face.region.height)


def _in_head(face: Face) -> list[float]:
    x0, y0, x1, _ = head_box(face.region.face).pixels()
    return _relative(face.region.face.moved(-x0, -y0), x1 - x0, x1 - x0)


def _stands_for(row: DedupeRow, rows: Mapping[str, DedupeRow]) -> str:
    """Id of the still that stands for the group of `row`: itself where it duplicates none."""
    seen = {row.id}
    while row.duplicate_of is not None and row.duplicate_of in rows and row.duplicate_of not in seen:
        row = rows[row.duplicate_of]
        seen.add(row.id)
    return row.id


def label_of(face: Face) -> str:
    group = group_of(face.now)
    return LABELS.get(group, group)


def decided_words(face: Face) -> str | None:
    return face.now.decision.effect if face.now.decision is not None else None
