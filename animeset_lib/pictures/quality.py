"""4a_quality: which figures are too bad to train on, with the measured reason.

Looks at the cheap originals: nothing is enlarged or finished that would be thrown away here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, combing, read_image
from animeset_lib.pictures.measure import find_mixture, luma_around, measure_face, mixing_patch
from animeset_lib.records import UNREADABLE, Box, Frame, QualityRow, Reason
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import QualitySettings

__all__ = ["GATES", "Gate", "MeasureHistogram", "QualityNotes", "QualityStage", "find_faults", "rate"]

# A dissolve or fade is looked for between stills at most this far away, several on each side: the nearest ones may be part of it themselves.
_NEIGHBOUR_MS = 3_000
_NEIGHBOURS = 4
# Height in px to which stills are reduced for that.
_NEIGHBOUR_PX = 360
# What a blend may leave unexplained (movements, coding). On real shots, dissolved into each other, this finds two of three and nearly all fades;
# what it finds in real clips are real dissolves and titles being faded in.
_MIXTURE_RESIDUAL = 0.5
# Edges this narrow in px are as sharp as a still can be, however small the face.
_SHARP_PX = 0.8


@dataclass(frozen=True)
class QualityItem:
    """One figure: its face in the still, and the stills around it in time."""

    id: str
    still: Path
    face: Box
    height: int
    before: tuple[Path, ...]
    after: tuple[Path, ...]


class MeasureHistogram(BaseModel):
    """20 equal bins from the least to the greatest value, as edges and counts."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class QualityNotes(Notes):
    """Every measured value's distribution over the film, the limits in force, and how many figures are beyond each."""

    distribution: dict[str, MeasureHistogram]
    limits: QualitySettings
    beyond_limit: dict[str, int]


@dataclass(frozen=True)
class Gate:
    """Drops a figure for one value: `measure` is its name among the measured ones, `limit` the setting's name.

    axis      what the value is, with its unit
    least     the limit is the least that is allowed, not the most
    why       sentence with the places {value} and {limit}
    forgives  measured values with which it never drops
    of        gives the value of a still and a face in it; None where `measure_face` or the stage does
    """

    reason: Reason
    measure: str
    limit: str
    axis: str
    least: bool
    why: str
    forgives: Callable[[Mapping[str, float]], bool] = lambda measured: False
    of: Callable[[Picture, Box], float] | None = None


GATES: Mapping[str, Gate] = {
    "too_small": Gate(
        Reason("Too small to train on", "Zu klein fürs Training", "The face or the crop has too few pixels."),
        "face_px",
        "min_face_px",
        "face height (px)",
        least=True,
        why="the face is {value:.0f} px high, at least {limit} are needed",
    ),
    "too_dark": Gate(
        Reason("Too dark", "Zu dunkel", "Even the brightest parts of the face are dark."),
        "luma_p95",
        "dark_luma",
        "luma that the brightest 5 % of the face reach (0..255)",
        least=True,
        why="the brightest 5 % of the face reach luma {value:.0f}, at least {limit:g} is needed",
    ),
    "too_bright": Gate(
        Reason("Too bright", "Zu hell", "Even the darkest parts of the face are bright."),
        "luma_p05",
        "bright_luma",
        "luma that the darkest 5 % of the face reach (0..255)",
        least=False,
        why="the darkest 5 % of the face reach luma {value:.0f}, at most {limit:g} is allowed",
    ),
    "flat": Gate(
        Reason("Too little contrast", "Zu wenig Kontrast", "Bright and dark parts of the face hardly differ."),
        "contrast",
        "flat_contrast",
        "contrast in the face (luma levels)",
        least=True,
        why="contrast in the face is {value:.0f} levels, at least {limit:g} are needed",
    ),
    "blend": Gate(
        Reason("Dissolve or fade", "Blende", "Another picture or a plain colour is mixed in."),
        "blend",
        "blend_share",
        "share of another picture mixed in (0..1)",
        least=False,
        why="{value:.0%} of another picture or plain colour is mixed in (dissolve or fade), at most {limit:.0%} is allowed",
    ),
    "blurred": Gate(
        Reason("Blurred", "Unscharf", "The drawn lines are soft for the size of the face."),
        "blur",
        "blur_percent",
        "width of the drawn lines (% of the face height)",
        least=False,
        why="lines are {value:.2f} % of the face height soft, at most {limit:g} % is allowed",
        forgives=lambda measured: measured["blur_px"] <= _SHARP_PX,
    ),
    "noisy": Gate(
        Reason("Noisy", "Verrauscht", "There is grain or noise in flat parts."),
        "noise",
        "noise_sigma",
        "noise (luma levels)",
        least=False,
        why="noise is {value:.1f} levels, at most {limit:g} is allowed",
    ),
    "blocky": Gate(
        Reason("Coding blocks", "Kompressionsblöcke", "The codec's blocks are seen."),
        "blockiness",
        "blockiness",
        "steps on the codec's 8-px grid (luma levels)",
        least=False,
        why="coding blocks stand out by {value:.2f} levels, at most {limit:g} is allowed",
    ),
    "combed": Gate(
        Reason("Combed", "Kammartefakte", "Every other line shows another moment, as interlaced film does."),
        "combs",
        "comb_share",
        "share of combed pixels in the worst block (0..1)",
        least=False,
        why="{value:.0%} of a part of the picture is combed (interlaced), at most {limit:.0%} is allowed",
        of=lambda still, face: combing(luma_around(still, face)),
    ),
}
"""Code → gate; the first one beyond its limit names the reason. Another gate is an entry here, its limit in `QualitySettings`, and the limit's
German words in the page's `words/de.toml`."""


@dataclass(frozen=True)
class QualityStage(Stage[QualityItem, QualityRow, QualityNotes]):
    """Measures every figure that has a character; drops what is beyond a limit, with the code of the first fault and all of them in words."""

    settings: QualitySettings
    name: ClassVar[str] = "4a_quality"
    version: ClassVar[str] = "1"
    seconds_per_minute: ClassVar[float] = 2.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DetectStage, CastStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
        **{code: gate.reason for code, gate in GATES.items()},
    }
    batch: ClassVar[int] = 64  # items that share stills should share a batch

    def plan(self, given: Given) -> list[QualityItem]:
        stills: list[Frame] = given[ExtractStage].kept
        place = {frame.id: index for index, frame in enumerate(stills)}
        regions = given[DetectStage].by_id
        items = []
        for cast in given[CastStage].kept:
            if cast.character is None:
                continue
            region = regions[cast.id]
            index = place[region.frame_id]
            before, after = _around(stills, index)
            files = [tuple(given[ExtractStage].path / frame.file for frame in frames) for frames in (before, after)]
            items.append(
                QualityItem(cast.id, given[ExtractStage].path / stills[index].file, region.face, region.height, *files)
            )
        return items

    def process(self, batch: Sequence[QualityItem], out: Path, ctx: Context) -> Iterable[QualityRow]:
        # neighbouring items share stills: each is decoded once while the batch moves on in time
        read = lru_cache(maxsize=_NEIGHBOURS + 1)(read_image)

        @lru_cache(maxsize=4 * _NEIGHBOURS)
        def reduce(path: Path) -> Picture:
            return _reduced(read(path))

        for item in batch:
            try:
                still = read(item.still)
                measured = measure_face(still, item.face)
                measured |= {gate.measure: gate.of(still, item.face) for gate in GATES.values() if gate.of}
                measured["blend"] = _blend_share(item, reduce)
            except InputError as error:
                yield QualityRow(id=item.id, measured={}, score=0, dropped="unreadable", why=str(error))
                continue
            faults = find_faults(measured, self.settings)
            yield QualityRow(
                id=item.id,
                measured={name: round(value, 4) for name, value in measured.items()},
                score=round(rate(measured, self.settings), 4),
                dropped=next(iter(faults), None),
                why="; ".join(faults.values()),
            )

    def finish(
        self,
        rows: Sequence[QualityRow],
        items: Sequence[QualityItem],
        given: Given,
        out: Path,
        ctx: Context,
    ) -> tuple[Sequence[QualityRow], QualityNotes]:
        faults = Counter(code for row in rows if row.measured for code in find_faults(row.measured, self.settings))
        reasons = Counter(row.dropped for row in rows if row.dropped)
        for reason, count in sorted(reasons.items()):
            ctx.log.info("4a_quality: %d of %d figures dropped as %s", count, len(rows), reason)
        return rows, QualityNotes(
            distribution=_histograms([row.measured for row in rows if row.measured]),
            limits=self.settings,
            beyond_limit=dict(sorted(faults.items())),
        )


def find_faults(measured: Mapping[str, float], limits: QualitySettings) -> dict[str, str]:
    """Reason code → sentence with number and limit, for every limit that `measured` (see `measure_face`, and `blend`) is beyond."""
    faults = {}
    for code, gate in GATES.items():
        value, limit = measured[gate.measure], getattr(limits, gate.limit)
        if (value < limit if gate.least else value > limit) and not gate.forgives(measured):
            faults[code] = gate.why.format(value=value, limit=limit)
    return faults


def rate(measured: Mapping[str, float], limits: QualitySettings) -> float:
    """0..1 for ranking: the product of how far each value stays from its limit, sharp lines and many pixels counting most."""
    sharp = 1 - 0.5 * min(1.0, measured["blur"] / limits.blur_percent)
    large = min(1.0, measured["face_px"] / 256) ** 0.5
    clean = 1 - 0.3 * min(1.0, measured["noise"] / max(limits.noise_sigma, 1e-6))
    smooth = 1 - 0.3 * min(1.0, measured["blockiness"] / max(limits.blockiness, 1e-6))
    # beyond half of the tonal range more contrast is a matter of style
    tones = 0.6 + 0.4 * min(1.0, measured["contrast"] / 128)
    whole = 1 - measured["blend"]
    return float(min(1.0, max(0.0, sharp * large * clean * smooth * tones * whole)))


def _around(stills: Sequence[Frame], index: int) -> tuple[list[Frame], list[Frame]]:
    """The nearest stills before and after, nearest first, of equal size and near in time; none for a folder of pictures."""
    here = stills[index]

    def usable(frame: Frame) -> bool:
        near = abs(frame.pts_ms - here.pts_ms) <= _NEIGHBOUR_MS
        return near and frame.cause != "picture" and (frame.width, frame.height) == (here.width, here.height)

    before = stills[max(0, index - _NEIGHBOURS) : index][::-1]
    after = stills[index + 1 : index + 1 + _NEIGHBOURS]
    return [frame for frame in before if usable(frame)], [frame for frame in after if usable(frame)]


def _reduced(still: Picture) -> Picture:
    factor = min(1.0, _NEIGHBOUR_PX / still.shape[0])
    small = cv2.resize(still, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _blend_share(item: QualityItem, reduce: Callable[[Path], Picture]) -> float:
    """Share of a foreign picture or colour in the head, 0 when no blend of neighbours explains it."""
    if not item.before or not item.after:
        return 0.0

    here = reduce(item.still)
    face = item.face.scaled(min(1.0, _NEIGHBOUR_PX / item.height))

    def patches(paths: Iterable[Path]) -> list[npt.NDArray[np.float32]]:
        found = []
        for path in paths:
            # a damaged neighbour is its own regions' fault, not this one's
            with suppress(InputError):
                found.append(mixing_patch(reduce(path), face))
        return found

    mixture = find_mixture(mixing_patch(here, face), patches(item.before), patches(item.after))
    return mixture.share if mixture is not None and mixture.residual <= _MIXTURE_RESIDUAL else 0.0


def _histograms(measured: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Per value: 20 equal bins from the least to the greatest, as edges and counts."""
    if not measured:
        return {}
    result: dict[str, Any] = {}
    for name in sorted(measured[0]):
        counts, edges = np.histogram([m[name] for m in measured], bins=20)
        result[name] = {"edges": [round(float(e), 4) for e in edges], "counts": counts.tolist()}
    return result
