"""Repeats: whole numbers that show every character and sub-set about equally often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import InputError
from animeset_lib.export.repeats import MAX_REPEATS, balanced_repeats, fixed_repeats


@pytest.mark.parametrize(
    ("pictures", "per_epoch", "repeats"),
    [
        ([[30]], None, [[1]]),
        ([[30], [30]], None, [[1], [1]]),
        ([[100], [30]], None, [[1], [3]]),
        ([[100], [50], [25]], None, [[1], [2], [4]]),
        ([[35], [24]], None, [[2], [3]]),
        ([[35], [30]], None, [[1], [1]]),
        ([[40, 20], [30]], None, [[1, 2], [3]]),
        ([[40, 40], [40]], None, [[1, 1], [2]]),
        ([[200], [2]], None, [[1], [40]]),
        ([[30]], 300, [[10]]),
        ([[30, 10], [60]], 300, [[5, 15], [5]]),
        ([[500]], 100, [[1]]),
        ([[1]], 1000, [[40]]),
        ([], None, []),
    ],
)
def test_repeats(pictures: list[list[int]], per_epoch: int | None, repeats: list[list[int]]) -> None:
    assert balanced_repeats(pictures, per_epoch) == repeats


@given(st.lists(st.lists(st.integers(20, 100), min_size=1, max_size=3), min_size=1, max_size=4))
def test_no_set_is_seen_much_more_than_another(pictures: list[list[int]]) -> None:
    repeats = balanced_repeats(pictures)
    assert [len(counts) for counts in repeats] == [len(counts) for counts in pictures]
    assert all(1 <= times <= MAX_REPEATS for counts in repeats for times in counts)
    shares = [
        len(counts) * count * times
        for counts, own in zip(pictures, repeats, strict=True)
        for count, times in zip(counts, own, strict=True)
    ]
    assert max(shares) <= 1.5 * min(shares)


def test_fixed() -> None:
    assert fixed_repeats([[3, 4], [5]], 7) == [[7, 7], [7]]


@pytest.mark.parametrize("repeats", [0, -1, MAX_REPEATS + 1])
def test_what_is_refused(repeats: int) -> None:
    with pytest.raises(InputError, match=f"1 to {MAX_REPEATS}"):
        fixed_repeats([[3]], repeats)
    with pytest.raises(InputError, match="without pictures"):
        balanced_repeats([[0]])
    with pytest.raises(InputError, match="at least 1"):
        balanced_repeats([[3]], 0)
