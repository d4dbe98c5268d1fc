"""AugNet, the network in the package `imgsim`: likeness of pictures learned without labels, no download beside the package.

M. Chen et al., "AugNet" (2021), https://github.com/chenmingxiang110/AugNet, MIT. A ResNet-50 with 768 outputs and a hyperbolic tangent;
input `[N, 3, 350, 350]`, RGB with ImageNet's mean and deviation. The package itself is not imported: it puts its folder in front of the
import path and asks torchvision for an argument that is gone. Only its weights are read.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.batches import Batches, unit_vectors
from animeset_lib.models.engines.device import first_line, torch_device
from animeset_lib.models.engines.planes import normalising, planes
from animeset_lib.models.spec import Parts

__all__ = ["VERSION", "ImgSim", "weights"]

VERSION = "1"
_SIDE = 350
_IMAGENET = normalising((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_ON_CARD, _ON_PROCESSOR = 32, 4


def weights() -> tuple[Path, ...]:
    """The file in the package. Raises `ModelError` when it is not installed."""
    spec = importlib.util.find_spec("imgsim")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package imgsim is not installed")
    path = Path(spec.submodule_search_locations[0]) / "model.pth"
    if not path.is_file():
        raise ModelError(f"imgsim carries no {path.name}: version 0.1.2 does")
    return (path,)


class ImgSim:
    """An `Embedder`.

    `same_distance`: of 305 head pictures of 40 drawn characters, 1 % of the pairs of two characters are nearer (false merges) and 66 % of the
    pairs of one are farther. Nearest neighbour right for 0.71 of 915 such pictures, Ward ARI 0.40 (our own network: 0.97 and 0.89).
    """

    dim = 768
    same_distance = 0.277

    def __init__(self, parts: Parts) -> None:
        import torch
        import torchvision

        self.info = parts.info
        self._torch: Any = torch
        self._device, on_card = torch_device(parts.device)
        network = torchvision.models.resnet50(weights=None)
        network.fc = torch.nn.Linear(2048, self.dim)
        try:
            saved = torch.load(parts.files[0], map_location="cpu", weights_only=True)
            own = {key.removeprefix("module.").removeprefix("pre."): value for key, value in saved.items()}
            network.load_state_dict(own)
        except Exception as error:  # pickle, torch and zipfile errors alike: the file is not these weights
            raise parts.fault("AugNet's weights", f"a file that does not fit ({first_line(error)})") from error
        self._network = network.eval().to(self._device)
        self._batches = Batches(parts.info.name, _ON_CARD if on_card else _ON_PROCESSOR, parts.device.threads)

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, 768)` float32 unit vectors."""
        answers = self._batches.run(heads, _prepared, self._embedded)
        return unit_vectors(answers, self.dim)

    def _embedded(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with self._torch.inference_mode():
            answer = self._torch.tanh(self._network(self._torch.from_numpy(batch).to(self._device)))
            result: npt.NDArray[np.float32] = answer.float().cpu().numpy()
        return result


def _prepared(head: Picture) -> npt.NDArray[np.float32]:
    """`(3, 350, 350)` float32. Head crops are square, so stretching is what the package does by its shorter side."""
    scaled = cv2.resize(np.ascontiguousarray(head), (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    return planes(scaled.astype(np.uint8, copy=False), _IMAGENET)
