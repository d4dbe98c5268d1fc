"""Networks in OpenVINO: on the processor, in 16 bits where that was asked for and the processor computes in them, and on Intel's own graphics."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.models.engines.device import Device
from animeset_lib.models.engines.openvino_core import core

__all__ = ["OpenVino"]


class OpenVino:
    """One network file.

    facts, inputs, answer   as `engines.onnx.Network` tells them

    Raises whatever OpenVINO does for a file that it cannot read or compile.
    """

    def __init__(self, path: Path, device: Device, *, bf16: bool, side_by_side: bool) -> None:
        self._model = model = core().read_model(str(path))
        # where it puts the metadata of an ONNX file
        told = model.get_rt_info(["framework"]).value if model.has_rt_info(["framework"]) else {}
        self.facts: dict[str, str] = {name: str(value) for name, value in told.items()}
        self.inputs = [
            (port.any_name, _lengths(port), port.get_element_type().to_dtype().name) for port in model.inputs
        ]
        self.answer = _lengths(model.outputs[0])
        self.on_card = device.kind == "intel"
        requests = device.threads if side_by_side and not self.on_card else 1
        # Without a hint it would choose 16 bits by itself; pinned threads would fight with those of a second program for the same cores.
        wishes: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32", "NUM_STREAMS": requests}
        if not self.on_card:
            wishes |= {"INFERENCE_NUM_THREADS": device.threads, "ENABLE_CPU_PINNING": False}
        # For all shapes at once: stills and crops are of many sizes, and compiling for one takes longer than a picture.
        compiled = core().compile_model(model, "GPU" if self.on_card else "CPU", wishes)
        self._fitting: set[tuple[int, ...]] = set()
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(requests):
            self._requests.put(compiled.create_infer_request())

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for the one input. As many threads as there are requests compute at the same time, others wait."""
        if batch.shape not in self._fitting:
            # sizes that do not fit each other inside the network are not noticed while it computes: it writes beyond its memory
            self._model.clone().reshape(list(batch.shape))
            self._fitting.add(batch.shape)
        request = self._requests.get()
        try:
            request.infer([np.ascontiguousarray(batch)])
            # copied: the next picture is written over them
            return [tensor.data.copy() for tensor in request.output_tensors]
        finally:
            self._requests.put(request)


def _lengths(port: Any) -> tuple[int | None, ...]:
    shape = port.get_partial_shape()
    return tuple(None if length.is_dynamic else length.get_length() for length in shape) if shape.rank.is_static else ()
