"""Plots of faces and characters."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.records import Region

if TYPE_CHECKING:
    from animeset_lib.notebook.run import Run
from animeset_lib.notebook.figures import (
    COLORS,
    GONE,
    KEPT,
    LIMIT,
    QUIET,
    character_colors,
    labelled,
    new_figure,
    nothing_to_show,
    pick,
    picture_at,
    rectangle,
    show_picture,
    shrunk,
    still_of,
    written_on,
)

__all__ = ["boxes", "distances", "face_map"]


def boxes(run: Run, frame: str | None = None) -> Any:
    """One still with everything that was found in it: face, body and score, and the character where it is known.

    `frame` is the still's id or a part of it; unset: the still with most figures.
    """
    detect = run.stage("detect")
    by_frame: dict[str, list[Region]] = defaultdict(list)
    for region in detect.rows:
        by_frame[region.frame_id].append(region)
    if not by_frame:
        return nothing_to_show("0 figures", "No face was found in any still.")
    chosen = pick(frame, by_frame, lambda one: (sum(r.dropped is None for r in by_frame[one]), -len(by_frame[one])))
    outputs = run.outputs
    cast = outputs[CastStage].by_id if CastStage in outputs else {}
    colors = character_colors(run) if cast else {}
    picture = still_of(run, chosen)
    figure, axes = new_figure(size=(9, 9 * picture.shape[0] / picture.shape[1] + 0.6))
    time = run.stage("extract").output.by_id[chosen].pts_ms / 1000
    show_picture(axes, picture, f"{chosen}, {time:.2f} s: {len(by_frame[chosen])} figures")
    for region in by_frame[chosen]:
        name = getattr(cast.get(region.id), "character", None)
        color = QUIET if region.dropped else colors.get(name or "", KEPT)
        rectangle(axes, region.face, color, "-")
        rectangle(axes, region.person, color, ":")
        said = DetectStage.reasons[region.dropped].english if region.dropped else name or "face"
        written_on(axes, region.face, f"{said} {region.score:.2f}", color)
    axes.plot([], [], "-", color=KEPT, label="face, with the detector's score (0..1)")
    axes.plot([], [], ":", color=KEPT, label="body (estimated from the face where none was seen)")
    axes.legend(fontsize=8, loc="lower right", framealpha=0.85)
    return figure


def face_map(run: Run, *, faces: int = 60, zoom: float = 0.24) -> Any:
    """The map of the faces: one point each, coloured by character, with the heads themselves at up to `faces` of them.

    Near means alike to the embedder; the axes have no unit and no other meaning.
    """
    from animeset_lib.notebook.run import spread

    cluster = run.stage("cluster")
    cast = run.outputs[CastStage].by_id if CastStage in run.outputs else {}
    colors = character_colors(run) if cast else {}
    if not cluster.kept:
        return nothing_to_show("0 faces", "No face was found, so there is nothing to sort.")
    regions = cluster.outputs[DetectStage].by_id
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in cluster.kept:
        name = getattr(cast.get(row.id), "character", None) if cast else f"cluster {row.cluster}"
        groups[name or "nobody (noise)"].append(row)
    figure, axes = new_figure(size=(9, 5.6))
    shown = {row.id for row in spread(cluster.kept, faces)}
    for place, (name, rows) in enumerate(sorted(groups.items(), key=lambda group: -len(group[1]))):
        color = colors.get(name) or (QUIET if name.startswith("nobody") else COLORS[place % len(COLORS)])
        axes.scatter([r.x for r in rows], [r.y for r in rows], s=26, color=color, label=f"{name} ({len(rows)})")
        for row in rows:
            if row.id in shown:
                region = regions[row.id]
                picture = shrunk(head_crop(still_of(run, region.frame_id), region.face), 128)
                picture_at(axes, picture, (row.x, row.y), zoom, color)
    axes.margins(0.12)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    kind = run.settings.cluster.map.upper()
    labelled(axes, f"{len(cluster.kept)} faces, {kind} map: near means alike", "map x (no unit)", "map y (no unit)")
    return figure


def distances(run: Run) -> Any:
    """How far apart pairs of faces are: those inside one cluster and those of two. Two separate hills are what sorting needs."""
    cluster = run.stage("cluster")
    histograms = cluster.notes["distances"]
    edges = np.array(histograms["edges"])
    figure, axes = new_figure()
    for kind, color, words in (("within", KEPT, "of one cluster"), ("between", GONE, "of two clusters")):
        counts = np.array(histograms[kind], dtype=float)
        share = 100 * counts / max(counts.sum(), 1)
        axes.stairs(share, edges, fill=True, alpha=0.55, color=color, label=f"{int(counts.sum())} pairs {words}")
    same = cluster.notes["same_distance"]
    axes.axvline(same, color=LIMIT, linewidth=1.5, label=f"same_distance {same:.2f}")
    axes.legend(fontsize=8, frameon=False)
    top = max(
        (edges[i + 1] for i in range(len(edges) - 1) if histograms["within"][i] or histograms["between"][i]),
        default=1.0,
    )
    axes.set_xlim(0, max(top, same) + 0.1)
    labelled(
        axes, "Distances between faces", "cosine distance of two faces (0 = equal, 1 = unrelated)", "share of pairs (%)"
    )
    return figure
