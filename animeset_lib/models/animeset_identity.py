"""Who a head is, by `animeset-identity`, the small network that comes with animeset (`training/` makes it, `cards/animeset-identity.md`
describes it).

EfficientNet-lite0 trained to bring pictures of one drawn character together and those of others apart. The file holds the whole arithmetic,
the mirrored look and the calibrated threshold included.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import ModelInfo, Picture
from animeset_lib.models.onnx_file import open_network, shipped

__all__ = ["NAME", "VERSION", "AnimesetIdentity"]

NAME = "animeset-identity"
VERSION = "1"

_BATCH = 16


class AnimesetIdentity:
    """An `Embedder`. `same_distance` comes from the file: the equal-error distance of characters held out of the training."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info
        self._session, facts = open_network(shipped(NAME)[0])
        self.same_distance = float(facts["same_distance"])
        self._side = int(self._session.get_inputs()[0].shape[1])
        self.dim = int(self._session.get_outputs()[0].shape[1])

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, dim)` float32 unit vectors; a head and its mirror image have the same."""
        vectors = np.empty((len(heads), self.dim), np.float32)
        for start in range(0, len(heads), _BATCH):
            seen = np.stack([self._scaled(head) for head in heads[start : start + _BATCH]])
            vectors[start : start + _BATCH] = self._session.run(None, {"heads": seen})[0]
        return vectors

    def _scaled(self, head: Picture) -> Picture:
        method = cv2.INTER_AREA if min(head.shape[:2]) > self._side else cv2.INTER_LINEAR
        return cv2.resize(np.ascontiguousarray(head), (self._side, self._side), interpolation=method).astype(np.uint8, copy=False)
