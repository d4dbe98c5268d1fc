"""What a film is and what will be done about it, before anything is: a table of facts and ten stills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from animeset_lib.errors import InputError
from animeset_lib.media.bars import BAR_SAMPLES, Lumas, SceneBars, film_boxes
from animeset_lib.media.colour import Colours, colours_of
from animeset_lib.media.combs import combing
from animeset_lib.media.fields import CERTAIN, Repair
from animeset_lib.media.movie_frame import odd_pixels, sensible_pixels
from animeset_lib.media.parts import missing_bytes, other_parts
from animeset_lib.media.pictures import PICTURE_STEP_MS, Picture, list_pictures, read_image
from animeset_lib.media.probe import early_end, open_film, probe, used_of_film
from animeset_lib.media.reader import FilmReader
from animeset_lib.media.tracks import Contents
from animeset_lib.records import Box, Film
from animeset_lib.settings import ExtractSettings, Settings
from animeset_lib.settings.ranges import Chapter, Interval, clock, interval_words

__all__ = ["Examination", "Fact", "Phrase", "examine"]

FactName = Literal[
    "file", "length", "parts", "picture", "rate", "fields", "colour", "bars", "video", "audio", "subtitle", "chapters"
]
FoundKey = Literal[
    "container",
    "pictures",
    "length",
    "no_length",
    "joined",
    "other_files",
    "cut_off",
    "early_end",
    "picture",
    "mostly",
    "steady",
    "unsteady",
    "no_times",
    "whole",
    "whole_but_flagged",
    "combed",
    "sdr_limited",
    "sdr_full",
    "hdr_limited",
    "hdr_full",
    "no_bars",
    "bars",
    "scenes",
    "bars_and_scenes",
    "list",
]
DoneKey = Literal[
    "follow",
    "used",
    "nothing_used",
    "give_or_join",
    "as_far",
    "own_size",
    "turn",
    "square",
    "no_shape",
    "own_times",
    "counted",
    "weave",
    "deinterlace",
    "weave_or_deinterlace",
    "combed_stay",
    "standard_range",
    "assumed",
    "crop",
    "cut",
    "keep_bars",
    "track_used",
    "not_in_pictures",
    "name_them",
]

STILLS = 10
_STILL_PX = 320
_PLACES = 24
"""Places of the film at which some frames in a row are looked at."""
_IN_A_ROW = 6
_FRAMES = _PLACES * _IN_A_ROW
"""As many in all, also where a short film has fewer places."""
_STEADY_MS = 2.1
"""By how much times that are rounded to whole ms may differ."""


@dataclass(frozen=True)
class Phrase:
    """A sentence by its key in the words of the page and the command line, with what goes into its places."""

    key: FoundKey | DoneKey
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fact:
    """`name` says what it is about (a key of the words, too); `done` what will be done about it, if anything."""

    name: FactName
    found: Phrase
    done: Phrase | None = None


@dataclass(frozen=True)
class Examination:
    """stills: times in ms and small pictures, `(h, w, 3)` uint8 RGB, in order; `used` the parts of the film that will be looked at."""

    facts: list[Fact]
    stills: list[tuple[int, Picture]]
    duration_ms: int | None
    chapters: list[Chapter]
    used: list[Interval]


def examine(path: Path, settings: Settings) -> Examination:
    """Looks at a film, or a folder of pictures, in some dozen places; seconds, whatever its length.

    Raises `InputError` for what is no film, and for parts of it (`extract.only`, `extract.skip`) that have no chapter.
    """
    if path.is_dir():
        return _examine_pictures(path, probe(path))
    with open_film(path, settings.film) as reader:
        held = reader.contents
        used = used_of_film(settings.extract, held.chapters, reader.duration_ms, path.name)
        rows = _rows(reader)
        bars, stills = _around(reader, settings.extract)
        facts = [
            Fact("file", Phrase("container", {"container": held.container, "mb": _mb(path.stat().st_size)})),
            _length(reader, used),
            *_parts(path, reader),
            _picture(reader, rows),
            _rate(reader, rows),
            _fields(rows),
            _colour(rows.colours),
            bars,
            *_tracks(held),
        ]
        return Examination(facts, stills, reader.duration_ms, held.chapters, used)


@dataclass(frozen=True)
class _Rows:
    """What neighbouring frames showed, a few in a row at each place."""

    repairs: Counter[Repair]
    combed: int
    flagged: int
    sizes: Counter[tuple[int, int]]
    steps_ms: list[float]
    colours: Colours

    @property
    def seen(self) -> int:
        return self.repairs.total()


def _rows(reader: FilmReader) -> _Rows:
    length = reader.duration_ms or 0
    points = [reader.key_point(0), *reader.key_points(max(1_000, length // _PLACES))][:_PLACES]
    repairs, sizes, steps_ms, flagged, combed = Counter[Repair](), Counter[tuple[int, int]](), list[float](), 0, 0
    colours = None
    for point in points:
        before = None
        for frame in islice(reader.frames(point), max(_IN_A_ROW, _FRAMES // len(points))):
            steps_ms += [] if before is None else [float(frame.time - before) * 1000]
            before = frame.time
            sizes[frame.size] += 1
            flagged += bool(frame.frame.interlaced_frame)
            colours = colours or colours_of(frame.frame)
            repairs[frame.repair()] += 1
            combed += combing(frame.luma()) >= CERTAIN
    return _Rows(repairs, combed, flagged, sizes, steps_ms, colours or Colours())


def _fields(rows: _Rows) -> Fact:
    woven, anew = rows.repairs["woven"], rows.repairs["deinterlaced"]
    mended = woven + anew
    if not mended and not rows.combed:
        return Fact("fields", Phrase("whole_but_flagged" if rows.flagged else "whole", {"seen": rows.seen}))
    found = Phrase("combed", {"combed": mended + rows.combed, "seen": rows.seen})
    if not mended:
        return Fact("fields", found, Phrase("combed_stay"))
    how: DoneKey = "weave" if woven > 4 * anew else "deinterlace" if anew > 4 * woven else "weave_or_deinterlace"
    return Fact("fields", found, Phrase(how))


def _picture(reader: FilmReader, rows: _Rows) -> Fact:
    found = Phrase(
        "picture", {"width": reader.width, "height": reader.height, "codec": reader.codec, "format": reader.pix_fmt}
    )
    if len(rows.sizes) > 1:
        return Fact(
            "picture", found, Phrase("own_size", {"sizes": ", ".join(f"{w}x{h}" for w, h in sorted(rows.sizes))})
        )
    shape = reader.pixel_shape
    if reader.turned:
        return Fact("picture", found, Phrase("turn"))
    if odd_pixels(shape):
        values = {"shape": f"{shape.numerator}:{shape.denominator}"}
        return Fact("picture", found, Phrase("square" if sensible_pixels(shape) else "no_shape", values))
    return Fact("picture", found)


def _rate(reader: FilmReader, rows: _Rows) -> Fact:
    values: dict[str, Any] = {"fps": f"{reader.fps or 0:.3f}".rstrip("0").rstrip(".")}
    if reader.without_times:
        return Fact("rate", Phrase("no_times", values), Phrase("counted"))
    if not rows.steps_ms or max(rows.steps_ms) - min(rows.steps_ms) <= _STEADY_MS:
        return Fact("rate", Phrase("steady", values))
    values |= {"least": round(min(rows.steps_ms)), "most": round(max(rows.steps_ms))}
    return Fact("rate", Phrase("unsteady", values), Phrase("own_times"))


def _colour(colours: Colours) -> Fact:
    values = {"matrix": colours.matrix, "hdr": colours.hdr}
    if colours.hdr:
        return Fact("colour", Phrase("hdr_full" if colours.full else "hdr_limited", values), Phrase("standard_range"))
    found = Phrase("sdr_full" if colours.full else "sdr_limited", values)
    return Fact("colour", found, Phrase("assumed") if colours.assumed else None)


def _around(reader: FilmReader, settings: ExtractSettings) -> tuple[Fact, list[tuple[int, Picture]]]:
    """The bars, and stills from everywhere in the film."""
    lumas, stills = [], []
    for frame in reader.spread(BAR_SAMPLES):
        lumas.append((frame.size, frame.luma().copy()))
        frame.repair()
        stills.append((frame.pts_ms, _small(frame.rgb())))
    chosen = [stills[number * len(stills) // STILLS] for number in range(min(STILLS, len(stills)))]
    return _bars(lumas, (reader.width, reader.height), settings), chosen


def _bars(lumas: Lumas, size: tuple[int, int], settings: ExtractSettings) -> Fact:
    boxes, scene = film_boxes(lumas), SceneBars()
    others = 0
    for of, luma in lumas:
        whole = Box(x0=0, y0=0, x1=of[0], y1=of[1])
        box = boxes.get(of, whole)
        fx, fy = luma.shape[1] / of[0], luma.shape[0] / of[1]
        x0, y0, x1, y1 = box.scaled(fx, fy).pixels()
        others += scene.cut(luma[y0:y1, x0:x1], box) != box
    values: dict[str, Any] = {"seen": len(lumas), "others": others}
    if size in boxes:
        x0, y0, x1, y1 = boxes[size].pixels()
        values |= {"width": x1 - x0, "height": y1 - y0}
    name: FoundKey = "no_bars"
    if size in boxes:
        name = "bars_and_scenes" if others else "bars"
    elif others:
        name = "scenes"
    found = Phrase(name, values)
    if settings.crop_box is not None:
        x0, y0, x1, y1 = settings.crop_box.pixels()
        return Fact("bars", found, Phrase("crop", {"width": x1 - x0, "height": y1 - y0}))
    if name == "no_bars":
        return Fact("bars", found)
    return Fact("bars", found, Phrase("cut" if settings.crop_black_bars else "keep_bars"))


def _length(reader: FilmReader, used: Sequence[Interval]) -> Fact:
    length = reader.duration_ms
    found = Phrase("length", {"length": clock(length)}) if length else Phrase("no_length")
    if reader.joined:
        found = Phrase("joined", {"length": clock(length or 0), "parts": reader.joined})
    if not used:
        return Fact("length", found, Phrase("nothing_used"))
    if list(used) != [(0, None)]:
        return Fact("length", found, Phrase("used", {"used": ", ".join(map(interval_words, used))}))
    return Fact("length", found, Phrase("follow") if reader.joined else None)


def _parts(path: Path, reader: FilmReader) -> Iterator[Fact]:
    if others := other_parts(path):
        yield Fact("parts", Phrase("other_files", {"files": others}), Phrase("give_or_join"))
    if cut_off := missing_bytes(path):
        there, whole = map(_mb, cut_off)
        yield Fact("parts", Phrase("cut_off", {"there": there, "whole": whole}), Phrase("as_far"))
    elif early := early_end(reader):
        yield Fact("parts", Phrase("early_end", {"last": clock(early[0]), "length": clock(early[1])}), Phrase("as_far"))


def _tracks(held: Contents) -> Iterator[Fact]:
    if held.video_tracks:
        done = Phrase("track_used", {"track": held.used}) if len(held.video_tracks) > 1 else None
        yield Fact("video", _list(held.video_tracks), done)
    if held.sound:
        yield Fact("audio", _list(held.sound), Phrase("not_in_pictures"))
    if held.subtitles:
        yield Fact("subtitle", _list(held.subtitles), Phrase("not_in_pictures"))
    if held.chapters:
        yield Fact("chapters", _list(f"{clock(one.start_ms)} {one.name}" for one in held.chapters), Phrase("name_them"))


def _list(words: Iterable[str]) -> Phrase:
    return Phrase("list", {"list": ", ".join(words)})


def _examine_pictures(path: Path, film: Film) -> Examination:
    files = list_pictures(path)
    facts = [
        Fact("file", Phrase("pictures", {"count": len(files)})),
        Fact("picture", Phrase("mostly", {"width": film.width, "height": film.height, "codec": film.codec})),
    ]
    stills = []
    for number in range(min(STILLS, len(files))):
        with suppress(InputError):
            at = number * len(files) // STILLS if len(files) > STILLS else number
            stills.append((at * PICTURE_STEP_MS, _small(read_image(files[at]))))
    return Examination(facts, stills, None, [], [])


def _small(picture: Picture) -> Picture:
    factor = _STILL_PX / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"
