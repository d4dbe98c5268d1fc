"""Real-ESRGAN through ncnn: tiles, colours, lines."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.models.api import Picture
from animeset_lib.models.realesrgan_ncnn import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrganNcnn, tiles
from animeset_lib.models.zoo import Zoo

INFO = Zoo().info("upscaler", "realesr-animevideov3")


def drawing(side: int) -> Picture:
    """A face-like drawing with lines two pixels wide, drawn eight times as large and averaged."""
    k, fine = side / 256, 8
    large = np.full((side * fine, side * fine, 3), (240, 225, 200), np.uint8)

    def px(value: float) -> int:
        return round(value * k * fine)

    cv2.circle(large, (px(128), px(128)), px(90), (250, 210, 180), -1, cv2.LINE_AA)
    for radius, colour in ((90, (30, 20, 25)), (60, (180, 60, 60)), (40, (60, 80, 170))):
        cv2.circle(large, (px(128), px(128)), px(radius), colour, 2 * fine, cv2.LINE_AA)
    cv2.line(large, (px(10), px(20)), (px(240), px(200)), (20, 20, 30), 2 * fine, cv2.LINE_AA)
    return cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def psnr(one: Picture, other: Picture) -> float:
    return float(10 * np.log10(255**2 / ((one.astype(float) - other) ** 2).mean()))


@settings(deadline=None)  # other work on the machine decides how long one takes
@given(width=st.integers(1, 1200), height=st.integers(1, 1200), side=st.integers(7, 700))
def test_tiles_cover_each_pixel_once(width: int, height: int, side: int) -> None:
    cut = tiles(width, height, side)
    assert len(cut) == -(-width // side) * -(-height // side)
    assert all(0 < t.x1 - t.x0 <= side and 0 < t.y1 - t.y0 <= side for t in cut)
    covered = np.zeros((height, width), np.uint8)
    for tile in cut:
        covered[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert covered.min() == covered.max() == 1


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("tile", [17, 32, 61])
def test_any_tile_size_gives_the_same_picture(factor: int, tile: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (30, 47, 3), dtype=np.uint8)
    picture = np.vstack([drawing(64)[:34, :47], noise])
    whole = RealEsrganNcnn(INFO, ANIMEVIDEO, tile=1000).upscale(picture, factor)
    tiled = RealEsrganNcnn(INFO, ANIMEVIDEO, tile=tile, threads=3).upscale(picture, factor)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


def test_tiles_of_the_deep_network_agree() -> None:
    picture = drawing(64)[20:34, 10:60]
    whole = RealEsrganNcnn(INFO, X4PLUS_ANIME, tile=1000).upscale(picture, 4)
    tiled = RealEsrganNcnn(INFO, X4PLUS_ANIME, tile=26).upscale(picture, 4)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


@pytest.mark.parametrize(("network", "factor"), [(ANIMEVIDEO, 2), (ANIMEVIDEO, 3), (ANIMEVIDEO, 4), (X4PLUS_ANIME, 4)])
@pytest.mark.parametrize("colour", [(200, 100, 30), (12, 40, 90)])
def test_flat_colours_stay(network: Network, factor: int, colour: tuple[int, int, int]) -> None:
    side = 24 if network is ANIMEVIDEO else 6
    large = RealEsrganNcnn(INFO, network).upscale(np.full((side, side, 3), colour, np.uint8), factor)
    assert np.abs(large.astype(int) - colour).max() <= 2


def test_lines_come_back_better_than_by_interpolation() -> None:
    original = drawing(128)
    small = cv2.resize(original, (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)
    cubic = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    assert psnr(original, RealEsrganNcnn(INFO, ANIMEVIDEO).upscale(small, 2)) > psnr(original, cubic) + 2


def test_process_ends_cleanly_after_use() -> None:
    """ncnn frees its networks when the interpreter goes; that must not crash."""
    code = (
        "import numpy as np\n"
        "from animeset_lib.models.zoo import Zoo\n"
        "upscaler = Zoo().upscaler('realesr-animevideov3')\n"
        "print(upscaler.upscale(np.zeros((5, 7, 3), np.uint8), 2).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "(10, 14, 3)"), done.stderr
