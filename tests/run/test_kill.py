"""The run is killed (SIGKILL) before and after every rename, sync and delete it makes; the resumed run must end byte for byte like a clean one.

`make test-all` kills at each of them, `make test` at three.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.pipeline import RunResult

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process per kill")

_WATCHED = ("replace", "rename", "unlink", "remove", "rmdir", "fsync", "link")


def _watch(before_or_after: str, at: int) -> Callable[[], int]:
    """Patch the system calls in this process so that call number `at` kills it; returns a reader of the count so far."""
    seen = 0

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            mine = seen
            if mine == at and before_or_after == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return original(*args, **kwargs)
            finally:
                if mine == at and before_or_after == "after":
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in _WATCHED:
        setattr(os, name, wrap(getattr(os, name)))
    return lambda: seen


def _in_child(work: Callable[[], int]) -> int:
    """Run `work` in a forked process; its return value, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _assert_no_half_made_folder(work: Path) -> None:
    for folder in work.glob("toy-0123456789ab/*-*"):
        if not folder.name.startswith(".") and not folder.name.endswith(".partial"):
            assert {"rows.jsonl", "stage.json"} <= {p.name for p in folder.iterdir()}, f"{folder} is shown as finished"
            assert not (folder / "parts").exists()


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_killed_anywhere_and_resumed_is_like_never_killed(
    toy_run: Callable[..., RunResult], tmp_path: Path, every: bool
) -> None:
    clean = tmp_path / "clean"
    toy_run(clean)
    expected = _files(clean / "output")
    assert any(name.endswith(".zip") for name in expected)
    assert "toy/hero/dataset/images/hero_n5-twin.png" in expected

    def count() -> int:
        read = _watch("before", at=-1)
        toy_run(tmp_path / "counted")
        (tmp_path / "calls").write_text(str(read()))
        return 0

    assert _in_child(count) == 0
    calls = int((tmp_path / "calls").read_text())
    assert calls > 60, "the run makes fewer renames, syncs and deletes than it must: is the watch still in place?"

    root = tmp_path / "killed"
    anywhere = [(when, at) for when in ("before", "after") for at in range(1, calls + 1)]
    # within a stage, while the datasets are published, and while work/ is cleared
    somewhere = [("before", calls // 3), ("before", 7 * calls // 10), ("after", 7 * calls // 8)]
    for when, at in anywhere if every else somewhere:
        shutil.rmtree(root, ignore_errors=True)

        def killed(when: str = when, at: int = at) -> int:
            _watch(when, at)
            toy_run(root)
            return 0

        code = _in_child(killed)
        assert code == -signal.SIGKILL, f"{when} call {at}: exit {code}"
        _assert_no_half_made_folder(root / "work")
        assert _in_child(lambda: toy_run(root) and 0) == 0, f"resume failed after a kill {when} call {at}"
        assert _files(root / "output") == expected, f"killed {when} call {at}"
        assert [p.name for p in (root / "work").iterdir()] == [".locks"], f"leftovers after a kill {when} call {at}"
        repeated = [item for item, times in Counter((root / "diary").read_text().split()).items() if times > 1]
        assert len(repeated) <= 3 or "toy" in os.listdir(root / "output"), f"lost more than a batch: {repeated}"
