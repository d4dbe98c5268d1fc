"""External programs as upscalers: small Python programs play the good, the bad and the stubborn."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError, PictureError
from animeset_lib.models.upscalers.command_upscaler import CommandUpscaler, digest
from tests.models.drawn import noise, upscaler_parts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs are scripts with a #! line")

HEAD = f"""#!{sys.executable}
import os, signal, subprocess, sys, time
import cv2, numpy as np
where = dict(zip(sys.argv[1::2], sys.argv[2::2]))
def large(n):
    picture = cv2.imread(where["-i"], cv2.IMREAD_UNCHANGED)
    return picture.repeat(n, 0).repeat(n, 1)
def write(picture):
    done, data = cv2.imencode(".png", picture)
    open(where["-o"], "wb").write(data.tobytes())
"""
ARGUMENTS = "-i {input} -o {output} -s {factor}"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the private folders are made; nothing may be left in it."""
    place = tmp_path / "temporary folder"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def program(folder: Path, body: str, name: str = "enlarge it") -> str:
    """The program's name, quoted for a template."""
    path = folder / name
    path.write_text(HEAD + body)
    path.chmod(0o755)
    return f"'{path}'"


def upscaler(
    folder: Path, body: str, arguments: str = ARGUMENTS, timeout_s: float = 30, prefix: str = ""
) -> CommandUpscaler:
    return CommandUpscaler(upscaler_parts(), f"{prefix}{program(folder, body)} {arguments}", timeout_s=timeout_s)


GOOD = "write(large(int(where['-s'])))"


@pytest.mark.parametrize("shape", [(1, 1), (7, 5)])
def test_every_factor_gives_what_the_program_made(tmp_path: Path, folders: Path, shape: tuple[int, int]) -> None:
    enlarger = upscaler(tmp_path, GOOD)
    assert enlarger.factors == (2, 3, 4)
    picture = noise(*shape)[:, ::-1]
    for factor in enlarger.factors:
        large = enlarger.upscale(picture, factor)
        assert np.array_equal(large, picture.repeat(factor, 0).repeat(factor, 1))
        assert large.flags.writeable
    with pytest.raises(ModelError, match="not by 7"):
        enlarger.upscale(picture, 7)
    assert list(folders.iterdir()) == []


def test_the_places_are_filled_with_the_sizes_and_names_stay_one_word(tmp_path: Path, folders: Path) -> None:
    body = "open(os.environ['SEEN'], 'w').write('\\n'.join(sys.argv[1:]))\nwhere = {'-i': sys.argv[1], '-o': sys.argv[2][4:]}\nwrite(large(3))"
    os.environ["SEEN"] = str(tmp_path / "seen")
    try:
        arguments = (
            """{input} out={output} "two words" 'a "b" $HOME *' --size={width}x{height}@{factor} - -- ; | {width"""
        )
        upscaler(tmp_path, body, arguments).upscale(noise(5, 4), 3)
    finally:
        del os.environ["SEEN"]
    given, made, *rest = (tmp_path / "seen").read_text().split("\n")
    assert Path(given).is_absolute()
    assert made == "out=" + given.replace("in.png", "out.png")
    assert " " in given, "the folder's name was chosen so"
    assert rest == ["two words", 'a "b" $HOME *', "--size=12x15@3", "-", "--", ";", "|", "{width"]


def test_a_program_that_always_makes_four_times_is_reduced_by_area(tmp_path: Path, folders: Path) -> None:
    enlarger = upscaler(tmp_path, "write(large(4))")
    picture = noise(6, 9)
    assert np.array_equal(enlarger.upscale(picture, 4), picture.repeat(4, 0).repeat(4, 1))
    assert np.array_equal(enlarger.upscale(picture, 2), picture.repeat(2, 0).repeat(2, 1))
    columns = np.repeat(np.array([[0, 90]], np.uint8)[..., None], 3, axis=2)
    # thirds of 4 + 4 px: 0 0 0 | 30 | 90 ... the fourth of six is 2/3 of a pixel of 90 after 2/3 of one of 0
    assert enlarger.upscale(columns, 3)[0, :, 0].tolist() == [0, 0, 0, 90, 90, 90]


@pytest.mark.parametrize(
    ("prefix", "factors"), [("x2 ", (2,)), ("x3 ", (2, 3)), ("x4 ", (2, 3, 4)), ("x16 ", (2, 3, 4))]
)
def test_a_program_of_one_factor_says_so_first(
    tmp_path: Path, prefix: str, factors: tuple[int, ...], folders: Path
) -> None:
    enlarger = upscaler(tmp_path, f"write(large({prefix[1:]}))", "-i {input} -o {output}", prefix=prefix)
    assert enlarger.factors == factors
    assert np.array_equal(enlarger.upscale(noise(3, 4), 2), noise(3, 4).repeat(2, 0).repeat(2, 1))


OUTPUTS = {
    "16 bits": ("write(large(2).astype(np.uint16) * 257)", [10, 100, 250]),
    "16 bits are rounded": ("write(large(2).astype(np.uint16) * 257 + 128)", [10, 100, 250]),
    "16 bits are rounded up": ("write(large(2).astype(np.uint16) * 257 + 129)", [11, 101, 251]),
    "grey": ("write(large(2)[..., 0])", [250, 250, 250]),
    "grey of 16 bits": ("write(large(2)[..., 0].astype(np.uint16) * 257)", [250, 250, 250]),
    "opaque": ("write(np.dstack([large(2), np.full((4, 6), 255, np.uint8)]))", [10, 100, 250]),
    "clear": ("write(np.dstack([large(2), np.zeros((4, 6), np.uint8)]))", [255, 255, 255]),
    # 255 - 245 * .2, 255 - 155 * .2, 255 - 5 * .2
    "nearly clear": ("write(np.dstack([large(2), np.full((4, 6), 51, np.uint8)]))", [206, 224, 254]),
    "clear, 16 bits": ("write(np.dstack([large(2).astype(np.uint16), np.zeros((4, 6), np.uint16)]))", [255, 255, 255]),
    "palette": (
        "from PIL import Image; Image.fromarray(large(2)[..., ::-1].copy()).quantize(8).save(where['-o'])",
        [10, 100, 250],
    ),
    "bits": ("from PIL import Image; Image.new('1', (6, 4), 1).save(where['-o'])", [255, 255, 255]),
    "grey and clear": ("from PIL import Image; Image.new('LA', (6, 4), (9, 0)).save(where['-o'])", [255, 255, 255]),
    "a JPEG": (
        "from PIL import Image; Image.new('RGB', (6, 4), (255, 255, 255)).save(where['-o'], 'JPEG')",
        [255, 255, 255],
    ),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_any_png_becomes_eight_bit_rgb_on_white(tmp_path: Path, folders: Path, kind: str) -> None:
    body, colour = OUTPUTS[kind]
    large = upscaler(tmp_path, body).upscale(np.full((2, 3, 3), (10, 100, 250), np.uint8), 2)
    assert (large.dtype, large.shape) == (np.uint8, (4, 6, 3))
    assert large.reshape(-1, 3).tolist() == [colour] * 24


FAULTS = {
    "fails": (
        "print('no card found\\r\\n\\n', file=sys.stderr); sys.exit(3)",
        "expected exit code 0, got exit code 3; .*no card found",
    ),
    "silent": ("sys.exit(1)", "got exit code 1; its last words: none"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", r"got an end by signal 11 \(SIGSEGV\)"),
    "nothing": ("print('done', file=sys.stderr)", r"expected a picture in \{output\}, got no such file.*done"),
    "folder": ("os.mkdir(where['-o'])", r"got no such file"),
    "pipe": ("os.mkfifo(where['-o'])", r"got no such file"),
    "empty": ("open(where['-o'], 'w')", r"expected a picture in \{output\}, got something else"),
    "garbage": ("open(where['-o'], 'wb').write(os.urandom(5000))", r"got something else"),
    "cut off": ("write(large(2)); os.truncate(where['-o'], 60)", "expected a whole picture"),
    "input again": ("write(large(1))", "expected 18x14 px or a larger whole multiple of 9x7, got 9x7"),
    "odd size": ("write(large(2)[:-1])", "expected 18x14 px or a larger whole multiple of 9x7, got 18x13"),
    "turned": ("write(large(2).transpose(1, 0, 2))", "got 14x18"),
    "stretched": ("write(large(2).repeat(2, 0))", "got 18x28"),
    "a bomb": (
        "import struct, zlib; head = b'IHDR' + struct.pack('>IIBBBBB', 90000, 70000, 8, 2, 0, 0, 0); "
        "open(where['-o'], 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + struct.pack('>I', 13) + head + struct.pack('>I', zlib.crc32(head)))",
        "got something else",
    ),
    "escapes": ("print('\\x1b[31mred\\x07\\xff', file=sys.stderr); sys.exit(1)", r"its last words: \[31mred"),
    "megabytes": (
        "sys.stdout.write('x' * 20_000_000); sys.stderr.write('y' * 20_000_000 + '\\nlast'); sys.exit(1)",
        "its last words: last; try it by hand$",
    ),
    "one long line": ("sys.stderr.write('y' * 3_000_000); sys.exit(1)", "its last words: y{200}; try it by hand$"),
    "waits for keys": ("sys.exit(len(sys.stdin.read()) + 5)", "got exit code 5"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_failure_is_one_sentence_and_leaves_nothing(tmp_path: Path, folders: Path, kind: str) -> None:
    body, words = FAULTS[kind]
    with pytest.raises(PictureError, match=f"^tested: {words}" if words.startswith("expected") else words) as caught:
        upscaler(tmp_path, body).upscale(noise(7, 9), 2)
    assert "\n" not in str(caught.value)
    assert list(folders.iterdir()) == []


def test_megabytes_on_both_outputs_do_not_stop_a_good_program(tmp_path: Path, folders: Path) -> None:
    body = "sys.stdout.write('x' * 5_000_000); sys.stderr.write('y\\n' * 5_000_000); " + GOOD
    assert upscaler(tmp_path, body).upscale(noise(3, 4), 2).shape == (6, 8, 3)


def _ends(number: int) -> bool:
    """Whether the process goes within five seconds (a zombie has gone)."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("hangs", [True, False])
def test_what_the_program_started_ends_with_it(tmp_path: Path, folders: Path, hangs: bool) -> None:
    body = (
        "child = subprocess.Popen(['sleep', '600']); "
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid)); signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    )
    enlarger = upscaler(tmp_path, body + ("time.sleep(600)" if hangs else GOOD), timeout_s=3)
    begin = time.monotonic()
    if hangs:
        with pytest.raises(PictureError, match="expected an answer within 3 s, got none and stopped the program"):
            enlarger.upscale(noise(3, 4), 2)
    else:
        assert enlarger.upscale(noise(3, 4), 2).shape == (6, 8, 3)
    assert time.monotonic() - begin < 20
    assert _ends(int((tmp_path / "child").read_text()))
    assert list(folders.iterdir()) == []


def test_a_child_that_fled_and_holds_the_output_open_does_not_hang_us(tmp_path: Path, folders: Path) -> None:
    body = GOOD + "\nsubprocess.Popen(['sleep', '8'], start_new_session=True)"
    begin = time.monotonic()
    assert upscaler(tmp_path, body).upscale(noise(3, 4), 2).shape == (6, 8, 3)
    assert time.monotonic() - begin < 7


def test_the_private_folder_is_nobody_elses_and_goes_whatever_is_in_it(tmp_path: Path, folders: Path) -> None:
    body = (
        "folder = os.path.dirname(where['-i']); assert os.stat(folder).st_mode & 0o077 == 0; "
        "os.makedirs(folder + '/sub/sub'); open(folder + '/sub/sub/f', 'w'); os.chmod(folder + '/sub', 0o500); " + GOOD
    )
    assert upscaler(tmp_path, body).upscale(noise(3, 4), 2).shape == (6, 8, 3)
    assert list(folders.iterdir()) == []


TEMPLATES = {
    "": "expected a program, got nothing",
    "x4": "expected a program, got nothing",
    "x1 sh {input} {output}": "expected x2, x3, x4 or more, got x1",
    "sh {input} {factor}": r"expected \{input\} and \{output\}, got no \{output\}",
    "sh {factor}": r"got no \{input\} and no \{output\}",
    "sh {input} {output} {scale}": r"expected only \{input\}, \{output\}, \{factor\}, \{width\}, \{height\}, got \{scale\}",
    "sh {input} {output} {factor} {}": r"got \{\}",
    "sh {input} {output}": r"expected \{factor\}, .*or x4 before the program",
    "sh '{input} {output} {factor}": "expected closed quotes, got No closing quotation",
    "no-such-program-here {input} {output} {factor}": "`no-such-program-here`, which is neither",
    "/etc/passwd {input} {output} {factor}": "`/etc/passwd`, which is neither",
    "'' {input} {output} {factor}": "``, which is neither",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_cannot_work_is_refused_at_once(template: str) -> None:
    for use in (lambda: CommandUpscaler(upscaler_parts(), template), lambda: digest(template)):
        with pytest.raises(ModelError, match=TEMPLATES[template]) as caught:
            use()
        assert str(caught.value).startswith(f"cannot use `command:{template}`")


def test_a_program_that_cannot_be_started_is_no_fault_of_the_picture(tmp_path: Path, folders: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"\x7fELF no program")
    path.chmod(0o755)
    with pytest.raises(ModelError, match="cannot be started"):
        CommandUpscaler(upscaler_parts(), f"{path} {ARGUMENTS}").upscale(noise(2, 2), 2)
    assert list(folders.iterdir()) == []


def test_the_digest_changes_with_template_program_and_named_files(tmp_path: Path) -> None:
    template = f"{program(tmp_path, GOOD)} {ARGUMENTS}"
    first = digest(template)
    assert first == digest(template)
    assert len(first) == 64
    assert digest(template + " -x") != first
    program(tmp_path, GOOD + "\n")
    assert digest(template) != first
    script = tmp_path / "script.py"
    script.write_text("1")
    shell = shutil.which("sh")
    with_script = f"{shell} {script} {ARGUMENTS}"
    before = digest(with_script)
    script.write_text("2")
    assert digest(with_script) != before
