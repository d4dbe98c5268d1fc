"""How every plot looks, with figures, axes, colours and what is drawn on pictures. matplotlib is imported when the first one is made."""

from __future__ import annotations

import base64
import io
import textwrap
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.media import Picture, read_image
from animeset_lib.notebook.folders import needed
from animeset_lib.records import Box, Framing

if TYPE_CHECKING:
    from animeset_lib.notebook.run import Run

__all__ = [
    "COLORS",
    "FRAMING_COLORS",
    "GONE",
    "KEPT",
    "LIMIT",
    "QUIET",
    "bars",
    "character_colors",
    "figure_class",
    "labelled",
    "legend",
    "legend_beside",
    "new_figure",
    "nothing_to_show",
    "pick",
    "pick_character",
    "picture_at",
    "picture_figure",
    "rectangle",
    "show_picture",
    "shrunk",
    "still_of",
    "whole_counts",
    "written_on",
]

_DPI = 110
KEPT, GONE, QUIET, LIMIT = "#3b82c4", "#d9822b", "#9aa3ad", "#b3261e"
COLORS = (KEPT, GONE, "#3f9b5f", "#b3449a", "#8a6d3b", "#5d5fc9", "#c2453d", "#2a9d9d", "#8d9440", "#7a7f87")
FRAMING_COLORS: Mapping[Framing, str] = {"face": GONE, "upper_body": KEPT, "full": "#3f9b5f", "frame": "#b3449a"}


@cache
def figure_class() -> Any:
    needed("matplotlib")
    from matplotlib.figure import Figure

    class Plot(Figure):
        """Shows itself in a notebook without pyplot, so in every front end and once only."""

        def _repr_png_(self) -> bytes:
            data = io.BytesIO()
            self.savefig(data, format="png", dpi=_DPI, facecolor="white")
            return data.getvalue()

        def _repr_mimebundle_(self, **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            """The picture with its titles as the text for those who cannot see it."""
            titles = [self.get_suptitle(), *(axes.get_title(loc="left") for axes in self.axes)]
            picture = base64.b64encode(self._repr_png_()).decode()
            return {"image/png": picture}, {"image/png": {"alt": "; ".join(title for title in titles if title)}}

    return Plot


def new_figure(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9, 3.4), **more: Any
) -> tuple[Any, Any]:
    """A figure of `size` inches and its axes, an array where there are several."""
    figure = figure_class()(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **more)


def labelled(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def show_picture(
    axes: Any, picture: Picture, title: str, x: str = "x (px)", y: str = "y (px)", *, squares: bool = False
) -> None:
    """`squares` shows every pixel as one; else what is too large for the page is shrunk smoothly. Without `y` there are no numbers on the axes."""
    axes.imshow(picture, interpolation="nearest" if squares else "antialiased")
    axes.autoscale(False)  # what is drawn on it does not widen it
    labelled(axes, title, x, y)
    if not y:
        axes.set_xticks([])
        axes.set_yticks([])


def picture_figure(picture: Picture, title: str, x: str = "x (px)", y: str = "y (px)", inches: float = 9) -> Any:
    """A figure of one picture, so many `inches` wide, and its axes."""
    height, width = picture.shape[:2]
    figure, axes = new_figure(size=(inches, inches * height / width + 0.6))
    show_picture(axes, picture, title, x, y)
    return figure, axes


def nothing_to_show(title: str, sentence: str) -> Any:
    """A figure that says why there is nothing to show: a film may well have no duplicates, and a notebook should go on."""
    figure, axes = new_figure(size=(9, 1.4))
    axes.text(0.5, 0.5, textwrap.fill(sentence, 110), ha="center", va="center", color="#555", fontsize=9)
    labelled(axes, title, "", "")
    axes.set_axis_off()
    return figure


def bars(axes: Any, names: Sequence[str], values: Any, colors: Any, **more: Any) -> None:
    """Bars to the right, the first one at the top."""
    axes.barh(names, values, color=colors, **more)
    axes.set_ylim(max(len(names), 3) - 0.4, -0.6)


def whole_counts(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def legend(axes: Any, colors: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=color, label=label) for label, color in colors.items()]
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="lower right")


def legend_beside(axes: Any) -> None:
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def character_colors(run: Run) -> dict[str, str]:
    """Name → colour, by number of faces, the same in every plot."""
    counts = Counter(row.character for row in run.stage("cast").rows if row.character is not None)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: COLORS[place % len(COLORS)] for place, name in enumerate(names)}


def still_of(run: Run, frame_id: str) -> Picture:
    extract = run.stage("extract").output
    return read_image(extract.path / extract.by_id[frame_id].file)


def pick(part: str | None, among: Collection[str], rank: Any) -> str:
    """The id that holds `part`, or the best by `rank` where none is asked for. Raises `InputError` where no id holds it."""
    if part is None:
        return max(among, key=rank)
    matches = [one for one in among if part in one]
    if not matches:
        raise InputError(
            f"no id holds '{part}'; expected a part of one of {len(among)} ids, such as {next(iter(among))}"
        )
    return matches[0]


def pick_character(name: str | None, among: Collection[str], rank: Any, what: str) -> str:
    """The character that is asked for, unset the best by `rank`. Raises `InputError` where it is none of those that have `what`."""
    chosen = name or max(among, key=rank)
    if chosen not in among:
        raise InputError(f"{chosen} has no {what} in this run; expected one of {', '.join(sorted(among))}")
    return chosen


def rectangle(axes: Any, box: Box, color: str, style: str, width: float = 2) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((box.x0, box.y0), box.width, box.height, fill=False, ec=color, lw=width, ls=style))


def picture_at(axes: Any, picture: Picture, place: tuple[float, float], zoom: float, color: str) -> None:
    """The picture in a frame of `color`, its middle at `place`."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    frame = {"edgecolor": color, "linewidth": 1.6}
    axes.add_artist(AnnotationBbox(OffsetImage(picture, zoom=zoom), place, pad=0.12, bboxprops=frame))


def written_on(axes: Any, box: Box, text: str, color: str) -> None:
    plate = {"facecolor": color, "edgecolor": "none", "pad": 1.5}
    top = max(box.y0 - 3, 4)
    axes.text(box.x0, top, text, fontsize=8, color="white", va="bottom", clip_on=True, bbox=plate)


def shrunk(picture: Picture, side: int) -> Picture:
    small = Image.fromarray(picture)
    small.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(small)
