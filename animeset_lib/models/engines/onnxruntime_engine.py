"""Networks in onnxruntime: on a CUDA card, on Apple's graphics by CoreML, and on a processor where OpenVINO cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from animeset_lib.models.engines.device import Device, onnx_uses

__all__ = ["OnnxRuntime"]

_KINDS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class OnnxRuntime:
    """One network file.

    facts, inputs, answer   as `engines.onnx.Network` tells them
    on_card                 whether the card of `device` is in truth used

    Raises whatever onnxruntime does for a file that it cannot read.
    """

    def __init__(self, path: Path, device: Device) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = device.threads
        providers: list[Any] = ["CPUExecutionProvider"]
        if onnx_uses(device):
            # Memory is taken as needed, not in doubling steps; the exhaustive search for the fastest convolution takes a minute and gigabytes.
            wishes = {
                "device_id": device.index,
                "arena_extend_strategy": "kSameAsRequested",
                "cudnn_conv_algo_search": "HEURISTIC",
            }
            providers.insert(0, ("CUDAExecutionProvider", wishes))
        elif device.kind == "apple":
            # the older form computes in 16 bits
            providers.insert(0, ("CoreMLExecutionProvider", {"ModelFormat": "MLProgram"}))
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self.facts: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.inputs = [(one.name, _lengths(one), _KINDS.get(one.type, one.type)) for one in self._session.get_inputs()]
        self.answer = _lengths(self._session.get_outputs()[0])
        self.on_card = self._session.get_providers()[0] != "CPUExecutionProvider"

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for the one input."""
        answers: list[npt.NDArray[Any]] = self._session.run(None, {self.inputs[0][0]: batch})
        return answers


def _lengths(value: Any) -> tuple[int | None, ...]:
    return tuple(length if isinstance(length, int) and length > 0 else None for length in value.shape)
