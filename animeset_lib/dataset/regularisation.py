"""6d_regularisation: pictures of the film that show nobody, for trainers that are to be reminded of everything else.

Candidates are stills in which the detector saw no face, head or figure at all, not even one that was dropped later. That is not enough: on a clip
of a real film three of four such stills showed legs, a neck or somebody from behind. So the tagger has the last word, and one that does not see
people (it measures colours only) makes no set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.cast.detect import DetectStage
from animeset_lib.dataset.facility_location import FacilityLocation, best_of
from animeset_lib.dataset.selection import NOT_SELECTED
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractNotes, ExtractStage
from animeset_lib.media import Picture, read_image, write_image
from animeset_lib.media.reading import read_ahead
from animeset_lib.models.api import ModelInfo, ModelProvider, Tagger, TaggerInput
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.framing import Shape, buckets, output_size
from animeset_lib.records import UNREADABLE, Box, Film, Frame, Reason, RegularisationRow
from animeset_lib.run.stage import Context, Given, Item, Notes, Output, StageType, WholeStage
from animeset_lib.settings import CaptionWords, RegularisationSettings, TrainingSize
from animeset_lib.system import sha256_of
from animeset_lib.words.cleaning import clean
from animeset_lib.words.line import order_tags
from animeset_lib.words.spelling import clean_tag, spelled
from animeset_lib.words.tag import mcut
from animeset_lib.words.vocabulary import category_of

__all__ = ["RegularisationNotes", "RegularisationStage", "published_entries", "spread"]

_THUMB = (48, 27)
"""Width and height of the pictures that are compared, whatever the film's ratio."""
_LOOK_RANGE = 0.25
"""Root mean square difference of two thumbnails (0..1) from which on they have nothing in common; unrelated stills lie around it."""
_SAME_SHOT = 0.6
"""Least likeness of two stills of one shot: the camera may have moved on, the place has not."""
_GROUND_LEVELS = 10
"""Pixels within so many levels (of 255, in each channel) of the picture's middle colour are its ground."""
_GROUND_MOST = 0.75
"""A picture with more ground than this is black, white, or a credit. Of the demo's stills credits have 0.94 or more, lit scenes at most 0.44."""
_GROUND_PX = (320, 180)
"""Size at which that is measured: thin letters must not dissolve into the ground."""
_MOST_COMPARED = 3_000
"""A table of all pairs is made; of more candidates than this every nth is taken."""
_AT_ONCE = 8
"""Pictures that the tagger gets at a time."""
_SOMEBODY_MIN = 0.2
"""A tagger this sure of somebody is believed, below its own threshold too: one person in the set teaches that the trigger is not needed."""
_SOMEBODY = frozenset({"people", "hair", "eyes"})
_IN_CAPTION = frozenset({"people", "framing", "background", "other"})
_NO_HUMANS = "no_humans"

Matrix = npt.NDArray[np.float32]


class RegularisationNotes(Notes):
    """Which tagger was asked and how many stills without anybody there were; None and 0 where no pictures were wanted."""

    model: ModelInfo | None = None
    candidates: int = 0


@dataclass(frozen=True)
class RegularisationStage(WholeStage[RegularisationRow, RegularisationNotes]):
    """Chooses, cuts, tags and captions up to `pictures` stills that show nobody. 0 makes none and asks no model."""

    settings: RegularisationSettings
    size: TrainingSize = TrainingSize()
    words: CaptionWords = CaptionWords()

    name: ClassVar[str] = "6d_regularisation"
    version: ClassVar[str] = "1"
    seconds_per_minute: ClassVar[float] = 0.1
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DedupeStage, DetectStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
        "too_small": CropStage.reasons["too_small"],
        "nothing_to_see": Reason("Nothing to be seen", "Nichts zu sehen", "Nearly all of it is one colour."),
        "somebody_in_it": Reason("Somebody in it", "Jemand im Bild", "The tagger sees a person or an animal."),
        "not_checked": Reason(
            "Nobody looked for people", "Nicht auf Personen geprüft", "The tagger does not see people."
        ),
        "no_words": Reason("No word for it", "Kein Wort dafür", "There would be nothing to put into the caption."),
        "not_selected": NOT_SELECTED,
    }

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        if self.settings.pictures == 0:
            return {}
        return {"tagger": models.info("tagger", self.words.tagger).digest}

    def finish(
        self, rows: Sequence[RegularisationRow], items: Sequence[Item], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[RegularisationRow], RegularisationNotes]:
        if not self.settings.pictures:
            ctx.log.info("6d_regularisation: not asked for (regularisation.pictures is 0)")
            return (), RegularisationNotes()
        rows = self._rows(given, out, ctx)
        info = ctx.models.info("tagger", self.words.tagger)
        kept = sum(1 for row in rows if row.dropped is None)
        ctx.log.log(
            logging.INFO if kept == self.settings.pictures else logging.WARNING,
            "6d_regularisation: %d of %d pictures wanted, from %d stills without anybody",
            kept,
            self.settings.pictures,
            len(rows),
        )
        if any(row.dropped == "not_checked" for row in rows):
            ctx.log.warning(
                "6d_regularisation: %s does not see people, so no picture was taken; a tagging network does (animeset models fetch)",
                info.name,
            )
        return rows, RegularisationNotes(model=info, candidates=len(rows))

    def _rows(self, given: Given, out: Path, ctx: Context) -> list[RegularisationRow]:
        """A row for every still without anybody, in the film's order; files for those that are kept."""
        stills = given[ExtractStage]
        frames = _without_anybody(given)
        tagger = ctx.models.tagger(self.words.tagger)
        if not _sees_people(tagger):
            why = f"{tagger.info.name} does not see people, so somebody may be in it"
            return [_row(frame, {}, dropped="not_checked", why=why) for frame in frames]
        rows: dict[str, RegularisationRow] = {}
        thumbs: dict[str, Matrix] = {}
        paths = (stills.path / frame.file for frame in frames)
        for done, (frame, picture) in enumerate(zip(frames, read_ahead(paths, ctx.threads, _AT_ONCE), strict=True)):
            ctx.check_cancel()
            ctx.progress(done, 2 * len(frames))
            if isinstance(picture, InputError):
                rows[frame.id] = _row(frame, {}, dropped="unreadable", why=f"cannot be read: {picture}")
            elif (size := self._size(frame.width, frame.height)) is None:
                why = f"{frame.width}x{frame.height} px, less than one bucket step"
                rows[frame.id] = _row(frame, {}, dropped="too_small", why=why)
            elif (ground := _ground(picture)) > _GROUND_MOST:
                why = f"{ground:.0%} of it are one colour, more than {_GROUND_MOST:.0%}: plain, or writing on plain ground"
                about = {"width": size[0], "height": size[1]}
                rows[frame.id] = _row(frame, about, dropped="nothing_to_see", why=why)
            else:
                thumbs[frame.id] = _thumb(picture)
        usable = [frame for frame in frames if frame.id in thumbs]
        every = -(-len(usable) // _MOST_COMPARED) or 1
        compared = usable[::every]
        order = spread([thumbs[frame.id] for frame in compared], [frame.shot for frame in compared])
        found = 0
        asked = 0
        while found < self.settings.pictures:
            chosen = [compared[place] for place in _take(order, min(_AT_ONCE, self.settings.pictures - found))]
            if not chosen:
                break
            for row in self._finished(chosen, stills, tagger, out):
                rows[row.id] = row
                found += row.dropped is None
            ctx.check_cancel()
            asked += len(chosen)
            ctx.progress(
                len(frames) + len(frames) * max(asked / len(compared), found / self.settings.pictures), 2 * len(frames)
            )
        for frame in usable:
            if frame.id not in rows:
                rows[frame.id] = _row(frame, {}, dropped="not_selected", why=f"{found} others show more of the film")
        return [rows[frame.id] for frame in frames]

    def _finished(
        self, frames: Sequence[Frame], stills: Output[Frame, ExtractNotes], tagger: Tagger, out: Path
    ) -> Iterator[RegularisationRow]:
        """Cuts and tags; writes what is kept."""
        cut = [self._cut(read_image(stills.path / frame.file)) for frame in frames]
        asked = [TaggerInput(picture, "frame", None, ()) for picture, _ in cut]
        for frame, (picture, box), tags in zip(frames, cut, tagger.tag(asked), strict=True):
            about = {"width": picture.shape[1], "height": picture.shape[0], "box": box, "tagger": tagger.info.name}
            somebody = sorted(
                (-score, tag) for tag, score in tags.general.items() if score >= _SOMEBODY_MIN and _is_somebody(tag)
            )
            if somebody:
                score, tag = somebody[0]
                why = f"the tagger sees {tag} ({-score:.2f})"
                yield _row(frame, about, dropped="somebody_in_it", why=why)
                continue
            cleaned = clean(self._believed(tags.general, tagger), 0, self.words.blacklist).tags
            caption, ordered = self._caption(cleaned)
            if not caption:
                why = "the tagger has no word for it, and caption.style is empty"
                yield _row(frame, about, dropped="no_words", why=why)
                continue
            write_image(out / f"{frame.id}.png", picture)
            scores = {tag: round(float(cleaned[tag]), 4) for tag in ordered}
            yield _row(frame, about, file=f"{frame.id}.png", caption=caption, tags=scores)

    def _size(self, width: int, height: int) -> tuple[int, int] | None:
        """Sides of the finished picture: the bucket of the nearest ratio that fits into the still (a place may lose its sides), else multiples of
        the step; None when not even one step fits."""
        fitting = [(w, h) for w, h in buckets(self._shape) if w <= width and h <= height]
        if not fitting or not self.size.shrink_to_training:
            return output_size(width, height, self._shape, shrink=False)
        return min(fitting, key=lambda size: abs(log(size[0] / size[1] / (width / height))))

    @property
    def _shape(self) -> Shape:
        return Shape(self.size.training_px, self.size.bucket_step_px)

    def _cut(self, picture: Picture) -> tuple[Picture, Box]:
        """The middle of a still in a bucket's size, never enlarged, and where it was."""
        height, width = picture.shape[:2]
        size = self._size(width, height)
        assert size is not None, "stills that are too small were dropped"
        shrink = min(width / size[0], height / size[1])
        w, h = min(width, round(size[0] * shrink)), min(height, round(size[1] * shrink))
        x0, y0 = (width - w) // 2, (height - h) // 2
        part = picture[y0 : y0 + h, x0 : x0 + w]
        if (w, h) != size:
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(part), Box(x0=x0, y0=y0, x1=x0 + w, y1=y0 + h)

    def _believed(self, scores: Mapping[str, float], tagger: Tagger) -> dict[str, float]:
        """The tags that stage 6a_tag would have believed with these settings."""
        own = self.words.general_min
        fixed = tagger.thresholds.general if own is None else own
        least = mcut(list(scores.values())) if self.words.choice == "mcut" else fixed
        return {tag: score for tag, score in scores.items() if score >= least}

    def _caption(self, tags: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
        """One line of what the place is, without any trigger, and the tags in it in order. Empty when there is nothing to say."""
        said = tuple(tag for tag in order_tags(tags) if category_of(tag) in _IN_CAPTION)
        words = [spelled(tag, self.words.underscores) for tag in said]
        style = spelled(clean_tag(self.words.style), self.words.underscores)
        return ", ".join(dict.fromkeys([*words, *([style] if style else [])])), said


def published_entries(
    regularisation: Output[RegularisationRow, RegularisationNotes], film: Film
) -> list[tuple[Path, dict[str, Any]]]:
    """What the dataset stage lays out below `regularisation/`, in the film's order: the stage's picture, and its row of `metadata.jsonl`, which says
    its name there (`file_name`) and its caption (`text`)."""
    entries = []
    for number, row in enumerate(regularisation.kept, start=1):
        assert row.file is not None, "a kept row has its picture"
        source = regularisation.path / row.file
        said = {
            "file_name": f"images/scenery_{number:04d}.png",
            "text": row.caption,
            "tags": list(row.tags),
            "tag_scores": row.tags,
            "framing": "frame",
            "width": row.width,
            "height": row.height,
            "film": film.source_name,
            "film_id": film.id,
            "time_ms": row.pts_ms,
            "shot": row.shot,
            "frame": row.id,
            "box": list(row.box.xyxy),
            "tagger": row.tagger,
            "sha256": sha256_of(source),
        }
        entries.append((source, said))
    return entries


def spread(thumbs: Sequence[Matrix], shots: Sequence[int]) -> Iterator[int]:
    """Places of all pictures, each the one that leaves the whole film best represented by those before it (greedy facility location).

    thumbs  `(h, w, 3)` float32 0..1, all of one size

    The first n are themselves a good choice of n. Ties go to the earlier picture.
    """
    if not thumbs:
        return
    flat = np.stack([thumb.ravel() for thumb in thumbs]).astype(np.float32)
    squares = (flat**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * flat @ flat.T, 0) / flat.shape[1])
    alike = np.clip(1 - apart / _LOOK_RANGE, 0, 1)
    numbers = np.asarray(shots)
    alike = np.where(numbers[:, None] == numbers[None, :], np.maximum(alike, _SAME_SHOT), alike)
    np.fill_diagonal(alike, 1.0)
    taken = FacilityLocation(alike.T, digits=4)
    left = np.ones(len(thumbs), bool)
    while left.any():
        place = best_of(taken.gains(), left)
        left[place] = False
        taken.take(place)
        yield place


def _without_anybody(given: Given) -> list[Frame]:
    """Kept stills that the detector looked at and saw nobody in, dropped boxes included, in the film's order."""
    kept = {row.id for row in given[DedupeStage].kept}
    somebody = {region.frame_id for region in given[DetectStage].rows}
    unseen = set(given[DetectStage].notes.unreadable)
    return [frame for frame in given[ExtractStage].kept if frame.id in kept - somebody - unseen]


def _sees_people(tagger: Tagger) -> bool:
    """Whether its silence about people means anything."""
    return "1girl" in tagger.vocabulary


def _is_somebody(tag: str) -> bool:
    return tag != _NO_HUMANS and category_of(tag) in _SOMEBODY


def _take(places: Iterator[int], number: int) -> list[int]:
    return [place for _, place in zip(range(number), places, strict=False)]


def _ground(picture: Picture) -> float:
    """The share of the picture that has about its middle colour, 0..1."""
    small = cv2.resize(picture, _GROUND_PX, interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.int16)
    near = np.abs(small - np.median(small, axis=0)).max(axis=1) <= _GROUND_LEVELS
    return float(near.mean())


def _thumb(picture: Picture) -> Matrix:
    small = cv2.resize(picture, _THUMB, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def _row(frame: Frame, about: Mapping[str, Any], **said: Any) -> RegularisationRow:
    """`about` is the finished picture, where there is one: its size, box and tagger."""
    whole = {"box": Box(x0=0, y0=0, x1=frame.width, y1=frame.height), "width": frame.width, "height": frame.height}
    return RegularisationRow(id=frame.id, shot=frame.shot, pts_ms=frame.pts_ms, **{**whole, **about, **said})
