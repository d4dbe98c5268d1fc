"""One run per film: a lock that dies with its process, and the request to cancel.

The operating system's lock, not a file's presence, says whether a run is alive. Everything lies beside the film's work folder, so that
removing that folder leaves the lock alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from animeset_lib.errors import BusyError, CancelledError

__all__ = ["Cancel", "hold", "holder", "request_cancel"]

_LOOKERS_S = 0.3


def _paths(work: Path, film_folder: str) -> tuple[Path, Path, Path]:
    locks = work / ".locks"
    return locks / f"{film_folder}.lock", locks / f"{film_folder}.json", locks / f"{film_folder}.cancel"


@contextmanager
def hold(work: Path, film_folder: str) -> Iterator[Cancel]:
    """Hold the film's lock; yields the cancel switch of this run. Raises `BusyError` when another process holds it."""
    lock_path, info_path, cancel_path = _paths(work, film_folder)
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_path)
    try:
        # somebody who only looks (`holder`) has the lock for an instant; that is no other run
        lock.acquire(timeout=_LOOKERS_S, poll_interval=0.02)
    except Timeout:
        other = _read(info_path)
        raise BusyError(
            f"another run is working on this film (process {other.get('pid', 'unknown')}, since {other.get('since', 'unknown')}); "
            "wait for it, or stop it with `animeset cancel`"
        ) from None
    try:
        cancel_path.unlink(missing_ok=True)
        info_path.write_text(
            json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}),
            encoding="utf-8",
            newline="\n",
        )
        yield Cancel(cancel_path)
    finally:
        info_path.unlink(missing_ok=True)
        cancel_path.unlink(missing_ok=True)
        lock.release()


def holder(work: Path, film_folder: str) -> dict[str, Any] | None:
    """Who is running on this film now (`pid`, `since`), or None."""
    lock_path, info_path, _ = _paths(work, film_folder)
    if (
        not info_path.exists()
    ):  # written by whoever holds the lock: a page that looks every second need not try the lock itself
        return None
    probe = FileLock(lock_path)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return _read(info_path)
    probe.release()
    return None


def request_cancel(work: Path, film_folder: str) -> bool:
    """Ask a live run to stop at its next safe point. False when none is alive."""
    if holder(work, film_folder) is None:
        return False
    _paths(work, film_folder)[2].touch()
    return True


class Cancel:
    """Set by another process (`request_cancel`) or by a signal (`set`); asked often, so the file is looked at five times a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._set = False
        self._next_look = 0.0

    def set(self) -> None:
        self._set = True

    def check(self) -> None:
        """Raises `CancelledError` once a stop was requested."""
        now = time.monotonic()
        if not self._set and now >= self._next_look:
            self._next_look = now + 0.2
            self._set = self._path.exists()
        if self._set:
            raise CancelledError(
                "the run was cancelled; finished batches are kept, the same command goes on from there"
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return info
