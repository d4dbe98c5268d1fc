"""Opening an ONNX network: the session, what it expects, and the facts that travel in the file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.engines.device import Device, first_line, onnx_uses

__all__ = ["SHIPPED", "Network", "open_network", "shipped"]

_LOG = logging.getLogger("animeset")

SHIPPED = Path(__file__).parents[1] / "shipped"
"""The networks that come with animeset; `training/` makes them again."""


def shipped(name: str) -> tuple[Path, ...]:
    """The file of a network that comes with animeset. Raises `ModelError` when the installation lost it."""
    path = SHIPPED / f"{name}.onnx"
    if not path.is_file():
        raise ModelError(f"{path.name} is missing from the installed package; install animeset again")
    return (path,)


@dataclass(frozen=True)
class Network:
    """An open ONNX file.

    facts   its metadata, text by text
    shape   of its one input, None where any length will do
    kind    of that input's values by numpy's name, such as float32; by the runtime's where numpy has none
    answer  shape of its first output, as `shape`
    remedy  what a person can do about a file that is wrong, for messages
    """

    path: Path
    session: Any
    facts: dict[str, str]
    shape: tuple[int | None, ...]
    kind: str
    answer: tuple[int | None, ...]
    remedy: str
    on_card: bool

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """All outputs for the one input."""
        answers: list[npt.NDArray[Any]] = self.session.run(None, {self.session.get_inputs()[0].name: batch})
        return answers

    def each(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The first output, row by row for a network that was exported for one picture at a time."""
        if self.shape[0] == 1 and len(batch) > 1:
            return np.concatenate([self.run(batch[i : i + 1])[0] for i in range(len(batch))])
        return self.run(batch)[0]

    def fault(self, expected: str, got: str) -> ModelError:
        """The error to raise for a file that is not the network it should be."""
        return ModelError(f"{self.path}: expected {expected}, got {got}; {self.remedy}")


def open_network(path: Path, device: Device, remedy: str, layout: str | None = None) -> Network:
    """The network in `path`, on the card where there is one.

    layout  what its one input must be, axis by axis: `N3HW` or `NHW3` for pictures, `ND` for vectors; other lengths are free. None: anything.

    Raises `ModelError`, with `remedy`, for a file that is no ONNX network or has other inputs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = device.threads
    on_card = onnx_uses(device)
    providers: list[Any] = ["CPUExecutionProvider"]
    if on_card:
        # Memory is taken as needed, not in doubling steps; the exhaustive search for the fastest convolution takes a minute and gigabytes.
        wishes = {
            "device_id": device.index,
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",
        }
        providers.insert(0, ("CUDAExecutionProvider", wishes))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        facts = dict(session.get_modelmeta().custom_metadata_map)
    except Exception as error:  # onnxruntime raises classes of its own that have no common ancestor but Exception
        raise ModelError(
            f"{path}: expected an ONNX network, got a file that cannot be opened as one ({first_line(error)}); {remedy}"
        ) from error
    if on_card and session.get_providers()[0] != "CUDAExecutionProvider":
        on_card = False
        _LOG.warning(
            "%s runs on the processor although %s is there: onnxruntime could not load its CUDA libraries. "
            "Mend it with: pip install 'onnxruntime-gpu[cuda,cudnn]'",
            path.name,
            device.words,
        )
    inputs = session.get_inputs()
    shape, kind = _lengths(inputs[0]), _KINDS.get(inputs[0].type, inputs[0].type)
    network = Network(path, session, facts, shape, kind, _lengths(session.get_outputs()[0]), remedy, on_card)
    if layout is not None and (len(inputs) != 1 or not _fits(shape, layout)):
        raise network.fault(f"a network with one input {_LAYOUTS[layout]}", f"inputs {_words(inputs)}")
    return network


_KINDS = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_LAYOUTS = {
    "N3HW": "[pictures, 3, height, width]",
    "NHW3": "[pictures, height, width, 3]",
    "ND": "[vectors, values]",
}


def _lengths(value: Any) -> tuple[int | None, ...]:
    return tuple(length if isinstance(length, int) and length > 0 else None for length in value.shape)


def _fits(shape: tuple[int | None, ...], layout: str) -> bool:
    return len(shape) == len(layout) and all(
        length is None or axis != "3" or length == 3 for length, axis in zip(shape, layout, strict=True)
    )


def _words(values: Any) -> str:
    return ", ".join(f"`{value.name}` {list(value.shape)} {value.type}" for value in values) or "none"
