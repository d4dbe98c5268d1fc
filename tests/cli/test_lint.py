"""`animeset lint` as a person and a program meet it."""

from __future__ import annotations

import json
import os
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


def test_errors_are_grouped_by_set_and_fail(animeset: Call, root: Path) -> None:
    write(caption(root), "mika\n")
    write(caption(root, "mika_0002"), "")
    code, out, err = animeset("lint", root)
    lines = out.splitlines()
    assert code == 1
    assert "2 errors" in lines[0]
    assert [line for line in lines if line.startswith("  ") and not line.startswith("    ")] == ["  hana", "  mika"]
    assert "    error   other_trigger: hana/hana_0004.txt: names mika, the trigger of another character" in out
    assert err.startswith("error: 2 errors, 0 warnings in ")
    assert "Traceback" not in err


def test_warnings_fail_only_when_strict(animeset: Call, root: Path) -> None:
    write(caption(root), "hana, smile, smile\n")
    assert animeset("lint", root)[0] == 0
    code, out, err = animeset("lint", root, "--strict")
    assert code == 1
    assert "loads, 1 warning" in out
    assert "0 errors, 1 warning in" in err


def test_many_of_a_kind_are_shortened(animeset: Call, root: Path) -> None:
    for number in range(1, 9):
        write(caption(root, f"hana_{number:04d}"), "hana, smile, smile\n")
    _, out, _ = animeset("lint", root)
    assert out.count("double_tag: hana/") == 5
    assert "  hana: 3 more of warning double_tag; --all writes them out" in out
    _, out, _ = animeset("lint", root, "--all")
    assert out.count("double_tag: hana/") == 8
    assert "more of" not in out


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
    assert out.count("small_picture") == 1
    assert "said above" in out
    two = animeset("lint", root.parent / "both" / "first", other)[1]
    assert f"{other}:" in two.splitlines()
    assert two.splitlines()[-1] == "2 data sets looked at: 0 errors, 2 warnings"
