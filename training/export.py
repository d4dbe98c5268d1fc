"""From trained weights to the shipped ONNX files: `python -m training.export face|identity --weights FILE --out FILE`.

Norms are folded into convolutions, large weights are stored as 8-bit integers with a scale per output channel and turned back into
floats inside the file (`Cast`, `Mul`: onnxruntime does that once, while it loads), so the arithmetic stays 32-bit. The file is checked
against torch before it is written: the same pictures, once with the stored weights (must agree to rounding) and once with the original
ones (says what 8 bits cost).
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.backbone import FoldedConv
from training.face_net import ExportedFaceNet, FaceNet
from training.heads import SIDE_PX
from training.identity_net import ExportedIdentityNet, IdentityNet

HERE = Path(__file__).parent
OPSET = 18
_SMALLEST = 1024  # arrays below this many values stay floats: biases and the first filters cost nothing and matter most


def fold(module: nn.Module) -> nn.Module:
    """The same network in evaluation form, of plain convolutions; `module` itself is changed and returned."""
    for name, child in module.named_children():
        if isinstance(child, FoldedConv):
            conv = nn.Conv2d(
                child.weight.shape[1] * child.groups,
                child.weight.shape[0],
                child.weight.shape[2],
                child.stride,
                child.padding,
                groups=child.groups,
            )
            conv.weight.data.copy_(child.weight * child.scale[:, None, None, None])
            assert conv.bias is not None
            conv.bias.data.copy_(child.bias)
            setattr(module, name, nn.Sequential(conv, nn.ReLU6()) if child.relu else conv)
        elif isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            setattr(module, name, nn.Sequential(fuse_conv_bn_eval(child[0].eval(), child[1].eval()), *list(child)[2:]))
        else:
            fold(child)
    return module.eval()


def quantise(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(values -127..127, scale per first axis); values * scale is the nearest to `weight` on that grid."""
    flat = weight.reshape(len(weight), -1)
    scale = np.abs(flat).max(axis=1) / 127
    scale[scale == 0] = 1
    values = np.rint(flat / scale[:, None]).astype(np.int8).reshape(weight.shape)
    return values, scale.reshape(-1, *[1] * (weight.ndim - 1)).astype(np.float32)


def round_weights(module: nn.Module) -> nn.Module:
    """Replace large weights by their 8-bit values, in place, so that torch computes what the file will."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear) and part.weight.numel() >= _SMALLEST:
                values, scale = quantise(part.weight.numpy())
                part.weight.copy_(torch.from_numpy(values * scale))
    return module


def store_bytes(model: onnx.ModelProto) -> None:
    """Store every large weight of a convolution or matrix product as 8-bit integers, in place."""
    graph = model.graph
    used = {name for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul") for name in node.input}
    unpacking = []
    for tensor in [t for t in graph.initializer if t.name in used and t.data_type == TensorProto.FLOAT]:
        weight = numpy_helper.to_array(tensor)
        if weight.size < _SMALLEST:
            continue
        values, scale = quantise(weight)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(values, f"{tensor.name}/int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{tensor.name}/scale"))
        unpacking.append(
            helper.make_node("Cast", [f"{tensor.name}/int8"], [f"{tensor.name}/float"], to=TensorProto.FLOAT)
        )
        unpacking.append(helper.make_node("Mul", [f"{tensor.name}/float", f"{tensor.name}/scale"], [tensor.name]))
    nodes = [*unpacking, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def write(
    module: nn.Module,
    example: torch.Tensor,
    names: tuple[list[str], list[str]],
    dynamic: Any,
    facts: dict[str, Any],
    out: Path,
) -> None:
    """Trace `module`, pack its weights, check the file against torch, and only then put it in place."""
    module = round_weights(module.eval())
    partial = out.with_suffix(".partial")
    torch.onnx.export(
        module,
        (example,),
        partial,
        input_names=names[0],
        output_names=names[1],
        dynamic_shapes=dynamic,
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        optimize=True,
        verbose=False,
    )
    model = onnx.load(partial)
    # The exporter notes where in the source each node came from: paths of the machine it ran on.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:], model.functions[:]
    del model.graph.value_info[:]
    store_bytes(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, partial)
    session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])
    worst = 0.0
    for shape in ((1, *example.shape[1:]), (3, *example.shape[1:])) + (((2, 96, 224, 3),) if dynamic[0].get(1) else ()):
        pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
        with torch.no_grad():
            wanted = module(pictures)
        got = session.run(None, {names[0][0]: pictures.numpy()})
        for a, b in zip(wanted if isinstance(wanted, tuple) else (wanted,), got, strict=True):
            # Peaks may differ where two neighbours are equal to rounding, so scores are compared by their largest.
            worst = max(worst, float(np.abs(a.numpy() - b).max() / (1 + np.abs(b).max())))
    if worst > 1e-3:
        raise SystemExit(f"{partial} differs from torch by {worst:.2g}; not written")
    partial.replace(out)
    set_facts(out, **facts)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, differs from torch by at most {worst:.1g} of the largest value")


def set_facts(path: Path, **facts: Any) -> None:
    """Keep facts about the network in its file, as JSON; adapters read their thresholds there."""
    model = onnx.load(path)
    kept = {entry.key: entry.value for entry in model.metadata_props} | {
        k: json.dumps(v, sort_keys=True) for k, v in facts.items()
    }
    del model.metadata_props[:]
    for key in sorted(kept):
        model.metadata_props.add(key=key, value=kept[key])
    partial = path.with_suffix(".partial")
    onnx.save(model, partial)
    partial.replace(path)


def load_face(weights: Path, recipe: dict[str, Any]) -> FaceNet:
    """The trained detector in evaluation form."""
    net = FaceNet(recipe["width"])
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()


def load_identity(weights: Path, recipe: dict[str, Any]) -> IdentityNet:
    """The trained embedder in evaluation form."""
    net = IdentityNet(recipe["dim"])
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("face", "identity"))
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.manual_seed(0)
    recipe = tomllib.loads((given.recipe or HERE / f"{given.model}.toml").read_text())
    batch = torch.export.Dim("batch", min=1, max=4096)
    if given.model == "face":
        rows, columns = (torch.export.Dim(n, min=1, max=512) for n in ("rows", "columns"))
        module: nn.Module = ExportedFaceNet(fold(load_face(given.weights, recipe)))  # type: ignore[arg-type]
        example, names = torch.zeros(2, 128, 160, 3, dtype=torch.uint8), (["images"], ["scores", "boxes"])
        dynamic: Any = ({0: batch, 1: 32 * rows, 2: 32 * columns},)
        # Until the evaluation has chosen them (`--keep`), thresholds say "nothing is known".
        facts = {"recipe": recipe, "score_min": 0.5}
    else:
        module = ExportedIdentityNet(fold(load_identity(given.weights, recipe)))  # type: ignore[arg-type]
        example, names = torch.zeros(2, SIDE_PX, SIDE_PX, 3, dtype=torch.uint8), (["heads"], ["vectors"])
        dynamic = ({0: batch},)
        facts = {"recipe": recipe, "same_distance": 0.5}
    write(module, example, names, dynamic, facts, given.out)


if __name__ == "__main__":
    main()
