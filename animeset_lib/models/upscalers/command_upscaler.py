"""Any external program as an upscaler, by a template of its command line: Topaz, upscayl-bin, waifu2x, realesrgan-ncnn-vulkan, a script.

    upscayl-bin -i {input} -o {output} -s {factor}
    x4 waifu2x-caffe -i {input} -o {output}

{input} and {output} are PNG files in a folder that is made for one picture and removed after it; {factor} is 2, 3 or 4; {width} and {height} are
the size that is wanted. Words are split as a shell would (quotes hold words with spaces together), but no shell runs: only then are the places
filled, so whatever a name holds, it stays one word. A template that tells the program neither factor nor size begins with what the program
always does: x2, x3, x4, ...
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.errors import ModelError, PictureError
from animeset_lib.models.api import Picture
from animeset_lib.models.engines.child_process import Tail, how_it_ended
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.tiling import check_factor
from animeset_lib.system import end_tree, own_session, sha256_of, split_command

__all__ = ["VERSION", "CommandUpscaler", "digest"]

VERSION = "1"
_FACTORS = (2, 3, 4)
_PLACES = ("input", "output", "factor", "width", "height")
_PLACE = re.compile(r"\{([^{}]*)\}")
_TIMEOUT_S = 15 * 60.0
_NULL = subprocess.DEVNULL


@dataclass(frozen=True)
class _Command:
    """A template that was found good. `most`: the factor of its `x4`, None without one."""

    program: Path
    words: tuple[str, ...]
    most: int | None


class CommandUpscaler:
    """An `Upscaler`.

    factors    2, 3 and 4; with `x4` before the template, those up to it.
    timeout_s  how long the program may take for one picture; then it is killed with everything that it started.

    The program may enlarge more than asked (many only know 4x): a larger whole multiple of the picture is reduced by averaging areas. Greyscale,
    16-bit and transparent answers become 8-bit RGB on white. Raises `ModelError` for a template that cannot be used or whose program is missing.
    """

    def __init__(self, parts: Parts, template: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.info = parts.info
        self._command = _parse(template)
        self._timeout_s = timeout_s
        self.factors: tuple[int, ...] = tuple(f for f in _FACTORS if f <= (self._command.most or max(_FACTORS)))

    def upscale(self, picture: Picture, factor: int) -> Picture:
        """`(H, W, 3)` uint8 RGB of any size → `(H * factor, W * factor, 3)`.

        Raises `PictureError` when the program fails or answers with another size, `ModelError` for a factor it does not have or when the
        program cannot be started.
        """
        check_factor(self.info.name, self.factors, factor)
        height, width = picture.shape[:2]
        # what a program locks or leaves there must not hide its answer
        with tempfile.TemporaryDirectory(prefix="animeset-", ignore_cleanup_errors=True) as folder:
            given, made = Path(folder).absolute() / "in.png", Path(folder).absolute() / "out.png"
            _, png = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR))
            given.write_bytes(png.tobytes())
            values = dict(zip(_PLACES, map(str, (given, made, factor, width * factor, height * factor)), strict=True))
            words = [_PLACE.sub(lambda place: values[place[1]], word) for word in self._command.words]
            tail = self._run([str(self._command.program), *words])
            return self._read(made, width, height, factor, tail)

    def _run(self, command: list[str]) -> Tail:
        """What the program wrote to its error output."""
        try:
            process = subprocess.Popen(command, stdin=_NULL, stdout=_NULL, stderr=subprocess.PIPE, **own_session())
        except OSError as error:
            raise ModelError(
                f"{self.info.name}: expected {command[0]} to be a program, got a file that cannot be started ({error}); check the template"
            ) from error
        assert process.stderr is not None
        tail = Tail(process.stderr)
        code = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(self._timeout_s)
        finally:
            # also after its end, for what it left behind, and when this process is interrupted
            end_tree(process)
        if code != 0:
            expected, got = f"an answer within {self._timeout_s:g} s", "none and stopped the program"
            if code is not None:
                expected, got = "exit code 0", how_it_ended(code)
            raise self._fault(expected, got, tail, "try it by hand")
        return tail

    def _fault(self, expected: str, got: str, tail: Tail, advice: str) -> PictureError:
        return PictureError(
            f"{self.info.name}: expected {expected}, got {got}; its last words: {tail.last_line()}; {advice}"
        )

    def _read(self, made: Path, width: int, height: int, factor: int, tail: Tail) -> Picture:
        def fault(expected: str, got: str) -> PictureError:
            return self._fault(expected, got, tail, "check the template, try it by hand")

        if not made.is_file():
            raise fault("a picture in {output}", "no such file, although the program ended well")
        try:
            # the header first: nobody wants to unpack a picture that is too large
            with Image.open(made) as header:
                size = header.size
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, DecompressionBombError, by format
            raise fault("a picture in {output}", f"something else ({error})") from error
        multiple = size[0] // width
        if size != (width * multiple, height * multiple) or multiple < factor:
            raise fault(
                f"{width * factor}x{height * factor} px or a larger whole multiple of {width}x{height}",
                f"{size[0]}x{size[1]}",
            )
        try:
            pixels: Any = cv2.imdecode(np.fromfile(made, np.uint8), cv2.IMREAD_UNCHANGED)
        except (cv2.error, OSError) as error:
            raise fault("a whole picture in {output}", f"one that cannot be decoded ({error})") from error
        if pixels is None or pixels.shape[:2] != (size[1], size[0]) or pixels.dtype not in (np.uint8, np.uint16):
            got = "a broken one" if pixels is None else f"{pixels.dtype} {pixels.shape}"
            raise fault("a whole picture of 8 or 16 bits in {output}", got)
        values: Any = _rgb(pixels)
        if multiple > factor:
            values = cv2.resize(values, (width * factor, height * factor), interpolation=cv2.INTER_AREA)
        return np.asarray(np.rint(values), np.uint8)


def digest(template: str) -> str:
    """Changes with the template and with the content of its program and of every file that it names, such as a script or weights.

    Raises `ModelError` as `CommandUpscaler` does.
    """
    command = _parse(template)
    total = hashlib.sha256(template.encode())
    for file in (command.program, *(Path(word) for word in command.words if not _PLACE.search(word))):
        with contextlib.suppress(OSError, ValueError):  # a word that looks like no file is none
            if file.is_file():
                total.update(bytes.fromhex(sha256_of(file)))
    return total.hexdigest()


def _parse(template: str) -> _Command:
    def fault(expected: str, got: str) -> ModelError:
        return ModelError(
            f"cannot use `command:{template}`: expected {expected}, got {got}; "
            "write for example command:upscayl-bin -i {input} -o {output} -s {factor}"
        )

    try:
        words = split_command(template)
    except ValueError as error:
        raise fault("closed quotes", str(error)) from None
    most = None
    if words and (prefix := re.fullmatch(r"x(\d+)", words[0])):
        most, words = int(prefix[1]), words[1:]
        if most < min(_FACTORS):
            raise fault("x2, x3, x4 or more", prefix[0])
    if not words:
        raise fault("a program", "nothing")
    places = {place for word in words[1:] for place in _PLACE.findall(word)}
    if unknown := places - set(_PLACES):
        raise fault(f"only {_braced(_PLACES)}", _braced(sorted(unknown)))
    if missing := {"input", "output"} - places:
        raise fault("{input} and {output}", f"no {_braced(sorted(missing), ' and no ')}")
    if most is None and not places & {"factor", "width", "height"}:
        raise fault("{factor}, {width} and {height}, or x4 before the program if it always enlarges by 4", "neither")
    found = shutil.which(words[0])
    if found is None:
        got = f"`{words[0]}`, which is neither a file that may be run nor on the PATH"
        raise fault("a program that can be run", got)
    return _Command(Path(found).absolute(), tuple(words[1:]), most)


def _braced(names: Sequence[str], joined: str = ", ") -> str:
    return joined.join(f"{{{name}}}" for name in names)


def _rgb(pixels: npt.NDArray[np.uint8 | np.uint16]) -> npt.NDArray[np.float32]:
    """`(H, W)` or `(H, W, 1 | 3 | 4)` in OpenCV's order, 8 or 16 bits → `(H, W, 3)` RGB 0..255; transparent parts become white."""
    values = pixels.astype(np.float32) / np.float32(257 if pixels.dtype == np.uint16 else 1)
    if values.ndim == 2 or values.shape[2] == 1:
        return np.repeat(values.reshape(*values.shape[:2], 1), 3, axis=2)
    rgb = values[..., 2::-1]
    if values.shape[2] == 4:
        rgb = 255 + (rgb - 255) * (values[..., 3:] / 255)
    return np.ascontiguousarray(rgb)
