"""The package realesrgan as a process of another environment: small programs play the good worker, the dying, the hanging and the lying one.

With the real environment (`make test-realesrgan`) its pictures are compared with those of our own adapter.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError, PictureError
from animeset_lib.models.provider import Zoo
from animeset_lib.models.upscalers import realesrgan_package
from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrgan
from animeset_lib.models.upscalers.realesrgan_package import RealEsrganPackage, environment, weights
from animeset_lib.models.weights import Weights, models_folder
from tests.models.drawn import apart, noise, scene, upscaler_parts

ROOT = Path(__file__).parents[3]

posix = pytest.mark.skipif(os.name == "nt", reason="the workers are scripts with a #! line")

HEAD = f"""#!{sys.executable}
import json, os, signal, subprocess, sys, time
def say(head, content=b""):
    os.write(1, (head if isinstance(head, bytes) else json.dumps(head).encode()) + b"\\n")
    sys.stdout.buffer.write(content); sys.stdout.buffer.flush()
def enlarged(number):
    \"\"\"The question read, and its picture four times as large.\"\"\"
    import numpy as np
    size = json.loads(sys.stdin.buffer.readline())
    rgb = np.frombuffer(sys.stdin.buffer.read(size["height"] * size["width"] * 3), np.uint8)
    return rgb.reshape(size["height"], size["width"], 3).repeat(4, 0).repeat(4, 1).tobytes()
open(os.environ["STARTS"], "a").write(f"{{os.getpid()}} {{' '.join(sys.argv[1:])}}\\n")
"""
READY = 'say({"bytes": 0})\n'
SERVE = 'number = 0\nwhile sys.stdin.buffer.peek(1):\n    large = enlarged(number); number += 1\n    say({"bytes": len(large)}, large)\n'

Worker = Callable[..., RealEsrganPackage]


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line per start of a worker: its number and its arguments."""
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANIMESET_REALESRGAN", raising=False)
    return tmp_path / "starts"


@pytest.fixture
def worker(tmp_path: Path, starts: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """An adapter whose Python is a program with this body."""

    def make(body: str, timeout_s: float = 60, tile: int = 64) -> RealEsrganPackage:
        python = tmp_path / ".venv-realesrgan" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(HEAD + body)
        python.chmod(0o755)
        return RealEsrganPackage(upscaler_parts(tmp_path / "w.npz"), ANIMEVIDEO, timeout_s=timeout_s, tile=tile)

    return make


def gone(number: int) -> bool:
    """Whether the process goes within ten seconds (a zombie has gone)."""
    for _ in range(100):
        try:
            if Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


@posix
def test_one_worker_makes_all_pictures_and_ends_with_the_adapter(tmp_path: Path, starts: Path, worker: Worker) -> None:
    upscaler = worker(READY + SERVE)
    assert upscaler.factors == (2, 3, 4)
    assert not starts.exists(), "nothing is started before it is needed"
    for shape in ((5, 7), (90, 70)):
        picture = noise(*shape)[:, ::-1]
        assert np.array_equal(upscaler.upscale(picture, 4), picture.repeat(4, 0).repeat(4, 1))
    flat = np.full((6, 9, 3), (10, 100, 250), np.uint8)
    for factor in (2, 3):
        assert np.array_equal(upscaler.upscale(flat, factor), flat.repeat(factor, 0).repeat(factor, 1))
    with pytest.raises(ModelError, match="not by 7"):
        upscaler.upscale(flat, 7)
    (line,) = starts.read_text().splitlines()
    number, *arguments = line.split()
    script = Path(realesrgan_package.__file__).with_name("realesrgan_worker.py")
    assert arguments == ["-I", str(script), str(tmp_path / "w.npz"), "cpu", "2"]
    del upscaler
    assert gone(int(number))


FAULTS = {
    "dies": (
        "enlarged(0); print('no more', file=sys.stderr); sys.exit(3)",
        "a whole answer, got exit code 3; .*: no more",
    ),
    "is killed": ("enlarged(0); os.kill(os.getpid(), 9)", r"a whole answer, got an end by signal 9 \(SIGKILL\)"),
    "does not read": ("sys.exit(0)", "a whole answer, got exit code 0"),
    "dies within": ("enlarged(0); os.write(1, b'{\"bytes\": 110592}\\nhalf')", "a whole answer, got exit code 0"),
    "garbage": ("enlarged(0); say(b'\\xff' * 3000); time.sleep(600)", "an answer of .* bytes, got b'.xff"),
    "no line": ("enlarged(0); os.write(1, b'x' * 1000000); time.sleep(600)", "an answer of .* bytes, got b'xxx"),
    "deep": ("enlarged(0); say(b'[' * 4000); time.sleep(600)", "an answer of .* bytes, got b'\\[\\["),
    "another size": ("enlarged(0); say({'bytes': 5}, b'12345'); time.sleep(600)", "an answer of 110592 bytes, got b'{"),
    "hangs": ("enlarged(0); time.sleep(600)", "an answer within 3 s, got none and stopped the program"),
    "hangs within": ("enlarged(0); say({'bytes': 110592}); time.sleep(600)", "an answer within 3 s, got none"),
}


@posix
@pytest.mark.parametrize("kind", FAULTS)
def test_a_failure_is_one_sentence_and_the_next_picture_has_a_new_worker(
    tmp_path: Path, starts: Path, worker: Worker, kind: str
) -> None:
    body, words = FAULTS[kind]
    upscaler = worker(
        f"{READY}if len(open(os.environ['STARTS']).readlines()) == 1:\n    {body}\n    sys.exit(0)\n{SERVE}",
        timeout_s=3 if "hangs" in kind else 60,
    )
    picture = noise(8, 8)
    with pytest.raises(PictureError, match=f"^tested: expected {words}") as caught:
        upscaler.upscale(picture, 4)
    assert "\n" not in str(caught.value)
    assert "its last words: " in str(caught.value)
    assert gone(int(starts.read_text().split()[0]))
    upscaler._timeout_s = 60
    assert np.array_equal(upscaler.upscale(picture, 4), picture.repeat(4, 0).repeat(4, 1))
    assert len(starts.read_text().splitlines()) == 2


@posix
def test_an_error_that_the_worker_reports_leaves_it_alive(starts: Path, worker: Worker) -> None:
    upscaler = worker(READY + "enlarged(0); say({'error': 'RuntimeError: no memory'})\n" + SERVE)
    with pytest.raises(PictureError, match=r"^tested failed: RuntimeError: no memory; close other programs"):
        upscaler.upscale(noise(3, 4), 2)
    assert upscaler.upscale(noise(3, 4), 2).shape == (6, 8, 3)
    assert len(starts.read_text().splitlines()) == 1


@posix
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('No module named torch', file=sys.stderr); sys.exit(1)", "got exit code 1; its last words: No module"),
        ("say({'bytes': 7})", "expected an answer of 0 bytes"),
        ("time.sleep(600)", "expected an answer within 2 s"),
    ],
)
def test_a_worker_that_does_not_get_ready_is_the_environments_fault(
    tmp_path: Path, worker: Worker, body: str, words: str
) -> None:
    with pytest.raises(ModelError, match=f"tested does not start with .*{words}.*`make realesrgan`.*w.npz") as caught:
        worker(body, timeout_s=2).upscale(noise(3, 4), 2)
    assert "\n" not in str(caught.value)


@posix
def test_a_python_that_is_none_is_the_environments_fault(tmp_path: Path, worker: Worker) -> None:
    upscaler = worker(READY)
    (tmp_path / ".venv-realesrgan/bin/python").write_bytes(b"\x7fELF no program")
    with pytest.raises(ModelError, match=r"tested does not start with .*`make realesrgan`"):
        upscaler.upscale(noise(3, 4), 2)


def test_the_environment_is_in_this_folder_or_named(
    tmp_path: Path, starts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"expected \.venv-realesrgan in .*`make realesrgan` makes it.*got neither$"):
        environment()
    monkeypatch.setenv("ANIMESET_REALESRGAN", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"got `.*gone`, which is no file$"):
        environment()
    (tmp_path / "named").touch()
    monkeypatch.setenv("ANIMESET_REALESRGAN", str(tmp_path / "named"))
    assert environment() == tmp_path / "named"
    here = tmp_path / ".venv-realesrgan" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    here.parent.mkdir(parents=True)
    here.touch()
    assert environment() == here


def test_the_weights_are_made_once_and_are_part_of_the_digest(
    tmp_path: Path, starts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = Zoo(weights=Weights(tmp_path))
    for name in ("realesrgan", "realesrgan-package-anime"):
        with pytest.raises(ModelError, match=f"the upscaler {name} is not present: .*Get it with: make realesrgan$"):
            zoo.info("upscaler", name)
    monkeypatch.setenv("ANIMESET_REALESRGAN", sys.executable)
    monkeypatch.setenv("ANIMESET_MODELS", str(tmp_path / "models"))
    first = zoo.info("upscaler", "realesrgan").digest
    (file,) = weights(ANIMEVIDEO)
    assert list((tmp_path / "models").rglob("*.*")) == [file]
    assert file.parent == models_folder() / "realesrgan"
    with np.load(file) as state:
        assert state["body.34.weight"].shape == (48, 64, 3, 3)
    changed = file.stat().st_mtime_ns
    assert zoo.info("upscaler", "realesrgan").digest == first
    assert weights(ANIMEVIDEO) == (file,)
    assert file.stat().st_mtime_ns == changed
    file.write_bytes(file.read_bytes() + b"x")
    assert zoo.info("upscaler", "realesrgan").digest != first
    assert weights(X4PLUS_ANIME) != (file,)


def test_auto_never_takes_it(starts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANIMESET_REALESRGAN", sys.executable)
    monkeypatch.setenv("ANIMESET_MODELS", str(tmp_path / "models"))
    rows = [row for row in Zoo(weights=Weights(tmp_path)).overview() if row.spec.task == "upscaler"]
    names = [row.spec.name for row in rows]
    assert {row.spec.name: row.present for row in rows}["realesrgan"]
    assert names.index("realesrgan") > names.index("lanczos"), "which is always present"
    assert names.index("realesrgan-package-anime") > names.index("lanczos")


real = pytest.mark.skipif("ANIMESET_REALESRGAN_TESTS" not in os.environ, reason="make test-realesrgan runs these")


@real
@pytest.mark.parametrize(
    ("network", "factor", "shape"),
    [
        (ANIMEVIDEO, 2, (270, 300)),
        (ANIMEVIDEO, 3, (270, 300)),
        (ANIMEVIDEO, 4, (270, 300)),
        (X4PLUS_ANIME, 4, (60, 140)),
    ],
)
@pytest.mark.parametrize("raw", [False, True], ids=["with colours put back", "raw"])
def test_the_package_makes_the_picture_of_our_adapter(
    network: Network, factor: int, shape: tuple[int, int], raw: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    if raw:
        for module in ("realesrgan_package", "realesrgan"):
            monkeypatch.setattr(f"animeset_lib.models.upscalers.{module}.put_colours_back", lambda large, picture: None)
    picture = scene(*shape)
    package = RealEsrganPackage(upscaler_parts(*weights(network)), network)
    ours = RealEsrgan(upscaler_parts(), network)
    begin = time.perf_counter()
    package.upscale(picture[:9, :9], factor)
    start = time.perf_counter() - begin
    seconds, pictures = [], []
    for upscaler in (package, ours):
        upscaler.upscale(picture[:9, :9], factor)
        begin = time.perf_counter()
        pictures.append(upscaler.upscale(picture, factor))
        seconds.append(time.perf_counter() - begin)
    difference = np.abs(pictures[0].astype(int) - pictures[1])
    print(
        f"\n{network.files[factor]} {shape[1]}x{shape[0]}: at most {difference.max()}, in the mean {difference.mean():.4f}; "
        f"package {seconds[0]:.2f} s (start {start:.1f} s), ours {seconds[1]:.2f} s"
    )
    assert apart(pictures[0], picture.repeat(factor, 0).repeat(factor, 1)) > 50, "the network does something"
    if factor == 4:
        assert difference.max() <= 2
    else:
        # clipped before the picture is reduced, not after it
        assert difference.mean() < 0.5
