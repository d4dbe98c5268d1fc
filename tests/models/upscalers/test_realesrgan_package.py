"""Real-ESRGAN's own package: which network the weights ask for, and what is said where the package does not import.

The package imports in few environments, so a stand-in takes its place here; the last test needs the real one and is skipped without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.upscalers import realesrgan_package, spandrel_upscaler
from animeset_lib.models.upscalers.realesrgan_package import RealEsrganPackage
from tests.models.drawn import REMEDY, apart, noise, scene, upscaler_parts

torch = pytest.importorskip("torch")

STAND_IN = {
    "realesrgan/__init__.py": """
made = []
class RealESRGANer:
    def __init__(self, scale, model_path, model, tile, pre_pad, half, device):
        made.append((scale, model_path, model.wishes, tile, pre_pad, half, str(device)))
        if model.wishes.get("num_feat") == 5:
            raise RuntimeError("Error(s) in loading state_dict for RRDBNet: no")
        self.scale, self.seen = scale, []
    def enhance(self, bgr):
        self.seen.append(bgr.copy())
        if bgr[0, 0, 0] == 13:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return bgr.repeat(self.scale, 0).repeat(self.scale, 1), "RGB"
""",
    "realesrgan/archs/__init__.py": "",
    "realesrgan/archs/srvgg_arch.py": "class SRVGGNetCompact:\n    def __init__(self, **wishes): self.wishes = wishes\n",
    "basicsr/__init__.py": "",
    "basicsr/archs/__init__.py": "",
    "basicsr/archs/rrdbnet_arch.py": "class RRDBNet:\n    def __init__(self, **wishes): self.wishes = wishes\n",
}


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("realesrgan", "basicsr")]:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, text in STAND_IN.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    _forget()
    import realesrgan

    yield realesrgan
    _forget()


def rrdb(features: int = 8, channels: int = 3, grow: int = 4) -> dict[str, Any]:
    state = {"conv_first.weight": torch.zeros(features, channels, 3, 3)}
    for block in range(6):
        state[f"body.{block}.rdb1.conv1.weight"] = torch.zeros(grow, features, 3, 3)
    return state


def compact(features: int = 8, convolutions: int = 16, scale: int = 4) -> dict[str, Any]:
    state = {"body.0.weight": torch.zeros(features, 3, 3, 3), "body.1.weight": torch.zeros(features)}
    last = 2 * convolutions + 2
    state[f"body.{last}.weight"] = torch.zeros(3 * scale**2, features, 3, 3)
    return state


def written(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


WEIGHTS = {
    "anime 6B": (rrdb(), "params_ema", 4, {"scale": 4, "num_feat": 8, "num_block": 6, "num_grow_ch": 4}, 52),
    "x2plus": (rrdb(channels=12), "params_ema", 2, {"scale": 2, "num_feat": 8, "num_block": 6, "num_grow_ch": 4}, 104),
    "animevideov3": (compact(), "params", 4, {"num_feat": 8, "num_conv": 16, "upscale": 4, "act_type": "prelu"}, 18),
    "general": (
        compact(16, 32, 2),
        "params",
        2,
        {"num_feat": 16, "num_conv": 32, "upscale": 2, "act_type": "prelu"},
        34,
    ),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_the_weights_decide_which_network_it_is(tmp_path: Path, package: Any, kind: str) -> None:
    state, key, scale, wishes, margin = WEIGHTS[kind]
    file = written(tmp_path / "a.pth", {key: state})
    upscaler = RealEsrganPackage(upscaler_parts(file))
    assert package.made == [(scale, str(file), {"num_in_ch": 3, "num_out_ch": 3} | wishes, 0, 0, False, "cpu")]
    assert upscaler.factors == tuple(f for f in (2, 3, 4) if f <= scale)
    picture = noise(4, 3)
    assert np.array_equal(upscaler.upscale(picture, 2), picture.repeat(2, 0).repeat(2, 1))
    (seen,) = upscaler._upsampler.seen
    assert seen.shape == (4 + 2 * margin, 3 + 2 * margin, 3)
    assert np.array_equal(seen[margin : margin + 4, margin : margin + 3], picture[..., ::-1]), (
        "BGR, as the package takes it"
    )
    with pytest.raises(ModelError, match="not by 7"):
        upscaler.upscale(picture, 7)


def test_tiles_and_factors_below_the_networks(tmp_path: Path, package: Any) -> None:
    upscaler = RealEsrganPackage(upscaler_parts(written(tmp_path / "a.pth", {"params": compact()})), tile=8)
    picture = noise(11, 19)
    assert np.array_equal(upscaler.upscale(picture, 4), picture.repeat(4, 0).repeat(4, 1))
    assert len(upscaler._upsampler.seen) == 6
    assert upscaler.upscale(picture, 3).shape == (33, 57, 3)
    with pytest.raises(ModelError, match=r"does not fit into memory with tiles of 8 px.*realesrgan-anime-6b"):
        upscaler.upscale(np.full((3, 3, 3), 13, np.uint8), 2)


FAULTS: dict[str, tuple[Any, str]] = {
    "no weights": (b"<html>", "got a file that is damaged"),
    "bare": (rrdb(), r"under `params_ema` or `params`, got conv_first.weight, body.0"),
    "a list": ([1], "got list"),
    "restores": ({"params": rrdb(channels=48)}, "enlarges by 2 or more"),
    "compact restores": ({"params": compact(scale=1)}, "enlarges by 2 or more"),
    "unknown": ({"params": {"a": torch.zeros(1)}}, "got a, ..."),
    "does not fit": ({"params": rrdb(features=5)}, "got others .Error"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_file_that_is_no_such_network_is_one_sentence(tmp_path: Path, package: Any, kind: str) -> None:
    content, got = FAULTS[kind]
    file = tmp_path / "a.pth"
    file.write_bytes(content) if isinstance(content, bytes) else written(file, content)
    with pytest.raises(ModelError, match=f"a.pth: expected .*{got}.*; {REMEDY}$"):
        RealEsrganPackage(upscaler_parts(file))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "from torchvision_of_today.transforms.functional_tensor import rgb_to_grayscale",
            "cannot be imported here .ModuleNotFoundError: No module named 'torchvision_of_today'.*torchvision",
        ),
        ("raise AttributeError('numpy 2')", "cannot be imported here .AttributeError: numpy 2"),
        (None, "is not installed"),
    ],
)
def test_a_package_that_does_not_import_names_what_does_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    _forget()
    if text is not None:
        (tmp_path / "realesrgan").mkdir()
        (tmp_path / "realesrgan" / "__init__.py").write_text(text)
    elif any((Path(place) / "realesrgan").is_dir() for place in sys.path):
        pytest.skip("the package is installed")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=f"{words}.*upscale.upscaler=realesrgan-anime-6b$"):
        RealEsrganPackage(upscaler_parts(tmp_path / "a.pth"))
    _forget()


@pytest.mark.parametrize("name", ["anime 6B", "x2plus", "animevideov3"])
def test_the_real_package_and_spandrel_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pytest.importorskip("spandrel")
    try:
        from basicsr.archs.rrdbnet_arch import RRDBNet
        from realesrgan.archs.srvgg_arch import SRVGGNetCompact
    except Exception as error:  # the reason why there is a stand-in above
        pytest.skip(f"no working realesrgan: {error}")
    torch.manual_seed(4)
    if name == "animevideov3":
        network, key = SRVGGNetCompact(num_feat=64, num_conv=16, upscale=4), "params"
    else:
        network, key = RRDBNet(3, 3, scale=2 if name == "x2plus" else 4, num_block=6), "params_ema"
    for weights in network.parameters():
        torch.nn.init.uniform_(weights, -0.06, 0.06)
    file = written(tmp_path / "a.pth", {key: network.state_dict()})
    for module in (realesrgan_package, spandrel_upscaler):
        monkeypatch.setattr(module, "put_colours_back", lambda large, picture: None)
    picture = scene(24, 37)
    ours = spandrel_upscaler.SpandrelUpscaler(upscaler_parts(file)).upscale(picture, 2)
    assert ours.std() > 5, "the network does something"
    assert apart(RealEsrganPackage(upscaler_parts(file)).upscale(picture, 2), ours) <= 2
