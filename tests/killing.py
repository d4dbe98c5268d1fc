"""A process that is killed at one of its calls that change the disk, without asking it: what must survive a power cut is tried with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Literal

import psutil

When = Literal["before", "after"]

WATCHED = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "link", "fsync")
COUNT = 0
"""A call number that never comes: nothing is killed, the calls are only counted."""


def kill_at(at: int, when: When = "before") -> Callable[[], int]:
    """Patches this process: it ends before (or after) its call number `at` of those watched. Returns a reader of the count so far."""
    calls, lock = 0, Lock()  # stills are written by several threads

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            with lock:
                calls += 1
                mine = calls == at
            if mine and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return original(*args, **kwargs)
            finally:
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in WATCHED:
        setattr(os, name, watched(getattr(os, name)))
    return lambda: calls


def killed(work: Callable[[], object], at: int, when: When = "before") -> int | None:
    """`work` in a fork that is killed at call number `at`; when it ends before that, the number of its calls, else None."""
    for _ in range(100):  # a thread that was joined may still be on its way out
        if psutil.Process().num_threads() == 1:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("a fork may wait for ever for what another thread holds: mark the test `forks`")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            count = kill_at(at, when)
            work()
            os.write(write, str(count()).encode())
            os._exit(0)
        finally:
            os._exit(99)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        answer = answers.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), f"exit {code} where call {at} was to end it"
    return int(answer) if code == 0 else None
