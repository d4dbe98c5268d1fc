"""Fixtures shared by all tests: contexts and hand-made stage outputs, so that a stage can be tested without its predecessors."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import hypothesis
import numpy as np
import psutil
import pytest
from filelock import FileLock

from animeset_lib import open_run
from animeset_lib.cli import main as cli
from animeset_lib.notebook import demo_film
from animeset_lib.records import EmbedRow, Record
from animeset_lib.run.stage import Context, Given, Notes, Output, Stage, StageInfo, StageType, row_of
from tests.dashboard.browser import make_film
from tests.fakes import FakeModels
from tests.film_maker import remux

# How long an example takes says more about what else the machine does than about the code. On CI the examples are the same every time: a
# change is not judged by luck. `make test-all` takes the profile `exhaustive`.
_ALWAYS: dict[str, Any] = {"deadline": None, "derandomize": "CI" in os.environ}
hypothesis.settings.register_profile("animeset", max_examples=30, **_ALWAYS)
hypothesis.settings.register_profile("exhaustive", max_examples=100, **_ALWAYS)
hypothesis.settings.load_profile("animeset")

MadeOnce = Callable[[str, Callable[[Path], object]], Path]

# as in dashboard/app.py: nbformat asks for it, and to load it takes seconds
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

_ALONE = "ANIMESET_TEST_ALONE"
if _ALONE in os.environ:
    cv2.setNumThreads(1)

REAL_MODELS = os.environ.get("ANIMESET_MODELS")
"""The user's own models folder; only tests marked `weights` look there."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one more than there are cores, for browsers and runs are often waited for; a worker with its own takes up to 2 GB."""
    return max(1, min((os.cpu_count() or 1) + 1, int(psutil.virtual_memory().available / 2e9)))


_LONG = (
    "test_film.py",
    "test_browser.py",
    "test_view_model.py",
    "test_notebooks.py",
    "test_wheel.py",
    "test_kill.py",
    "test_kill_pipeline.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that no worker is left alone with one."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test marked `forks` runs in a process of its own: the others leave threads behind, and a fork waits for ever for what one held."""
    if pyfuncitem.get_closest_marker("forks") is None or _ALONE in os.environ:
        return None
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", pyfuncitem.nodeid]
    if (profile := pyfuncitem.config.getoption("hypothesis_profile")) is not None:
        words += ["--hypothesis-profile", profile]
    one_thread = {f"{kind}_NUM_THREADS": "1" for kind in ("OMP", "OPENBLAS", "OPENCV_FOR")}
    alone = subprocess.run(
        [*words, "-m", ""],
        cwd=pyfuncitem.config.rootpath,
        env={**os.environ, **one_thread, _ALONE: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert alone.returncode == 0, alone.stdout
    return True


@pytest.fixture(autouse=True, scope="session")
def _no_models_and_no_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a developer has downloaded or chosen must not change a test, and no test may download."""
    os.environ.pop("IMAGEIO_FFMPEG_EXE", None)
    os.environ["ANIMESET_MODELS"] = str(tmp_path_factory.mktemp("no-models"))
    os.environ["ANIMESET_OFFLINE"] = "1"


@pytest.fixture(autouse=True, scope="session")
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """No test cuts the power: what is killed loses nothing that the system was given. Runs in processes of their own do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeOnce]:
    """`made_once("films", fill)`: a folder that `fill(folder)` filled, once for all workers.

    It is to be copied, never changed; who changed it all the same is found at the end.
    """
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    made: dict[Path, Path] = {}

    def files(folder: Path) -> str:
        seen = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
        return "".join(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n" for path, stat in seen)

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder, complete = root / "once" / name, root / "once" / f"{name}.files"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(folder.with_name(f"{name}.lock")):
            if not complete.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                complete.write_text(files(folder), encoding="utf-8")
        made[folder] = complete
        return folder

    yield folder_of
    for folder, complete in made.items():
        assert files(folder) == complete.read_text(encoding="utf-8"), f"a test changed {folder}; tests change copies"


@pytest.fixture(scope="session")
def exhaustive(pytestconfig: pytest.Config) -> bool:
    """`make test-all`: a test does the whole of what it does a part of in `make test`."""
    return bool(pytestconfig.getoption("hypothesis_profile") == "exhaustive")


@pytest.fixture(scope="session")
def drawn_film(made_once: MadeOnce) -> Callable[..., Path]:
    """`drawn_film("mp4", seconds=12)`: that much of the demo film, drawn once; a test that writes to it copies it first."""

    def film(suffix: str, **size: int) -> Path:
        def fill(folder: Path) -> None:
            if suffix == "mp4":
                make_film(folder / "film.mp4", **size)
            else:
                remux(film("mp4", **size), folder / f"film.{suffix}")

        return made_once("-".join(("film", suffix, *map(str, size.values()))), fill) / f"film.{suffix}"

    return film


@pytest.fixture(scope="session")
def finished_demo(made_once: MadeOnce) -> Path:
    """A project with the notebooks' demo film (30 s, all its scenes), run to the data set by the models that need no download."""

    def fill(folder: Path) -> None:
        (folder / "dashboard.ipynb").touch()
        open_run(demo_film(folder), root=folder).upto("dataset")

    return made_once("demo", fill)


@pytest.fixture
def make_context() -> Callable[..., Context]:
    """`make_context(models=...)`: what a running stage may use, two threads and a silent bar."""

    def make(models: Any = None) -> Context:
        return Context(
            models=models or FakeModels(),
            threads=2,
            log=logging.getLogger("animeset"),
            progress=lambda done, total: None,
            check_cancel=lambda: None,
        )

    return make


def _write_output(
    folder: Path, stage: type[Stage[Any, Any, Any]], rows: Sequence[Record], notes: Notes | None
) -> Output[Any, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
    info = StageInfo(stage=stage.name, notes={} if notes is None else notes.model_dump(mode="json"))
    (folder / "stage.json").write_text(info.model_dump_json(), encoding="utf-8")
    if row_of(stage) is EmbedRow:
        vectors = [row.vector for row in rows if isinstance(row, EmbedRow)]
        np.save(folder / "vectors.npy", np.stack(vectors) if vectors else np.zeros((0, 1), np.float32))
    return Output(folder, stage, key=f"key-{stage.name}")


@pytest.fixture
def make_output(tmp_path: Path) -> Callable[..., Output[Any, Any]]:
    """`make_output(DetectStage, rows, notes)` writes a finished stage's folder and returns its `Output`."""

    def make(stage: type[Stage[Any, Any, Any]], rows: Sequence[Record], notes: Notes | None = None) -> Output[Any, Any]:
        return _write_output(tmp_path / "given" / stage.name, stage, rows, notes)

    return make


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., Output[Any, Any]]:
    """`run_stage(stage, given, context, batch=n)` runs plan, process in batches, and finish the way the engine does; returns the `Output`.

    `given` is a `Given`, or outputs by the class of their stage."""

    def run(
        stage: Stage[Any, Any, Any],
        given: Given | Mapping[StageType, Output[Any, Any]],
        ctx: Context,
        batch: int | None = None,
    ) -> Output[Any, Any]:
        out = tmp_path / "out" / stage.name
        out.mkdir(parents=True, exist_ok=True)
        inputs = given if isinstance(given, Given) else Given(given.values())
        items = stage.plan(inputs)
        rows: list[Any] = []
        size = batch or stage.batch
        for start in range(0, len(items), size):
            rows += stage.process(items[start : start + size], out, ctx)
        final, notes = stage.finish(rows, items, inputs, out, ctx)
        return _write_output(out, type(stage), final, notes)

    return run


@pytest.fixture
def animeset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`animeset("run", film)` in a folder of its own → exit code, what it printed, what it complained about."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["animeset", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
