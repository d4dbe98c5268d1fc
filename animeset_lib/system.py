"""Files and processes as this system has them, above all the few things that Windows does another way than Linux and macOS, each with both forms.
Nowhere else is it asked which system this is.

Windows' forms follow its documentation; they were tested with stand-ins, not on Windows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = [
    "APPLE",
    "CUDA_DRIVER",
    "LOCAL_SOCKETS",
    "O_BINARY",
    "VENV_PYTHON",
    "cores",
    "end_tree",
    "has_graphics",
    "own_session",
    "replace_path",
    "sha256_of",
    "split_command",
    "sync",
]

WINDOWS = os.name == "nt"
APPLE = sys.platform == "darwin"
O_BINARY = getattr(os, "O_BINARY", 0)
VENV_PYTHON = "Scripts/python.exe" if WINDOWS else "bin/python"
"""The interpreter of a virtual environment, below its folder."""
CUDA_DRIVER = "nvcuda.dll" if WINDOWS else "libcuda.so.1"
LOCAL_SOCKETS = not WINDOWS
"""Whether kernels can be spoken to by sockets in the file system."""
_NEW_PROCESS_GROUP, _NO_WINDOW = 0x00000200, 0x08000000
"""Windows' CREATE_NEW_PROCESS_GROUP and CREATE_NO_WINDOW; `subprocess` has the names on Windows only."""
_PATIENCE_S = 5.0


def has_graphics() -> bool:
    """Whether the system may have graphics that compute; Linux has a folder for their drivers."""
    return WINDOWS or Path("/dev/dri").exists()


def cores() -> int:
    """Processor threads that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_session() -> dict[str, Any]:
    """Arguments of `subprocess.Popen` for a program that the end of ours, of its terminal or a Ctrl-C there does not end."""
    if WINDOWS:
        return {"creationflags": _NEW_PROCESS_GROUP | _NO_WINDOW}
    return {"start_new_session": True}


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a program that was started with `own_session`, and what it started; nothing happens where all has ended.

    On Windows what it left behind when it ended by itself is not found any more.
    """
    if WINDOWS:
        if process.poll() is None:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # its number stays the group's as long as one of the group lives
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def split_command(line: str) -> list[str]:
    """The words of a command line; quotes hold words with spaces together. Backslashes part folders on Windows and quote elsewhere.

    Raises `ValueError` when a quote is not closed.
    """
    words = shlex.split(line, posix=not WINDOWS)
    if WINDOWS:
        # the quotes round a word are kept there
        words = [word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word for word in words]
    return words


def replace_path(source: Path, target: Path) -> None:
    """`os.replace`. Windows refuses it while somebody (the page, a virus scanner) has a file open, so there it is tried for some seconds."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() >= end:
                raise
            time.sleep(0.05)


def sync(path: Path) -> None:
    """Force a file's or folder's content to the disk. Windows cannot open folders for this and needs no such step."""
    if WINDOWS and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
