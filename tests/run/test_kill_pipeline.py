"""The real stages survive being killed, too. All calls of the engine are covered by `test_kill.py`; here a sample spread over a whole run.

`make test-all` kills nine times, `make test` twice.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from tests.fakes import FAKE_FACE_RGB
from tests.film_maker import write_film

ROOT = Path(__file__).parents[2]


def _film(path: Path) -> Path:
    """Six shots; in each, one of two figures (a magenta face in a coloured head) walks through a room of its own."""
    rng = np.random.default_rng(5)
    pictures = []
    for shot, hair in enumerate(3 * [(40, 60, 200), (200, 160, 30)]):
        room = cv2.resize(rng.integers(60, 200, (6, 10, 3), dtype=np.uint8), (480, 270), interpolation=cv2.INTER_CUBIC)
        for step in range(24):
            picture = room.copy()
            x = 150 + 4 * step if shot % 2 else 300 - 4 * step
            cv2.ellipse(picture, (x, 130), (62, 72), 0, 0, 360, hair, -1, cv2.LINE_AA)
            cv2.rectangle(picture, (x - 30, 105), (x + 30, 170), FAKE_FACE_RGB, -1)
            for eye in (-14, 14):
                cv2.line(picture, (x + eye, 120), (x + eye, 132 + step % 3), (20, 20, 20), 3, cv2.LINE_AA)
            cv2.rectangle(picture, (x - 50, 195), (x + 50, 270), (90, 90, 120), -1)
            pictures.append(picture)
    return write_film(path, pictures, fps=12, options={"qp": "6", "preset": "ultrafast"})


def _run(film: Path, root: Path, at: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.run.killed_run", str(film), str(root), str(at)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_real_stages_killed_and_resumed_are_like_never_killed(tmp_path: Path, exhaustive: bool) -> None:
    film = _film(tmp_path / "film.mkv")
    clean = _run(film, tmp_path / "clean", 0)
    assert clean.returncode == 0, clean.stderr
    calls = int(clean.stdout.split()[-1])
    assert calls > 100
    expected = _files(tmp_path / "clean" / "output")
    # x264 codes the film a little differently on each kind of processor, so the number of pictures is not the same everywhere
    for character in ("character_01", "character_02"):
        captions = [name for name in expected if name.startswith(f"film/{character}/") and name.endswith(".txt")]
        assert len(captions) >= 3, sorted(expected)
    root = tmp_path / "killed"
    kills = 9 if exhaustive else 2
    for number in range(kills):
        at = round((number + 0.5) * calls / kills)
        killed = _run(film, root, at)
        assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
        for folder in (root / "work").glob("film-*/*-*"):
            assert folder.name.endswith(".partial") or (folder / "stage.json").is_file()
    last = _run(film, root, 0)
    assert last.returncode == 0, last.stderr
    found = _files(root / "output")
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
