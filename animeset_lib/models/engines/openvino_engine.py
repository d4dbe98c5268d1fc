"""Networks in OpenVINO: on the processor, in 16 bits where that was asked for and the processor computes in them, and on Intel's own graphics."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.models.engines.device import Device
from animeset_lib.models.engines.openvino_core import core

__all__ = ["OpenVino"]

_SHAPES = 2
"""A network is compiled for each shape of pictures by itself, which is a tenth quicker than for all at once; so many are kept, each with its
memory."""


class OpenVino:
    """One network file.

    facts, inputs, answer   as `engines.onnx.Network` tells them

    Raises whatever OpenVINO does for a file that it cannot read.
    """

    def __init__(self, path: Path, device: Device, *, bf16: bool, side_by_side: bool) -> None:
        self._model = core().read_model(str(path))
        # where it puts the metadata of an ONNX file
        told = self._model.get_rt_info(["framework"]).value if self._model.has_rt_info(["framework"]) else {}
        self.facts: dict[str, str] = {name: str(value) for name, value in told.items()}
        self.inputs = [
            (port.any_name, _lengths(port), port.get_element_type().to_dtype().name) for port in self._model.inputs
        ]
        self.answer = _lengths(self._model.outputs[0])
        self.on_card = device.kind == "intel"
        self._where = "GPU" if self.on_card else "CPU"
        self._requests = device.threads if side_by_side and not self.on_card else 1
        # Without a hint it would choose 16 bits by itself; pinned threads would fight with those of a second program for the same cores.
        self._wishes: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "NUM_STREAMS": self._requests,
        }
        if not self.on_card:
            self._wishes |= {"INFERENCE_NUM_THREADS": device.threads, "ENABLE_CPU_PINNING": False}
        self._compiled: OrderedDict[tuple[int, ...], SimpleQueue[Any]] = OrderedDict()
        self._lock = Lock()

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for the one input. As many threads as there are requests compute at the same time, others wait."""
        requests = self._for(batch.shape)
        request = requests.get()
        try:
            request.infer([np.ascontiguousarray(batch)])
            # copied: the next picture is written over them
            return [tensor.data.copy() for tensor in request.output_tensors]
        finally:
            requests.put(request)

    def _for(self, shape: tuple[int, ...]) -> SimpleQueue[Any]:
        with self._lock:
            if shape in self._compiled:
                self._compiled.move_to_end(shape)
                return self._compiled[shape]
            model = self._model.clone()
            model.reshape(list(shape))
            compiled = core().compile_model(model, self._where, self._wishes)
            requests: SimpleQueue[Any] = SimpleQueue()
            for _ in range(self._requests):
                requests.put(compiled.create_infer_request())
            self._compiled[shape] = requests
            if len(self._compiled) > _SHAPES:
                self._compiled.popitem(last=False)
            return requests


def _lengths(port: Any) -> tuple[int | None, ...]:
    shape = port.get_partial_shape()
    return tuple(None if length.is_dynamic else length.get_length() for length in shape) if shape.rank.is_static else ()
