"""How often each sub-set is repeated per epoch, so that characters and sub-sets with few pictures are seen about as often as the others."""

from __future__ import annotations

from collections.abc import Sequence

from animeset_lib.errors import InputError

__all__ = ["MAX_REPEATS", "balanced_repeats", "fixed_repeats"]

MAX_REPEATS = 40
"""A handful of pictures shown more often than this is learned by heart, background and all."""

_EVEN_ENOUGH = 1.25
"""Sets whose views differ by less than a quarter count as balanced."""
_MOST_OF_LARGEST = 4
"""Most repeats of the largest set: whole numbers alone cannot balance 35 pictures with 24, but 2 and 3 repeats can."""


def balanced_repeats(groups: Sequence[Sequence[int]], per_epoch: int | None = None) -> list[list[int]]:
    """Numbers of pictures → repeats of the same form, whole numbers from 1 to `MAX_REPEATS`.

    groups     per character the number of pictures of each of its sub-sets, all at least 1
    per_epoch  views a character shall get in an epoch; None: as many as the largest needs, so the largest sub-set is repeated as little as it can be

    Every character gets about equally many views, and inside it every sub-set. Raises `InputError` for an empty sub-set or a `per_epoch` below 1.

    >>> balanced_repeats([[60], [20, 10]])  # two characters, the second with two outfits
    [[2], [3, 6]]
    """
    if any(count < 1 for counts in groups for count in counts):
        raise InputError("a sub-set without pictures cannot be repeated; leave it out")
    if per_epoch is not None and per_epoch < 1:
        raise InputError(
            f"pictures per epoch must be at least 1, got {per_epoch}; give the views a character shall get"
        )
    sizes = [(count, 1 / len(counts)) for counts in groups for count in counts]
    if per_epoch is not None:
        flat = _repeats(sizes, per_epoch)
    else:
        densest = max((count / share for count, share in sizes), default=0.0)
        tries = [_repeats(sizes, times * densest) for times in range(1, _MOST_OF_LARGEST + 1)]
        flat = next(
            (one for one in tries if _unevenness(sizes, one) <= _EVEN_ENOUGH),
            min(tries, key=lambda one: _unevenness(sizes, one)),
        )
    numbers = iter(flat)
    return [[next(numbers) for _ in counts] for counts in groups]


def fixed_repeats(groups: Sequence[Sequence[int]], repeats: int) -> list[list[int]]:
    """The same number for every sub-set. Raises `InputError` when it is not 1 to `MAX_REPEATS`."""
    if not 1 <= repeats <= MAX_REPEATS:
        raise InputError(
            f"repeats must be 1 to {MAX_REPEATS}, got {repeats}; train more epochs instead of more repeats"
        )
    return [[repeats for _ in counts] for counts in groups]


def _repeats(sizes: Sequence[tuple[int, float]], views: float) -> list[int]:
    """Repeats that give each (pictures, share) about `views` times its share."""
    return [min(MAX_REPEATS, max(1, int(views * share / count + 0.5))) for count, share in sizes]


def _unevenness(sizes: Sequence[tuple[int, float]], repeats: Sequence[int]) -> float:
    """The most seen set's views over the least seen one's, each by its share; 1 is balanced."""
    seen = [count * times / share for (count, share), times in zip(sizes, repeats, strict=True)]
    return max(seen, default=1.0) / min(seen, default=1.0)
