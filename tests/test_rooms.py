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
    "pandas",
    "matplotlib",
    "IPython",
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
    "tags": {"errors", "settings", "tags"},
    "stages": {
        "ahead",
        "errors",
        "records",
        "settings",
        "media",
        "models.api",
        "review",
        "review.traits",
        "run.stage",
        "stages",
        "tags",
    },
    "export": {"errors", "export", "media", "records", "run", "stages", "tags"},
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
    "stages_on_disk": {"pipeline", "run", "run.stage", "stages"},
    "review.captions": {"errors", "review.traits", "run", "settings", "tags"},
    "review.traits": {"errors", "run", "tags"},
    "review.hand_captions": {"errors", "review.captions", "run", "settings", "tags"},
    "demo": {"errors", "records", "demo", "media"},
    "explore": {
        *("ahead", "console", "dashboard", "demo", "errors", "explore", "media", "models", "pipeline"),
        *("records", "review", "review.captions", "review.traits", "run", "run.stage", "settings", "stages"),
        *("export", "tags"),
    },
}
ONLY_IN = {
    "fiftyone": {"review/lens.py"},
    "ipywidgets": {"dashboard/view.py", "dashboard/upload.py", "dashboard/section.py"},
    "ipyvue": {"dashboard/view.py", "dashboard/upload.py", "dashboard/section.py"},
    "traitlets": {"dashboard/view.py", "dashboard/upload.py", "dashboard/section.py", "dashboard/app.py"},
    "jupyter_server": {"dashboard/app.py"},
    "voila": {"dashboard/app.py"},
    "tornado": {"dashboard/app.py"},
    "av": {"media.py", "demo/film.py"},
    "huggingface_hub": {"models/download.py"},
    "pooch": {"models/weights.py"},
    "requests": {"models/download.py"},
    "httpx": set(),
    "urllib": {"models/weights.py"},
    "socket": set(),
    "ftplib": set(),
    "pandas": {"explore/picture_table.py"},
    "matplotlib": {"explore/plots.py"},
    "IPython": {"explore/bars.py"},
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


WIDGETS = {"dashboard/section.py", "dashboard/view.py", "dashboard/upload.py"}
"""Who speaks with the browser, in the kernel's main thread; `app.py` is the server's."""


ONLY_WITH_WIDGETS = ("ipywidgets", "ipyvue", "traitlets", "jupyter_server", "voila", "IPython", "tornado")


def _dashboard() -> list[Path]:
    return [path for path in _files() if path.relative_to(ROOT).parts[0] == "dashboard"]


@pytest.mark.parametrize("path", _dashboard(), ids=lambda p: p.name)
def test_what_the_page_shows_is_made_without_widgets_and_threads(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    if place in WIDGETS | {"dashboard/app.py"}:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = _imports(tree)
    packages = {module.split(".")[0] for module in found}
    forbidden = {"threading", "asyncio", "concurrent", "multiprocessing", *ONLY_WITH_WIDGETS}
    if place == "dashboard/pictures.py":
        assert "threading.Thread" not in ast.unparse(tree)
        forbidden -= {"threading"}  # a lock around its memory, for the view asks from two threads; it starts none
    assert not packages & forbidden, f"{place} imports {packages & forbidden}"
    ours = {f"animeset_lib.{one.removesuffix('.py').replace('/', '.')}" for one in WIDGETS}
    assert not found & ours, f"{place} reaches up to {found & ours}"


def test_only_the_command_line_and_the_notebooks_build_on_the_dashboard() -> None:
    found = set()
    for path in _files():
        modules = _imports(ast.parse(path.read_text(encoding="utf-8")))
        if any(module.split(".")[:2] == ["animeset_lib", "dashboard"] for module in modules):
            found.add(path.relative_to(ROOT).as_posix())
    assert {place for place in found if not place.startswith(("dashboard/", "explore/"))} == {"cli.py"}


def test_importing_the_view_model_loads_no_widgets_and_no_server() -> None:
    import subprocess
    import sys

    code = (
        f"import sys, animeset_lib.dashboard.view_model; print([m for m in {ONLY_WITH_WIDGETS!r} if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = f"import sys, animeset_lib.cli.main; print(sorted(m for m in {HEAVY!r} if m in sys.modules))"
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
