"""The dashboard's own sections inside a notebook, and FiftyOne where it is there."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from animeset_lib.cast.cast import CastStage
from animeset_lib.dashboard.view_model import ViewModel
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import AnimesetError
from animeset_lib.notebook.folders import project_folder
from animeset_lib.notebook.run import Run
from animeset_lib.pipeline import FilmFiles
from animeset_lib.pipeline.cast_pack import write_pack
from animeset_lib.published.publish import published
from animeset_lib.shipped import extra_command

__all__ = ["cast_board", "review", "whole_page"]

_LENS = "animeset_lib.notebook.fiftyone_lens"


def cast_board(run: Run) -> Any:
    """The dashboard's cast board for the film of `run`, which must have been run up to `cast`. The last line of a cell shows it.

    What is done on it is a decision in `run.decisions` at once; the next `run.upto("cast")` honours it. Its own button to run on starts
    everything that is left in the background, as on the dashboard, with the settings of `run`.
    """
    run.stage("cast")  # says what to do when it was not run
    return _dashboard().Dashboard(model=_RunModel(run)).cast


class _RunModel(ViewModel):
    """The page's model for one run. The page itself shows whatever was sorted last, which in a notebook may be a trial with other settings; so
    this one has a cast pack of its own among the run's stages."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.root)
        self._run = run
        self._own: Path | None = None
        self.follow(run.folder.name)
        self.open_board()

    @property
    def pack(self) -> Path | None:
        return self._own if self._own is not None and self._own.is_dir() else super().pack

    def open_board(self) -> None:
        outputs = self._run.outputs
        # not there while decisions wait for the next run: then the sorting that they are about stays
        if CastStage in outputs:
            self._own = self._run.folder / f"cast-{outputs[CastStage].key}"
            write_pack(self._own, outputs, os.cpu_count() or 1)
        super().open_board()

    def apply_decisions(self) -> None:
        self.form.take(self._run.settings.model_dump(mode="json"))
        super().apply_decisions()


def whole_page() -> Any:
    """The whole dashboard in one cell, over the project that this notebook works in."""
    return _dashboard().Dashboard(project_folder()).page


def _dashboard() -> Any:
    """The room of widgets. Raises `AnimesetError` with the command where its packages are missing."""
    if importlib.util.find_spec("ipyvue") is None:
        raise AnimesetError(
            f"the dashboard's packages are not installed; expected them for widgets. Get them with: {extra_command('dashboard')}"
        )
    return importlib.import_module("animeset_lib.dashboard.view")


def review(run: Run, kind: str) -> Any:
    """Open the film of `run` in the FiftyOne App where FiftyOne is installed; else say in one line how to get it, and return None.

    `kind` is one of `fiftyone_lens.KINDS`: stills (duplicates), faces (clusters on the map), crops, dataset. What is shown is what was run last.
    Returns the lens: after tagging in the App, `lens.save_decisions()` makes decisions of the tags, and the next `run.upto(...)` honours them.
    """
    if importlib.util.find_spec("fiftyone") is None or importlib.util.find_spec(_LENS) is None:
        print(f"FiftyOne is not here: {extra_command('fiftyone')} brings it; all else works without.")
        return None
    here = run.outputs
    there = published(run.folders.output, run.film, here[DatasetStage].key) if DatasetStage in here else None
    pack = FilmFiles.of(run.film, run.folders).cast_pack
    lens = importlib.import_module(_LENS).Lens(
        run.folder, pack, run.decisions, there.folder if there is not None else None
    )
    session = lens.launch(lens.open(kind))
    print(f"The App is at {session.url}; when you have tagged something: lens.save_decisions()")
    return lens
