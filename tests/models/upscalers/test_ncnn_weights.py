"""ncnn's files as torch weights: small networks written here, and files that are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.upscalers.ncnn_weights import state_dict
from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO, X4PLUS_ANIME

HALF = 0x01306B47
RNG = np.random.default_rng(6)


def values(*shape: int) -> np.ndarray:
    """Such that half precision holds them exactly."""
    return RNG.integers(-64, 64, shape).astype(np.float32) / 32


class Drawn:
    """Files of a network, layer by layer."""

    def __init__(self) -> None:
        self.lines = ["Input in 0 1 data"]
        self.data = b""

    def convolution(self, weights: np.ndarray, bias: np.ndarray, half: bool = True) -> None:
        number = len(self.lines)
        self.lines.append(
            f"Convolution c{number} 1 1 {number} {number + 1} 0={len(bias)} 1=3 4=1 5=1 6={weights.size} -23310=1,2.0e-01"
        )
        packed = weights.astype(np.float16 if half else np.float32).tobytes()
        self.data += struct.pack("<I", HALF if half else 0) + packed + b"\0" * (-len(packed) % 4) + bias.tobytes()

    def slopes(self, weights: np.ndarray) -> None:
        self.lines.append(f"PReLU p 1 1 a b 0={len(weights)}")
        self.data += weights.tobytes()

    def plain(self, line: str) -> None:
        self.lines.append(line)

    def written(self, folder: Path) -> Path:
        param = folder / "net.param"
        param.write_text("\n".join(["7767517", f"{len(self.lines)} 9", *self.lines]) + "\n")
        param.with_suffix(".bin").write_bytes(self.data)
        return param


def same(state: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == np.float32
        assert np.array_equal(state[name], value), name


@pytest.mark.parametrize("half", [True, False])
def test_what_was_written_is_read_as_a_compact_network(tmp_path: Path, half: bool) -> None:
    expected = {
        # 27 halves leave two bytes to fill up
        "body.0.weight": values(1, 3, 3, 3),
        "body.0.bias": values(1),
        "body.1.weight": values(1),
        "body.2.weight": values(12, 1, 3, 3),
        "body.2.bias": values(12),
    }
    drawn = Drawn()
    drawn.plain("Split s 1 2 data one two")
    drawn.convolution(expected["body.0.weight"], expected["body.0.bias"], half)
    drawn.slopes(expected["body.1.weight"])
    drawn.convolution(expected["body.2.weight"], expected["body.2.bias"], half)
    drawn.plain("PixelShuffle d 1 1 two three 0=2")
    same(state_dict(drawn.written(tmp_path)), expected)


def test_what_was_written_is_read_as_an_rrdb_of_one_block(tmp_path: Path) -> None:
    names = ["conv_first", *(f"body.0.rdb{d}.conv{c}" for d in (1, 2, 3) for c in (1, 2, 3, 4, 5))]
    names += ["conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    drawn, expected = Drawn(), {}
    for number, name in enumerate(names):
        expected |= {f"{name}.weight": values(2, number + 1, 3, 3), f"{name}.bias": values(2)}
        drawn.convolution(expected[f"{name}.weight"], expected[f"{name}.bias"])
        drawn.plain("Concat c 2 1 a b c")
    same(state_dict(drawn.written(tmp_path)), expected)


def _changed(kind: str, folder: Path) -> Path:
    drawn = Drawn()
    drawn.convolution(np.full((4, 3, 3, 3), np.nan) if kind == "not numbers" else values(4, 3, 3, 3), values(4))
    if kind == "two convolutions":
        drawn.convolution(values(4, 4, 3, 3), values(4))
    drawn.slopes(values(4))
    if kind != "ends with slopes":
        drawn.convolution(values(12, 4, 3, 3), values(12))
    if kind == "unknown layer":
        drawn.plain("InnerProduct i 1 1 a b 0=2")
    if kind == "no slopes":
        drawn = Drawn()
        drawn.convolution(values(4, 3, 3, 3), values(4))
    if kind == "integers":
        drawn.data = struct.pack("<I", 0x000D4B38) + drawn.data[4:]
    drawn.data = {"cut off": drawn.data[:-8], "too long": drawn.data + b"1234"}.get(kind, drawn.data)
    param = drawn.written(folder)
    text = param.read_text()
    text = {
        "another text": "<html>" + text,
        "empty": "",
        "5x5": text.replace("1=3", "1=5"),
        "no count": text.replace("6=", "7="),
    }.get(kind, text)
    param.write_text(text.replace("5=1 ", "") if kind == "no bias" else text)
    if kind == "half a line":
        param.write_text(text + "Convolution c\n")
    if kind == "no .bin":
        param.with_suffix(".bin").unlink()
    return param


REFUSED = {
    "not numbers": "weights that are not numbers",
    "two convolutions": "in another order",
    "ends with slopes": "in another order",
    "no slopes": "got 1 convolutions",
    "unknown layer": "a layer InnerProduct",
    "integers": "in the form 0xd4b38",
    "cut off": "got buffer is smaller",
    "too long": "4 bytes more than its layers take",
    "another text": "does not begin as one",
    "empty": "does not begin as one",
    "5x5": "not 3x3 with a bias",
    "no bias": "not 3x3 with a bias",
    "no count": "got '6'",
    "half a line": "got not enough values",
    "no .bin": "No such file",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=f"net.param: expected ncnn's form .*{REFUSED[kind]}.*; reinstall it"):
        state_dict(_changed(kind, tmp_path))


def test_the_files_of_the_wheel() -> None:
    (animation,) = (path for path in ANIMEVIDEO.weights() if path.name.endswith("UP4X.param"))
    state = state_dict(animation)
    assert [state[name].shape for name in ("body.0.weight", "body.1.weight", "body.34.weight", "body.34.bias")] == [
        (64, 3, 3, 3),
        (64,),
        (48, 64, 3, 3),
        (48,),
    ]
    assert len(state) == 18 * 2 + 17
    drawings = state_dict(next(path for path in X4PLUS_ANIME.weights() if path.suffix == ".param"))
    assert drawings["body.5.rdb3.conv5.weight"].shape == (64, 192, 3, 3)
    assert len(drawings) == 96 * 2
