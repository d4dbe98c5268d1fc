"""Pictures per second of the ONNX adapters, beside dghs-imgutils asked for one picture at a time: same file, same machine, one run.

    python benchmarks/networks.py [--peer PYTHON] [--device auto] [--pictures 48] [--real FILE]

PYTHON is an interpreter with dghs-imgutils and the same onnxruntime (it wants numpy < 2, hence its own environment). Networks are built here
with the signatures of the real ones and next to no arithmetic, so that what is measured is everything around the network; `--real` takes
a real detection network instead, where the network itself is nearly all of the time. The answers of both sides are compared as well.
Each side runs three times, taking turns; the best counts. Peak memory is this process's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from animeset_demo import iter_demo_frames
from animeset_lib.models.api import ModelInfo, TaggerInput
from animeset_lib.models.detectors.deepghs import IOU_MAX, SCORE_MIN, DeepghsOne
from animeset_lib.models.embedders.ccip import Ccip
from animeset_lib.models.engines.device import choose
from animeset_lib.models.spec import Parts
from animeset_lib.models.taggers.wd import WdTagger

TURNS = 3
TAGS = 10_861


def network(
    path: Path,
    nodes: list[onnx.NodeProto],
    given: tuple[str, list[object]],
    answer: tuple[str, list[object]],
    **facts: str,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1])],
        [helper.make_tensor_value_info(answer[0], TensorProto.FLOAT, answer[1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, facts)
    onnx.save(model, path)
    return path


def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def face(folder: Path) -> Path:
    """8,400 boxes, of which ten faces are answered by ten neighbouring ones each, the same for each picture."""
    rng = np.random.default_rng(0)
    boxes = np.zeros((1, 5, 8400), np.float32)
    boxes[0, :2] = rng.uniform(40, 600, (2, 8400))
    boxes[0, 2:4] = rng.uniform(20, 80, (2, 8400))
    for place in rng.choice(840, 10, replace=False) * 10:
        boxes[0, :4, place : place + 10] = boxes[0, :4, place, None] + rng.uniform(-2, 2, (4, 10))
        boxes[0, 4, place : place + 10] = rng.uniform(0.35, 0.95, 10)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        constant("zero", np.float32(0)),
        constant("shape", np.array([-1, 1, 1], np.int64)),
        constant("boxes", boxes),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "shape"], ["column"]),
        helper.make_node("Add", ["boxes", "column"], ["output0"]),
    ]
    return network(
        folder / "face.onnx",
        nodes,
        ("images", ["N", 3, 640, 640]),
        ("output0", ["N", 5, 8400]),
        names="{0: 'face'}",
        imgsz="[640, 640]",
    )


def means(path: Path, given: str, shape: list[object], axes: tuple[int, int], width: int, answer: str) -> Path:
    """The mean of each channel, times a fixed matrix."""
    # means of 0..255 become scores of 0..1, all but about a hundred of them near 0 as a tagger's are
    matrix = (np.random.default_rng(1).uniform(0, 1, (3, width)) ** 200 * 0.0013).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", [given], ["rows"], axes=[axes[0]], keepdims=0),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[axes[1]], keepdims=0),
        constant("matrix", matrix),
        helper.make_node("MatMul", ["mean", "matrix"], [answer]),
    ]
    return network(path, nodes, (given, shape), (answer, ["N", width]))


def ccip(folder: Path) -> Path:
    for name, value in (("metrics.json", '{"threshold": 0.178475}'),):
        (folder / name).write_text(value, encoding="utf-8")
    nodes = [
        helper.make_node("ReduceL2", ["input"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Div", ["input", "length"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["unit", "turned"], ["cosine"]),
        constant("half", np.float32(-0.5)),
        helper.make_node("Mul", ["cosine", "half"], ["scaled"]),
        constant("middle", np.float32(0.5)),
        helper.make_node("Add", ["scaled", "middle"], ["output"]),
    ]
    network(folder / "metric.onnx", nodes, ("input", ["N", 768]), ("output", ["N", "N"]))
    return means(folder / "ccip.onnx", "input", ["N", 3, 384, 384], (2, 2), 768, "output")


def wd(folder: Path) -> Path:
    """As large a list as the real one's, and its two outputs."""
    folder = folder / "wd"
    folder.mkdir()
    rows = [f"{i},{name},9,0" for i, name in enumerate(("general", "sensitive", "questionable", "explicit"))]
    rows += [f"{i},tag_{i},{0 if i < 8110 else 4},0" for i in range(4, TAGS)]
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n" + "\n".join(rows) + "\n", encoding="utf-8")
    path = means(folder / "wd.onnx", "input", ["N", 448, 448, 3], (1, 1), TAGS, "output")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Identity", ["mean"], ["embedding"]))
    model.graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]))
    onnx.save(model, path)
    return path


def faster(
    work: Callable[[], object], peer: Callable[[], dict[str, object]] | None
) -> tuple[float, object, float | None, object]:
    """(our best seconds, our answer, the peer's best seconds, its answer)."""
    ours, theirs, answer, other = [], [], None, None
    for _ in range(TURNS):
        begin = time.perf_counter()
        answer = work()
        ours.append(time.perf_counter() - begin)
        if peer:
            said = peer()
            theirs.append(float(str(said["seconds"])))
            other = said["answers"]
    return min(ours), answer, min(theirs) if theirs else None, other


def ask_peer(python: str, kind: str, path: Path, shots: Path) -> dict[str, object]:
    command = [python, str(Path(__file__).with_name("imgutils_peer.py")), kind, str(path), str(shots)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    answer: dict[str, object] = json.loads(said)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="interpreter with dghs-imgutils")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--real", type=Path, help="a real detection network of one class")
    given = parser.parse_args()
    device = choose(given.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots = folder / "pictures"
        shots.mkdir()
        pictures = [picture for picture, _ in iter_demo_frames(width=1280, height=720, fps=1, length_s=given.pictures)]
        for i, picture in enumerate(pictures):
            cv2.imwrite(str(shots / f"{i:03}.png"), picture[..., ::-1])

        def parts(*files: Path) -> Parts:
            info = ModelInfo(files[0].stem, "detector", "0", "stand-in", "none", "benchmarks/networks.py")
            return Parts(info, files, device, "build it again")

        inputs = [TaggerInput(picture, "frame", None, ()) for picture in pictures]
        found = given.real or face(folder)
        detector = DeepghsOne(parts(found), "face", SCORE_MIN["face"], IOU_MAX["face"])
        detector.detect(pictures[:3])
        features = ccip(folder)
        embedder = Ccip(parts(features, folder / "metric.onnx", folder / "metrics.json"))
        tags = wd(folder)
        tagger = WdTagger(parts(tags, tags.parent / "selected_tags.csv"))
        cases: list[tuple[str, Path, Callable[[], object], Callable[[object, object], float]]] = [
            ("face", found, lambda: detector.detect(pictures), boxes_apart),
            ("ccip", features, lambda: embedder.embed(pictures), directions_apart),
            ("wd", tags, lambda: tagger.tag(inputs), scores_apart),
        ]
        print(f"{len(pictures)} pictures of 1280x720, {device.words}; best of {TURNS}")
        print("| network | ours, pictures/s | imgutils, pictures/s | ratio | largest difference of the answers |")
        print("|---|---|---|---|---|")
        for kind, path, work, apart in cases:
            peer = partial(ask_peer, given.peer, kind, path, shots) if given.peer else None
            ours, answer, theirs, other = faster(work, peer)
            n = len(pictures)
            beside = f"{n / theirs:.1f} | {theirs / ours:.2f} | {apart(answer, other):.2g}" if theirs else "- | - | -"
            print(f"| {kind} | {n / ours:.1f} | {beside} |", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def boxes_apart(ours: object, theirs: object) -> float:
    """Largest difference of a corner in px between the same boxes; infinite when there are not the same number above the threshold."""
    worst = 0.0
    for detections, others in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
        used = [d for d in detections if d.score > SCORE_MIN["face"]]
        if len(used) != len(others):
            return float("inf")
        mine = np.array(sorted([*d.box.xyxy, d.score] for d in used)).reshape(-1, 5)
        worst = max(worst, float(np.abs(mine - np.array(sorted(others)).reshape(-1, 5)).max(initial=0)))
    return worst


def directions_apart(ours: object, theirs: object) -> float:
    """Largest difference of a value of the unit vectors."""
    other = np.array(theirs)
    return float(np.abs(np.asarray(ours) - other / np.linalg.norm(other, axis=1, keepdims=True)).max())


def scores_apart(ours: object, theirs: object) -> float:
    """Largest difference of a score; a tag that one side does not tell counts whole."""
    worst = 0.0
    for tags, other in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
        mine = {**tags.general, **tags.character, **tags.rating}
        for name in mine.keys() | other.keys():
            worst = max(worst, abs(mine.get(name, 0.0) - other.get(name, 0.0)))
    return worst


if __name__ == "__main__":
    main()
