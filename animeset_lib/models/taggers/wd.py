"""The WD taggers by SmilingWolf (`wd-*-tagger-v3`, `wd-v1-4-*-tagger-v2`): booru tags, character names and a rating from one network.

Model cards: https://huggingface.co/SmilingWolf. Input `[N, S, S, 3]` float32, **BGR**, 0..255 as it is; output `[N, tags]` probabilities whose
rows are those of `selected_tags.csv`, the four ratings at its head included. The picture is made square with white and resized with
Pillow's bicubic filter, as the author's own demo does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.models.api import Picture, Thresholds
from animeset_lib.models.spec import Parts
from animeset_lib.models.taggers.csv_tagger import CsvTagger

__all__ = ["THRESHOLDS", "VERSION", "WdTagger"]

VERSION = "1"
THRESHOLDS = Thresholds(general=0.35, character=0.85)
"""Those of the author's demo. The cards' balanced thresholds (precision = recall) for general tags lie at .26 for most v3 and .53 for eva02."""
_WHITE = 255


class WdTagger(CsvTagger):
    """Files: the network and its `selected_tags.csv`."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, THRESHOLDS, side=448)

    def prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(S, S, 3)` float32 BGR, 0..255."""
        height, width = picture.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.full((side, side, 3), _WHITE, np.uint8)
        square[top : top + height, left : left + width] = picture
        image = Image.fromarray(square)
        if image.size != (self._width, self._height):
            image = image.resize((self._width, self._height), Image.Resampling.BICUBIC)
        return np.asarray(image)[..., ::-1].astype(np.float32)
