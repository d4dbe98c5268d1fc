"""For notebooks: a film opened step by step, tables with pictures, plots, and a hand on Colab.

    from animeset_lib import open_run
    from animeset_lib.notebook import plots

    run = open_run("input/film.mkv").upto("crop")
    run.stage("dedupe").table()
    plots.timeline(run)

pandas and matplotlib are imported when a table or a plot is asked for.
"""

from animeset_lib.notebook.demo import demo_film
from animeset_lib.notebook.folders import project_folder
from animeset_lib.notebook.readme import Readme
from animeset_lib.notebook.run import Run, StageView, open_run
from animeset_lib.notebook.widgets import cast_board, review, whole_page
from animeset_lib.published.edits import AddTags, RemoveTags, ReplacePattern, ReplaceTag, Selection, SetCaption

__all__ = [
    "AddTags",
    "Readme",
    "RemoveTags",
    "ReplacePattern",
    "ReplaceTag",
    "Run",
    "Selection",
    "SetCaption",
    "StageView",
    "cast_board",
    "demo_film",
    "open_run",
    "project_folder",
    "review",
    "whole_page",
]
