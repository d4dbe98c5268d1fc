"""`animeset lint` as a person and a program meet it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.media import write_image
from tests.export.lint_folders import GOOD, caption, write

pytestmark = pytest.mark.usefixtures("equal_bytes_are_decoded_once")

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    GOOD["onetrainer"](tmp_path / "set")
    return tmp_path / "set"


def test_a_good_set_gets_one_line(animeset: Call, root: Path) -> None:
    code, out, err = animeset("lint", root)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "onetrainer concepts.json: 2 characters (hana, mika), 20 pictures (3 x 10 + 3 x 10 = 60 views), loads "
        "(started in the folder of concepts.json)",
        "1 data set looked at: 0 errors, 0 warnings",
    ]


def test_each_kind_is_one_line_with_a_count_and_an_example(animeset: Call, root: Path) -> None:
    write(caption(root), "mika\n")
    for number in range(1, 9):
        write(caption(root, f"mika_{number:04d}"), "mika, smile, smile\n")
    write(caption(root, "mika_0009"), "")
    code, out, err = animeset("lint", root)
    _, *kinds, last = out.splitlines()
    assert code == 1
    assert [re.split(r"  +", line, maxsplit=3)[:3] for line in kinds] == [
        ["error", "empty_caption", "1"],
        ["error", "other_trigger", "1"],
        ["warning", "double_tag", "8"],
    ]
    assert kinds[1].startswith("error    other_trigger  1  hana/hana_0004.txt: names mika, the trigger of another")
    assert kinds[2].startswith("warning  double_tag     8  mika/mika_0001.txt: says smile more than once")
    assert last == "1 data set looked at: 2 errors, 8 warnings; --all writes each out"
    assert err.startswith("error: 2 errors, 8 warnings in ")
    assert "Traceback" not in err


def test_all_writes_every_finding_out_by_set(animeset: Call, root: Path) -> None:
    write(caption(root), "mika\n")
    for number in range(1, 9):
        write(caption(root, f"mika_{number:04d}"), "mika, smile, smile\n")
    code, out, _ = animeset("lint", root, "--all")
    lines = out.splitlines()
    assert code == 1
    assert "1 error, 8 warnings" in lines[0]
    assert [line for line in lines if line.startswith("  ") and not line.startswith("    ")] == ["  hana", "  mika"]
    assert "    error   other_trigger: hana/hana_0004.txt: names mika, the trigger of another character" in out
    assert out.count("double_tag: mika/") == 8
    assert lines[-1] == "1 data set looked at: 1 error, 8 warnings"


def test_warnings_fail_only_when_strict(animeset: Call, root: Path) -> None:
    write(caption(root), "hana, smile, smile\n")
    assert animeset("lint", root)[0] == 0
    code, out, err = animeset("lint", root, "--strict")
    assert code == 1
    assert "loads, 1 warning" in out
    assert out.splitlines()[-1] == "1 data set looked at: 0 errors, 1 warning", "nothing more that --all would tell"
    assert "0 errors, 1 warning in" in err


def test_json_for_programs(animeset: Call, root: Path) -> None:
    write(caption(root), "")
    code, out, err = animeset("lint", root, root / "concepts.json", "--json")
    reports = json.loads(out)
    assert code == 1
    assert err
    assert [(report["path"], report["errors"]) for report in reports] == [("set", 1), ("concepts.json", 1)]
    (finding,) = reports[0]["linted"][0]["findings"]
    assert (finding["level"], finding["code"], finding["path"], finding["set"]) == (
        "error",
        "empty_caption",
        "hana/hana_0004.txt",
        "hana",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "no such file or folder"),
        (("set", "--format", "lora"), "unknown format"),
        ((".",), "nothing to lint"),
    ],
)
def test_mistakes_get_one_clear_line(
    animeset: Call, root: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(root.parent)
    if words == (".",):
        shutil.rmtree(root)
    code, out, err = animeset("lint", *words)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_picture_that_is_linked_into_two_sets_is_told_once(animeset: Call, root: Path) -> None:
    other = root.parent / "both" / "again"
    shutil.copytree(root, root.parent / "both" / "first")
    shutil.copytree(root.parent / "both" / "first", other, copy_function=os.link)
    small = root.parent / "both" / "first" / "hana" / "hana_0001.png"
    pixels = np.random.default_rng(3).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    small.unlink()
    write_image(small, pixels)
    (other / "hana" / "hana_0001.png").unlink()
    os.link(small, other / "hana" / "hana_0001.png")
    out = animeset("lint", root.parent / "both")[1]
    assert "small_picture  1  again/hana/hana_0001.png: " in out
    assert "said above" in animeset("lint", root.parent / "both", "--all")[1]
    first = root.parent / "both" / "first"
    two = animeset("lint", first, other)[1].splitlines()
    assert len(two) == 2, "one kind, and the sum"
    assert two[0].startswith(f"warning  small_picture  2  {first / 'hana' / 'hana_0001.png'}: ")
    assert two[-1] == "2 data sets looked at: 0 errors, 2 warnings; --all writes each out"
    everything = animeset("lint", first, other, "--all")[1].splitlines()
    assert f"{other}:" in everything
    assert everything[-1] == "2 data sets looked at: 0 errors, 2 warnings"
