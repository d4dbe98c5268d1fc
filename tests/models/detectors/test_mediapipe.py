"""MediaPipe's face detector: its answers by a stand-in, and the real task on a tiny network of the same signature where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo, Picture
from animeset_lib.models.detectors.mediapipe_face import MediapipeFace
from animeset_lib.models.engines.device import Device
from animeset_lib.models.spec import Parts


def parts(path: Path) -> Parts:
    info = ModelInfo("mediapipe-face", "detector", "0", "rung", "Apache-2.0", "source")
    return Parts(info, (path,), Device(), "get it again with: animeset models get mediapipe-face")


def face(x: int, y: int, width: int, height: int, score: float) -> SimpleNamespace:
    box = SimpleNamespace(origin_x=x, origin_y=y, width=width, height=height)
    return SimpleNamespace(bounding_box=box, categories=[SimpleNamespace(score=score)])


class StandIn:
    """The part of the package `mediapipe` that is used; answers `faces` and keeps what it was given."""

    def __init__(self, faces: list[SimpleNamespace]) -> None:
        self.given: list[SimpleNamespace] = []
        self.closed: list[bool] = []
        self.options: Any = None
        self.ImageFormat = SimpleNamespace(SRGB="srgb")
        self.Image = SimpleNamespace
        detector = SimpleNamespace(create_from_options=self._create)
        vision = SimpleNamespace(FaceDetectorOptions=SimpleNamespace, FaceDetector=detector)
        self.tasks = SimpleNamespace(vision=vision, BaseOptions=SimpleNamespace)
        self._faces = faces

    def _create(self, options: SimpleNamespace) -> SimpleNamespace:
        self.options = options
        if options.base_options.model_asset_buffer != b"network":
            raise RuntimeError("The model is not a valid Flatbuffer buffer\nwith a trace")
        return SimpleNamespace(detect=self._detect, close=lambda: self.closed.append(True))

    def _detect(self, image: SimpleNamespace) -> SimpleNamespace:
        self.given.append(image)
        return SimpleNamespace(detections=self._faces)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "größe.tflite"
    path.write_bytes(b"network")
    return path


def test_boxes_are_clipped_and_sorted_and_empty_ones_left_out(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [
        face(-5, 10, 30, 20, 0.4),
        face(90, 50, 30, 30, 0.9),
        face(200, 0, 10, 10, 0.8),
        face(20, 20, 0, 5, 0.7),
        face(1, 2, 3, 4, 1.0000001),
    ]
    stand_in = StandIn(faces)
    monkeypatch.setitem(sys.modules, "mediapipe", stand_in)
    detector = MediapipeFace(parts(weights))
    picture = np.zeros((60, 100, 3), np.uint8)[:, ::-1]
    (found,) = detector.detect([picture])
    assert [(d.kind, d.box.xyxy, d.score) for d in found] == [
        ("face", (1, 2, 4, 6), 1.0),
        ("face", (90, 50, 100, 60), 0.9),
        ("face", (0, 10, 25, 30), 0.4),
    ]
    (image,) = stand_in.given
    assert image.image_format == "srgb"
    assert image.data.flags.c_contiguous
    assert detector.score_min == 0.5
    assert stand_in.options.min_detection_confidence == 0.25
    assert detector.detect([]) == []
    del detector
    assert stand_in.closed == [True]


def test_a_file_that_is_no_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", StandIn([]))
    path = tmp_path / "other.tflite"
    path.write_bytes(b"no network")
    with pytest.raises(
        ModelError, match=r"other\.tflite: expected a face detector .*Flatbuffer buffer; get it again"
    ) as error:
        MediapipeFace(parts(path))
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="missing"):
        MediapipeFace(parts(tmp_path / "missing.tflite"))


def tiny_network() -> bytes:
    """A `.tflite` with BlazeFace's signature: 128 x 128 pictures → 896 boxes and 896 scores.

    It answers one box, at the anchor of the cell in column 8 and row 8 of 16 (centre at 8.5/16 of the square), 32 px of the 128 wide and
    high, with the score σ(2 r), r being the mean of the red channel from -1 to 1.
    """
    schema = pytest.importorskip("mediapipe.tasks.metadata.schema_py_generated")
    facts = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")

    def packed(tree: Any, mark: bytes) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(tree.Pack(builder), file_identifier=mark)
        return bytes(builder.Output())

    anchor = 2 * (8 * 16 + 8)
    boxes = np.zeros((1, 896, 16), np.float32)
    boxes[0, anchor, 2:4] = 32
    scores = np.full((1, 896, 1), -90, np.float32)
    scores[0, anchor] = 0
    red = np.array([6, 0, 0], np.float32).reshape(1, 1, 1, 3)  # 2 r, and the mean is over three channels
    axes = np.array([1, 2, 3], np.int32)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.buffers, graph.tensors = [schema.BufferT()], []
    model.buffers[0].data = b""

    def tensor(name: str, shape: tuple[int, ...], value: Any = None) -> int:
        new = schema.TensorT()
        new.name, new.shape, new.buffer = name, list(shape), 0
        new.type = (
            schema.TensorType.INT32 if value is not None and value.dtype == np.int32 else schema.TensorType.FLOAT32
        )
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
            new.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(new)
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], output: int, kind: int, options: Any) -> Any:
        new = schema.OperatorT()
        entry = schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 1
        model.operatorCodes.append(entry)
        new.opcodeIndex, new.inputs, new.outputs = len(model.operatorCodes) - 1, inputs, [output]
        new.builtinOptionsType, new.builtinOptions = kind, options
        return new

    model.operatorCodes = []
    picture = tensor("input", (1, 128, 128, 3))
    weighed, mean = tensor("weighed", (1, 128, 128, 3)), tensor("mean", (1, 1, 1, 1))
    flat, none = tensor("flat", (1, 1, 1)), tensor("none", (1, 1, 1))
    box_out, score_out = tensor("regressors", (1, 896, 16)), tensor("classificators", (1, 896, 1))
    op, kinds = schema.BuiltinOperator, schema.BuiltinOptions
    keep = schema.ReducerOptionsT()
    keep.keepDims = True
    shape = schema.ReshapeOptionsT()
    shape.newShape = [1, 1, 1]
    three = tensor("three", (3,), np.array([1, 1, 1], np.int32))
    graph.operators = [
        operator(op.MUL, [picture, tensor("red", red.shape, red)], weighed, kinds.MulOptions, schema.MulOptionsT()),
        operator(op.MEAN, [weighed, tensor("axes", (3,), axes)], mean, kinds.ReducerOptions, keep),
        operator(op.RESHAPE, [mean, three], flat, kinds.ReshapeOptions, shape),
        operator(op.SUB, [flat, flat], none, kinds.SubOptions, schema.SubOptionsT()),
        operator(op.ADD, [tensor("boxes", boxes.shape, boxes), none], box_out, kinds.AddOptions, schema.AddOptionsT()),
        operator(
            op.ADD, [tensor("scores", scores.shape, scores), flat], score_out, kinds.AddOptions, schema.AddOptionsT()
        ),
    ]
    graph.inputs, graph.outputs = [picture], [box_out, score_out]
    model.subgraphs, model.version = [graph], 3

    options = facts.NormalizationOptionsT()
    options.mean, options.std = [127.5], [127.5]
    unit = facts.ProcessUnitT()
    unit.optionsType, unit.options = facts.ProcessUnitOptions.NormalizationOptions, options
    content = facts.ContentT()
    content.contentPropertiesType, content.contentProperties = (
        facts.ContentProperties.ImageProperties,
        facts.ImagePropertiesT(),
    )
    content.contentProperties.colorSpace = facts.ColorSpaceType.RGB
    of_input = facts.TensorMetadataT()
    of_input.processUnits, of_input.content = [unit], content
    of_graph = facts.SubGraphMetadataT()
    of_graph.inputTensorMetadata = [of_input]
    of_graph.outputTensorMetadata = [facts.TensorMetadataT(), facts.TensorMetadataT()]
    of_model = facts.ModelMetadataT()
    of_model.subgraphMetadata = [of_graph]
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(packed(of_model, b"M001"), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [entry]
    return packed(model, b"TFL3")


def test_the_real_task_finds_the_box_of_a_tiny_network(tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_network())
    detector = MediapipeFace(parts(path))
    red = np.zeros((200, 200, 3), np.uint8)
    red[..., 0] = 255
    blue = red[..., ::-1]
    (found,), none = detector.detect([red, blue])
    # σ(2) for red; blue's σ(-2) = .12 is below the least score
    assert found.score == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-3)
    assert found.box.xyxy == pytest.approx((81.25, 81.25, 131.25, 131.25), abs=1)
    assert none == []
    # half of the square is black border here: r = 0, and the picture's rows begin at 50 of its 200
    ((wide,),) = detector.detect([red[:100]])
    assert wide.score == pytest.approx(0.5, abs=0.01)
    assert wide.box.xyxy == pytest.approx((81.25, 31.25, 131.25, 81.25), abs=1)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (400, 3)])
def test_the_real_task_takes_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    pytest.importorskip("mediapipe")
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_network())
    picture: Picture = np.full((*size, 3), 255, np.uint8)
    for found in MediapipeFace(parts(path)).detect([picture])[0]:
        assert found.box.clip(size[1], size[0]) == found.box
        assert 0 <= found.score <= 1


def test_the_real_task_refuses_another_file(tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_network()[:2000])
    with pytest.raises(ModelError, match=r"tiny\.tflite: expected a face detector"):
        MediapipeFace(parts(path))
