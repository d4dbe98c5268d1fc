"""Every notebook runs from top to bottom in a project of its own, and keeps to what notebooks may do."""

from __future__ import annotations

import ast
import base64
import importlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from animeset_lib.pipeline.stages import PIPELINE

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STEPS = [
    "00_tour",
    "01_extract",
    "02_dedupe",
    "03_characters",
    "04_quality_upscale",
    "05_crop",
    "06_tag_caption",
    "07_dataset",
    "colab",
]
ALWAYS = ("00_tour", "03_characters")
"""Those that run in `make test`, too."""
_FOLDERS, _FILES = ("input", "output", "work", "logs"), ("dashboard.ipynb", "voila.json")
NOT_OURS = {"IPython.display", "importlib.util", "pathlib"}
"""What a notebook may import beside this package's public names."""


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def _cells(path: Path) -> list[Any]:
    return [cell for cell in _read(path).cells if cell.cell_type == "code"]


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _tree(cell: Any) -> ast.Module:
    """The cell's syntax without IPython's own lines."""
    return ast.parse("\n".join(re.sub(r"^(\s*)%.*", r"\1pass", line) for line in cell.source.splitlines()))


# ------------------------------------------------------------------------------------------------------------------ running


def _project(folder: Path, demo: Path) -> Path:
    """A project as a fresh clone has it, with the film that the notebooks would draw."""
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    for name in _FILES:
        shutil.copy(ROOT / name, folder / name)
    (film,) = demo.glob("input/*.mp4")
    shutil.copy(film, folder / "input" / film.name)
    return folder


def _give(project: Path, demo: Path, name: str) -> None:
    """What the notebook runs first, with the settings as they are, as if it had run before: no stage further than it goes itself."""
    source = "".join(cell.source for cell in _cells(project / "notebooks" / f"{name}.ipynb"))
    first = re.search(r"open_run\(FILM.*?\)\.upto\(\"(\w+)\"\)|run\.finish\(\)", source)
    assert first is not None, f"{name} runs nothing"
    sections = list(PIPELINE)
    for section in sections[: sections.index(first[1] or "dataset") + 1]:
        (stage,) = demo.glob(f"work/*/{PIPELINE[section].name}-*")
        shutil.copytree(stage, project / stage.relative_to(demo))
    for names in demo.glob("output/*.names.json"):  # whom that run called how
        shutil.copy(names, project / names.relative_to(demo))


def _run(project: Path, name: str, place: str) -> Any:
    """Run a notebook there, slow cells left out; a cell that fails fails the test with its text."""
    notebook = _read(project / "notebooks" / f"{name}.ipynb")
    notebook.cells = [cell for cell in notebook.cells if "slow" not in _tags(cell)]
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(project / place)}}
    ).execute()
    return notebook


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _shown(notebook: Any) -> list[dict[str, Any]]:
    return [out["data"] for cell in notebook.cells for out in cell.get("outputs", []) if "data" in out]


def _pictures(data: dict[str, Any]) -> list[str]:
    """Addresses of the pictures in one output: its own, and those that its text or page names."""
    own = [f"data:{kind};base64,{data[kind]}" for kind in data if kind.startswith("image/")]
    written = "".join(data.get(kind, "") for kind in ("text/html", "text/markdown"))
    tags = re.findall(r"""<img\b[^>]*\ssrc=(?:'([^']*)'|"([^"]*)")""", written)
    return [*own, *(single or double for single, double in tags), *re.findall(r"!\[[^\]]*\]\(([^)]*)\)", written)]


def _check_picture(address: str) -> None:
    """It is in the page itself, which may be read anywhere (`make docs` puts it into another folder), and decodes."""
    assert address.startswith("data:image/"), f"{address!r} leads nowhere once the notebook is a page"
    Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).load()


def _check(notebook: Any, project: Path, before: dict[str, bytes]) -> None:
    """There are plots, every picture can be seen, nothing floods the page, and nothing was written beside the notebooks."""
    shown = _shown(notebook)
    assert sum("image/png" in data for data in shown) >= 2
    for data in shown:
        for address in _pictures(data):
            _check_picture(address)
    assert max(len(json.dumps(data)) for data in shown) < 2_000_000
    printed = [out["text"] for cell in notebook.cells for out in cell.get("outputs", []) if "text" in out]
    plain = [data["text/plain"] for data in shown if data.keys() == {"text/plain"}]
    assert max(map(len, (*printed, *plain)), default=0) < 2_000
    assert _files(project / "notebooks") == before
    assert {path.name for path in project.iterdir()} == {*_FOLDERS, "notebooks", *_FILES}


@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.exhaustive) for name in STEPS[:-1]]
)
def test_notebooks_run_from_top_to_bottom(name: str, finished_demo: Path, tmp_path: Path) -> None:
    """Each in a project of its own, so none needs another; by turns from the notebooks' folder and from the project's."""
    project = _project(tmp_path / "project", finished_demo)
    _give(project, finished_demo, name)
    before = _files(project / "notebooks")
    _check(_run(project, name, ("notebooks", ".")[STEPS.index(name) % 2]), project, before)


def test_colab_runs_elsewhere_too_and_goes_on_where_it_was(finished_demo: Path, tmp_path: Path) -> None:
    """This one from nothing but the film."""
    project = _project(tmp_path / "project", finished_demo)
    before = _files(project / "notebooks")
    _check(_run(project, "colab", "notebooks"), project, before)
    stages = sorted(path.name for path in (project / "work").glob("*/*-*"))
    again = _run(project, "colab", ".")
    assert sorted(path.name for path in (project / "work").glob("*/*-*")) == stages
    pages = [data.get("text/html", "") for data in _shown(again)]
    assert any("up to date" in page for page in pages)
    assert not any("stages worked" in page for page in pages)
    printed = [out["text"] for cell in again.cells for out in cell.get("outputs", []) if "text" in out]
    assert any("networks run on" in text for text in printed)
    assert any(text.strip().endswith("output/demo-short.zip") for text in printed)


# -------------------------------------------------------------------------------------------------------------------- rules


def test_the_notebooks_are_those_that_are_known() -> None:
    assert [path.stem for path in NOTEBOOKS] == STEPS


def test_every_stage_is_in_a_notebook() -> None:
    told = "".join(cell.source for path in NOTEBOOKS[1:8] for cell in _cells(path))
    for section in PIPELINE:
        if section in ("embed", "cluster"):  # looked at by their map and distances
            assert "plots.face_map" in told
            assert "plots.distances" in told
        else:
            assert f'.stage("{section}")' in told, f"no notebook looks at {section}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_committed(path: Path) -> None:
    for cell in _cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert set(cell.metadata) <= {"tags", "covered_by"}
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert set(raw["metadata"]) == {"kernelspec", "language_info"}, "no versions, no widget state"
    assert raw["metadata"]["language_info"] == {"name": "python"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_parameter_cell_comes_first(path: Path) -> None:
    cells = _cells(path)
    assert [cell for cell in cells if "parameters" in _tags(cell)] == cells[:1]
    names = []
    for line in _tree(cells[0]).body:
        assert isinstance(line, ast.Assign), "parameters only"
        assert isinstance(line.value, ast.Constant)
        assert isinstance(line.targets[0], ast.Name)
        names.append(line.targets[0].id)
    assert names[0] == "FILM"
    assert all(name.isupper() for name in names)
    assert cells[0].source.count("#") == len(names), "each says what it is"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_tell_and_call_and_define_nothing(path: Path) -> None:
    for cell in _cells(path):
        for node in ast.walk(_tree(cell)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert (node.end_lineno or 0) - node.lineno < 3, f"{node.name} belongs into the package"
        for line in cell.source.splitlines():
            assert not line.lstrip().startswith(("!", "%%")), f"no shell: {line}"
            if line.lstrip().startswith("%"):
                assert line.split()[0] == "%pip", f"no magic but pip: {line}"
        assert "subprocess" not in cell.source
        assert "os.system" not in cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_public_names_are_used(path: Path) -> None:
    for cell in _cells(path):
        for node in ast.walk(_tree(cell)):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= NOT_OURS
            elif isinstance(node, ast.ImportFrom) and node.module not in NOT_OURS:
                assert node.module in ("animeset_lib", "animeset_lib.notebook")
                module = importlib.import_module(node.module)
                for alias in node.names:
                    part = (ROOT / "animeset_lib" / "notebook" / f"{alias.name}.py").is_file()
                    assert alias.name in module.__all__ or part, f"{alias.name} is not public"
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), f"{node.attr} is not public"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_slow_cells_are_covered_by_a_named_test(path: Path) -> None:
    for cell in _cells(path):
        assert set(_tags(cell)) <= {"parameters", "slow"}
        assert ("slow" in _tags(cell)) == ("covered_by" in cell.metadata)
        if "slow" in _tags(cell):
            file, _, test = cell.metadata["covered_by"].partition("::")
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_code_cell_is_introduced_and_links_lead_somewhere(path: Path) -> None:
    cells = _read(path).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    if path.stem != "colab":
        assert any(cell.cell_type == "markdown" and "## What can go wrong" in cell.source for cell in cells)
    for cell in cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([\w./-]+)\)", cell.source):
                assert (path.parent / target).exists(), f"{target} is not there"


def test_settings_in_the_texts_exist() -> None:
    from animeset_lib.settings import describe

    known = {f"{row['section']}.{row['name']}" for row in describe()}
    for path in NOTEBOOKS:
        for cell in _read(path).cells:
            found = re.findall(rf"\b((?:{'|'.join(PIPELINE)})\.[a-z_]+)\b(?!\()", cell.source)
            named = {name for name in found if not name.endswith((".ipynb", ".json", "_"))}
            assert named <= known, f"{path.stem}: {sorted(named - known)} are no settings"
