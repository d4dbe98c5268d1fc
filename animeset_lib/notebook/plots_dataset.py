"""Plots of tags, captions and finished sets."""

from __future__ import annotations

import math
import textwrap
from collections import Counter, defaultdict
from typing import Any, Literal

from animeset_lib.dataset.card import clock
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image
from animeset_lib.notebook import figures as fig
from animeset_lib.notebook.run import Run, spread
from animeset_lib.pictures.crop import CropStage
from animeset_lib.words.attributes import AttributesStage

__all__ = ["captions", "coverage", "sheet", "tag_counts", "tag_scores", "traits"]

_BARS = 20
"""Most bars in a plot of counts."""
_CAPTION_PX = 300


def tag_scores(run: Run, part: str | None = None, *, limit: int = 24) -> Any:
    """One crop and its tags with their scores, best first. `part` of a crop's id picks it; unset: the crop with most tags."""
    stage = run.stage("tag")
    rows = {row.id: row for row in stage.kept}
    if not rows:
        return fig.nothing_to_show("0 pictures tagged", "There was no picture to tag.")
    chosen = fig.pick(part, rows, lambda one: len(rows[one].general))
    row = rows[chosen]
    best = dict(list(row.general.items())[:limit])
    crop = read_image(stage.outputs[CropStage].path / stage.outputs[CropStage].by_id[chosen].file)
    size = (9, max(3.2, 0.26 * len(best) + 1))
    figure, (left, right) = fig.new_figure(1, 2, size=size, width_ratios=(1, 1.5))
    fig.show_picture(left, crop, f"{crop.shape[1]}x{crop.shape[0]} px")
    fig.bars(right, list(best), list(best.values()), fig.KEPT)
    right.set_xlim(0, 1)
    words = "the tagger's own limit"
    if (asked := run.settings.tag.general_min) is not None:
        words = f"tag.general_min {asked:g}"
        right.axvline(asked, color=fig.LIMIT, linewidth=1.5)
    fig.labelled(right, f"{len(row.general)} tags above {words}", f"score by {row.tagger} (0..1)", "tag")
    figure.suptitle(chosen, fontsize=9, family="monospace")
    return figure


def tag_counts(run: Run) -> Any:
    """The most frequent tags of all pictures, core traits of a character (which may be left to the trigger) in another colour."""
    caption = run.stage("caption")
    counts: Counter[str] = Counter(tag for row in caption.kept for tag in row.tags)
    if not counts:
        return fig.nothing_to_show("0 tags", "No picture has a tag: the tagger saw nothing that it is sure of.")
    core = {tag for tags in caption.notes["core_traits"].values() for tag in tags}
    best = dict(counts.most_common(_BARS))
    figure, axes = fig.new_figure(size=(9, 0.26 * len(best) + 1.2))
    fig.bars(axes, list(best), list(best.values()), [fig.GONE if tag in core else fig.KEPT for tag in best])
    fig.legend(axes, {"core trait of a character": fig.GONE, "other tag": fig.KEPT})
    fig.whole_counts(axes.xaxis)
    title = f"{len(best)} most frequent of {len(counts)} tags"
    fig.labelled(axes, title, f"pictures (of {len(caption.kept)})", "tag")
    return figure


def traits(run: Run, character: str | None = None) -> Any:
    """How often a character's traits are on its pictures, beside how often the rest of the cast has them; what captions leave out in another colour.

    `character` unset: the one with most pictures. Raises `InputError` for one that is not there.
    """
    tables = run.stage("caption").notes["traits"]
    if not tables:
        return fig.nothing_to_show("0 characters", "No character was captioned in this run.")
    name = fig.pick_character(character, tables, lambda one: int(tables[one]["pictures"]), "captions")
    table = tables[name]
    rows = table["traits"][:_BARS]
    if not rows:
        return fig.nothing_to_show(f"{name}: 0 traits", "The tagger named nothing of its hair, eyes, body or clothes.")
    figure, axes = fig.new_figure(size=(9, 0.3 * len(rows) + 1.4))
    labels = [row["tag"] + ("" if row["lift"] is None else f"  ({row['lift']:.1f}x)") for row in rows]
    colors = [fig.GONE if row["tag"] in table["dropped"] else fig.KEPT for row in rows]
    fig.bars(axes, labels, [row["share"] for row in rows], colors, height=0.6)
    rest = [(row["rest_share"], place) for place, row in enumerate(rows) if row["rest_share"] is not None]
    axes.plot(*zip(*rest, strict=True) if rest else ([], []), "|", color=fig.LIMIT, markersize=12, linestyle="none")
    axes.set_xlim(0, 1)
    fig.legend(axes, {"told": fig.KEPT, "left to the trigger": fig.GONE, "rest of the cast": fig.LIMIT})
    share = "share of its pictures that show such a trait (0..1)"
    fig.labelled(axes, f"{name}: policy {table['policy']}", share, "trait (lift)")
    return figure


def sheet(run: Run, what: Literal["contact_sheet", "subsets", "coverage"], character: str | None = None) -> Any:
    """One of the sheets that are published beside a character's set. `character` unset: the one with the largest set."""
    dataset = run.stage("dataset")
    sets = Counter(row.character for row in dataset.kept)
    if not sets:
        return fig.nothing_to_show("0 sets", "No character has a set in this run.")
    name = fig.pick_character(character, sets, lambda one: sets[one], "set")
    picture = read_image(dataset.output.path / "tree" / name / f"{what}.png")
    return fig.picture_figure(picture, f"{name}: {what.replace('_', ' ')}", "", "", inches=11)[0]


def captions(run: Run, *, limit: int = 4, character: str | None = None) -> Any:
    """Pictures with the caption that will stand beside them in the set."""
    stage = run.stage("caption")
    crops = stage.outputs[CropStage]
    rows = [row for row in stage.kept if character in (None, crops.by_id[row.id].character)]
    if not rows and character is None:
        return fig.nothing_to_show("0 captions", "There was no picture to caption.")
    if not rows:
        known = ", ".join(fig.character_colors(run))
        raise InputError(f"no captioned picture shows {character}; expected one of {known}")
    shown = spread(rows, limit)
    figure, grid = fig.new_figure(len(shown), 1, size=(9, 1.9 * len(shown)), squeeze=False)
    for (axes,), row in zip(grid, shown, strict=True):
        crop = crops.by_id[row.id]
        picture = fig.shrunk(read_image(crops.path / crop.file), _CAPTION_PX)
        title = f"{row.name}  ({crop.width}x{crop.height} px)"
        fig.show_picture(axes, picture, title, crop.framing.replace("_", " "), "")
        axes.set_anchor("W")
        axes.title.set_fontsize(9)
        axes.set_xlabel(axes.get_xlabel(), loc="left")
        axes.spines[:].set_visible(False)
        # beside the picture, as far as the widest one reaches; the picture's own axes end at its edge
        said = textwrap.fill(f'"{row.caption}"', 78)
        axes.text(1.08 * _CAPTION_PX, picture.shape[0] / 2, said, va="center", fontsize=9.5, clip_on=False)
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
        why = "No character has a set in this run; run.stage('detect').dropped_table() may say why."
        return fig.nothing_to_show("0 sets", why)
    name = fig.pick_character(character, sets, lambda one: len(sets[one]), "set")
    crops = [dataset.outputs[CropStage].by_id[row.id] for row in sets[name]]
    kinds = [dataset.outputs[AttributesStage].by_id[row.id] for row in sets[name]]
    frames = dataset.outputs[ExtractStage].by_id
    figure = fig.figure_class()(figsize=(9, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(2.4, 1))
    for place, what in enumerate(("framing", "outfit", "emotion", "background")):
        axes = figure.add_subplot(grid[0, place])
        best = Counter(getattr(one, what).replace("_", " ") for one in (kinds if place else crops)).most_common(8)
        colors = [fig.QUIET if label == "unknown" else fig.KEPT for label, _ in best]
        fig.bars(axes, [label for label, _ in best], [count for _, count in best], colors, height=0.7)
        fig.whole_counts(axes.xaxis)
        fig.labelled(axes, what, "pictures", "")
    axes = figure.add_subplot(grid[1, :])
    last = (run.film.duration_ms or max(frame.pts_ms for frame in frames.values())) / 1000
    stills = [frames[crop.frame_id] for crop in crops]
    bins = max(10, min(60, math.ceil(last / 2)))
    axes.hist([still.pts_ms / 1000 for still in stills], bins=bins, range=(0, last), color=fig.KEPT)
    fig.whole_counts(axes.yaxis)
    shots = len({still.shot for still in stills})
    fig.labelled(axes, f"from {shots} shots of {clock(round(last * 1000))}", "time in the film (s)", "pictures")
    figure.suptitle(f"{name}: {len(crops)} pictures", fontsize=11)
    return figure
