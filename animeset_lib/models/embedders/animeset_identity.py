"""Who a head is, by `animeset-identity`: the small network that comes with animeset, and a fifth of the colour-and-layout descriptor.

The network (`training/` makes it, `cards/animeset-identity.md` describes it) is EfficientNet-lite0 trained to bring pictures of one drawn
character together and those of others apart. Its file holds the whole arithmetic, the mirrored looks and the calibrated threshold included.
The descriptor knows what training for all lights has made the network careless of: the exact shade of hair and eyes.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import Picture
from animeset_lib.models.embedders.colour_layout import ColourLayout
from animeset_lib.models.engines.onnx import open_network
from animeset_lib.models.spec import Parts

__all__ = ["NAME", "VERSION", "AnimesetIdentity"]

NAME = "animeset-identity"
VERSION = "1"

COLOUR_SHARE = 0.2
"""The descriptor's share of the cosine. On pseudo-films of characters never trained on it raises B-cubed F1 from .846 to .861 at the same
precision and brings the number of characters closer; a tenth does half of that, three tenths cost look-alikes."""
_BATCH = 16


class AnimesetIdentity:
    """An `Embedder`. `same_distance` comes from the file: nearer than it are 1 in 100 pairs of two characters held out of the training."""

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self._network = open_network(parts.files[0], parts, "NHW3")
        self.same_distance = float(self._network.facts["same_distance"])
        self._side = self._network.shape[1] or 0
        self._colours = ColourLayout(parts)
        self.dim = (self._network.answer[1] or 0) + self._colours.dim

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, dim)` float32 unit vectors; a head and its mirror image have the same."""
        parts = [self.look(heads) * (1 - COLOUR_SHARE) ** 0.5, self._colours.embed(heads) * COLOUR_SHARE**0.5]
        return np.hstack(parts).astype(np.float32)

    def look(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """What the network alone says: `(N, dim - 375)` float32 unit vectors."""
        vectors = np.empty((len(heads), self.dim - self._colours.dim), np.float32)
        for start in range(0, len(heads), _BATCH):
            seen = np.stack([self._scaled(head) for head in heads[start : start + _BATCH]])
            vectors[start : start + _BATCH] = self._network.each(seen)
        return vectors

    def _scaled(self, head: Picture) -> Picture:
        method = cv2.INTER_AREA if min(head.shape[:2]) > self._side else cv2.INTER_LINEAR
        return cv2.resize(np.ascontiguousarray(head), (self._side, self._side), interpolation=method).astype(
            np.uint8, copy=False
        )
