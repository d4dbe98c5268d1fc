"""Enlarging a picture piece by piece and giving it its colours back: what all network upscalers share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture

__all__ = ["Tile", "check_factor", "enlarge", "put_colours_back", "tiles", "to_picture", "window"]

_COLOUR_SIGMA_PX = 3.0  # in original px: wider than any line, so that lines stay the network's


@dataclass(frozen=True)
class Tile:
    """Own pixels `x0..x1`, `y0..y1` (half-open) of the picture."""

    x0: int
    y0: int
    x1: int
    y1: int


def check_factor(name: str, factors: Sequence[int], factor: int) -> None:
    """Raises `ModelError` for a factor that the upscaler `name` does not have."""
    if factor not in factors:
        raise ModelError(f"{name} enlarges by {tuple(factors)}, not by {factor}: choose one of these")


def tiles(width: int, height: int, side: int, step: int = 1) -> list[Tile]:
    """The picture cut into as few tiles of at most `side` px as possible, nearly equal, row by row; each pixel is in exactly one.

    step   Tiles begin at multiples of it: networks that work on blocks of pixels then see the same blocks in every cut. `side` is at least one step.
    """

    def cuts(length: int) -> list[int]:
        steps = -(-length // step)
        count = -(-steps // max(1, side // step))
        return [min(length, steps * i // count * step) for i in range(count + 1)]

    xs, ys = cuts(width), cuts(height)
    return [Tile(x0, y0, x1, y1) for y0, y1 in itertools.pairwise(ys) for x0, x1 in itertools.pairwise(xs)]


def window(picture: Picture, x0: int, y0: int, width: int, height: int) -> Picture:
    """`(height, width, 3)` px from column `x0`, row `y0` on; beyond its borders, however far, the picture is mirrored with the edge repeated.

    Mirrored, not black: networks pad with zeros by themselves and would darken the edge.
    """

    def places(start: int, count: int, length: int) -> npt.NDArray[np.intp]:
        place = np.arange(start, start + count) % (2 * length)
        return np.minimum(place, 2 * length - 1 - place)

    return picture[np.ix_(places(y0, height, picture.shape[0]), places(x0, width, picture.shape[1]))]


def enlarge(
    picture: Picture,
    factor: int,
    cut: Sequence[Tile],
    margin: int,
    network: Callable[[Picture], Picture],
    *,
    at_once: int = 1,
    fit: Callable[[int, int], tuple[int, int]] = lambda width, height: (width, height),
    margin_left: int | None = None,
) -> Picture:
    """`(H, W, 3)` → `(H * factor, W * factor, 3)`, each tile enlarged by `network` from what it sees, `margin` px more on all sides.

    network  `(h, w, 3)` → `(h * factor, w * factor, 3)`, uint8 RGB. Its errors are passed on; tiles that were not begun are left.
    at_once  tiles in as many threads.
    fit      (width, height) → the least size from there up that the network takes. What is added, at the right and below, is mirrored too.
    margin_left  px of the margin that the network's answers still have; None: all of it.
    """
    height, width = picture.shape[:2]
    large = np.empty((height * factor, width * factor, 3), np.uint8)
    edge = (margin if margin_left is None else margin_left) * factor

    def compute(tile: Tile) -> None:
        own_width, own_height = tile.x1 - tile.x0, tile.y1 - tile.y0
        seen = fit(own_width + 2 * margin, own_height + 2 * margin)
        answer = network(window(picture, tile.x0 - margin, tile.y0 - margin, *seen))
        own = answer[edge : edge + own_height * factor, edge : edge + own_width * factor]
        large[tile.y0 * factor : tile.y1 * factor, tile.x0 * factor : tile.x1 * factor] = own

    if at_once == 1:
        # in this thread: torch keeps a team of workers for every thread that calls it
        for tile in cut:
            compute(tile)
    else:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(compute, cut))
    return large


def to_picture(values: npt.NDArray[np.float32]) -> Picture:
    """Values of about 0..1, of any shape → uint8, rounded and clipped."""
    scaled = values * np.float32(255)
    # in place: at 4x each copy of a large tile takes 50 MB
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    return scaled.astype(np.uint8)


def put_colours_back(large: Picture, picture: Picture) -> None:
    """Adds to `large`, in place, the smoothed difference between `picture` and `large` made small again.

    Left alone, networks move flat colours (Real-ESRGAN by 4/255 in the mean, 10/255 at worst); lines stay theirs.
    """
    height, width = large.shape[:2]
    for channel in range(3):
        original = picture[..., channel].astype(np.float32)
        small = cv2.resize(large[..., channel], original.shape[::-1], interpolation=cv2.INTER_AREA)
        lost = cv2.GaussianBlur(original - small, (0, 0), _COLOUR_SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
        back = large[..., channel] + cv2.resize(lost, (width, height), interpolation=cv2.INTER_LINEAR)
        large[..., channel] = np.rint(back).clip(0, 255)
