"""Plots of faces and characters."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.notebook import figures as fig
from animeset_lib.notebook.run import Run, spread
from animeset_lib.records import Region

__all__ = ["boxes", "distances", "face_map"]


def boxes(run: Run, frame: str | None = None) -> Any:
    """One still with everything that was found in it: face, body and score, and the character where it is known.

    `frame` is the still's id or a part of it; unset: the still with most figures.
    """
    by_frame: dict[str, list[Region]] = defaultdict(list)
    for region in run.stage("detect").outputs[DetectStage].rows:
        by_frame[region.frame_id].append(region)
    if not by_frame:
        return fig.nothing_to_show("0 figures", "No face was found in any still.")
    chosen = fig.pick(frame, by_frame, lambda one: (sum(r.dropped is None for r in by_frame[one]), -len(by_frame[one])))
    cast = run.outputs[CastStage].by_id if CastStage in run.outputs else {}
    colors = fig.character_colors(run) if cast else {}
    time = run.stage("extract").output.by_id[chosen].pts_ms / 1000
    title = f"{chosen}, {time:.2f} s: {len(by_frame[chosen])} figures"
    figure, axes = fig.picture_figure(fig.still_of(run, chosen), title)
    for region in by_frame[chosen]:
        name = getattr(cast.get(region.id), "character", None)
        color = fig.QUIET if region.dropped else colors.get(name or "", fig.KEPT)
        fig.rectangle(axes, region.face, color, "-")
        fig.rectangle(axes, region.person, color, ":")
        said = DetectStage.reasons[region.dropped].english if region.dropped else name or "face"
        fig.written_on(axes, region.face, f"{said} {region.score:.2f}", color)
    axes.plot([], [], "-", color=fig.KEPT, label="face, with the detector's score (0..1)")
    axes.plot([], [], ":", color=fig.KEPT, label="body (estimated from the face where none was seen)")
    axes.legend(fontsize=8, loc="lower right", framealpha=0.85)
    return figure


def face_map(run: Run, *, faces: int = 60, zoom: float = 0.24) -> Any:
    """The map of the faces: one point each, coloured by character, with the heads themselves at up to `faces` of them.

    Near means alike to the embedder; the axes have no unit and no other meaning.
    """
    cluster = run.stage("cluster")
    cast = run.outputs[CastStage].by_id if CastStage in run.outputs else {}
    colors = fig.character_colors(run) if cast else {}
    if not cluster.kept:
        return fig.nothing_to_show("0 faces", "No face was found, so there is nothing to sort.")
    regions = cluster.outputs[DetectStage].by_id
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in cluster.kept:
        name = getattr(cast.get(row.id), "character", None) if cast else f"cluster {row.cluster}"
        groups[name or "nobody (noise)"].append(row)
    figure, axes = fig.new_figure(size=(9, 5.6))
    shown = {row.id for row in spread(cluster.kept, faces)}
    for place, (name, rows) in enumerate(sorted(groups.items(), key=lambda group: -len(group[1]))):
        color = colors.get(name) or (fig.QUIET if name.startswith("nobody") else fig.COLORS[place % len(fig.COLORS)])
        axes.scatter([r.x for r in rows], [r.y for r in rows], s=26, color=color, label=f"{name} ({len(rows)})")
        for row in rows:
            if row.id in shown:
                region = regions[row.id]
                picture = fig.shrunk(head_crop(fig.still_of(run, region.frame_id), region.face), 128)
                fig.picture_at(axes, picture, (row.x, row.y), zoom, color)
    axes.margins(0.12)
    fig.legend_beside(axes)
    title = f"{len(cluster.kept)} faces, {run.settings.cluster.map.upper()} map: near means alike"
    fig.labelled(axes, title, "map x (no unit)", "map y (no unit)")
    return figure


def distances(run: Run) -> Any:
    """How far apart pairs of faces are: those inside one cluster and those of two. Two separate hills are what sorting needs."""
    notes = run.stage("cluster").notes
    edges = np.array(notes["distances"]["edges"])
    figure, axes = fig.new_figure()
    same = top = notes["same_distance"]
    for kind, color, words in (("within", fig.KEPT, "of one cluster"), ("between", fig.GONE, "of two clusters")):
        counts = np.array(notes["distances"][kind], dtype=float)
        share = 100 * counts / max(counts.sum(), 1)
        axes.stairs(share, edges, fill=True, alpha=0.55, color=color, label=f"{int(counts.sum())} pairs {words}")
        top = max(top, edges[1:][counts > 0].max(initial=0.0))
    axes.axvline(same, color=fig.LIMIT, linewidth=1.5, label=f"same_distance {same:.2f}")
    axes.legend(fontsize=8, frameon=False)
    axes.set_xlim(0, top + 0.1)
    x = "cosine distance of two faces (0 = equal, 1 = unrelated)"
    fig.labelled(axes, "Distances between faces", x, "share of pairs (%)")
    return figure
