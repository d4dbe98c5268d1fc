"""Where networks run: a CUDA card, Apple's or Intel's own graphics where there are any and the runtimes can use them, else the processor.
Falling back is said aloud.

A CUDA card is used by torch and by onnxruntime, and the one that cannot is named in a warning with the command that mends it. The other two
are for ONNX networks alone (`engines.onnx`); torch stays on the processor there.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from animeset_lib.errors import ModelError
from animeset_lib.models.engines.openvino_core import intel_graphics
from animeset_lib.system import APPLE, CUDA_DRIVER, cores

__all__ = [
    "Card",
    "Device",
    "cards",
    "choose",
    "cores",
    "first_line",
    "free_memory",
    "idle",
    "is_out_of_memory",
    "onnx_uses",
    "torch_device",
    "torch_uses",
]


@dataclass(frozen=True)
class Card:
    """A graphics card as the CUDA driver names it. `memory` is in bytes."""

    index: int
    name: str
    memory: int


@dataclass(frozen=True)
class Device:
    """The processor, the CUDA card `index`, or the graphics of Apple's or Intel's processor.

    threads    how many processor threads a network may use
    precision  `exact`: none in 16 bits, even where its entry allows it
    """

    kind: Literal["cpu", "cuda", "apple", "intel"] = "cpu"
    index: int = 0
    threads: int = 1
    name: str = "processor"
    precision: Literal["auto", "exact"] = "auto"

    @property
    def torch(self) -> str:
        """What `torch.device` takes; only valid where `torch_uses` says so."""
        return f"cuda:{self.index}" if self.kind == "cuda" else "cpu"

    @property
    def words(self) -> str:
        if self.kind == "cpu":
            return f"processor, {self.threads} threads"
        return f"cuda:{self.index} ({self.name})" if self.kind == "cuda" else f"{self.kind} ({self.name})"


@functools.cache
def cards() -> tuple[Card, ...]:
    """The CUDA cards that the driver knows; empty without driver or card. Asks the driver itself: torch takes seconds to import."""
    try:
        driver = ctypes.CDLL(CUDA_DRIVER)
        count = ctypes.c_int()
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return ()
        found = []
        for index in range(count.value):
            handle, name, memory = ctypes.c_int(), ctypes.create_string_buffer(128), ctypes.c_size_t()
            driver.cuDeviceGet(ctypes.byref(handle), index)
            driver.cuDeviceGetName(name, len(name), handle)
            driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
            found.append(Card(index, name.value.decode(errors="replace"), memory.value))
        return tuple(found)
    except (OSError, AttributeError):
        return ()


def _apple_graphics() -> str:
    if not APPLE:
        return ""
    import onnxruntime

    return "CoreML" if "CoreMLExecutionProvider" in onnxruntime.get_available_providers() else ""


_GRAPHICS: dict[Literal["apple", "intel"], Callable[[], str]] = {
    "apple": _apple_graphics,
    "intel": intel_graphics,
}
"""Graphics beside the processor itself, and what gives their name; empty where they are not there or cannot be used."""


def choose(asked: str = "auto", threads: int = 0, precision: Literal["auto", "exact"] = "auto") -> Device:
    """`auto` (the first of the others that is there), `cuda` or `cuda:<index>`, `apple`, `intel`, `cpu`.

    Raises `ModelError` for one that is not there.
    """
    threads = threads or cores()
    processor = Device(threads=threads, precision=precision)
    if asked == "cpu":
        return processor
    for own, look in _GRAPHICS.items():
        if asked == own:
            if name := look():
                return replace(processor, kind=own, name=name)
            by = "onnxruntime" if own == "apple" else "OpenVINO"
            raise ModelError(
                f"device {asked} was asked for, but {by} finds no such graphics on this machine; use --device auto"
            )
    kind, _, number = asked.partition(":")
    index = int(number) if number.isdecimal() else 0
    if asked != "auto" and (kind != "cuda" or (number and not number.isdecimal())):
        raise ModelError(
            f"unknown device `{asked}`; expected auto, cpu, cuda or cuda:<number>, such as cuda:1, apple or intel"
        )
    here = {card.index: card for card in cards()}
    if index in here:
        return replace(processor, kind="cuda", index=index, name=here[index].name)
    if asked == "auto":
        there = ((own, look()) for own, look in _GRAPHICS.items())
        return next((replace(processor, kind=own, name=name) for own, name in there if name), processor)
    names = ", ".join(f"cuda:{card.index} ({card.name})" for card in here.values())
    raise ModelError(
        f"device {asked} was asked for, but the NVIDIA driver shows {names or 'no card'}; use --device auto, or check `nvidia-smi`"
    )


def onnx_uses(device: Device) -> bool:
    """Whether onnxruntime can use the card of `device`; False on the processor."""
    return device.kind == "cuda" and _onnx_has_cuda()


def torch_uses(device: Device) -> bool:
    """The same for torch; False where it is not installed."""
    return device.kind == "cuda" and device.index < _torch_cards()


def torch_device(device: Device) -> tuple[Any, bool]:
    """Where torch computes, and whether that is a card; on the processor with as many threads as the device has."""
    import torch

    if torch_uses(device):
        return torch.device(device.torch), True
    torch.set_num_threads(device.threads)
    return torch.device("cpu"), False


def idle(device: Device) -> list[str]:
    """One sentence for each runtime that leaves the CUDA card of `device` idle, with the command that mends it; else empty."""
    if device.kind != "cuda":
        return []
    sentences = []
    if not onnx_uses(device):
        sentences.append(
            "this onnxruntime is the processor build: detectors, embedders and taggers run on the processor. "
            "Mend it with: pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    if importlib.util.find_spec("torch") is not None and not torch_uses(device):
        sentences.append(
            f"torch {importlib.metadata.version('torch')} cannot use it (a processor build, or a driver that is too old): "
            "its networks run on the processor. Install the CUDA build of torch that pytorch.org names for your driver"
        )
    return [f"{device.words} is there, but {sentence}" for sentence in sentences]


@functools.cache
def _onnx_has_cuda() -> bool:
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    if hasattr(onnxruntime, "preload_dlls"):
        # CUDA and cuDNN come with torch or the nvidia-* packages, where the loader does not look by itself
        onnxruntime.preload_dlls()
    return True


@functools.cache
def _torch_cards() -> int:
    if importlib.util.find_spec("torch") is None:
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def first_line(error: BaseException) -> str:
    """Other libraries' errors in one line, by their class where they say nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


_NO_MEMORY = re.compile(
    r"out of memory|not enough memory|allocate (?:\d+ bytes of )?memory|bad allocation|bad_alloc|cudaErrorMemoryAllocation"
    "|cudnn_status_alloc_failed|cublas_status_alloc_failed",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a network failed for want of memory, on the card or the processor: a smaller batch may still fit."""
    if isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "AcceleratorError"):
        return "memory" in str(error).lower() or isinstance(error, MemoryError)
    if not isinstance(error, RuntimeError) and not type(error).__module__.startswith("onnxruntime"):
        return False
    # torch's processor allocator, onnxruntime's arena and allocator, and the CUDA libraries all say it in words only
    return _NO_MEMORY.search(str(error)) is not None


def free_memory() -> None:
    """Give cached memory of torch back to the card; onnxruntime does so when its session goes."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
