"""Real-ESRGAN by its own package, `realesrgan` 0.3.0 (`RealESRGANer`), for environments in which it still imports.

Package: https://github.com/xinntao/Real-ESRGAN, BSD-3-Clause. Beside a current torchvision it does not import, because `basicsr` wants a module that
torchvision removed in 0.17; torch 2.1 with torchvision 0.16 and numpy 1 run it. The same weights run everywhere through `spandrel_upscaler`.

The package's own tiles are not used: its loop prints an error of the network and goes on with the tile before, and 10 px of context are too few.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.device import is_out_of_memory, torch_uses
from animeset_lib.models.engines.torch_weights import read_weights
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.tiling import check_factor, enlarge, put_colours_back, tiles

__all__ = ["VERSION", "RealEsrganPackage"]

VERSION = "1"
_FACTORS = (2, 3, 4)
_RRDB_MARGIN = 52
_TILE = 152
"""A Real-ESRGAN of 64 channels then holds 270 MB per layer at 4x, three or four at a time."""


class RealEsrganPackage:
    """An `Upscaler` for the official weights: RRDBNet (x4plus, x4plus anime 6B, x2plus) and SRVGGNetCompact (animevideov3, general).

    factors  2, 3 and 4 as far as the network's own factor; those below it are reduced from its answer by averaging areas.

    Raises `ModelError` when the package does not import or the file is not such weights. Computes in full precision on a card too: in half
    precision the package turns results that are not numbers into black without a word.
    """

    def __init__(self, parts: Parts, *, tile: int = _TILE) -> None:
        try:
            from realesrgan import RealESRGANer
        except Exception as error:  # ImportError of torchvision, AttributeError of numpy 2: whichever it meets first
            if isinstance(error, ModuleNotFoundError) and error.name == "realesrgan":
                fault = "is not installed (it runs beside torchvision up to 0.16 and numpy 1 only: pip install realesrgan==0.3.0)"
            else:
                fault = (
                    f"cannot be imported here ({type(error).__name__}: {error}): its part basicsr needs modules of torchvision "
                    "that were removed in 0.17"
                )
            raise ModelError(
                f"the package realesrgan {fault}; the same weights run with upscale.upscaler=realesrgan-anime-6b"
            ) from error
        import torch

        self.info = parts.info
        file = parts.files[0]
        weights = _weights(file, parts.remedy)
        network, self._scale, self._margin = _network(file, weights, parts.remedy)
        self._step = 2 if self._scale == 2 else 1
        self._tile = tile
        self.factors: tuple[int, ...] = tuple(factor for factor in _FACTORS if factor <= self._scale)
        on_card = torch_uses(parts.device)
        if not on_card:
            torch.set_num_threads(parts.device.threads)
        try:
            self._upsampler: Any = RealESRGANer(
                scale=self._scale,
                model_path=str(file),
                model=network,
                tile=0,
                pre_pad=0,
                half=False,
                device=torch.device(parts.device.torch if on_card else "cpu"),
            )
        except RuntimeError as error:  # load_state_dict
            first = str(error).splitlines()[0]
            raise ModelError(
                f"{file}: expected official Real-ESRGAN weights, got others ({first}); {parts.remedy}"
            ) from error

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`. Raises `ModelError` for a factor it does not have."""
        check_factor(self.info.name, self.factors, factor)
        height, width = picture.shape[:2]

        def answer(seen: Picture) -> Picture:
            made, _ = self._upsampler.enhance(cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))
            large: Any = cv2.cvtColor(made, cv2.COLOR_BGR2RGB)
            if factor < self._scale:
                size = seen.shape[1] * factor, seen.shape[0] * factor
                large = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
            return np.asarray(large, np.uint8)

        try:
            large = enlarge(picture, factor, tiles(width, height, self._tile, self._step), self._margin, answer)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise ModelError(
                f"{self.info.name} does not fit into memory with tiles of {self._tile} px ({error}); close other programs, or use "
                "upscale.upscaler=realesrgan-anime-6b, which makes its tiles smaller by itself"
            ) from error
        put_colours_back(large, picture)
        return large


def _weights(file: Path, remedy: str) -> Mapping[str, Any]:
    """The part of the file that the package takes. Read as weights alone: a file that would run code is refused here, before the package opens it."""
    try:
        content = read_weights(file)
    except ValueError as error:
        raise ModelError(f"{file}: expected official Real-ESRGAN weights, got {error}; {remedy}") from error
    for key in ("params_ema", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            weights: Mapping[str, Any] = content[key]
            return weights
    got = ", ".join(str(key) for key in list(content)[:3]) if isinstance(content, Mapping) else type(content).__name__
    raise ModelError(
        f"{file}: expected official Real-ESRGAN weights under `params_ema` or `params`, got {got}; {remedy}"
    )


def _network(file: Path, weights: Mapping[str, Any], remedy: str) -> tuple[Any, int, int]:
    """The network that the weights' names and shapes ask for, its factor and how many px around it a pixel sees."""
    if "conv_first.weight" in weights and "body.0.rdb1.conv1.weight" in weights:
        from basicsr.archs.rrdbnet_arch import RRDBNet

        features, channels = (int(n) for n in weights["conv_first.weight"].shape[:2])
        # x2plus folds 2x2 px into channels before the network of factor 4
        scale = {3: 4, 12: 2}.get(channels, 1)
        if scale > 1:
            network = RRDBNet(
                num_in_ch=3,
                num_out_ch=3,
                scale=scale,
                num_feat=features,
                num_block=1 + max(int(key.split(".")[1]) for key in weights if key.startswith("body.")),
                num_grow_ch=int(weights["body.0.rdb1.conv1.weight"].shape[0]),
            )
            return network, scale, _RRDB_MARGIN * 4 // scale
    elif "body.0.weight" in weights and "body.1.weight" in weights:
        from realesrgan.archs.srvgg_arch import SRVGGNetCompact

        last = max(int(key.split(".")[1]) for key in weights)
        scale = math.isqrt(int(weights[f"body.{last}.weight"].shape[0]) // 3)
        convolutions = last // 2 - 1
        if scale > 1:
            network = SRVGGNetCompact(
                num_in_ch=3,
                num_out_ch=3,
                num_feat=int(weights["body.0.weight"].shape[0]),
                num_conv=convolutions,
                upscale=scale,
                act_type="prelu",
            )
            return network, scale, convolutions + 2
    raise ModelError(
        f"{file}: expected RRDBNet or SRVGGNetCompact for RGB that enlarges by 2 or more, got {', '.join(list(weights)[:3])}, ...; {remedy}"
    )
