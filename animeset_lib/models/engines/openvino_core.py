"""OpenVINO itself: whether it is there, and what this machine's processor and Intel's graphics can do in it."""

from __future__ import annotations

import functools
import sys
from typing import Any

from animeset_lib.system import has_graphics

__all__ = ["core", "has_bf16", "intel_graphics", "missing"]

_CONVERTER = "openvino.tools.ovc"


@functools.cache
def _opened() -> tuple[Any, str]:
    """OpenVINO's core, or None, and why it cannot be imported.

    Imported without its converter of other frameworks' files, which reports each import to Google Analytics and takes half of the time.
    """
    absent = _CONVERTER not in sys.modules
    if absent:
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]
    try:
        import openvino

        return openvino.Core(), ""
    except (ImportError, OSError, RuntimeError) as error:
        return None, f"OpenVINO cannot be imported ({error})"
    finally:
        if absent:
            del sys.modules[_CONVERTER]


def missing() -> str:
    """Why OpenVINO cannot be used here; empty where it can."""
    return _opened()[1]


def core() -> Any:
    """What reads and compiles networks; only where nothing is `missing`."""
    return _opened()[0]


def has_bf16() -> bool:
    """Whether the processor multiplies numbers of 16 bits (AVX512-BF16, AMX)."""
    known = _opened()[0]
    return known is not None and "BF16" in known.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def intel_graphics() -> str:
    """Name of Intel's graphics where OpenVINO can use them; empty where there are none."""
    if not has_graphics():
        return ""  # saves the import
    known = _opened()[0]
    if known is None or "GPU" not in {name.partition(".")[0] for name in known.available_devices}:
        return ""
    return str(known.get_property("GPU", "FULL_DEVICE_NAME"))
