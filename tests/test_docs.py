"""What the documents say, compared with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import typer

from animeset_lib.cli.main import app
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.settings import load_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _project() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_every_command_is_in_the_readme() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {
        "run",
        "dashboard",
        "decide",
        "export",
        "lint",
        "captions",
        "traits",
        "lens",
        "status",
        "cancel",
        "clean",
        "doctor",
        "settings",
        "models",
        "demo-film",
        "notebooks",
    } == set(commands)
    for name in commands:
        assert re.search(rf"`{name}[ `]", README), f"README says nothing of `{name}`"


def test_every_stage_is_in_the_readme_in_order() -> None:
    named = re.findall(r"^\| `(\d\w*_\w+)` \|", README, re.MULTILINE)
    assert named == [stage.name for stage in PIPELINE.values()]


def test_settings_in_the_readme_exist_and_are_in_range() -> None:
    assignments = [a for a in re.findall(r"--set (\w+\.\w+=[\w.]+)", README) if not a.startswith("stage.key")]
    assert len(assignments) >= 3
    load_settings(assignments=assignments)


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {_name(line) for line in lines if line and not line.startswith("#")}
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    for extra, requirements in _project().items():
        missing = {_name(r) for r in requirements} - pinned - {"animeset"}
        assert not missing, f"constraints.txt does not pin {missing} of extra '{extra}'"


def test_conda_environment_installs_the_project_with_the_same_pins() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert re.search(r"^  - python=3\.1[123]$", text, re.MULTILINE)
    assert "- --constraint constraints.txt" in text
    assert "- --editable ." in text


def test_makefile_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README names `make {target}`"
