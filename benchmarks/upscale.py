"""How fast the upscalers are on this machine: input pixels per second, by network, route, factor and tile, as ratios in one run.

    python benchmarks/upscale.py [SIDE]

SIDE is the side of the square test picture in px (default 256; the deep network gets a quarter of it). The picture is drawn here. Wall time on
all cores, best of two. Torch rows appear where torch and spandrel are installed; they run the very weights of the ncnn files, on a card if
there is one.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from animeset_lib.models.api import ModelInfo, Picture, Upscaler
from animeset_lib.models.engines.device import choose
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.lanczos import Lanczos
from animeset_lib.models.upscalers.ncnn_weights import state_dict
from animeset_lib.models.upscalers.realesrgan_ncnn import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrganNcnn

DEVICE = choose()
NETWORKS: dict[str, Network] = {"animevideov3": ANIMEVIDEO, "x4plus-anime": X4PLUS_ANIME}


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


def parts(*files: Path) -> Parts:
    return Parts(ModelInfo("benchmark", "upscaler", "0", "", "", ""), files, DEVICE, "")


def cases(folder: Path) -> Iterator[tuple[str, str, int, str, Upscaler]]:
    """Network, route, factor, tile and the upscaler, Lanczos first."""
    for factor in (2, 3, 4):
        yield "lanczos", "opencv", factor, "-", Lanczos(parts())
    for name, network in NETWORKS.items():
        for factor in sorted(network.files):
            for tile in (None, 64) if factor == 2 else (None,):
                yield name, "ncnn", factor, str(tile or network.tile), RealEsrganNcnn(parts(), network, tile=tile)
        if importlib.util.find_spec("torch") and importlib.util.find_spec("spandrel"):
            import torch

            from animeset_lib.models.upscalers.spandrel_upscaler import SpandrelUpscaler

            param = next(path for path in network.weights() if path.name == f"{network.files[4]}.param")
            state = {key: torch.from_numpy(value.copy()) for key, value in state_dict(param).items()}
            torch.save({"params": state}, folder / f"{name}.pth")
            for factor in sorted(network.files):
                upscaler = SpandrelUpscaler(parts(folder / f"{name}.pth"))
                yield name, f"torch {DEVICE.kind}", factor, str(upscaler._side), upscaler


def pixels_per_second(work: Callable[[], object], pixels: int) -> float:
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return pixels / min(seconds)


def main(side: int) -> None:
    whole = drawing(side)
    small = whole[: side // 4, : side // 4]
    base: dict[int, float] = {}
    ncnn: dict[tuple[str, int], float] = {}
    print(f"{DEVICE.words}; picture {side}x{side}, x4plus-anime {side // 4}x{side // 4}")
    print(f"{'network':<14} {'by':<10} {'factor':>6} {'tile':>5} {'input px/s':>12} {'x Lanczos':>10} {'x ncnn':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, route, factor, tile, upscaler in cases(Path(folder)):
            picture = small if name == "x4plus-anime" else whole
            upscaler.upscale(picture[:8, :8], factor)  # loads the network
            speed = pixels_per_second(lambda u=upscaler, p=picture, f=factor: u.upscale(p, f), picture.size // 3)
            base.setdefault(factor, speed)
            if route == "ncnn":
                ncnn.setdefault((name, factor), speed)
            ratio = f"{speed / ncnn[name, factor]:.2f}" if (name, factor) in ncnn else ""
            print(
                f"{name:<14} {route:<10} {factor:>6} {tile:>5} {speed:>12,.0f} {speed / base[factor]:>10.4f} {ratio:>7}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
