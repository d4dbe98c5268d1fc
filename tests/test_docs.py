"""What the documents say, compared with the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

import animeset_lib
from animeset_lib.cli.main import app
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.settings import describe, load_settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
DOC = pytest.mark.parametrize("doc", DOCS, ids=lambda path: path.name)
LONGEST = 140
SETTINGS = {f"{row['section']}.{row['name']}" for row in describe()}
STAGES = [stage.name for stage in PIPELINE.values()]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def text_of(doc: Path) -> str:
    return doc.read_text(encoding="utf-8")


def _code(doc: Path) -> Iterator[str]:
    """What stands between backticks, and the lines of blocks of code without their comments."""
    parts = re.split(r"^```\w*\n(.*?)^```$", text_of(doc), flags=re.MULTILINE | re.DOTALL)
    for place, part in enumerate(parts):
        if place % 2:
            yield from (re.sub(r"\s+#.*", "", line) for line in part.splitlines())
        else:
            yield from re.findall(r"`([^`\n]+)`", part)


# ----------------------------------------------------------------------------------------------------------- README


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= LONGEST


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / target).resolve() for target in _links(README)}
    assert {doc for doc in DOCS if doc != README and doc.resolve() not in linked} == set()


# ---------------------------------------------------------------------------------------------------------- commands


@cache
def _commands() -> dict[str, dict[str, object]]:
    """Command → its own commands, none for most."""
    return {name: getattr(one, "commands", {}) for name, one in typer.main.get_command(app).commands.items()}  # type: ignore[attr-defined]


@cache
def _options() -> set[str]:
    def options(command: object) -> Iterator[str]:
        for one in getattr(command, "commands", {}).values():
            yield from options(one)
        for parameter in getattr(command, "params", ()):
            yield from (*parameter.opts, *parameter.secondary_opts)

    return set(options(typer.main.get_command(app)))


def test_every_command_is_on_its_page() -> None:
    page = text_of(ROOT / "docs" / "command-line.md")
    for name in _commands():
        assert re.search(rf"^\|[^|]*`{name}[ `]", page, re.MULTILINE), f"command-line.md says nothing of `{name}`"


@DOC
def test_commands_exist(doc: Path) -> None:
    known = _commands()
    for line in _code(doc):
        words = re.findall(
            r"(?:^|[/\s])animeset ([a-z][a-z-]*)(?: ([^\s`]+))?(?: ([a-z-]+))?", line.replace("pipx install", "")
        )
        for name, second, third in words:
            assert name in known, f"`{line}`: no command {name}"
            inner = third if name == "captions" else second
            if known[name] and inner:
                assert inner in known[name], f"`{line}`: {name} has no {inner}"


@DOC
def test_options_exist(doc: Path) -> None:
    foreign = (
        "pip ",
        "pipx ",
        "conda ",
        "python -m pip",
        "command:",
        "--allow-root",
        "--dist",
        "--no-deps",
        "--editable",
    )
    for line in _code(doc):
        if any(word in line for word in foreign):
            continue
        missing = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) - _options() - {"--help"}
        assert not missing, f"`{line}`: no command has {missing}"


# -------------------------------------------------------------------------------------------------- stages, settings


def test_every_stage_is_in_the_table_in_order() -> None:
    assert re.findall(r"^\| `(\d\w*_\w+)` \|", text_of(ROOT / "docs" / "architecture.md"), re.MULTILINE) == STAGES


@DOC
def test_stages_exist(doc: Path) -> None:
    named = {name for code in _code(doc) for name in re.findall(r"(?<![\w/.])\d[a-d]?_[a-z]+\b(?!\.ipynb|_)", code)}
    assert named - set(STAGES) == set()


@DOC
def test_settings_exist(doc: Path) -> None:
    sections = "|".join(PIPELINE)
    for code in _code(doc):
        for name in re.findall(rf"(?<![\w./-])((?:{sections})\.[a-z]\w*)(?![\w(/])", code):
            if Path(name).suffix not in (".py", ".jsonl", ".md", ".json", ".toml", ".mkv"):
                assert name in SETTINGS, f"{doc.name} names the setting {name}"


@DOC
def test_values_of_settings_are_in_range(doc: Path) -> None:
    assigned = [a for a in re.findall(r"--set (\w+\.\w+=[\w.]+)", text_of(doc)) if not a.startswith("stage.key")]
    load_settings(assignments=assigned)


# ------------------------------------------------------------------------------------------------------ make, links


@DOC
def test_make_targets_exist(doc: Path) -> None:
    for code in _code(doc):
        for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", code):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{doc.name} names `make {target}`"


def test_every_target_is_told() -> None:
    page = text_of(ROOT / "docs" / "command-line.md")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert [target for target in phony.split() if target != "help" and f"`make {target}`" not in page] == []


def _links(doc: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", text_of(doc), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    return [target for target in found if not target.startswith("https://")]


@DOC
def test_links_and_pictures_resolve(doc: Path) -> None:
    for target in _links(doc):
        place, _, _ = target.partition("#")
        assert not place.startswith("/"), f"{doc.name}: {target} is not relative"
        assert (doc.parent / place).exists(), f"{doc.name} links to {target}"


def test_every_room_has_a_row() -> None:
    top = Path(animeset_lib.__file__).parent
    rooms = {path.name for path in top.glob("*.py")} | {f"{path.parent.name}/" for path in top.glob("*/__init__.py")}
    page = text_of(ROOT / "docs" / "architecture.md")
    (table,) = re.findall(r"^\| room \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    rows = {
        name for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
    }
    assert rooms - rows == set()


# ------------------------------------------------------------------------------------------------------ requirements


def _project() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {_name(line) for line in lines if line and not line.startswith("#")}
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    for extra, requirements in _project().items():
        missing = {_name(r) for r in requirements} - pinned - {"animeset"}
        assert not missing, f"constraints.txt does not pin {missing} of extra '{extra}'"


def test_conda_environment_has_what_the_page_and_the_notebooks_need_with_the_same_pins() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert re.search(r"^  - python=3\.1[123]$", text, re.MULTILINE)
    assert "      - --constraint constraints.txt\n" in text
    (extras,) = re.findall(r"^      - --editable \.\[([\w,]+)\]$", text, re.MULTILINE)
    reached = {_name(one) for extra in ("", *extras.split(",")) for one in _project()[extra]}
    needed = {
        *("jupyterlab", "voila", "ipywidgets", "ipyvue", "pandas", "matplotlib", "fiftyone"),
        *("torch", "torchvision", "open-clip-torch", "umap-learn", "ultralytics", "spandrel"),
        *("onnxruntime", "ffmpeg-python", "imagehash"),
    }
    assert needed - reached == set()
