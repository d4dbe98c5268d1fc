"""DeepDanbooru (KichangKim) as an ONNX network: an older booru tagger, of use where WD cannot be had or as a second opinion.

Files in https://huggingface.co/deepghs/imgutils-models, folder `deepdanbooru`. Input `[N, 512, 512, 3]` float32 RGB, 0..1; output `[N, tags]`
probabilities in the order of `deepdanbooru_tags.csv`. The picture keeps its proportions on a **black** ground, as in the training; so the
network rightly sees bars where there are none in the picture, and the tags that say so are left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.models.api import Picture, Thresholds
from animeset_lib.models.spec import Parts
from animeset_lib.models.taggers.csv_tagger import CsvTagger

__all__ = ["BAR_TAGS", "THRESHOLDS", "VERSION", "DeepDanbooru"]

VERSION = "1"
THRESHOLDS = Thresholds(general=0.5, character=0.5)
BAR_TAGS = frozenset({"letterboxed", "pillarboxed", "black_border", "border", "windowboxed"})
"""What the network says of its own padding."""


class DeepDanbooru(CsvTagger):
    """Files: the network and its CSV."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, THRESHOLDS, side=512, rating_prefix="rating:", never=BAR_TAGS)

    def prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(512, 512, 3)` float32 RGB, 0..1, black around the picture."""
        height, width = picture.shape[:2]
        factor = min(self._width / width, self._height / height)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image = Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BICUBIC)
        left, top = (self._width - size[0]) // 2, (self._height - size[1]) // 2
        padded = np.zeros((self._height, self._width, 3), np.float32)
        padded[top : top + size[1], left : left + size[0]] = np.asarray(image)
        return padded / np.float32(255)
