"""Contact sheets: sizes, places, labels that no font lacks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from animeset_lib.dataset import sheet
from animeset_lib.dataset.sheet import ROW_TILES, TILE_PX, SheetRow, Tile, fit_tile, grid_sheet, row_sheet

RED = np.full((40, 20, 3), (250, 0, 0), np.uint8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((400, 200), (216, 108)), ((10, 20), (108, 216)), ((1, 900), (1, 216)), ((216, 216), (216, 216))],
)
def test_tiles_keep_their_aspect(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit_tile(np.zeros((*shape, 3), np.uint8)).shape == (*expected, 3)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 34, 100, 200])
def test_grid_has_room_for_every_tile(count: int) -> None:
    picture = grid_sheet("Name", "what", [Tile(RED, (f"{i:04d}", "label")) for i in range(count)])
    assert picture.dtype == np.uint8
    assert picture.shape[1] <= 2400
    red = (picture == (250, 0, 0)).all(axis=2)
    assert red.sum() == count * TILE_PX * TILE_PX // 2
    # Every picture stands clear of the border.
    assert not red[:32].any()
    assert not red[:, :32].any()
    assert not red[-32:].any()
    assert not red[:, -32:].any()


def test_rows_hold_the_first_pictures_of_each_name() -> None:
    picture = row_sheet("Film", "two", [SheetRow("rem", ("30 pictures",), [RED] * 20), SheetRow("ram", (), [RED] * 3)])
    red = (picture == (250, 0, 0)).all(axis=2)
    assert red.sum() == (ROW_TILES + 3) * TILE_PX * TILE_PX // 2
    assert picture.shape[1] <= 2400


def test_equal_input_equal_pixels() -> None:
    tiles = [Tile(RED, ("Frau Müller – レム",))] * 3
    assert np.array_equal(grid_sheet("レム", "x", tiles), grid_sheet("レム", "x", tiles))


def test_labels_never_show_the_box_for_missing_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_SYSTEM_FONTS", ())
    for text, shown in (("rem", "rem"), ("Müller", "Muller"), ("レム", "remu"), ("愛", "[611B]"), ("a – b", "a - b")):
        font, written = sheet._font_for(text, 18)
        if text == "a – b":
            assert not sheet._unknown(font, written)
        else:
            assert written == shown


def test_a_system_font_is_asked_when_it_knows_more() -> None:
    font, written = sheet._font_for("Müller", 18)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert not sheet._unknown(font, written)


def test_long_labels_stay_in_their_column() -> None:
    picture = grid_sheet("x" * 500, "y" * 500, [Tile(RED, ("w" * 300,))] * 2)
    background = picture[0, 0]
    assert (picture[:, -32:] == background).all()
    # Between the two tiles' labels nothing is written.
    assert (picture[:, 32 + TILE_PX : 32 + TILE_PX + 14][-40:] == background).all()
