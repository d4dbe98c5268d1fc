"""The run is killed (SIGKILL) before and after every rename, sync and delete it makes; the resumed run must end byte for byte like a clean one.

`make test-all` kills at each of them, `make test` at three.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib.pipeline import RunResult
from tests.killing import COUNT, When, killed

pytestmark = [pytest.mark.forks, pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process per kill")]


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _assert_no_half_made_folder(work: Path) -> None:
    for folder in work.glob("toy-0123456789ab/*-*"):
        if not folder.name.startswith(".") and not folder.name.endswith(".partial"):
            assert {"rows.jsonl", "stage.json"} <= {p.name for p in folder.iterdir()}, f"{folder} is shown as finished"
            assert not (folder / "parts").exists()


def test_killed_anywhere_and_resumed_is_like_never_killed(
    toy_run: Callable[..., RunResult], tmp_path: Path, exhaustive: bool
) -> None:
    clean = tmp_path / "clean"
    toy_run(clean)
    expected = _files(clean / "output")
    assert any(name.endswith(".zip") for name in expected)
    assert "toy/hero/dataset/images/hero_n5-twin.png" in expected

    calls = killed(lambda: toy_run(tmp_path / "counted"), COUNT)
    assert calls is not None
    assert calls > 60, "the run makes fewer renames, syncs and deletes than it must: is the watch still in place?"

    root = tmp_path / "killed"
    both: tuple[When, When] = ("before", "after")
    anywhere = [(when, at) for when in both for at in range(1, calls + 1)]
    # within a stage, while the datasets are published, and while work/ is cleared
    somewhere: list[tuple[When, int]] = [("before", calls // 3), ("before", 7 * calls // 10), ("after", 7 * calls // 8)]
    for when, at in anywhere if exhaustive else somewhere:
        shutil.rmtree(root, ignore_errors=True)

        assert killed(lambda: toy_run(root), at, when) is None, f"{when} call {at} of {calls} never came"
        _assert_no_half_made_folder(root / "work")
        assert killed(lambda: toy_run(root), COUNT), f"resume failed after a kill {when} call {at}"
        assert _files(root / "output") == expected, f"killed {when} call {at}"
        assert [p.name for p in (root / "work").iterdir()] == [".locks"], f"leftovers after a kill {when} call {at}"
        repeated = [item for item, times in Counter((root / "diary").read_text().split()).items() if times > 1]
        assert len(repeated) <= 3 or "toy" in os.listdir(root / "output"), f"lost more than a batch: {repeated}"
