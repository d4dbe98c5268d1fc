"""7_dataset: everything → the folder that is published: per character the chosen pictures, captions, metadata, card and contact sheet."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from animeset_lib.cast.cast import BY_A_PERSON, CAST_FILE, DECISIONS_FILE, CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.dataset.card import (
    Chosen,
    FilmNumbers,
    Summary,
    character_card,
    clock,
    film_card,
    losses_in_words,
    source_name,
)
from animeset_lib.dataset.coverage import Coverage, coverage
from animeset_lib.dataset.coverage_sheet import coverage_sheet
from animeset_lib.dataset.explain import CROP_STAGES, Fate, Loss, dropped_by, fates, losses
from animeset_lib.dataset.regularisation import RegularisationStage, published_entries
from animeset_lib.dataset.selection import NOT_SELECTED, THUMB_PX, PictureCandidate, Selected, choose
from animeset_lib.dataset.sheet import ROW_TILES, SheetRow, Tile, fit_tile, grid_sheet, row_sheet
from animeset_lib.dataset.subset_sheet import subset_sheet, subsets_json
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image, write_image
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.framing import FRAMINGS
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import UNREADABLE, Crop, DatasetRow, Film, Frame, Reason
from animeset_lib.run.stage import Context, Given, Item, Notes, StageType, WholeStage
from animeset_lib.settings import DatasetSettings, Mix
from animeset_lib.system import sha256_of
from animeset_lib.words.attributes import AttributesStage, groupings
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.subsets import Subset
from animeset_lib.words.tag import TagStage
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = ["DatasetStage"]

TREE = "tree"
"""Folder below the stage's own one that holds exactly what is published."""

COVERAGE_FILE, SUBSETS_FILE, TRAITS_FILE = "coverage.json", "subsets.json", "traits.json"

REGULARISATION = "regularisation"
"""The folder of pictures without anybody; `explain.jsonl` knows nothing of them."""

_SHEET_PICTURES = 200
"""Most pictures on one contact sheet; the heading says when there are more."""


class CharacterNote(BaseModel):
    """One character's set: pictures chosen of so many candidates and figures, by framing, and what was lost where."""

    model_config = ConfigDict(frozen=True)

    chosen: int
    candidates: int
    figures: int
    framings: dict[str, int]
    lost: tuple[Loss, ...]


class DatasetNotes(Notes):
    """The sets, largest first."""

    characters: dict[str, CharacterNote]


@dataclass(frozen=True)
class DatasetStage(WholeStage[DatasetRow, DatasetNotes]):
    """Chooses each character's set and lays out the published tree. Crops are linked or copied, never encoded again."""

    settings: DatasetSettings
    mix: Mix = Mix()

    name: ClassVar[str] = "7_dataset"
    version: ClassVar[str] = "3"
    seconds_per_minute: ClassVar[float] = 8.0
    needs: ClassVar[tuple[StageType, ...]] = (
        ExtractStage,
        DedupeStage,
        DetectStage,
        EmbedStage,
        ClusterStage,
        CastStage,
        QualityStage,
        UpscaleStage,
        CropStage,
        TagStage,
        AttributesStage,
        CaptionStage,
        RegularisationStage,
    )
    reasons: ClassVar[Mapping[str, Reason]] = {
        **{code: reason for stage in CROP_STAGES for code, reason in stage.reasons.items()},
        "unreadable": UNREADABLE,
        "not_selected": NOT_SELECTED,
    }

    def finish(
        self, rows: Sequence[DatasetRow], items: Sequence[Item], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[DatasetRow], DatasetNotes]:
        rows, found = _Builder(self.settings, self.mix, given, out / TREE, ctx).build()
        for summary in found:
            few = len(summary.chosen) < self.settings.min_pictures
            ctx.log.log(
                logging.WARNING if few else logging.INFO,
                "7_dataset: %s: %d pictures%s of %d candidates, %d figures; left out: %s",
                summary.character,
                len(summary.chosen),
                f" (fewer than dataset.min_pictures {self.settings.min_pictures})" if few else "",
                summary.candidates,
                summary.figures,
                losses_in_words(summary.lost),
            )
        if not any(summary.chosen for summary in found):
            ctx.log.warning("7_dataset: no character set could be made; the frames are kept, README.md says why")
        notes = {
            summary.character: CharacterNote(
                chosen=len(summary.chosen),
                candidates=summary.candidates,
                figures=summary.figures,
                framings=summary.framings,
                lost=tuple(summary.lost),
            )
            for summary in found
        }
        return rows, DatasetNotes(characters=notes)


@dataclass(frozen=True)
class _Builder:
    """Lays out one film's tree. May be interrupted anywhere and started again over what is there: equal input, equal files."""

    settings: DatasetSettings
    mix: Mix
    given: Given
    tree: Path
    ctx: Context
    covered: dict[str, Coverage] = field(default_factory=dict)
    samples: dict[str, list[Picture]] = field(default_factory=dict)
    """Character → its first pictures as tiles."""

    @property
    def film(self) -> Film:
        return self.given[ExtractStage].notes.film

    def build(self) -> tuple[list[DatasetRow], list[Summary]]:
        """Rows for all crops in their order, and what became of each character."""
        self.tree.mkdir(parents=True, exist_ok=True)
        rows = self._choose_and_place()
        all_fates = list(fates(self.given, rows))
        summaries = _summaries(self.given, rows, all_fates)
        numbers = self._numbers()
        for summary in summaries:
            if summary.chosen:
                card = character_card(summary, numbers, self.settings, self.given, self.covered[summary.character])
                _write_text(self.tree / summary.character / "README.md", card)
        self._write_film(summaries, numbers, all_fates)
        return rows, summaries

    def _choose_and_place(self) -> list[DatasetRow]:
        usable: dict[str, list[Crop]] = defaultdict(list)
        rows: dict[str, DatasetRow] = {}
        for crop in self.given[CropStage].rows:
            if (lost := dropped_by(self.given, CROP_STAGES, crop.id)) is None:
                usable[crop.character].append(crop)
            else:
                rows[crop.id] = _left_out(crop.id, crop.character, lost[1].dropped, lost[1].why)
        total = sum(len(crops) for crops in usable.values())
        done = count(1)
        for character in sorted(usable):
            tiles: dict[str, Picture] = {}
            candidates = []
            for crop in usable[character]:
                self.ctx.check_cancel()
                self.ctx.progress(next(done), total)
                try:
                    picture = read_image(self.given[CropStage].path / crop.file)
                except InputError as error:
                    rows[crop.id] = _left_out(crop.id, character, "unreadable", f"cannot be read: {error}")
                    continue
                tiles[crop.id] = fit_tile(picture)
                candidates.append(self._candidate(crop, _thumb(picture)))
            choice = choose(candidates, self.settings, self.mix, self.ctx.check_cancel)
            for crop_id, why in choice.rejected.items():
                rows[crop_id] = _left_out(crop_id, character, "not_selected", why)
            chosen = [_chosen(self.given, crop_id) for crop_id in choice.ranked]
            for rank, one in enumerate(chosen, start=1):
                rows[one.crop.id] = self._place(one, rank, choice.chosen[one.crop.id])
            if chosen:
                self._write_character(character, chosen, choice, candidates, tiles)
                self.samples[character] = [tiles[one.crop.id] for one in chosen[:ROW_TILES]]
        return [rows[crop.id] for crop in self.given[CropStage].rows]

    def _candidate(self, crop: Crop, thumb: npt.NDArray[np.float32]) -> PictureCandidate:
        frame = self.given[ExtractStage].by_id[crop.frame_id]
        kind = self.given[AttributesStage].by_id[crop.id]
        return PictureCandidate(
            id=crop.id,
            region_id=crop.region_id,
            framing=crop.framing,
            shot=frame.shot,
            pts_ms=frame.pts_ms,
            vector=self.given[EmbedStage].by_id[crop.region_id].vector,
            tags=kind.tags,
            thumb=thumb,
            quality=self.given[QualityStage].by_id[crop.region_id].score,
            confidence=self.given[CastStage].by_id[crop.region_id].confidence,
            outfit=kind.outfit,
            emotion=kind.emotion,
            background=kind.background,
            view=kind.view,
        )

    def _place(self, one: Chosen, rank: int, why: str) -> DatasetRow:
        character, crop = one.crop.character, one.crop
        image = self._image(one, rank)
        text = f"dataset/captions/{one.stem(rank, self.settings.names)}.txt"
        _link(self.given[CropStage].path / crop.file, self.tree / character / image)
        _write_text(self.tree / character / text, one.caption.caption + "\n")
        return DatasetRow(id=crop.id, why=why, character=character, image=image, caption=text, rank=rank)

    def _image(self, one: Chosen, rank: int) -> str:
        """Where the picture is published, relative to the character's folder."""
        return f"dataset/images/{one.stem(rank, self.settings.names)}{Path(one.crop.file).suffix}"

    def _write_character(
        self,
        character: str,
        chosen: Sequence[Chosen],
        choice: Selected,
        candidates: Sequence[PictureCandidate],
        tiles: Mapping[str, Picture],
    ) -> None:
        folder = self.tree / character
        rows = (self._metadata(one, rank, choice.chosen[one.crop.id]) for rank, one in enumerate(chosen, start=1))
        _write_lines(folder / "metadata.jsonl", rows)
        subtitle = f"{len(chosen)} pictures of {len(candidates)} candidates · {source_name(self.film)}"
        covered = self.covered[character] = self._coverage(character, candidates, choice)
        _write_json(folder / COVERAGE_FILE, covered.as_json())
        write_image(folder / "coverage.png", coverage_sheet(covered, tiles, f"{character}: coverage", subtitle))
        found = groupings(self.given[AttributesStage], [c.id for c in candidates], character)
        files = {one.crop.id: self._image(one, rank) for rank, one in enumerate(chosen, start=1)}
        _write_json(folder / SUBSETS_FILE, subsets_json(found, files))
        shown = {one.crop.id: tiles[one.crop.id] for one in chosen[:_SHEET_PICTURES]}
        write_image(folder / "subsets.png", subset_sheet(character, found, shown, len(chosen)))
        _write_json(folder / TRAITS_FILE, self.given[CaptionStage].notes.traits[character])
        if len(shown) < len(chosen):
            subtitle += f" · the first {len(shown)} are shown"
        labelled = [
            Tile(tiles[one.crop.id], _labels(one, f"{rank:04d} · {one.crop.framing.replace('_', ' ')} · "))
            for rank, one in enumerate(chosen[:_SHEET_PICTURES], start=1)
        ]
        write_image(folder / "contact_sheet.png", grid_sheet(character, subtitle, labelled))

    def _coverage(self, character: str, candidates: Sequence[PictureCandidate], choice: Selected) -> Coverage:
        # a folder of pictures has no shots that were measured
        noted = self.given[ExtractStage].notes.shots
        shots = [(shot.first_ms, shot.last_ms) for shot in noted] or _shots_of(self.given[ExtractStage].by_id.values())
        span = (shots[0][0], shots[-1][1]) if shots else (0, 0)
        wished = [f for f in FRAMINGS if getattr(self.mix, f) > 0]
        return coverage(character, candidates, choice.ranked, span, shots, wished or FRAMINGS)

    def _metadata(self, one: Chosen, rank: int, why: str) -> dict[str, Any]:
        """One line of metadata.jsonl. Paths are relative to the character's folder; `text` is the program's caption, as loaders call it."""
        crop, caption = one.crop, one.caption
        quality = self.given[QualityStage].by_id[crop.region_id]
        tagged = self.given[TagStage].by_id[crop.id]
        return {
            "file_name": self._image(one, rank),
            "text": caption.caption,
            "name": f"{caption.name}_{rank:04d}",
            "crop": crop.id,
            "character": crop.character,
            "tags": list(caption.tags),
            # all that the tagger saw, and what cleaning and voting made of it: captions can be written anew from these
            "tag_scores": {**tagged.general, **one.kind.tags},
            "outfit": one.kind.outfit,
            "emotion": one.kind.emotion,
            "background": one.kind.background,
            "view": one.kind.view,
            "framing": crop.framing,
            "rank": rank,
            "why": why,
            "width": crop.width,
            "height": crop.height,
            "film": source_name(self.film),
            "film_id": self.film.id,
            "source_file": self.given[ExtractStage].by_id[crop.frame_id].source_file,
            "time_ms": one.pts_ms,
            "shot": one.shot,
            "frame": crop.frame_id,
            "region": crop.region_id,
            "box": list(crop.box.xyxy),
            "upscale_factor": crop.factor,
            "upscaler": crop.upscaler,
            "tagger": tagged.tagger,
            "quality": quality.score,
            "quality_measured": quality.measured,
            "identity_confidence": one.confidence,
            "sha256": sha256_of(self.given[CropStage].path / crop.file),
        }

    def _write_film(self, summaries: Sequence[Summary], numbers: FilmNumbers, all_fates: Sequence[Fate]) -> None:
        cast = self.given[CastStage].path
        _link(cast / CAST_FILE, self.tree / CAST_FILE)
        if (cast / DECISIONS_FILE).is_file():
            _link(cast / DECISIONS_FILE, self.tree / DECISIONS_FILE)
        self._write_regularisation()
        _write_text(self.tree / "README.md", film_card(summaries, numbers, self.settings, self.given))
        _write_lines(self.tree / "explain.jsonl", (fate.__dict__ for fate in all_fates))
        name = source_name(self.film)
        rows = [_sheet_row(one, self.samples[one.character]) for one in summaries if one.chosen]
        total = sum(len(summary.chosen) for summary in summaries)
        subtitle = f"{len(rows)} characters, {total} pictures; the first of each set"
        sheet = row_sheet(name, subtitle, rows) if rows else self._frames_instead(name)
        write_image(self.tree / "contact_sheet.png", sheet)

    def _write_regularisation(self) -> None:
        """Pictures without anybody, where the run was asked for them, in a set beside the characters'."""
        film = self.film.model_copy(update={"source_name": source_name(self.film)})
        entries = published_entries(self.given[RegularisationStage], film)
        folder = self.tree / REGULARISATION
        for source, row in entries:
            self.ctx.check_cancel()
            _link(source, folder / row["file_name"])
            _write_text(folder / "captions" / f"{Path(row['file_name']).stem}.txt", f"{row['text']}\n")
        if entries:
            _write_lines(folder / "metadata.jsonl", (row for _, row in entries))

    def _frames_instead(self, name: str) -> Picture:
        """No character: the frames themselves go into `frames/`; returns their contact sheet."""
        frames = [self.given[ExtractStage].by_id[row.id] for row in self.given[DedupeStage].kept]
        folder = self.given[ExtractStage].path
        for frame in frames:
            self.ctx.check_cancel()
            _link(folder / frame.file, self.tree / "frames" / Path(frame.file).name)
        step = max(1, -(-len(frames) // _SHEET_PICTURES))
        tiles = []
        for frame in frames[::step]:
            self.ctx.check_cancel()
            try:
                tiles.append(Tile(fit_tile(read_image(folder / frame.file)), (clock(frame.pts_ms),)))
            except InputError as error:
                self.ctx.log.warning("7_dataset: %s is left out of the contact sheet: %s", frame.id, error)
        subtitle = f"No characters found; {len(frames)} frames without duplicates"
        return grid_sheet(name, subtitle + (f", every {step}th shown" if step > 1 else ""), tiles)

    def _numbers(self) -> FilmNumbers:
        frames, regions = self.given[ExtractStage].rows, self.given[DetectStage].rows
        usable = {row.id for row in regions if row.dropped is None}
        cast = [row for row in self.given[CastStage].rows if row.id in usable]
        last = max((frame.pts_ms for frame in frames), default=0)
        return FilmNumbers(
            film=self.film,
            length_ms=self.film.duration_ms or last,
            frames=len(frames),
            kept_frames=len(self.given[DedupeStage].kept),
            lost_figures=Counter(row.dropped for row in regions if row.dropped is not None),
            usable_figures=len(usable),
            noise=sum(1 for row in cast if row.character is None and row.dropped not in BY_A_PERSON),
            by_person=Counter(row.dropped for row in cast if row.dropped in BY_A_PERSON),
            decisions=self.given[CastStage].notes.decisions,
            regularisation=len(self.given[RegularisationStage].kept),
            frame_decisions=self.given[DedupeStage].notes.decisions,
        )


def _left_out(crop_id: str, character: str, dropped: str | None, why: str) -> DatasetRow:
    return DatasetRow(id=crop_id, character=character, dropped=dropped, why=why)


def _summaries(given: Given, rows: Sequence[DatasetRow], all_fates: Sequence[Fate]) -> list[Summary]:
    """One per character of the cast, largest set first; also those of which no picture is left."""
    lost = losses(all_fates)
    core = given[CaptionStage].notes.core_traits
    figures = Counter(row.character for row in given[CastStage].rows if row.character is not None)
    found = []
    for character in figures:
        own = [row for row in rows if row.character == character]
        ranked = sorted((row for row in own if row.rank is not None), key=lambda row: row.rank or 0)
        found.append(
            Summary(
                character=character,
                chosen=[_chosen(given, row.id) for row in ranked],
                candidates=sum(1 for row in own if row.dropped in (None, "not_selected")),
                figures=figures[character],
                lost=lost.get(character, []),
                core_traits=core.get(character, ()),
                subsets=_subsets(given, character, own),
            )
        )
    return sorted(found, key=lambda summary: (-len(summary.chosen), summary.character))


def _subsets(given: Given, character: str, rows: Sequence[DatasetRow]) -> list[Subset]:
    """The character's outfits and emotions that have published pictures, cut down to these."""
    known = [row.id for row in rows if row.id in given[AttributesStage].by_id]
    chosen = {row.id for row in rows if row.rank is not None}
    found = [subset for one in groupings(given[AttributesStage], known, character) for subset in one.subsets]
    cut = [replace(subset, ids=tuple(id for id in subset.ids if id in chosen)) for subset in found]
    return [subset for subset in cut if subset.ids]


def _chosen(given: Given, crop_id: str) -> Chosen:
    crop, kind = given[CropStage].by_id[crop_id], given[AttributesStage].by_id[crop_id]
    frame, confidence = given[ExtractStage].by_id[crop.frame_id], given[CastStage].by_id[crop.region_id].confidence
    return Chosen(crop, given[CaptionStage].by_id[crop_id], kind, frame.pts_ms, frame.shot, confidence)


def _sheet_row(summary: Summary, samples: Sequence[Picture]) -> SheetRow:
    framings = (f"{number} {name.replace('_', ' ')}" for name, number in summary.framings.items() if number)
    lines = (f"{len(summary.chosen)} pictures of {summary.candidates}", *framings)
    return SheetRow(summary.character, lines, samples)


def _labels(one: Chosen, number: str) -> tuple[str, ...]:
    known = [v for v in (one.kind.outfit, one.kind.emotion, one.kind.background) if v != UNKNOWN]
    words = " · ".join(value.replace("_", " ") for value in known)
    return (number + clock(one.pts_ms), words) if words else (number + clock(one.pts_ms),)


def _shots_of(frames: Iterable[Frame]) -> list[tuple[int, int]]:
    """First and last moment of every shot number, from the stills alone; a number without a still lies where the one before it ends."""
    times: dict[int, list[int]] = {}
    for frame in frames:
        times.setdefault(frame.shot, []).append(frame.pts_ms)
    shots: list[tuple[int, int]] = []
    for number in range(max(times, default=-1) + 1):
        own = times.get(number) or [shots[-1][1] if shots else 0]
        shots.append((min(own), max(own)))
    return shots


def _thumb(picture: Picture) -> npt.NDArray[np.float32]:
    small = cv2.resize(picture, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    _write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write_json(path: Path, value: object) -> None:
    _write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _link(source: Path, target: Path) -> None:
    """The same file under another name where the file system can, else a copy. A target left by an interrupted run is completed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
