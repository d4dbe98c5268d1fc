"""Models by a name that holds more than a name, such as a file, a hub's model, a command."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from animeset_lib.errors import ModelError
from animeset_lib.models.detectors import yolo
from animeset_lib.models.embedders import open_clip_image
from animeset_lib.models.spec import Family, Inference, ModelSpec
from animeset_lib.models.upscalers import command_upscaler, spandrel_upscaler

__all__ = ["FAMILIES"]


def _own_file(path: Path) -> tuple[Path, ...]:
    if not path.is_file():
        raise ModelError(f"{path} is no file; check the path (this folder is {Path.cwd()})")
    return (path,)


def _yolo(argument: str) -> ModelSpec:
    path, classes = yolo.parse(argument)
    onnx = path.suffix.lower() == ".onnx"
    return ModelSpec(
        task="detector",
        name=f"yolo:{argument}",
        load=lambda parts: yolo.Yolo(parts, classes),
        version=f"{yolo.VERSION} {sorted(classes.items())}",
        licence="yours to know; the ultralytics package is AGPL-3.0",
        source=str(path),
        rung="Your own YOLO network.",
        get="name another file",
        signature="any YOLO form: v5, v8, 11, end-to-end, RT-DETR",
        thresholds={"score_min": yolo.SCORE_MIN},
        packaged=lambda: _own_file(path),
        needs=() if onnx else ("torch", "ultralytics"),
        inference=Inference() if onnx else None,
    )


def _open_clip(argument: str) -> ModelSpec:
    model, tag, path = open_clip_image.split(argument)
    # open_clip's own table says where weights are; without the package its absence is what is said
    asked = tag is not None and importlib.util.find_spec("open_clip") is not None
    download = (open_clip_image.weight_file(model, tag),) if asked and tag else ()
    return ModelSpec(
        task="embedder",
        name=f"open_clip:{argument}",
        load=lambda parts: open_clip_image.OpenClip(parts, model, tag),
        version=f"{open_clip_image.VERSION} {model}",
        licence="of the weights: see their source",
        source=download[0].source if download else str(path or argument),
        rung="A CLIP of your choice: knows clothes and colours rather than faces.",
        get=f"animeset models fetch open_clip:{argument}" if tag else "name another file",
        signature="by open_clip's own transform",
        thresholds={"same_distance": open_clip_image.SAME_DISTANCE},
        files=download,
        packaged=lambda: _own_file(path) if path is not None else (),
        needs=("torch", "open_clip"),
    )


def _spandrel(argument: str) -> ModelSpec:
    path = Path(argument).expanduser()
    return ModelSpec(
        task="upscaler",
        name=f"spandrel:{argument}",
        load=spandrel_upscaler.SpandrelUpscaler,
        version=spandrel_upscaler.VERSION,
        licence="yours to know",
        source=str(path),
        rung="Your own enlarging network.",
        get="name another file",
        signature="[1, 3, h, w] RGB 0..1 → larger by the network's own factor",
        packaged=lambda: _own_file(path),
        needs=("torch", "spandrel"),
    )


def _command(template: str) -> ModelSpec:
    return ModelSpec(
        task="upscaler",
        name=f"command:{template}",
        load=lambda parts: command_upscaler.CommandUpscaler(parts, template),
        version=f"{command_upscaler.VERSION} {command_upscaler.digest(template)}",
        licence="of the program: yours to know",
        source=template,
        rung="A program of your own.",
        get="install the program, or name it with its full path",
        signature="PNG file → PNG file",
    )


FAMILIES: tuple[Family, ...] = (
    Family(
        "detector",
        "yolo",
        "FILE[#CLASS=KIND,...]",
        "any YOLO network of yours: .onnx, .pt (YOLOv5 too) or .yaml",
        _yolo,
    ),
    Family("embedder", "open_clip", "MODEL/PRETRAINED or MODEL@FILE", "any image tower of open_clip", _open_clip),
    Family("upscaler", "spandrel", "FILE", "any ESRGAN-like network of yours: .pth, .safetensors, ...", _spandrel),
    Family(
        "upscaler", "command", "PROGRAM {input} {output} ...", "any program: Topaz, upscayl-bin, waifu2x, ...", _command
    ),
)
