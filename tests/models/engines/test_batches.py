"""Batches with preparation ahead, and what happens when memory runs out."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.engines import device
from animeset_lib.models.engines.batches import Batches
from animeset_lib.models.engines.device import Card, Device, choose, idle, is_out_of_memory
from animeset_lib.prefetch import ahead, in_groups


def test_order_is_kept_and_little_lies_ready() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def slow_first(item: int) -> int:
        with lock:
            begun.append(item)
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * 10

    results = ahead(slow_first, range(20), threads=4, room=3)
    for number, result in enumerate(results):
        assert result == number * 10
        assert len(begun) <= number + 1 + 3
    assert sorted(begun) == list(range(20))


def test_an_error_comes_where_its_result_would() -> None:
    def fails_at_two(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    results = ahead(fails_at_two, range(5), threads=2, room=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_groups_ask_for_their_size_each_time() -> None:
    sizes = iter([3, 2, 2, 2])
    assert list(in_groups(range(7), lambda: next(sizes))) == [[0, 1, 2], [3, 4], [5, 6]]


class Card8:
    """A network that has room for `fits` pictures at a time."""

    def __init__(self, fits: int, error: Exception) -> None:
        self.fits, self.error, self.sizes = fits, error, []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.sizes.append(len(batch))
        if len(batch) > self.fits:
            raise self.error
        return batch * 2


CUDA = RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")


def test_memory_halves_the_batch_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    network = Card8(3, CUDA)
    batches = Batches("tiny", 16, threads=2)
    with caplog.at_level(logging.WARNING, "animeset"):
        answers = list(batches.run(list(range(40)), lambda i: np.array([i]), network))
    assert np.concatenate(answers).tolist() == [2 * i for i in range(40)]
    assert batches.size == 2
    assert [record.getMessage() for record in caplog.records] == [
        "tiny: memory ran out with 16 pictures at a time; going on with 8",
        "tiny: memory ran out with 8 pictures at a time; going on with 4",
        "tiny: memory ran out with 4 pictures at a time; going on with 2",
    ]
    network.sizes.clear()
    list(batches.run(list(range(6)), lambda i: np.array([i]), network))
    assert network.sizes == [2, 2, 2], "what fits is remembered"


def test_one_picture_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"tiny does not fit into memory even with one picture.*--device cpu"):
        list(Batches("tiny", 4, 1).run([1, 2], lambda i: np.array([i]), Card8(0, MemoryError())))


def test_other_errors_are_not_taken_for_want_of_memory() -> None:
    network = Card8(0, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        list(Batches("tiny", 4, 1).run([1, 2], lambda i: np.array([i]), network))
    assert network.sizes == [2]


def test_a_network_that_answers_for_one_only_is_said() -> None:
    with pytest.raises(ModelError, match="expected one answer each"):
        list(Batches("tiny", 4, 1).run([1, 2], lambda i: np.array([i]), lambda batch: batch[:1]))
    assert list(Batches("tiny", 4, 1).run([], lambda i: np.array([i]), lambda batch: batch)) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (CUDA, True),
        (
            RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 9"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), True),
        (
            RuntimeError("Check 'ptr' failed at cpu_memory.cpp:257:\nFailed to allocate 8589934588 bytes of memory"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("Non-zero status code returned: bad allocation"), True),
        (ValueError("out of memory"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_want_of_memory_is_recognised(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_real_want_of_memory_is_recognised() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50, dtype=torch.float32)
    assert is_out_of_memory(raised.value)
    with pytest.raises(MemoryError) as plain:
        np.zeros(2**50, np.float32)
    assert is_out_of_memory(plain.value)


def test_onnxruntimes_want_of_memory_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that makes a row of 2^50 values out of one pixel. (OpenVINO would begin to fill the memory; what it says is above.)"""
    helper = pytest.importorskip("onnx.helper")
    from animeset_lib.models.engines import onnx as onnx_file
    from animeset_lib.models.engines.onnx import open_network
    from tests.models.tiny import constant, parts, save

    nodes = [constant("shape", [1, 2**50], np.int64), helper.make_node("Expand", ["x", "shape"], ["y"])]
    path = save(tmp_path / "huge.onnx", nodes, ("x", ["N", 1]), ("y", ["N", 2**50]))
    monkeypatch.setattr(onnx_file, "missing", lambda: "a test does without it")
    network = open_network(path, parts(path))
    with pytest.raises(ModelError, match="does not fit into memory"):
        list(Batches("huge", 1, 1).run([0.0], lambda value: np.array([value], np.float32), network.each))


def test_device_is_the_card_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cards", lambda: ())
    assert choose("auto", 3) == Device(threads=3)
    assert choose("cpu").kind == "cpu"
    with pytest.raises(
        ModelError, match=r"device cuda was asked for, but the NVIDIA driver shows no card; use --device auto"
    ):
        choose("cuda")
    monkeypatch.setattr(device, "cards", lambda: (Card(0, "Tiny 1", 2**33), Card(1, "Tiny 2", 2**33)))
    assert choose("auto", 2) == choose("cuda", 2) == Device("cuda", 0, 2, "Tiny 1")
    assert choose("cuda:1", 2).torch == "cuda:1"
    with pytest.raises(ModelError, match=r"shows cuda:0 \(Tiny 1\), cuda:1 \(Tiny 2\)"):
        choose("cuda:7")
    for wrong in ("gpu", "cuda:x", "cpu:1", ""):
        with pytest.raises(ModelError, match="expected auto, cpu, cuda or cuda:<number>"):
            choose(wrong)


def test_a_card_that_lies_idle_is_said_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device("cuda", 0, 2, "Tiny")
    monkeypatch.setattr(device, "_onnx_has_cuda", lambda: False)
    monkeypatch.setattr(device, "_torch_cards", lambda: 0)
    sentences = idle(card)
    assert "cuda:0 (Tiny) is there, but this onnxruntime is the processor build" in sentences[0]
    assert "pip install 'onnxruntime-gpu" in sentences[0]
    assert not device.onnx_uses(card)
    assert idle(Device()) == []
    monkeypatch.setattr(device, "_onnx_has_cuda", lambda: True)
    monkeypatch.setattr(device, "_torch_cards", lambda: 1)
    assert idle(card) == []
    assert device.onnx_uses(card)
    assert device.torch_uses(card)
    assert not device.torch_uses(Device("cuda", 1, 2, "Other"))
