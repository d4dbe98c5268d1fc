"""Who may import whom, read from the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import animeset_lib

ROOT = Path(animeset_lib.__file__).parent
HEAVY = {
    "torch",
    "torchvision",
    "huggingface_hub",
    "pooch",
    "requests",
    "spandrel",
    "mediapipe",
    "ultralytics",
    "open_clip",
    "umap",
    "hdbscan",
    "fiftyone",
    "ncnn",
    "av",
    "onnxruntime",
    "animeface",
}

# Room → the rooms of ours it may import. A longer path is a room of its own.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "records": set(),
    "settings": {"errors"},
    "media": {"errors", "records"},
    "ahead": set(),
    "models.api": {"records"},
    "models": {"ahead", "errors", "records", "models", "models.api"},
    "run": {"errors", "records", "models.api", "run"},
    "stages": {"ahead", "errors", "records", "settings", "media", "models.api", "review", "run.stage", "stages"},
    "review": {"errors", "records", "review", "run"},
    "review.sorting": {"errors", "records", "review", "run.stage", "stages"},
    "review.deciding": {"errors", "review", "review.sorting", "run.stage", "stages", "stages_on_disk"},
    "review.lens": {
        "errors",
        "records",
        "review",
        "review.captions",
        "review.sorting",
        "run",
        "run.stage",
        "stages",
        "stages_on_disk",
    },
    "stages_on_disk": {"run", "run.stage", "stages"},
    "review.captions": {"errors", "run"},
    "demo": {"errors", "records", "demo", "media"},
}
ONLY_IN = {
    "fiftyone": {"review/lens.py"},
    "ipywidgets": {"dashboard/view.py", "dashboard/upload.py"},
    "av": {"media.py", "demo/film.py"},
    "huggingface_hub": {"models/download.py"},
    "pooch": {"models/weights.py"},
    "requests": {"models/download.py"},
    "httpx": set(),
    "urllib": {"models/weights.py"},
    "socket": set(),
    "ftplib": set(),
}


def _files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def _room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts)
    return name if name in ALLOWED else parts[0]


def _imports(tree: ast.AST, top_only: bool = False) -> set[str]:
    nodes = tree.body if top_only and isinstance(tree, ast.Module) else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "animeset_lib"
                else {node.module}
            )
    return found


def _room_of_import(module: str) -> str:
    name = module.removeprefix("animeset_lib.")
    for length in (2, 1):
        candidate = ".".join(name.split(".")[:length])
        if candidate in ALLOWED or candidate == "run.stage":
            return candidate
    return name.split(".")[0]


@pytest.mark.parametrize("path", _files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_their_neighbours(path: Path) -> None:
    room = _room(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if room in ALLOWED:
        ours = {_room_of_import(m) for m in _imports(tree) if m.startswith("animeset_lib.")}
        if room == "run":
            ours.discard("run.stage")
        assert ours <= ALLOWED[room], f"{path.name} reaches into {sorted(ours - ALLOWED[room])}"
    everywhere = {m.split(".")[0] for m in _imports(tree)}
    for module, places in ONLY_IN.items():
        if module in everywhere:
            assert path.relative_to(ROOT).as_posix() in places, f"{module} belongs into {places}"


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = f"import sys, animeset_lib.cli; print(sorted(m for m in {HEAVY!r} if m in sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_only_the_store_deletes_below_work() -> None:
    words = {"rmtree", "unlink", "rmdir", "remove_tree"}
    allowed = {"run/store.py", "run/lock.py", "run/publish.py", "pipeline.py", "cli.py", "media.py"}
    allowed |= {"models/weights.py", "models/download.py"}  # in the folder of downloads, which is its own
    allowed |= {"dashboard/receiving.py"}  # in `.upload` of the folder that receives
    for path in _files():
        relative = path.relative_to(ROOT).as_posix()
        called = {n.attr for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Attribute)}
        assert relative in allowed or not called & words, f"{relative} deletes files: {called & words}"
