"""Tiny networks with the signatures of the real ones, whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from animeset_lib.models.api import ModelInfo, Task
from animeset_lib.models.engines.device import Device
from animeset_lib.models.spec import Parts

INFO = ModelInfo(name="tiny", task="tagger", digest="0", rung="a test", licence="none", source="a test")
REMEDY = "run `animeset models fetch tiny --again`"


def parts(*files: Path, task: Task = "tagger", name: str = "tiny") -> Parts:
    info = ModelInfo(name=name, task=task, digest="0", rung="a test", licence="none", source="a test")
    return Parts(info, files, Device(threads=2), REMEDY)


def constant(name: str, value: object, dtype: type = np.float32) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value, dtype), name))


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    given: tuple[str, Sequence[object]],
    answer: tuple[str, Sequence[object]],
    facts: dict[str, str] | None = None,
    kind: int = TensorProto.FLOAT,
) -> Path:
    """Write a graph with one input and one output of the given names and shapes."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(given[0], kind, list(given[1]))],
        [helper.make_tensor_value_info(answer[0], TensorProto.FLOAT, list(answer[1]))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, facts or {})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def mean(given: str, answer: str, axis: int) -> list[onnx.NodeProto]:
    """Of rows, then of columns: summing a quarter of a million values at once loses the fourth digit. The limits between keep OpenVINO from that."""
    return [
        helper.make_node("ReduceMean", [given], ["rows"], axes=[axis], keepdims=0),
        constant("least", -1e6),
        constant("most", 1e6),
        helper.make_node("Clip", ["rows", "least", "most"], ["limited"]),
        helper.make_node("ReduceMean", ["limited"], [answer], axes=[axis], keepdims=0),
    ]


def mean_colour_tagger(
    path: Path, side: int, weights: np.ndarray, bias: np.ndarray, batch: object = "N", name: str = "input"
) -> Path:
    """`[N, side, side, 3]` → mean of each channel `(N, 3)` @ weights `(3, T)` + bias `(T,)`."""
    nodes = [
        *mean(name, "mean", axis=1),
        constant("w", weights),
        constant("b", bias),
        helper.make_node("MatMul", ["mean", "w"], ["scaled"]),
        helper.make_node("Add", ["scaled", "b"], ["output"]),
    ]
    return save(path, nodes, (name, [batch, side, side, 3]), ("output", [batch, weights.shape[1]]))
