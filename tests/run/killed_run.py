"""Run as a script: the real pipeline with stand-in models, killed (SIGKILL) at one of its renames, syncs and deletes.

    python -m tests.run.killed_run FILM ROOT CALL

CALL counts from 1 and is the call that is not made any more; 0 kills nothing and prints how many there were.
"""

from __future__ import annotations

import sys
from pathlib import Path

from animeset_lib.pipeline import Folders, run_film
from animeset_lib.pipeline import run as room
from animeset_lib.settings import load_settings
from tests.fakes import FakeModels
from tests.killing import kill_at

SETTINGS = (
    "upscale.training_px=256",
    "dataset.min_pictures=2",
    "cluster.min_regions=2",
    "cluster.map=pca",
    "detect.min_face_px=8",
    "quality.min_face_px=8",
)


def main(film: Path, root: Path, at: int) -> None:
    count = kill_at(at)
    room.Zoo = FakeModels  # type: ignore[misc, assignment]
    run_film(film, load_settings(assignments=SETTINGS), Folders(root / "output", root / "work", root / "logs"))
    print(count())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
