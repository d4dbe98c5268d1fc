"""Opening an ONNX network: the session and the facts that travel in the file."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animeset_lib.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["SHIPPED", "open_network", "shipped"]

SHIPPED = Path(__file__).parent / "shipped"
"""The networks that come with animeset; `training/` makes them again."""


def shipped(name: str) -> tuple[Path, ...]:
    """The file of a network that comes with animeset. Raises `ModelError` when the installation lost it."""
    path = SHIPPED / f"{name}.onnx"
    if not path.is_file():
        raise ModelError(f"{path.name} is missing from the installed package; install animeset again")
    return (path,)


@functools.cache
def open_network(path: Path) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """(session on the processor, the file's metadata with JSON values read). Raises `ModelError` for a file that is no such network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        facts = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    except Exception as error:  # onnxruntime raises classes of its own that have no common ancestor but Exception
        raise ModelError(
            f"{path.name} cannot be opened as an ONNX network ({error}); install animeset again"
        ) from error
    return session, facts
