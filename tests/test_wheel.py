"""animeset as pip and pipx install it: a wheel, in an environment of its own, used from folders that are no clone of the repository."""

from __future__ import annotations

import http.client
import importlib.metadata
import os
import shutil
import site
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.dashboard.browser import browser, make_film, opened, served

ROOT = Path(__file__).parents[1]
NEEDED = (
    "animeset_lib",
    "animeset_demo",
    "notebooks",
    "dashboard.ipynb",
    "voila.json",
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
)
"""What a wheel is made of."""
SETUPTOOLS = 77


@dataclass(frozen=True)
class Installed:
    """`python` has the wheel, and the packages that it needs from the environment that runs the tests."""

    python: Path
    environment: Mapping[str, str]

    def __call__(self, folder: Path, *words: object) -> str:
        """`animeset` with `words` in `folder` → what it printed."""
        return self.run(folder, "-m", "animeset_lib", *words)

    def run(self, folder: Path, *words: object) -> str:
        done = subprocess.run(
            [self.python, *map(str, words)],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if int(importlib.metadata.version("setuptools").split(".")[0]) < SETUPTOOLS:
        pytest.skip(f"building needs setuptools {SETUPTOOLS} in this environment; the extra dev brings it")
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", made, source)
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (own,) = (place / "lib").glob("python*/site-packages")
    # behind its own folder, and as a plain folder: the editable animeset in there is not looked at
    (own / "others.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JUPYTER_TOKEN")}
    environment |= {"JUPYTER_PATH": str(Path(sys.prefix, "share", "jupyter")), "COLUMNS": "400"}  # Voila's templates
    return Installed(python, environment)


def pip(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_page_and_the_notebooks_travel_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for file in [ROOT / "dashboard.ipynb", ROOT / "voila.json", *(ROOT / "notebooks").glob("*.ipynb")]:
            assert archive.read(f"animeset_lib/page/{file.relative_to(ROOT).as_posix()}") == file.read_bytes()
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"animeset_lib", "animeset_demo"}


def test_the_page_opens_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    project = tmp_path / "films"
    project.mkdir()
    assert Path(
        installed.run(project, "-c", "import animeset_lib; print(animeset_lib.__file__)").strip()
    ).is_relative_to(installed.python.parents[1])
    with served(project, installed.python, installed.environment) as server:
        where = urlsplit(server.base)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)
        connection.request("GET", f"/voila/render/dashboard.ipynb?token={server.token}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200
        assert b"Traceback" not in body
        (kernel,) = (
            one for one in psutil.Process(server.process.pid).children() if "ipykernel_launcher" in one.cmdline()
        )
        assert kernel.cmdline()[0] == str(installed.python)
        assert kernel.cwd() == str(project)
        assert names(project) <= {server.log.name}, "nothing is made before it is needed"
        if os.environ.get("ANIMESET_BROWSER_TESTS") == "1":
            _upload(server, make_film(tmp_path / "film.mp4", seconds=4))
            assert (project / "input" / "film.mp4").is_file()
            assert names(project) <= {server.log.name, "input", "work", "output", "logs"}


def _upload(server: Any, film: Path) -> None:
    with browser() as one, opened(one, server) as page:
        page.tab.set_input_files("#film-file", str(film))
        page.tab.wait_for_selector(f'.films input[value="{film.name}"]:checked')


FIRST_CELLS = """
import nbformat, sys
from nbclient import NotebookClient
for name in sys.argv[1:]:
    notebook = nbformat.read(name, as_version=4)
    nbformat.validate(notebook)
    if not name.startswith(("00", "07")):  # opening them is enough: all begin alike, and a kernel takes seconds
        continue
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    notebook.cells = [*notebook.cells[: code[1] + 1], nbformat.v4.new_code_cell("import animeset_lib; print(animeset_lib.__file__)")]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    print(name, notebook.cells[-1].outputs[0].text.strip())
"""


@pytest.mark.exhaustive
def test_notebooks_are_laid_out_and_run(installed: Installed, tmp_path: Path) -> None:
    said = installed(tmp_path, "notebooks", "x")
    there = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert names(tmp_path) == {"x"}
    assert names(tmp_path / "x") == set(there)
    assert f"{installed.python} -m jupyterlab" in said
    ran = installed.run(tmp_path / "x", "-c", FIRST_CELLS, *there).splitlines()
    assert [line.split()[0] for line in ran] == ["00_tour.ipynb", "07_dataset.ipynb"]
    assert all(Path(line.split()[1]).is_relative_to(installed.python.parents[1]) for line in ran)
    assert (tmp_path / "x" / "input" / "demo-short.mp4").is_file()


def test_a_film_is_drawn_and_run(installed: Installed, tmp_path: Path) -> None:
    installed(tmp_path, "demo-film", "--length", 6, "--width", 480, "--height", 270, "--fps", 12, "film.mp4")
    assert "Zip:" in installed(tmp_path, "run", "--preset", "draft", "film.mp4")
    assert (tmp_path / "output" / "film.zip").is_file()


def test_messages_name_commands_that_hold_without_a_clone(installed: Installed, tmp_path: Path) -> None:
    said = installed(tmp_path, "doctor", "--device", "cpu") + installed(tmp_path, "models", "list")
    assert "constraints.txt" not in said
    assert '-m pip install "animeset[torch]"' in said.replace("\n", " ")
