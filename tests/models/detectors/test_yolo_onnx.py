"""YOLO-like ONNX networks: tiny ones whose answers are known, in all forms, with every fault a file may have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo, Picture
from animeset_lib.models.detectors.yolo_boxes import Found, Reader, form_of, read_names, suppressed
from animeset_lib.models.detectors.yolo_onnx import YoloOnnx
from animeset_lib.models.engines.device import Device
from animeset_lib.models.spec import Parts

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402  (after the skip)

REMEDY = "export it again"
ONE = {"names": "{0: 'face'}"}
TWO = {"names": "{0: 'face', 1: 'person'}"}
SIDE = 64
V5_ANCHORS = 3 * (8 * 8 + 4 * 4 + 2 * 2)

Size = tuple[int | str | None, ...]


def save(path: Path, nodes: list[Any], constants: dict[str, npt.NDArray[Any]], shape: Size, **settings: Any) -> Path:
    kind = settings.get("kind", TensorProto.FLOAT)
    name = settings.get("input_name", "images")
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, list(shape))],
        [helper.make_tensor_value_info("output0", settings.get("out_kind", kind), None)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, settings.get("facts", ONE))
    onnx.save(model, path)
    return path


def answering(path: Path, answer: Any, shape: Size = ("N", 3, SIDE, SIDE), **settings: Any) -> Path:
    """A network that answers `answer` `(rows, columns)` to every picture."""
    kind = settings.get("kind", TensorProto.FLOAT)
    name = settings.get("input_name", "images")
    nodes = [
        helper.make_node("ReduceMean", [name], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "per_picture"], ["flat"]),
        helper.make_node("Sub", ["flat", "flat"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["output0"]),
    ]
    constants = {
        "answer": np.asarray(answer, helper.tensor_dtype_to_np_dtype(kind))[None],
        "per_picture": np.array([-1, 1, 1], np.int64),
    }
    return save(path, nodes, constants, shape, **settings)


def echoing(
    path: Path, places: list[tuple[int, int, int]], shape: Size, side: tuple[int, int], **settings: Any
) -> Path:
    """Form `anchors`; the k-th score is the input at `places[k]` (channel, row, column), its box 1 px in column k of the middle row."""
    height, width = side
    boxes = np.array([[k % width + 0.5, height / 2, 1, 1] for k in range(len(places))], np.float32).T[None]
    nodes = [
        helper.make_node("Reshape", ["images", "in_a_row"], ["row"]),
        helper.make_node("Gather", ["row", "places"], ["picked"], axis=1),
        helper.make_node("Reshape", ["picked", "as_scores"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("Add", ["boxes", "nothing"], ["placed"]),
        helper.make_node("Concat", ["placed", "scores"], ["output0"], axis=1),
    ]
    constants = {
        "in_a_row": np.array([-1, 3 * height * width], np.int64),
        "places": np.array([(c * height + y) * width + x for c, y, x in places], np.int64),
        "as_scores": np.array([-1, 1, len(places)], np.int64),
        "zero": np.zeros((1, 1, 1), np.float32),
        "boxes": boxes,
    }
    return save(path, nodes, constants, shape, **settings)


def anchors(*boxes: tuple[float, ...], count: int = 84) -> npt.NDArray[np.float32]:
    """Form `anchors`, filled up with boxes of score 0."""
    answer = np.zeros((len(boxes[0]), count), np.float32)
    answer[2:4] = 4
    answer[:, : len(boxes)] = np.array(boxes).T
    return answer


def opened(path: Path, fit: Literal["stretch", "letterbox"] = "letterbox") -> YoloOnnx:
    return YoloOnnx(Parts(ModelInfo("tiny", "detector", "0", "", "", ""), (path,), Device(), REMEDY), fit)


def blank(height: int, width: int) -> Picture:
    return np.zeros((height, width, 3), np.uint8)


def boxes_of(found: list[Found]) -> list[tuple[float, ...]]:
    return [f.box.xyxy for f in found]


def test_stretch_scales_x_and_y_each_by_itself(tmp_path: Path) -> None:
    network = opened(answering(tmp_path / "a.onnx", anchors((32, 32, 16, 32, 0.75))), "stretch")
    ((found,),) = network.detect([blank(32, 128)], 0.1, 0.7)
    assert found == Found("face", found.box, 0.75)
    assert found.box.xyxy == (48, 8, 80, 24)


def test_letterbox_takes_the_border_off(tmp_path: Path) -> None:
    network = opened(answering(tmp_path / "a.onnx", anchors((32, 32, 16, 14, 0.75))))
    # 128 x 32 becomes 64 x 16 in rows 24..40
    assert boxes_of(network.detect([blank(32, 128)], 0.1, 0.7)[0]) == [(48, 2, 80, 30)]
    # 33 rows of 64: the border is 15 above and 16 below
    assert boxes_of(network.detect([blank(33, 64)], 0.1, 0.7)[0]) == [(24, 10, 40, 24)]
    # 3 x 200: 64 x round(.96) = 1 row at 31, so that one input row is three of the picture
    assert boxes_of(network.detect([blank(3, 200)], 0.1, 0.7)[0]) == [(75, 0, 125, 3)]


def test_stretch_rounds_half_to_even_and_letterbox_not_at_all(tmp_path: Path) -> None:
    path = answering(tmp_path / "a.onnx", anchors((14, 14, 18, 18, 0.5)))  # 5..23
    assert boxes_of(opened(path, "stretch").detect([blank(32, 32)], 0.1, 0.7)[0]) == [(2, 2, 12, 12)]
    assert boxes_of(opened(path).detect([blank(32, 32)], 0.1, 0.7)[0]) == [(2.5, 2.5, 11.5, 11.5)]


def test_letterbox_pads_with_114_and_colours_are_red_green_blue(tmp_path: Path) -> None:
    places = [(0, 0, 0), (2, 47, 10), (0, 16, 0), (1, 20, 31), (2, 47 - 16, 5), (0, 15, 3)]
    network = opened(echoing(tmp_path / "a.onnx", places, (1, 3, 48, 32), (48, 32)))
    picture = np.full((16, 32, 3), (255, 102, 51), np.uint8)
    (found,) = network.detect([picture], -1, 1)
    scores = {int(f.box.x0): f.score for f in found}
    grey = 114 / 255
    # the picture lies in rows 16..32 of 48
    assert [scores[k] for k in range(len(places))] == pytest.approx([grey, grey, 1.0, 0.4, 0.2, grey], abs=1e-6)


def test_stretch_is_pillows_bicubic() -> None:
    # a step of one column between 0 and 255, doubled: Pillow's bicubic (a = -0.5) weighs the two by their distances
    reader = Reader("tiny", "anchors", ("face",), "stretch", 2, 4)
    picture = np.array([[[0, 0, 0], [255, 255, 255]]] * 2, np.uint8)
    prepared = reader.prepare(picture)
    assert prepared.shape == (3, 2, 4)
    assert prepared.dtype == np.float32
    # weights at distances .25, .75, 1.25 px from the centre, renormalised at the edge: w(.25) = .8672, w(.75) = .2266, w(1.25) = -.0703
    right = 0.2266 / (0.8672 + 0.2266)
    outer = max(0.0, -0.0703 / (0.8672 - 0.0703))
    assert prepared[0, 0].tolist() == pytest.approx([outer, right, 1 - right, 1 - outer], abs=0.004)


def test_fill_is_a_bilinear_stretch() -> None:
    reader = Reader("tiny", "detr", ("face",), "letterbox", 2, 4)
    prepared = reader.prepare(np.array([[[0, 0, 0], [200, 100, 40]]], np.uint8))
    assert (255 * prepared[:, 1]).round().tolist() == [[0, 50, 150, 200], [0, 25, 75, 100], [0, 10, 30, 40]]


def test_areas_are_one_pixel_larger_for_stretched_networks_only(tmp_path: Path) -> None:
    # 0..9 x 0..9 and 0..9 x 0..4 share 50 of 100 when both end pixels count, 36 of 81 = .44 when not
    path = answering(tmp_path / "a.onnx", anchors((4.5, 4.5, 9, 9, 0.9), (4.5, 2, 9, 4, 0.8)))
    picture = blank(SIDE, SIDE)
    assert len(opened(path, "stretch").detect([picture], 0.1, 0.47)[0]) == 1
    assert len(opened(path).detect([picture], 0.1, 0.47)[0]) == 2
    # sharing exactly the limit is allowed
    assert len(opened(path, "stretch").detect([picture], 0.1, 0.5)[0]) == 2


def test_classes_do_not_suppress_each_other_and_the_best_class_counts(tmp_path: Path) -> None:
    answer = anchors((20, 20, 10, 10, 0.6, 0.2), (20, 20, 10, 10, 0.3, 0.7), (21, 20, 10, 10, 0.5, 0.4))
    network = opened(answering(tmp_path / "a.onnx", answer, facts=TWO))
    assert network.labels == ("face", "person")
    (found,) = network.detect([blank(SIDE, SIDE)], 0.1, 0.5)
    assert [(f.label, round(f.score, 6)) for f in found] == [("person", 0.7), ("face", 0.6)]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 6), st.integers(1, 6), st.integers(0, 1)),
        max_size=14,
    ),
    st.sampled_from([0.0, 0.3, 0.5, 0.7]),
    st.sampled_from([0.0, 1.0]),
)
def test_suppression_equals_the_plain_definition(rows: list[tuple[int, ...]], iou_max: float, extra: float) -> None:
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([(7 * i) % 5 for i in range(len(rows))], np.float32)
    classes = np.array([row[4] for row in rows], np.int64)

    def iou(a: int, b: int) -> float:
        ax, ay, aw, ah, _ = rows[a]
        bx, by, bw, bh, _ = rows[b]
        across = max(0.0, min(ax + aw, bx + bw) - max(ax, bx) + extra)
        down = max(0.0, min(ay + ah, by + bh) - max(ay, by) + extra)
        union = (aw + extra) * (ah + extra) + (bw + extra) * (bh + extra) - across * down
        return across * down / union

    kept: list[int] = []
    for new in sorted(range(len(rows)), key=lambda i: (-scores[i], i)):
        if all(classes[old] != classes[new] or iou(old, new) <= iou_max + 1e-9 for old in kept):
            kept.append(new)
    assert suppressed(corners, scores, classes, iou_max + 1e-9, extra).tolist() == kept


def test_end_to_end_answers_are_taken_as_they_are(tmp_path: Path) -> None:
    answer = [[10, 12, 30, 40, 0.5, 1], [10, 12, 30, 41, 0.9, 1], [0, 0, 5, 5, 0.05, 0], [0, 0, 0, 0, 0, 0]]
    network = opened(answering(tmp_path / "a.onnx", answer, facts=TWO))
    (found,) = network.detect([blank(SIDE, SIDE)], 0.1, 0.1)
    assert [(f.label, f.box.xyxy) for f in found] == [("person", (10, 12, 30, 41)), ("person", (10, 12, 30, 40))]


def test_yolov5_scores_are_objectness_times_class(tmp_path: Path) -> None:
    answer = np.zeros((V5_ANCHORS, 6), np.float32)
    answer[7] = 20, 30, 10, 12, 0.8, 0.5
    answer[9] = 50, 50, 10, 12, 0.2, 0.4
    network = opened(answering(tmp_path / "a.onnx", answer))
    (found,) = network.detect([blank(SIDE, SIDE)], 0.1, 0.7)
    assert [(f.label, f.box.xyxy, f.score) for f in found] == [("face", (15, 24, 25, 36), pytest.approx(0.4))]


@pytest.mark.parametrize(
    "facts", [{**TWO, "description": "Ultralytics rtdetr-l model"}, {**TWO, "head": "RTDETRDecoder"}]
)
def test_rt_detr_answers_shares_of_the_stretched_picture(tmp_path: Path, facts: dict[str, str]) -> None:
    answer = [[0.5, 0.25, 0.5, 0.1, 0.2, 0.7], [0.5, 0.25, 0.5, 0.1, 0.6, 0.1], [0.1, 0.1, 0.1, 0.1, 0.01, 0.02]]
    network = opened(answering(tmp_path / "a.onnx", answer, facts=facts))
    (found,) = network.detect([blank(100, 200)], 0.1, 0.1)
    assert [f.label for f in found] == ["person", "face"]
    assert found[0].box.xyxy == pytest.approx((50, 20, 150, 30), abs=1e-4)
    # the form that answers the best boxes only
    chosen = [[0.5, 0.25, 0.5, 0.1, 0.7, 1], [0.2, 0.2, 0.1, 0.1, 0.3, 0]]
    network = opened(answering(tmp_path / "b.onnx", chosen, facts=facts))
    (found,) = network.detect([blank(100, 200)], 0.1, 0.1)
    assert [f.label for f in found] == ["person", "face"]
    assert found[1].box.xyxy == pytest.approx((30, 15, 50, 25), abs=1e-4)


@pytest.mark.parametrize(
    ("shape", "labels", "detr", "expected"),
    [
        ((5, 84), ("a",), False, "anchors"),
        ((84, 8400), tuple(map(str, range(80))), False, "anchors"),
        ((6, 84), ("a", "b"), False, "anchors"),
        ((300, 6), ("a",), False, "end2end"),
        ((300, 6), tuple(map(str, range(80))), False, "end2end"),
        ((300, 6), tuple(map(str, range(80))), True, "detr_topk"),
        ((300, 6), ("a", "b"), False, "end2end"),
        ((300, 5), ("a",), False, "detr"),
        ((300, 84), tuple(map(str, range(80))), False, "detr"),
        ((V5_ANCHORS, 6), ("a",), False, "v5"),
        ((V5_ANCHORS, 85), tuple(map(str, range(80))), False, "v5"),
        ((V5_ANCHORS, 6), None, False, "v5"),
        ((5, 84), None, False, "anchors"),
        ((300, 6), None, False, None),
        ((37, 84), ("a",), False, None),
        ((4, 84), None, False, None),
        ((84,), ("a",), False, None),
    ],
)
def test_forms_are_told_by_shape(
    shape: tuple[int, ...], labels: tuple[str, ...] | None, detr: bool, expected: str | None
) -> None:
    told = form_of(np.zeros(shape, np.float32), labels, SIDE, SIDE, detr=detr)
    assert (told and told[0]) == expected
    if told and labels is None:
        assert told[1] == ("0",)


@pytest.mark.parametrize("text", ["{0: 'face', 1: 'person'}", "['face', 'person']", "{'0': 'face', '1': 'person'}"])
def test_names_are_read_as_a_literal(text: str) -> None:
    assert read_names(text) == ("face", "person")


@pytest.mark.parametrize(
    "text", ["face", "{}", "{1: 'face'}", "{0: 1}", "__import__('os').getcwd()", "3", "{'a': 'face'}"]
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|literal"):
        read_names(text)


def test_size_comes_from_the_input_then_the_metadata_then_640(tmp_path: Path) -> None:
    answer = anchors((8, 8, 16, 16, 0.9))  # 0..16
    free = ("N", 3, "height", "width")
    fixed = opened(answering(tmp_path / "a.onnx", answer, facts={**ONE, "imgsz": "[640, 640]"}))
    told = opened(answering(tmp_path / "b.onnx", answer, free, facts={**ONE, "imgsz": "[32, 64]"}), "stretch")
    told_one = opened(answering(tmp_path / "c.onnx", answer, free, facts={**ONE, "imgsz": "160"}))
    silent = opened(answering(tmp_path / "d.onnx", answer, free))
    picture = blank(640, 640)
    assert boxes_of(fixed.detect([picture], 0.1, 0.7)[0]) == [(0, 0, 160, 160)]
    assert boxes_of(told.detect([picture], 0.1, 0.7)[0]) == [(0, 0, 160, 320)]
    assert boxes_of(told_one.detect([picture], 0.1, 0.7)[0]) == [(0, 0, 64, 64)]
    assert boxes_of(silent.detect([picture], 0.1, 0.7)[0]) == [(0, 0, 16, 16)]


def test_half_precision_and_other_names_of_the_input(tmp_path: Path) -> None:
    path = answering(tmp_path / "a.onnx", anchors((8, 8, 16, 16, 0.5)), kind=TensorProto.FLOAT16, input_name="x")
    (found,) = opened(path).detect([blank(SIDE, SIDE)], 0.1, 0.7)
    assert boxes_of(found) == [(0, 0, 16, 16)]
    assert found[0].score == 0.5


def test_boxes_are_clipped_and_those_without_area_left_out(tmp_path: Path) -> None:
    answer = anchors(
        (0, 0, 20, 20, 0.9),
        (80, 30, 20, 20, 0.8),
        (30, 30, 0, 5, 0.7),
        (30, 30, -4, 5, 0.6),
        (float("nan"), 30, 5, 5, 0.65),
        (30, 30, float("inf"), 5, 0.64),
        (40, 40, 8, 8, 1.00001),
        (20, 50, 8, 8, float("nan")),
    )
    (found,) = opened(answering(tmp_path / "a.onnx", answer)).detect([blank(SIDE, SIDE)], 0.1, 0.7)
    assert [(f.box.xyxy, f.score) for f in found] == [((36, 36, 44, 44), 1.0), ((0, 0, 10, 10), pytest.approx(0.9))]
    # thinner than half a pixel of the picture: gone after rounding
    thin = answering(tmp_path / "b.onnx", anchors((10, 10, 0.8, 20, 0.9)))
    assert opened(thin, "stretch").detect([blank(SIDE, SIDE // 2)], 0.1, 0.7) == [[]]


def test_scores_must_be_above_the_least(tmp_path: Path) -> None:
    network = opened(answering(tmp_path / "a.onnx", anchors((8, 8, 16, 16, 0.5), (40, 40, 10, 10, 0.25))))
    assert len(network.detect([blank(SIDE, SIDE)], 0.25, 0.7)[0]) == 1
    assert len(network.detect([blank(SIDE, SIDE)], 0.2499, 0.7)[0]) == 2


def test_a_crowd_ends_at_300(tmp_path: Path) -> None:
    answer = np.zeros((5, 400), np.float32)
    for k in range(400):
        answer[:, k] = 1.5 + 3 * (k % 20), 1.5 + 3 * (k // 20), 2, 2, 0.2 + k / 1000
    (found,) = opened(answering(tmp_path / "a.onnx", answer)).detect([blank(SIDE, SIDE)], 0.1, 0.7)
    assert len(found) == 300
    assert found[0].score == pytest.approx(0.599)
    assert found[-1].score == pytest.approx(0.3)


PICTURES: list[Callable[[], Picture]] = [
    lambda: np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8),
    lambda: np.full((1, 1, 3), 200, np.uint8),
    lambda: np.random.default_rng(1).integers(0, 256, (61, 1, 3), dtype=np.uint8)[:, ::-1],
    lambda: np.random.default_rng(2).integers(0, 256, (200, 90, 3), dtype=np.uint8)[::2, ::2],
    lambda: np.random.default_rng(3).integers(0, 256, (48, 32, 3), dtype=np.uint8)[..., ::-1],
]


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("pictures_at_once", ["N", 1])
def test_a_batch_equals_single_pictures(tmp_path: Path, fit: Any, pictures_at_once: str | int) -> None:
    places = [(c, y, x) for c in range(3) for y in range(0, 48, 7) for x in range(0, 32, 5)]
    network = opened(echoing(tmp_path / "a.onnx", places, (pictures_at_once, 3, 48, 32), (48, 32)), fit)
    pictures = [make() for make in PICTURES]
    pictures[0].setflags(write=False)
    before = [picture.copy() for picture in pictures]
    together = network.detect(pictures, 0.05, 0.9)
    assert together == [network.detect([picture], 0.05, 0.9)[0] for picture in pictures]
    assert any(together)
    for found, picture in zip(together, pictures, strict=True):
        assert all(f.box.clip(picture.shape[1], picture.shape[0]) == f.box for f in found)
        assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)
    assert network.detect([], 0.05, 0.9) == []
    assert all(np.array_equal(a, b) for a, b in zip(pictures, before, strict=True))


def faulty(path: Path, kind: str) -> Path:
    good = anchors((8, 8, 16, 16, 0.5))
    shape: Size = ("N", 3, SIDE, SIDE)
    if kind == "no network":
        path.write_bytes(b"<html>not found</html>")
    elif kind == "empty":
        path.touch()
    elif kind == "truncated":
        whole = answering(path, good).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "missing":
        pass
    elif kind == "answer":
        answering(path, np.zeros((37, 84), np.float32))
    elif kind == "answer without pictures":
        save(path, [helper.make_node("ReduceMean", ["images"], ["output0"])], {}, shape)
    elif kind == "names":
        answering(path, good, facts={"names": "face"})
    elif kind == "grey input":
        answering(path, good, ("N", 1, SIDE, SIDE))
    elif kind == "byte input":
        node = helper.make_node("Cast", ["images"], ["output0"], to=TensorProto.FLOAT)
        save(path, [node], {}, shape, kind=TensorProto.UINT8, out_kind=TensorProto.FLOAT)
    elif kind == "four at a time":
        answering(path, good, (4, 3, SIDE, SIDE))
    elif kind == "task":
        answering(path, good, facts={**ONE, "task": "segment"})
    elif kind == "imgsz":
        answering(path, good, facts={**ONE, "imgsz": "large"})
    elif kind == "no such size":
        echoing(path, [(0, 0, 0)], ("N", 3, "h", "w"), (48, 32), facts={**ONE, "imgsz": "[33, 31]"})
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no network", "expected an ONNX network, got a file that cannot be opened"),
        ("empty", "expected an ONNX network, got a file that cannot be opened"),
        ("truncated", "expected an ONNX network, got a file that cannot be opened"),
        ("missing", "expected an ONNX network, got a file that cannot be opened"),
        ("answer", r"expected one picture's answer \[1, 4\+classes, anchors\].* got \[1, 37, 84\] with 1 classes"),
        ("answer without pictures", r"expected one picture's answer .* got \[1, 1, 1, 1\]"),
        ("names", r"expected class names in the metadata `names`, such as .*, got no Python literal"),
        ("grey input", r"expected a network with one input \[pictures, 3, height, width\], got inputs `images`"),
        ("byte input", r"expected an input of float32 or float16 values, got uint8"),
        ("four at a time", "expected an input for one picture or any number of them, got one for exactly 4"),
        ("task", "expected a detection network, got one for the task `segment`"),
        ("imgsz", r"expected a metadata entry `imgsz` such as \[640, 640\], got 'large'"),
        ("no such size", "expected a network that runs on one picture of 31 x 33, got"),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as error:
        opened(faulty(tmp_path / "best.onnx", kind))
    assert "best.onnx" in str(error.value)
    assert str(error.value).endswith(REMEDY)
    assert "\n" not in str(error.value)


def test_class_numbers_without_a_name_are_an_error(tmp_path: Path) -> None:
    network = opened(answering(tmp_path / "a.onnx", [[1, 1, 9, 9, 0.9, 5], [0, 0, 0, 0, 0, 0]]))
    with pytest.raises(ModelError, match=r"tiny: expected class numbers 0\.\.0, got 5"):
        network.detect([blank(SIDE, SIDE)], 0.1, 0.7)


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    network = opened(answering(tmp_path / "a.onnx", anchors((8, 8, 16, 16, 0.2, 0.5)), facts={"other": "fact"}))
    assert network.labels == ("0", "1")
    assert network.detect([blank(SIDE, SIDE)], 0.1, 0.7)[0][0].label == "1"
