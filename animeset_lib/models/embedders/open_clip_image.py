"""Any image tower of open_clip as an identity embedder: general pictures, not drawn characters, so it knows clothes and colours rather than faces.

Package: https://github.com/mlfoundations/open_clip (MIT). Weights by its own names (`ViT-B-32/laion2b_s34b_b79k`) or from a file of the user's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.batches import Batches, unit_vectors
from animeset_lib.models.engines.device import first_line, torch_device
from animeset_lib.models.spec import HubFile, Parts, ReleaseFile, WeightFile

__all__ = ["VERSION", "OpenClip", "split", "weight_file"]

VERSION = "1"
SAME_DISTANCE = 0.12
"""Nobody publishes a threshold for drawn heads, and it could not be measured here. Chosen to split a character rather than to merge two:
pictures nearer than .02-.04 are near-duplicates. `cluster.same_distance` overrides it."""
_ON_CARD, _ON_PROCESSOR = 32, 4
_LISTED = "`python -c 'import open_clip; print(open_clip.list_models())'`"
_CONFIG = {
    "mean": "image_mean",
    "std": "image_std",
    "interpolation": "image_interpolation",
    "resize_mode": "image_resize_mode",
}
"""What a pretrained tag says of its preprocessing → the names under which open_clip takes it; lost when the weights come from a path."""


def split(argument: str) -> tuple[str, str | None, Path | None]:
    """`MODEL/TAG` → (model, tag, None); `MODEL@FILE` → (model, None, file). Raises `ModelError` for anything else."""
    model, at, file = argument.partition("@")
    if at and model and file:
        return model, None, Path(file).expanduser()
    model, slash, tag = argument.partition("/")
    if slash and model and tag:
        return model, tag, None
    raise ModelError(
        f"cannot read `open_clip:{argument}`; expected open_clip:MODEL/PRETRAINED such as open_clip:ViT-B-32/laion2b_s34b_b79k, "
        "or open_clip:MODEL@FILE with a checkpoint of yours"
    )


def weight_file(model: str, tag: str) -> WeightFile:
    """Where open_clip's own table says the weights are. Raises `ModelError` for a pair that it does not know."""
    import open_clip

    config = open_clip.get_pretrained_cfg(model, tag)
    if not config:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model))
        known = f"it has {tags}" if tags else f"it has no model of that name ({_LISTED})"
        raise ModelError(f"open_clip knows no weights `{tag}` for {model}; {known}")
    if hub := config.get("hf_hub"):
        owner, name, *rest = str(hub).split("/")
        return HubFile(f"{owner}/{name}", "/".join(rest) or "open_clip_model.safetensors")
    url = str(config["url"])
    # OpenAI's addresses hold the content's hash
    digest = re.search(r"/([0-9a-f]{64})/", url)
    return ReleaseFile(url, sha256=digest[1] if digest else None)


class OpenClip:
    """An `Embedder`. `file` is the checkpoint; `tag` the pretrained name it came by, which knows how pictures are prepared."""

    same_distance = SAME_DISTANCE

    def __init__(self, parts: Parts, model: str, tag: str | None) -> None:
        import open_clip
        import torch

        self.info = parts.info
        self._torch: Any = torch
        file = parts.files[0]
        if model not in open_clip.list_models():
            raise ModelError(f"open_clip knows no model {model}; expected one of {_LISTED}")
        config: dict[str, Any] = dict(open_clip.get_pretrained_cfg(model, tag) or {}) if tag else {}
        wishes = {ours: config[theirs] for theirs, ours in _CONFIG.items() if config.get(theirs) is not None}
        self._device, self._half = torch_device(parts.device)
        # open_clip logs through the root logger, which then begins to print everybody's lines; a handler that does nothing keeps it silent
        silent, root = logging.NullHandler(), logging.getLogger()
        root.addHandler(silent)
        try:
            network, _, prepare = open_clip.create_model_and_transforms(
                model,
                pretrained=str(file),
                device=self._device,
                force_quick_gelu=bool(config.get("quick_gelu")),
                **wishes,
            )
        except Exception as error:  # torch, safetensors and open_clip raise whatever they like for another file
            got = f"a file that does not fit ({first_line(error)})"
            raise parts.fault(f"weights of open_clip's {model}", got) from error
        finally:
            root.removeHandler(silent)
        self._network, self._prepare = network.eval(), prepare
        if self._half:
            self._network = self._network.half()
        size = _ON_CARD if self._half else _ON_PROCESSOR
        self._batches = Batches(parts.info.name, size, parts.device.threads)
        self.dim = int(self._embedded(self._prepared(np.zeros((8, 8, 3), np.uint8))[None]).shape[1])

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, dim)` float32 unit vectors."""
        answers = self._batches.run(heads, self._prepared, self._embedded)
        return unit_vectors(answers, self.dim)

    def _prepared(self, head: Picture) -> npt.NDArray[np.float32]:
        prepared: npt.NDArray[np.float32] = self._prepare(Image.fromarray(np.ascontiguousarray(head))).numpy()
        return prepared

    def _embedded(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with self._torch.inference_mode():
            given = self._torch.from_numpy(batch).to(self._device)
            answer = self._network.encode_image(given.half() if self._half else given)
            result: npt.NDArray[np.float32] = answer.float().cpu().numpy()
        return result
