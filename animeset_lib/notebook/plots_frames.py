"""Plots of stills and duplicates."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.notebook import figures as fig
from animeset_lib.notebook.run import Run

__all__ = ["duplicates", "timeline"]


def timeline(run: Run) -> Any:
    """Shots as bands over the film's time, and where in them stills were taken, kept and dropped."""
    extract = run.stage("extract")
    outputs = run.outputs
    dedupe = outputs[DedupeStage].by_id if DedupeStage in outputs else {}
    shots = extract.notes["shots"]
    figure, axes = fig.new_figure(size=(9, 2.6))
    last = max([run.film.duration_ms or 0, *(row.pts_ms for row in extract.rows)]) / 1000
    starts = [shot["first_ms"] / 1000 for shot in shots]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], last], strict=True)):
        axes.axvspan(start, end, color="#e3e7ec" if number % 2 else "#f4f6f8", zorder=0)
    kept: list[float] = []
    gone: list[float] = []
    for row in extract.rows:
        # what was dropped at once was never compared with others
        (gone if dedupe.get(row.id, row).dropped else kept).append(row.pts_ms / 1000)
    axes.vlines(kept, 0.5, 0.95, color=fig.KEPT, linewidth=1.4, label=f"stills kept: {len(kept)}")
    if gone:
        axes.vlines(gone, 0.05, 0.5, color=fig.GONE, linewidth=1.4, label=f"stills dropped: {len(gone)}")
    axes.set_ylim(0, 1)
    axes.set_xlim(0, max(last, 0.001))
    axes.set_yticks([0.28, 0.72] if gone else [0.72], ["dropped", "kept"] if gone else ["kept"])
    axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    fig.labelled(axes, f"{len(shots)} shots (grey bands)", "time in the film (s)", "stills")
    return figure


def duplicates(run: Run, *, groups: int = 3, each: int = 4) -> Any:
    """The largest groups of duplicates: at the left the still that stays, beside it what went, with the measures that decided."""
    stage = run.stage("dedupe")
    members: dict[str, list[Any]] = defaultdict(list)
    for row in stage.dropped:
        if row.duplicate_of is not None:
            members[row.duplicate_of].append(row)
    if not members:
        none = f"None of the {len(stage.rows)} stills is a duplicate under these settings."
        return fig.nothing_to_show("0 groups", none)
    shown = sorted(members, key=lambda kept: (-len(members[kept]), kept))[:groups]
    columns = 1 + min(each, max(len(members[kept]) for kept in shown))
    frame = run.stage("extract").rows[0]
    size = (9.6, len(shown) * (9.6 / columns * frame.height / frame.width + 0.75))
    figure, grid = fig.new_figure(len(shown), columns, size=size, squeeze=False)
    for line, kept in zip(grid, shown, strict=True):
        rows = [stage.output.by_id[kept], *members[kept]]
        for axes, row in zip(line, rows, strict=False):
            time = stage.outputs[ExtractStage].by_id[row.id].pts_ms / 1000
            if row.id == kept:
                what, color = "stays", fig.KEPT
                measures = f"sharpest of {len(rows)} ({row.sharpness:.1f} levels/px)"
            else:
                what, color = "duplicate", fig.GONE
                measures = (
                    f"{row.hamming} of 64 bits differ\nsimilarity {row.ssim:.2f}, least part {row.local_ssim:.2f}"
                )
            fig.show_picture(axes, fig.still_of(run, row.id), f"{time:.2f} s: {what}", measures, "")
            axes.title.set_fontsize(9)
            axes.xaxis.label.set_fontsize(8)
            axes.spines[:].set(visible=True, color=color, linewidth=2)
        for axes in line[len(rows) :]:
            axes.set_axis_off()
    gone = sum(map(len, members.values()))
    figure.suptitle(f"{len(members)} groups, {gone} duplicates of {len(stage.rows)} stills", fontsize=11)
    return figure
