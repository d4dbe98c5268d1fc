"""Cutting, mirroring, stitching and putting colours back."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.upscalers.lanczos import Lanczos
from animeset_lib.models.upscalers.tiling import (
    Tile,
    check_factor,
    enlarge,
    put_colours_back,
    tiles,
    to_picture,
    window,
)
from tests.models.drawn import apart, drawing, noise, scene, upscaler_parts


@settings(deadline=None)  # other work on the machine decides how long one takes
@given(width=st.integers(1, 1200), height=st.integers(1, 1200), side=st.integers(7, 700), step=st.integers(1, 40))
def test_tiles_cover_each_pixel_once(width: int, height: int, side: int, step: int) -> None:
    cut = tiles(width, height, side, step)
    most = max(side, step)
    assert all(0 < t.x1 - t.x0 <= most and 0 < t.y1 - t.y0 <= most for t in cut)
    assert all(t.x0 % step == t.y0 % step == 0 for t in cut)
    covered = np.zeros((height, width), np.uint8)
    for tile in cut:
        covered[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert covered.min() == covered.max() == 1


def test_as_few_tiles_as_possible_and_nearly_equal() -> None:
    assert [(t.x0, t.x1) for t in tiles(100, 5, 34)] == [(0, 33), (33, 66), (66, 100)]
    assert [(t.y0, t.y1) for t in tiles(5, 100, 40, step=16)] == [(0, 16), (16, 48), (48, 80), (80, 100)]
    assert tiles(7, 9, 9) == [Tile(0, 0, 7, 9)]


def test_window_mirrors_with_the_edge_repeated() -> None:
    row = np.arange(3, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    assert window(row, -4, 0, 11, 1)[0, :, 0].tolist() == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]
    picture = noise(5, 7)
    padded = np.pad(picture, ((23, 23), (23, 23), (0, 0)), mode="symmetric")
    assert np.array_equal(window(picture, -23, -23, 53, 51), padded)
    assert np.array_equal(window(picture, 2, 1, 3, 2), picture[1:3, 2:5])


def _blurred(seen: Picture) -> Picture:
    """Twice as large; each pixel is the mean of 5 x 5: sees 2 px around, and black beyond, as a network does."""
    padded = np.pad(seen.astype(np.float32), ((2, 2), (2, 2), (0, 0)))
    height, width = seen.shape[:2]
    total = sum(padded[y : y + height, x : x + width] for y in range(5) for x in range(5))
    return np.asarray(total / 25, np.uint8).repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("side", [3, 7, 100])
def test_stitched_tiles_equal_the_whole_with_its_mirrored_surroundings(side: int, at_once: int) -> None:
    picture = noise(17, 23)
    large = enlarge(picture, 2, tiles(23, 17, side), 2, _blurred, at_once=at_once)
    whole = _blurred(window(picture, -2, -2, 27, 21))[4:-4, 4:-4]
    assert np.array_equal(large, whole)
    seams = enlarge(picture, 2, tiles(23, 17, 7), 1, _blurred)
    assert not np.array_equal(seams, whole), "a margin that is too small shows, so the test above can fail"


def test_what_a_network_needs_more_is_added_and_taken_away() -> None:
    seen: list[tuple[int, ...]] = []

    def network(picture: Picture) -> Picture:
        seen.append(picture.shape)
        return _blurred(picture)

    picture = noise(5, 9)
    fit = lambda width, height: (-(-width // 8) * 8, max(40, height))  # noqa: E731
    large = enlarge(picture, 2, tiles(9, 5, 9), 2, network, fit=fit)
    assert seen == [(40, 16, 3)]
    assert np.array_equal(large, enlarge(picture, 2, tiles(9, 5, 9), 2, _blurred))


def test_an_error_of_one_tile_is_the_answer_and_one_tile_at_a_time_stays_in_this_thread() -> None:
    threads = set()

    def network(picture: Picture) -> Picture:
        threads.add(threading.current_thread())
        return picture

    picture = np.full((4, 4, 3), 10, np.uint8)
    enlarge(picture, 1, tiles(4, 4, 2), 0, network)
    assert threads == {threading.current_thread()}

    def failing(picture: Picture) -> Picture:
        raise ModelError("no")

    for at_once in (1, 2):
        with pytest.raises(ModelError, match="no"):
            enlarge(picture, 1, tiles(4, 4, 2), 0, failing, at_once=at_once)


def test_values_become_pixels_rounded_and_clipped() -> None:
    assert to_picture(np.array([-0.1, 0, 0.5, 0.7 / 255, 1, 2], np.float32)).tolist() == [0, 0, 128, 1, 255, 255]


def test_a_colour_cast_goes_and_lines_stay() -> None:
    picture = scene(60, 80)
    large = picture.repeat(2, 0).repeat(2, 1)
    untouched = large.copy()
    put_colours_back(untouched, picture)
    assert apart(untouched, large) <= 1
    shifted = drawing(64).repeat(2, 0).repeat(2, 1) + np.array([-12, 8, 5])
    cast = shifted.clip(0, 255).astype(np.uint8)
    put_colours_back(cast, drawing(64))
    assert np.abs(cast.mean((0, 1)) - drawing(64).mean((0, 1))).max() < 0.5


def test_an_unknown_factor_names_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"x enlarges by \(2, 3\), not by 4"):
        check_factor("x", (2, 3), 4)
    with pytest.raises(ModelError, match=r"tested enlarges by \(2, 3, 4\), not by 1"):
        Lanczos(upscaler_parts()).upscale(noise(3, 3), 1)
    assert Lanczos(upscaler_parts()).upscale(np.full((2, 3, 3), 77, np.uint8), 3).tolist() == [[[77] * 3] * 9] * 6
