"""Who may import whom, read from the syntax trees."""

from __future__ import annotations

import ast
import re
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

# Room → the other rooms of ours it may import. A longer path is a room of its own; every file is in one.
ALLOWED: dict[str, set[str]] = {
    "__init__": {"explore"},
    "__main__": {"cli"},
    "errors": set(),
    "shipped": {"errors"},
    "system": set(),
    "records": set(),
    "settings": {"errors"},
    "media": {"errors", "records", "system"},
    "ahead": set(),
    "console": set(),
    "models.api": {"records"},
    "models": {"shipped", "system", "ahead", "errors", "records", "models.api"},
    "run.stage": {"errors", "records", "models.api"},
    "run": {"system", "errors", "records", "models.api", "run.stage"},
    "tags": {"errors", "settings"},
    "stages": {
        "system",
        *("ahead", "errors", "records", "settings", "media", "models.api"),
        *("review", "review.traits", "run.stage", "tags"),
    },
    "pipeline": {
        "cast_pack",
        *("errors", "records", "settings", "media", "models", "models.api", "run", "run.stage"),
        *("stages", "review.hand_captions"),
    },
    "stages_on_disk": {"pipeline", "run", "run.stage", "stages"},
    "cast_pack": {"system", "ahead", "errors", "media", "records", "run", "run.stage", "stages"},
    "export": {"system", "errors", "media", "records", "run", "stages", "tags"},
    "review": {"system", "errors", "records", "run"},
    "review.sorting": {"errors", "records", "review", "run.stage", "stages"},
    "review.deciding": {"cast_pack", "errors", "review", "review.sorting", "stages"},
    "review.lens": {
        "shipped",
        "cast_pack",
        *("errors", "records", "review", "review.captions", "review.sorting"),
        *("run", "run.stage", "stages", "stages_on_disk"),
    },
    "review.captions": {"system", "errors", "review.traits", "run", "settings", "tags"},
    "review.traits": {"errors", "run", "tags"},
    "review.hand_captions": {"errors", "review.captions", "run", "settings", "tags"},
    "demo": {"errors", "records", "media"},
    "dashboard": {
        "shipped",
        "cast_pack",
        "system",
        *("errors", "export", "media", "pipeline", "records", "review", "review.captions", "review.sorting"),
        *("run", "run.stage", "settings", "stages", "stages_on_disk", "tags"),
    },
    "explore": {
        "shipped",
        "system",
        "cast_pack",
        *("__init__", "ahead", "console", "dashboard", "demo", "errors", "export", "media", "models", "pipeline"),
        *("records", "review", "review.captions", "review.lens", "review.traits", "run", "run.stage"),
        *("settings", "stages", "tags"),
    },
    "commands": {
        "shipped",
        *("errors", "export", "models", "pipeline", "review.captions", "review.traits", "run", "settings"),
        *("stages", "stages_on_disk", "tags"),
    },
    "cli": {
        *("__init__", "commands", "console", "dashboard", "demo", "errors", "media", "models", "pipeline"),
        *("review.deciding", "review.lens", "run", "settings"),
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
    "imageio_ffmpeg": {"media.py"},
    "ffmpeg": set(),
    "huggingface_hub": {"models/download.py"},
    "pooch": {"models/weights.py"},
    "requests": {"models/download.py"},
    "httpx": set(),
    "urllib": {"explore/readme.py", "models/weights.py"},
    "socket": set(),
    "ftplib": set(),
    "pandas": {"explore/picture_table.py"},
    "matplotlib": {"explore/plots.py"},
    "IPython": {"explore/bars.py"},
}


DELETING = {"rmtree", "unlink", "rmdir", "removedirs", "remove_tree"}
"""Whatever they are called on. `remove` alone is a list's, so that one is known by where it comes from: `os`."""
MAY_DELETE = {
    "cast_pack.py",
    *("run/store.py", "run/lock.py", "run/publish.py", "pipeline.py", "media.py"),
    *("models/weights.py", "models/download.py"),  # in the folder of downloads, which is its own
    "dashboard/receiving.py",  # in `.upload` of the folder that receives
    "export/write.py",  # the folder it is about to write anew
}


def _files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _room(name: str) -> str | None:
    """The room of a dotted name below `animeset_lib` (`models.api.Tagger`): the longest path that has an entry."""
    parts = name.split(".")
    return next((room for n in range(len(parts), 0, -1) if (room := ".".join(parts[:n])) in ALLOWED), None)


def _used(place: str, tree: ast.AST) -> set[str]:
    """Every dotted name a file imports or reaches by an imported one: `animeset_lib.run.store.sync`, `shutil.rmtree`."""
    package = ["animeset_lib", *place.split("/")[:-1]]
    known: dict[str, str] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
            known |= {alias.asname: alias.name for alias in node.names if alias.asname}
            known |= {name: name for alias in node.names if not alias.asname and (name := alias.name.split(".")[0])}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            used |= {f"{module}.{alias.name}" for alias in node.names}
            known |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used |= set(re.findall(r"^animeset_lib(?:\.\w+)+$", node.value))  # imported by name, later
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            used |= set(re.findall(r"^f?['\"]([\w.]+)", ast.unparse(node.args[0])))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            root, _, rest = ast.unparse(node).partition(".")
            used |= {f"{known[root]}.{rest}"} if root in known else set()
    return used


def _reaches_too_far(place: str, source: str) -> set[str]:
    """The rooms and packages this file uses though it may not."""
    room = _room(place.removesuffix(".py").replace("/", "."))
    assert room is not None, f"{place} has no entry in ALLOWED"
    names = _used(place, ast.parse(source))
    ours = {_room(name.partition(".")[2]) or "__init__" for name in names if name.split(".")[0] == "animeset_lib"}
    packages = {name.split(".")[0] for name in names}
    return (ours - {room} - ALLOWED[room]) | {one for one in packages & ONLY_IN.keys() if place not in ONLY_IN[one]}


def _deletes(place: str, source: str) -> set[str]:
    """The words by which this file deletes: attributes, imported names and those fetched by `getattr`."""
    tree = ast.parse(source)
    words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used = _used(place, tree)
    words |= {name.split(".")[-1] for name in used}
    return (words & DELETING) | (used & {"os.remove"})


@pytest.mark.parametrize("path", _files(), ids=_place)
def test_rooms_import_only_their_neighbours(path: Path) -> None:
    assert _reaches_too_far(_place(path), path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", _files(), ids=_place)
def test_only_the_store_deletes_below_work(path: Path) -> None:
    found = _deletes(_place(path), path.read_text(encoding="utf-8"))
    assert bool(found) == (_place(path) in MAY_DELETE), f"{_place(path)} deletes by {found or 'nothing any more'}"


@pytest.mark.parametrize(
    ("place", "source", "found"),
    [
        ("tags/x.py", "import animeset_lib.cli", "cli"),
        ("tags/x.py", "from animeset_lib import cli", "cli"),
        ("tags/x.py", "from animeset_lib import open_run", "__init__"),
        ("tags/x.py", "from animeset_lib.cli import main", "cli"),
        ("tags/x.py", "from ..cli import main", "cli"),
        ("tags/x.py", "from .. import cli", "cli"),
        ("tags/x.py", "def later():\n    from animeset_lib.cli import main", "cli"),
        ("tags/x.py", "import importlib\nimportlib.import_module('animeset_lib.cli')", "cli"),
        ("tags/x.py", "LATER = 'animeset_lib.cli'", "cli"),
        ("tags/x.py", "import animeset_lib.settings\nanimeset_lib.cli.main()", "cli"),
        ("tags/x.py", "import animeset_lib.settings as s, animeset_lib as a\na.cli.main()", "cli"),
        ("stages/x.py", "from animeset_lib.models import zoo", "models"),
        ("stages/x.py", "from animeset_lib.run import store", "run"),
        ("stages/x.py", "from animeset_lib import review\nreview.lens.Lens()", "review.lens"),
        ("tags/x.py", "import av", "av"),
        ("tags/x.py", "import av.video as a", "av"),
        ("tags/x.py", "from av import open", "av"),
        ("tags/x.py", "from importlib import import_module\nimport_module('av')", "av"),
        ("tags/x.py", "__import__(f'av.{1}')", "av"),
    ],
)
def test_who_reaches_too_far_is_found(place: str, source: str, found: str) -> None:
    assert found in _reaches_too_far(place, source)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (
            "tags/x.py",
            "from animeset_lib.tags import y\nfrom .line import z\nfrom animeset_lib.settings import Settings",
        ),
        ("stages/x.py", "from animeset_lib.models import api\nfrom animeset_lib.run.stage import Output"),
        ("stages/x.py", "available = 1\navailable.cli()\ntext = 'animeset_lib reads av'"),
        ("media.py", "import av\nfrom . import errors"),
    ],
)
def test_neighbours_are_no_finding(place: str, source: str) -> None:
    assert _reaches_too_far(place, source) == set()


def test_a_file_without_an_entry_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"attic/x.py has no entry"):
        _reaches_too_far("attic/x.py", "")


@pytest.mark.parametrize(
    "source",
    [
        "import shutil\nshutil.rmtree(p)",
        "import shutil as s\ns.rmtree(p)",
        "from shutil import rmtree\nrmtree(p)",
        "from shutil import rmtree as tidy\ntidy(p)",
        "path.unlink()",
        "list(map(Path.rmdir, paths))",
        "import os\nos.remove(p)",
        "from os import remove\nremove(p)",
        "from os import remove as tidy\ntidy(p)",
        "getattr(os, 'unlink')(p)",
        "from animeset_lib.run.store import remove_tree as tidy\ntidy(p)",
    ],
)
def test_who_deletes_is_found(source: str) -> None:
    assert _deletes("tags/x.py", source)


def test_a_list_that_shrinks_deletes_nothing() -> None:
    assert _deletes("tags/x.py", "names.remove('a')\ndel names[0]\ntext = 'unlink it'") == set()


WIDGETS = {"dashboard/section.py", "dashboard/view.py", "dashboard/upload.py"}
"""Who speaks with the browser, in the kernel's main thread; `app.py` is the server's."""


ONLY_WITH_WIDGETS = ("ipywidgets", "ipyvue", "traitlets", "jupyter_server", "voila", "IPython", "tornado")


def _dashboard() -> list[Path]:
    return [path for path in _files() if path.relative_to(ROOT).parts[0] == "dashboard"]


@pytest.mark.parametrize("path", _dashboard(), ids=lambda p: p.name)
def test_what_the_page_shows_is_made_without_widgets_and_threads(path: Path) -> None:
    place = _place(path)
    if place in WIDGETS | {"dashboard/app.py"}:
        return
    found = _used(place, ast.parse(path.read_text(encoding="utf-8")))
    packages = {module.split(".")[0] for module in found}
    forbidden = {"threading", "asyncio", "concurrent", "multiprocessing", *ONLY_WITH_WIDGETS}
    if place == "dashboard/pictures.py":
        assert "threading.Thread" not in found
        forbidden -= {"threading"}  # a lock around its memory, for the view asks from two threads; it starts none
    assert not packages & forbidden, f"{place} imports {packages & forbidden}"
    above = {f"animeset_lib.{one.removesuffix('.py').replace('/', '.')}" for one in WIDGETS}
    reached = {name for name in found if any(f"{name}.".startswith(f"{one}.") for one in above)}
    assert not reached, f"{place} reaches up to {reached}"


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


CODE = [
    path
    for folder in ("animeset_lib", "benchmarks", "tests", "training")
    for path in (ROOT.parent / folder).rglob("*.py")
]


def _foreign_ffmpegs(source: str) -> list[str]:
    """The places that would run whatever ffmpeg or ffprobe the system has: a bare name as an argument or first in a command, and
    ffmpeg-python without `cmd=ffmpeg_exe()`."""
    tree = ast.parse(source)
    with_library = "ffmpeg" in _used("", tree)
    found = []
    for node in ast.walk(tree):
        words = [*node.args, *(k.value for k in node.keywords)] if isinstance(node, ast.Call) else []
        words += node.elts[:1] if isinstance(node, ast.List | ast.Tuple) else []
        programs = [w.value.split()[:1] for w in words if isinstance(w, ast.Constant) and isinstance(w.value, str)]
        if ["ffmpeg"] in programs or ["ffprobe"] in programs:
            found.append(ast.unparse(node))
        if with_library and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            run_by_library = node.func.attr in {"run", "run_async", "compile"}
            if run_by_library and ast.unparse(node.func.value) not in {"subprocess", "re"}:
                cmd = [ast.unparse(k.value) for k in node.keywords if k.arg == "cmd"]
                if cmd != ["ffmpeg_exe()"]:
                    found.append(ast.unparse(node))
            if ast.unparse(node.func) == "ffmpeg.probe":
                found.append(ast.unparse(node))
    return found


def test_nobody_runs_the_systems_ffmpeg() -> None:
    found = {path.relative_to(ROOT.parent).as_posix(): _foreign_ffmpegs(path.read_text("utf-8")) for path in CODE}
    del found["tests/test_rooms.py"]  # the examples below
    assert {path: places for path, places in found.items() if places} == {}


@pytest.mark.parametrize(
    "source",
    [
        "shutil.which('ffmpeg')",
        "subprocess.run(['ffmpeg', '-i', film])",
        "os.system('ffmpeg -version')",
        "command = ['ffprobe', film]",
        "import ffmpeg\nffmpeg.input(a).output(b).run(quiet=True)",
        "import ffmpeg\nffmpeg.input(a).output(b).compile(cmd='ffmpeg')",
        "import ffmpeg\nffmpeg.probe(a)",
    ],
)
def test_the_systems_ffmpeg_is_noticed(source: str) -> None:
    assert _foreign_ffmpegs(source)
