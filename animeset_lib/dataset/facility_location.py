"""Greedy facility location (Nemhauser, Wolsey, Fisher 1978; for data subsets: Wei, Iyer, Bilmes 2015): each step takes the picture that makes all
best represented by what is taken so far, so every first n are themselves a good choice of n, within 1 - 1/e of the best one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FacilityLocation", "best_of"]


class FacilityLocation:
    """What is taken so far, and what each picture would add. `covered` is how well each is represented.

    stands_for  `(N, N)` float32 0..1: how well the picture of a column stands for that of a row
    digits      to which gains are rounded: another processor adds up in another order, and must not come to another choice by the last bit
    """

    def __init__(self, stands_for: npt.NDArray[np.float32], digits: int) -> None:
        self._stands_for = stands_for
        self._digits = digits
        self.covered = np.zeros(len(stands_for), np.float32)

    def gains(self) -> npt.NDArray[np.float32]:
        """`(N,)`: by how much each picture would add to what is covered."""
        added = np.maximum(self._stands_for - self.covered[:, None], 0).sum(axis=0)
        return np.asarray(added.round(self._digits), np.float32)

    def covered_with(self, index: int) -> npt.NDArray[np.float32]:
        """`covered` as it would be with this picture, too."""
        return np.maximum(self.covered, self._stands_for[:, index])

    def take(self, index: int) -> None:
        self.covered = self.covered_with(index)


def best_of(gains: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_]) -> int:
    """The allowed picture that adds most; ties go to the earlier one."""
    return int(np.where(allowed, gains, -1).argmax())
