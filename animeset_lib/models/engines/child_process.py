"""What every program that a model runs in needs: its last words, and how it ended."""

from __future__ import annotations

import os
import signal
import threading
from typing import IO

__all__ = ["Tail", "how_it_ended"]

_LAST_BYTES = 4096
_LAST_CHARACTERS = 200


class Tail:
    """Reads a stream to its end, however long, and keeps the last of it. A program whose stream nobody reads would stop."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = b""
        self._stream = stream
        # a daemon: what the program started may have fled and hold the stream open
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while block := os.read(self._stream.fileno(), 1 << 16):
                self._kept = (self._kept + block)[-_LAST_BYTES:]

    def last_line(self) -> str:
        self._thread.join(timeout=2)
        lines = [
            "".join(c for c in line if c.isprintable()).strip()
            for line in self._kept.decode("utf-8", "replace").splitlines()
        ]
        return next((line for line in reversed(lines) if line), "none")[-_LAST_CHARACTERS:]


def how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"an end by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"an end by signal {-code}"
