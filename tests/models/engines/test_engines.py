"""One network in every engine that is here, what happens where one is not, and how precision is chosen and told."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from animeset_lib.errors import ModelError
from animeset_lib.models.engines import device as device_file
from animeset_lib.models.engines import onnx as onnx_file
from animeset_lib.models.engines import openvino_engine
from animeset_lib.models.engines.device import Device, choose
from animeset_lib.models.engines.onnx import Network, engine_of, open_network
from animeset_lib.models.engines.onnxruntime_engine import OnnxRuntime
from animeset_lib.models.engines.openvino_engine import OpenVino
from animeset_lib.models.provider import Zoo
from animeset_lib.models.spec import Inference, ModelSpec
from tests.models.tiny import constant, parts, save

FAST = Inference("fast")
WIDE = np.random.default_rng(2).normal(0, 0.1, (8, 3, 3, 3)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A convolution and a mean, for pictures of any size and number, with two facts."""
    nodes = [
        constant("w", WIDE),
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("ReduceMean", ["r"], ["y"], axes=[2, 3], keepdims=0),
    ]
    facts = {"score_min": "0.25", "names": "{0: 'Gesicht äöü 顔'}"}
    return save(tmp_path / "net.onnx", nodes, ("x", ["N", 3, "H", "W"]), ("y", ["N", 8]), facts)


def pictures(count: int, height: int = 40, width: int = 56) -> Any:
    return np.random.default_rng(count).random((count, 3, height, width), np.float32)


def engine(network: Network) -> type:
    return type(network._engine)


def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "missing", lambda: "OpenVINO cannot be imported (no wheel)")
    onnx_file._say_missing.cache_clear()


def test_both_engines_agree_and_tell_the_same_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = open_network(path, parts(path), "N3HW")
    assert engine(ours) is OpenVino
    without_openvino(monkeypatch)
    theirs = open_network(path, parts(path), "N3HW")
    assert engine(theirs) is OnnxRuntime
    assert ours.facts == theirs.facts == {"score_min": "0.25", "names": "{0: 'Gesicht äöü 顔'}"}
    assert ours.shape == theirs.shape == (None, 3, None, None)
    assert ours.answer[1] == theirs.answer[1] == 8
    assert ours.kind == theirs.kind == "float32"
    # more shapes than are kept
    for count, height in ((1, 40), (3, 40), (1, 41), (2, 9), (5, 12), (1, 40)):
        batch = pictures(count, height)
        assert np.allclose(ours.run(batch)[0], theirs.run(batch)[0], atol=1e-6)
        assert np.allclose(ours.each(batch), theirs.each(batch), atol=1e-6)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_rows_are_those_of_single_pictures_in_order_and_the_same_again(path: Path, side_by_side: bool) -> None:
    network = open_network(path, replace(parts(path), inference=Inference(side_by_side=side_by_side)))
    batch = pictures(7)
    rows = network.each(batch)
    assert np.array_equal(rows, np.concatenate([network.each(batch[i : i + 1]) for i in range(7)]))
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(rows, other) for other in pool.map(lambda _: network.each(batch), range(6)))


def test_a_missing_openvino_is_said_once_with_the_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_openvino(monkeypatch)
    with caplog.at_level(logging.WARNING, "animeset"):
        for _ in range(3):
            open_network(path, parts(path)).run(pictures(1))
    assert [record.getMessage() for record in caplog.records] == [
        "networks run in onnxruntime, exactly and on many processors slower: OpenVINO cannot be imported (no wheel)"
    ]
    assert engine_of(Device(), FAST) == "onnxruntime f32"


@pytest.mark.parametrize("when", ["read_model", "compile_model"])
def test_a_network_that_openvino_refuses_runs_in_onnxruntime_and_says_so_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    expected = open_network(path, parts(path)).run(pictures(2))[0]

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            if name == when:
                raise RuntimeError("found in ops.cpp:7\nno such operation\n")
            return getattr(real, name)

    real = openvino_engine.core()
    monkeypatch.setattr(openvino_engine, "core", Refusing)
    with caplog.at_level(logging.WARNING, "animeset"):
        network = open_network(path, parts(path))
        for _ in range(3):
            assert np.allclose(network.run(pictures(2))[0], expected, atol=1e-6)
    assert [record.getMessage() for record in caplog.records] == [
        "net.onnx runs in onnxruntime: OpenVINO refuses it (no such operation)"
    ]


def test_what_no_engine_can_run_is_no_reason_to_change_it(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network = open_network(path, parts(path))
    with pytest.raises(InvalidArgument, match="invalid dimensions"):
        network.run(np.zeros((1, 5, 8, 8), np.float32))
    assert engine(network) is OpenVino
    assert caplog.records == []


@pytest.fixture
def bf16(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A processor that computes in 16 bits; what networks are compiled with, which is then done without."""
    wishes: list[dict[str, Any]] = []

    class Recording:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def compile_model(self, model: Any, where: str, asked: dict[str, Any]) -> Any:
            wishes.append({"where": where, **asked})
            return real.compile_model(model, "CPU", {**asked, "INFERENCE_PRECISION_HINT": "f32"})

    real = openvino_engine.core()
    monkeypatch.setattr(openvino_engine, "core", Recording)
    monkeypatch.setattr(onnx_file, "has_bf16", lambda: True)
    return wishes


@pytest.mark.parametrize(
    ("inference", "device", "expected"),
    [
        (FAST, Device(), "bf16"),
        (Inference("exact"), Device(), "f32"),
        (FAST, Device(precision="exact"), "f32"),
        (FAST, Device("intel"), "f32"),
    ],
)
def test_sixteen_bits_only_where_entry_and_person_allow_it(
    path: Path, bf16: list[dict[str, Any]], inference: Inference, device: Device, expected: str
) -> None:
    open_network(path, replace(parts(path), device=device, inference=inference)).run(pictures(1))
    assert [wish["INFERENCE_PRECISION_HINT"] for wish in bf16] == [expected]
    assert bf16[0]["where"] == ("GPU" if device.kind == "intel" else "CPU")
    assert engine_of(device, inference) == f"OpenVINO {expected}"


def test_a_processor_without_sixteen_bits_runs_exactly(
    path: Path, bf16: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "has_bf16", lambda: False)
    open_network(path, replace(parts(path), inference=FAST))
    assert [wish["INFERENCE_PRECISION_HINT"] for wish in bf16] == ["f32"]
    assert engine_of(Device(), FAST) == "OpenVINO f32"


def test_a_network_is_compiled_once_whatever_is_shown_to_it(path: Path, bf16: list[dict[str, Any]]) -> None:
    network = open_network(path, parts(path))
    for height in range(8, 12):
        network.run(pictures(1, height))
    assert len(bf16) == 1


def test_precision_and_nothing_else_about_the_engine_is_part_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec(
        task="tagger",
        name="tiny",
        load=lambda parts: None,  # type: ignore[arg-type, return-value]
        version="1",
        licence="none",
        source="a test",
        rung="a test",
        signature="",
        inference=FAST,
    )

    def told(device: Device, **changed: Any) -> tuple[str, str]:
        info = Zoo([replace(spec, **changed)], (), device=device).info("tagger", "tiny")
        return info.digest, info.engine

    monkeypatch.setattr(onnx_file, "has_bf16", lambda: False)
    exact, engine = told(Device())
    assert engine == "OpenVINO f32"
    monkeypatch.setattr(onnx_file, "has_bf16", lambda: True)
    fast, engine = told(Device())
    assert engine == "OpenVINO bf16"
    assert fast != exact
    assert told(Device(precision="exact")) == (exact, "OpenVINO f32")
    assert told(Device(), inference=Inference()) == (exact, "OpenVINO f32")
    assert told(Device(), inference=None) == (exact, "")
    without_openvino(monkeypatch)
    assert told(Device()) == (exact, "onnxruntime f32")


def test_graphics_beside_the_processor_are_taken_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_file, "cards", lambda: ())
    own = {"apple": "", "intel": ""}
    monkeypatch.setattr(device_file, "_GRAPHICS", {kind: lambda kind=kind: own[kind] for kind in own})
    for asked in ("apple", "intel"):
        with pytest.raises(ModelError, match=f"device {asked} was asked for, but .* finds no such graphics"):
            choose(asked)
    assert choose("auto").kind == "cpu"
    own["intel"] = "Iris"
    assert choose("auto", 2) == choose("intel", 2) == Device("intel", threads=2, name="Iris")
    assert choose("auto").words == "intel (Iris)"
    assert choose("auto").torch == "cpu"
    assert choose("cpu", precision="exact").precision == "exact"


def test_importing_openvino_tells_nobody(path: Path) -> None:
    """Its converter reports each import to Google Analytics."""
    code = (
        "import sys\n"
        "import animeset_lib.models.provider\n"
        "assert 'openvino' not in sys.modules, 'imported before it is needed'\n"
        "from animeset_lib.models.engines.openvino_core import missing\n"
        "assert missing() == ''\n"
        "print(sorted(name for name in sys.modules if 'telemetry' in name or name.startswith('openvino.tools')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() in ("[]", "['openvino.tools']")


def test_half_numbers_and_bytes_are_told_by_numpys_names(tmp_path: Path) -> None:
    for kind, name in ((TensorProto.FLOAT16, "float16"), (TensorProto.UINT8, "uint8")):
        nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
        path = save(tmp_path / f"{name}.onnx", nodes, ("x", ["N", 4]), ("y", ["N", 4]), kind=kind)
        network = open_network(path, parts(path), "ND")
        assert network.kind == name
        assert network.run(np.ones((2, 4), name))[0].tolist() == [[1.0] * 4] * 2
