"""Networks of the user's: what their classes are here, `.onnx`, `.pt` of ultralytics, `.pt` of the YOLOv5 repository, `.yaml`."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detection, ModelInfo, Picture
from animeset_lib.models.detectors.ultralytics_package import ultralytics_module
from animeset_lib.models.detectors.yolo import Yolo, kind_of, parse
from animeset_lib.models.engines.device import Device
from animeset_lib.models.spec import Parts

REMEDY = "give another file"
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore::Warning:torch.*", "ignore::Warning:ultralytics.*")


def skip_without_ultralytics() -> None:
    """`importorskip` would import it, and so leave its own `open` in Pillow for all other tests."""
    if importlib.util.find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")


def parts(path: Path) -> Parts:
    return Parts(ModelInfo("yolo", "detector", "0", "rung", "unknown", "source"), (path,), Device(), REMEDY)


def patches(seed: int, height: int, width: int) -> Picture:
    """A picture of coloured patches: networks answer noise everywhere alike, and equal scores come in any order."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


PICTURES = [patches(1, 37, 53), patches(2, 300, 200), patches(3, 160, 160), patches(4, 90, 400), patches(5, 1, 1)]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("face", "face"),
        ("Anime_Face", "face"),
        ("head", "head"),
        ("halfbody", "halfbody"),
        ("half body", "halfbody"),
        ("upper_body", "halfbody"),
        ("person", "person"),
        ("1girl", "person"),
        ("boys", "person"),
        ("full-body", "person"),
        ("Character", "person"),
        ("car", None),
        ("Human hair", None),
        ("Headphones", None),
        ("surface", None),
        ("man", "person"),
        ("halfBody", "halfbody"),
        ("0", None),
    ],
)
def test_kinds_by_name(label: str, kind: str | None) -> None:
    assert kind_of(label) == kind


def test_arguments_are_a_path_and_kinds_by_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("best.pt", "odd#1.onnx", "layout.YAML"):
        (tmp_path / name).touch()
    assert parse(f"{tmp_path}/best.pt") == (tmp_path / "best.pt", {})
    assert parse("~/best.pt#0=face, 1=person") == (tmp_path / "best.pt", {"0": "face", "1": "person"})
    assert parse(f"{tmp_path}/odd#1.onnx") == (tmp_path / "odd#1.onnx", {})
    assert parse(f"{tmp_path}/odd#1.onnx#a=b=head") == (tmp_path / "odd#1.onnx", {"a=b": "head"})
    assert parse(f"{tmp_path}/layout.YAML#x=halfbody") == (tmp_path / "layout.YAML", {"x": "halfbody"})


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("best.pt#", "nothing after `#`"),
        ("best.pt#face", "cannot read `face`; name the classes, as in yolo:best.pt#0=face"),
        ("best.pt#0=mouth", "cannot read `0=mouth`"),
        ("best.pt#=face", "cannot read `=face`"),
        ("best.pt#0=face,0=head", "class 0 is named twice"),
        ("best.pth", r"expected a file ending in \.onnx, \.pt, \.yaml, \.yml, got `best\.pth`"),
        ("other.pt", r"there is no file .*other\.pt"),
        ("", "expected a file ending in"),
    ],
)
def test_wrong_arguments_say_what_is_expected(tmp_path: Path, argument: str, words: str) -> None:
    (tmp_path / "best.pt").touch()
    with pytest.raises(ModelError, match=words):
        parse(f"{tmp_path}/{argument}" if argument else "")


def onnx_network(path: Path, names: str, *rows: tuple[float, ...]) -> Path:
    """Form `anchors`, 64 x 64, `rows` of centre x, y, width, height and class scores."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    answer = np.zeros((1, len(rows[0]), 84), np.float32)
    answer[0, 2:4] = 4
    answer[0, :, : len(rows)] = np.array(rows).T
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "shape"], ["flat"]),
        helper.make_node("Sub", ["flat", "flat"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 3, 64, 64])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, None)],
        [
            onnx.numpy_helper.from_array(answer, "answer"),
            onnx.numpy_helper.from_array(np.array([-1, 1, 1], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"names": names})
    onnx.save(model, path)
    return path


def kinds_and_scores(found: list[Detection]) -> list[tuple[str, float]]:
    return [(d.kind, round(d.score, 3)) for d in found]


def test_names_decide_unless_the_user_does(tmp_path: Path) -> None:
    rows = [(10, 10, 8, 8, 0.9, 0, 0), (30, 10, 8, 8, 0, 0.8, 0), (50, 10, 8, 8, 0, 0, 0.7)]
    path = onnx_network(tmp_path / "best.onnx", "{0: 'anime face', 1: 'car', 2: 'girl'}", *rows)
    picture = PICTURES[2]
    assert kinds_and_scores(Yolo(parts(path), {}).detect([picture])[0]) == [("face", 0.9), ("person", 0.7)]
    told = Yolo(parts(path), {"1": "head", "girl": "halfbody"})
    assert kinds_and_scores(told.detect([picture])[0]) == [("head", 0.8), ("halfbody", 0.7)]
    with pytest.raises(
        ModelError, match="there is no class `3`; its classes are 0=anime face, 1=car, 2=girl; name the classes"
    ):
        Yolo(parts(path), {"3": "face"})


def test_a_class_of_unknown_name_must_be_named(tmp_path: Path) -> None:
    path = onnx_network(tmp_path / "best.onnx", "{0: 'target'}", (10, 10, 8, 8, 0.9))
    with pytest.raises(
        ModelError, match=r"best\.onnx: none of its classes .*: 0=target; name the classes, as in yolo:best\.pt#0=face"
    ):
        Yolo(parts(path), {})
    assert kinds_and_scores(Yolo(parts(path), {"target": "face"}).detect([PICTURES[2]])[0]) == [("face", 0.9)]


def test_uncertain_faces_are_returned_and_other_kinds_not(tmp_path: Path) -> None:
    rows = [(4 + 10 * k, 30, 6, 6, score, 0) for k, score in enumerate((0.3, 0.2, 0.09))]
    rows += [(4 + 10 * k, 50, 6, 6, 0, score) for k, score in enumerate((0.31, 0.24, 0.09))]
    detector = Yolo(parts(onnx_network(tmp_path / "best.onnx", "['face', 'person']", *rows)), {})
    assert kinds_and_scores(detector.detect([PICTURES[2]])[0]) == [("person", 0.31), ("face", 0.3), ("face", 0.2)]
    assert detector.score_min == 0.25
    assert detector.detect([]) == []


@pytest.fixture(scope="module")
def torch(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("settings")))
    skip_without_ultralytics()
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`best.pt`: YOLOv8n of two classes with random weights whose answers vary from place to place, for pictures of 160 px."""
    tasks = ultralytics_module("nn.tasks")
    DetectionModel, yaml_model_load = tasks.DetectionModel, tasks.yaml_model_load

    torch.manual_seed(0)
    network = DetectionModel(yaml_model_load("yolov8n.yaml"), nc=2, verbose=False)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    batch = np.stack([cv2.resize(patches(i, 160, 160), (160, 160)) for i in range(8)])
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(batch).permute(0, 3, 1, 2) / 255)
    for level in network.model[-1].cv3:
        torch.nn.init.normal_(level[-1].weight, 0, 0.3)
        torch.nn.init.constant_(level[-1].bias, -3)
    network.names = {0: "face", 1: "person"}
    path = tmp_path_factory.mktemp("trained") / "best.pt"
    torch.save({"model": network.eval().half(), "ema": None, "train_args": {"imgsz": 160}, "version": "8.4.0"}, path)
    return path


@pytest.fixture(scope="module")
def by_torch(trained: Path) -> list[list[Detection]]:
    found = Yolo(parts(trained), {}).detect(PICTURES)
    assert all(len(boxes) > 5 for boxes in found)
    assert {d.kind for boxes in found for d in boxes} == {"face", "person"}
    return found


def assert_same(ours: list[Detection], theirs: list[Detection]) -> None:
    """Equal up to float32, in any order: scores that differ in the last digit may change places."""
    assert len(ours) == len(theirs)
    rest = list(theirs)
    for box in ours:
        near = next(
            (
                other
                for other in rest
                if other.kind == box.kind
                and abs(other.score - box.score) < 1e-3
                and other.box.xyxy == pytest.approx(box.box.xyxy, abs=0.05)
            ),
            None,
        )
        assert near is not None, f"{box} has no counterpart"
        rest.remove(near)


def test_pt_gives_what_the_package_itself_gives(torch: Any, trained: Path, by_torch: list[list[Detection]]) -> None:
    YOLO = ultralytics_module("models").YOLO

    package = YOLO(str(trained))
    for picture, ours in zip(PICTURES, by_torch, strict=True):
        bgr = np.ascontiguousarray(picture[..., ::-1])
        boxes = package.predict(bgr, imgsz=160, rect=False, conf=0.1, iou=0.7, device="cpu", verbose=False, save=False)[
            0
        ].boxes
        theirs = [
            Detection("person" if number else "face", ours[0].box.of(box), score)
            for box, score, number in zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True)
            if (not number or score > 0.25) and box[2] > box[0] and box[3] > box[1]
        ]
        assert_same(ours, theirs)


@pytest.mark.parametrize("dynamic", [False, True])
def test_onnx_gives_what_pt_gives(
    torch: Any, trained: Path, by_torch: list[list[Detection]], tmp_path: Path, dynamic: bool
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    YOLO = ultralytics_module("models").YOLO

    copy = tmp_path / "best.pt"
    copy.write_bytes(trained.read_bytes())
    path = YOLO(str(copy)).export(
        format="onnx", imgsz=160, dynamic=dynamic, simplify=False, verbose=False, device="cpu"
    )
    detector = Yolo(parts(Path(path)), {})
    for ours, theirs in zip(detector.detect(PICTURES), by_torch, strict=True):
        assert_same(ours, theirs)


def test_pt_batch_equals_singles_of_any_kind(trained: Path, by_torch: list[list[Detection]]) -> None:
    detector = Yolo(parts(trained), {})
    for together, picture in zip(by_torch, PICTURES, strict=True):
        assert_same(detector.detect([picture])[0], together)
    assert detector.detect([]) == []
    view = PICTURES[1][:, ::-1][..., ::-1]
    view.setflags(write=False)
    (found,) = detector.detect([view])
    assert found
    assert all(d.box.clip(200, 300) == d.box for d in found)


def test_the_package_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    skip_without_ultralytics()
    code = """
import os, cv2, numpy as np, torch
before = cv2.getNumThreads(), torch.get_num_threads(), dict(os.environ), repr(np.array([1.5, 1e-9]))
from animeset_lib.models.detectors.ultralytics_package import ultralytics_module
assert ultralytics_module("nn.tasks").DetectionModel
after = cv2.getNumThreads(), torch.get_num_threads(), dict(os.environ), repr(np.array([1.5, 1e-9]))
assert before == after, (before, after)
"""
    environment = os.environ | {"YOLO_CONFIG_DIR": str(tmp_path)}
    for name in ("OMP_NUM_THREADS", "YOLO_OFFLINE"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)


def test_yaml_is_an_untrained_network_and_says_so(torch: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "layout.yaml"
    path.write_text(
        "nc: 1\nbackbone:\n  - [-1, 1, Conv, [8, 3, 4]]\n  - [-1, 1, Conv, [8, 3, 2]]\n  - [-1, 1, Conv, [8, 3, 2]]\n"
        "head:\n  - [[1, 2], 1, Detect, [nc]]\n"
    )
    with caplog.at_level(logging.WARNING, logger="animeset"):
        detector = Yolo(parts(path), {"0": "face"})
    assert "layout.yaml describes a network that nobody has trained" in caplog.text
    (found,) = detector.detect([PICTURES[0]])
    assert all(d.kind == "face" for d in found)
    path.write_text("nc: 1\n")
    with pytest.raises(
        ModelError, match=r"layout\.yaml: expected the layout of a detection network, got KeyError.*give another file"
    ):
        Yolo(parts(path), {})


class _Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def bad_pt(torch: Any, path: Path, kind: str) -> Path:
    if kind == "garbage":
        path.write_bytes(b"<html>not found</html>" * 10)
    elif kind == "empty":
        path.touch()
    elif kind == "truncated":
        torch.save({"model": torch.nn.Conv2d(3, 8, 3)}, path)
        path.write_bytes(path.read_bytes()[:-400])
    elif kind == "weights alone":
        torch.save(torch.nn.Conv2d(3, 8, 3).state_dict(), path)
    elif kind == "no dict":
        torch.save([1, 2], path)
    elif kind == "script":
        torch.jit.script(torch.nn.Identity()).save(str(path))
    elif kind == "segment":
        SegmentationModel = ultralytics_module("nn.tasks").SegmentationModel

        layout = {"nc": 1, "backbone": [[-1, 1, "Conv", [8, 3, 8]]], "head": [[[0], 1, "Segment", ["nc", 4, 8]]]}
        torch.save({"model": SegmentationModel(layout, verbose=False), "train_args": {}}, path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("garbage", "expected a YOLO checkpoint, got a file that cannot be opened as one"),
        ("empty", "expected a YOLO checkpoint, got a file that cannot be opened as one"),
        ("truncated", "expected a YOLO checkpoint, got a file that cannot be opened as one"),
        ("missing", "expected a YOLO checkpoint, got a file that cannot be opened as one"),
        (
            "weights alone",
            "expected a YOLO checkpoint with a network in it, got OrderedDict with NoneType, perhaps weights alone",
        ),
        ("no dict", "expected a YOLO checkpoint with a network in it, got list"),
        ("script", "expected a YOLO checkpoint, got a TorchScript archive"),
        ("segment", "expected a detection network, got one for the task `segment`"),
    ],
)
def test_a_wrong_pt_is_one_clear_sentence(torch: Any, tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as error:
        Yolo(parts(bad_pt(torch, tmp_path / "best.pt", kind)), {})
    assert str(error.value).endswith(REMEDY)
    assert "best.pt" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["alone", "beside a network"])
def test_opening_a_pt_runs_nothing_of_it(torch: Any, trained: Path, tmp_path: Path, where: str) -> None:
    path, trace = tmp_path / "best.pt", tmp_path / "trace"
    content: Any = {"model": _Evil(trace)}
    if where == "beside a network":
        content = torch.load(trained, weights_only=False) | {"date": _Evil(trace)}
    torch.save(content, path)
    with pytest.raises(ModelError):
        Yolo(parts(path), {})
    assert not trace.exists()


def test_a_torch_that_cannot_open_it_safely_is_not_used(
    torch: Any, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.serialization, "get_unsafe_globals_in_checkpoint")
    with pytest.raises(ModelError, match=r"best\.pt: opening it safely needs torch 2\.6 or newer"):
        Yolo(parts(trained), {})


def test_a_name_that_the_package_would_replace_is_refused(torch: Any, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "yolov5n.pt"
    path.write_bytes(trained.read_bytes())
    with pytest.raises(ModelError, match=r"ultralytics takes this name for .*yolov5nu\.pt; rename the file"):
        Yolo(parts(path), {})


class _Five:
    """Writes checkpoints by the class names of the YOLOv5 repository, in which they are pickled."""

    def __init__(self, torch: Any, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
        modules = ultralytics_module("nn.modules")

        self.torch, self.monkeypatch, self.prefix = torch, monkeypatch, prefix
        for parent in ("yolov5", "yolov5.models", "models"):
            self.monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        self.common = self._module("models.common")
        self.yolo = self._module("models.yolo")
        for name in ("Conv", "Bottleneck", "C3", "SPPF", "Concat", "GhostConv"):
            self._put(self.common, name, getattr(modules, name))
        for name in ("DetectionModel", "SegmentationModel", "Detect"):
            self._put(self.yolo, name, torch.nn.Module)

    def _module(self, name: str) -> types.ModuleType:
        module = types.ModuleType(self.prefix + name)
        self.monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    def _put(self, module: types.ModuleType, name: str, base: Any) -> None:
        new = type(name, (base,), {})
        new.__module__ = module.__name__
        setattr(module, name, new)

    def layers(self) -> list[Any]:
        """Two levels, strides 8 and 16, two classes."""
        torch, common = self.torch, self.common
        torch.manual_seed(1)
        detect = self.yolo.Detect()
        detect.nc, detect.na, detect.nl, detect.no = 2, 3, 2, 7
        detect.stride = torch.tensor([8.0, 16.0])
        anchors = [[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]]]
        detect.register_buffer("anchors", torch.tensor(anchors) / detect.stride.view(-1, 1, 1))
        detect.grid = [torch.empty(0)] * 2
        detect.m = torch.nn.ModuleList(torch.nn.Conv2d(c, 21, 1) for c in (4, 8))
        layers = [
            common.Conv(3, 4, 8, 8, 0),
            common.Conv(4, 8, 3, 2),
            common.SPPF(8, 8),
            torch.nn.Upsample(None, 2, "nearest"),
            common.Concat(1),
            common.C3(12, 4, 1),
            detect,
        ]
        for i, (layer, source) in enumerate(zip(layers, [-1, -1, -1, -1, [-1, 0], -1, [5, -4]], strict=True)):
            layer.i, layer.f = i, source
        del layers[3].recompute_scale_factor  # torch before 1.11
        return layers

    def save(
        self,
        path: Path,
        layers: list[Any],
        kind: str = "DetectionModel",
        zipped: bool = True,
        names: Any = ("face", "person"),
    ) -> Path:
        network = getattr(self.yolo, kind)()
        network.model, network.save = self.torch.nn.Sequential(*layers), [0, 2, 5]
        for layer in network.modules():
            # layers within layers too
            layer.__class__ = getattr(self.common, type(layer).__name__, type(layer))
        network.names, network.stride = list(names), self.torch.tensor([8.0, 16.0])
        content = {
            "epoch": -1,
            "best_fitness": np.float64(0.5),
            "ema": None,
            "model": network.half(),
            "opt": {"imgsz": 90, "save_dir": Path("runs"), "noise": {1, 2}},
            "optimizer": None,
        }
        self.torch.save(content, path, _use_new_zipfile_serialization=zipped)
        for name in ("models", "models.common", "models.yolo"):
            self.monkeypatch.delitem(sys.modules, self.prefix + name)
        return path


def yolov5_answer(torch: Any, layers: list[Any], picture: Any) -> Any:
    """The documented arithmetic, value by value."""

    def sigmoid(value: float) -> float:
        return float(1 / (1 + np.exp(-value)))

    first = layers[0](picture)
    coarse = layers[2](layers[1](first))
    fine = layers[5](torch.cat([torch.nn.functional.interpolate(coarse, scale_factor=2), first], 1))
    rows = []
    detect = layers[6]
    for level, features in enumerate((fine, coarse)):
        raw = detect.m[level](features)[0]
        for anchor in range(3):
            for y in range(raw.shape[1]):
                for x in range(raw.shape[2]):
                    values = [sigmoid(v) for v in raw[7 * anchor : 7 * anchor + 7, y, x].tolist()]
                    step = (8, 16)[level]
                    width, height = (detect.anchors[level, anchor] * step).tolist()
                    rows.append(
                        [
                            (2 * values[0] - 0.5 + x) * step,
                            (2 * values[1] - 0.5 + y) * step,
                            (2 * values[2]) ** 2 * width,
                            (2 * values[3]) ** 2 * height,
                            *values[4:],
                        ]
                    )
    return np.array(rows)


@pytest.mark.parametrize(("prefix", "zipped"), [("", True), ("yolov5.", True), ("", False)])
def test_yolov5_checkpoints_are_opened_without_their_repository(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, zipped: bool
) -> None:
    from animeset_lib.models.detectors.yolov5_pt import load_yolov5

    five = _Five(torch, monkeypatch, prefix)
    layers = five.layers()
    path = five.save(tmp_path / "yolov5s.pt", layers, zipped=zipped)
    loaded = load_yolov5(parts(path))
    assert loaded is not None
    assert (loaded.labels, loaded.side, loaded.stride) == (("face", "person"), 96, 16)
    picture = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        answer = loaded.network(picture)[0].numpy()
        expected = yolov5_answer(torch, [layer.float().eval() for layer in layers], picture)
    assert answer.shape == (3 * (6 * 8 + 3 * 4), 7)
    assert np.abs(answer - expected).max() < 1e-3


def test_yolov5_checkpoints_detect(torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    five = _Five(torch, monkeypatch, "")
    layers = five.layers()
    detect = layers[6]
    for convolution in detect.m:
        torch.nn.init.zeros_(convolution.weight)
        torch.nn.init.constant_(convolution.bias, -20)
    # third anchor of the coarse level, everywhere: at the middle of each cell, 59 x 119; scores σ(2)² and σ(2) σ(-1)
    detect.m[1].bias.data[14:] = torch.tensor([0.0, 0, 0, 0, 2, 2, -1])
    detector = Yolo(parts(five.save(tmp_path / "best.pt", layers)), {})
    (found,) = detector.detect([np.zeros((96, 96, 3), np.uint8)])
    assert {d.kind for d in found} == {"face"}
    assert found[0].score == pytest.approx(0.8808**2, abs=1e-3)
    # the first of equal boxes is that of the upper left cell, 8 ± 29.5 x 8 ± 59.5
    assert found[0].box.xyxy == pytest.approx((0, 0, 37.5, 67.5), abs=0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "ghost",
            r"of the usual layers, got one with `models\.common\.GhostConv`; export it .*python export\.py --weights best\.pt --include onnx",
        ),
        ("segment", r"got one with `SegmentationModel`, which finds no boxes alone; export it"),
        ("names", r"expected a name for each of 2 classes, got 1: face; give another file"),
        ("no head", "expected a YOLOv5 network with class names and a detection layer, got"),
    ],
)
def test_other_yolov5_checkpoints_say_what_to_do(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, words: str
) -> None:
    five = _Five(torch, monkeypatch, "")
    layers = five.layers()
    kind = "DetectionModel"
    if change == "ghost":
        layers[0] = five.common.GhostConv(3, 4)
    elif change == "segment":
        kind = "SegmentationModel"
    elif change == "no head":
        layers = layers[:-1]
    path = tmp_path / "best.pt"
    names = ["face"] if change == "names" else ["face", "person"]
    with pytest.raises(ModelError, match=words):
        Yolo(parts(five.save(path, layers, kind, names=names)), {})


def test_importing_ultralytics_leaves_other_packages_as_they_were(tmp_path: Path) -> None:
    """It replaces Pillow's `open`, which then answers a broken picture by wanting to install something."""
    code = (
        "import cv2, torch\n"
        "from PIL import Image\n"
        "before = Image.open, torch.save, cv2.imread, cv2.getNumThreads()\n"
        "from animeset_lib.models.detectors.ultralytics_package import ultralytics_module\n"
        "ultralytics_module('nn.tasks')\n"
        "assert before == (Image.open, torch.save, cv2.imread, cv2.getNumThreads())\n"
    )
    skip_without_ultralytics()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
