"""Checkpoints of the YOLOv5 repository (`.pt`), without that repository and without letting them run code.

Such a file is a pickle of the live network, by the names its classes have in https://github.com/ultralytics/yolov5 (`models.yolo.DetectionModel`,
`models.common.C3` ...), a repository that is no package. The layers that ultralytics still has under the same names and attributes are taken
from there; the network around them and its last layer are written here, after the documented decoding:
x, y = (2 σ - 0.5 + cell) stride and w, h = (2 σ)² anchor.

The unpickler only makes what is named below. Any other class or function of the file becomes an object that does nothing, or an error where
the network would need it.
"""

from __future__ import annotations

import functools
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from animeset_lib.errors import ModelError
from animeset_lib.models.detectors.ultralytics_package import ultralytics_module
from animeset_lib.models.detectors.yolo_boxes import checked_names
from animeset_lib.models.engines.device import first_line
from animeset_lib.models.engines.torch_weights import is_torchscript
from animeset_lib.models.spec import Parts

__all__ = ["YoloV5", "load_yolov5"]

_SIDE = 640
_COMMON = dict.fromkeys(("Conv", "DWConv", "Concat", "Focus"), "conv") | dict.fromkeys(
    ("Bottleneck", "BottleneckCSP", "C3", "SPP", "SPPF"), "block"
)
"""Layers of `models.common` whose namesakes in `ultralytics.nn.modules` compute the same from the same attributes."""
_TORCH = {
    "torch": {"Size", "device"},
    "torch._utils": {"_rebuild_parameter", "_rebuild_tensor", "_rebuild_tensor_v2"},
    "torch.nn.parameter": {"Parameter"},
    "torch.nn.modules.activation": {"Hardswish", "LeakyReLU", "Mish", "ReLU", "ReLU6", "Sigmoid", "SiLU"},
    "torch.nn.modules.batchnorm": {"BatchNorm2d"},
    "torch.nn.modules.container": {"ModuleList", "Sequential"},
    "torch.nn.modules.conv": {"Conv2d", "ConvTranspose2d"},
    "torch.nn.modules.linear": {"Identity"},
    "torch.nn.modules.padding": {"ZeroPad2d"},
    "torch.nn.modules.pooling": {"MaxPool2d"},
    "torch.nn.modules.upsampling": {"Upsample"},
}
_PLAIN = {"OrderedDict": OrderedDict, "set": set, "dict": dict, "list": list, "tuple": tuple, "slice": slice}
_NEEDED = ("models.", "utils.", "torch.", "yolov5.")
"""Modules from which nothing can be left out without changing the network."""


class _OtherFileError(Exception):
    """A checkpoint of ultralytics."""


class _UnknownLayerError(Exception):
    """A layer that is not rebuilt here."""


class _Nothing:
    """Stands for what the network does not need: times, options, optimizer."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...

    def __setitem__(self, _: object, __: object) -> None: ...

    def append(self, _: object) -> None: ...

    def extend(self, _: object) -> None: ...


@dataclass(frozen=True)
class YoloV5:
    """`network` takes `(N, 3, H, W)` float32 RGB 0..1, sides multiples of `stride`, and answers `(N, anchors, 5+classes)` as `yolo_boxes`'
    form `v5`; it is in evaluation mode, float32, on the processor. `side` is the square it was trained on."""

    network: Any
    labels: tuple[str, ...]
    side: int
    stride: int


def load_yolov5(parts: Parts) -> YoloV5 | None:
    """The network in the first file; None for a checkpoint of ultralytics.

    Raises `ModelError` for anything else, and for a YOLOv5 network with layers that are not rebuilt here.
    """
    import torch

    path = parts.files[0]
    if is_torchscript(path):
        raise parts.fault("a YOLO checkpoint", "a TorchScript archive; export it as .onnx, which works")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_restricted_pickle())
    except _OtherFileError:
        return None
    except _UnknownLayerError as error:
        raise ModelError(
            f"{path}: expected a YOLOv5 detection network of the usual layers, got one with {error}; "
            "export it in the YOLOv5 repository with `python export.py --weights best.pt --include onnx`: the .onnx works"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise parts.fault("a YOLO checkpoint", f"a file that cannot be opened as one ({first_line(error)})") from error
    network = (checkpoint.get("ema") or checkpoint.get("model")) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(network, _layers().Network):
        got = f"{type(checkpoint).__name__} with {type(network).__name__}, perhaps weights alone; export it as .onnx where it was trained"
        raise parts.fault("a YOLO checkpoint with a network in it", got)
    network.float().eval()
    for layer in network.modules():
        # attributes that torch added after the file was written
        if isinstance(layer, torch.nn.Upsample):
            layer.recompute_scale_factor = None
        if isinstance(layer, torch.nn.Hardswish | torch.nn.LeakyReLU | torch.nn.ReLU | torch.nn.SiLU):
            layer.inplace = False
    try:
        labels = checked_names(network.names)
        stride = int(max(network.model[-1].stride))
        classes = int(network.model[-1].nc)
    except (AttributeError, TypeError, ValueError) as error:
        raise parts.fault("a YOLOv5 network with class names and a detection layer", error) from error
    if len(labels) != classes:
        raise parts.fault(f"a name for each of {classes} classes", f"{len(labels)}: {', '.join(labels)}")
    options = checkpoint.get("opt") if isinstance(checkpoint, dict) else None
    side = options.get("imgsz") if isinstance(options, dict) else None
    if not isinstance(side, int) or side < 1:
        side = _SIDE
    return YoloV5(network, labels, -(-side // stride) * stride, stride)


def _restricted_pickle() -> Any:
    """What `torch.load` wants as `pickle_module`."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return _allowed(module, name)

    return SimpleNamespace(
        Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load(), __name__="restricted"
    )


def _allowed(module: str, name: str) -> Any:
    import torch

    module = module.removeprefix("yolov5.") if module.startswith("yolov5.models.") else module
    if module.partition(".")[0] == "ultralytics":
        raise _OtherFileError
    if module == "models.common" and name in _COMMON:
        return getattr(ultralytics_module(f"nn.modules.{_COMMON[name]}"), name)
    if module == "models.yolo" and name in ("Model", "DetectionModel"):
        return _layers().Network
    if module == "models.yolo" and name == "Detect":
        return _layers().Detect
    if module == "models.yolo" and name in ("SegmentationModel", "ClassificationModel"):
        raise _UnknownLayerError(f"`{name}`, which finds no boxes alone")
    if name in _TORCH.get(module, ()):
        place: Any = torch
        for part in module.split(".")[1:]:
            place = getattr(place, part)
        return getattr(place, name)
    if module in ("builtins", "__builtin__", "collections") and name in _PLAIN:
        return _PLAIN[name]
    if module.startswith(_NEEDED):
        raise _UnknownLayerError(f"`{module}.{name}`")
    return _Nothing


@functools.cache
def _layers() -> Any:
    """The two layers that hold a YOLOv5 network together; made here because torch is imported late."""
    import torch

    class Detect(torch.nn.Module):
        """A convolution per level, decoded. Its attributes come from the file: `stride` `(levels,)`, `anchors` `(levels, na, 2)` in strides."""

        nc: int
        na: int
        m: torch.nn.ModuleList
        anchors: torch.Tensor
        stride: torch.Tensor

        def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
            answers = []
            for convolution, level, anchors, stride in zip(self.m, levels, self.anchors, self.stride, strict=True):
                raw = convolution(level)
                pictures, _, height, width = raw.shape
                cells = raw.view(pictures, self.na, self.nc + 5, height, width).permute(0, 1, 3, 4, 2).sigmoid()
                x = torch.arange(width, dtype=raw.dtype, device=raw.device)
                y = torch.arange(height, dtype=raw.dtype, device=raw.device)
                cell = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=2)
                step = float(stride)
                centre = (cells[..., :2] * 2 - 0.5 + cell) * step
                size = (cells[..., 2:4] * 2) ** 2 * (anchors * step)[None, :, None, None]
                answers.append(torch.cat([centre, size, cells[..., 4:]], dim=4).flatten(1, 3))
            return torch.cat(answers, dim=1)

    class Network(torch.nn.Module):
        """`model` is the list of layers; each knows its number `i` and where its input comes from, `f`; `save` lists what is needed later."""

        model: torch.nn.Sequential
        save: list[int]

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            kept: dict[int, torch.Tensor] = {}
            last = pictures
            for layer in self.model:
                wanted: Any = layer.f
                number: Any = layer.i
                given = [
                    last if source == -1 else kept[source if source >= 0 else number + source]
                    for source in ([wanted] if isinstance(wanted, int) else wanted)
                ]
                last = layer(given[0] if isinstance(wanted, int) else given)
                if number in self.save:
                    kept[number] = last
            return last

    return SimpleNamespace(Detect=Detect, Network=Network)
