"""Plots of framing and enlarging."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from animeset_lib.cast.detect import DetectStage
from animeset_lib.dashboard.pictures import cut
from animeset_lib.media import read_image
from animeset_lib.notebook import figures as fig
from animeset_lib.notebook.run import Run, spread
from animeset_lib.pictures.framing import FRAMINGS, FramedFigure, Shape, place_all
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import Box, Framing, PlannedCrop, Region
from animeset_lib.run.stage import Output

__all__ = ["enlarged", "framings"]


def enlarged(run: Run, *, limit: int = 3, part: str | None = None) -> Any:
    """Before and after: crops as they are in the still (every pixel a square) and as the upscaler made them, the face close up beside each.

    `part` of an id picks crops; unset: the closest framings, spread over the film.
    """
    stage = run.stage("upscale")
    rows = [row for row in stage.kept if row.file is not None and (part is None or part in row.id)]
    if not rows:
        why = "every crop is large enough for training, or upscale.upscaler is none"
        sentence = f"Nothing was enlarged: {why}. A larger upscale.training_px asks for more."
        return fig.nothing_to_show("0 pictures enlarged", sentence)
    closest = sorted(rows, key=lambda row: FRAMINGS.index(row.framing))
    shown = spread(closest if part is not None else [r for r in closest if r.framing == closest[0].framing], limit)
    figure, grid = fig.new_figure(len(shown), 4, size=(9.6, 2.5 * len(shown)), squeeze=False)
    regions = stage.outputs[DetectStage].by_id
    for line, row in zip(grid, shown, strict=True):
        before, after = cut(fig.still_of(run, row.frame_id), row.box), read_image(stage.output.path / row.file)
        x0, y0, _, _ = row.box.pixels()
        face = regions[row.region_id].face.moved(-x0, -y0)
        close = face.grown(-0.1, 0.05, -0.1, -0.35).clip(before.shape[1], before.shape[0]) or face
        pictures = {
            f"in the still: {before.shape[1]}x{before.shape[0]} px": before,
            f"{row.factor}x: {after.shape[1]}x{after.shape[0]} px": after,
            "the eyes, before": cut(before, close),
            "the eyes, after": cut(after, close.scaled(row.factor)),
        }
        for axes, (title, picture) in zip(line, pictures.items(), strict=True):
            fig.show_picture(axes, picture, title, squares=True)
            axes.title.set_fontsize(8)
            axes.tick_params(labelsize=6)
            axes.xaxis.label.set_fontsize(7)
            axes.yaxis.label.set_fontsize(7)
    upscalers = ", ".join(sorted({row.upscaler for row in rows}))
    figure.suptitle(f"{len(rows)} pictures enlarged by {upscalers}", fontsize=11)
    return figure


def framings(run: Run, part: str | None = None, *, crowded: bool = False) -> Any:
    """One still with every framing its figure could have (dashed) and those that were planned (solid).

    `part` of a region's or still's id picks the figure; unset: one with most possible framings, or, when `crowded`, with most others beside it.
    """
    outputs = run.stage("upscale").outputs
    detect = outputs[DetectStage]
    planned: dict[str, list[PlannedCrop]] = defaultdict(list)
    for row in outputs[UpscaleStage].kept:
        planned[row.region_id].append(row)
    if not planned:
        why = "No figure was good enough to be cut; see run.stage('quality').dropped_table()."
        return fig.nothing_to_show("0 crops planned", why)
    possible = {region: _possible(run, detect, region) for region in planned}
    beside = Counter(region.frame_id for region in detect.kept)
    company = {one: beside[detect.by_id[one].frame_id] * crowded for one in planned}
    chosen = fig.pick(part, possible, lambda one: (company[one], len(possible[one]), len(planned[one])))
    region = detect.by_id[chosen]
    names = ", ".join(row.framing.replace("_", " ") for row in planned[chosen])
    title = f"{planned[chosen][0].character}, {chosen}: planned as {names}"
    figure, axes = fig.picture_figure(fig.still_of(run, region.frame_id), title)

    def draw(box: Box, framing: Framing, style: str, width: float, words: str) -> None:
        fig.rectangle(axes, box, fig.FRAMING_COLORS[framing], style, width)
        axes.plot([], [], style, color=fig.FRAMING_COLORS[framing], label=f"{framing.replace('_', ' ')}, {words}")

    for framing, box in possible[chosen].items():
        draw(box, framing, "--", 1.2, "possible")
    for row in planned[chosen]:
        draw(row.box, row.framing, "-", 2.6, f"planned: {row.box.width:.0f}x{row.box.height:.0f} px, {row.factor}x")
    for other in detect.kept:
        if other.frame_id == region.frame_id:
            fig.rectangle(axes, other.face, "white" if other.id == region.id else fig.LIMIT, ":", 1.8)
    axes.plot([], [], ":", color="#bbb", label="its face (white), faces of others (red)")
    axes.legend(fontsize=8, loc="lower right", framealpha=0.9)
    return figure


def _possible(run: Run, detect: Output[Region, Any], region_id: str) -> dict[Framing, Box]:
    """Every framing the figure can have, at medium zoom."""
    region = detect.by_id[region_id]
    figure = FramedFigure(
        face=region.face,
        person=region.person,
        person_estimated=region.person_estimated,
        width=region.width,
        height=region.height,
        others=tuple(r.face for r in detect.kept if r.frame_id == region.frame_id and r.id != region.id),
        head=region.head,
        halfbody=region.halfbody,
    )
    shape = Shape(run.settings.upscale.training_px, run.settings.crop.bucket_step_px)
    return place_all(figure, shape, dict.fromkeys(FRAMINGS, 0.5))
