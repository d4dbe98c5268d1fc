"""Any single-picture super-resolution network whose file `spandrel` knows, on torch: Real-ESRGAN, Compact, RealCUGAN, SPAN, SwinIR, HAT, DAT, ...

Package: https://github.com/chaiNNer-org/spandrel (MIT). It tells the architecture from the weights; files need no settings beside them.

Files are opened so that they cannot run code (`torch_weights`). spandrel's own reader is not used for that: it keeps a short list of what a pickle
may make, but hands TorchScript archives to `torch.jit.load`, and those are programs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError, PictureError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.device import free_memory, is_out_of_memory, torch_device
from animeset_lib.models.engines.torch_weights import read_weights
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.tiling import check_factor, enlarge, put_colours_back, tiles, to_picture

__all__ = ["ENDINGS", "VERSION", "SpandrelUpscaler"]

VERSION = "1"
ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors")

_LOG = logging.getLogger("animeset")
_FACTORS = (2, 3, 4)
_SEEN_ON_CARD, _SEEN_ON_PROCESSOR = 640, 288
"""Side in px of what the network sees at once, margin and all. At 4x a Real-ESRGAN of 64 channels holds 1 GB per layer on a card (half
precision) and 340 MB on a processor, three or four layers at a time."""
_LEAST_TILE = 32
_REASON_LENGTH = 200
_RRDB_MARGIN = 52
"""Measured in `realesrgan` on the network of 6 blocks: what lies farther moves a pixel by at most 2/255."""
_OTHER_MARGIN, _BLOCK = 64, 32
"""For architectures that were not measured. Attention works in blocks of 8, 12, 16 or 32 px: tiles begin at multiples of 32, so that all but
those of 12 lie the same in every cut."""


class SpandrelUpscaler:
    """An `Upscaler`. On a card it computes in half precision where the architecture allows it, until a result is not a number.

    factors  2, 3 and 4 as far as the network's own factor; those below it are reduced from its answer by averaging areas.
    tile     side of a tile's own pixels; unset: by what fits. Halved, and kept so, when memory runs out.

    Raises `ModelError` for a file that is no such network.
    """

    def __init__(self, parts: Parts, *, tile: int | None = None) -> None:
        import torch

        self.info = parts.info
        self._torch: Any = torch
        self._parts = parts
        self._device, on_card = torch_device(parts.device)
        self._model = _load(parts)
        self._scale = int(self._model.scale)
        self.factors: tuple[int, ...] = tuple(factor for factor in _FACTORS if factor <= self._scale)
        self._margin, self._step = _margin_and_step(self._model)
        self._side = tile or _side(self._model, self._margin, on_card)
        self._half = False
        self._use(half=on_card and self._model.supports_half)

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`.

        Raises `ModelError` for a factor it does not have or when not even small tiles fit into memory, `PictureError` when the network's
        answer to this picture is not made of numbers.
        """
        check_factor(self.info.name, self.factors, factor)
        while (large := self._upscaled(picture, factor)) is None:
            # after the error is gone: its traceback holds on to what filled the memory
            free_memory()
        put_colours_back(large, picture)
        return large

    def _upscaled(self, picture: Picture, factor: int) -> Picture | None:
        """None when memory ran out; tiles are smaller then. What was done of the picture is done again: its first tile tells."""
        height, width = picture.shape[:2]
        cut = tiles(width, height, self._side, self._step)
        try:
            return enlarge(picture, factor, cut, self._margin, lambda seen: self._answer(seen, factor), fit=self._fit)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            side = max(max(tile.x1 - tile.x0, tile.y1 - tile.y0) for tile in cut)
            if side <= max(_LEAST_TILE, self._step):
                raise ModelError(
                    f"{self.info.name} does not fit into memory even with tiles of {side} px ({error}); "
                    "close other programs, use --device cpu, or choose a smaller network"
                ) from error
            smaller = max(_LEAST_TILE, self._step, side // 2)
            _LOG.warning("%s: memory ran out with tiles of %d px; going on with %d", self.info.name, side, smaller)
            self._side = smaller
            return None

    def _answer(self, seen: Picture, factor: int) -> Picture:
        answer, sound = self._run(seen)
        if not sound and self._half:
            _LOG.warning(
                "%s: a result in half precision is not a number; going on in full precision, which is slower",
                self.info.name,
            )
            # read again: what was rounded to half precision stays rounded
            self._model = _load(self._parts)
            self._use(half=False)
            answer, sound = self._run(seen)
        if not sound:
            raise PictureError(
                f"{self.info.name} answered this picture with values that are not numbers, expected 0..1; choose another upscaler for it"
            )
        if factor < self._scale:
            # exact tile by tile: every pixel of the picture becomes whole pixels before and after
            size = seen.shape[1] * factor, seen.shape[0] * factor
            answer = cv2.resize(answer, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
        return to_picture(answer)

    def _run(self, seen: Picture) -> tuple[npt.NDArray[np.float32], bool]:
        """`(h, w, 3)` uint8 → `(h * scale, w * scale, 3)` float32 0..1, and whether all of it was numbers before it was clipped."""
        torch = self._torch
        sound: list[bool] = []

        def look(module: Any, given: Any, answer: Any) -> None:
            # spandrel clips the answer, which makes 0 or 1 of infinite values
            picture = answer[0] if isinstance(answer, (tuple, list)) else answer
            sound.append(bool(torch.isfinite(picture).all()))

        hook = self._model.model.register_forward_hook(look)
        try:
            # turned round, the picture lies channels last by itself
            given = torch.from_numpy(seen).to(self._device).permute(2, 0, 1)[None].float().div_(255)
            answer = self._model(given.half() if self._half else given)
            planes: npt.NDArray[np.float32] = answer[0].float().permute(1, 2, 0).contiguous().cpu().numpy()
        finally:
            hook.remove()
        expected = seen.shape[0] * self._scale, seen.shape[1] * self._scale, 3
        if planes.shape != expected:
            raise self._parts.fault(f"an answer of {expected} for {seen.shape}", planes.shape)
        return planes, all(sound)

    def _use(self, half: bool) -> None:
        """Move the network where it runs.

        Channels last: on two shared cores a Compact tile of 292 px took .58 s instead of .86 s, a 6-block RRDB of 168 px 2.0 s instead of 2.4 s,
        small tiles the same (best of six). torch.compile saved a further quarter on 8 Compact tiles (1.8 s → 1.3 s) but took 17 s for their
        shape, shapes differ from picture to picture, and it needs a C++ compiler: not used.
        """
        self._half = half
        self._model.to(self._device).eval()
        self._model.model.to(memory_format=self._torch.channels_last)
        if half:
            self._model.half()

    def _fit(self, width: int, height: int) -> tuple[int, int]:
        more_width, more_height = self._model.size_requirements.get_padding(width, height)
        return width + more_width, height + more_height


def _load(parts: Parts) -> Any:
    """spandrel's descriptor of the network in the first file, in full precision, on the processor."""
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    def fault(got: str) -> ModelError:
        expected = "the weights of a network that enlarges single RGB pictures, of an architecture that spandrel knows"
        return parts.fault(expected, got)

    file = parts.files[0]
    if file.suffix.lower() not in ENDINGS:
        raise fault(f"a file whose name ends in `{file.suffix}`, not in {', '.join(ENDINGS)}")
    try:
        state = read_weights(file)
    except ValueError as error:
        raise fault(str(error)) from error
    if not isinstance(state, Mapping) or not state:
        raise fault(f"a file that holds {type(state).__name__}, not weights by name")
    try:
        model = ModelLoader().load_from_state_dict(state)
    except UnsupportedModelError as error:
        keys = ", ".join(str(key) for key in list(state)[:3])
        got = f"an architecture unknown to it, or a training checkpoint with more than the weights in it (it begins with {keys})"
        raise fault(got) from error
    except Exception as error:
        # a file that only resembles an architecture fails anywhere in spandrel's guesses of its sizes
        words = f"{type(error).__name__} {' '.join(str(error).split())[:_REASON_LENGTH]}"
        raise fault(f"weights that do not fit the architecture they resemble ({words})") from error
    name, channels = model.architecture.name, (model.input_channels, model.output_channels)
    if not isinstance(model, ImageModelDescriptor) or model.purpose not in ("SR", "Restoration"):
        raise fault(f"{name}, a network for {model.purpose}")
    if model.scale < 2:
        raise fault(f"{name} with factor {model.scale}, which restores pictures in their own size")
    if channels != (3, 3):
        raise fault(f"{name} with {channels[0]} channels in and {channels[1]} out, not 3")
    if not all(bool(weights.isfinite().all()) for weights in model.model.parameters()):
        raise fault(f"{name} with weights that are not numbers")
    return model


def _margin_and_step(model: Any) -> tuple[int, int]:
    """How far beyond its own pixels a tile sees, and of what its first pixel is a multiple."""
    step = int(model.size_requirements.multiple_of)
    if model.architecture.id == "Compact":
        # one px per convolution of 3x3: with that no pixel can tell that it is in a tile
        margin = model.model.num_conv + 2
    elif model.architecture.id == "ESRGAN":
        margin = _RRDB_MARGIN * (model.model.shuffle_factor or 1)
    else:
        margin, step = _OTHER_MARGIN, math.lcm(_BLOCK, step)
    return -(-margin // step) * step, step


def _side(model: Any, margin: int, on_card: bool) -> int:
    seen = _SEEN_ON_CARD if on_card else _SEEN_ON_PROCESSOR
    # a Real-ESRGAN that folds its input works on a fourth or sixteenth of the pixels
    seen *= getattr(model.model, "shuffle_factor", None) or 1
    return int(max(_LEAST_TILE, seen - 2 * margin))
