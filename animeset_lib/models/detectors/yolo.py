"""Any YOLO network of the user's: `.onnx` by itself, `.pt` and `.yaml` through torch and the ultralytics package.

https://docs.ultralytics.com. Pictures are letterboxed (RT-DETR: stretched) to the size the network was trained on, in every case the whole
square, so that a picture's boxes do not depend on its neighbours in the batch. `.pt` files of ultralytics are opened with its list of
allowed classes, those of the YOLOv5 repository as `yolov5_pt` says: neither can run code. The words of a `.yaml` are evaluated by ultralytics.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detection, Picture
from animeset_lib.models.detectors.ultralytics_package import ultralytics_module
from animeset_lib.models.detectors.yolo_boxes import EXPECTED, Form, Found, Reader, checked_names, form_of
from animeset_lib.models.detectors.yolo_onnx import YoloOnnx
from animeset_lib.models.detectors.yolov5_pt import load_yolov5
from animeset_lib.models.engines.batches import Batches
from animeset_lib.models.engines.device import torch_uses
from animeset_lib.models.spec import Parts

__all__ = ["VERSION", "Kind", "Yolo", "kind_of", "parse"]

VERSION = "1"
SCORE_MIN = 0.25
"""ultralytics' default `conf`."""
IOU_MAX = 0.7
"""ultralytics' default `iou`."""
_UNCERTAIN = 0.1
"""Faces are told from this score on, so that the stage can record those it does not use."""
_ON_CARD, _ON_PROCESSOR = 16, 1
"""torch's convolutions on a processor answer a pair with other last digits than single pictures, and are no faster with it."""
_SIDE = 640
_LOG = logging.getLogger("animeset")

Kind = Literal["face", "head", "person", "halfbody"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_SUFFIXES = (".onnx", ".pt", ".yaml", ".yml")
_HOW = "name the classes, as in yolo:best.pt#0=face,1=person (class number or name = face, head, person or halfbody)"

_WORDS: dict[Kind, str] = {
    "face": "face",
    "halfbody": "half halfbody upper upperbody bust",
    "head": "head",
    "person": "person people body human girl boy woman man women men character chara figure fullbody",
}
"""A class is of the first kind of which its name holds a word: `anime_face`, `upper body`, `1girl`."""
_PARTS = ("hair", "hand", "eye", "ear", "nose", "mouth", "arm", "leg", "foot", "beard")
"""A class with one of these words is a part of a body (Open Images' `Human hair`), not a body."""


def kind_of(label: str) -> Kind | None:
    """What a class of this name is here; None for anything else, such as `car`."""
    # words at capitals, digits and signs: `Anime_Face`, `1girl`, `halfBody`; plurals count, `headphones` and `surface` do not
    words = {word.lower().removesuffix("s") for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", label)}
    if words & set(_PARTS):
        return None
    return next((kind for kind, known in _WORDS.items() if words & set(known.split())), None)


def parse(argument: str) -> tuple[Path, dict[str, Kind]]:
    """`best.pt` or `best.pt#0=face,1=person` → the file, and kinds by class number or name; empty where the names shall decide.

    `~` is the home folder; a file whose own name holds a `#` is found too. Raises `ModelError` for a file that is not there or of another
    ending, and for a list that cannot be read.
    """
    text, listed = argument.strip(), ""
    if not Path(text).expanduser().is_file() and "#" in text:
        text, _, listed = text.rpartition("#")
        if not listed.strip():
            raise ModelError(f"yolo:{argument}: nothing after `#`; {_HOW}")
    path = Path(text).expanduser()
    if path.suffix.lower() not in _SUFFIXES:
        raise ModelError(f"yolo:{argument}: expected a file ending in {', '.join(_SUFFIXES)}, got `{path.name}`")
    if not path.is_file():
        raise ModelError(
            f"yolo:{argument}: there is no file {path}; give the path of your network, such as yolo:models/best.pt"
        )
    classes: dict[str, Kind] = {}
    for pair in listed.split(",") if listed else ():
        name, equals, kind = (part.strip() for part in pair.rpartition("="))
        if not name or not equals or kind not in _KINDS:
            raise ModelError(f"yolo:{argument}: cannot read `{pair.strip()}`; {_HOW}")
        if name in classes:
            raise ModelError(f"yolo:{argument}: class {name} is named twice; {_HOW}")
        classes[name] = kind
    return path, classes


class _Network(Protocol):
    labels: tuple[str, ...]

    def detect(self, pictures: Sequence[Picture], score_min: float, iou_max: float) -> list[list[Found]]: ...


class Yolo:
    """A `Detector`. One file.

    classes   kinds by class number or name, as `parse` gives them; other classes are then left out. Empty: the names decide, see `kind_of`.

    Faces are returned from a score of .1 on, other kinds above `score_min`. Raises `ModelError` for a file that is no detection network, and
    when no class of it is a kind known here.
    """

    score_min = SCORE_MIN

    def __init__(self, parts: Parts, classes: Mapping[str, Kind]) -> None:
        self.info = parts.info
        (path,) = parts.files
        self._network: _Network = YoloOnnx(parts, "letterbox") if path.suffix.lower() == ".onnx" else _Torch(parts)
        self._kinds = _kinds(path, self._network.labels, classes)

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Boxes per picture, clipped, best score first."""
        found = self._network.detect(pictures, _UNCERTAIN, IOU_MAX)
        return [[d for box in boxes for d in self._detections(box)] for boxes in found]

    def _detections(self, found: Found) -> Iterator[Detection]:
        kind = self._kinds.get(found.label)
        if kind is not None and (kind == "face" or found.score > self.score_min):
            yield Detection(kind, found.box, found.score)


def _kinds(path: Path, labels: tuple[str, ...], classes: Mapping[str, Kind]) -> dict[str, Kind]:
    """Kind by the network's own class name."""
    listed = ", ".join(f"{number}={label}" for number, label in enumerate(labels[:20]))
    if len(labels) > 20:
        listed += " ..."
    if not classes:
        kinds = {label: kind for label in labels if (kind := kind_of(label))}
        if not kinds:
            raise ModelError(
                f"{path}: none of its classes is a face, head, person or half body by name: {listed}; {_HOW}"
            )
        return kinds
    kinds = {}
    for name, kind in classes.items():
        # a number is a number even where a class has digits for a name
        label = labels[int(name)] if name.isdecimal() and int(name) < len(labels) else name
        if label not in labels:
            raise ModelError(f"{path}: there is no class `{name}`; its classes are {listed}; {_HOW}")
        kinds[label] = kind
    return kinds


class _Torch:
    """A `.pt` or `.yaml` file, run by torch."""

    def __init__(self, parts: Parts) -> None:
        on_card = torch_uses(parts.device)
        self._device = parts.device.torch if on_card else "cpu"
        five = load_yolov5(parts) if parts.files[0].suffix.lower() == ".pt" else None
        if five is not None:
            network, labels, side, detr = five.network, five.labels, five.side, False
        else:
            network, labels, side, detr = _of_ultralytics(parts)
        self._network = network.to(self._device).requires_grad_(False)
        try:
            answer = self._run(np.zeros((1, 3, side, side), np.float32))
        except (RuntimeError, AttributeError, TypeError, KeyError, IndexError) as error:
            raise parts.fault(f"a network that runs on one picture of {side} x {side}", error) from error
        form: tuple[Form, tuple[str, ...]] | None
        if five is not None:
            form = ("v5", labels) if answer.ndim == 3 and answer.shape[2] == 5 + len(labels) else None
        else:
            form = form_of(answer[0], labels, side, side, detr=detr)
        if form is None:
            raise parts.fault(EXPECTED, f"{list(answer.shape)} with {len(labels)} classes")
        self.labels = labels
        self._reader = Reader(parts.info.name, *form, "letterbox", side, side)
        self._batches = Batches(parts.info.name, _ON_CARD if on_card else _ON_PROCESSOR, parts.device.threads)

    def detect(self, pictures: Sequence[Picture], score_min: float, iou_max: float) -> list[list[Found]]:
        answers = self._batches.run(pictures, self._reader.prepare, self._run)
        pairs = zip(answers, pictures, strict=True)
        return [self._reader.read(answer, picture, score_min, iou_max) for answer, picture in pairs]

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        import torch

        with torch.inference_mode():
            answer = self._network(torch.from_numpy(batch).to(self._device))
            # decoded boxes first, then what training would need
            first = answer[0] if isinstance(answer, list | tuple) else answer
            return cast("npt.NDArray[Any]", first.float().cpu().numpy())


def _of_ultralytics(parts: Parts) -> tuple[Any, tuple[str, ...], int, bool]:
    """Network (evaluation mode, float32), class names, side of the input in px, whether it is an RT-DETR."""
    import torch

    path = parts.files[0]
    tasks, checks = ultralytics_module("nn.tasks"), ultralytics_module("utils.checks")
    if path.suffix.lower() == ".pt":
        asked = checks.check_yolov5u_filename(str(path).strip().replace("'", ""), verbose=False)
        if asked != str(path):
            # ultralytics would look for that file, and on the network, whatever lies at the path
            raise ModelError(f"{path}: ultralytics takes this name for {asked}; rename the file, to best.pt, say")
        if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
            # ultralytics then opens it without its list, and does not say so
            raise ModelError(
                f"{path}: opening it safely needs torch 2.6 or newer, this is {torch.__version__}; pip install -U torch torchvision, "
                "or export it as .onnx, which needs neither"
            )
        try:
            checkpoint, _ = tasks.torch_safe_load(str(path), safe_only=True)
        except Exception as error:  # a damaged or foreign pickle can raise anything
            raise parts.fault("a checkpoint that ultralytics opens", error) from error
        network = checkpoint.get("ema") or checkpoint.get("model")
        if not isinstance(network, torch.nn.Module):
            raise ModelError(
                f"{path}: expected a checkpoint with a network in it, got {type(network).__name__}; this ultralytics may be too old to open it "
                "safely: pip install -U ultralytics"
            )
        options = {**(checkpoint.get("train_args") or {})}
    else:
        _LOG.warning(
            "%s describes a network that nobody has trained: its boxes mean nothing. Give the trained file, best.pt, instead",
            path,
        )
        try:
            # what the layout is for is said by its last layer
            layers = tasks.yaml_model_load(str(path))
            head = str(layers["head"][-1][2])
            network = (tasks.RTDETRDetectionModel if "RTDETR" in head else tasks.DetectionModel)(layers, verbose=False)
        except Exception as error:  # the layout is evaluated word by word
            raise parts.fault("the layout of a detection network", repr(error)) from error
        options = {}
    task = getattr(network, "task", None) or tasks.guess_model_task(network)
    if task != "detect":
        raise parts.fault("a detection network", f"one for the task `{task}`")
    try:
        labels = checked_names(network.names)
        head_name = type(network.model[-1]).__name__
    except (AttributeError, TypeError, ValueError) as error:
        raise parts.fault("a network with class names", error) from error
    side = options.get("imgsz")
    stride = max(32, int(network.stride.max()))
    side = -(-(side if isinstance(side, int) and side > 0 else _SIDE) // stride) * stride
    for layer in network.modules():
        if isinstance(layer, torch.nn.Upsample):
            layer.recompute_scale_factor = None
    return network.float().fuse(verbose=False).eval(), labels, side, "RTDETR" in head_name
