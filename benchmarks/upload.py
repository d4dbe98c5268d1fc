"""A large film through the page, in a real browser: are the bytes equal, how fast, and does the server's memory stay flat?

    python benchmarks/upload.py [GIGABYTES]

Needs a chromium. Beside it the same file is copied from disk to disk, for the speed is a ratio to that.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from animeset_lib.system import sha256_of
from tests.dashboard.browser import browser, make_film, make_project, opened, served


def large_film(path: Path, size: int) -> Path:
    """A film of `size` bytes: a small one and, behind it, a box of noise that every player skips."""
    make_film(path, seconds=2)
    rest = size - path.stat().st_size - 16
    with path.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", rest + 16))
        while rest:
            part = min(rest, 16 << 20)
            file.write(os.urandom(part))
            rest -= part
    return path


def memory_mb(pid: int) -> float:
    """Resident memory of the server and its kernels, in MB."""
    server = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (server, *server.children(recursive=True))) / 1e6


def main(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        film = large_film(Path(folder, "large.mp4"), size)
        began = time.monotonic()
        shutil.copyfile(film, Path(folder, "copy"))
        copied = time.monotonic() - began
        Path(folder, "copy").unlink()
        project = make_project(Path(folder, "project"))
        with browser() as one, served(project) as server, opened(one, server) as page:
            before = memory_mb(server.process.pid)
            peak = before
            began = time.monotonic()
            page.tab.set_input_files("#film-file", str(film))
            while not page.tab.locator('.films input[value="large.mp4"]').count():
                peak = max(peak, memory_mb(server.process.pid))
                page.tab.wait_for_timeout(250)
            seconds = time.monotonic() - began
        arrived = project / "input" / "large.mp4"
        print(f"{size / 1e9:.2f} GB, bytes equal: {sha256_of(film) == sha256_of(arrived)}")
        print(f"{seconds:.0f} s, {size / 1e6 / seconds:.0f} MB/s; a copy on the same disk: {copied:.1f} s")
        print(f"server and kernels: {before:.0f} MB before, at most {peak:.0f} MB during the upload")


if __name__ == "__main__":
    main(round(float(sys.argv[1] if len(sys.argv) > 1 else 1.5) * 1e9))
