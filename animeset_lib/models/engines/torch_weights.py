"""Reading a file of torch weights so that it cannot run code.

`.pth`, `.pt` and `.ckpt` are pickles, which may make any object when they are opened; torch's reader for weights alone makes none but tensors and
plain containers. TorchScript archives are programs and are refused before torch sees them: torch before 2.6 opens them all the same.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

__all__ = ["is_torchscript", "read_weights"]

_REASON_LENGTH = 150


def is_torchscript(file: Path) -> bool:
    """Whether the file is a program rather than weights."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.rsplit("/", 1)[-1] == "constants.pkl" for name in archive.namelist())


def read_weights(file: Path) -> Any:
    """What the file holds, on the processor: tensors by name as a rule, in official Real-ESRGAN files one level deeper.

    Raises `ValueError` for a file that cannot be opened like this, with words that can follow "got".
    """
    import torch

    try:
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        if is_torchscript(file):
            raise ValueError("a TorchScript program, which would run code when it is opened")
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"no readable file ({error.strerror or error})") from error
    except pickle.UnpicklingError as error:
        # the rest of torch's message recommends to switch the protection off
        reason = re.search(r"[^\n:]*unsupported[^\n]*", str(error), re.IGNORECASE)
        words = reason[0].strip()[:_REASON_LENGTH] if reason else "not a pickle of weights"
        raise ValueError(
            f"a file that is damaged, or holds more than weights and may run code when it is opened ({words})"
        ) from error
    except ValueError:
        raise
    except Exception as error:  # EOFError and RuntimeError of torch, SafetensorError, whatever a broken pickle meets
        words = f"{type(error).__name__} {str(error).split('. ')[0]}".strip()[:_REASON_LENGTH]
        raise ValueError(f"a damaged file ({words})") from error
