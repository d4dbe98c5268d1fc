"""How fast the upscalers are on this machine: input pixels per second, by network, factor and tile, as ratios to Lanczos and to each other.

    python benchmarks/upscale.py [SIDE]

SIDE is the side of the square test picture in px (default 256; the deep network gets a quarter of it).
All rows come from one run; the picture is drawn here. Wall time on all cores, best of two.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from animeset_lib.models.api import Picture
from animeset_lib.models.realesrgan_ncnn import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrganNcnn
from animeset_lib.models.zoo import Zoo


def drawing(side: int) -> Picture:
    """Circles and lines on a flat ground: what animation consists of."""
    picture = np.full((side, side, 3), (240, 225, 200), np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(40):
        x, y, radius = (int(v) for v in rng.integers(0, side, 3))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.circle(picture, (x, y), radius // 3 + 2, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, (x, y), radius // 3 + 2, (20, 15, 25), 2, cv2.LINE_AA)
    return picture


def pixels_per_second(work: Callable[[], object], pixels: int) -> float:
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return pixels / min(seconds)


def main(side: int) -> None:
    zoo = Zoo()
    lanczos = zoo.upscaler("lanczos")
    whole = drawing(side)
    small = whole[: side // 4, : side // 4]
    base = {
        factor: pixels_per_second(lambda f=factor: lanczos.upscale(whole, f), whole.size // 3) for factor in (2, 3, 4)
    }

    cases: list[tuple[str, Network, int, int | None]] = [
        *(("realesr-animevideov3", ANIMEVIDEO, factor, tile) for factor in (2, 3, 4) for tile in (None, 64, 128, 1024)),
        *(("realesrgan-x4plus-anime", X4PLUS_ANIME, 4, tile) for tile in (32, None)),
    ]
    reference = 0.0
    print(f"{os.cpu_count()} cores; picture {side}x{side}, x4plus-anime {side // 4}x{side // 4}")
    print(f"{'upscaler':<24} {'factor':>6} {'tile':>7} {'input px/s':>12} {'x Lanczos':>10} {'x animevideov3 2x':>18}")
    for factor, speed in base.items():
        print(f"{'lanczos':<24} {factor:>6} {'-':>7} {speed:>12,.0f} {1:>10.4f} {'':>18}")
    for name, network, factor, tile in cases:
        upscaler = RealEsrganNcnn(zoo.info("upscaler", name), network, tile=tile)
        picture = small if network is X4PLUS_ANIME else whole
        upscaler.upscale(picture[:8, :8], factor)  # loads the network
        speed = pixels_per_second(lambda u=upscaler, p=picture, f=factor: u.upscale(p, f), picture.size // 3)
        if (factor, tile) == (2, None):
            reference = speed
        shown = f"({network.tile})" if tile is None else str(tile)
        ratio = f"{speed / reference:.3f}" if reference else ""
        print(
            f"{name:<24} {factor:>6} {shown:>7} {speed:>12,.0f} {speed / base[factor]:>10.4f} {ratio:>18}", flush=True
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
