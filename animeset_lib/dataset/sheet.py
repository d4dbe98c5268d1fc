"""Contact sheets: pictures in a labelled grid, to be looked at before anything is trained."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from animeset_lib.media import Picture
from animeset_lib.words.spelling import romanized

__all__ = [
    "BACKGROUND",
    "CELL",
    "GAP_PX",
    "LABEL_PX",
    "LINE_PX",
    "MARGIN_PX",
    "MUTED",
    "ROW_TILES",
    "TEXT",
    "TILE_PX",
    "Section",
    "SheetRow",
    "Tile",
    "canvas",
    "fit_tile",
    "grid_sheet",
    "row_sheet",
    "section_sheet",
    "text_width",
    "write",
]

TILE_PX = 216
ROW_TILES = 8
"""Pictures per row of a `row_sheet`."""

GAP_PX = 14
MARGIN_PX = 32
_MAX_COLUMNS = 10  # 10 tiles, gaps and margins make 2350 px: still opened at full size everywhere
_MIN_COLUMNS = 4  # narrower, and the heading does not fit
LABEL_PX = 17
LINE_PX = 23
_NAME_COLUMN_PX = 300
_TITLE_PX = 40
_SUBTITLE_PX = 21
BACKGROUND = (24, 26, 31)
CELL = (36, 39, 46)
TEXT = (236, 238, 242)
MUTED = (158, 164, 174)

# The font in Pillow is always there and knows plain Latin only. These, by what systems call them, know more.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "NotoSansJP-Regular.ttf",
    "ipag.ttf",
    "TakaoPGothic.ttf",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "Hiragino Sans GB.ttc",
    "YuGothM.ttc",
    "meiryo.ttc",
    "msgothic.ttc",
    "malgun.ttf",
    "msyh.ttc",
    "arial.ttf",
)


@dataclass(frozen=True)
class Tile:
    """One picture with the lines below it; lines that are too long are cut."""

    picture: Picture
    lines: tuple[str, ...]


@dataclass(frozen=True)
class SheetRow:
    """One name with what is said below it, and its first pictures."""

    name: str
    lines: tuple[str, ...]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Section:
    """A heading with one line below it, and all its pictures."""

    name: str
    line: str
    pictures: Sequence[Picture]


def fit_tile(picture: Picture, most_width: int = TILE_PX, most_height: int = TILE_PX) -> Picture:
    """The picture made to fit into a tile, aspect kept; smaller ones are enlarged."""
    height, width = picture.shape[:2]
    factor = min(most_width / width, most_height / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def grid_sheet(title: str, subtitle: str, tiles: Sequence[Tile]) -> Picture:
    """All tiles in reading order under a heading, at most 2350 px wide."""
    columns = min(_MAX_COLUMNS, max(_MIN_COLUMNS, math.ceil(math.sqrt(len(tiles) * 1.6))))
    fitted = [fit_tile(tile.picture) for tile in tiles]
    # Whole frames are all wide: cells no higher than the highest picture.
    picture_height = max((picture.shape[0] for picture in fitted), default=0)
    lines = max((len(tile.lines) for tile in tiles), default=0)
    cell_height = picture_height + 6 + lines * LINE_PX + GAP_PX
    rows = math.ceil(len(tiles) / columns)
    sheet, draw, top = canvas(columns * (TILE_PX + GAP_PX) - GAP_PX, rows * cell_height, title, subtitle)
    for index, (tile, picture) in enumerate(zip(tiles, fitted, strict=True)):
        row, column = divmod(index, columns)
        x, y = MARGIN_PX + column * (TILE_PX + GAP_PX), top + row * cell_height
        _paste(sheet, draw, picture, x, y, picture_height)
        for number, line in enumerate(tile.lines):
            color = TEXT if number == 0 else MUTED
            write(draw, (x, y + picture_height + 6 + number * LINE_PX), line, LABEL_PX, color, TILE_PX)
    return np.asarray(sheet, np.uint8)


def row_sheet(title: str, subtitle: str, rows: Sequence[SheetRow]) -> Picture:
    """One row per name: the name and its lines at the left, up to `ROW_TILES` pictures beside it."""
    row_height = TILE_PX + GAP_PX
    width = _NAME_COLUMN_PX + ROW_TILES * (TILE_PX + GAP_PX) - GAP_PX
    sheet, draw, top = canvas(width, len(rows) * row_height, title, subtitle)
    room = _NAME_COLUMN_PX - 2 * GAP_PX
    for index, row in enumerate(rows):
        y = top + index * row_height
        write(draw, (MARGIN_PX, y + 8), row.name, 26, TEXT, room)
        for number, line in enumerate(row.lines):
            write(draw, (MARGIN_PX, y + 48 + number * LINE_PX), line, LABEL_PX, MUTED, room)
        for column, picture in enumerate(row.pictures[:ROW_TILES]):
            x = MARGIN_PX + _NAME_COLUMN_PX + column * (TILE_PX + GAP_PX)
            _paste(sheet, draw, fit_tile(picture), x, y, TILE_PX)
    return np.asarray(sheet, np.uint8)


def section_sheet(title: str, subtitle: str, sections: Sequence[Section]) -> Picture:
    """One section after the other, each with its heading above all its pictures, `ROW_TILES` beside each other."""
    heading = 34 + LINE_PX + 10
    row_height = TILE_PX + GAP_PX
    heights = [heading + math.ceil(len(section.pictures) / ROW_TILES) * row_height + GAP_PX for section in sections]
    width = ROW_TILES * (TILE_PX + GAP_PX) - GAP_PX
    sheet, draw, top = canvas(width, sum(heights), title, subtitle)
    for section, height in zip(sections, heights, strict=True):
        write(draw, (MARGIN_PX, top), section.name, 26, TEXT, width)
        write(draw, (MARGIN_PX, top + 34), section.line, LABEL_PX, MUTED, width)
        for index, picture in enumerate(section.pictures):
            row, column = divmod(index, ROW_TILES)
            x, y = MARGIN_PX + column * (TILE_PX + GAP_PX), top + heading + row * row_height
            _paste(sheet, draw, fit_tile(picture), x, y, TILE_PX)
        top += height
    return np.asarray(sheet, np.uint8)


def canvas(width: int, height: int, title: str, subtitle: str) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """An empty sheet for content of that size with the heading written on it, and the y where the content begins."""
    top = MARGIN_PX + 56 + 28 + 26
    sheet = Image.new("RGB", (width + 2 * MARGIN_PX, top + height + MARGIN_PX - GAP_PX), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    write(draw, (MARGIN_PX, MARGIN_PX), title, _TITLE_PX, TEXT, width)
    write(draw, (MARGIN_PX, MARGIN_PX + 56), subtitle, _SUBTITLE_PX, MUTED, width)
    return sheet, draw, top


def _paste(sheet: Image.Image, draw: ImageDraw.ImageDraw, fitted: Picture, x: int, y: int, cell_height: int) -> None:
    """A picture in the middle of its cell of `TILE_PX` x `cell_height`."""
    draw.rectangle((x, y, x + TILE_PX - 1, y + cell_height - 1), fill=CELL)
    height, width = fitted.shape[:2]
    sheet.paste(Image.fromarray(fitted), (x + (TILE_PX - width) // 2, y + (cell_height - height) // 2))


def write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, color: tuple[int, int, int], room: int
) -> None:
    """`text` at `place`, cut with an ellipsis to `room` pixels, in the first font that knows all its characters."""
    font, shown = _font_for(unicodedata.normalize("NFC", text), size)
    if font.getlength(shown) > room:
        while shown and font.getlength(shown + "...") > room:
            shown = shown[:-1]
        shown = shown.rstrip() + "..."
    draw.text(place, shown, font=font, fill=color)


def text_width(text: str, size: int) -> float:
    """How many pixels wide `write` makes a text that it does not cut."""
    font, shown = _font_for(unicodedata.normalize("NFC", text), size)
    return font.getlength(shown)


def _font_for(text: str, size: int) -> tuple[ImageFont.FreeTypeFont, str]:
    """A font and the text as that font can show it."""
    plain = _pillow_font(size)
    if not _unknown(plain, text):
        return plain, text
    best, fewest = plain, len(_unknown(plain, text))
    for name in _SYSTEM_FONTS:
        font = _system_font(name, size)
        if font is not None and len(_unknown(font, text)) < fewest:
            best, fewest = font, len(_unknown(font, text))
    return best, "".join(_replacement(best, char) if char in _unknown(best, text) else char for char in text)


def _replacement(font: ImageFont.FreeTypeFont, char: str) -> str:
    """What stands for a character that no font has: it in Latin letters, else its code point in brackets, never an empty box."""
    plain = romanized(char)
    return plain if plain and not _unknown(font, plain) else f"[{ord(char):04X}]"


def _unknown(font: ImageFont.FreeTypeFont, text: str) -> set[str]:
    """The characters of `text` that `font` would show as its box for missing ones."""
    return {char for char in set(text) if not char.isspace() and not _knows(font, char)}


@lru_cache(maxsize=4096)
def _knows(font: ImageFont.FreeTypeFont, char: str) -> bool:
    missing = font.getmask("\U0010ffff")  # a code point that is never a character
    mask = font.getmask(char)
    return bool(mask.size != missing.size or bytes(mask) != bytes(missing))


@lru_cache(maxsize=8)
def _pillow_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@lru_cache(maxsize=64)
def _system_font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None
