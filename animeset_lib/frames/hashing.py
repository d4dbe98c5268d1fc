"""Perceptual hashes of pictures, and which hashes of a large set lie near each other.

The hashes are those of the ImageHash library itself (J. Buchner, BSD-2, https://github.com/JohannesBuchner/imagehash), 64 bits each.

The search is multi-index hashing (Norouzi, Punjani, Fleet: Fast exact search in Hamming space with multi-index hashing, 2014): two hashes
that differ in few bits must nearly agree in at least one of several chunks of their bits, so only hashes from nearly equal chunks are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Literal

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["HASH_BITS", "Hashes", "Method", "Neighbours", "hash_hex", "neighbours", "perceptual_hash"]

HASH_BITS = 64

Method = Literal["phash", "dhash", "ahash", "whash"]

Hashes = npt.NDArray[np.uint64]
"""`(N,)` uint64, one 64-bit hash each; the first bit of ImageHash's matrix is the highest."""

_METHODS: dict[Method, Callable[[Image.Image], Any]] = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "ahash": imagehash.average_hash,
    "whash": imagehash.whash,
}

# A pair is one number, so that sorting numbers sorts pairs by row, then distance, then index: row << 32 | distance << 24 | index.
_INDEX_BITS = 24
_ROW_SHIFT = np.uint64(32)
_INDEX_MASK = np.uint64((1 << _INDEX_BITS) - 1)

# Cells of one comparison block: 2^18 hashes are 2 MB, about what a core's own cache holds.
_BLOCK = 1 << 18
# Pairs collected before they are sorted and thinned; 2^23 are 64 MB.
_COMPACT = 1 << 23

# Measured costs in seconds, only to choose the number of chunks: comparing two hashes, starting on a bucket, looking up a neighbouring bucket.
_COMPARE, _BUCKET, _LOOKUP = 1.2e-9, 35e-6, 0.15e-6


def perceptual_hash(picture: npt.NDArray[np.uint8], method: Method = "phash") -> int:
    """The 64-bit hash of a `(H, W, 3)` RGB or `(H, W)` grey uint8 picture of any size, bit for bit ImageHash's."""
    bits = _METHODS[method](Image.fromarray(picture)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_hex(value: int) -> str:
    """The hash as 16 hex digits, as `str(imagehash.phash(...))` prints it; `int(text, 16)` reads it back."""
    return f"{value:016x}"


@dataclass(frozen=True)
class Neighbours:
    """For each of N hashes the others near it: those of hash `i` are `index[start[i]:start[i + 1]]`, nearest first, ties by index."""

    start: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    distance: npt.NDArray[np.uint8]

    def of(self, i: int) -> Iterator[tuple[int, int]]:
        """`(index, distance)` of the neighbours of hash `i`."""
        part = slice(int(self.start[i]), int(self.start[i + 1]))
        return zip(self.index[part].tolist(), self.distance[part].tolist(), strict=True)


def neighbours(hashes: Hashes, radius: int, limit: int | None = None) -> Neighbours:
    """All pairs of `hashes` that differ in at most `radius` bits (0..64), both ways round; with `limit` the nearest so many per hash.

    Exact. Up to about 14 bits the work grows far slower than the square of N; beyond that unrelated hashes are themselves so often within the
    radius that every pair is compared (about 1 ns each). `limit` bounds the memory where thousands of hashes lie close together. Equal
    hashes are pairs too: pass each hash once when there may be many equal ones. At most 2^24 hashes.
    """
    count = len(hashes)
    if count >= 1 << _INDEX_BITS:
        raise ValueError(f"{count} hashes are too many; expected fewer than {1 << _INDEX_BITS}")
    parts: list[npt.NDArray[np.uint64]] = []
    held, room = 0, _COMPACT
    for rows, columns in _blocks(hashes, radius):
        parts.append(_compare(hashes, rows, columns, radius, limit))
        held += len(parts[-1])
        if held > room:
            parts = [_compact(parts, limit)]
            held = len(parts[0])
            room = held + max(held, _COMPACT)  # so that the sorting stays in proportion to what is found
    pairs = _compact(parts, limit)
    start = np.searchsorted(pairs, np.arange(count + 1, dtype=np.uint64) << _ROW_SHIFT)
    distance = (pairs >> np.uint64(_INDEX_BITS)).astype(np.uint8)  # the low byte; the row is cut off
    return Neighbours(start.astype(np.int64), (pairs & _INDEX_MASK).astype(np.int64), distance)


def _blocks(hashes: Hashes, radius: int) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Rows and columns (positions in `hashes`) to compare with each other; every pair within `radius` is in at least one block."""
    if not len(hashes):
        return
    for shift, width, reach in _chunks(len(hashes), radius):
        if width == HASH_BITS:
            everything = np.arange(len(hashes))
            yield everything, everything
            return
        keys = ((hashes >> np.uint64(shift)) & np.uint64((1 << width) - 1)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << width))])
        flips = np.array(
            [sum(1 << b for b in bits) for r in range(reach + 1) for bits in combinations(range(width), r)]
        )
        for key in np.flatnonzero(np.diff(start)):
            near = key ^ flips
            first, last = start[near], start[near + 1]
            filled = last > first
            spans = zip(first[filled].tolist(), last[filled].tolist(), strict=True)
            yield order[start[key] : start[key + 1]], np.concatenate([order[a:b] for a, b in spans])


def _chunks(count: int, radius: int) -> list[tuple[int, int, int]]:
    """`(shift, width, reach)` of the chunks of bits to search: the cheapest cut for `count` evenly spread hashes, see `_cut`."""

    def cost(chunks: list[tuple[int, int, int]]) -> float:
        total = 0.0
        for _, width, reach in chunks:
            if width == HASH_BITS:
                return count * count * _COMPARE
            flips = sum(math.comb(width, r) for r in range(reach + 1))
            total += min(count, 1 << width) * (_BUCKET + flips * _LOOKUP)
            total += count * count * flips / (1 << width) * _COMPARE
        return total

    # one piece is every pair with every other; two or three would need tables of more than 2^16 buckets
    return min((_cut(pieces, radius) for pieces in (1, *range(4, 17))), key=cost)


def _cut(pieces: int, radius: int) -> list[tuple[int, int, int]]:
    """The 64 bits cut into `pieces`, as `(shift, width, reach)`: a pair within `radius` differs by at most `reach` bits in one of them.

    If it differed by more in every piece, it would differ by at least the sum of `reach + 1` bits; that sum is made `radius + 1`. Pieces
    of reach -1 need not be searched and are left out.
    """
    edges = [HASH_BITS * i // pieces for i in range(pieces + 1)]
    each, extra = divmod(radius + 1, pieces)
    reach = [each - 1 + (i >= pieces - extra) for i in range(pieces)]
    return [
        (low, high - low, min(r, high - low)) for (low, high), r in zip(pairwise(edges), reach, strict=True) if r >= 0
    ]


def _compare(
    hashes: Hashes, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], radius: int, limit: int | None
) -> npt.NDArray[np.uint64]:
    """Pairs (see `_ROW_SHIFT`) of all rows with all columns within `radius`; at least the `limit` nearest of each row where there are more."""
    others = hashes[columns]
    names = columns.astype(np.uint32)
    found = []
    step = max(1, _BLOCK // len(columns))
    for low in range(0, len(rows), step):
        part = rows[low : low + step]
        distance = np.bitwise_count(hashes[part][:, None] ^ others)
        hits = np.flatnonzero(distance <= radius)
        if limit is not None and len(hits) > len(part) * (limit + 1):  # + 1 because each row finds itself too
            ends = (distance.astype(np.uint32) << np.uint32(_INDEX_BITS)) | names
            ends = np.partition(ends, min(limit, len(columns) - 1), axis=1)[:, : limit + 1]
            row, place = np.nonzero(ends >> np.uint32(_INDEX_BITS) <= radius)
            tail = ends[row, place]
        else:
            row, column = np.divmod(hits, len(columns))
            tail = (distance.reshape(-1)[hits].astype(np.uint32) << np.uint32(_INDEX_BITS)) | names[column]
        pairs = (part[row].astype(np.uint64) << _ROW_SHIFT) | tail
        found.append(pairs[(pairs >> _ROW_SHIFT) != (pairs & _INDEX_MASK)])
    return np.concatenate(found)


def _compact(parts: list[npt.NDArray[np.uint64]], limit: int | None) -> npt.NDArray[np.uint64]:
    """The pairs sorted, each once, at most the `limit` first of each row."""
    pairs: npt.NDArray[np.uint64] = np.concatenate([np.zeros(0, np.uint64), *parts])
    pairs.sort()  # several times faster than np.unique, which hashes
    pairs = pairs[np.concatenate([np.ones(min(1, len(pairs)), bool), pairs[1:] != pairs[:-1]])]
    if limit is None:
        return pairs
    rows = pairs >> _ROW_SHIFT
    opens = np.concatenate([[True], rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, bool)
    begin = np.flatnonzero(opens)
    rank = np.arange(len(pairs)) - np.repeat(begin, np.diff(np.append(begin, len(pairs))))
    nearest: npt.NDArray[np.uint64] = pairs[rank < limit]
    return nearest
