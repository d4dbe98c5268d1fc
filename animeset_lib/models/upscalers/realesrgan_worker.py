"""Enlarges pictures with the package `realesrgan`; a program of its own, run by the Python of the environment in which that package works.

    python -I realesrgan_worker.py WEIGHTS.npz DEVICE THREADS

WEIGHTS.npz holds the weights under torch's names. On the standard input comes one question after the other, until it ends: a line of JSON,
`{"height": h, "width": w}`, and `h * w * 3` bytes RGB. On the standard output goes one answer to each, and one more at the beginning, when the
network is ready: a line `{"bytes": n}` and so many bytes RGB (none at the beginning), or `{"error": "..."}`.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

_ERROR_LENGTH = 300


def main(weights: Path, device: str, threads: int) -> None:
    # whatever the packages print must not get between the answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(head: dict[str, Any], content: bytes = b"") -> None:
        answers.write(json.dumps(head).encode() + b"\n" + content)
        answers.flush()

    import numpy as np

    upsampler = _upsampler(weights, device, threads)
    answer({"bytes": 0})
    while line := sys.stdin.buffer.readline():
        question = json.loads(line)
        height, width = question["height"], question["width"]
        rgb = np.frombuffer(sys.stdin.buffer.read(height * width * 3), np.uint8).reshape(height, width, 3)
        try:
            bgr, _ = upsampler.enhance(np.ascontiguousarray(rgb[..., ::-1]))
        except Exception as error:  # RuntimeError of torch for want of memory; the next picture may be smaller
            words = " ".join(f"{type(error).__name__}: {error}".split())
            answer({"error": words[:_ERROR_LENGTH]})
        else:
            content = np.ascontiguousarray(bgr[..., ::-1]).tobytes()
            answer({"bytes": len(content)}, content)


def _upsampler(weights: Path, device: str, threads: int) -> Any:
    import numpy as np
    import torch
    from realesrgan import RealESRGANer

    torch.set_num_threads(threads)
    with np.load(weights) as content:
        state = {name: torch.from_numpy(content[name]) for name in content.files}
    network, scale = _network(state)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "weights.pth")
        torch.save({"params": state}, file)
        # Its own tiles are not used: that loop prints an error of the network and goes on with the tile before, and 10 px of context are too few.
        # Full precision on a card too: in half precision it makes black of results that are not numbers, without a word.
        return RealESRGANer(
            scale=scale, model_path=file, model=network, tile=0, pre_pad=0, half=False, device=torch.device(device)
        )


def _network(state: dict[str, Any]) -> tuple[Any, int]:
    """The network that the weights' names and shapes ask for, and its factor."""
    if "conv_first.weight" in state:
        from basicsr.archs.rrdbnet_arch import RRDBNet

        blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
        features, grow = state["conv_first.weight"].shape[0], state["body.0.rdb1.conv1.weight"].shape[0]
        return RRDBNet(3, 3, scale=4, num_feat=features, num_block=blocks, num_grow_ch=grow), 4
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

    last = max(int(name.split(".")[1]) for name in state)
    scale = math.isqrt(state[f"body.{last}.weight"].shape[0] // 3)
    features = state["body.0.weight"].shape[0]
    network = SRVGGNetCompact(3, 3, num_feat=features, num_conv=last // 2 - 1, upscale=scale, act_type="prelu")
    return network, scale


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
