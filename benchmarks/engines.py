"""Every kind of network in our engine beside onnxruntime asked for one picture at a time, and what 16 bits change: one run, as ratios.

    python benchmarks/engines.py [--turns 5] [--precision exact] [--only NAME]

The shipped networks and Real-ESRGAN are the real ones. The taggers and CCIP are downloads, so a network of the shape of WD ViT-B/16 stands for
them, with random weights. Both sides take turns and use all cores; the medians of the ratios are told, of wall time and of CPU time. Where the
processor does not compute in 16 bits, what they would change is found by rounding each result of each operation to bf16 in onnxruntime.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from animeset_demo import iter_demo_frames
from animeset_lib.models.api import ModelInfo
from animeset_lib.models.engines.device import choose
from animeset_lib.models.engines.onnx import engine_of, open_network, shipped
from animeset_lib.models.engines.onnxruntime_engine import OnnxRuntime
from animeset_lib.models.engines.openvino_core import has_bf16
from animeset_lib.models.spec import Inference, Parts
from animeset_lib.models.upscalers import realesrgan_onnx
from animeset_lib.models.upscalers.ncnn_weights import state_dict
from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO, X4PLUS_ANIME
from animeset_lib.models.zoo import MODELS

WIDTH, BLOCKS, HEADS, PATCH, SIDE = 768, 12, 12, 16, 448
"""ViT-B/16 at 448 px, as wd-vit-tagger-v3."""


@dataclass(frozen=True)
class Case:
    name: str
    path: Path
    batch: np.ndarray[Any, Any]
    inference: Inference
    apart: Callable[[list[Any], list[Any]], str]


def vit(path: Path) -> Path:
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def constant(value: Any, kind: type = np.float32) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value, kind), f"w{len(weights)}"))
        return str(weights[-1].name)

    def add(kind: str, *inputs: str, **settings: Any) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [f"{kind}{len(nodes)}"], **settings))
        return str(nodes[-1].output[0])

    def linear(given: str, before: int, after: int) -> str:
        matrix = rng.normal(0, before**-0.5, (before, after))
        return add("Add", add("MatMul", given, constant(matrix)), constant(np.zeros(after)))

    def normed(given: str) -> str:
        return add("LayerNormalization", given, constant(np.ones(WIDTH)), constant(np.zeros(WIDTH)), axis=-1)

    def heads(given: str, *order: int) -> str:
        split = add("Reshape", given, constant([0, -1, HEADS, WIDTH // HEADS], np.int64))
        return add("Transpose", split, perm=order)

    picture = add("Mul", add("Transpose", "input", perm=[0, 3, 1, 2]), constant(1 / 255))
    filters = constant(rng.normal(0, (3 * PATCH**2) ** -0.5, (WIDTH, 3, PATCH, PATCH)))
    patches = add("Conv", picture, filters, strides=[PATCH, PATCH])
    inner = add("Transpose", add("Reshape", patches, constant([0, WIDTH, -1], np.int64)), perm=[0, 2, 1])
    for _ in range(BLOCKS):
        seen = normed(inner)
        query, value = (heads(linear(seen, WIDTH, WIDTH), 0, 2, 1, 3) for _ in range(2))
        key = heads(linear(seen, WIDTH, WIDTH), 0, 2, 3, 1)
        likeness = add("Mul", add("MatMul", query, key), constant((WIDTH / HEADS) ** -0.5))
        mixed = add("Transpose", add("MatMul", add("Softmax", likeness, axis=-1), value), perm=[0, 2, 1, 3])
        joined = add("Reshape", mixed, constant([0, -1, WIDTH], np.int64))
        inner = add("Add", inner, linear(joined, WIDTH, WIDTH))
        wide = linear(normed(inner), WIDTH, 4 * WIDTH)
        gate = add("Erf", add("Mul", wide, constant(0.5**0.5)))
        gelu = add("Mul", add("Mul", wide, constant(0.5)), add("Add", gate, constant(1)))
        inner = add("Add", inner, linear(gelu, 4 * WIDTH, WIDTH))
    whole = add("ReduceMean", normed(inner), axes=[1], keepdims=0)
    nodes.append(helper.make_node("Sigmoid", [linear(whole, WIDTH, 10_861)], ["output"]))
    graph = helper.make_graph(
        nodes,
        "ViT-B/16",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", 10_861])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def psnr(one: list[Any], other: list[Any]) -> str:
    error = (one[0].clip(0, 1) - other[0].clip(0, 1)).astype(float) * 255
    return f"{10 * np.log10(255**2 / max((error**2).mean(), 1e-12)):.1f} dB, at most {np.abs(error).max():.2f}/255"


def cosine(one: list[Any], other: list[Any]) -> str:
    rows = (one[0] * other[0]).sum(1) / np.linalg.norm(one[0], axis=1) / np.linalg.norm(other[0], axis=1)
    return f"least cosine {rows.min():.6f}"


def largest(one: list[Any], other: list[Any]) -> str:
    return "at most " + ", ".join(f"{np.abs(a.astype(float) - b).max():.2g}" for a, b in zip(one, other, strict=True))


def cases(folder: Path) -> Iterator[Case]:
    known = {spec.name: spec.inference or Inference() for spec in MODELS}
    frame = next(picture for picture, _ in iter_demo_frames(width=1280, height=720, fps=1, length_s=9))
    small = np.zeros((1, 352, 640, 3), np.uint8)
    small[0] = cv2.resize(frame, (640, 352), interpolation=cv2.INTER_AREA)
    yield Case("animeset-face", *shipped("animeset-face"), small, known["animeset-face"], largest)
    crops = [frame[y : y + 256, x : x + 256] for y in (0, 150, 300, 450) for x in (100, 400, 700, 1000)]
    heads = np.stack([cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA) for crop in crops])
    yield Case("animeset-identity", *shipped("animeset-identity"), heads, known["animeset-identity"], cosine)
    planes = np.ascontiguousarray(frame[None, 200:496, 400:696].transpose(0, 3, 1, 2), np.float32) / 255
    for name, network in (("realesr-animevideov3", ANIMEVIDEO), ("realesrgan-x4plus-anime", X4PLUS_ANIME)):
        param = next(path for path in network.weights() if path.name == f"{network.files[4]}.param")
        state = state_dict(param)
        content = realesrgan_onnx.compact(state, 4, 20) if network.compact else realesrgan_onnx.rrdb_body(state)
        (folder / f"{name}.onnx").write_bytes(content)
        given = planes if network.compact else planes[..., :168, :168]
        yield Case(name, folder / f"{name}.onnx", given, known[name], psnr if network.compact else cosine)
    large = cv2.resize(frame[:, 280:1000], (SIDE, SIDE)).astype(np.float32)[None]
    yield Case("ViT-B/16, random", vit(folder / "vit.onnx"), large, known["wd-vit-tagger-v3"], largest)


def rounded(path: Path, batch: Any) -> list[Any]:
    """The answers when every weight and every result is rounded to 16 bits, as a processor does that computes in bf16 and adds up in 32 bits."""
    model = onnx.load(path)
    graph = onnx.shape_inference.infer_shapes(model).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    kinds |= {weight.name: weight.data_type for weight in graph.initializer}
    nodes, named = [], {}

    def narrow(name: str) -> None:
        nodes.append(helper.make_node("Cast", [name], [f"{name}/16"], to=TensorProto.BFLOAT16))
        nodes.append(helper.make_node("Cast", [f"{name}/16"], [f"{name}/32"], to=TensorProto.FLOAT))
        named[name] = f"{name}/32"

    answers = {value.name for value in graph.output}
    exact = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and len(weight.dims) > 1 and weight.name not in exact:
            narrow(weight.name)
    for node in graph.node:
        node.input[:] = [named.get(name, name) for name in node.input]
        nodes.append(node)
        for name in node.output:
            if kinds.get(name) == TensorProto.FLOAT and name not in answers and node.op_type != "Constant":
                narrow(name)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = [session.run(None, {session.get_inputs()[0].name: batch[i : i + 1]}) for i in range(len(batch))]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def spent(work: Callable[[], Any]) -> tuple[float, float]:
    time.sleep(0.2)  # onnxruntime's threads go on spinning for a while, at the cost of who comes next
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--precision", choices=("auto", "exact"), default="auto")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    device = choose("cpu", precision=given.precision)
    print(f"{device.words}; bf16 {'in the processor' if has_bf16() else 'emulated'}; medians of {given.turns} turns")
    print(
        "| network | runs in | onnxruntime, CPU s | ours, CPU s | ratio, CPU | ratio, wall | exact to onnxruntime | bf16 to exact |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder)):
            if given.only not in case.name:
                continue

            def parts(inference: Inference, case: Case = case) -> Parts:
                info = ModelInfo(case.name, "detector", "0", "", "", "")
                return Parts(info, (case.path,), device, "", inference)

            ours, theirs = open_network(case.path, parts(case.inference)), OnnxRuntime(case.path, device)
            rows = [case.batch[i : i + 1] for i in range(len(case.batch))]

            def one_by_one(rows: Any = rows, theirs: Any = theirs) -> list[Any]:
                return [np.concatenate(part) for part in zip(*(theirs.run(row) for row in rows), strict=True)]

            expected = one_by_one()
            ours.each(case.batch)
            turns = [(spent(one_by_one), spent(lambda: ours.each(case.batch))) for _ in range(given.turns)]  # noqa: B023
            exact = open_network(case.path, parts(Inference()))
            found = [np.concatenate(part) for part in zip(*(exact.run(row) for row in rows), strict=True)]
            if has_bf16():
                fast = open_network(case.path, parts(Inference("fast")))
                other = [np.concatenate(part) for part in zip(*(fast.run(row) for row in rows), strict=True)]
            else:
                other = rounded(case.path, case.batch)
            print(
                f"| {case.name} | {engine_of(device, case.inference)} | {median(a[1] for a, _ in turns):.3f} "
                f"| {median(b[1] for _, b in turns):.3f} | {median(a[1] / b[1] for a, b in turns):.2f} "
                f"| {median(a[0] / b[0] for a, b in turns):.2f} | {case.apart(found, expected)} | {case.apart(other, found)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
