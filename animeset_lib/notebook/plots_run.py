"""Plots of a whole run or stage, and of what a limit would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from animeset_lib.dashboard.texts import texts
from animeset_lib.dashboard.thresholds import EXPLORABLE, explore
from animeset_lib.dataset.explain import REASONS
from animeset_lib.dataset.sheet import Tile, grid_sheet
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.models.engines.device import choose
from animeset_lib.models.provider import Zoo
from animeset_lib.notebook import figures as fig
from animeset_lib.notebook.run import Run, StageView, spread

__all__ = ["contact_sheet", "funnel", "histogram", "losses"]


def funnel(run: Run) -> Any:
    """Rows kept and dropped of every finished stage, and the seconds each took."""
    outputs = run.outputs
    if not outputs:
        raise InputError('nothing was run with these settings yet; run it: run.upto("crop")')
    size = (9, 0.32 * len(outputs) + 1.3)
    figure, (left, right) = fig.new_figure(1, 2, size=size, sharey=True, width_ratios=(2, 1))
    names = [_title(output.stage.name) for output in outputs]
    infos = [output.info for output in outputs]
    kept = [info.kept for info in infos]
    left.barh(names, kept, color=fig.KEPT, label="kept")
    gone = [info.rows - info.kept for info in infos]
    left.barh(names, gone, left=kept, color=fig.GONE, label="dropped, with a reason")
    left.invert_yaxis()
    left.legend(fontsize=8, frameon=False, loc="best")
    fig.labelled(left, f"{run.film.source_name}: what each stage kept", "rows (stills, faces, then pictures)", "stage")
    seconds = [info.seconds for info in infos]
    right.barh(names, seconds, color=fig.QUIET)
    fig.labelled(right, f"{sum(seconds):.0f} s in all", "time it took (s)", "")
    return figure


def _title(stage: str) -> str:
    """`2_dedupe` → `2  Duplicates`."""
    return f"{stage.partition('_')[0]}  {texts('en')[f'stage.{stage}']}"


def losses(run: Run) -> Any:
    """Where each character's figures and pictures went, from the final choice backwards: chosen, and lost by reason."""
    characters: Mapping[str, Any] = run.stage("dataset").notes["characters"]
    title = "What became of each character's pictures"
    if not characters:
        return fig.nothing_to_show(title, "No character was found in this film.")
    figure, axes = fig.new_figure(size=(9, 0.42 * len(characters) + 1.6))
    lost: dict[str, Counter[str]] = {name: Counter() for name in characters}
    for name, one in characters.items():
        for loss in one["lost"]:
            lost[name][loss["reason"]] += loss["count"]
    begin = np.array([one["chosen"] for one in characters.values()])
    axes.barh(list(characters), begin, color=fig.KEPT, label="in the set")
    for place, reason in enumerate(dict.fromkeys(reason for own in lost.values() for reason in own)):
        counts = np.array([own[reason] for own in lost.values()])
        color = fig.COLORS[(place + 1) % len(fig.COLORS)]
        axes.barh(list(characters), counts, left=begin, color=color, label=REASONS[reason].english)
        begin = begin + counts
    axes.invert_yaxis()
    fig.whole_counts(axes.xaxis)
    fig.legend_beside(axes)
    fig.labelled(axes, title, "pictures, or figures lost earlier", "character")
    return figure


def contact_sheet(view: StageView, *, limit: int = 24, which: str = "kept") -> Any:
    """Pictures of a stage's rows in a grid, as the program's own contact sheets show them; `which` is kept, dropped or all."""
    from animeset_lib.notebook.picture_table import full_picture

    rows = view.rows_that_are(which)
    if not rows:
        return fig.nothing_to_show(f"{view.name}: 0 {which} rows", f"{view.name} has no {which} rows.")
    shown = spread(rows, limit)
    tiles = [Tile(full_picture(view, row), _lines(view, row)) for row in shown]
    words = f"{len(shown)} of {len(rows)} {which} rows, in the stage's order"
    sheet = grid_sheet(_title(view.name), words, tiles)
    return fig.picture_figure(sheet, f"{view.name}: {words}", "in reading order", "")[0]


def _lines(view: StageView, row: Any) -> tuple[str, ...]:
    """What stands below a picture on a contact sheet."""
    from animeset_lib.notebook.picture_table import reason_of

    match view.section:
        case "extract":
            return (f"{row.pts_ms / 1000:.2f} s · shot {row.shot}", row.cause)
        case "dedupe":
            time = view.outputs[ExtractStage].by_id[row.id].pts_ms / 1000
            return (f"{time:.2f} s", f"similarity {row.ssim:.2f}" if row.ssim is not None else "")
        case "detect":
            return (f"score {row.score:.2f}", f"face {row.face.height:.0f} px high")
        case "cluster":
            return ("noise" if row.cluster < 0 else f"cluster {row.cluster}", f"confidence {row.confidence:.2f}")
        case "cast":
            return (row.character or "nobody", f"confidence {row.confidence:.2f}")
        case "quality":
            return (f"score {row.score:.2f}", reason_of(view, row))
        case "upscale" | "crop":
            size = f"{row.box.width:.0f}x{row.box.height:.0f} px"
            return (f"{row.character} · {row.framing.replace('_', ' ')}", size)
        case "dataset":
            return (f"{row.character} {row.rank or ''}",)
    return (str(row.id)[-20:],)


def histogram(run: Run, setting: str, value: float | None = None) -> Any:
    """The values that a limit is compared with, the limit, and how many lie beyond it; `value` tries another limit without running anything.

    `setting` is one of `animeset_lib.dashboard.thresholds.EXPLORABLE`, such as `"quality.blur_percent"`.
    """
    if setting not in EXPLORABLE:
        raise InputError(f"{setting} cannot be looked at this way; expected one of {', '.join(EXPLORABLE)}")
    section, _, key = setting.partition(".")
    stage = run.stage(section)
    now = getattr(getattr(run.settings, section), key)
    if now is None and setting == "detect.score_min":
        # the detector's own; it is loaded, for it knows
        now = Zoo(device=choose("cpu")).detector(run.settings.detect.detector).score_min
    limit = now if value is None else value
    explored = explore(setting, float(limit), run.settings, stage.outputs)
    figure, axes = fig.new_figure()
    unit = texts("en")[f"setting.{setting}"]
    if explored is None:
        axes.text(0.5, 0.5, "no row has this value", ha="center", transform=axes.transAxes, color=fig.QUIET)
        fig.labelled(axes, f"{setting}: nothing measured", unit, "rows")
        return figure
    edges = np.array(explored.edges)
    low_is_bad = EXPLORABLE[setting].low_is_bad
    beyond = (edges[1:] <= limit) if low_is_bad else (edges[:-1] >= limit)
    colors = np.where(beyond, fig.GONE, fig.KEPT)
    axes.bar(edges[:-1], explored.counts, np.diff(edges), align="edge", color=colors, lw=0)
    axes.axvline(limit, color=fig.LIMIT, linewidth=1.5)
    tried = "" if value is None else f" (tried; the run has {now:g})"
    gone = f"{explored.dropped} of {explored.total} go, those {'left' if low_is_bad else 'right'} of the line"
    fig.whole_counts(axes.yaxis)
    what = "duplicates" if section == "dedupe" else "faces"
    fig.labelled(axes, f"{setting} = {limit:g}{tried}: {gone}", EXPLORABLE[setting].axis, what)
    return figure
