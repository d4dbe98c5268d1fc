"""Real-ESRGAN from the wheel's files: tiles, colours, lines, and what ncnn made of the same files."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from animeset_lib.models.api import Picture
from animeset_lib.models.engines import onnx as onnx_file
from animeset_lib.models.upscalers import realesrgan_onnx
from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrgan
from tests.models.drawn import apart, drawing, scene, upscaler_parts

PARTS = upscaler_parts()


def psnr(one: Picture, other: Picture) -> float:
    return float(10 * np.log10(255**2 / ((one.astype(float) - other) ** 2).mean()))


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("tile", [17, 32, 61])
def test_any_tile_size_gives_the_same_picture(factor: int, tile: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (30, 47, 3), dtype=np.uint8)
    picture = np.vstack([drawing(64)[:34, :47], noise])
    whole = RealEsrgan(PARTS, ANIMEVIDEO, tile=1000).upscale(picture, factor)
    tiled = RealEsrgan(PARTS, ANIMEVIDEO, tile=tile).upscale(picture, factor)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


def test_tiles_of_the_deep_network_agree() -> None:
    picture = drawing(64)[20:34, 10:60]
    whole = RealEsrgan(PARTS, X4PLUS_ANIME, tile=1000).upscale(picture, 4)
    tiled = RealEsrgan(PARTS, X4PLUS_ANIME, tile=26).upscale(picture, 4)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


@pytest.mark.parametrize(("network", "factor"), [(ANIMEVIDEO, 2), (ANIMEVIDEO, 3), (ANIMEVIDEO, 4), (X4PLUS_ANIME, 4)])
@pytest.mark.parametrize("colour", [(200, 100, 30), (12, 40, 90)])
def test_flat_colours_stay(network: Network, factor: int, colour: tuple[int, int, int]) -> None:
    side = 24 if network is ANIMEVIDEO else 6
    large = RealEsrgan(PARTS, network).upscale(np.full((side, side, 3), colour, np.uint8), factor)
    assert np.abs(large.astype(int) - colour).max() <= 2


def test_lines_come_back_better_than_by_interpolation() -> None:
    original = drawing(128)
    small = cv2.resize(original, (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)
    cubic = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    assert psnr(original, RealEsrgan(PARTS, ANIMEVIDEO).upscale(small, 2)) > psnr(original, cubic) + 2


@pytest.mark.parametrize(
    ("name", "network", "factor", "shape"),
    [
        *(("animevideov3", ANIMEVIDEO, factor, (33, 46)) for factor in (2, 3, 4)),
        ("x4plus-anime", X4PLUS_ANIME, 4, (14, 19)),
    ],
)
@pytest.mark.parametrize("openvino", [True, False], ids=["openvino", "onnxruntime"])
def test_pictures_are_those_that_ncnn_made(
    name: str,
    network: Network,
    factor: int,
    shape: tuple[int, int],
    openvino: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`by_ncnn/` holds what ncnn 1.0.20261020 answered with the same files in 32 bits."""
    if not openvino:
        monkeypatch.setattr(onnx_file, "missing", lambda: "a test does without it")
    made = cv2.imread(str(Path(__file__).parent / "by_ncnn" / f"{name}-{factor}x.png"))
    assert made is not None
    assert apart(RealEsrgan(PARTS, network).upscale(scene(*shape), factor), made[..., ::-1]) <= 1


def test_the_network_file_is_made_once_and_kept_beside_the_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANIMESET_MODELS", str(tmp_path))
    picture = drawing(16)
    first = RealEsrgan(PARTS, ANIMEVIDEO).upscale(picture, 2)
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert re.fullmatch(r"REALESRGAN_ANIMAVIDEOV3_UP2X-whole-[0-9a-f]{12}-\d+\.onnx", file.name)
    monkeypatch.setattr(realesrgan_onnx, "compact", lambda *given: pytest.fail("made again"))
    assert np.array_equal(RealEsrgan(PARTS, ANIMEVIDEO).upscale(picture, 2), first)


def test_the_same_picture_comes_out_every_time() -> None:
    picture = scene(61, 83)
    upscaler = RealEsrgan(PARTS, ANIMEVIDEO)
    first = upscaler.upscale(picture, 2)
    upscaler.upscale(scene(90, 40), 2)
    assert np.array_equal(upscaler.upscale(picture, 2), first)
    assert np.array_equal(RealEsrgan(PARTS, ANIMEVIDEO).upscale(picture, 2), first)
