"""The page and the notebooks that come with animeset: where they are, and laying the notebooks out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib import shipped
from animeset_lib.notebook import project_folder

ROOT = Path(__file__).parents[1]
Animeset = Callable[..., tuple[int, str, str]]


def test_in_a_clone_they_are_the_files_at_its_top() -> None:
    assert shipped.shipped() == ROOT
    assert not shipped.INSTALLED.exists(), "a second copy in the clone would soon differ"


def test_they_are_laid_out_once_and_nothing_is_written_over(animeset: Animeset, tmp_path: Path) -> None:
    code, out, _ = animeset("notebooks", "deep/er")
    place = tmp_path / "deep" / "er"
    ours = {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert code == 0
    assert {path.name: path.read_bytes() for path in place.iterdir()} == ours
    assert "9 notebooks" in out

    changed = place / "03_characters.ipynb"
    changed.write_text("mine", encoding="utf-8")
    (place / "05_crop.ipynb").unlink()
    code, out, _ = animeset("notebooks", place)
    assert code == 0
    assert changed.read_text(encoding="utf-8") == "mine"
    assert (place / "05_crop.ipynb").read_bytes() == ours["05_crop.ipynb"]
    assert "left as it is: 03_characters.ipynb" in out
    assert "05_crop" not in out


def test_a_place_that_cannot_be_is_said_so(animeset: Animeset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, error = animeset("notebooks", "file")
    assert code == 1
    assert "error: file: expected a folder" in error


@pytest.mark.parametrize("mark", ["dashboard.ipynb", "logs/process.log"])
def test_a_notebook_works_in_the_project_that_it_lies_in(mark: str, tmp_path: Path) -> None:
    notebooks = tmp_path / "project" / "notebooks"
    notebooks.mkdir(parents=True)
    assert project_folder(notebooks) == notebooks
    (tmp_path / "project" / mark).parent.mkdir(exist_ok=True)
    (tmp_path / "project" / mark).write_text("", encoding="utf-8")
    assert project_folder(notebooks) == tmp_path / "project"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_say_nothing_that_only_holds_in_a_clone(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert (
        re.findall(r"`make\b[^`]*`|\.venv|constraints\.txt|checkout|\bclone\b|(?:docs|tests|benchmarks)/\w*", text)
        == []
    )


def test_packages_are_named_as_this_installation_gets_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert shipped.extra_command("torch") == "pip install -c constraints.txt -e '.[torch]'"
    monkeypatch.setattr(shipped, "INSTALLED", tmp_path)
    assert shipped.extra_command("torch") == 'pip install "animeset[torch]"'
