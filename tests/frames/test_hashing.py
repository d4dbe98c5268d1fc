"""Hashes equal ImageHash's bit for bit; the search finds exactly what comparing every pair finds."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from animeset_lib.frames import hashing
from animeset_lib.frames.hashing import hash_hex, neighbours, perceptual_hash

LIBRARY = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "ahash": imagehash.average_hash,
    "whash": imagehash.whash,
}


def drawing(seed: int, width: int, height: int) -> np.ndarray:
    """Flat coloured shapes with a little noise, any size."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(12):
        y0, y1 = np.sort(rng.integers(0, height + 1, 2))
        x0, x1 = np.sort(rng.integers(0, width + 1, 2))
        picture[y0:y1, x0:x1] = rng.integers(0, 256, 3)
    noise = rng.integers(-3, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", LIBRARY)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 700), height=st.integers(1, 500))
def test_equal_to_imagehash(method: hashing.Method, seed: int, width: int, height: int) -> None:
    picture = drawing(seed, width, height)
    assert hash_hex(perceptual_hash(picture, method)) == str(LIBRARY[method](Image.fromarray(picture)))


@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_equal_to_imagehash_on_one_colour(level: int) -> None:
    picture = np.full((90, 160, 3), level, np.uint8)
    assert hash_hex(perceptual_hash(picture)) == str(imagehash.phash(Image.fromarray(picture)))


def test_distance_is_imagehash_distance() -> None:
    a, b = drawing(1, 320, 180), drawing(2, 320, 180)
    ours = (perceptual_hash(a) ^ perceptual_hash(b)).bit_count()
    assert ours == imagehash.phash(Image.fromarray(a)) - imagehash.phash(Image.fromarray(b))
    assert ours > 0


def clustered(seed: int, count: int, spread: int) -> np.ndarray:
    """Hashes around a few centres, as the stills of a film's shots have: each up to `spread` bits from its centre. Some are equal."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**64, max(1, count // 20), dtype=np.uint64)[rng.integers(0, max(1, count // 20), count)]
    for _ in range(spread):
        values ^= np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
    return values


def by_comparing_every_pair(values: np.ndarray, radius: int, limit: int | None) -> list[list[tuple[int, int]]]:
    found = []
    for i, value in enumerate(values.tolist()):
        near = sorted((((value ^ other).bit_count()), j) for j, other in enumerate(values.tolist()) if j != i)
        found.append([(j, distance) for distance, j in near if distance <= radius][:limit])
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 120),
    spread=st.integers(0, 12),
    radius=st.integers(0, 24),
    limit=st.sampled_from([None, 1, 3, 1000]),
    pieces=st.sampled_from([1, 4, 5, 8, 11, 16]),
)
def test_search_finds_what_comparing_every_pair_finds(
    seed: int, count: int, spread: int, radius: int, limit: int | None, pieces: int
) -> None:
    """Whatever the number of chunks, so that small sets prove what large ones use."""
    values = clustered(seed, count, spread)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_chunks", lambda count, radius: hashing._cut(pieces, radius))
        patch.setattr(hashing, "_BLOCK", 64)
        patch.setattr(hashing, "_COMPACT", 50)
        found = neighbours(values, radius, limit)
    assert [list(found.of(i)) for i in range(count)] == by_comparing_every_pair(values, radius, limit)


def test_many_hashes_with_their_own_choice_of_chunks() -> None:
    values = clustered(7, 30_000, 5)
    assert len(hashing._chunks(len(values), 10)) > 1, "this size should not be compared pair by pair"
    found = neighbours(values, 10)
    for i in range(0, len(values), 997):
        distance = np.bitwise_count(values ^ values[i])
        expected = [j for j in np.flatnonzero(distance <= 10) if j != i]
        assert sorted(j for j, _ in found.of(i)) == expected


def test_work_grows_far_slower_than_the_square() -> None:
    """Comparisons that the chosen chunks lead to, counted instead of timed: 10 times as many hashes, less than 50 times as many."""

    def comparisons(count: int) -> int:
        values = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
        return sum(len(rows) * len(columns) for rows, columns in hashing._blocks(values, 10))

    few, many = comparisons(5_000), comparisons(50_000)
    assert many < 50 * few
    assert many < 0.1 * 50_000**2


def test_no_hashes_and_one_hash() -> None:
    assert len(neighbours(np.zeros(0, np.uint64), 10).index) == 0
    assert list(neighbours(np.array([5], np.uint64), 10).of(0)) == []
