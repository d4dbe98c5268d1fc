"""Plots of a whole run or stage, and of what a limit would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from animeset_lib.cast.detect import DetectStage
from animeset_lib.dashboard.pictures import Thumbnails, face_picture
from animeset_lib.dashboard.texts import texts
from animeset_lib.dashboard.thresholds import EXPLORABLE, explore
from animeset_lib.dataset.explain import REASONS
from animeset_lib.dataset.sheet import Tile, grid_sheet
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image
from animeset_lib.models.engines.device import choose
from animeset_lib.models.provider import Zoo
from animeset_lib.pictures.crop import CropStage

if TYPE_CHECKING:
    from animeset_lib.notebook.run import Run, StageView
from animeset_lib.notebook.figures import (
    COLORS,
    GONE,
    KEPT,
    LIMIT,
    QUIET,
    labelled,
    new_figure,
    nothing_to_show,
    show_picture,
    still_of,
    whole_counts,
)

__all__ = ["contact_sheet", "funnel", "histogram", "losses"]


def funnel(run: Run) -> Any:
    """Rows kept and dropped of every finished stage, and the seconds each took."""
    outputs = run.outputs
    if not outputs:
        raise InputError('nothing was run with these settings yet; run it: run.upto("crop")')
    figure, (left, right) = new_figure(1, 2, size=(9, 0.32 * len(outputs) + 1.3), sharey=True, width_ratios=(2, 1))
    words = texts("en")
    names = [
        f"{name.partition('_')[0]}  {words[f'stage.{name}']}" for name in (output.stage.name for output in outputs)
    ]
    kept = [output.info.kept for output in outputs]
    gone = [output.info.rows - output.info.kept for output in outputs]
    seconds = [output.info.seconds for output in outputs]
    left.barh(names, kept, color=KEPT, label="kept")
    left.barh(names, gone, left=kept, color=GONE, label="dropped, with a reason")
    left.invert_yaxis()
    left.legend(fontsize=8, frameon=False, loc="best")
    labelled(left, f"{run.film.source_name}: what each stage kept", "rows (stills, faces, then pictures)", "stage")
    right.barh(names, seconds, color=QUIET)
    labelled(right, f"{sum(seconds):.0f} s in all", "time it took (s)", "")
    return figure


def losses(run: Run) -> Any:
    """Where each character's figures and pictures went, from the final choice backwards: chosen, and lost by reason."""
    characters: Mapping[str, Any] = run.stage("dataset").notes["characters"]
    if not characters:
        return nothing_to_show("What became of each character's pictures", "No character was found in this film.")
    figure, axes = new_figure(size=(9, 0.42 * len(characters) + 1.6))
    reasons = list(dict.fromkeys(loss["reason"] for one in characters.values() for loss in one["lost"]))
    names = list(characters)
    begin = np.array([characters[name]["chosen"] for name in names])
    axes.barh(names, begin, color=KEPT, label="in the set")
    for place, reason in enumerate(reasons):
        lost = np.array([sum(x["count"] for x in characters[name]["lost"] if x["reason"] == reason) for name in names])
        axes.barh(names, lost, left=begin, color=COLORS[(place + 1) % len(COLORS)], label=REASONS[reason].english)
        begin = begin + lost
    axes.invert_yaxis()
    whole_counts(axes.xaxis)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    labelled(axes, "What became of each character's pictures", "pictures, or figures lost earlier", "character")
    return figure


def contact_sheet(view: StageView, *, limit: int = 24, which: str = "kept") -> Any:
    """Pictures of a stage's rows in a grid, as the program's own contact sheets show them; `which` is kept, dropped or all."""
    from animeset_lib.notebook.run import spread

    rows = {"kept": view.kept, "dropped": view.dropped, "all": view.rows}.get(which)
    if rows is None:
        raise InputError(f"which is {which!r}; expected kept, dropped or all")
    if not rows:
        return nothing_to_show(f"{view.name}: 0 {which} rows", f"{view.name} has no {which} rows.")
    shown = spread(rows, limit)
    tiles = [Tile(_picture_of(view, row), _lines(view, row)) for row in shown]
    words = f"{len(shown)} of {len(rows)} {which} rows, in the stage's order"
    sheet = grid_sheet(f"{view.name.partition('_')[0]}  {texts('en')[f'stage.{view.name}']}", words, tiles)
    height, width = sheet.shape[:2]
    figure, axes = new_figure(size=(9, 9 * height / width + 0.5))
    show_picture(axes, sheet, f"{view.name}: {words}", "in reading order", "")
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def _picture_of(view: StageView, row: Any) -> Picture:
    """Full-size picture of what the row is about."""
    from animeset_lib.notebook.picture_table import cut

    if view.section in ("extract", "dedupe"):
        return still_of(view.run, row.id)
    if view.section in ("detect", "embed", "cluster", "cast", "quality"):
        region = view.outputs[DetectStage].by_id[row.id]
        return face_picture(still_of(view.run, region.frame_id), region.face)
    if view.section == "upscale":
        picture: Picture = cut(still_of(view.run, row.frame_id), row.box)
        return picture
    crops = view.outputs[CropStage]
    return read_image(crops.path / crops.by_id[row.id].file)


def _lines(view: StageView, row: Any) -> tuple[str, ...]:
    """What stands below a picture on a contact sheet."""
    from animeset_lib.notebook.picture_table import reason_of

    if view.section == "extract":
        return (f"{row.pts_ms / 1000:.2f} s · shot {row.shot}", row.cause)
    if view.section == "dedupe":
        time = view.outputs[ExtractStage].by_id[row.id].pts_ms / 1000
        return (f"{time:.2f} s", f"similarity {row.ssim:.2f}" if row.ssim is not None else "")
    if view.section == "detect":
        return (f"score {row.score:.2f}", f"face {row.face.height:.0f} px high")
    if view.section == "cluster":
        return ("noise" if row.cluster < 0 else f"cluster {row.cluster}", f"confidence {row.confidence:.2f}")
    if view.section == "cast":
        return (row.character or "nobody", f"confidence {row.confidence:.2f}")
    if view.section == "quality":
        return (f"score {row.score:.2f}", reason_of(view, row))
    if view.section in ("upscale", "crop"):
        return (f"{row.character} · {row.framing.replace('_', ' ')}", f"{row.box.width:.0f}x{row.box.height:.0f} px")
    if view.section == "dataset":
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
        now = _model_limit(run)
    limit = now if value is None else value
    explored = explore(setting, float(limit), run.settings, stage.outputs, Thumbnails())
    figure, axes = new_figure()
    unit = texts("en")[f"setting.{setting}"]
    if explored is None:
        axes.text(0.5, 0.5, "no row has this value", ha="center", transform=axes.transAxes, color=QUIET)
        labelled(axes, f"{setting}: nothing measured", unit, "rows")
        return figure
    edges = np.array(explored.edges)
    low_is_bad = EXPLORABLE[setting].low_is_bad
    beyond = (edges[1:] <= limit) if low_is_bad else (edges[:-1] >= limit)
    axes.bar(
        edges[:-1], explored.counts, np.diff(edges), align="edge", color=[GONE if b else KEPT for b in beyond], lw=0
    )
    axes.axvline(limit, color=LIMIT, linewidth=1.5)
    side = "left" if low_is_bad else "right"
    what = "duplicates" if section == "dedupe" else "faces"
    tried = "" if value is None else f" (tried; the run has {now:g})"
    whole_counts(axes.yaxis)
    labelled(
        axes,
        f"{setting} = {limit:g}{tried}: {explored.dropped} of {explored.total} go, those {side} of the line",
        f"{_MEASURES.get(setting, unit)}",
        what,
    )
    return figure


_MEASURES: Mapping[str, str] = {
    "dedupe.ssim_min": "structural similarity to the kept still (0..1)",
    "dedupe.local_ssim_min": "structural similarity of the least similar part (0..1)",
    "detect.score_min": "score of the detector (0..1)",
    "detect.min_face_px": "face height (px)",
    "quality.dark_luma": "luma that the brightest 5 % of the face reach (0..255)",
    "quality.bright_luma": "luma that the darkest 5 % of the face reach (0..255)",
    "quality.flat_contrast": "contrast in the face (luma levels)",
    "quality.blur_percent": "width of the drawn lines (% of the face height)",
    "quality.noise_sigma": "noise (luma levels)",
    "quality.blockiness": "steps on the codec's 8-px grid (luma levels)",
    "quality.comb_share": "share of combed pixels in the worst block (0..1)",
    "quality.blend_share": "share of another picture mixed in (0..1)",
    "quality.min_face_px": "face height (px)",
}


def _model_limit(run: Run) -> float:
    """The detector's own least score; loads the detector, which knows it."""
    return Zoo(device=choose("cpu")).detector(run.settings.detect.detector).score_min
