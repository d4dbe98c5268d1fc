"""Plots of a run for looking at it: every one a matplotlib figure with title, axes and units, shown by being the last line of a cell.

Each function takes a `Run` that was run far enough; where it was not, the message names the call that is missing. matplotlib is imported when the
first plot is made, without its global state: nothing is shown twice and nothing has to be closed.
"""

from __future__ import annotations

import base64
import io
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.dashboard.pictures import Thumbnails, face_picture
from animeset_lib.dashboard.texts import texts
from animeset_lib.dashboard.thresholds import EXPLORABLE, explore
from animeset_lib.dataset.card import clock
from animeset_lib.dataset.explain import REASONS
from animeset_lib.dataset.sheet import Tile, grid_sheet
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image
from animeset_lib.models.engines.device import choose
from animeset_lib.models.provider import Zoo
from animeset_lib.notebook.folders import needed
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.framing import FRAMINGS, Figure, Shape, place_all
from animeset_lib.records import Box, Framing, Region
from animeset_lib.words.attributes import AttributesStage

if TYPE_CHECKING:
    from animeset_lib.notebook.run import Run, StageView

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

_DPI = 110
_KEPT, _GONE, _QUIET, _LIMIT = "#3b82c4", "#d9822b", "#9aa3ad", "#b3261e"
_COLORS = ("#3b82c4", "#d9822b", "#3f9b5f", "#b3449a", "#8a6d3b", "#5d5fc9", "#c2453d", "#2a9d9d", "#8d9440", "#7a7f87")
_FRAMING_COLORS: Mapping[Framing, str] = {
    "face": "#d9822b",
    "upper_body": "#3b82c4",
    "full": "#3f9b5f",
    "frame": "#b3449a",
}
_BARS = 20
"""Most bars in a plot of counts."""
_CAPTION_PX = 300


@cache
def _figure_class() -> Any:
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


def _figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9, 3.4), **more: Any) -> tuple[Any, Any]:
    """A figure of `size` inches and its axes, an array where there are several."""
    figure = _figure_class()(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **more)


def _labelled(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _show_picture(
    axes: Any, picture: Picture, title: str, x: str = "x (px)", y: str = "y (px)", *, squares: bool = False
) -> None:
    """`squares` shows every pixel as one; else what is too large for the page is shrunk smoothly."""
    axes.imshow(picture, interpolation="nearest" if squares else "antialiased")
    axes.autoscale(False)  # what is drawn on it does not widen it
    _labelled(axes, title, x, y)


def _nothing(title: str, sentence: str) -> Any:
    """A figure that says why there is nothing to show: a film may well have no duplicates, and a notebook should go on."""
    figure, axes = _figure(size=(9, 1.4))
    axes.text(0.5, 0.5, _wrapped(sentence, 110), ha="center", va="center", color="#555", fontsize=9)
    _labelled(axes, title, "", "")
    axes.set_axis_off()
    return figure


def _whole_counts(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _legend(axes: Any, colors: Mapping[str, str], **where: Any) -> None:
    from matplotlib.patches import Patch

    axes.legend(
        handles=[Patch(color=c, label=label) for label, c in colors.items()], fontsize=8, frameon=False, **where
    )


def _characters(run: Run) -> dict[str, str]:
    """Name → colour, by number of faces, the same in every plot."""
    counts = Counter(row.character for row in run.stage("cast").rows if row.character is not None)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: _COLORS[place % len(_COLORS)] for place, name in enumerate(names)}


def _still(run: Run, frame_id: str) -> Picture:
    extract = run.stage("extract")
    return read_image(extract.output.path / extract.output.by_id[frame_id].file)


# ------------------------------------------------------------------------------------------------------------- whole run


def funnel(run: Run) -> Any:
    """Rows kept and dropped of every finished stage, and the seconds each took."""
    outputs = run.outputs
    if not outputs:
        raise InputError('nothing was run with these settings yet; run it: run.upto("crop")')
    figure, (left, right) = _figure(1, 2, size=(9, 0.32 * len(outputs) + 1.3), sharey=True, width_ratios=(2, 1))
    words = texts("en")
    names = [
        f"{name.partition('_')[0]}  {words[f'stage.{name}']}" for name in (output.stage.name for output in outputs)
    ]
    kept = [output.info.kept for output in outputs]
    gone = [output.info.rows - output.info.kept for output in outputs]
    seconds = [output.info.seconds for output in outputs]
    left.barh(names, kept, color=_KEPT, label="kept")
    left.barh(names, gone, left=kept, color=_GONE, label="dropped, with a reason")
    left.invert_yaxis()
    left.legend(fontsize=8, frameon=False, loc="best")
    _labelled(left, f"{run.film.source_name}: what each stage kept", "rows (stills, faces, then pictures)", "stage")
    right.barh(names, seconds, color=_QUIET)
    _labelled(right, f"{sum(seconds):.0f} s in all", "time it took (s)", "")
    return figure


def losses(run: Run) -> Any:
    """Where each character's figures and pictures went, from the final choice backwards: chosen, and lost by reason."""
    found: Mapping[str, Any] = run.stage("dataset").notes["characters"]
    if not found:
        return _nothing("What became of each character's pictures", "No character was found in this film.")
    figure, axes = _figure(size=(9, 0.42 * len(found) + 1.6))
    reasons = list(dict.fromkeys(loss["reason"] for one in found.values() for loss in one["lost"]))
    names = list(found)
    begin = np.array([found[name]["chosen"] for name in names])
    axes.barh(names, begin, color=_KEPT, label="in the set")
    for place, reason in enumerate(reasons):
        lost = np.array([sum(x["count"] for x in found[name]["lost"] if x["reason"] == reason) for name in names])
        axes.barh(names, lost, left=begin, color=_COLORS[(place + 1) % len(_COLORS)], label=REASONS[reason].english)
        begin = begin + lost
    axes.invert_yaxis()
    _whole_counts(axes.xaxis)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _labelled(axes, "What became of each character's pictures", "pictures, or figures lost earlier", "character")
    return figure


def timeline(run: Run) -> Any:
    """Shots as bands over the film's time, and where in them stills were taken, kept and dropped."""
    extract = run.stage("extract")
    outputs = run.outputs
    dedupe = outputs[DedupeStage].by_id if DedupeStage in outputs else {}
    shots = extract.notes["shots"]
    figure, axes = _figure(size=(9, 2.6))
    last = max([run.film.duration_ms or 0, *(row.pts_ms for row in extract.rows)]) / 1000
    starts = [shot["first_ms"] / 1000 for shot in shots]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], last], strict=True)):
        axes.axvspan(start, end, color="#e3e7ec" if number % 2 else "#f4f6f8", zorder=0)
    kept = [r.pts_ms / 1000 for r in extract.kept if (d := dedupe.get(r.id)) is None or d.dropped is None]
    gone = [r.pts_ms / 1000 for r in extract.rows if r.dropped or ((d := dedupe.get(r.id)) is not None and d.dropped)]
    axes.vlines(kept, 0.5, 0.95, color=_KEPT, linewidth=1.4, label=f"stills kept: {len(kept)}")
    if gone:
        axes.vlines(gone, 0.05, 0.5, color=_GONE, linewidth=1.4, label=f"stills dropped: {len(gone)}")
    axes.set_ylim(0, 1)
    axes.set_xlim(0, max(last, 0.001))
    axes.set_yticks([0.28, 0.72] if gone else [0.72], ["dropped", "kept"] if gone else ["kept"])
    axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    _labelled(axes, f"{len(shots)} shots (grey bands)", "time in the film (s)", "stills")
    return figure


def contact_sheet(view: StageView, *, limit: int = 24, which: str = "kept") -> Any:
    """Pictures of a stage's rows in a grid, as the program's own contact sheets show them; `which` is kept, dropped or all."""
    from animeset_lib.notebook.run import spread

    rows = {"kept": view.kept, "dropped": view.dropped, "all": view.rows}.get(which)
    if rows is None:
        raise InputError(f"which is {which!r}; expected kept, dropped or all")
    if not rows:
        return _nothing(f"{view.name}: 0 {which} rows", f"{view.name} has no {which} rows.")
    shown = spread(rows, limit)
    tiles = [Tile(_picture_of(view, row), _lines(view, row)) for row in shown]
    words = f"{len(shown)} of {len(rows)} {which} rows, in the stage's order"
    sheet = grid_sheet(f"{view.name.partition('_')[0]}  {texts('en')[f'stage.{view.name}']}", words, tiles)
    height, width = sheet.shape[:2]
    figure, axes = _figure(size=(9, 9 * height / width + 0.5))
    _show_picture(axes, sheet, f"{view.name}: {words}", "in reading order", "")
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def _picture_of(view: StageView, row: Any) -> Picture:
    """Full-size picture of what the row is about."""
    from animeset_lib.notebook.picture_table import cut

    if view.section in ("extract", "dedupe"):
        return _still(view.run, row.id)
    if view.section in ("detect", "embed", "cluster", "cast", "quality"):
        region = view.outputs[DetectStage].by_id[row.id]
        return face_picture(_still(view.run, region.frame_id), region.face)
    if view.section == "upscale":
        picture: Picture = cut(_still(view.run, row.frame_id), row.box)
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


# ------------------------------------------------------------------------------------------------------------- thresholds


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
    found = explore(setting, float(limit), run.settings, stage.outputs, Thumbnails())
    figure, axes = _figure()
    unit = texts("en")[f"setting.{setting}"]
    if found is None:
        axes.text(0.5, 0.5, "no row has this value", ha="center", transform=axes.transAxes, color=_QUIET)
        _labelled(axes, f"{setting}: nothing measured", unit, "rows")
        return figure
    edges = np.array(found.edges)
    low_is_bad = EXPLORABLE[setting].low_is_bad
    beyond = (edges[1:] <= limit) if low_is_bad else (edges[:-1] >= limit)
    axes.bar(
        edges[:-1], found.counts, np.diff(edges), align="edge", color=[_GONE if b else _KEPT for b in beyond], lw=0
    )
    axes.axvline(limit, color=_LIMIT, linewidth=1.5)
    side = "left" if low_is_bad else "right"
    what = "duplicates" if section == "dedupe" else "faces"
    tried = "" if value is None else f" (tried; the run has {now:g})"
    _whole_counts(axes.yaxis)
    _labelled(
        axes,
        f"{setting} = {limit:g}{tried}: {found.dropped} of {found.total} go, those {side} of the line",
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
    "quality.blend_share": "share of another picture mixed in (0..1)",
    "quality.min_face_px": "face height (px)",
}


def _model_limit(run: Run) -> float:
    """The detector's own least score; loads the detector, which knows it."""
    return Zoo(device=choose("cpu")).detector(run.settings.detect.detector).score_min


# ------------------------------------------------------------------------------------------------------------- duplicates


def duplicates(run: Run, *, groups: int = 3, each: int = 4) -> Any:
    """The largest groups of duplicates: at the left the still that stays, beside it what went, with the measures that decided."""
    stage = run.stage("dedupe")
    members: dict[str, list[Any]] = defaultdict(list)
    for row in stage.dropped:
        if row.duplicate_of is not None:
            members[row.duplicate_of].append(row)
    if not members:
        return _nothing("0 groups", f"None of the {len(stage.rows)} stills is a duplicate under these settings.")
    shown = sorted(members, key=lambda kept: (-len(members[kept]), kept))[:groups]
    columns = 1 + min(each, max(len(members[kept]) for kept in shown))
    frame = run.stage("extract").rows[0]
    size = (9.6, len(shown) * (9.6 / columns * frame.height / frame.width + 0.75))
    figure, grid = _figure(len(shown), columns, size=size, squeeze=False)
    for line, kept in zip(grid, shown, strict=True):
        rows = [stage.output.by_id[kept], *members[kept]]
        for axes, row in zip(line, rows, strict=False):
            time = stage.outputs[ExtractStage].by_id[row.id].pts_ms / 1000
            first = row.id == kept
            _show_picture(
                axes,
                _still(run, row.id),
                f"{time:.2f} s: {'stays' if first else 'duplicate'}",
                f"sharpest of {len(rows)} ({row.sharpness:.1f} levels/px)" if first else _distance_words(row),
                "",
            )
            axes.title.set_fontsize(9)
            axes.xaxis.label.set_fontsize(8)
            _frame_axes(axes, _KEPT if first else _GONE)
        for axes in line[len(rows) :]:
            axes.set_axis_off()
    figure.suptitle(
        f"{len(members)} groups, {sum(map(len, members.values()))} duplicates of {len(stage.rows)} stills", fontsize=11
    )
    return figure


def _distance_words(row: Any) -> str:
    return f"{row.hamming} of 64 bits differ\nsimilarity {row.ssim:.2f}, least part {row.local_ssim:.2f}"


def _frame_axes(axes: Any, color: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(color)
        spine.set_linewidth(2)


# ------------------------------------------------------------------------------------------------------------- characters


def boxes(run: Run, frame: str | None = None) -> Any:
    """One still with everything that was found in it: face, body and score, and the character where it is known.

    `frame` is the still's id or a part of it; unset: the still with most figures.
    """
    detect = run.stage("detect")
    by_frame: dict[str, list[Region]] = defaultdict(list)
    for region in detect.rows:
        by_frame[region.frame_id].append(region)
    if not by_frame:
        return _nothing("0 figures", "No face was found in any still.")
    chosen = _pick(frame, by_frame, lambda one: (sum(r.dropped is None for r in by_frame[one]), -len(by_frame[one])))
    outputs = run.outputs
    cast = outputs[CastStage].by_id if CastStage in outputs else {}
    colors = _characters(run) if cast else {}
    picture = _still(run, chosen)
    figure, axes = _figure(size=(9, 9 * picture.shape[0] / picture.shape[1] + 0.6))
    time = run.stage("extract").output.by_id[chosen].pts_ms / 1000
    _show_picture(axes, picture, f"{chosen}, {time:.2f} s: {len(by_frame[chosen])} figures")
    for region in by_frame[chosen]:
        name = getattr(cast.get(region.id), "character", None)
        color = _QUIET if region.dropped else colors.get(name or "", _KEPT)
        _rectangle(axes, region.face, color, "-")
        _rectangle(axes, region.person, color, ":")
        said = DetectStage.reasons[region.dropped].english if region.dropped else name or "face"
        _tag(axes, region.face, f"{said} {region.score:.2f}", color)
    axes.plot([], [], "-", color=_KEPT, label="face, with the detector's score (0..1)")
    axes.plot([], [], ":", color=_KEPT, label="body (estimated from the face where none was seen)")
    axes.legend(fontsize=8, loc="lower right", framealpha=0.85)
    return figure


def _pick(part: str | None, among: Mapping[str, Any], rank: Any) -> str:
    """The id that holds `part`, or the best by `rank` where none is asked for. Raises `InputError` where no id holds it."""
    if part is None:
        return max(among, key=rank)
    found = [one for one in among if part in one]
    if not found:
        raise InputError(
            f"no id holds '{part}'; expected a part of one of {len(among)} ids, such as {next(iter(among))}"
        )
    return found[0]


def _rectangle(axes: Any, box: Box, color: str, style: str, width: float = 2) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((box.x0, box.y0), box.width, box.height, fill=False, ec=color, lw=width, ls=style))


def _tag(axes: Any, box: Box, text: str, color: str) -> None:
    axes.text(
        box.x0,
        max(box.y0 - 3, 4),
        text,
        fontsize=8,
        color="white",
        va="bottom",
        clip_on=True,
        bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5},
    )


def face_map(run: Run, *, faces: int = 60, zoom: float = 0.24) -> Any:
    """The map of the faces: one point each, coloured by character, with the heads themselves at up to `faces` of them.

    Near means alike to the embedder; the axes have no unit and no other meaning.
    """
    from animeset_lib.notebook.run import spread

    needed("matplotlib")
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    cluster = run.stage("cluster")
    cast = run.outputs[CastStage].by_id if CastStage in run.outputs else {}
    colors = _characters(run) if cast else {}
    if not cluster.kept:
        return _nothing("0 faces", "No face was found, so there is nothing to sort.")
    regions = cluster.outputs[DetectStage].by_id
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in cluster.kept:
        name = getattr(cast.get(row.id), "character", None) if cast else f"cluster {row.cluster}"
        groups[name or "nobody (noise)"].append(row)
    figure, axes = _figure(size=(9, 5.6))
    shown = {row.id for row in spread(cluster.kept, faces)}
    for place, (name, rows) in enumerate(sorted(groups.items(), key=lambda group: -len(group[1]))):
        color = colors.get(name) or (_QUIET if name.startswith("nobody") else _COLORS[place % len(_COLORS)])
        axes.scatter([r.x for r in rows], [r.y for r in rows], s=26, color=color, label=f"{name} ({len(rows)})")
        for row in rows:
            if row.id in shown:
                region = regions[row.id]
                picture = _small(face_picture(_still(run, region.frame_id), region.face), 128)
                head = OffsetImage(picture, zoom=zoom)
                axes.add_artist(
                    AnnotationBbox(head, (row.x, row.y), pad=0.12, bboxprops={"edgecolor": color, "linewidth": 1.6})
                )
    axes.margins(0.12)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    kind = run.settings.cluster.map.upper()
    _labelled(axes, f"{len(cluster.kept)} faces, {kind} map: near means alike", "map x (no unit)", "map y (no unit)")
    return figure


def _small(picture: Picture, side: int) -> Picture:
    import cv2

    factor = min(1.0, side / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def distances(run: Run) -> Any:
    """How far apart pairs of faces are: those inside one cluster and those of two. Two separate hills are what sorting needs."""
    cluster = run.stage("cluster")
    found = cluster.notes["distances"]
    edges = np.array(found["edges"])
    figure, axes = _figure()
    for kind, color, words in (("within", _KEPT, "of one cluster"), ("between", _GONE, "of two clusters")):
        counts = np.array(found[kind], dtype=float)
        share = 100 * counts / max(counts.sum(), 1)
        axes.stairs(share, edges, fill=True, alpha=0.55, color=color, label=f"{int(counts.sum())} pairs {words}")
    same = cluster.notes["same_distance"]
    axes.axvline(same, color=_LIMIT, linewidth=1.5, label=f"same_distance {same:.2f}")
    axes.legend(fontsize=8, frameon=False)
    top = max((edges[i + 1] for i in range(len(edges) - 1) if found["within"][i] or found["between"][i]), default=1.0)
    axes.set_xlim(0, max(top, same) + 0.1)
    _labelled(
        axes, "Distances between faces", "cosine distance of two faces (0 = equal, 1 = unrelated)", "share of pairs (%)"
    )
    return figure


# ------------------------------------------------------------------------------------------------------- enlarging, cutting


def enlarged(run: Run, *, limit: int = 3, part: str | None = None) -> Any:
    """Before and after: crops as they are in the still (every pixel a square) and as the upscaler made them, the face close up beside each.

    `part` of an id picks crops; unset: the closest framings, spread over the film.
    """
    from animeset_lib.notebook.picture_table import cut
    from animeset_lib.notebook.run import spread

    stage = run.stage("upscale")
    rows = [row for row in stage.kept if row.file is not None and (part is None or part in row.id)]
    if not rows:
        why = "every crop is large enough for training, or upscale.upscaler is none"
        return _nothing(
            "0 pictures enlarged", f"Nothing was enlarged: {why}. A larger upscale.training_px asks for more."
        )
    closest = sorted(rows, key=lambda row: FRAMINGS.index(row.framing))
    shown = spread(closest if part is not None else [r for r in closest if r.framing == closest[0].framing], limit)
    figure, grid = _figure(len(shown), 4, size=(9.6, 2.5 * len(shown)), squeeze=False)
    regions = stage.outputs[DetectStage].by_id
    for line, row in zip(grid, shown, strict=True):
        before, after = cut(_still(run, row.frame_id), row.box), read_image(stage.output.path / row.file)
        x0, y0, _, _ = row.box.pixels()
        face = regions[row.region_id].face.moved(-x0, -y0)
        close = face.grown(-0.1, 0.05, -0.1, -0.35).clip(before.shape[1], before.shape[0]) or face
        pictures = (before, after, cut(before, close), cut(after, close.scaled(row.factor)))
        titles = (
            f"in the still: {before.shape[1]}x{before.shape[0]} px",
            f"{row.factor}x: {after.shape[1]}x{after.shape[0]} px",
            "the eyes, before",
            "the eyes, after",
        )
        for axes, picture, title in zip(line, pictures, titles, strict=True):
            _show_picture(axes, picture, title, squares=True)
            axes.title.set_fontsize(8)
            axes.tick_params(labelsize=6)
            axes.xaxis.label.set_fontsize(7)
            axes.yaxis.label.set_fontsize(7)
    figure.suptitle(
        f"{len(rows)} pictures enlarged by {', '.join(sorted({row.upscaler for row in rows}))}", fontsize=11
    )
    return figure


def framings(run: Run, part: str | None = None, *, crowded: bool = False) -> Any:
    """One still with every framing its figure could have (dashed) and those that were planned (solid).

    `part` of a region's or still's id picks the figure; unset: one with most possible framings, or, when `crowded`, with most others beside it.
    """
    upscale, detect = run.stage("upscale"), run.stage("detect")
    planned: dict[str, list[Any]] = defaultdict(list)
    for row in upscale.kept:
        planned[row.region_id].append(row)
    if not planned:
        return _nothing(
            "0 crops planned", "No figure was good enough to be cut; see run.stage('quality').dropped_table()."
        )
    possible = {region: _possible(run, detect, region) for region in planned}
    beside = Counter(region.frame_id for region in detect.kept)
    company = {one: beside[detect.output.by_id[one].frame_id] * crowded for one in planned}
    chosen = _pick(part, possible, lambda one: (company[one], len(possible[one]), len(planned[one])))
    region = detect.output.by_id[chosen]
    picture = _still(run, region.frame_id)
    figure, axes = _figure(size=(9, 9 * picture.shape[0] / picture.shape[1] + 0.6))
    names = ", ".join(row.framing.replace("_", " ") for row in planned[chosen])
    _show_picture(axes, picture, f"{planned[chosen][0].character}, {chosen}: planned as {names}")
    for framing, box in possible[chosen].items():
        _rectangle(axes, box, _FRAMING_COLORS[framing], "--", 1.2)
        axes.plot([], [], "--", color=_FRAMING_COLORS[framing], label=f"{framing.replace('_', ' ')}, possible")
    for row in planned[chosen]:
        _rectangle(axes, row.box, _FRAMING_COLORS[row.framing], "-", 2.6)
        size = f"{row.box.width:.0f}x{row.box.height:.0f} px, {row.factor}x"
        axes.plot(
            [], [], "-", color=_FRAMING_COLORS[row.framing], label=f"{row.framing.replace('_', ' ')}, planned: {size}"
        )
    for other in detect.kept:
        if other.frame_id == region.frame_id:
            _rectangle(axes, other.face, "white" if other.id == region.id else _LIMIT, ":", 1.8)
    axes.plot([], [], ":", color="#bbb", label="its face (white), faces of others (red)")
    axes.legend(fontsize=8, loc="lower right", framealpha=0.9)
    return figure


def _possible(run: Run, detect: StageView, region_id: str) -> dict[Framing, Box]:
    """Every framing the figure can have, at medium zoom."""
    region: Region = detect.output.by_id[region_id]
    others = tuple(r.face for r in detect.kept if r.frame_id == region.frame_id and r.id != region.id)
    figure = Figure(
        face=region.face,
        person=region.person,
        person_estimated=region.person_estimated,
        width=region.width,
        height=region.height,
        others=others,
        head=region.head,
        halfbody=region.halfbody,
    )
    shape = Shape(run.settings.upscale.training_px, run.settings.crop.bucket_step_px)
    return place_all(figure, shape, dict.fromkeys(FRAMINGS, 0.5))


# ------------------------------------------------------------------------------------------------------- tags, captions, set


def tag_scores(run: Run, part: str | None = None, *, limit: int = 24) -> Any:
    """One crop and its tags with their scores, best first. `part` of a crop's id picks it; unset: the crop with most tags."""
    stage = run.stage("tag")
    rows = {row.id: row for row in stage.kept}
    if not rows:
        return _nothing("0 pictures tagged", "There was no picture to tag.")
    chosen = _pick(part, rows, lambda one: len(rows[one].general))
    row = rows[chosen]
    best = list(row.general.items())[:limit]
    crop = read_image(stage.outputs[CropStage].path / stage.outputs[CropStage].by_id[chosen].file)
    figure, (left, right) = _figure(1, 2, size=(9, max(3.2, 0.26 * len(best) + 1)), width_ratios=(1, 1.5))
    _show_picture(left, crop, f"{crop.shape[1]}x{crop.shape[0]} px")
    right.barh([tag for tag, _ in best], [score for _, score in best], color=_KEPT)
    right.invert_yaxis()
    right.set_xlim(0, 1)
    asked = run.settings.tag.general_min
    words = "the tagger's own limit" if asked is None else f"tag.general_min {asked:g}"
    if asked is not None:
        right.axvline(asked, color=_LIMIT, linewidth=1.5)
    _labelled(right, f"{len(row.general)} tags above {words}", f"score by {row.tagger} (0..1)", "tag")
    figure.suptitle(chosen, fontsize=9, family="monospace")
    return figure


def tag_counts(run: Run) -> Any:
    """The most frequent tags of all pictures, core traits of a character (which may be left to the trigger) in another colour."""
    caption = run.stage("caption")
    counts: Counter[str] = Counter(tag for row in caption.kept for tag in row.tags)
    if not counts:
        return _nothing("0 tags", "No picture has a tag: the tagger saw nothing that it is sure of.")
    core = {tag for tags in caption.notes["core_traits"].values() for tag in tags}
    best = counts.most_common(_BARS)
    figure, axes = _figure(size=(9, 0.26 * len(best) + 1.2))
    colors = [_GONE if tag in core else _KEPT for tag, _ in best]
    axes.barh([tag for tag, _ in best], [count for _, count in best], color=colors)
    axes.invert_yaxis()
    _legend(axes, {"core trait of a character": _GONE, "other tag": _KEPT}, loc="lower right")
    _whole_counts(axes.xaxis)
    _labelled(axes, f"{len(best)} most frequent of {len(counts)} tags", f"pictures (of {len(caption.kept)})", "tag")
    return figure


def traits(run: Run, character: str | None = None) -> Any:
    """How often a character's traits are on its pictures, beside how often the rest of the cast has them; what captions leave out in another colour.

    `character` unset: the one with most pictures. Raises `InputError` for one that is not there.
    """
    tables = run.stage("caption").notes["traits"]
    if not tables:
        return _nothing("0 characters", "No character was captioned in this run.")
    name = character or max(tables, key=lambda one: int(tables[one]["pictures"]))
    if name not in tables:
        raise InputError(f"{name} has no captions in this run; expected one of {', '.join(sorted(tables))}")
    told = tables[name]
    rows = told["traits"][:_BARS]
    if not rows:
        return _nothing(f"{name}: 0 traits", "The tagger named nothing of its hair, eyes, body or clothes.")
    figure, axes = _figure(size=(9, 0.3 * len(rows) + 1.4))
    labels = [row["tag"] + ("" if row["lift"] is None else f"  ({row['lift']:.1f}x)") for row in rows]
    colors = [_GONE if row["tag"] in told["dropped"] else _KEPT for row in rows]
    axes.barh(labels, [row["share"] for row in rows], color=colors, height=0.6)
    rest = [(row["rest_share"], place) for place, row in enumerate(rows) if row["rest_share"] is not None]
    axes.plot([share for share, _ in rest], [at for _, at in rest], "|", color=_LIMIT, markersize=12, linestyle="none")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    _legend(axes, {"told": _KEPT, "left to the trigger": _GONE, "rest of the cast": _LIMIT}, loc="lower right")
    _labelled(
        axes, f"{name}: policy {told['policy']}", "share of its pictures that show such a trait (0..1)", "trait (lift)"
    )
    return figure


def sheet(run: Run, what: Literal["contact_sheet", "subsets", "coverage"], character: str | None = None) -> Any:
    """One of the sheets that are published beside a character's set. `character` unset: the one with the largest set."""
    dataset = run.stage("dataset")
    sets = Counter(row.character for row in dataset.kept)
    if not sets:
        return _nothing("0 sets", "No character has a set in this run.")
    name = character or sets.most_common(1)[0][0]
    if name not in sets:
        raise InputError(f"{name} has no set in this run; expected one of {', '.join(sorted(sets))}")
    picture = read_image(dataset.output.path / "tree" / name / f"{what}.png")
    height, width = picture.shape[:2]
    figure, axes = _figure(size=(11, 11 * height / width + 0.5))
    _show_picture(axes, picture, f"{name}: {what.replace('_', ' ')}", "", "")
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def captions(run: Run, *, limit: int = 4, character: str | None = None) -> Any:
    """Pictures with the caption that will stand beside them in the set."""
    from animeset_lib.notebook.run import spread

    stage = run.stage("caption")
    crops = stage.outputs[CropStage]
    rows = [row for row in stage.kept if character in (None, crops.by_id[row.id].character)]
    if not rows and character is None:
        return _nothing("0 captions", "There was no picture to caption.")
    if not rows:
        raise InputError(f"no captioned picture shows {character}; expected one of {', '.join(_characters(run))}")
    shown = spread(rows, limit)
    figure, grid = _figure(len(shown), 1, size=(9, 1.9 * len(shown)), squeeze=False)
    for (axes,), row in zip(grid, shown, strict=True):
        crop = crops.by_id[row.id]
        picture = _small(read_image(crops.path / crop.file), _CAPTION_PX)
        size = f"{crop.width}x{crop.height}"
        _show_picture(axes, picture, f"{row.name}  ({size} px)", f"{crop.framing.replace('_', ' ')}", "")
        axes.set_anchor("W")
        axes.title.set_fontsize(9)
        axes.set_xlabel(axes.get_xlabel(), loc="left")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        # beside the picture, as far as the widest one reaches; the picture's own axes end at its edge
        axes.text(
            *(1.08 * _CAPTION_PX, picture.shape[0] / 2),
            _wrapped(f'"{row.caption}"', 78),
            va="center",
            fontsize=9.5,
            clip_on=False,
        )
        axes.set_xlim(-0.5, _CAPTION_PX * 3.9)
        axes.set_ylim(_CAPTION_PX - 0.5, -0.5)
    return figure


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def coverage(run: Run, character: str | None = None) -> Any:
    """What a set covers: pictures by framing, outfit, emotion and background, and where in the film they come from.

    `character` unset: the one with the largest set. Raises `InputError` for a character without one.
    """
    dataset = run.stage("dataset")
    sets: dict[str, list[Any]] = defaultdict(list)
    for row in dataset.rows:
        if row.rank is not None:
            sets[row.character].append(row)
    if not sets:
        return _nothing(
            "0 sets", "No character has a set in this run; run.stage('detect').dropped_table() may say why."
        )
    name = character or max(sets, key=lambda one: len(sets[one]))
    if name not in sets:
        raise InputError(f"{name} has no set in this run; expected one of {', '.join(sorted(sets))}")
    crops, kinds = dataset.outputs[CropStage].by_id, dataset.outputs[AttributesStage].by_id
    frames = dataset.outputs[ExtractStage].by_id
    rows = sets[name]
    counts: dict[str, Counter[str]] = {
        "framing": Counter(crops[row.id].framing for row in rows),
        **{key: Counter(getattr(kinds[row.id], key) for row in rows) for key in ("outfit", "emotion", "background")},
    }
    figure = _figure_class()(figsize=(9, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(2.4, 1))
    for place, (what, found) in enumerate(counts.items()):
        axes = figure.add_subplot(grid[0, place])
        best = found.most_common(8)
        labels = [label.replace("_", " ") for label, _ in best]
        colors = [_QUIET if label == "unknown" else _KEPT for label in labels]
        axes.barh(labels, [count for _, count in best], color=colors, height=0.7)
        axes.set_ylim(max(len(best), 3) - 0.4, -0.6)
        _whole_counts(axes.xaxis)
        _labelled(axes, what, "pictures", "")
    axes = figure.add_subplot(grid[1, :])
    last = (run.film.duration_ms or max(frame.pts_ms for frame in frames.values())) / 1000
    times = [frames[crops[row.id].frame_id].pts_ms / 1000 for row in rows]
    axes.hist(times, bins=max(10, min(60, math.ceil(last / 2))), range=(0, last), color=_KEPT)
    _whole_counts(axes.yaxis)
    shots = len({frames[crops[row.id].frame_id].shot for row in rows})
    _labelled(axes, f"from {shots} shots of {clock(round(last * 1000))}", "time in the film (s)", "pictures")
    figure.suptitle(f"{name}: {len(rows)} pictures", fontsize=11)
    return figure
