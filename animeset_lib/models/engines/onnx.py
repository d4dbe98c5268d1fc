"""The one way to run a network: an ONNX file in, arrays out. Which engine does it follows from the device; one that cannot is replaced, aloud.

A CUDA card and Apple's graphics compute in onnxruntime, Intel's graphics and every processor in OpenVINO; a processor in onnxruntime where
OpenVINO is not there or refuses the network.
"""

from __future__ import annotations

import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.engines.device import Device, first_line, is_out_of_memory, onnx_uses
from animeset_lib.models.engines.onnxruntime_engine import OnnxRuntime
from animeset_lib.models.engines.openvino_core import has_bf16, missing
from animeset_lib.models.engines.openvino_engine import OpenVino
from animeset_lib.models.spec import Inference, Parts

__all__ = ["SHIPPED", "Network", "engine_of", "in_16_bits", "open_network", "shipped"]

_LOG = logging.getLogger("animeset")

SHIPPED = Path(__file__).parents[1] / "shipped"
"""The networks that come with animeset; `training/` makes them again."""


def shipped(name: str) -> tuple[Path, ...]:
    """The file of a network that comes with animeset. Raises `ModelError` when the installation lost it."""
    path = SHIPPED / f"{name}.onnx"
    if not path.is_file():
        raise ModelError(f"{path.name} is missing from the installed package; install animeset again")
    return (path,)


def engine_of(device: Device, inference: Inference) -> str:
    """What a network runs in and how precisely, such as `OpenVINO bf16`. Opens no network: one that OpenVINO refuses is not known here."""
    engine = _engine(device)
    if engine == "OpenVINO" and missing():
        engine = "onnxruntime"
    return f"{engine} {'bf16' if in_16_bits(device, inference) else 'f32'}"


def in_16_bits(device: Device, inference: Inference) -> bool:
    """Only on processors that compute so: elsewhere it was not measured."""
    return (
        inference.precision == "fast"
        and device.precision == "auto"
        and _engine(device) == "OpenVINO"
        and device.kind != "intel"
        and not missing()
        and has_bf16()
    )


def _engine(device: Device) -> str:
    if onnx_uses(device):
        return "CUDA"
    return "CoreML" if device.kind == "apple" else "OpenVINO"


class Network:
    """An open ONNX file.

    facts   its metadata, text by text
    shape   of its one input, None where any length will do
    kind    of that input's values by numpy's name, such as float32; by the runtime's where numpy has none
    answer  shape of its first output, as `shape`
    """

    def __init__(self, path: Path, parts: Parts) -> None:
        self.path, self._parts = path, parts
        self._side_by_side = parts.inference.side_by_side
        self._engine = self._opened()
        self.facts, self.answer, self.on_card = self._engine.facts, self._engine.answer, self._engine.on_card
        _, self.shape, self.kind = self._engine.inputs[0]

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for the one input. Threads may share it."""
        try:
            return self._engine.run(batch)
        except Exception as error:  # as below
            if not isinstance(self._engine, OpenVino) or is_out_of_memory(error):
                raise
            other = OnnxRuntime(self.path, self._parts.device)
            answers = other.run(batch)
            self._engine = other
            self._replaced(error)
            return answers

    def each(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The first output, row by row: on a processor one picture is at work at a time, or one on every core, so that memory stays flat."""
        if self.on_card and self.shape[0] != 1:
            return self.run(batch)[0]
        rows = [batch[i : i + 1] for i in range(len(batch))]
        if not self._side_by_side or len(rows) == 1:
            return np.concatenate([self.run(row)[0] for row in rows])
        with ThreadPoolExecutor(self._parts.device.threads) as pool:
            return np.concatenate(list(pool.map(lambda row: self.run(row)[0], rows)))

    def fault(self, expected: str, got: str) -> ModelError:
        """The error to raise for a file that is not the network it should be."""
        return self._parts.fault(expected, got, self.path)

    def takes(self, layout: str) -> bool:
        """Whether it has one input of this layout."""
        return len(self._engine.inputs) == 1 and _fits(self.shape, layout)

    @property
    def inputs(self) -> str:
        """Its inputs in words."""
        named = (f"`{name}` {[length or '?' for length in shape]} {kind}" for name, shape, kind in self._engine.inputs)
        return ", ".join(named)

    def _opened(self) -> OpenVino | OnnxRuntime:
        """Raises `ModelError` for what neither engine can open."""
        device, inference, error = self._parts.device, self._parts.inference, None
        wanted = _engine(device)
        if wanted == "OpenVINO" and not missing():
            try:
                return OpenVino(self.path, device, bf16=in_16_bits(device, inference), side_by_side=self._side_by_side)
            except Exception as refusal:  # the classes of both engines' errors have no common ancestor but this
                error = refusal
        try:
            engine = OnnxRuntime(self.path, device)
        except Exception as refusal:
            got = f"a file that cannot be opened as one ({first_line(refusal)})"
            raise self.fault("an ONNX network", got) from refusal
        if wanted == "OpenVINO":
            self._replaced(error)
        elif not engine.on_card:
            _LOG.warning(
                "%s runs on the processor although %s is there: onnxruntime could not load what it needs for it. "
                "Mend a CUDA card with: pip install 'onnxruntime-gpu[cuda,cudnn]'",
                self.path.name,
                device.words,
            )
        return engine

    def _replaced(self, error: Exception | None) -> None:
        """Say what runs in onnxruntime: everything, once, or this one network."""
        if error is None:
            _say_missing(missing())
        else:
            # its last line says what is wrong, those before it where in OpenVINO that was found
            reason = str(error).strip().rpartition("\n")[2]
            _LOG.warning("%s runs in onnxruntime: OpenVINO refuses it (%s)", self.path.name, reason)


def open_network(path: Path, parts: Parts, layout: str | None = None) -> Network:
    """The network in `path`, where `parts` says.

    layout  what its one input must be, axis by axis: `N3HW` or `NHW3` for pictures, `ND` for vectors; other lengths are free. None: anything.

    Raises `ModelError`, with the remedy of `parts`, for a file that is no ONNX network or has other inputs.
    """
    network = Network(path, parts)
    if layout is not None and not network.takes(layout):
        raise network.fault(f"a network with one input {_LAYOUTS[layout]}", f"inputs {network.inputs}")
    return network


@functools.cache
def _say_missing(reason: str) -> None:
    _LOG.warning("networks run in onnxruntime, exactly and on many processors slower: %s", reason)


_LAYOUTS = {
    "N3HW": "[pictures, 3, height, width]",
    "NHW3": "[pictures, height, width, 3]",
    "ND": "[vectors, values]",
}


def _fits(shape: tuple[int | None, ...], layout: str) -> bool:
    return len(shape) == len(layout) and all(
        length is None or axis != "3" or length == 3 for length, axis in zip(shape, layout, strict=True)
    )
