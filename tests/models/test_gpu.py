"""The same answers on a CUDA card as on the processor, and sooner. Runs only where there is a card; `benchmarks/networks.py` has the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_demo import iter_demo_frames
from animeset_lib.models.engines.device import Device, cards, choose, onnx_uses, torch_uses
from animeset_lib.models.provider import Zoo
from animeset_lib.models.weights import Weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not cards(), reason="no CUDA card here"),
]


def zoo(device: Device) -> Zoo:
    return Zoo(device=device, weights=Weights(Path("nowhere")))


def seconds(work: Callable[[], Any]) -> float:
    work()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [picture for picture, _ in iter_demo_frames(width=1280, height=720, fps=1, length_s=16)]


@pytest.fixture(scope="module")
def card() -> Device:
    device = choose("cuda")
    assert onnx_uses(device), "onnxruntime-gpu is missing: this test would compare the processor with itself"
    return device


def test_faces_are_the_same(card: Device, pictures: list[np.ndarray]) -> None:
    here, there = zoo(Device(threads=4)).detector("animeset-face"), zoo(card).detector("animeset-face")
    for ours, theirs in zip(here.detect(pictures), there.detect(pictures), strict=True):
        sure = [d for d in ours if d.score > here.score_min + 0.05]
        for detection in sure:
            best = max(theirs, key=lambda d: d.box.iou(detection.box))
            assert best.box.iou(detection.box) > 0.95
            assert best.score == pytest.approx(detection.score, abs=0.02)
    print("faces, times as fast:", seconds(lambda: here.detect(pictures)) / seconds(lambda: there.detect(pictures)))


def test_identities_are_the_same(card: Device, pictures: list[np.ndarray]) -> None:
    heads = [picture[100:400, 300:600] for picture in pictures] * 4
    here, there = zoo(Device(threads=4)).embedder("animeset-identity"), zoo(card).embedder("animeset-identity")
    assert ((here.embed(heads) * there.embed(heads)).sum(axis=1) > 0.999).all()
    print("identities, times as fast:", seconds(lambda: here.embed(heads)) / seconds(lambda: there.embed(heads)))


def test_enlarged_pictures_are_the_same(card: Device, tmp_path: Path, pictures: list[np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("spandrel")
    assert torch_uses(card)
    from animeset_lib.models.upscalers.ncnn_weights import state_dict
    from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO
    from animeset_lib.models.upscalers.spandrel_upscaler import SpandrelUpscaler
    from tests.models.tiny import parts

    (param,) = (path for path in ANIMEVIDEO.weights() if path.name.endswith("UP4X.param"))
    path = tmp_path / "animevideov3.pth"
    torch.save({"params": {key: torch.from_numpy(value.copy()) for key, value in state_dict(param).items()}}, path)
    on_processor = parts(path, task="upscaler")
    here = SpandrelUpscaler(on_processor)
    there = SpandrelUpscaler(replace(on_processor, device=card))
    small = pictures[0][:256, :384]
    apart = np.abs(here.upscale(small, 2).astype(int) - there.upscale(small, 2).astype(int))
    assert apart.max() <= 3, "half precision may round, not more"
    assert apart.mean() < 0.3
    print(
        "enlarging, times as fast:", seconds(lambda: here.upscale(small, 2)) / seconds(lambda: there.upscale(small, 2))
    )
    assert torch.cuda.max_memory_allocated(card.index) < 4e9
