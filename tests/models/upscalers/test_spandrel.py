"""Networks through spandrel: what comes out, whatever the tiles, and what happens to files and answers that are not as they should be."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from animeset_lib.errors import ModelError, PictureError
from animeset_lib.models.upscalers import ncnn_weights, spandrel_upscaler
from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO, X4PLUS_ANIME, RealEsrgan
from animeset_lib.models.upscalers.spandrel_upscaler import SpandrelUpscaler
from animeset_lib.models.upscalers.tiling import window
from tests.models.drawn import REMEDY, apart, drawing, noise, scene, upscaler_parts

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel")

LOGGER = "animeset"


def compact(scale: int = 4, features: int = 8, convolutions: int = 2, **others: int) -> Any:
    from spandrel.architectures.Compact import Compact

    return Compact(num_feat=features, num_conv=convolutions, upscale=scale, **others)


def esrgan(scale: int = 4, **others: int) -> Any:
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=8, num_blocks=2, scale=scale, **others)


def span() -> Any:
    from spandrel.architectures.SPAN import SPAN

    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2)


def safmn() -> Any:
    from spandrel.architectures.SAFMN import SAFMN

    return SAFMN(dim=8, n_blocks=2, ffn_scale=2.0, upscaling_factor=2)


def cugan() -> Any:
    from spandrel.architectures.RealCUGAN import UpCunet2x

    return UpCunet2x(in_channels=3, out_channels=3)


def saved(folder: Path, network: Any, name: str = "network.pth", wrap: str | None = "params") -> Path:
    torch.manual_seed(1)
    for weights in network.parameters():
        torch.nn.init.uniform_(weights, -0.12, 0.12)
    return written(folder / name, {wrap: network.state_dict()} if wrap else network.state_dict())


def written(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def nearest(scale: int) -> Any:
    """A Compact of zeros: its answer is each pixel `scale` x `scale` times."""
    network = compact(scale)
    for weights in network.parameters():
        torch.nn.init.zeros_(weights)
    return network


@pytest.mark.parametrize(("scale", "factors"), [(2, (2,)), (3, (2, 3)), (4, (2, 3, 4)), (8, (2, 3, 4))])
def test_factors_up_to_the_networks_own_are_exact(tmp_path: Path, scale: int, factors: tuple[int, ...]) -> None:
    file = written(tmp_path / "n.pth", {"params": nearest(scale).state_dict()})
    upscaler = SpandrelUpscaler(upscaler_parts(file), tile=7)
    assert upscaler.factors == factors
    picture = noise(11, 23)
    for factor in factors:
        # areas of a picture of equal squares, averaged: 4x to 3x mixes neighbours, whole divisors do not
        whole = picture.repeat(scale, 0).repeat(scale, 1)
        expected = cv2.resize(whole, (23 * factor, 11 * factor), interpolation=cv2.INTER_AREA).astype(np.uint8)
        spandrel_answer = upscaler.upscale(picture, factor)
        assert apart(spandrel_answer, expected) <= (1 if scale % factor == 0 else 12), factor
    with pytest.raises(ModelError, match="not by 7"):
        upscaler.upscale(picture, 7)


@pytest.mark.parametrize("make", [compact, esrgan, span, safmn, cugan])
def test_any_tile_size_gives_the_same_picture(tmp_path: Path, make: Callable[[], Any]) -> None:
    file = saved(tmp_path, make(), wrap=None)
    picture = scene(50, 83)
    whole = SpandrelUpscaler(upscaler_parts(file), tile=1000).upscale(picture, 2)
    tiled = SpandrelUpscaler(upscaler_parts(file), tile=32).upscale(picture, 2)
    assert whole.shape == (100, 166, 3)
    assert apart(whole, picture.repeat(2, 0).repeat(2, 1)) > 5, "the network does something"
    # RealCUGAN weighs channels by their mean over all that it sees
    assert apart(whole, tiled) <= (8 if make is cugan else 1)


@pytest.mark.parametrize("folds", [2, 4])
def test_a_real_esrgan_that_folds_its_input(tmp_path: Path, folds: int) -> None:
    """x2plus: 2 x 2 px become channels of a network of factor 4; factor 1 is refused."""
    file = saved(tmp_path, esrgan(in_nc=3 * folds**2, shuffle_factor=folds))
    if folds == 4:
        with pytest.raises(ModelError, match="factor 1, which restores"):
            SpandrelUpscaler(upscaler_parts(file))
        return
    upscaler = SpandrelUpscaler(upscaler_parts(file), tile=40)
    assert upscaler.factors == (2,)
    picture = scene(37, 61)
    whole = SpandrelUpscaler(upscaler_parts(file), tile=1000).upscale(picture, 2)
    assert apart(upscaler.upscale(picture, 2), whole) <= 1


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.ckpt", "a.PTH", "a.safetensors"])
def test_all_endings_and_precisions_of_a_file_give_one_answer(tmp_path: Path, name: str) -> None:
    expected = SpandrelUpscaler(upscaler_parts(saved(tmp_path, compact()))).upscale(noise(9, 8), 4)
    if name.endswith("safetensors"):
        from safetensors.torch import save_file

        save_file(torch.load(tmp_path / "network.pth", weights_only=True)["params"], tmp_path / name)
    else:
        saved(tmp_path, compact(), name)
    assert np.array_equal(SpandrelUpscaler(upscaler_parts(tmp_path / name)).upscale(noise(9, 8), 4), expected)
    state = torch.load(tmp_path / "network.pth", weights_only=True)["params"]
    half = written(tmp_path / "half.pth", {key: value.half() for key, value in state.items()})
    assert apart(SpandrelUpscaler(upscaler_parts(half)).upscale(noise(9, 8), 4), expected) <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 61), (61, 1), (2, 3), (37, 53)])
def test_pictures_of_any_size_and_lie_in_memory(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    views = [
        picture,
        picture[:, ::-1],
        picture[..., ::-1],
        picture[::-1][::2],
        np.broadcast_to(picture[:1, :1], (4, 5, 3)),
    ]
    for make in (compact, safmn):
        upscaler = SpandrelUpscaler(upscaler_parts(saved(tmp_path, make())), tile=48)
        for view in views:
            large = upscaler.upscale(view, 2)
            assert large.shape == (view.shape[0] * 2, view.shape[1] * 2, 3)
            assert large.flags.writeable
            assert np.array_equal(large, upscaler.upscale(np.ascontiguousarray(view), 2))


def test_requirements_of_size_are_met_by_mirroring(tmp_path: Path) -> None:
    from spandrel import SizeRequirements

    upscaler = SpandrelUpscaler(upscaler_parts(saved(tmp_path, compact())))
    expected = upscaler.upscale(noise(5, 30), 4)
    seen = []
    upscaler._model.size_requirements = SizeRequirements(minimum=48, multiple_of=16, square=True)
    upscaler._model.model.register_forward_hook(lambda module, given, answer: seen.append(given[0][0].numpy()))
    assert np.array_equal(upscaler.upscale(noise(5, 30), 4), expected)
    (planes,) = seen
    assert planes.shape == (3, 48, 48)
    assert np.allclose(planes.transpose(1, 2, 0) * 255, window(noise(5, 30), -4, -4, 48, 48), atol=1e-3)


def test_flat_colours_stay(tmp_path: Path) -> None:
    upscaler = SpandrelUpscaler(upscaler_parts(saved(tmp_path, compact())))
    large = upscaler.upscale(np.full((20, 24, 3), (200, 100, 30), np.uint8), 4)
    assert np.abs(large.mean((0, 1)) - (200, 100, 30)).max() < 2


# --- files that are none


class Harm:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["HARM"],)


def _truncated(path: Path) -> None:
    saved(path.parent, compact(), path.name)
    path.write_bytes(path.read_bytes()[:2000])


def _torchscript(path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 3, 3)), str(path))


def _face(path: Path) -> None:
    written(path, {"params_ema": {"stylegan_decoder.style_mlp.1.weight": torch.zeros(2)}})


def _nan(path: Path) -> None:
    network = compact()
    network.body[0].bias.data[0] = float("nan")
    written(path, network.state_dict())


def _misshapen(path: Path) -> None:
    state = compact().state_dict()
    state["body.2.weight"] = torch.zeros(8, 9, 3, 3)
    written(path, state)


FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.pth", lambda path: None, "no readable file .No such file"),
    "folder": ("a.pth", lambda path: path.mkdir(), "no readable file"),
    "empty": ("a.pth", lambda path: path.write_bytes(b""), "a damaged file .EOFError"),
    "text": (
        "a.pth",
        lambda path: path.write_text("<!DOCTYPE html><html>not found</html>"),
        "a file that is damaged, or holds more",
    ),
    "text as safetensors": (
        "a.safetensors",
        lambda path: path.write_text("<html>not found</html>"),
        "a damaged file .SafetensorError",
    ),
    "truncated": ("a.pth", _truncated, "a damaged file .RuntimeError"),
    "another ending": ("a.onnx", lambda path: path.write_bytes(b"x"), "ends in `.onnx`"),
    "torchscript": ("a.pt", _torchscript, "a TorchScript program"),
    "torchscript as pth": ("a.pth", _torchscript, "a TorchScript program"),
    "a list": ("a.pth", lambda path: written(path, [torch.zeros(1)] * 2), "holds list"),
    "nothing": ("a.pth", lambda path: written(path, {}), "holds dict"),
    "checkpoint": (
        "a.pth",
        lambda path: written(path, {"generator": {"a": torch.zeros(1)}, "optimizer": {}, "epoch": 3}),
        "training checkpoint.*generator, optimizer, epoch",
    ),
    "misshapen": ("a.pth", _misshapen, "do not fit the architecture"),
    "grey": (
        "a.pth",
        lambda path: saved(path.parent, compact(num_in_ch=1, num_out_ch=1), path.name),
        "1 channels in and 1 out",
    ),
    "restores": ("a.pth", lambda path: saved(path.parent, compact(1), path.name), "factor 1, which restores"),
    "nan": ("a.pth", _nan, "weights that are not numbers"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_file_that_is_no_such_network_is_one_sentence(tmp_path: Path, kind: str) -> None:
    name, make, got = FAULTS[kind]
    make(tmp_path / name)
    with pytest.raises(ModelError, match=f"(?s){name}: expected the weights .*{got}.*; {REMEDY}$"):
        SpandrelUpscaler(upscaler_parts(tmp_path / name))


def test_faces_and_inpainting_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spandrel
    from spandrel import ImageModelDescriptor, MaskedImageModelDescriptor

    network = compact(1)
    kind = spandrel.MAIN_REGISTRY["Compact"].architecture
    common = {"architecture": kind, "tags": [], "supports_half": True, "supports_bfloat16": True}
    common |= {"input_channels": 3, "output_channels": 3}
    state = network.state_dict()
    face = ImageModelDescriptor(network, dict(state), purpose="FaceSR", scale=4, **common)  # type: ignore[arg-type]
    holes = MaskedImageModelDescriptor(network, dict(state), purpose="Inpainting", **common)  # type: ignore[arg-type]
    file = saved(tmp_path, compact())
    for descriptor, purpose in ((face, "FaceSR"), (holes, "Inpainting")):
        monkeypatch.setattr(spandrel.ModelLoader, "load_from_state_dict", lambda self, state, it=descriptor: it)
        with pytest.raises(ModelError, match=f"a network for {purpose}"):
            SpandrelUpscaler(upscaler_parts(file))


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_opening_a_file_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, zipped: bool) -> None:
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    torch.save(
        {"params": compact().state_dict(), "more": Harm()}, tmp_path / name, _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(ModelError, match=r"may run code when it is opened \(.*mkdir"):
        SpandrelUpscaler(upscaler_parts(tmp_path / name))
    assert not (tmp_path / "harm").exists()
    torch.load(tmp_path / name, weights_only=False)
    assert (tmp_path / "harm").exists(), "the file was harmful"


# --- answers that are none, and too little memory


def _overflowing() -> Any:
    """Right in full precision; in half precision its first convolution is infinite where the picture is bright."""
    network = nearest(4)
    network.body[0].weight.data[0] = 60000.0
    network.body[1].weight.data.fill_(1.0)
    # twice 0 * x: 0 in full precision, not a number once x is infinite
    return network


def test_half_precision_that_overflows_is_done_again_in_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path / "n.pth", _overflowing().state_dict())
    upscaler = SpandrelUpscaler(upscaler_parts(file), tile=8)
    picture = np.zeros((8, 24, 3), np.uint8)
    picture[:, 17:] = 255
    expected = upscaler.upscale(picture, 4)
    upscaler._use(half=True)
    assert upscaler._model.dtype == torch.float16
    with caplog.at_level(logging.WARNING, LOGGER):
        assert apart(upscaler.upscale(picture, 4), expected) <= 1
        upscaler.upscale(picture, 4)
    assert [record.message for record in caplog.records] == [
        "tested: a result in half precision is not a number; going on in full precision, which is slower"
    ]
    assert upscaler._model.dtype == torch.float32


def test_an_infinite_answer_is_seen_although_it_is_clipped(tmp_path: Path) -> None:
    network = nearest(4)
    network.body[-1].bias.data.fill_(65000.0)
    file = written(tmp_path / "n.pth", network.state_dict())
    upscaler = SpandrelUpscaler(upscaler_parts(file))
    upscaler._use(half=True)
    # 65000 + 1 is still 65000 in half precision: finite, so nothing to mend
    upscaler.upscale(noise(4, 4), 4)
    assert upscaler._half
    upscaler._model.model.body[-1].bias.data.fill_(float("inf"))
    upscaler.upscale(noise(4, 4), 4)
    assert not upscaler._half


def test_full_precision_without_numbers_is_an_error_of_this_picture(tmp_path: Path) -> None:
    network = nearest(4)
    network.body[0].weight.data[0] = 3e38
    network.body[2].weight.data.fill_(3e38)
    upscaler = SpandrelUpscaler(upscaler_parts(written(tmp_path / "n.pth", network.state_dict())))
    with pytest.raises(PictureError, match="not numbers"):
        upscaler.upscale(np.full((4, 4, 3), 255, np.uint8), 4)
    assert upscaler.upscale(np.zeros((4, 4, 3), np.uint8), 4).max() == 0


def test_memory_that_runs_out_halves_the_tiles(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(tmp_path, compact())
    expected = SpandrelUpscaler(upscaler_parts(file)).upscale(scene(90, 200), 2)
    upscaler = SpandrelUpscaler(upscaler_parts(file))
    run, limit = upscaler._run, 100 * 100

    def short_of_memory(seen: Any) -> Any:
        if seen.shape[0] * seen.shape[1] > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return run(seen)

    monkeypatch.setattr(upscaler, "_run", short_of_memory)
    with caplog.at_level(logging.WARNING, LOGGER):
        assert apart(upscaler.upscale(scene(90, 200), 2), expected) <= 1
        upscaler.upscale(scene(90, 200), 2)
    assert [record.message for record in caplog.records] == [
        "tested: memory ran out with tiles of 200 px; going on with 100",
        "tested: memory ran out with tiles of 100 px; going on with 50",
    ]
    limit = 0
    with pytest.raises(ModelError, match="even with tiles of 30 px"):
        upscaler.upscale(scene(90, 200), 2)
    monkeypatch.setattr(upscaler, "_run", lambda seen: torch.zeros(2, 3) @ torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="shapes"):
        upscaler.upscale(scene(90, 200), 2)


def test_an_answer_of_another_size_is_an_error(tmp_path: Path) -> None:
    upscaler = SpandrelUpscaler(upscaler_parts(saved(tmp_path, compact())))
    upscaler._scale = 2
    with pytest.raises(ModelError, match=r"expected an answer of \(\d+, \d+, 3\)"):
        upscaler.upscale(noise(4, 4), 2)


# --- the same weights through ncnn


def _official(tmp_path: Path, state: dict[str, np.ndarray]) -> Path:
    return written(
        tmp_path / "official.pth", {"params": {key: torch.from_numpy(value.copy()) for key, value in state.items()}}
    )


def _param(network: Any, factor: int) -> Path:
    pytest.importorskip("ncnn")
    return next(path for path in network.weights() if path.name == f"{network.files[factor]}.param")


def test_the_ncnn_files_of_all_factors_hold_one_network() -> None:
    """2x and 3x are the 4x network with a bicubic step after it, not networks of their own."""
    assert len({_param(ANIMEVIDEO, factor).with_suffix(".bin").read_bytes() for factor in (2, 3, 4)}) == 1


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "with colours put back"])
def test_our_own_and_torch_agree_on_the_animation_network(
    tmp_path: Path, raw: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if raw:
        for module in ("spandrel_upscaler", "realesrgan"):
            monkeypatch.setattr(f"animeset_lib.models.upscalers.{module}.put_colours_back", lambda large, picture: None)
    file = _official(tmp_path, ncnn_weights.state_dict(_param(ANIMEVIDEO, 4)))
    upscaler = SpandrelUpscaler(upscaler_parts(file), tile=64)
    assert (upscaler._model.architecture.id, upscaler._model.tags, upscaler._scale, upscaler._margin) == (
        "Compact",
        ["64nf", "16nc"],
        4,
        18,
    )
    picture = scene(96, 120)
    torch_answer = upscaler.upscale(picture, 4)
    ours = RealEsrgan(upscaler_parts(), ANIMEVIDEO)
    own_answer = ours.upscale(picture, 4)
    assert apart(torch_answer, picture.repeat(4, 0).repeat(4, 1)) > 50
    assert apart(torch_answer, own_answer) <= 2
    # areas against a bicubic step that looks at 4 x 4 px only
    lines = drawing(120)
    assert np.abs(upscaler.upscale(lines, 2).astype(int) - ours.upscale(lines, 2)).mean() < 1


def test_our_own_and_torch_agree_on_the_drawing_network(tmp_path: Path) -> None:
    file = _official(tmp_path, ncnn_weights.state_dict(_param(X4PLUS_ANIME, 4)))
    upscaler = SpandrelUpscaler(upscaler_parts(file))
    assert (upscaler._model.architecture.id, upscaler._model.tags, upscaler._margin) == ("ESRGAN", ["64nf", "6nb"], 52)
    picture = scene(30, 40)
    assert apart(upscaler.upscale(picture, 4), RealEsrgan(upscaler_parts(), X4PLUS_ANIME).upscale(picture, 4)) <= 2


def test_importing_the_module_imports_neither_torch_nor_spandrel() -> None:
    assert not {"torch", "spandrel"} & set(vars(spandrel_upscaler))
