"""How the search for near hashes grows with their number, beside comparing every pair and beside ImageHash objects in a loop.

    python benchmarks/dedupe.py [--most 1000000] [--radius 10]

One row per set of hashes: `random` is evenly spread; `film` is made like a film's stills: shots whose pictures are held, flicker by a few bits or
drift, some that come back, and a tenth black frames. Equal hashes are collapsed first, as the stage does, and the search keeps the 64
nearest. `all` is the same search without that bound. Times are processor seconds, all of it on one core;
MB is what the nearest-64 search adds to its process at most (on macOS the system counts it in other units).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import imagehash
import numpy as np

from animeset_lib.frames.hashing import Hashes, hash_hex, neighbours

NEAREST = 64
EVERY_PAIR_MOST = 100_000
LOOP_MOST = 1_000


def random_hashes(count: int) -> Hashes:
    return np.random.default_rng(1).integers(0, 2**64, count, dtype=np.uint64)


def film_hashes(count: int) -> Hashes:
    random = np.random.default_rng(2)
    lengths = random.geometric(1 / 12, count)
    shot = np.repeat(np.arange(count), lengths)[:count]
    # every fourth shot shows a place that was seen before
    place = np.where(random.random(count) < 0.25, random.integers(0, np.arange(count) + 1), np.arange(count))
    values = random.integers(0, 2**64, count, dtype=np.uint64)[place[shot]]
    for share in (0.5, 0.3, 0.3, 0.15, 0.15):
        flips = np.uint64(1) << random.integers(0, 64, count, dtype=np.uint64)
        values ^= np.where(random.random(count) < share, flips, np.uint64(0))
    values[random.random(count) < 0.1] = 0
    return values


def every_pair(hashes: Hashes, radius: int) -> int:
    """The simple way with numpy: each hash against all."""
    return sum(int(np.count_nonzero(np.bitwise_count(hashes ^ value) <= radius)) - 1 for value in hashes)


def imagehash_loop(hashes: Hashes, radius: int) -> int:
    """The usual way: subtract ImageHash objects, pair by pair."""
    objects = [imagehash.hex_to_hash(hash_hex(int(value))) for value in hashes]
    return 2 * sum(a - b <= radius for i, a in enumerate(objects) for b in objects[:i])


def timed(action: Callable[[], int]) -> tuple[int, float]:
    """What `action` returns, and the processor seconds it took."""
    begin = time.process_time()
    result = action()
    return result, time.process_time() - begin


def measured(make: Callable[[int], Hashes], count: int, radius: int, limit: int | None) -> tuple[int, float, float]:
    """Pairs, processor seconds and MB that a search adds to a process; call it in a fresh one, for a peak never sinks."""
    neighbours(np.arange(5_000, dtype=np.uint64), radius, 1)  # what a first call loads is not the search's
    hashes = np.unique(make(count))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pairs, seconds = timed(lambda: len(neighbours(hashes, radius, limit).index))
    return pairs, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--most", type=int, default=1_000_000, help="largest number of hashes")
    arguments.add_argument("--radius", type=int, default=10, help="bits that may differ")
    options = arguments.parse_args()
    print(
        f"pairs within {options.radius} of 64 bits; processor seconds; peak memory of the nearest-{NEAREST} search in MB\n"
    )
    head = ("hashes", "kind", "distinct", f"nearest {NEAREST}", "MB", "all", "pairs", "every pair", "ImageHash loop")
    print(" ".join(f"{title:>14}" for title in head))
    for count in (1_000, 10_000, 100_000, 1_000_000):
        if count > options.most:
            break
        for kind, make in (("random", random_hashes), ("film", film_hashes)):
            hashes = np.unique(make(count))
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as fresh:
                limits = (NEAREST,) if count > EVERY_PAIR_MOST else (NEAREST, None)
                (_, near_s, near_mb), *rest = [
                    fresh.submit(measured, make, count, options.radius, n).result() for n in limits
                ]
            row = [f"{count:,}", kind, f"{len(hashes):,}", f"{near_s:.2f}", f"{near_mb:.0f}"]
            pairs, all_s, _ = rest[0] if rest else (None, None, None)
            row += ["-", "-"] if pairs is None else [f"{all_s:.2f}", f"{pairs:,}"]
            for peer, most in ((every_pair, EVERY_PAIR_MOST), (imagehash_loop, LOOP_MOST)):
                if count > most:
                    row.append("-")
                    continue
                found, seconds = timed(partial(peer, hashes, options.radius))
                if found != pairs:
                    raise SystemExit(f"{peer.__name__} found {found} pairs, the search {pairs}")
                row.append(f"{seconds:.2f}")
            print(" ".join(f"{cell:>14}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
