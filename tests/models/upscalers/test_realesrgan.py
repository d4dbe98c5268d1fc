"""Real-ESRGAN through ncnn: tiles, colours, lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from animeset_lib.models.api import Picture
from animeset_lib.models.upscalers.realesrgan_ncnn import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrganNcnn
from tests.models.drawn import drawing, upscaler_parts

PARTS = upscaler_parts()


def psnr(one: Picture, other: Picture) -> float:
    return float(10 * np.log10(255**2 / ((one.astype(float) - other) ** 2).mean()))


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("tile", [17, 32, 61])
def test_any_tile_size_gives_the_same_picture(factor: int, tile: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (30, 47, 3), dtype=np.uint8)
    picture = np.vstack([drawing(64)[:34, :47], noise])
    whole = RealEsrganNcnn(PARTS, ANIMEVIDEO, tile=1000).upscale(picture, factor)
    tiled = RealEsrganNcnn(PARTS, ANIMEVIDEO, tile=tile, threads=3).upscale(picture, factor)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


def test_tiles_of_the_deep_network_agree() -> None:
    picture = drawing(64)[20:34, 10:60]
    whole = RealEsrganNcnn(PARTS, X4PLUS_ANIME, tile=1000).upscale(picture, 4)
    tiled = RealEsrganNcnn(PARTS, X4PLUS_ANIME, tile=26).upscale(picture, 4)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


@pytest.mark.parametrize(("network", "factor"), [(ANIMEVIDEO, 2), (ANIMEVIDEO, 3), (ANIMEVIDEO, 4), (X4PLUS_ANIME, 4)])
@pytest.mark.parametrize("colour", [(200, 100, 30), (12, 40, 90)])
def test_flat_colours_stay(network: Network, factor: int, colour: tuple[int, int, int]) -> None:
    side = 24 if network is ANIMEVIDEO else 6
    large = RealEsrganNcnn(PARTS, network).upscale(np.full((side, side, 3), colour, np.uint8), factor)
    assert np.abs(large.astype(int) - colour).max() <= 2


def test_lines_come_back_better_than_by_interpolation() -> None:
    original = drawing(128)
    small = cv2.resize(original, (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)
    cubic = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    assert psnr(original, RealEsrganNcnn(PARTS, ANIMEVIDEO).upscale(small, 2)) > psnr(original, cubic) + 2


def test_process_ends_cleanly_after_use() -> None:
    """ncnn frees its networks when the interpreter goes; that must not crash."""
    code = (
        "import numpy as np\n"
        "from animeset_lib.models.upscalers.realesrgan_ncnn import ANIMEVIDEO, RealEsrganNcnn\n"
        "from tests.models.drawn import upscaler_parts\n"
        "upscaler = RealEsrganNcnn(upscaler_parts(), ANIMEVIDEO)\n"
        "print(upscaler.upscale(np.zeros((5, 7, 3), np.uint8), 2).shape)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "(10, 14, 3)"), done.stderr
