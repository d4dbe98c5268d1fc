"""A small film that has been run once, for all tests of the room."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from animeset_lib import Run, open_run


@pytest.fixture(scope="session")
def project(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the small demo film."""
    return Path(shutil.copytree(finished_demo, tmp_path_factory.mktemp("explore") / "project"))


@pytest.fixture(scope="session")
def run(project: Path) -> Run:
    """The film, run to the data set by the models that need no download."""
    return open_run("input/demo-short.mp4", root=project)


@pytest.fixture(scope="session")
def many(run: Run) -> Run:
    """The same film with four stills a second, so that there are duplicates."""
    return run.change("extract.mode=fps", "extract.fps=4").upto("dedupe")
