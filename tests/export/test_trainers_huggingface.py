"""The loader for imagefolders beside the real one: `datasets` in a process of its own, offline, on the same folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.export.lint import lint
from animeset_lib.export.plan import ExportOptions
from animeset_lib.export.recognise import Source, load
from animeset_lib.export.write import export_films
from tests.export.lint_folders import GOOD, canonical, draw, words, write

_REAL = """
import json, sys
from pathlib import Path
import datasets

datasets.disable_progress_bars()
datasets.utils.logging.set_verbosity_error()
found = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        splits = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=sys.argv[2])
        rows = {}
        for name, split in splits.items():
            texts = [row.get("text") or row.get("prompt") or "" for row in split.select_columns([c for c in split.column_names if c != "image"])] \\
                if len(split.column_names) > 1 else [""] * len(split)
            paths = [row["image"]["path"] for row in split.cast_column("image", datasets.Image(decode=False))]
            for row in split:
                row["image"].load()
            rows[name] = sorted([Path(path).relative_to(folder).as_posix(), text] for path, text in zip(paths, texts, strict=True))
        found[folder.name] = rows
    except Exception as problem:
        found[folder.name] = f"{type(problem).__name__}: {problem}"
print(json.dumps(found))
"""


def _pictures(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        draw(folder / name, 1 + number, 256)


def _rows(path: Path, *rows: dict[str, Any]) -> None:
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


def _row(name: str, text: str = "hana, solo", **more: Any) -> dict[str, Any]:
    return {"file_name": name, "text": text, **more}


def _split_inside(root: Path) -> None:
    for split in ("train", "validation"):
        _pictures(root / split, "a.png", "b.png")
        _rows(root / split / "metadata.jsonl", _row("a.png", f"hana, {split}"), _row("b.png", "mika"))


def _metadata_at_the_root(root: Path) -> None:
    _pictures(root / "train", "a.png", "b.png")
    _rows(root / "metadata.jsonl", _row("train/a.png"), _row("train/b.png"))


def _flat(root: Path) -> None:
    _pictures(root, "a.png", "inner/b.png")
    _rows(root / "metadata.jsonl", _row("a.png"), _row("inner/b.png", "mika"))
    write(root / "README.md", "no picture")


def _split_in_file_names(root: Path) -> None:
    _pictures(root, "train_1.png", "dev-2.png", "c.png", "contest.png", "my test.png")
    _rows(root / "metadata.jsonl", _row("train_1.png"), _row("dev-2.png"))


def _split_words(root: Path) -> None:
    for folder in ("training", "val-1", "my_test set", "contest", "x.eval", "Train"):
        _pictures(root / folder, "a.png")


def _hidden(root: Path) -> None:
    _pictures(root / "train", "a.png", ".b.png")
    _pictures(root / ".train", "c.png")
    _pictures(root / "__train" / "train", "d.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png"))


def _picture_without_row(root: Path) -> None:
    _pictures(root / "train", "a.png", "b.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png"))


def _prompts(root: Path) -> None:
    _pictures(root / "train", "a.png")
    _rows(root / "train" / "metadata.jsonl", {"file_name": "a.png", "prompt": "hana, solo"})


def _capitals(root: Path) -> None:
    _pictures(root / "train", "a.png")
    (root / "train" / "a.png").rename(root / "train" / "a.PNG")
    _rows(root / "train" / "metadata.jsonl", _row("a.PNG"))


def _row_without_picture(root: Path) -> None:
    _pictures(root / "train", "a.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png"), _row("b.png"))


def _absolute(root: Path) -> None:
    _pictures(root / "train", "a.png")
    _rows(root / "train" / "metadata.jsonl", _row(str(root / "train" / "a.png")))


def _outside(root: Path) -> None:
    _pictures(root / "train", "a.png")
    _pictures(root, "b.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png"), _row("../b.png"))


def _mixed_column(root: Path) -> None:
    _pictures(root / "train", "a.png", "b.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png", rank=1), _row("b.png", rank="second"))


def _null_column(root: Path) -> None:
    _pictures(root / "train", "a.png", "b.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png", rank=None), _row("b.png", rank=2))


def _no_file_name(root: Path) -> None:
    _pictures(root / "train", "a.png")
    _rows(root / "train" / "metadata.jsonl", {"image": "a.png", "text": "hana"})


def _two_kinds(root: Path) -> None:
    _pictures(root / "train", "a.png")
    _rows(root / "train" / "metadata.jsonl", _row("a.png"))
    write(root / "train" / "metadata.csv", "file_name,text\na.png,hana\n")


def _table(root: Path) -> None:
    _pictures(root / "train", "a.png", "b.png")
    write(root / "train" / "metadata.csv", 'file_name,text\na.png,"hana, solo"\nb.png,mika\n')


def _broken_line(root: Path) -> None:
    _pictures(root / "train", "a.png")
    write(root / "train" / "metadata.jsonl", '{"file_name": "a.png", "text": "hana"}\n{"file_name": \n')


CASES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "split inside": (_split_inside, set()),
    "metadata at the root": (_metadata_at_the_root, {"metadata_outside_split", "missing_caption"}),
    "flat": (_flat, set()),
    "split in file names": (_split_in_file_names, {"metadata_outside_split", "missing_caption", "ignored_picture"}),
    "split words": (_split_words, {"missing_caption", "ignored_picture"}),
    "hidden": (_hidden, set()),
    "picture without row": (_picture_without_row, {"missing_caption"}),
    "prompts": (_prompts, set()),
    "capitals": (_capitals, set()),
    "null column": (_null_column, set()),
    "table": (_table, set()),
    "good": (GOOD["huggingface"], set()),
    "row without picture": (_row_without_picture, {"missing_picture"}),
    "absolute": (_absolute, {"absolute_path", "missing_caption"}),
    "outside": (_outside, {"outside_path", "ignored_picture"}),
    "mixed column": (_mixed_column, {"mixed_column"}),
    "no file name": (_no_file_name, {"missing_key", "missing_caption"}),
    "two kinds": (_two_kinds, {"mixed_metadata"}),
    "broken line": (_broken_line, {"not_parsed"}),
}
REFUSED = {"row without picture", "absolute", "outside", "mixed column", "no file name", "two kinds", "broken line"}
"""What `datasets` raises an error for, at the latest when the pictures are looked at."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imagefolders")
    for name, (build, _) in CASES.items():
        (root / name).mkdir()
        build(root / name)
    # a published character is an imagefolder, too
    GOOD["animeset"](root / "film")
    (root / "film" / "hana").rename(root / "published character")
    shutil.rmtree(root / "film")
    canonical(root / "film", {"hana": 24})
    export_films([root / "film"], root / "exports", ["huggingface"], ExportOptions(validation=0.2), copy=True)
    (root / "exports" / "huggingface" / "hana").rename(root / "exported character")
    shutil.rmtree(root / "film")
    shutil.rmtree(root / "exports")
    return root


@pytest.fixture(scope="module")
def real(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Folder → split → sorted (picture, caption), or the error."""
    home = tmp_path_factory.mktemp("hugging face")
    offline = {"HF_HOME": str(home), "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _REAL, str(folders), str(home / "cache")],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _ours(folder: Path) -> dict[str, list[list[str]]]:
    loaded = load(Source("huggingface", folder), folder)
    rows: dict[str, list[list[str]]] = {}
    for one in loaded.sets:
        rows.setdefault(one.name.split(":")[0], []).extend(
            [p.path.relative_to(folder).as_posix(), p.captions[0]] for p in one.pictures
        )
    return {split: sorted(found) for split, found in rows.items()}


@pytest.mark.parametrize("case", [case for case in CASES if case not in REFUSED])
def test_the_same_rows_splits_and_captions_as_datasets(folders: Path, real: dict[str, Any], case: str) -> None:
    assert _ours(folders / case) == real[case]


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_datasets_refuses_is_an_error(folders: Path, real: dict[str, Any], case: str) -> None:
    assert isinstance(real[case], str), f"datasets took it: {real[case]}"
    assert lint(folders / case, "huggingface").errors > 0


@pytest.mark.parametrize("case", CASES)
def test_what_the_loader_says(folders: Path, case: str) -> None:
    loaded = load(Source("huggingface", folders / case), folders / case)
    assert {finding.code for finding in loaded.findings} == CASES[case][1]


def test_in_the_trap_the_captions_are_gone(real: dict[str, Any]) -> None:
    assert real["metadata at the root"] == {"train": [["train/a.png", ""], ["train/b.png", ""]]}


def test_a_published_character_loads_as_it_is(folders: Path, real: dict[str, Any]) -> None:
    assert _ours(folders / "published character") == real["published character"]
    assert len(real["published character"]["train"]) == 10


def test_an_exported_character_has_its_splits_and_captions(folders: Path, real: dict[str, Any]) -> None:
    got = real["exported character"]
    assert _ours(folders / "exported character") == got
    assert lint(folders / "exported character").errors == 0
    assert sorted(got) == ["train", "validation"]
    captions = {Path(name).stem: caption for rows in got.values() for name, caption in rows}
    assert captions == {f"hana_{number:04d}": words("hana", number) for number in range(1, 25)}
