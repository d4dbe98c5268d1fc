"""Which pictures are kept back for validation: whole shots, so that no training picture has a near copy among them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from animeset_lib.errors import InputError
from animeset_lib.published.reader import ExportPicture

__all__ = ["MAX_SHARE", "MIN_PICTURES", "validation_split"]

MIN_PICTURES = 10
"""A smaller set needs every picture for training."""
MAX_SHARE = 0.5
_SPREAD_OVER = ("framing", "outfit")


def validation_split(pictures: Sequence[ExportPicture], share: float) -> frozenset[str]:
    """Stems of about `share` of the pictures; the same for equal input, whatever their order.

    Pictures of one shot stay together; one whose shot is not known stands alone. Shots are taken one by one, each the one that brings the numbers per
    framing and outfit nearest to `share` of the whole, until taking another would miss the wished number by more. An outfit or framing is never taken
    whole, so nothing is validated that was not trained. Empty for share 0, fewer than `MIN_PICTURES` pictures, or when every shot is too large.

    Raises `InputError` when `share` is not 0 to `MAX_SHARE`.
    """
    if not 0 <= share <= MAX_SHARE:
        raise InputError(f"the share for validation must be 0 to {MAX_SHARE}, got {share}; 0.1 is usual")
    wished = share * len(pictures)
    if len(pictures) < MIN_PICTURES or wished < 0.5:
        return frozenset()
    shots: dict[tuple[str, str], list[ExportPicture]] = defaultdict(list)
    for picture in sorted(pictures, key=lambda one: one.stem):
        key = f"shot {picture.shot:06d}" if picture.shot is not None else f"picture {picture.stem}"
        shots[picture.film, key].append(picture)
    whole = _counts(pictures)
    taken: list[ExportPicture] = []
    left = dict(sorted(shots.items()))
    while left:
        possible = {
            key: group
            for key, group in left.items()
            if abs(len(taken) + len(group) - wished) < abs(len(taken) - wished)
            and all(count < whole[kind] for kind, count in _counts([*taken, *group]).items())
        }
        if not possible:
            break
        best = min(possible, key=lambda key: (_distance(_counts([*taken, *possible[key]]), whole, share), key))
        taken += left.pop(best)
    return frozenset(picture.stem for picture in taken)


def _counts(pictures: Sequence[ExportPicture]) -> Counter[tuple[str, str]]:
    return Counter((name, getattr(picture, name)) for picture in pictures for name in _SPREAD_OVER)


def _distance(counts: Counter[tuple[str, str]], whole: Counter[tuple[str, str]], share: float) -> float:
    """How far the numbers per kind are from `share` of the whole; rounded, so that the order of adding does not tell equal ones apart."""
    return round(sum(abs(counts[kind] - share * total) for kind, total in whole.items()), 6)
