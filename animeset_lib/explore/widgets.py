"""The dashboard's own sections inside a notebook, and FiftyOne where it is there."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from animeset_lib.errors import AnimesetError
from animeset_lib.explore.places import project_folder

if TYPE_CHECKING:
    from animeset_lib.explore.run import Run

__all__ = ["cast_board", "review", "whole_page"]

_LENS = "animeset_lib.review.lens"


def cast_board(run: Run) -> Any:
    """The dashboard's cast board for the film of `run`, which must have been run up to `cast`. The last line of a cell shows it.

    What is done on it is a decision in `run.decisions` at once; the next `run.upto("cast")` honours it. Its own button "apply" would start the
    whole run in the background, as on the dashboard.
    """
    run.stage("cast")  # says what to do when it was not run
    view = _dashboard()
    from animeset_lib.dashboard.view_model import ViewModel

    model = ViewModel(run.root)
    model.follow(run.folder.name)
    model.open_board()
    return view.Dashboard(model=model).cast


def whole_page() -> Any:
    """The whole dashboard in one cell, over the project that this notebook works in."""
    return _dashboard().Dashboard(project_folder()).page


def _dashboard() -> Any:
    """The room of widgets. Raises `AnimesetError` with the command where its packages are missing."""
    if importlib.util.find_spec("ipyvue") is None:
        raise AnimesetError(
            "the dashboard's packages are not installed; expected them for widgets. Get them with "
            "`pip install -c constraints.txt -e '.[dashboard]'`, or `make lab`"
        )
    return importlib.import_module("animeset_lib.dashboard.view")


def review(run: Run, what: str) -> Any:
    """Open `what` (`duplicates`, `clusters`, `crops`, `dataset`) of `run` in FiftyOne where it is installed, else say in one line how to get it."""
    if importlib.util.find_spec("fiftyone") is None or importlib.util.find_spec(_LENS) is None:
        print(
            "FiftyOne is not here: pip install -c constraints.txt -e '.[fiftyone]' brings it; all else works without."
        )
        return None
    return importlib.import_module(_LENS).open_app(run, what)
