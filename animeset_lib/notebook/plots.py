"""Plots of a run for looking at it: every one a matplotlib figure with title, axes and units, shown by being the last line of a cell.

Each function takes a `Run` that was run far enough; where it was not, the message names the call that is missing. matplotlib is imported when the
first plot is made, without its global state: nothing is shown twice and nothing has to be closed.
"""

from animeset_lib.notebook.plots_cast import boxes, distances, face_map
from animeset_lib.notebook.plots_dataset import captions, coverage, sheet, tag_counts, tag_scores, traits
from animeset_lib.notebook.plots_frames import duplicates, timeline
from animeset_lib.notebook.plots_pictures import enlarged, framings
from animeset_lib.notebook.plots_run import contact_sheet, funnel, histogram, losses

__all__ = [
    "boxes",
    "captions",
    "contact_sheet",
    "coverage",
    "distances",
    "duplicates",
    "enlarged",
    "face_map",
    "framings",
    "funnel",
    "histogram",
    "losses",
    "sheet",
    "tag_counts",
    "tag_scores",
    "timeline",
    "traits",
]
