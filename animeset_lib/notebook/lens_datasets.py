"""FiftyOne's four datasets of one film, built from the rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
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
from animeset_lib.pipeline.cast_pack import CastPack, open_pack
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
        build: dict[Kind, Callable[[Any], None]] = {
            "stills": self._stills,
            "faces": self._faces,
            "crops": self._crops,
            "dataset": self._dataset,
        }
        build[kind](dataset)

    def _stills(self, dataset: Any) -> None:
        outputs = stages_with(self._work, DedupeStage)
        if outputs is None:
            raise InputError(f"the stills of {self._work.name} are not kept any more; run the film with --keep-work")
        stills = outputs[ExtractStage].path
        frames = outputs[ExtractStage].by_id
        rows = outputs[DedupeStage].by_id
        decided = settle_frames(rows, self._log.standing).decided
        samples = []
        for row in rows.values():
            stands = _stands_for(row, rows)
            frame = frames[row.id]
            decision = decided.get(row.id)
            samples.append(
                self._fo.Sample(
                    filepath=str((stills / frame.file).resolve()),
                    frame_id=row.id,
                    time_s=frame.pts_ms / 1000,
                    shot=frame.shot,
                    cause=frame.cause,
                    group=stands,
                    state="kept" if row.dropped is None else "dropped",
                    reason=row.dropped,
                    why=row.why,
                    duplicate_of=row.duplicate_of,
                    hamming=row.hamming,
                    ssim=row.ssim,
                    local_ssim=row.local_ssim,
                    sharpness=row.sharpness,
                    sharpness_share=row.sharpness / rows[stands].sharpness if rows[stands].sharpness else None,
                    contrast=row.contrast,
                    decided=decision.effect if decision is not None else None,
                )
            )
        words, numbers = ("reason", "duplicate_of", "decided"), ("ssim", "local_ssim", "sharpness_share")
        types = {"hamming": "IntField"} | dict.fromkeys(words, "StringField") | dict.fromkeys(numbers, "FloatField")
        self._fill(dataset, samples, types)
        if not samples:
            return
        f = self._fo.ViewField
        sizes = Counter(dataset.values("group"))
        several = [group for group, size in sizes.items() if size > 1]
        dropped = dataset.match(f("reason") == "duplicate")
        # the still that stands for a group has no distance to itself and comes first
        groups = dataset.match(f("group").is_in(several)).group_by("group", order_by="hamming")
        dataset.save_view(
            "duplicate groups", groups, description="One group at a time: the still that stays, then what it stands for"
        )
        dataset.save_view("kept", dataset.match(f("state") == "kept"))
        dataset.save_view("dropped as duplicate", dropped.sort_by("group"))
        sharp = dropped.match(f("sharpness_share") >= _NEARLY_AS_SHARP)
        dataset.save_view(
            "dropped as duplicate but sharp",
            sharp.sort_by("local_ssim"),
            description=f"Duplicates with at least {_NEARLY_AS_SHARP:.0%} of the sharpness of the still that stays, the least similar ones first",
        )
        dataset.save_view(
            "closest calls", dropped.sort_by("local_ssim"), description="Duplicates, the least similar ones first"
        )
        dataset.save_view("decided by you", dataset.match(f("decided") != None))  # noqa: E711 - builds an expression

    def _faces(self, dataset: Any) -> None:
        pack = self._pack()
        stills, outputs = pack.stills(self._work), pack.outputs
        sorting = Sorting(outputs, self._log)
        quality = self._quality_of(outputs)
        shown: dict[Path, list[Face]] = defaultdict(list)
        for _, face in sorted(sorting.faces.items()):
            shown[stills / face.frame.file if stills is not None else pack.head(face.region.id)].append(face)
        box_of = _in_still if stills is not None else _in_head
        samples = []
        for picture, faces_in_it in shown.items():
            frame = faces_in_it[0].frame
            samples.append(
                self._fo.Sample(
                    filepath=str(picture.resolve()),
                    frame_id=frame.id,
                    time_s=frame.pts_ms / 1000,
                    shot=frame.shot,
                    faces=self._fo.Detections(
                        detections=[
                            self._detection(face, box_of(face), quality.get(face.region.id)) for face in faces_in_it
                        ]
                    ),
                )
            )
        words = ("decided", "quality_reason", "quality_why")
        types = {f"faces.detections.{name}": "StringField" for name in words}
        self._fill(dataset, samples, types | {"faces.detections.quality": "FloatField"})
        self._add_map(dataset, outputs)
        f = self._fo.ViewField

        def faces(condition: Any) -> Any:
            return dataset.filter_labels("faces", condition).to_patches("faces")

        if not samples:
            return
        dataset.save_view("all faces", dataset.to_patches("faces"), description="One picture per face; tag labels here")
        dataset.save_view("noise", faces(f("label") == LABELS[NOISE]))
        low = faces((f("label") != LABELS[NOISE]) & (f("confidence") < _SURE))
        dataset.save_view("low confidence", low, description=f"Faces of a character with a confidence below {_SURE:g}")
        dataset.save_view("not a character", faces(f("label") == LABELS[REJECTED]))
        dataset.save_view("decided by you", faces(f("decided") != None))  # noqa: E711 - builds an expression
        for reason in sorted({row.dropped for row in quality.values() if row.dropped is not None} | {"too_dark"}):
            dataset.save_view(reason.replace("_", " "), faces(f("quality_reason") == reason))

    def _crops(self, dataset: Any) -> None:
        later: tuple[StageType, ...] = (DatasetStage, CaptionStage, AttributesStage, TagStage, CropStage)
        outputs = next((kept for stage in later if (kept := stages_with(self._work, stage)) is not None), None)
        if outputs is None:
            raise InputError(f"the crops of {self._work.name} are not kept any more; run the film with --keep-work")
        tagged = outputs[TagStage].by_id if TagStage in outputs else {}
        kinds = outputs[AttributesStage].by_id if AttributesStage in outputs else {}
        captions = outputs[CaptionStage].by_id if CaptionStage in outputs else {}
        chosen = outputs[DatasetStage].by_id if DatasetStage in outputs else {}
        quality = outputs[QualityStage].by_id
        samples = []
        for crop in outputs[CropStage].kept:
            caption, final, tags = captions.get(crop.id), chosen.get(crop.id), tagged.get(crop.id)
            kind = kinds.get(crop.id)
            samples.append(
                self._fo.Sample(
                    filepath=str((outputs[CropStage].path / crop.file).resolve()),
                    crop_id=crop.id,
                    frame_id=crop.frame_id,
                    region_id=crop.region_id,
                    character=self._fo.Classification(label=crop.character),
                    framing=crop.framing,
                    factor=crop.factor,
                    upscaler=crop.upscaler,
                    faces=self._faces_in(crop),
                    quality=quality[crop.region_id].score,
                    measured=quality[crop.region_id].measured,
                    booru=self._scores(tags.general if tags is not None else {}),
                    caption=caption.caption if caption is not None else None,
                    outfit=kind.outfit if kind is not None else None,
                    emotion=kind.emotion if kind is not None else None,
                    background=kind.background if kind is not None else None,
                    view=kind.view if kind is not None else None,
                    used=None if final is None else final.dropped is None,
                    rank=final.rank if final is not None else None,
                    why=final.why if final is not None else None,
                )
            )
        words = ("upscaler", "caption", "outfit", "emotion", "background", "view", "why")
        types = {"used": "BooleanField", "rank": "IntField"} | dict.fromkeys(words, "StringField")
        self._fill(dataset, samples, types)
        if not samples:
            return
        f = self._fo.ViewField
        dataset.save_view("by character", dataset.sort_by("character.label"))
        dataset.save_view("used", dataset.match(f("used") == True).sort_by("rank"))  # noqa: E712 - builds an expression
        dataset.save_view("not used", dataset.match(f("used") == False))  # noqa: E712 - builds an expression
        dataset.save_view("with another face", dataset.match(f("faces.detections").length() > 1))
        dataset.save_view("worst quality first", dataset.sort_by("quality"))
        for framing in sorted({crop.framing for crop in outputs[CropStage].kept}):
            dataset.save_view(framing.replace("_", " "), dataset.match(f("framing") == framing))

    def _dataset(self, dataset: Any) -> None:
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
        types = {"rank": "IntField", "quality": "FloatField", "time_s": "FloatField"} | dict.fromkeys(
            words, "StringField"
        )
        self._fill(dataset, samples, types)
        if samples:
            dataset.save_view("one character at a time", dataset.group_by("character.label", order_by="rank"))
            dataset.save_view("worst quality first", dataset.sort_by("quality"))

    def _fill(self, dataset: Any, samples: Sequence[Any], optional: Mapping[str, str]) -> None:
        """`optional` is field → FiftyOne's type, for fields that may be empty in every sample: FiftyOne takes types from values, and without one
        the field could be neither shown nor set later."""
        dataset.add_samples(samples, progress=False)
        if samples:
            dataset.add_dynamic_sample_fields()
        for name, kind in optional.items():
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
            confidence=face.cluster.confidence,
            region_id=face.region.id,
            cluster=face.cluster.cluster,
            track=face.cluster.track,
            score=face.region.score,
            why=face.now.why or face.cluster.why,
            decided=decided_words(face),
            quality=quality.score if quality is not None else None,
            quality_reason=quality.dropped if quality is not None else None,
            quality_why=quality.why if quality is not None else None,
        )

    def _faces_in(self, crop: Crop) -> Any:
        others = [face for face in crop.faces if face != crop.face]
        own = [crop.face] if crop.face is not None else []
        return self._fo.Detections(
            detections=[
                self._fo.Detection(label=label, bounding_box=_relative(face, crop.width, crop.height))
                for label, faces in ((crop.character, own), ("another", others))
                for face in faces
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
        if points:
            self._fo.brain.compute_visualization(
                dataset, patches_field="faces", points=points, brain_key="umap", progress=False
            )
            self._fo.brain.compute_similarity(
                dataset,
                patches_field="faces",
                embeddings=rows,
                brain_key="identity",
                backend="sklearn",
                metric="cosine",
                progress=False,
            )

    def _pack(self) -> CastPack:
        pack = open_pack(self._place)
        if pack is None:
            raise InputError(f"{self._work.name} is not sorted any more; run the film, --until cast is enough")
        return pack

    def _quality_of(self, outputs: Given) -> dict[str, QualityRow]:
        """Quality rows that were made from this very sorting."""
        later = stages_with(self._work, QualityStage)
        if later is None or later[CastStage].key != outputs[CastStage].key:
            return {}
        return later[QualityStage].by_id


def _metadata(published: Path) -> dict[str, dict[str, Any]]:
    """What the published `metadata.jsonl` say, by the picture's path in the film's folder."""
    rows = {}
    for file in sorted(published.glob("*/metadata.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            rows[f"{file.parent.name}/{row['file_name']}"] = row
    return rows


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
