"""CCIP: who a drawn character is, learned from pictures of thousands of characters (deepghs, https://huggingface.co/deepghs/ccip_onnx).

Two networks belong together: features, `[N, 3, S, S]` → `[N, D]`, and the metric, `[N, D]` → `[N, N]` differences; and a `metrics.json` with the
difference up to which two pictures show one character. Pictures are stretched to S x S (bilinear, no padding), RGB 0..1 with CLIP's mean and
deviation.

The sorting here works with cosine distances. CCIP's difference is a falling function of the cosine alone; the adapter measures it on
the metric network itself, refuses a network for which that is not so, and so translates the model's own threshold exactly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.models.api import Picture
from animeset_lib.models.engines.batches import Batches
from animeset_lib.models.engines.onnx import Network, open_network
from animeset_lib.models.engines.planes import normalising, planes
from animeset_lib.models.spec import Parts

__all__ = ["VERSION", "Ccip"]

VERSION = "1"
_CLIP = normalising((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_ON_CARD, _ON_PROCESSOR = 16, 2
_STEPS = 400
_SAME_ANSWER = 1e-3


class Ccip:
    """An `Embedder`. Files: feature network, metric network, `metrics.json`. `difference` is the model's own threshold, in its own metric."""

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        features, metric, metrics = parts.files
        self._network = open_network(features, parts, "N3HW")
        self._size = self._network.shape[3] or 384, self._network.shape[2] or 384
        measure = open_network(metric, parts, "ND")
        dim = self._network.answer[-1] or measure.shape[1] or 768
        if measure.shape[1] not in (None, dim):
            raise measure.fault(
                f"a metric for vectors of {dim} values, as {features.name} gives them", f"one for {measure.shape[1]}"
            )
        self.dim = dim
        self.difference = _threshold(metrics, parts)
        self.same_distance = 1.0 - _cosine_at(measure, dim, self.difference)
        self._batches = Batches(
            parts.info.name, _ON_CARD if self._network.on_card else _ON_PROCESSOR, parts.device.threads
        )

    def embed(self, heads: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Head crops of any size → `(N, dim)` float32 unit vectors."""
        answers = self._batches.run(heads, self._prepared, self._network.each)
        vectors = np.zeros((len(heads), self.dim), np.float32)
        for vector, answer in zip(vectors, answers, strict=True):
            length = float(np.linalg.norm(answer))
            if answer.shape != (self.dim,) or not length or not np.isfinite(length):
                raise self._network.fault(f"a vector of {self.dim} finite values", f"{answer.shape} of length {length}")
            vector[:] = answer / length
        return vectors

    def _prepared(self, head: Picture) -> npt.NDArray[np.float32]:
        """`(3, S, S)` float32."""
        image = Image.fromarray(np.ascontiguousarray(head)).resize(self._size, Image.Resampling.BILINEAR)
        return planes(np.asarray(image), _CLIP)


def _threshold(path: Path, parts: Parts) -> float:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise parts.fault("JSON with a number `threshold`", f"none ({error!r})", path) from error


def _cosine_at(measure: Network, dim: int, difference: float) -> float:
    """The cosine of two vectors whose difference is `difference`."""
    cosines = np.cos(np.linspace(0, np.pi, _STEPS + 1))
    rng = np.random.default_rng(0)
    curves = []
    for length in (1.0, 30.0):
        plane, _ = np.linalg.qr(rng.normal(size=(dim, 2)))
        angles = np.arccos(np.clip(cosines, -1, 1))
        vectors = length * (np.outer(np.cos(angles), plane[:, 0]) + np.outer(np.sin(angles), plane[:, 1]))
        answer = np.asarray(measure.run(vectors.astype(np.float32))[0])
        if answer.shape != (len(cosines), len(cosines)):
            raise measure.fault(
                f"{len(cosines)} x {len(cosines)} differences for {len(cosines)} vectors", f"{answer.shape}"
            )
        curves.append(answer[0])
    first, second = curves
    spread = max(float(np.ptp(first)), 1e-9)
    if np.abs(first - second).max() > _SAME_ANSWER * spread or (np.diff(first) < -_SAME_ANSWER * spread).any():
        raise measure.fault(
            "a metric that only falls with the cosine of two vectors", "one that also depends on something else"
        )
    if not first[0] < difference < first[-1]:
        raise measure.fault(
            f"a metric that reaches the model's threshold {difference:.4f}",
            f"differences {first[0]:.4f} to {first[-1]:.4f}: another model's?",
        )
    return float(np.interp(difference, np.maximum.accumulate(first), cosines))
