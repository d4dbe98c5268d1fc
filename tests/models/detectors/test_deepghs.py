"""The four networks of deepghs, by tiny ones that answer known boxes: thresholds, and half bodies inside persons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo, Picture
from animeset_lib.models.detectors.deepghs import IOU_MAX, SCORE_MIN, Deepghs, DeepghsOne, Kind
from animeset_lib.models.engines.device import Device
from animeset_lib.models.spec import Parts

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402  (after the skip)

SIDE = 64


def network(path: Path, label: str, *boxes: tuple[float, ...], weighed: bool = False) -> Path:
    """A network of 64 x 64 px that answers `boxes` (centre x, y, width, height, score) to every picture.

    `weighed`: scores times the mean brightness 0..1.
    """
    answer = np.zeros((1, 5, 84), np.float32)
    answer[0, 2:4] = 4
    answer[0, :, : len(boxes)] = np.array(boxes).T
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "shape"], ["flat"]),
        helper.make_node("Sub", ["flat", "flat"], ["nothing"]),
        helper.make_node("Add", ["boxes", "nothing"], ["placed"]),
        helper.make_node("Add", ["nothing", "one"], ["unweighed"]),
        helper.make_node("Mul", ["scores", "flat" if weighed else "unweighed"], ["scored"]),
        helper.make_node("Concat", ["placed", "scored"], ["output0"], axis=1),
    ]
    constants = {
        "boxes": answer[:, :4],
        "scores": answer[:, 4:],
        "shape": np.array([-1, 1, 1], np.int64),
        "one": np.ones((1, 1, 1), np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"names": str({0: label}), "imgsz": f"[{SIDE}, {SIDE}]"})
    onnx.save(model, path)
    return path


def parts(*files: Path) -> Parts:
    return Parts(ModelInfo("deepghs", "detector", "0", "rung", "MIT", "source"), files, Device(), "get it again")


def white(height: int, width: int) -> Picture:
    return np.full((height, width, 3), 255, np.uint8)


@pytest.mark.parametrize(("kind", "least"), [("face", 0.2), ("head", 0.4), ("person", 0.4), ("halfbody", 0.4)])
def test_only_faces_are_returned_below_their_threshold(tmp_path: Path, kind: Kind, least: float) -> None:
    path = network(tmp_path / "model.onnx", kind, *((10 * k, 32, 8, 8, 0.1 * k) for k in range(1, 6)))
    detector = DeepghsOne(parts(path), kind, 0.4001, 0.7)
    (found,) = detector.detect([white(SIDE, SIDE)])
    # .1 and .2 are at most half of the threshold; .4 is just below it
    assert [round(d.score, 3) for d in found] == ([0.5, 0.4, 0.3] if kind == "face" else [0.5])
    assert {d.kind for d in found} == {kind}
    assert detector.score_min == 0.4001
    assert min(d.score for d in found) >= least


def test_the_iou_limit_is_the_one_given(tmp_path: Path) -> None:
    # 10..29 and 10..23 wide at equal height: 20 columns and 14 with the last pixel, IoU .7
    path = network(tmp_path / "model.onnx", "face", (19.5, 30, 19, 19, 0.9), (16.5, 30, 13, 19, 0.8))
    for limit, left in ((0.69, 1), (0.71, 2)):
        assert len(DeepghsOne(parts(path), "face", 0.3, limit).detect([white(SIDE, SIDE)])[0]) == left


@pytest.fixture
def four(tmp_path: Path) -> tuple[Path, ...]:
    return (
        network(tmp_path / "face.onnx", "face", (16, 12, 8, 8, 0.2), (48, 12, 8, 8, 0.31)),
        network(tmp_path / "head.onnx", "head", (16, 12, 12, 12, 0.42), (48, 12, 12, 12, 0.41)),
        network(tmp_path / "person.onnx", "person", (16, 36, 16, 48, 0.5), (48, 36, 16, 48, 0.6), (30, 30, 4, 4, 0.34)),
        # of two half bodies only the better one of each person counts
        network(tmp_path / "half.onnx", "halfbody", (32, 16, 64, 32, 0.9), (32, 48, 32, 16, 0.7), weighed=True),
    )


def test_all_four_kinds_with_half_bodies_moved_back_to_the_picture(four: tuple[Path, ...]) -> None:
    picture = white(128, 192)
    # the left person is dark: its half body scores .9 x 100/255, which is below .577
    picture[:, :96] = 100
    detector = Deepghs(parts(*four))
    (found,) = detector.detect([picture])
    # x is three times the network's, y twice; the right person is at 120..168 x 24..120
    assert [(d.kind, d.box.xyxy, round(d.score, 3)) for d in found] == [
        ("halfbody", (120, 24, 168, 72), 0.9),
        ("person", (120, 24, 168, 120), 0.6),
        ("person", (24, 24, 72, 120), 0.5),
        ("head", (30, 12, 66, 36), 0.42),
        ("face", (132, 16, 156, 32), 0.31),
        ("face", (36, 16, 60, 32), 0.2),
    ]
    assert detector.score_min == SCORE_MIN["face"] == 0.307


def test_a_batch_equals_single_pictures(four: tuple[Path, ...]) -> None:
    noise = np.random.default_rng(0)
    pictures: list[Any] = [
        white(128, 192),
        white(1, 1),
        white(61, 1)[:, ::-1],
        noise.integers(0, 256, (37, 53, 3), np.uint8),
    ]
    pictures[0].setflags(write=False)
    detector = Deepghs(parts(*four))
    together = detector.detect(pictures)
    assert together == [detector.detect([picture])[0] for picture in pictures]
    assert detector.detect([]) == []
    for found, picture in zip(together, pictures, strict=True):
        assert all(d.box.clip(picture.shape[1], picture.shape[0]) == d.box for d in found)
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_limits_are_those_of_the_sources() -> None:
    assert SCORE_MIN == {"face": 0.307, "head": 0.413, "person": 0.348, "halfbody": 0.577}
    assert IOU_MAX == {"face": 0.7, "head": 0.7, "person": 0.5, "halfbody": 0.7}


def test_a_network_of_several_classes_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path / "two.onnx", "face", (16, 12, 8, 8, 0.2))
    model = onnx.load(path)
    helper.set_model_props(model, {})  # without names there are as many classes as rows of scores
    answer = numpy_helper.from_array(np.full((1, 2, 84), 0.1, np.float32), "scores")
    model.graph.initializer.remove(next(i for i in model.graph.initializer if i.name == "scores"))
    model.graph.initializer.append(answer)
    onnx.save(model, path)
    with pytest.raises(
        ModelError, match=r"two\.onnx: expected a network with the one class face, got classes 0, 1; get it again"
    ):
        DeepghsOne(parts(path), "face", 0.3, 0.7)
