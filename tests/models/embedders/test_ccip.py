"""CCIP on tiny networks of its signature: preprocessing, and the translation of its difference into a cosine distance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.embedders.ccip import Ccip

pytest.importorskip("onnx")
from onnx import helper

from tests.models.tiny import constant, mean, parts, save

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def features(path: Path, side: object = 384, batch: object = "N", dim: int = 3) -> Path:
    """Mean of each channel as the vector: `[N, 3, 384, 384]` → `[N, 3]`."""
    return save(path, mean("input", "output", axis=2), ("input", [batch, 3, side, side]), ("output", [batch, dim]))


def metric(path: Path, dim: int = 3, *, normalised: bool = True, falling: bool = True) -> Path:
    """(1 - cosine) / 2, as CCIP's; `normalised` off: it also depends on the vectors' lengths; `falling` off: it rises with the cosine."""
    nodes = [
        helper.make_node("ReduceL2", ["input"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Div", ["input", "length"], ["unit"]),
        helper.make_node("Transpose", ["unit" if normalised else "input"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["unit" if normalised else "input", "turned"], ["cosine"]),
        constant("half", -0.5 if falling else 0.5),
        constant("middle", 0.5),
        helper.make_node("Mul", ["cosine", "half"], ["scaled"]),
        helper.make_node("Add", ["scaled", "middle"], ["output"]),
    ]
    return save(path, nodes, ("input", ["N", dim]), ("output", ["N", "N"]))


def threshold(path: Path, value: object = 0.178475) -> Path:
    path.write_text(json.dumps({"threshold": value}), encoding="utf-8")
    return path


@pytest.fixture(params=["N", 1], ids=["any batch", "one at a time"])
def ccip(request: pytest.FixtureRequest, tmp_path: Path) -> Ccip:
    return Ccip(
        parts(
            features(tmp_path / "f.onnx", batch=request.param),
            metric(tmp_path / "m.onnx"),
            threshold(tmp_path / "m.json"),
        )
    )


def test_its_own_threshold_becomes_a_cosine_distance(ccip: Ccip) -> None:
    assert ccip.difference == 0.178475
    assert ccip.same_distance == pytest.approx(2 * 0.178475, abs=1e-4), "(1 - cosine) / 2 = difference"


def test_preprocessing_is_clips_on_the_stretched_picture(ccip: Ccip) -> None:
    head = np.full((40, 90, 3), (255, 128, 0), np.uint8)
    (vector,) = ccip.embed([head])
    expected = (np.array((1, 128 / 255, 0)) - MEAN) / STD
    assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    picture = np.random.default_rng(0).integers(0, 256, (384, 384, 3), dtype=np.uint8)
    prepared = ccip._prepared(picture)
    assert prepared.shape == (3, 384, 384)
    assert prepared[1, 7, 9] == pytest.approx((picture[7, 9, 1] / 255 - MEAN[1]) / STD[1], abs=1e-6)


def test_batch_equals_singles(ccip: Ccip) -> None:
    rng = np.random.default_rng(1)
    heads = [
        rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in [(1, 1), (61, 1), (37, 53), (384, 384), (256, 256)]
    ]
    vectors = ccip.embed(heads)
    assert vectors.shape == (5, ccip.dim)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors, np.concatenate([ccip.embed([head]) for head in heads]), atol=1e-6)
    assert ccip.embed([]).shape == (0, ccip.dim)


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    good, limit = features(tmp_path / "f.onnx"), threshold(tmp_path / "m.json")
    fine = metric(tmp_path / "m.onnx")
    with pytest.raises(
        ModelError,
        match=r"other\.onnx: expected a metric for vectors of 3 values, as f\.onnx gives them, got one for 5",
    ):
        Ccip(parts(good, metric(tmp_path / "other.onnx", dim=5), limit))
    with pytest.raises(ModelError, match="expected a metric that only falls with the cosine"):
        Ccip(parts(good, metric(tmp_path / "long.onnx", normalised=False), limit))
    with pytest.raises(ModelError, match="expected a metric that only falls with the cosine"):
        Ccip(parts(good, metric(tmp_path / "rising.onnx", falling=False), limit))
    with pytest.raises(ModelError, match=r"expected a metric that reaches the model's threshold 1\.5"):
        Ccip(parts(good, fine, threshold(tmp_path / "far.json", 1.5)))
    with pytest.raises(ModelError, match="expected JSON with a number `threshold`"):
        Ccip(parts(good, fine, threshold(tmp_path / "none.json", None)))
    with pytest.raises(
        ModelError,
        match=r"m\.onnx: expected a network with one input \[pictures, 3, height, width\], got inputs `input`",
    ):
        Ccip(parts(fine, fine, limit))


def test_a_network_that_answers_nothing_is_said(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0),
        constant("zero", 0.0),
        helper.make_node("Mul", ["mean", "zero"], ["output"]),
    ]
    zero = save(tmp_path / "zero.onnx", nodes, ("input", ["N", 3, 384, 384]), ("output", ["N", 3]))
    embedder = Ccip(parts(zero, metric(tmp_path / "m.onnx"), threshold(tmp_path / "m.json")))
    with pytest.raises(ModelError, match="expected a vector of 3 finite values"):
        embedder.embed([np.zeros((4, 4, 3), np.uint8)])
