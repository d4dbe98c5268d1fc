"""The WD taggers by SmilingWolf (`wd-*-tagger-v3`, `wd-v1-4-*-tagger-v2`): booru tags, character names and a rating from one network.

Model cards: https://huggingface.co/SmilingWolf. Input `[N, S, S, 3]` float32, **BGR**, 0..255 as it is; output `[N, tags]` probabilities whose
rows are those of `selected_tags.csv`, the four ratings at its head included. The picture is made square with white and resized with
Pillow's bicubic filter, as the author's own demo does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.models.api import Picture, TaggerInput, Tags, Thresholds
from animeset_lib.models.batches import Batches
from animeset_lib.models.onnx_file import open_network
from animeset_lib.models.spec import Parts
from animeset_lib.models.tag_list import read_tag_list

__all__ = ["THRESHOLDS", "VERSION", "WdTagger"]

VERSION = "1"
THRESHOLDS = Thresholds(general=0.35, character=0.85)
"""Those of the author's demo. The cards' balanced thresholds (precision = recall) for general tags lie at .26 for most v3 and .53 for eva02."""
_WHITE = 255
_ON_CARD, _ON_PROCESSOR = 16, 2


class WdTagger:
    """A `Tagger`. Files: the network and its `selected_tags.csv`."""

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self.thresholds = THRESHOLDS
        network, tags = parts.files
        self._network = open_network(network, parts.device, parts.remedy, "NHW3")
        self._side = self._network.shape[1] or self._network.shape[2] or 448
        outputs = self._network.session.get_outputs()[0].shape[-1]
        self._tags = read_tag_list(tags, outputs if isinstance(outputs, int) else None, parts.remedy)
        self.vocabulary = frozenset(self._tags.names)
        self._batches = Batches(
            parts.info.name, _ON_CARD if self._network.on_card else _ON_PROCESSOR, parts.device.threads
        )

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        answers = self._batches.run([given.picture for given in inputs], self._prepared, self._network.each)
        for answer in answers[:1]:
            if answer.shape != (len(self._tags.names),):
                raise self._network.fault(
                    f"one probability for each of {len(self._tags.names)} tags", f"{answer.shape}"
                )
        return [self._tags.tags(answer) for answer in answers]

    def _prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(S, S, 3)` float32 BGR, 0..255."""
        height, width = picture.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.full((side, side, 3), _WHITE, np.uint8)
        square[top : top + height, left : left + width] = picture
        image = Image.fromarray(square)
        if side != self._side:
            image = image.resize((self._side, self._side), Image.Resampling.BICUBIC)
        return np.asarray(image)[..., ::-1].astype(np.float32)
