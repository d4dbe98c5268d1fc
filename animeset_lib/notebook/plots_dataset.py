"""Plots of tags, captions and finished sets."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Literal

from animeset_lib.dataset.card import clock
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image
from animeset_lib.pictures.crop import CropStage
from animeset_lib.words.attributes import AttributesStage

if TYPE_CHECKING:
    from animeset_lib.notebook.run import Run
from animeset_lib.notebook.figures import (
    GONE,
    KEPT,
    LIMIT,
    QUIET,
    character_colors,
    figure_class,
    labelled,
    legend,
    new_figure,
    nothing_to_show,
    pick,
    show_picture,
    shrunk,
    whole_counts,
    wrapped,
)

__all__ = ["captions", "coverage", "sheet", "tag_counts", "tag_scores", "traits"]


_BARS = 20
"""Most bars in a plot of counts."""
_CAPTION_PX = 300


def tag_scores(run: Run, part: str | None = None, *, limit: int = 24) -> Any:
    """One crop and its tags with their scores, best first. `part` of a crop's id picks it; unset: the crop with most tags."""
    stage = run.stage("tag")
    rows = {row.id: row for row in stage.kept}
    if not rows:
        return nothing_to_show("0 pictures tagged", "There was no picture to tag.")
    chosen = pick(part, rows, lambda one: len(rows[one].general))
    row = rows[chosen]
    best = list(row.general.items())[:limit]
    crop = read_image(stage.outputs[CropStage].path / stage.outputs[CropStage].by_id[chosen].file)
    figure, (left, right) = new_figure(1, 2, size=(9, max(3.2, 0.26 * len(best) + 1)), width_ratios=(1, 1.5))
    show_picture(left, crop, f"{crop.shape[1]}x{crop.shape[0]} px")
    right.barh([tag for tag, _ in best], [score for _, score in best], color=KEPT)
    right.invert_yaxis()
    right.set_xlim(0, 1)
    asked = run.settings.tag.general_min
    words = "the tagger's own limit" if asked is None else f"tag.general_min {asked:g}"
    if asked is not None:
        right.axvline(asked, color=LIMIT, linewidth=1.5)
    labelled(right, f"{len(row.general)} tags above {words}", f"score by {row.tagger} (0..1)", "tag")
    figure.suptitle(chosen, fontsize=9, family="monospace")
    return figure


def tag_counts(run: Run) -> Any:
    """The most frequent tags of all pictures, core traits of a character (which may be left to the trigger) in another colour."""
    caption = run.stage("caption")
    counts: Counter[str] = Counter(tag for row in caption.kept for tag in row.tags)
    if not counts:
        return nothing_to_show("0 tags", "No picture has a tag: the tagger saw nothing that it is sure of.")
    core = {tag for tags in caption.notes["core_traits"].values() for tag in tags}
    best = counts.most_common(_BARS)
    figure, axes = new_figure(size=(9, 0.26 * len(best) + 1.2))
    colors = [GONE if tag in core else KEPT for tag, _ in best]
    axes.barh([tag for tag, _ in best], [count for _, count in best], color=colors)
    axes.invert_yaxis()
    legend(axes, {"core trait of a character": GONE, "other tag": KEPT}, loc="lower right")
    whole_counts(axes.xaxis)
    labelled(axes, f"{len(best)} most frequent of {len(counts)} tags", f"pictures (of {len(caption.kept)})", "tag")
    return figure


def traits(run: Run, character: str | None = None) -> Any:
    """How often a character's traits are on its pictures, beside how often the rest of the cast has them; what captions leave out in another colour.

    `character` unset: the one with most pictures. Raises `InputError` for one that is not there.
    """
    tables = run.stage("caption").notes["traits"]
    if not tables:
        return nothing_to_show("0 characters", "No character was captioned in this run.")
    name = character or max(tables, key=lambda one: int(tables[one]["pictures"]))
    if name not in tables:
        raise InputError(f"{name} has no captions in this run; expected one of {', '.join(sorted(tables))}")
    table = tables[name]
    rows = table["traits"][:_BARS]
    if not rows:
        return nothing_to_show(f"{name}: 0 traits", "The tagger named nothing of its hair, eyes, body or clothes.")
    figure, axes = new_figure(size=(9, 0.3 * len(rows) + 1.4))
    labels = [row["tag"] + ("" if row["lift"] is None else f"  ({row['lift']:.1f}x)") for row in rows]
    colors = [GONE if row["tag"] in table["dropped"] else KEPT for row in rows]
    axes.barh(labels, [row["share"] for row in rows], color=colors, height=0.6)
    rest = [(row["rest_share"], place) for place, row in enumerate(rows) if row["rest_share"] is not None]
    axes.plot([share for share, _ in rest], [at for _, at in rest], "|", color=LIMIT, markersize=12, linestyle="none")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    legend(axes, {"told": KEPT, "left to the trigger": GONE, "rest of the cast": LIMIT}, loc="lower right")
    labelled(
        axes, f"{name}: policy {table['policy']}", "share of its pictures that show such a trait (0..1)", "trait (lift)"
    )
    return figure


def sheet(run: Run, what: Literal["contact_sheet", "subsets", "coverage"], character: str | None = None) -> Any:
    """One of the sheets that are published beside a character's set. `character` unset: the one with the largest set."""
    dataset = run.stage("dataset")
    sets = Counter(row.character for row in dataset.kept)
    if not sets:
        return nothing_to_show("0 sets", "No character has a set in this run.")
    name = character or sets.most_common(1)[0][0]
    if name not in sets:
        raise InputError(f"{name} has no set in this run; expected one of {', '.join(sorted(sets))}")
    picture = read_image(dataset.output.path / "tree" / name / f"{what}.png")
    height, width = picture.shape[:2]
    figure, axes = new_figure(size=(11, 11 * height / width + 0.5))
    show_picture(axes, picture, f"{name}: {what.replace('_', ' ')}", "", "")
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
        return nothing_to_show("0 captions", "There was no picture to caption.")
    if not rows:
        raise InputError(f"no captioned picture shows {character}; expected one of {', '.join(character_colors(run))}")
    shown = spread(rows, limit)
    figure, grid = new_figure(len(shown), 1, size=(9, 1.9 * len(shown)), squeeze=False)
    for (axes,), row in zip(grid, shown, strict=True):
        crop = crops.by_id[row.id]
        picture = shrunk(read_image(crops.path / crop.file), _CAPTION_PX)
        size = f"{crop.width}x{crop.height}"
        show_picture(axes, picture, f"{row.name}  ({size} px)", f"{crop.framing.replace('_', ' ')}", "")
        axes.set_anchor("W")
        axes.title.set_fontsize(9)
        axes.set_xlabel(axes.get_xlabel(), loc="left")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        # beside the picture, as far as the widest one reaches; the picture's own axes end at its edge
        axes.text(
            *(1.08 * _CAPTION_PX, picture.shape[0] / 2),
            wrapped(f'"{row.caption}"', 78),
            va="center",
            fontsize=9.5,
            clip_on=False,
        )
        axes.set_xlim(-0.5, _CAPTION_PX * 3.9)
        axes.set_ylim(_CAPTION_PX - 0.5, -0.5)
    return figure


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
        return nothing_to_show(
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
    figure = figure_class()(figsize=(9, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(2.4, 1))
    for place, (what, counted) in enumerate(counts.items()):
        axes = figure.add_subplot(grid[0, place])
        best = counted.most_common(8)
        labels = [label.replace("_", " ") for label, _ in best]
        colors = [QUIET if label == "unknown" else KEPT for label in labels]
        axes.barh(labels, [count for _, count in best], color=colors, height=0.7)
        axes.set_ylim(max(len(best), 3) - 0.4, -0.6)
        whole_counts(axes.xaxis)
        labelled(axes, what, "pictures", "")
    axes = figure.add_subplot(grid[1, :])
    last = (run.film.duration_ms or max(frame.pts_ms for frame in frames.values())) / 1000
    times = [frames[crops[row.id].frame_id].pts_ms / 1000 for row in rows]
    axes.hist(times, bins=max(10, min(60, math.ceil(last / 2))), range=(0, last), color=KEPT)
    whole_counts(axes.yaxis)
    shots = len({frames[crops[row.id].frame_id].shot for row in rows})
    labelled(axes, f"from {shots} shots of {clock(round(last * 1000))}", "time in the film (s)", "pictures")
    figure.suptitle(f"{name}: {len(rows)} pictures", fontsize=11)
    return figure
