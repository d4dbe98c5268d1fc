"""ncnn's files of the two Real-ESRGAN networks as torch weights under their official names.

A `.param` file is text: the magic number, counts, then one layer a line (type, name, how many blobs in and out, their names, `key=value`; of a
convolution key 0 is the channels out and 6 the count of weights). The `.bin` file holds their weights in that order: for a convolution a flag
(0: float32 follows, 0x01306B47: float16, filled up to 4 bytes), the weights, and the bias in float32; for a PReLU its slopes in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

HALF = 0x01306B47


def layers(param: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Kind, weights and bias of each layer that has any; convolutions as `(out, in, 3, 3)`."""
    lines = param.read_text().splitlines()
    assert lines[0] == "7767517", "not ncnn's text form"
    data = param.with_suffix(".bin").read_bytes()
    place = 0

    def take(count: int, kind: type) -> np.ndarray:
        nonlocal place
        values = np.frombuffer(data, kind, count, place).astype(np.float32)
        place += -(-values.size * np.dtype(kind).itemsize // 4) * 4
        return values

    for line in lines[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        keys = dict(pair.split("=", 1) for pair in rest[int(inputs) + int(outputs) :])
        if kind == "Convolution":
            flag = int(np.frombuffer(data, np.uint32, 1, place)[0])
            place += 4
            assert flag in (0, HALF), hex(flag)
            weights = take(int(keys["6"]), np.float16 if flag == HALF else np.float32)
            yield kind, weights.reshape(int(keys["0"]), -1, 3, 3), take(int(keys["0"]), np.float32)
        elif kind == "PReLU":
            yield kind, take(int(keys["0"]), np.float32), None
    assert place == len(data), f"{len(data) - place} bytes left over"


def compact(param: Path) -> dict[str, np.ndarray]:
    """SRVGGNetCompact: `body.<n>.weight`, convolutions and PReLU in turns."""
    state = {}
    for number, (_, weights, bias) in enumerate(layers(param)):
        state[f"body.{number}.weight"] = weights
        if bias is not None:
            state[f"body.{number}.bias"] = bias
    return state


def rrdb(param: Path) -> dict[str, np.ndarray]:
    """RRDBNet, as many blocks as there are."""
    found = list(layers(param))
    blocks = (len(found) - 6) // 15
    inner = [f"body.{b}.rdb{d}.conv{c}" for b in range(blocks) for d in (1, 2, 3) for c in (1, 2, 3, 4, 5)]
    names = ["conv_first", *inner, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    state = {}
    for name, (_, weights, bias) in zip(names, found, strict=True):
        assert bias is not None
        state |= {f"{name}.weight": weights, f"{name}.bias": bias}
    return state
