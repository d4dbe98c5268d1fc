"""1_extract: a film (or a folder of pictures) in, stills of the frames worth looking at out.

The film is cut at keyframes into segments of about a minute and a half, which are decoded once each, anywhere and in any order. Decisions are
made on a small picture taken straight from the decoder's planes; only kept frames are converted to RGB, measured and written, by a few
threads beside the decoder. A segment looks a little past its end, so that the shots across its border are found as if there were none.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from animeset_lib.errors import InputError
from animeset_lib.frames.choosers import (
    CHANGE_EDGES,
    AdaptiveChooser,
    Chooser,
    ChosenFrame,
    FpsChooser,
    KeyframeChooser,
    Seen,
    pack,
)
from animeset_lib.frames.shots import ShotDetector, small_color
from animeset_lib.frames.stills import StillWriter, write_still
from animeset_lib.media import FilmReader, KeyPoint, MovieFrame, clean_name, list_pictures, read_image
from animeset_lib.media.bars import BAR_SAMPLES, SceneBars, film_boxes
from animeset_lib.media.fields import Repair
from animeset_lib.media.pictures import PICTURE_STEP_MS
from animeset_lib.media.probe import EARLY_END, used_of_film
from animeset_lib.models.api import ModelProvider
from animeset_lib.records import UNREADABLE, Box, Film, Frame, Reason
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import ExtractSettings, FilmSettings
from animeset_lib.settings.ranges import Chapter, Interval, cut_out, interval_words

__all__ = ["ChangeHistogram", "ExtractNotes", "ExtractStage", "FrameCounts", "PictureGroup", "Segment", "ShotSpan"]

SEGMENT_MS = 90_000
"""Least length of a segment: what an interruption can cost, against the work done twice at each border."""
CONTEXT_MS = 1_500
"""How far a segment looks past its end; as long as the longest dissolve that is searched for."""
TRUSTED_MS = 1_000
"""How much of that is judged as well as if the film went on; from there the next segment's own findings count."""
PICTURES_PER_ITEM = 32


@dataclass(frozen=True)
class Segment:
    """Frames with `start.ms <= pts_ms < end_ms` (to the end when None); `boxes` are the pictures inside the bars by the frames' size."""

    id: str
    start: KeyPoint
    end_ms: int | None
    boxes: Mapping[tuple[int, int], Box]

    def box(self, size: tuple[int, int]) -> Box:
        return self.boxes.get(size) or Box(x0=0, y0=0, x1=size[0], y1=size[1])


@dataclass(frozen=True)
class PictureGroup:
    """Some pictures of a folder; `first` is the number of the first one."""

    id: str
    files: tuple[Path, ...]
    first: int


class ShotSpan(BaseModel):
    """One shot: times of its first and last frame."""

    model_config = ConfigDict(frozen=True)

    first_ms: int
    last_ms: int


class FrameCounts(BaseModel):
    """How many frames were decoded, looked at, kept as stills, and damaged."""

    model_config = ConfigDict(frozen=True)

    decoded: int
    considered: int
    kept: int
    damaged: int


class ChangeHistogram(BaseModel):
    """Frames by how much of the picture had changed since the last still: bin edges 0..1 and counts."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    frames: tuple[int, ...]


class ExtractNotes(Notes):
    """`film` with what decoding showed of it. A folder of pictures has no shots and no changes."""

    film: Film
    counts: FrameCounts
    shots: tuple[ShotSpan, ...] = ()
    shots_without_still: tuple[int, ...] = ()
    change_since_last_still: ChangeHistogram | None = None


@dataclass(frozen=True)
class ExtractStage(Stage[Segment | PictureGroup, Frame, ExtractNotes]):
    """`path` is the film or folder that `film` describes; only the film's id, never its place, enters the key."""

    settings: ExtractSettings
    film: Film
    path: Path
    reading: FilmSettings = field(default_factory=FilmSettings)

    name: ClassVar[str] = "1_extract"
    version: ClassVar[str] = "3"
    seconds_per_minute: ClassVar[float] = 6.0
    needs: ClassVar[tuple[StageType, ...]] = ()
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
        "repeat": Reason(
            "No newer picture", "Kein neueres Bild", "The film has no newer picture at this time than the still before."
        ),
    }
    batch: ClassVar[int] = 1

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        return {"film": self.film.id}

    # ------------------------------------------------------------------------------------------------------------ plan

    def plan(self, given: Given) -> Sequence[Segment | PictureGroup]:
        """Segments between keyframes, or groups of pictures. Seeks and decodes a few dozen keyframes for the black bars."""
        if self.film.kind == "pictures":
            files = list_pictures(self.path)
            starts = range(0, len(files), PICTURES_PER_ITEM)
            return [
                PictureGroup(self._item_id(i), tuple(files[s : s + PICTURES_PER_ITEM]), s) for i, s in enumerate(starts)
            ]
        with FilmReader(self.path, settings=self.reading) as reader:
            intervals = self._intervals(reader.contents.chapters)
            boxes = self._boxes(reader)
            return [
                Segment(self._item_id(i), start, end, boxes)
                for i, (start, end) in enumerate(pair for one in intervals for pair in self._segments(reader, *one))
            ]

    def _intervals(self, chapters: Sequence[Chapter]) -> list[Interval]:
        """The parts of the film that are used. Raises `InputError` where that is nothing."""
        used = used_of_film(self.settings, chapters, self.film.duration_ms, self.film.source_name)
        if not used:
            length = "" if self.film.duration_ms is None else f", which is {self.film.duration_ms / 1000:.1f} s long"
            raise InputError(
                f"extract.only = '{self.settings.only}' and extract.skip = '{self.settings.skip}' leave nothing of "
                f"{self.film.source_name}{length}; expected parts that lie in the film"
            )
        return used

    def _boxes(self, reader: FilmReader) -> dict[tuple[int, int], Box]:
        if self.settings.crop_box is not None:
            size = self.film.width, self.film.height
            return {size: _inside(self.settings.crop_box, size)}
        if not self.settings.crop_black_bars:
            return {}
        return film_boxes([(frame.size, frame.luma().copy()) for frame in reader.spread(BAR_SAMPLES)])

    def _segments(self, reader: FilmReader, start: int, end: int | None) -> Iterator[tuple[KeyPoint, int | None]]:
        """An interval in pieces that begin at keyframes."""
        points = [reader.key_point(start)]
        points += (p for p in reader.key_points(SEGMENT_MS, start, end))
        yield from zip(points, [*(point.ms for point in points[1:]), end], strict=True)

    def _item_id(self, index: int) -> str:
        return f"{self.film.id}-s{index:04d}"

    # --------------------------------------------------------------------------------------------------------- process

    def process(self, batch: Sequence[Segment | PictureGroup], out: Path, ctx: Context) -> Iterable[Frame]:
        for item in batch:
            if isinstance(item, PictureGroup):
                yield from self._copy_pictures(item, out, ctx)
            else:
                yield from self._extract(item, out, ctx)

    def _extract(self, segment: Segment, out: Path, ctx: Context) -> Iterator[Frame]:
        rows: list[Frame] = []
        repairs: Counter[Repair] = Counter()
        sizes: Counter[tuple[int, int]] = Counter()
        with FilmReader(self.path, ctx.threads, self.reading) as reader, StillWriter(out, ctx.threads) as writer:
            step_ms = 1000 / reader.fps if reader.fps else 40.0
            walk, bars = _Walk(segment, self.settings, step_ms, self.film.duration_ms), SceneBars()
            for choice in walk.choices(reader, ctx):
                if choice.repeat:
                    rows.append(self._repeated(choice, rows[-1]))
                    yield from writer.pass_on(rows[-1])
                else:
                    repairs[choice.frame.repair()] += 1
                    sizes[choice.frame.size] += 1
                    box = self._cut(choice.frame, segment, bars)
                    rows.append(self._row(choice, box))
                    yield from writer.write(rows[-1], partial(choice.frame.rgb, box))
            yield from writer.rest()
            report = walk.report(reader.damaged, kept=sum(row.dropped is None for row in rows))
        report |= {"woven": repairs["woven"], "deinterlaced": repairs["deinterlaced"], "sizes": [*sizes.items()]}
        (out / "segments").mkdir(exist_ok=True)
        (out / "segments" / f"{segment.id}.json").write_text(
            json.dumps(report, indent=1) + "\n", encoding="utf-8", newline="\n"
        )

    def _cut(self, frame: MovieFrame, segment: Segment, bars: SceneBars) -> Box:
        """The part of the frame that is written: without the film's bars, and without those of its scene."""
        box = segment.box(frame.size)
        if self.settings.crop_box is not None or not self.settings.crop_black_bars:
            return box
        return bars.cut(frame.luma(box), box)

    def _repeated(self, choice: ChosenFrame, before: Frame) -> Frame:
        return before.model_copy(
            update={
                "id": f"{self.film.id}-{choice.pts_ms:09d}",
                "pts_ms": choice.pts_ms,
                "dropped": "repeat",
                "why": f"the film has no newer picture at {choice.pts_ms} ms than {before.file}",
            }
        )

    def _row(self, choice: ChosenFrame, box: Box) -> Frame:
        x0, y0, x1, y1 = box.pixels()
        name = f"{self.film.id}-{choice.pts_ms:09d}"
        return Frame(
            id=name,
            pts_ms=choice.pts_ms,
            shot=0,
            file=f"{name}.{self.settings.image_format}",
            width=x1 - x0,
            height=y1 - y0,
            cause=choice.cause,
        )

    def _copy_pictures(self, group: PictureGroup, out: Path, ctx: Context) -> Iterator[Frame]:
        for number, file in enumerate(group.files, start=group.first):
            ctx.check_cancel()
            pts_ms = number * PICTURE_STEP_MS
            name = f"{self.film.id}-{pts_ms:09d}"
            still = f"{name}.{self.settings.image_format}"
            fields: dict[str, Any] = {
                "id": name,
                "pts_ms": pts_ms,
                "shot": number,
                "file": still,
                "cause": "picture",
                "source_file": clean_name(file.name),
            }
            try:
                picture = read_image(file)
            except InputError as problem:
                # the row needs a size; an unreadable picture has none of its own
                yield Frame(
                    width=self.film.width,
                    height=self.film.height,
                    dropped="unreadable",
                    why=_without_folder(problem, file),
                    **fields,
                )
                continue
            yield write_still(out, Frame(width=picture.shape[1], height=picture.shape[0], **fields), picture)

    # ---------------------------------------------------------------------------------------------------------- finish

    def finish(
        self, rows: Sequence[Frame], items: Sequence[Segment | PictureGroup], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[Frame], ExtractNotes]:
        if self.film.kind == "pictures":
            return self._finish_pictures(rows, ctx)
        reports = [json.loads((out / "segments" / f"{item.id}.json").read_text(encoding="utf-8")) for item in items]
        shots = _join_shots(reports)
        starts = [shot["first_ms"] for shot in shots]
        frames: list[Frame] = []
        for row in rows:
            shot = max(0, bisect_right(starts, row.pts_ms) - 1)
            cause = row.cause
            if self.settings.mode == "adaptive":
                # only now, with dissolves found and segments joined, is it certain where shots begin
                first = not frames or frames[-1].shot != shot
                cause = "shot" if first else "interval" if cause == "shot" else cause
            frames.append(row.model_copy(update={"shot": shot, "cause": cause}))
        damaged = sum(report["damaged"] for report in reports)
        losses = list(self._losses(reports, damaged))
        done = list(_what_was_done(reports))
        used = cut_out([(report["start_ms"], report["end_ms"]) for report in reports], [], None)
        if used != [(0, None)]:
            done.append(f"used of the film: {', '.join(map(interval_words, used))}")
        for note in (*self.film.notes, *done, *losses):
            level = logging.WARNING if note in losses or note.startswith(EARLY_END) else logging.INFO
            ctx.log.log(level, "1_extract: %s: %s", self.film.source_name, note)
        size = self.film.width, self.film.height
        box = next((item.boxes.get(size) for item in items if isinstance(item, Segment)), None)
        notes = ExtractNotes(
            film=self.film.model_copy(update={"content_box": box, "notes": (*self.film.notes, *done, *losses)}),
            counts=FrameCounts(**{name: sum(r[name] for r in reports) for name in FrameCounts.model_fields}),
            shots=tuple(ShotSpan(**shot) for shot in shots),
            shots_without_still=tuple(sorted(set(range(len(shots))) - {frame.shot for frame in frames})),
            change_since_last_still=ChangeHistogram(
                edges=tuple(CHANGE_EDGES), frames=tuple(np.sum([r["changes"] for r in reports], axis=0).tolist())
            ),
        )
        ctx.log.info(
            "1_extract: %d shots, %d stills of %d frames%s",
            len(shots),
            sum(r["kept"] for r in reports),
            sum(r["considered"] for r in reports),
            f", picture inside the bars {box.pixels()}" if box else "",
        )
        return frames, notes

    def _finish_pictures(self, rows: Sequence[Frame], ctx: Context) -> tuple[Sequence[Frame], ExtractNotes]:
        if self.settings.only or self.settings.skip:
            ctx.log.warning(
                "1_extract: extract.only and extract.skip are for films; pictures have no times, all are used"
            )
        unreadable = [row.why for row in rows if row.dropped]
        for why in unreadable:
            ctx.log.warning("1_extract: %s", why)
        kept = len(rows) - len(unreadable)
        counts = FrameCounts(decoded=len(rows), considered=len(rows), kept=kept, damaged=len(unreadable))
        return rows, ExtractNotes(film=self.film, counts=counts)

    def _losses(self, reports: Sequence[Mapping[str, Any]], damaged: int) -> Iterator[str]:
        last = max((r["last_ms"] for r in reports if r["last_ms"] is not None), default=None)
        length = self.film.duration_ms
        if (
            last is not None
            and length is not None
            and reports[-1]["end_ms"] is None
            and not any(note.startswith(EARLY_END) for note in self.film.notes)
            and length - last > max(1_000, length // 50)
        ):
            yield f"{EARLY_END}: pictures up to {last / 1000:.1f} s of {length / 1000:.1f} s could be decoded, the rest is missing or damaged"
        if damaged:
            yield f"{damaged} packets or frames are damaged and were left out"


class _Walk:
    """One pass over a segment: decodes, watches for shots and asks the mode's chooser."""

    def __init__(self, segment: Segment, settings: ExtractSettings, step_ms: float, length_ms: int | None) -> None:
        self._segment = segment
        self._length_ms = length_ms
        self._settings = settings
        self._keyframes = settings.mode == "keyframes"
        # keyframes lie seconds apart: each is judged against the one before alone
        self._detector = ShotDetector(settings.cut, float("inf") if self._keyframes else step_ms)
        self._step = Fraction(step_ms) / 1000
        self._times: list[int] = []
        self._own = self._decoded = 0
        self._chooser = self._make_chooser()

    def _make_chooser(self) -> Chooser:
        if self._settings.mode == "fps":
            return FpsChooser(self._detector, self._settings.fps, self._step)
        if self._keyframes:
            return KeyframeChooser(self._detector)
        return AdaptiveChooser(self._detector, self._settings, self._segment.boxes)

    def choices(self, reader: FilmReader, ctx: Context) -> Iterator[ChosenFrame]:
        segment = self._segment
        total = (segment.end_ms or self._length_ms or 0) - segment.start.ms
        for frame in reader.frames(segment.start, keyframes=self._keyframes):
            if segment.end_ms is not None and frame.pts_ms >= segment.end_ms + CONTEXT_MS:
                break
            self._decoded += 1
            if self._decoded % 64 == 0:
                ctx.check_cancel()
                ctx.progress(min(frame.pts_ms - segment.start.ms, total), max(total, 1))
            if frame.damaged:
                continue
            own = segment.end_ms is None or frame.pts_ms < segment.end_ms
            self._own += own
            self._times.append(frame.pts_ms)
            planes = frame.thumbnail(segment.boxes.get(frame.size))
            self._detector.add(small_color(*planes))
            yield from self._chooser.add(Seen(frame, pack(*planes), own))
        yield from self._chooser.end()

    def report(self, damaged: int, kept: int) -> dict[str, Any]:
        """What `finish` needs to join the segments. `cuts` are pairs: the last time of a shot and the first of the next."""
        end = self._segment.end_ms
        return {
            "start_ms": self._segment.start.ms,
            "end_ms": end,
            "trusted_ms": None if end is None else end + TRUSTED_MS,
            "first_ms": self._times[0] if self._own else None,
            "last_ms": self._times[self._own - 1] if self._own else None,
            "cuts": [[self._times[i - 1], self._times[i]] for i in self._detector.all_cuts()],
            "decoded": self._decoded,
            "considered": self._own,
            "kept": kept,
            "damaged": damaged,
            "changes": self._chooser.changes.tolist(),
        }


def _join_shots(reports: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
    """The film's shots, first and last frame time, from the segments' findings; around a border the earlier segment knows better. What was left
    out of the film between two segments ends a shot."""
    seen = [r for r in reports if r["first_ms"] is not None]
    if not seen:
        return []
    first, last, trusted = seen[0]["first_ms"], seen[-1]["last_ms"], -1
    cuts: list[tuple[int, int]] = []
    for report, following in zip(seen, [*seen[1:], None], strict=True):
        until = report["trusted_ms"]
        gap = following is not None and following["start_ms"] > report["end_ms"]
        if gap:
            until = report["end_ms"] - 1
        cuts += [
            (a, b) for a, b in report["cuts"] if b > trusted and (until is None or b <= until) and first < b <= last
        ]
        if gap and following is not None:
            cuts.append((report["last_ms"], following["first_ms"]))
            until = following["first_ms"]
        trusted = until if until is not None else trusted
    starts = [first, *(b for _, b in cuts)]
    ends = [*(a for a, _ in cuts), last]
    return [{"first_ms": a, "last_ms": b} for a, b in zip(starts, ends, strict=True)]


def _inside(box: Box, size: tuple[int, int]) -> Box:
    """Raises `InputError` for a part of a picture that does not lie in one of `size`."""
    if box.x1 > size[0] or box.y1 > size[1]:
        raise InputError(
            f"extract.crop = {':'.join(map(str, box.pixels()))} does not lie in the film's picture of {size[0]}x{size[1]}; "
            "expected left:top:right:bottom inside it"
        )
    return box


def _what_was_done(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    woven, deinterlaced = (sum(r[name] for r in reports) for name in ("woven", "deinterlaced"))
    if woven or deinterlaced:
        yield (
            f"interlaced: {woven + deinterlaced} stills were combed; {woven} were put together from the fields of neighbouring frames, "
            f"{deinterlaced} deinterlaced"
        )
    sizes = sorted({(width, height) for r in reports for (width, height), _ in r["sizes"]})
    if len(sizes) > 1:
        yield f"the picture's size changes: {', '.join(f'{width}x{height}' for width, height in sizes)}; each still keeps its own"


def _without_folder(problem: InputError, file: Path) -> str:
    """Rows hold no path of the machine they were made on."""
    return str(problem).replace(str(file), file.name)
