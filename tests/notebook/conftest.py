"""A small film that has been run once, for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from animeset_lib import Run, open_run
from animeset_lib.notebook import demo_film


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the demo film, small: all its scenes, six frames a second."""
    root = tmp_path_factory.mktemp("project")
    (root / "dashboard.ipynb").touch()
    demo_film(root, width=480, height=270, fps=6)
    return root


@pytest.fixture(scope="session")
def run(project: Path) -> Run:
    """The film, run to the data set by the models that need no download."""
    return open_run("input/demo-short.mp4", root=project).upto("dataset")


@pytest.fixture(scope="session")
def many(run: Run) -> Run:
    """The same film with four stills a second, so that there are duplicates."""
    return run.change("extract.mode=fps", "extract.fps=4").upto("dedupe")
