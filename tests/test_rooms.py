"""Who may import whom, read from the syntax trees."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
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
    "fiftyone",
    "onnx",
    "openvino",
    "av",
    "onnxruntime",
    "animeface",
    "pandas",
    "matplotlib",
    "IPython",
}

ORDER = (
    *(
        "records",
        "errors",
        "settings",
        "system",
        "shipped",
        "wording",
        "templates",
        "prefetch",
        "media",
        "animeset_demo",
        "console",
    ),
    *("models", "run", "frames", "cast", "pictures", "words", "dataset", "published", "export"),
    *("pipeline", "dashboard", "notebook", "__init__", "cli", "__main__"),
)
"""The rooms: a folder, or a file beside them. Each imports only those before it; `__init__` is what the package itself offers."""
ONLY_IN = {
    "animeset_demo": {"notebook/demo.py", "cli/machine.py"},
    "fiftyone": {"notebook/fiftyone_lens.py"},
    "ipywidgets": {"dashboard/view.py"},
    "ipyvue": {"dashboard/section.py"},
    "traitlets": {"dashboard/view.py", "dashboard/section.py", "dashboard/app.py"},
    "jupyter_server": {"dashboard/app.py"},
    "voila": {"dashboard/app.py"},
    "tornado": {"dashboard/app.py"},
    "av": {
        "media/reader.py",
        "media/colour.py",
        "media/fields.py",
        "media/clock.py",
        "media/movie_frame.py",
        "media/tracks.py",
        "animeset_demo/film.py",
    },
    "imageio_ffmpeg": {"media/ffmpeg.py"},
    "ffmpeg": set(),
    "huggingface_hub": {"models/download.py"},
    "pooch": {"models/weights.py"},
    "requests": {"models/download.py"},
    "httpx": set(),
    "urllib": {"notebook/readme.py", "models/weights.py"},
    "socket": set(),
    "ftplib": set(),
    "pandas": {"notebook/picture_table.py"},
    "matplotlib": {"notebook/figures.py"},
    "IPython": {"notebook/bars.py"},
}


DELETING = {"rmtree", "unlink", "rmdir", "removedirs", "remove_tree"}
"""Whatever they are called on. `remove` alone is a list's, so that one is known by where it comes from: `os`."""
MAY_DELETE = {
    *("run/store.py", "run/lock.py", "published/publish.py", "media/pictures.py"),
    *("pipeline/run.py", "pipeline/clean.py", "pipeline/cast_pack.py"),
    # in the folder of downloads, which is its own, and a bundle that did not get whole
    *("models/weights.py", "models/download.py", "models/bundle.py"),
    "dashboard/receiving.py",  # in `.upload` of the folder that receives
    "export/write.py",  # the folder it is about to write anew
}


def _files() -> list[Path]:
    return [path for root in (ROOT, ROOT.parent / "animeset_demo") for path in sorted(root.rglob("*.py"))]


def _place(path: Path) -> str:
    return path.relative_to(ROOT if path.is_relative_to(ROOT) else ROOT.parent).as_posix()


def _room(place: str) -> str:
    return place.split("/")[0].removesuffix(".py")


def _room_of_name(name: str) -> str:
    """Of a dotted name of ours: `run` for `animeset_lib.run.store.sync`, `__init__` for `animeset_lib.open_run`."""
    package, _, rest = name.partition(".")
    room = package if package == "animeset_demo" else rest.partition(".")[0]
    return room if room in ORDER else "__init__"


def _used(place: str, tree: ast.AST) -> set[str]:
    """Every dotted name a file imports or reaches by an imported one: `animeset_lib.run.store.sync`, `shutil.rmtree`."""
    package = [*([] if _room(place) == "animeset_demo" else ["animeset_lib"]), *place.split("/")[:-1]]
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
    room = _room(place)
    assert room in ORDER, f"{place} has no entry in ORDER"
    names = _used(place, ast.parse(source))
    ours = {_room_of_name(name) for name in names if name.split(".")[0] in ("animeset_lib", "animeset_demo")}
    packages = {name.split(".")[0] for name in names}
    only = {one for one in packages & ONLY_IN.keys() if place not in ONLY_IN[one]}
    return (ours - set(ORDER[: ORDER.index(room) + 1])) | (only - {room})


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
def test_rooms_import_only_those_before_them(path: Path) -> None:
    assert _reaches_too_far(_place(path), path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", _files(), ids=_place)
def test_only_the_store_deletes_below_work(path: Path) -> None:
    found = _deletes(_place(path), path.read_text(encoding="utf-8"))
    assert bool(found) == (_place(path) in MAY_DELETE), f"{_place(path)} deletes by {found or 'nothing any more'}"


@pytest.mark.parametrize(
    ("place", "source", "found"),
    [
        ("words/x.py", "import animeset_lib.cli", "cli"),
        ("words/x.py", "from animeset_lib import cli", "cli"),
        ("words/x.py", "from animeset_lib import open_run", "__init__"),
        ("words/x.py", "from animeset_lib.cli import main", "cli"),
        ("words/x.py", "from ..cli import main", "cli"),
        ("words/x.py", "from .. import cli", "cli"),
        ("words/x.py", "def later():\n    from animeset_lib.cli import main", "cli"),
        ("words/x.py", "import importlib\nimportlib.import_module('animeset_lib.cli')", "cli"),
        ("words/x.py", "LATER = 'animeset_lib.cli'", "cli"),
        ("words/x.py", "import animeset_lib.settings\nanimeset_lib.cli.main()", "cli"),
        ("words/x.py", "import animeset_lib.settings as s, animeset_lib as a\na.cli.main()", "cli"),
        ("frames/x.py", "from animeset_lib.cast import tracks", "cast"),
        ("run/x.py", "from animeset_lib import pictures\npictures.crop.CropStage()", "pictures"),
        ("models/x.py", "if TYPE_CHECKING:\n    from animeset_lib.run.stage import Stage", "run"),
        ("animeset_demo/x.py", "from animeset_lib.models import api", "models"),
        ("words/x.py", "from animeset_demo.film import render_demo_film", "animeset_demo"),
        ("words/x.py", "import av", "av"),
        ("words/x.py", "import av.video as a", "av"),
        ("words/x.py", "from av import open", "av"),
        ("words/x.py", "from importlib import import_module\nimport_module('av')", "av"),
        ("words/x.py", "__import__(f'av.{1}')", "av"),
    ],
)
def test_who_reaches_too_far_is_found(place: str, source: str, found: str) -> None:
    assert found in _reaches_too_far(place, source)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("words/x.py", "from animeset_lib.words import y\nfrom .line import z\nfrom ..settings import Settings"),
        ("frames/x.py", "from animeset_lib.models import api\nfrom animeset_lib.run.stage import Output"),
        ("frames/x.py", "available = 1\navailable.cli()\ntext = 'animeset_lib reads av'"),
        ("media/reader.py", "import av\nfrom .. import errors"),
        (
            "animeset_demo/film.py",
            "import av, animeset_lib.media\nfrom . import truth\nfrom animeset_demo.body import Body",
        ),
    ],
)
def test_those_before_are_no_finding(place: str, source: str) -> None:
    assert _reaches_too_far(place, source) == set()


def test_a_file_without_an_entry_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"attic/x.py has no entry"):
        _reaches_too_far("attic/x.py", "")


def _file_of(name: str) -> str | None:
    """The file of ours that a dotted name speaks of: `run/store.py` for `animeset_lib.run.store.sync`."""
    parts = name.split(".")[1:]
    for n in range(len(parts), -1, -1):
        for place in ("/".join(parts[:n]) + ".py", "/".join([*parts[:n], "__init__.py"])):
            if (ROOT / place).is_file():
                return place
    return None


class _WithoutTypeChecking(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _imports(place: str, source: str) -> set[str]:
    """The other files of ours that a file imports when it runs."""
    names = _used(place, _WithoutTypeChecking().visit(ast.parse(source)))
    files = {_file_of(name) for name in names if name.split(".")[0] == "animeset_lib"}
    return {file for file in files if file is not None} - {place}


def _circle(imports: dict[str, set[str]]) -> list[str]:
    """Files that import each other in a circle; empty when none do."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_files_do_not_import_each_other_in_a_circle() -> None:
    ours = [path for path in _files() if path.is_relative_to(ROOT)]
    assert _circle({_place(path): _imports(_place(path), path.read_text(encoding="utf-8")) for path in ours}) == []


def test_a_circle_is_noticed() -> None:
    there = {"run/store.py": _imports("run/store.py", "def later():\n    from animeset_lib.run.lock import hold")}
    back = {"run/lock.py": _imports("run/lock.py", "from . import store")}
    assert set(_circle(there | back)) == {"run/store.py", "run/lock.py"}
    assert _circle(there) == []
    unread = "if TYPE_CHECKING:\n    from animeset_lib.run import store"
    assert _circle(there | {"run/lock.py": _imports("run/lock.py", unread)}) == []


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
    assert _deletes("words/x.py", source)


def test_a_list_that_shrinks_deletes_nothing() -> None:
    assert _deletes("words/x.py", "names.remove('a')\ndel names[0]\ntext = 'unlink it'") == set()


WIDGETS = {"dashboard/section.py", "dashboard/view.py", "dashboard/upload.py"}
"""Who speaks with the browser, in the kernel's main thread; `app.py` is the server's."""


ONLY_WITH_WIDGETS = ("ipywidgets", "ipyvue", "traitlets", "jupyter_server", "voila", "IPython", "tornado")


def _dashboard() -> list[Path]:
    return [path for path in _files() if _room(_place(path)) == "dashboard"]


@pytest.mark.parametrize("path", _dashboard(), ids=lambda p: p.name)
def test_what_the_page_shows_is_made_without_widgets_and_threads(path: Path) -> None:
    place = _place(path)
    if place in WIDGETS | {"dashboard/app.py"}:
        return
    found = _used(place, ast.parse(path.read_text(encoding="utf-8")))
    packages = {module.split(".")[0] for module in found}
    forbidden = {"threading", "asyncio", "concurrent", "multiprocessing", *ONLY_WITH_WIDGETS}
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
    for folder in ("animeset_lib", "animeset_demo", "benchmarks", "tests", "training")
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
