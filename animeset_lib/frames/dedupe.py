"""2_dedupe: which stills show the same picture, and which of them stays.

A perceptual hash proposes, and so does standing side by side in a shot; structural similarity decides (`similarity.py`). The sharpest still
of a group stays. There is no chaining: every still that is dropped was itself compared with the one that stays, so a slow dissolve from A
to B cannot carry B into A's group. What a person decided about single stills has the last word.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.frames.hashing import hash_hex, neighbours, perceptual_hash
from animeset_lib.frames.similarity import Similarity, may_have_moved, moved_similarity, similarity
from animeset_lib.frames.stills import small_file
from animeset_lib.media import read_image
from animeset_lib.models.api import ModelProvider
from animeset_lib.records import UNREADABLE, DedupeRow, Reason
from animeset_lib.run.decisions import Decision, DecisionLog, about_frames, digest_of
from animeset_lib.run.settling import settle_frames
from animeset_lib.run.stage import Context, Given, Notes, Stage, StageType
from animeset_lib.settings import DedupeSettings

__all__ = ["DedupeItem", "DedupeNotes", "DedupeStage"]

Picture = npt.NDArray[np.uint8]

# Below this contrast (standard deviation of brightness) a still is black, white or one colour, its hash is made of noise alone, and
# similarity has to judge without it.
_EMPTY_CONTRAST = 4.0
# A still is compared with at most so many kept ones, nearest hash first, then nearest in time. A talking head in one framing has about
# 3 to 8 drawings, so more is hardly ever needed; the bound keeps the work in proportion to the film where hashes say nothing.
_COMPARISONS_MAX = 16
# ... and with at most so many of them again with a small move taken out, which costs several times as much.
_MOVES_MAX = 2
# Nearest other hashes that are remembered per hash.
_NEIGHBOURS_MAX = 64
# Comparison pictures held in memory while grouping: 172 kB each, so about 180 MB.
_PICTURES_IN_MEMORY = 1024
# The place of empty stills among the hashes.
_EMPTY = -1


@dataclass(frozen=True)
class DedupeItem:
    """One still, and where the small picture of it lies."""

    id: str
    small: Path
    pts_ms: int
    shot: int
    sharpness: float


class DedupeNotes(Notes):
    """How the comparisons went. Histograms are by size of group, and by bits of 64 that the hashes of a pair differ in.

    decisions  what people decided about stills and still stands; `taken_out` and `kept_by_hand` count where that changed the outcome
    """

    stills: int
    unreadable: int
    kept: int
    duplicates: int
    compared: int
    aligned: int
    stopped_at_most_comparisons: int
    group_sizes: dict[int, int]
    hamming_confirmed: dict[int, int]
    hamming_refused: dict[int, int]
    decisions: int = 0
    taken_out: int = 0
    kept_by_hand: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DedupeStage(Stage[DedupeItem, DedupeRow, DedupeNotes]):
    """Items are the usable stills in order; every one gets a row, duplicates with `dropped="duplicate"`.

    Hashes and comparisons see the small pictures that 1_extract made. `decisions` is the file of a `DecisionLog`, perhaps not there
    yet; those about stills that stand override the machine. They are read once per object.
    """

    settings: DedupeSettings
    decisions: Path | None = None
    name: ClassVar[str] = "2_dedupe"
    version: ClassVar[str] = "2"
    seconds_per_minute: ClassVar[float] = 3.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage,)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "unreadable": UNREADABLE,
        "duplicate": Reason("Duplicate", "Doppelt", "Another still shows the same picture, or a person said so."),
    }
    batch: ClassVar[int] = 32

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        """Raises `InputError` for a damaged file of decisions, before any stage has run."""
        return {"decisions": digest_of(self._standing)} if self._standing else {}

    @cached_property
    def _standing(self) -> tuple[Decision, ...]:
        return about_frames(DecisionLog(self.decisions).standing) if self.decisions is not None else ()

    def plan(self, given: Given) -> Sequence[DedupeItem]:
        stills = given[ExtractStage]
        return [
            DedupeItem(frame.id, small_file(stills.path, frame), frame.pts_ms, frame.shot, frame.sharpness)
            for frame in stills.kept
        ]

    def process(self, batch: Sequence[DedupeItem], out: Path, ctx: Context) -> Iterable[DedupeRow]:
        with ThreadPoolExecutor(max(1, ctx.threads)) as pool:
            return list(pool.map(self._measure, batch))

    def _measure(self, item: DedupeItem) -> DedupeRow:
        try:
            small = read_image(item.small)
        except InputError as problem:
            return DedupeRow(id=item.id, phash="", sharpness=0, contrast=0, dropped="unreadable", why=str(problem))
        return DedupeRow(
            id=item.id,
            phash=hash_hex(perceptual_hash(small, self.settings.method)),
            sharpness=item.sharpness,
            contrast=round(float(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).std()), 2),
        )

    def finish(
        self, rows: Sequence[DedupeRow], items: Sequence[DedupeItem], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[DedupeRow], DedupeNotes]:
        """Sharpest first, each still becomes a duplicate of the first kept one that is confirmed, or is kept itself; then come the decisions."""
        usable = [i for i, row in enumerate(rows) if row.dropped is None]
        hashes = {i: int(rows[i].phash, 16) for i in usable}
        empty = {i for i in usable if rows[i].contrast < _EMPTY_CONTRAST}
        kept = _Kept(hashes, empty, items, self.settings)
        pictures = _Pictures([item.small for item in items])
        counts: Counter[str] = Counter()
        confirmed: Counter[int] = Counter()
        refused: Counter[int] = Counter()
        group: Counter[str] = Counter()
        result = list(rows)
        for done, i in enumerate(sorted(usable, key=lambda i: (-rows[i].sharpness, i))):
            ctx.check_cancel()
            ctx.progress(done, len(usable))
            candidates = list(islice(kept.near(i), _COMPARISONS_MAX + 1))
            looked_at, found = self._find(i, candidates[:_COMPARISONS_MAX], pictures)
            counts["compared"] += len(looked_at)
            refused.update((hashes[i] ^ hashes[k]).bit_count() for k in looked_at)
            if found is None:
                kept.add(i)
                group[rows[i].id] += 1
                counts["stopped_at_most_comparisons"] += len(candidates) > _COMPARISONS_MAX
                continue
            k, alike = found
            hamming = (hashes[i] ^ hashes[k]).bit_count()
            confirmed[hamming] += 1
            refused[hamming] -= 1
            counts["aligned"] += alike.aligned
            group[rows[k].id] += 1
            result[i] = _duplicate(rows[i], rows[k].id, hamming, alike)
        sizes = Counter(group.values())
        result, changed, remarks = self._decided(result, ctx)
        kept_rows = sum(row.dropped is None for row in result)
        notes = DedupeNotes(
            stills=len(rows),
            unreadable=len(rows) - len(usable),
            kept=kept_rows,
            duplicates=len(usable) - kept_rows,
            compared=counts["compared"],
            aligned=counts["aligned"],
            stopped_at_most_comparisons=counts["stopped_at_most_comparisons"],
            group_sizes={size: sizes[size] for size in sorted(sizes)},
            hamming_confirmed={d: confirmed[d] for d in sorted(confirmed)},
            hamming_refused={d: refused[d] for d in sorted(refused) if refused[d]},
            decisions=len(self._standing),
            taken_out=changed["duplicate"],
            kept_by_hand=changed["keep"],
            remarks=tuple(remarks),
        )
        ctx.log.info(
            f"{kept_rows} of {len(rows)} stills are kept, {notes.duplicates} are duplicates, {notes.unreadable} unreadable; "
            f"{confirmed.total()} comparisons confirmed, {refused.total()} refused"
        )
        return result, notes

    def _decided(self, rows: Sequence[DedupeRow], ctx: Context) -> tuple[list[DedupeRow], Counter[str], list[str]]:
        """The rows as a person wants them, how many changed by kind of decision, and remarks. A still that cannot be read stays dropped, whatever
        was said of it."""
        changed: Counter[str] = Counter()
        if not self._standing:
            return list(rows), changed, []
        settlement = settle_frames((row.id for row in rows), self._standing)
        told = list(settlement.told)
        if settlement.absent:
            told.append(
                f"{settlement.absent} stills that were decided about are not in this run (other settings); those decisions are without effect on them"
            )
        result = []
        for row in rows:
            decision = settlement.decided.get(row.id)
            now = row if decision is None else _overruled(row, decision)
            if now is row and decision is not None:
                told.append(f"{row.id} cannot be kept, as {decision.named} wants it: {row.why}")
            elif decision is not None:
                changed[decision.kind] += now.dropped != row.dropped
            result.append(now)
        for sentence in told:
            ctx.log.info("2_dedupe: %s", sentence)
        ctx.log.info(
            "2_dedupe: %d decisions of yours about stills stand; by them %d are dropped and %d are kept against the program's choice",
            len(self._standing),
            changed["duplicate"],
            changed["keep"],
        )
        return result, changed, told

    def _find(
        self, i: int, candidates: Sequence[int], pictures: _Pictures
    ) -> tuple[list[int], tuple[int, Similarity] | None]:
        """Which candidates still `i` was compared with, and the one it duplicates, if any: the first that is equal as it stands, else the most
        similar one that is equal with a small move taken out."""
        plain: dict[int, Similarity] = {}
        for k in candidates:
            plain[k] = similarity(pictures[k], pictures[i])
            if self._same(plain[k]):
                return list(plain), (k, plain[k])
        moved = sorted((k for k in plain if may_have_moved(plain[k])), key=lambda k: -plain[k].mean)
        for k in moved[:_MOVES_MAX]:
            alike = moved_similarity(pictures[k], pictures[i])
            if self._same(alike):
                return list(plain), (k, alike)
        return list(plain), None

    def _same(self, alike: Similarity) -> bool:
        return alike.mean >= self.settings.ssim_min and alike.worst >= self.settings.local_ssim_min


def _duplicate(row: DedupeRow, of: str, hamming: int, found: Similarity) -> DedupeRow:
    moved = ", with a small move taken out" if found.aligned else ""
    why = (
        f"shows the same picture as {of}: {hamming} of 64 hash bits differ, similarity {found.mean:.3f}, "
        f"in the least similar part {found.worst:.3f}{moved}"
    )
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


def _overruled(row: DedupeRow, decision: Decision) -> DedupeRow:
    """`row` as `decision` wants it; `row` itself where that cannot be, for a damaged still. The machine's measures stay beside it."""
    if row.dropped not in (None, "duplicate"):
        return row
    machine = f"; the program: {row.why}" if row.why else ""
    if decision.kind == "keep":
        # no longer a duplicate, but which still it was taken for remains known by `why`
        return row.model_copy(
            update={"dropped": None, "duplicate_of": None, "why": f"you said: no duplicate ({decision.named}){machine}"}
        )
    said = f"you said: a duplicate{f' of {decision.duplicate_of}' if decision.duplicate_of else ''} ({decision.named})"
    of = decision.duplicate_of or row.duplicate_of
    measured = {} if of == row.duplicate_of else dict.fromkeys(("hamming", "ssim", "local_ssim"))
    return row.model_copy(update={"dropped": "duplicate", "duplicate_of": of, "why": said + machine, **measured})


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


class _Kept:
    """The kept stills, found by hash and by time. Equal hashes are one entry, so held drawings and black frames cost nothing extra."""

    def __init__(
        self, hashes: Mapping[int, int], empty: set[int], items: Sequence[DedupeItem], settings: DedupeSettings
    ) -> None:
        self._items = items
        self._window_ms = settings.window_ms
        distinct = sorted({value for i, value in hashes.items() if i not in empty})
        self._around = neighbours(np.array(distinct, np.uint64), settings.hamming_max, _NEIGHBOURS_MAX)
        places = {value: place for place, value in enumerate(distinct)}
        self._places = {i: _EMPTY if i in empty else places[value] for i, value in hashes.items()}
        self._by_place: dict[int, list[tuple[int, int]]] = {}
        self._by_shot: dict[int, list[tuple[int, int]]] = {}

    def add(self, i: int) -> None:
        insort(self._by_place.setdefault(self._places[i], []), (self._items[i].pts_ms, i))
        insort(self._by_shot.setdefault(self._items[i].shot, []), (self._items[i].pts_ms, i))

    def near(self, i: int) -> Iterator[int]:
        """Kept stills that still `i` may equal, each once: the two next to it in its shot (a zoom changes the hash at once), then the nearest
        hashes first, among equally near ones the nearest in time. Empty stills are offered each other."""
        pts_ms, place = self._items[i].pts_ms, self._places[i]
        beside = list(islice(self._by_time(self._by_shot.get(self._items[i].shot, []), pts_ms), 2))
        yield from beside
        around = self._around.of(place) if place != _EMPTY else ()
        for other in (place, *(other for other, _ in around)):
            for k in self._by_time(self._by_place.get(other, []), pts_ms):
                if k not in beside:
                    yield k

    def _by_time(self, stills: Sequence[tuple[int, int]], pts_ms: int) -> Iterator[int]:
        """Of `(pts_ms, still)` sorted by time the stills, nearest first (of two as near the earlier), inside the window."""
        late = bisect_left(stills, (pts_ms, -1))
        early = late - 1
        while early >= 0 or late < len(stills):
            before = pts_ms - stills[early][0] if early >= 0 else math.inf
            after = stills[late][0] - pts_ms if late < len(stills) else math.inf
            if self._window_ms is not None and min(before, after) > self._window_ms:
                return
            if before <= after:
                yield stills[early][1]
                early -= 1
            else:
                yield stills[late][1]
                late += 1
