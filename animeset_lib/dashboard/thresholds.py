"""What a threshold would do to this film, before anything is run again: histogram, how many would go, and the pictures on the border.

Works on the rows of a run whose stages were kept. Only limits that are compared with a value each row holds can be looked at this way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.dashboard.pictures import thumbnail
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.quality import GATES, QualityStage, find_faults
from animeset_lib.run.stage import Given, StageType
from animeset_lib.settings import Settings

__all__ = ["EXPLORABLE", "Explored", "explore"]

_BINS = 40
_BORDER = 6
_PX = 132


@dataclass(frozen=True)
class _Limit:
    """`stage` holds the rows, `measure` gives a row's value (None: not measured, or dropped for something that is looked at before),
    `low_is_bad` tells on which side the limit drops, `axis` what the value is."""

    stage: StageType
    measure: Callable[[Any], float | None]
    low_is_bad: bool
    axis: str


def _measured(name: str) -> Callable[[Any], float | None]:
    return lambda row: row.measured.get(name)


def _usable(measure: Callable[[Any], float | None], *before: str) -> Callable[[Any], float | None]:
    """Without doubles, heads without a face and what else went for a reason that comes `before`: the limit does not reach them."""
    reasons = ("double", "no_face", *before)
    return lambda row: None if row.dropped in reasons else measure(row)


EXPLORABLE: Mapping[str, _Limit] = {
    "dedupe.ssim_min": _Limit(
        DedupeStage, lambda row: row.ssim, False, "structural similarity to the kept still (0..1)"
    ),
    "dedupe.local_ssim_min": _Limit(
        DedupeStage, lambda row: row.local_ssim, False, "structural similarity of the least similar part (0..1)"
    ),
    "detect.score_min": _Limit(DetectStage, _usable(lambda row: row.score), True, "score of the detector (0..1)"),
    "detect.min_face_px": _Limit(
        DetectStage, _usable(lambda row: row.face.height, "low_score"), True, "face height (px)"
    ),
    **{
        f"quality.{gate.limit}": _Limit(QualityStage, _measured(gate.measure), gate.least, gate.axis)
        for gate in GATES.values()
    },
}
"""Settings that can be explored. The two of 2_dedupe know only the pairs that were duplicates in this run, as they were first
compared: a laxer limit finds more, and with a stricter one a pair may still turn out equal once a small move is taken out."""


@dataclass(frozen=True)
class Explored:
    """`edges` has one value more than `counts`; `dropped` counts rows beyond the limit, `total` all measured ones; `border` are the
    rows nearest to it on either side: `src` (a small picture), `value`, `dropped`."""

    name: str
    limit: float
    edges: list[float]
    counts: list[int]
    dropped: int
    total: int
    border: list[dict[str, Any]]


def explore(name: str, value: float, settings: Settings, outputs: Given) -> Explored | None:
    """The effect of setting `name` to `value` on the run whose `outputs` are given; None where it cannot be told."""
    limit = EXPLORABLE.get(name)
    if limit is None or limit.stage not in outputs:
        return None
    rows = [row for row in outputs[limit.stage].rows if limit.measure(row) is not None]
    if not rows:
        return None
    values = np.array([limit.measure(row) for row in rows], dtype=np.float64)
    beyond = values < value if limit.low_is_bad else values >= value if name.startswith("dedupe.") else values > value
    if name.startswith("quality."):
        section, _, key = name.partition(".")
        tried = getattr(settings, section).model_copy(update={key: value})
        code = next(code for code, gate in GATES.items() if gate.limit == key)
        beyond = np.array([code in find_faults(row.measured, tried) for row in rows])
    counts, edges = np.histogram(values, bins=_BINS)
    return Explored(
        name,
        value,
        [round(float(edge), 4) for edge in edges],
        counts.tolist(),
        int(beyond.sum()),
        len(rows),
        _border(rows, values, beyond, value, outputs),
    )


def _border(rows: Sequence[Any], values: Any, beyond: Any, value: float, outputs: Given) -> list[dict[str, Any]]:
    """The nearest few that would go, then the nearest few that would stay."""
    pictures = []
    for state in (True, False):
        side = np.flatnonzero(beyond == state)
        for index in side[np.argsort(np.abs(values[side] - value), kind="stable")][:_BORDER]:
            src = _picture(rows[index].id, outputs)
            if src:
                pictures.append({"src": src, "value": round(float(values[index]), 3), "dropped": state})
    return pictures


def _picture(row_id: str, outputs: Given) -> str:
    """A face for a region's id, a whole still for a frame's."""
    extract = outputs[ExtractStage]
    frame = extract.by_id.get(row_id)
    if frame is not None:
        return thumbnail(extract.path / frame.file, _PX)
    region = outputs[DetectStage].by_id.get(row_id) if DetectStage in outputs else None
    if region is None:
        return ""
    frame = extract.by_id[region.frame_id]
    return thumbnail(extract.path / frame.file, _PX, (head_crop, region.face))
