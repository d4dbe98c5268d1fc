"""The two Real-ESRGAN networks as ONNX, from weights under their official names (`ncnn_weights`). RGB 0..1 in and out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.models.upscalers.ncnn_weights import State

__all__ = ["compact", "rrdb_body", "rrdb_tail"]

_SCALE = 4
_GROWTH = 0.2
"""Of RRDBNet: what its blocks add is taken so many times; also the slope of its activations."""
_OPSET, _IR_VERSION = 17, 8


class _Graph:
    """Nodes and weights as they are added; each method gives the name of what comes out."""

    def __init__(self, state: State) -> None:
        # a fifth of a second, and only when a file is made
        from onnx import helper, numpy_helper

        self._helper, self._arrays = helper, numpy_helper
        self._state = state
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, kind: str, inputs: list[str], **settings: Any) -> str:
        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], **settings))
        return name

    def constant(self, value: npt.ArrayLike, kind: type = np.float32) -> str:
        name = f"constant{len(self._weights)}"
        self._weights.append(self._arrays.from_array(np.asarray(value, kind), name))
        return name

    def convolved(self, given: str, name: str, pad: int = 1, slope: float | None = None) -> str:
        weights = [self.constant(self._state[f"{name}.{part}"]) for part in ("weight", "bias")]
        answer = self.add("Conv", [given, *weights], kernel_shape=[3, 3], pads=[pad] * 4)
        return answer if slope is None else self.add("LeakyRelu", [answer], alpha=slope)

    def enlarged(self, given: str, factor: float, **how: Any) -> str:
        return self.add("Resize", [given, "", self.constant([1, 1, factor, factor])], **how)

    def cut(self, given: str, edge: int) -> str:
        """Without so many rows and columns on each side."""
        ends = [self.constant(value, np.int64) for value in ([edge, edge], [-edge, -edge], [2, 3])]
        return self.add("Slice", [given, *ends])

    def written(self, channels: int, answer: str, channels_out: int) -> bytes:
        """The whole as a file from `data` to `output`."""
        import onnx

        def value(name: str, count: int) -> Any:
            return self._helper.make_tensor_value_info(
                name, onnx.TensorProto.FLOAT, [1, count, f"{name} h", f"{name} w"]
            )

        self._nodes.append(self._helper.make_node("Identity", [answer], ["output"]))
        graph = self._helper.make_graph(
            self._nodes, "Real-ESRGAN", [value("data", channels)], [value("output", channels_out)], self._weights
        )
        imports = [self._helper.make_opsetid("", _OPSET)]
        content: bytes = self._helper.make_model(
            graph, opset_imports=imports, ir_version=_IR_VERSION
        ).SerializeToString()
        return content


_NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def compact(state: State, factor: int, margin: int) -> bytes:
    """SRVGGNetCompact: `[1, 3, h, w]` → `[1, 3, (h - 2 margin) factor, (w - 2 margin) factor]`.

    Its convolutions do not pad but eat up the margin, one px each: so the farther in, the less of it is computed. 2x and 3x are made from 4x by a
    bicubic step, as in the wheel's files.
    """
    graph = _Graph(state)
    layers = max(int(name.split(".")[1]) for name in state) + 1
    inner = "data"
    for number in range(layers):
        if number % 2 == 0:
            inner = graph.convolved(inner, f"body.{number}", pad=0)
        else:
            inner = graph.add("PRelu", [inner, graph.constant(state[f"body.{number}.weight"].reshape(-1, 1, 1))])
    eaten = (layers + 1) // 2
    added = graph.enlarged(graph.cut("data", eaten), _SCALE, **_NEAREST)
    answer = graph.add("Add", [graph.add("DepthToSpace", [inner], blocksize=_SCALE, mode="CRD"), added])
    if factor < _SCALE:
        answer = graph.enlarged(answer, factor / _SCALE, mode="cubic", cubic_coeff_a=-0.75)
    return graph.written(3, graph.cut(answer, (margin - eaten) * factor), 3)


def rrdb_body(state: State) -> bytes:
    """RRDBNet up to where its blocks end: `[1, 3, h, w]` → `[1, 64, h, w]`."""
    graph = _Graph(state)
    first = inner = graph.convolved("data", "conv_first")
    growth = graph.constant(_GROWTH)

    def added(to: str, answer: str) -> str:
        return graph.add("Add", [graph.add("Mul", [answer, growth]), to])

    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    for block in range(blocks):
        whole = inner
        for dense in (1, 2, 3):
            known = [inner]
            for number in (1, 2, 3, 4):
                seen = graph.add("Concat", known, axis=1) if len(known) > 1 else inner
                known.append(graph.convolved(seen, f"body.{block}.rdb{dense}.conv{number}", slope=_GROWTH))
            last = graph.convolved(graph.add("Concat", known, axis=1), f"body.{block}.rdb{dense}.conv5")
            inner = added(inner, last)
        inner = added(whole, inner)
    answer = graph.add("Add", [graph.convolved(inner, "conv_body"), first])
    return graph.written(3, answer, len(state["conv_body.bias"]))


def rrdb_tail(state: State) -> bytes:
    """The rest of RRDBNet: `[1, 64, h, w]` → `[1, 3, 4h, 4w]`."""
    graph = _Graph(state)
    inner = "data"
    for name in ("conv_up1", "conv_up2"):
        inner = graph.convolved(graph.enlarged(inner, 2, **_NEAREST), name, slope=_GROWTH)
    inner = graph.convolved(inner, "conv_hr", slope=_GROWTH)
    return graph.written(len(state["conv_body.bias"]), graph.convolved(inner, "conv_last"), 3)
