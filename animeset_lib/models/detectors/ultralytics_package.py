"""Importing from ultralytics without letting it change the process."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["ultralytics_module"]

_MEANWHILE = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
"""Read while it is imported: it would try the network, and later install packages that a checkpoint names."""
_LEFT_BEHIND = (
    "OMP_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
    "TORCH_CPP_LOG_LEVEL",
    "KINETO_LOG_LEVEL",
)
"""Environment variables that the import sets, for this process and its children."""


def ultralytics_module(name: str) -> Any:
    """The module `ultralytics.<name>`. Its import writes a settings file of its own into the user's configuration folder, as it always does."""
    with _as_it_was():
        return importlib.import_module(f"ultralytics.{name}")


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Threads of OpenCV and torch, number formats, environment variables and the functions it replaces in other packages are put back.

    Its Pillow `open` answers a broken picture by asking for another package.
    """
    import cv2
    import torch
    from PIL import Image

    replaced: list[tuple[Any, str]] = [(Image, "open"), (torch, "save")]
    replaced += [(cv2, name) for name in ("imread", "imwrite", "imshow")]
    functions = [(module, name, getattr(module, name)) for module, name in replaced]
    opencv_threads, torch_threads, formats = cv2.getNumThreads(), torch.get_num_threads(), np.get_printoptions()
    before = {name: os.environ.get(name) for name in (*_MEANWHILE, *_LEFT_BEHIND)}
    os.environ.update(_MEANWHILE)
    try:
        yield
    finally:
        cv2.setNumThreads(opencv_threads)
        torch.set_num_threads(torch_threads)
        np.set_printoptions(**formats)
        for module, name, function in functions:
            setattr(module, name, function)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
