"""The coverage of one character as a picture: outfits by framings, emotions, views, places, when in the film, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from PIL import Image, ImageDraw

from animeset_lib.dataset.card import clock
from animeset_lib.dataset.coverage import (
    NEVER_THIN,
    PARTS,
    THIN,
    Cell,
    Coverage,
    Gap,
    Value,
    aspect_words,
    value_words,
)
from animeset_lib.dataset.sheet import (
    BACKGROUND,
    CELL,
    GAP_PX,
    LABEL_PX,
    LINE_PX,
    MARGIN_PX,
    MUTED,
    TEXT,
    canvas,
    fit_tile,
    text_width,
    write,
)
from animeset_lib.media import Picture
from animeset_lib.pictures.framing import FRAMINGS
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = ["coverage_sheet"]

Color = tuple[int, int, int]

_IN_SET: Color = (98, 178, 255)
_LACKS: Color = (244, 178, 76)
_IN_FILM: Color = (84, 90, 102)
_SHOT: Color = (58, 62, 72)
_FAINT: Color = (112, 118, 128)

_CELL_WIDTH_PX, _CELL_HEIGHT_PX = 216, 150
_ROW_PX = _CELL_HEIGHT_PX + 5 + LINE_PX + GAP_PX
_OUTFIT_COLUMN_PX = 230
_OUTFITS_WITH_PICTURES = 8
"""Further outfits get a line with numbers: a glance does not take in more rows of pictures."""
_LISTS_PX = 740
_LIST_LABEL_PX = 150
_LIST_LINES = 3
"""Most lines per aspect in a list."""
_BETWEEN_PX = 48
_HEADING_PX = 24
_HEADING_LINE_PX = 40
_LEGEND_PX = 56
_GRID_PX = _OUTFIT_COLUMN_PX + len(FRAMINGS) * (_CELL_WIDTH_PX + GAP_PX) - GAP_PX
_WIDTH_PX = _GRID_PX + _BETWEEN_PX + _LISTS_PX
_BAR_COLUMNS = 3
_BAR_COLUMN_PX = (_WIDTH_PX - (_BAR_COLUMNS - 1) * _BETWEEN_PX) // _BAR_COLUMNS
_BAR_LABEL_PX = 170
_BAR_NUMBER_PX = 110
_BAR_LINE_PX = 27
_BAR_LINES = 8
"""Most values per aspect, beside those that are not known."""
_TIME_LINE_PX = 44
_TIME_PX = _HEADING_LINE_PX + _TIME_LINE_PX + 4 + LINE_PX + GAP_PX

_ASPECTS = ("emotion", "view", "background", "framing", "surroundings", "time_of_day")
_LISTS = (
    ("never_shown", "Never shown in a usable picture"),
    ("not_in_set", "In the film, not in the set"),
    ("thin", f"Fewer than {THIN} in the set"),
    ("not_measurable", "Not measurable with this tagger"),
)


@dataclass(frozen=True)
class _Bars:
    """The bars of one aspect: `more` known values have no room, `never` are usual ones that are not there."""

    aspect: str
    known: Sequence[Value]
    more: int
    never: Sequence[str]
    unknown: Value | None

    @property
    def height(self) -> int:
        lines = len(self.known) + len(self.never) + (self.unknown is not None) + bool(self.more)
        return _HEADING_LINE_PX + lines * _BAR_LINE_PX + 2 * GAP_PX


def coverage_sheet(coverage: Coverage, thumbnails: Mapping[str, Picture], title: str, subtitle: str) -> Picture:
    """One sheet, `(H, W, 3)` uint8 RGB, at most 2350 px wide. `thumbnails` are pictures of any size by candidate id; where one is not there, its
    place stays empty."""
    rows = [list(cells) for _, cells in groupby(coverage.cells, key=lambda cell: cell.outfit)]
    lists = [(heading, _paragraphs(getattr(coverage, name))) for name, heading in _LISTS if getattr(coverage, name)]
    bars = [_bars(coverage, name) for name in _ASPECTS if coverage.aspect(name).known]
    bar_rows = [bars[at : at + _BAR_COLUMNS] for at in range(0, len(bars), _BAR_COLUMNS)]
    upper_px = max(_grid_height(rows), _LEGEND_PX + sum(_list_height(paragraphs) for _, paragraphs in lists))
    bars_px = sum(max(one.height for one in row) for row in bar_rows)
    sheet, draw, top = canvas(_WIDTH_PX, upper_px + bars_px + _TIME_PX, title, subtitle)
    _draw_legend(draw, top + 6)
    _draw_grid(sheet, draw, top, rows, thumbnails)
    y = top + _LEGEND_PX
    for heading, paragraphs in lists:
        _draw_list(draw, y, heading, paragraphs)
        y += _list_height(paragraphs)
    y = top + upper_px
    for row in bar_rows:
        for column, one in enumerate(row):
            _draw_bars(draw, MARGIN_PX + column * (_BAR_COLUMN_PX + _BETWEEN_PX), y, one)
        y += max(one.height for one in row)
    _draw_time(draw, y, coverage)
    return np.asarray(sheet, np.uint8)


def _draw_legend(draw: ImageDraw.ImageDraw, y: int) -> None:
    x = MARGIN_PX + _GRID_PX + _BETWEEN_PX
    for color, words, width in (
        (_IN_SET, "in the set", 120),
        (_IN_FILM, "usable pictures in the film", 250),
        (_LACKS, f"fewer than {THIN} in the set", 250),
    ):
        draw.rectangle((x, y + 4, x + 13, y + 17), fill=color)
        write(draw, (x + 22, y), words, LABEL_PX, MUTED, width)
        x += 22 + width


def _grid_height(rows: Sequence[Sequence[Cell]]) -> int:
    pictured = min(len(rows), _OUTFITS_WITH_PICTURES)
    return _HEADING_LINE_PX + pictured * _ROW_PX + (len(rows) - pictured) * LINE_PX + 2 * GAP_PX


def _draw_grid(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    top: int,
    rows: Sequence[Sequence[Cell]],
    thumbnails: Mapping[str, Picture],
) -> None:
    if not rows:
        write(draw, (MARGIN_PX, top), "No usable picture", _HEADING_PX, TEXT, _GRID_PX)
        return
    for column, cell in enumerate(rows[0]):
        write(draw, (_column_x(column), top), value_words("framing", cell.framing), _HEADING_PX, TEXT, _CELL_WIDTH_PX)
    y = top + _HEADING_LINE_PX
    for number, row in enumerate(rows):
        name = "outfit not known" if row[0].outfit == UNKNOWN else value_words("outfit", row[0].outfit)
        total = f"{sum(cell.set for cell in row)} of {sum(cell.film for cell in row)}"
        room = _OUTFIT_COLUMN_PX - 2 * GAP_PX
        if number < _OUTFITS_WITH_PICTURES:
            write(draw, (MARGIN_PX, y + 4), name, 21, TEXT, room)
            write(draw, (MARGIN_PX, y + 34), total, LABEL_PX, MUTED, room)
            for column, cell in enumerate(row):
                _draw_cell(sheet, draw, _column_x(column), y, cell, thumbnails)
            y += _ROW_PX
        else:
            write(draw, (MARGIN_PX, y), name, LABEL_PX, TEXT, room)
            for column, cell in enumerate(row):
                words, color = _numbers(cell.set, cell.film) if cell.film else ("never", _FAINT)
                write(draw, (_column_x(column), y), words, LABEL_PX, color, _CELL_WIDTH_PX)
            y += LINE_PX


def _draw_cell(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, x: int, y: int, cell: Cell, thumbnails: Mapping[str, Picture]
) -> None:
    corners = (x, y, x + _CELL_WIDTH_PX - 1, y + _CELL_HEIGHT_PX - 1)
    if not cell.film:
        draw.rectangle(corners, outline=CELL, width=2)
        _in_middle(draw, corners, "none usable", _FAINT)
        return
    draw.rectangle(corners, fill=CELL)
    thumbnail = thumbnails.get(cell.example or "")
    if thumbnail is not None:
        fitted = fit_tile(thumbnail, _CELL_WIDTH_PX, _CELL_HEIGHT_PX)
        if not cell.set:  # what could be there is shown, but not as if it were
            fitted = (fitted * 0.35).astype(np.uint8)
        height, width = fitted.shape[:2]
        sheet.paste(Image.fromarray(fitted), (x + (_CELL_WIDTH_PX - width) // 2, y + (_CELL_HEIGHT_PX - height) // 2))
    if not cell.set:
        draw.rectangle(corners, outline=_LACKS, width=2)
        _in_middle(draw, corners, "not in the set", _LACKS)
    words, color = _numbers(cell.set, cell.film)
    write(draw, (x, y + _CELL_HEIGHT_PX + 5), words, LABEL_PX, color, _CELL_WIDTH_PX)


def _list_height(paragraphs: Sequence[tuple[str, Sequence[str]]]) -> int:
    return _HEADING_LINE_PX + sum(len(lines) for _, lines in paragraphs) * LINE_PX + 2 * GAP_PX


def _paragraphs(gaps: Sequence[Gap]) -> list[tuple[str, list[str]]]:
    """The gaps, aspect by aspect: its name, and the values in as many lines as they need. Gaps that are whole aspects make one paragraph."""
    found = []
    for aspect, group in groupby(gaps, key=lambda gap: gap.aspect if gap.value else ""):
        found.append((aspect_words(aspect), _wrapped([_short(gap) for gap in group], _LISTS_PX - _LIST_LABEL_PX)))
    return found


def _short(gap: Gap) -> str:
    if not gap.value:
        return aspect_words(gap.aspect) + (f" (known of {gap.film})" if gap.film else "")
    words = value_words(gap.aspect, gap.value)
    return f"{words} ({gap.set} of {gap.film})" if gap.film else words


def _wrapped(items: Sequence[str], room: int) -> list[str]:
    """The items with commas between them, in lines of at most `room` pixels where no item is longer; what comes after `_LIST_LINES` is counted."""
    lines: list[str] = []
    for number, item in enumerate(items):
        comma = "," if number < len(items) - 1 else ""
        if lines and text_width(f"{lines[-1]} {item}{comma}", LABEL_PX) <= room:
            lines[-1] = f"{lines[-1]} {item}{comma}"
        elif len(lines) == _LIST_LINES:
            lines[-1] = f"{lines[-1]} and {len(items) - number} more"
            break
        else:
            lines.append(f"{item}{comma}")
    return lines


def _draw_list(
    draw: ImageDraw.ImageDraw, y: int, heading: str, paragraphs: Sequence[tuple[str, Sequence[str]]]
) -> None:
    left = MARGIN_PX + _GRID_PX + _BETWEEN_PX
    write(draw, (left, y), heading, _HEADING_PX, TEXT, _LISTS_PX)
    y += _HEADING_LINE_PX
    for name, lines in paragraphs:
        write(draw, (left, y), name, LABEL_PX, MUTED, _LIST_LABEL_PX - GAP_PX)
        x = left + (_LIST_LABEL_PX if name else 0)
        for line in lines:
            write(draw, (x, y), line, LABEL_PX, TEXT, MARGIN_PX + _WIDTH_PX - x)
            y += LINE_PX


def _bars(coverage: Coverage, name: str) -> _Bars:
    """What one aspect shows: its commonest known values, the usual ones that are never shown, and those that are not known."""
    aspect = coverage.aspect(name)
    known = [value for value in aspect.values if value.name != UNKNOWN]
    never = [value_words(gap.aspect, gap.value) for gap in coverage.never_shown if gap.aspect == name]
    unknown = next((value for value in aspect.values if value.name == UNKNOWN), None)
    return _Bars(name, known[:_BAR_LINES], len(known[_BAR_LINES:]), never, unknown)


def _draw_bars(draw: ImageDraw.ImageDraw, x: int, y: int, bars: _Bars) -> None:
    """One bar per value: all usable pictures of the film, and over them those of the set."""
    write(draw, (x, y), aspect_words(bars.aspect), _HEADING_PX, TEXT, _BAR_COLUMN_PX)
    y += _HEADING_LINE_PX
    left, room = x + _BAR_LABEL_PX, _BAR_COLUMN_PX - _BAR_LABEL_PX - _BAR_NUMBER_PX
    rows = [*bars.known, *([bars.unknown] if bars.unknown else [])]
    most = max(value.film for value in rows)
    for value in rows:
        faint = value is bars.unknown
        write(
            draw,
            (x, y),
            value_words(bars.aspect, value.name),
            LABEL_PX,
            _FAINT if faint else TEXT,
            _BAR_LABEL_PX - GAP_PX,
        )
        for count, color in ((value.film, _IN_FILM), (value.set, _FAINT if faint else _IN_SET)):
            if count:
                draw.rectangle((left, y + 3, left + max(2, round(count / most * room)), y + 17), fill=color)
        words, color = _numbers(value.set, value.film, 1 if bars.aspect in NEVER_THIN else THIN)
        number = left + round(value.film / most * room) + GAP_PX
        write(draw, (number, y), words, LABEL_PX, _FAINT if faint else color, _BAR_NUMBER_PX - GAP_PX)
        y += _BAR_LINE_PX
    for name in bars.never:
        write(draw, (x, y), name, LABEL_PX, _FAINT, _BAR_LABEL_PX - GAP_PX)
        write(draw, (left, y), "none usable", LABEL_PX, _FAINT, room)
        y += _BAR_LINE_PX
    if bars.more:
        write(draw, (x, y), f"and {bars.more} more", LABEL_PX, _FAINT, _BAR_COLUMN_PX)


def _draw_time(draw: ImageDraw.ImageDraw, y: int, coverage: Coverage) -> None:
    """The film from left to right: its shots with usable pictures, a tick per picture, numbers per part."""
    shots = coverage.aspect("shot").values
    write(draw, (MARGIN_PX, y), "time", _HEADING_PX, TEXT, _OUTFIT_COLUMN_PX)
    words = (
        f"shots: {sum(1 for shot in shots if shot.set)} in the set, {len(shots)} with usable pictures, "
        f"{coverage.film_shots} in the film"
    )
    write(draw, (MARGIN_PX + _BAR_LABEL_PX, y + 5), words, LABEL_PX, MUTED, _WIDTH_PX - _BAR_LABEL_PX)
    y += _HEADING_LINE_PX
    first, last = coverage.span_ms

    def at(pts_ms: int) -> int:
        inside = min(1.0, max(0.0, (pts_ms - first) / max(1, last - first)))
        return MARGIN_PX + round(inside * (_WIDTH_PX - 3))

    bottom = y + _TIME_LINE_PX
    draw.rectangle((MARGIN_PX, y, MARGIN_PX + _WIDTH_PX - 1, bottom), fill=CELL)
    for begin, end in coverage.shots_ms:
        draw.rectangle((at(begin), y, at(end), bottom), fill=_SHOT)
    # The chosen ones last, so that none is hidden by one that was not chosen.
    for pts_ms, chosen in sorted(coverage.moments, key=itemgetter(1)):
        x, high = at(pts_ms), 0 if chosen else _TIME_LINE_PX // 2
        draw.rectangle((x, y + high, x + 2, bottom), fill=_IN_SET if chosen else _FAINT)
    for number, value in enumerate(coverage.aspect("part").values):
        x = MARGIN_PX + round(number / PARTS * _WIDTH_PX)
        draw.line((x, y, x, bottom + LINE_PX), fill=MUTED)
        words, color = _numbers(value.set, value.film, 1) if value.film else ("none usable", _FAINT)
        write(draw, (x + 6, bottom + 4), clock(first + (last - first) * number // PARTS), LABEL_PX, MUTED, 90)
        write(draw, (x + 96, bottom + 4), words, LABEL_PX, color, 150)


def _numbers(in_set: int, in_film: int, least: int = THIN) -> tuple[str, Color]:
    return f"{in_set} of {in_film}", TEXT if in_set >= least else _LACKS


def _column_x(column: int) -> int:
    return MARGIN_PX + _OUTFIT_COLUMN_PX + column * (_CELL_WIDTH_PX + GAP_PX)


def _in_middle(draw: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], words: str, color: Color) -> None:
    """Writes on a dark band, for there may be a picture below."""
    left, top, right, bottom = corners
    width = round(text_width(words, LABEL_PX))
    x, y = (left + right - width) // 2, (top + bottom) // 2
    draw.rectangle((x - 8, y - 15, x + width + 8, y + 15), fill=BACKGROUND)
    write(draw, (x, y - 11), words, LABEL_PX, color, right - left)
