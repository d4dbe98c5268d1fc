"""DeepDanbooru (KichangKim) as an ONNX network: an older booru tagger, of use where WD cannot be had or as a second opinion.

Files in https://huggingface.co/deepghs/imgutils-models, folder `deepdanbooru`. Input `[N, 512, 512, 3]` float32 RGB, 0..1; output `[N, tags]`
probabilities in the order of `deepdanbooru_tags.csv`. The picture keeps its proportions on a **black** ground, as in the training; so the
network rightly sees bars where there are none in the picture, and the tags that say so are left out.
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

__all__ = ["BAR_TAGS", "THRESHOLDS", "VERSION", "DeepDanbooru"]

VERSION = "1"
THRESHOLDS = Thresholds(general=0.5, character=0.5)
BAR_TAGS = frozenset({"letterboxed", "pillarboxed", "black_border", "border", "windowboxed"})
"""What the network says of its own padding."""
_ON_CARD, _ON_PROCESSOR = 16, 2


class DeepDanbooru:
    """A `Tagger`. Files: the network and its CSV."""

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self.thresholds = THRESHOLDS
        network, tags = parts.files
        self._network = open_network(network, parts.device, parts.remedy, "NHW3")
        self._height, self._width = self._network.shape[1] or 512, self._network.shape[2] or 512
        outputs = self._network.session.get_outputs()[0].shape[-1]
        self._tags = read_tag_list(tags, outputs if isinstance(outputs, int) else None, parts.remedy, "rating:")
        self.vocabulary = frozenset(self._tags.names) - BAR_TAGS
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
        return [self._tags.tags(answer, never=BAR_TAGS) for answer in answers]

    def _prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(512, 512, 3)` float32 RGB, 0..1, black around the picture."""
        height, width = picture.shape[:2]
        factor = min(self._width / width, self._height / height)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image = Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BICUBIC)
        left, top = (self._width - size[0]) // 2, (self._height - size[1]) // 2
        padded = np.zeros((self._height, self._width, 3), np.float32)
        padded[top : top + size[1], left : left + size[0]] = np.asarray(image)
        return padded / np.float32(255)
