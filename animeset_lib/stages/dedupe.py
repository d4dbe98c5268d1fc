"""2_dedupe: which stills show the same picture, and which of them stays.

A perceptual hash proposes, structural similarity decides (`similarity.py`). The sharpest still of a group stays. There is no chaining: every
still that is dropped was itself compared with the one that stays, so a slow dissolve from A to B cannot carry B into A's group.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import InputError
from animeset_lib.media import read_image, write_image
from animeset_lib.records import DedupeRow
from animeset_lib.run.stage import Context, Output, Stage
from animeset_lib.settings import DedupeSettings
from animeset_lib.stages.hashing import Neighbours, hash_hex, neighbours, perceptual_hash
from animeset_lib.stages.similarity import Similarity, analysis_picture, compare

__all__ = ["DedupeItem", "DedupeStage", "sharpness"]

Picture = npt.NDArray[np.uint8]

# Below this contrast (standard deviation of brightness) a still is black, white or one colour, its hash is made of noise alone, and
# similarity has to judge without it.
_EMPTY_CONTRAST = 4.0
# A still is compared with at most so many kept ones, nearest hash first, then nearest in time. A talking head in one framing has about
# 3 to 8 drawings, so more is hardly ever needed; the bound keeps the work in proportion to the film where hashes say nothing.
_COMPARISONS_MAX = 16
# Nearest other hashes that are remembered per hash.
_NEIGHBOURS_MAX = 64
# Comparison pictures held in memory while grouping: 172 kB each, so about 180 MB.
_PICTURES_IN_MEMORY = 1024
# Subtitles stand in the lowest part; their edges say nothing about the drawing.
_SUBTITLES = 0.15


@dataclass(frozen=True)
class DedupeItem:
    """One still and where it lies."""

    id: str
    path: Path
    pts_ms: int


@dataclass(frozen=True)
class DedupeStage(Stage):
    """Items are the usable stills in order; every one gets a row, duplicates with `dropped="duplicate"`.

    Writes `small/<id>.png`, the picture of at most 320 pixels that comparisons see.
    """

    settings: DedupeSettings
    name: ClassVar[str] = "2_dedupe"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("1_extract",)
    row: ClassVar[type[DedupeRow]] = DedupeRow

    def plan(self, given: Mapping[str, Output]) -> Sequence[DedupeItem]:
        stills = given["1_extract"]
        return [DedupeItem(frame.id, stills.path / frame.file, frame.pts_ms) for frame in stills.kept]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[DedupeRow]:
        (out / "small").mkdir(exist_ok=True)
        with ThreadPoolExecutor(max(1, ctx.threads)) as pool:
            return list(pool.map(partial(self._measure, out), batch))

    def _measure(self, out: Path, item: DedupeItem) -> DedupeRow:
        try:
            picture = read_image(item.path)
        except InputError as problem:
            return DedupeRow(id=item.id, phash="", sharpness=0, contrast=0, dropped="unreadable", why=str(problem))
        small = analysis_picture(picture)
        write_image(_small(out, item.id), small)
        return DedupeRow(
            id=item.id,
            phash=hash_hex(perceptual_hash(picture, self.settings.method)),
            sharpness=round(sharpness(picture), 3),
            contrast=round(float(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).std()), 2),
        )

    def finish(
        self, rows: list[Any], items: Sequence[Any], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[DedupeRow]:
        """Sharpest first, each still becomes a duplicate of the first kept one that is confirmed, or is kept itself."""
        usable = [i for i, row in enumerate(rows) if row.dropped is None]
        hashes = {i: int(rows[i].phash, 16) for i in usable}
        kept = _Kept(
            hashes, {i for i in usable if rows[i].contrast < _EMPTY_CONTRAST}, [i.pts_ms for i in items], self.settings
        )
        pictures = _Pictures([_small(out, row.id) for row in rows])
        counts: Counter[str] = Counter()
        confirmed: Counter[int] = Counter()
        refused: Counter[int] = Counter()
        group: Counter[str] = Counter()
        result = list(rows)
        for done, i in enumerate(sorted(usable, key=lambda i: (-rows[i].sharpness, i))):
            ctx.check_cancel()
            ctx.progress(done, len(usable))
            candidates = list(islice(kept.near(i), _COMPARISONS_MAX + 1))
            for k in candidates[:_COMPARISONS_MAX]:
                found = compare(pictures[k], pictures[i], self.settings.ssim_min, self.settings.local_ssim_min)
                hamming = (hashes[i] ^ hashes[k]).bit_count()
                counts["compared"] += 1
                counts["aligned"] += found.aligned
                if found.mean >= self.settings.ssim_min and found.worst >= self.settings.local_ssim_min:
                    confirmed[hamming] += 1
                    group[rows[k].id] += 1
                    result[i] = _duplicate(rows[i], rows[k].id, hamming, found)
                    break
                refused[hamming] += 1
            else:
                kept.add(i)
                group[rows[i].id] += 1
                counts["stopped_at_most_comparisons"] += len(candidates) > _COMPARISONS_MAX
        sizes = Counter(group.values())
        ctx.note(
            "dedupe",
            {
                "stills": len(rows),
                "unreadable": len(rows) - len(usable),
                "kept": len(group),
                "duplicates": len(usable) - len(group),
                **{name: counts[name] for name in ("compared", "aligned", "stopped_at_most_comparisons")},
                "group_sizes": {str(size): sizes[size] for size in sorted(sizes)},
                "hamming_confirmed": {str(d): confirmed[d] for d in sorted(confirmed)},
                "hamming_refused": {str(d): refused[d] for d in sorted(refused)},
            },
        )
        ctx.log.info(
            "%d of %d stills are kept, %d are duplicates, %d unreadable; %d comparisons confirmed, %d refused",
            len(group),
            len(rows),
            len(usable) - len(group),
            len(rows) - len(usable),
            confirmed.total(),
            refused.total(),
        )
        return result


def sharpness(picture: Picture) -> float:
    """How steep the strongest edges of an RGB picture are, in grey levels per pixel; larger is sharper; 0 for a picture without edges.

    The edges are the hundredth of the pixels with the steepest slope after a blur (sigma 2): line art, not grain. There the slope of the
    unblurred picture is measured *along* the blurred one's direction, so that noise, which points anywhere, averages out instead of
    counting as sharpness. The lowest 15 % of the picture, where subtitles stand, does not count. Frames of one drawing rank by focus,
    motion blur, compression and fade; values of different drawings are not comparable.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    grey = grey[: max(1, round(len(grey) * (1 - _SUBTITLES)))]
    cx, cy = cv2.spatialGradient(cv2.GaussianBlur(grey, (0, 0), 2))
    fx, fy = cv2.spatialGradient(grey)
    strength = cv2.magnitude(cx.astype(np.float32), cy.astype(np.float32))
    # every fourth pixel of both axes is enough to place the limit
    edges = strength >= max(1.0, float(np.quantile(strength[::4, ::4], 0.99)))
    if not edges.any():
        return 0.0
    along = (fx[edges].astype(np.float32) * cx[edges] + fy[edges].astype(np.float32) * cy[edges]) / strength[edges]
    return max(0.0, float(along.mean())) / 8  # the 3x3 operator sums eight neighbours' differences


def _small(out: Path, id: str) -> Path:
    return out / "small" / f"{id}.png"


def _duplicate(row: DedupeRow, of: str, hamming: int, found: Similarity) -> DedupeRow:
    moved = " after taking out a camera move" if found.aligned else ""
    why = f"shows the same picture as {of}: {hamming} of 64 hash bits differ, similarity {found.mean:.3f}, in the least similar part {found.worst:.3f}{moved}"
    return row.model_copy(
        update={
            "dropped": "duplicate",
            "why": why,
            "duplicate_of": of,
            "hamming": hamming,
            "ssim": round(found.mean, 4),
            "local_ssim": round(found.worst, 4),
        }
    )


class _Pictures:
    """Comparison pictures by row number, read when needed, the last used ones held."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._held: OrderedDict[int, Picture] = OrderedDict()

    def __getitem__(self, i: int) -> Picture:
        picture = self._held.pop(i) if i in self._held else read_image(self._files[i])
        self._held[i] = picture
        if len(self._held) > _PICTURES_IN_MEMORY:
            self._held.popitem(last=False)
        return picture


@dataclass
class _Kept:
    """The kept stills, found by hash and time. Equal hashes are one entry, so held drawings and black frames cost nothing extra."""

    hashes: Mapping[int, int]
    empty: set[int]
    pts_ms: Sequence[int]
    settings: DedupeSettings
    _places: dict[int, int] = field(init=False)
    _around: Neighbours = field(init=False)
    _at: dict[int, list[tuple[int, int]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        distinct = sorted({value for i, value in self.hashes.items() if i not in self.empty})
        self._places = {value: place for place, value in enumerate(distinct)}
        self._around = neighbours(np.array(distinct, np.uint64), self.settings.hamming_max, _NEIGHBOURS_MAX)

    def add(self, i: int) -> None:
        insort(self._at.setdefault(self._place(i), []), (self.pts_ms[i], i))

    def near(self, i: int) -> Iterator[int]:
        """Kept stills that still `i` may equal: nearest hash first, then nearest in time. Empty stills are offered each other."""
        place = self._place(i)
        yield from self._by_time(place, self.pts_ms[i])
        if i not in self.empty:
            for other, _ in self._around.of(place):
                yield from self._by_time(other, self.pts_ms[i])

    def _place(self, i: int) -> int:
        return -1 if i in self.empty else self._places[self.hashes[i]]

    def _by_time(self, place: int, pts_ms: int) -> Iterator[int]:
        """Kept stills of one entry, nearest in time first (of two as near the earlier), inside the window."""
        near = self._at.get(place, [])
        late = bisect_left(near, (pts_ms, -1))
        early = late - 1
        while early >= 0 or late < len(near):
            before = pts_ms - near[early][0] if early >= 0 else None
            after = near[late][0] - pts_ms if late < len(near) else None
            if after is None or (before is not None and before <= after):
                away, i, early = before, near[early][1], early - 1
            else:
                away, i, late = after, near[late][1], late + 1
            if self.settings.window_ms is not None and away is not None and away > self.settings.window_ms:
                return
            yield i
