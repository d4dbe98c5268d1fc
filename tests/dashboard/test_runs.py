"""Runs as a page sees them: read from files that another process is writing, started so that they outlive the page, stopped when asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from animeset_lib import media
from animeset_lib.dashboard.estimates import Rates
from animeset_lib.dashboard.runs import Launch, Options, Runs, known_runs
from animeset_lib.dashboard.shown_run import NOTHING, ShownRun, tail
from animeset_lib.pipeline import FilmFiles, Folders
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.run.lock import holder
from animeset_lib.settings import load_settings
from tests.dashboard.browser import ROOT

FOLDER = "film-0123456789ab"
STAGES = ["1_extract", "2_dedupe", "3a_detect", "3b_embed"]
RATES = Rates({(stage, True): 10.0 for stage in STAGES})
T = TypeVar("T")


def _until(condition: Callable[[], T], what: str, seconds: float = 120) -> T:
    """What `condition` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found


# ---- hand-written files ----------------------------------------------------------------------------------------------------------


def _event(kind: str, at: float = 1000.0, **fields: Any) -> dict[str, Any]:
    return {"time": at, "kind": kind, **fields}


def _start(at: float = 1000.0, **fields: Any) -> dict[str, Any]:
    given = {
        "film": "film.mp4",
        "folder": FOLDER,
        "path": "input/film.mp4",
        "duration_ms": 60_000,
        "stages": STAGES,
        "keys": {},
        "settings": {},
        "until": None,
        "keep_work": False,
        "series": None,
    }
    return _event("run_started", at, **{**given, **fields})


def _begun(stage: str, at: float = 1000.0, *, items: int = 10, todo: int = 10) -> dict[str, Any]:
    return _event("stage_started", at, stage=stage, items=items, todo=todo)


def _progress(stage: str, done: float, seconds: float, at: float = 1000.0, total: int = 10) -> dict[str, Any]:
    return _event("progress", at, stage=stage, done=done, total=total, seconds=seconds)


def _ended(stage: str, seconds: float, at: float = 1000.0, *, reused: bool = False, **dropped: int) -> dict[str, Any]:
    gone = sum(dropped.values())
    return _event(
        "stage_finished",
        at,
        stage=stage,
        seconds=seconds,
        rows=10,
        kept=10 - gone,
        dropped=dropped,
        reused=reused,
    )


LAST_WORDS = {
    "finished": _event("run_finished", seconds=9.0),
    "paused": _event("paused", after="3d_cast", seconds=9.0),
    "failed": _event("failed", message="the disk is full"),
    "cancelled": _event("cancelled", message="the run was cancelled"),
}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "output", tmp_path / "work", tmp_path / "logs")
    made.logs.mkdir()
    return made


def _lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def _path(folders: Folders, folder: str = FOLDER) -> Path:
    return folders.logs / f"{folder}.events.jsonl"


def _write(folders: Folders, *events: dict[str, Any], folder: str = FOLDER) -> None:
    _path(folders, folder).write_text(_lines(*events), encoding="utf-8")


def _append(folders: Folders, text: str) -> None:
    with _path(folders).open("a", encoding="utf-8") as file:
        file.write(text)


@contextmanager
def _alive(folders: Folders, folder: str = FOLDER) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the film's lock."""
    code = (
        "import sys; from pathlib import Path; from animeset_lib.run.lock import hold\n"
        f"with hold(Path({str(folders.work)!r}), {folder!r}):\n    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "held"
        yield other
    finally:
        other.kill()
        other.communicate()


@pytest.mark.parametrize("phase", [*LAST_WORDS, "idle", "stopped"])
def test_phase_of_a_run_that_is_not_alive(phase: str, folders: Folders) -> None:
    follower = ShownRun(folders, FOLDER)
    if phase != "idle":
        word = [LAST_WORDS[phase]] if phase in LAST_WORDS else []
        _write(folders, _start(), _begun("1_extract"), *word)
    follower.refresh()
    assert follower.phase() == phase
    assert _phase(follower) == phase


def test_phases_of_a_live_run(folders: Folders) -> None:
    _write(folders, _start())
    follower = ShownRun(folders, FOLDER)
    with _alive(folders) as run:
        follower.refresh()
        assert follower.phase() == "running"
        follower.cancel()
        assert follower.phase() == "cancelling"
        assert ShownRun(folders, FOLDER).phase() == "idle", "another page has read nothing yet"
        run.kill()
        run.wait()
        assert follower.phase() == "stopped"
    _append(folders, _lines(LAST_WORDS["cancelled"]))
    assert follower.phase() == "cancelled", "its last word, read when the lock was let go"


def test_a_new_run_is_not_being_cancelled(folders: Folders) -> None:
    _write(folders, _start(), LAST_WORDS["cancelled"])
    follower = ShownRun(folders, FOLDER)
    follower.refresh()
    follower.cancel()
    with _alive(folders):
        _write(folders, _start(2000))
        follower.refresh()
        assert follower.phase() == "running"


def test_a_file_that_is_gone_when_the_lock_is_let_go(folders: Folders) -> None:
    _write(folders, _start())
    follower = ShownRun(folders, FOLDER)
    follower.refresh()
    _path(folders).unlink()
    assert follower.phase() == "idle"
    assert follower.started == {}


def test_a_half_written_line_waits_for_its_end(folders: Folders) -> None:
    whole = _lines(_start(film="Größe 🎬.mp4"))
    follower = ShownRun(folders, FOLDER)
    for cut in (0, 1, 40, len(whole) - 2, len(whole) - 1):
        _path(folders).write_bytes(whole.encode()[:cut])
        follower.refresh()
        assert follower.events == []
    _write(folders, _start(), _begun("1_extract"))
    _append(folders, '{"time": 1, "kind": "stage_fin')
    follower.refresh()
    assert [event["kind"] for event in follower.events] == ["run_started", "stage_started"]
    _append(folders, 'ished", "stage": "1_extract"}\n{"time"')
    follower.refresh()
    assert [event["kind"] for event in follower.events] == ["run_started", "stage_started", "stage_finished"]


def test_what_is_no_event_is_left_out(folders: Folders) -> None:
    _write(folders, _start())
    _append(folders, 'garbage\n[1]\n{"no": "kind"}\n\n' + _lines(LAST_WORDS["finished"]))
    follower = ShownRun(folders, FOLDER)
    follower.refresh()
    assert [event["kind"] for event in follower.events] == ["run_started", "run_finished"]


@pytest.mark.parametrize("more", [0, -2, 2], ids=["same length", "shorter", "longer"])
def test_a_new_run_begins_a_new_file(more: int, folders: Folders) -> None:
    old = [_start(1000.5), *(_progress("1_extract", n, n) for n in range(5))]
    _write(folders, *old)
    follower = ShownRun(folders, FOLDER)
    follower.refresh()
    before = _path(folders).stat().st_size
    new = [_start(2000.5), *(_progress("1_extract", n, n + 1) for n in range(5 + more))]
    _write(folders, *new)
    assert (_path(folders).stat().st_size > before) - (_path(folders).stat().st_size < before) == (more > 0) - (
        more < 0
    )
    follower.refresh()
    assert follower.events == new
    follower.refresh()
    assert follower.events == new


def test_only_what_is_new_is_read(folders: Folders) -> None:
    _write(folders, _start(), _begun("1_extract"), _begun("2_dedupe"))
    follower = ShownRun(folders, FOLDER)
    follower.refresh()
    first, *read = _path(folders).read_text().splitlines(keepends=True)
    _path(folders).write_text(first + "".join(read).replace("2_dedupe", "9_unread") + _lines(_begun("3a_detect")))
    follower.refresh()
    assert [event.get("stage") for event in follower.events] == [None, "1_extract", "2_dedupe", "3a_detect"]


# ---- what a page is told ---------------------------------------------------------------------------------------------------------


def _snapshot(folders: Folders, *events: dict[str, Any], rates: Rates = RATES) -> dict[str, Any]:
    _write(folders, *events)
    run = ShownRun(folders, FOLDER)
    snapshot = {**run.snapshot(rates), "phase": run.phase()}
    assert json.loads(json.dumps(snapshot)) == snapshot
    return snapshot


def _row(name: str, state: str = "waiting", **fields: Any) -> dict[str, Any]:
    empty = {"done": 0, "total": 0, "percent": 0, "seconds": 0.0, "left_s": 10.0, "rows": 0, "kept": 0, "dropped": []}
    return {"name": name, "state": state, **empty, **fields}


REUSED = _ended("1_extract", 0.0, reused=True)


def test_stages_of_a_live_run(folders: Folders) -> None:
    with _alive(folders):
        snapshot = _snapshot(
            folders,
            _start(),
            REUSED,
            _begun("2_dedupe", 1001),
            _progress("2_dedupe", 4, 2.0, 1003),
            _ended("2_dedupe", 4.0, 1005, duplicate=3, unreadable=1),
            _begun("3a_detect", 1005, todo=4),
            _progress("3a_detect", 8, 3.0, 1008),
        )
    assert snapshot["stages"] == [
        _row("1_extract", "reused", percent=100, left_s=0, rows=10, kept=10),
        _row(
            "2_dedupe",
            "done",
            done=4,
            total=10,
            percent=100,
            seconds=4.0,
            left_s=0,
            rows=10,
            kept=6,
            dropped=[{"reason": "duplicate", "count": 3}, {"reason": "unreadable", "count": 1}],
        ),
        # six of ten were there already: two took 3 s, and two are left
        _row("3a_detect", "running", done=8, total=10, percent=80.0, seconds=3.0, left_s=3.0),
        _row("3b_embed"),
    ]
    assert (snapshot["phase"], snapshot["left_s"], snapshot["elapsed_s"]) == ("running", 13, 8)
    assert snapshot["percent"] == 35.0  # 7 s of 20


def test_a_stage_that_has_not_got_anywhere_yet(folders: Folders) -> None:
    now = time.time()
    with _alive(folders):
        young = _snapshot(folders, _start(now - 5), _begun("1_extract", now - 4, todo=6))["stages"][0]
        old = _snapshot(folders, _start(now - 500), _begun("1_extract", now - 400, todo=6))["stages"][0]
        empty = _snapshot(folders, _start(now), _begun("1_extract", now, items=0, todo=0))["stages"][0]
    assert (young["state"], young["done"], young["percent"]) == ("running", 4, 40.0)
    assert 4 <= young["seconds"] <= 9
    assert young["seconds"] + young["left_s"] == pytest.approx(10)
    assert (old["left_s"], old["seconds"] >= 400) == (1.0, True), "longer than it should: it will end any moment"
    assert (empty["percent"], empty["total"]) == (0.0, 0)


@pytest.mark.parametrize(
    ("word", "percent"),
    [("failed", 12.5), ("cancelled", 12.5), ("paused", 12.5), (None, 12.5), ("finished", 100)],
)
def test_a_stage_that_was_broken_off(word: str | None, percent: float, folders: Folders) -> None:
    last = [LAST_WORDS[word]] if word else []
    snapshot = _snapshot(
        folders, _start(), REUSED, _begun("2_dedupe"), _progress("2_dedupe", 5, 20 / 7), *last, rates=RATES
    )
    assert snapshot["stages"][1] == _row(
        "2_dedupe", "interrupted", done=5, total=10, percent=50.0, seconds=20 / 7, left_s=0
    )
    assert (snapshot["left_s"], snapshot["percent"]) == (0, percent)
    assert snapshot["error"] == ("the disk is full" if word == "failed" else "")


def test_models_warnings_and_results(folders: Folders) -> None:
    model = {"task": "detector", "name": "own", "rung": "Lowest rung.", "better": ["deepghs"]}
    snapshot = _snapshot(
        folders,
        _start(until="cast", keep_work=True, series=[["input/a.mp4", "input/film.mp4"], 1]),
        _event("warning", message="cut off"),
        _event("model", **model),
        _event("warning", message="no colours"),
        _event("warning", message="cut off"),
        _event("published", output="output/film", zip="output/film.zip", characters={"hero": 1}),
        _event("published", output="output/film_2", zip="output/film_2.zip", characters={"hero": 3, "rival": 2}),
        _event("run_finished", 1012.34, seconds=12.3),
    )
    assert {key: value for key, value in snapshot.items() if key != "stages"} == {
        "phase": "finished",
        "film": "film.mp4",
        "path": "input/film.mp4",
        "series": [["input/a.mp4", "input/film.mp4"], 1],
        "percent": 100,
        "elapsed_s": 12.3,
        "left_s": 0,
        "models": [model],
        "warnings": ["cut off", "no colours"],
        "error": "",
        "characters": {"hero": 3, "rival": 2},
    }


def test_before_there_is_anything(folders: Folders) -> None:
    run = ShownRun(folders, FOLDER)
    assert (run.snapshot(RATES), run.phase()) == (dict(NOTHING), "idle")


# ---- logs ------------------------------------------------------------------------------------------------------------------------


def test_the_log_is_told_without_what_is_on_every_line(folders: Folders) -> None:
    lines = {
        f"2026-11-25 15:16:09,123 INFO [{FOLDER}] 1_extract: started": "15:16:09 1_extract: started",
        f"2026-11-25 15:16:10,001 WARNING [{FOLDER}] cut [off]": "15:16:10 WARNING cut [off]",
        f"2026-11-25 15:16:11,001 ERROR [{FOLDER}] failed: \u2028 no": "15:16:11 ERROR failed: \u2028 no",
        "Traceback (most recent call last):": "Traceback (most recent call last):",
        "  File x": "  File x",
        "2026-11-25 15:16:12,001 INFO [another] text": "2026-11-25 15:16:12,001 INFO [another] text",
        f"a word of [{FOLDER}] elsewhere in a line": f"a word of [{FOLDER}] elsewhere in a line",
        "": "",
    }
    follower = ShownRun(folders, FOLDER)
    assert follower.log_tail() == []
    (folders.logs / f"{FOLDER}.log").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    assert follower.log_tail() == list(lines.values())
    assert follower.log_tail(3) == list(lines.values())[-3:]


@pytest.mark.parametrize("text", ["", "one", "one\n", "one\ntwo\n", "one\n\n"])
def test_tail_of_short_files(text: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(text)
    assert tail(tmp_path / "log", 5) == text.splitlines()
    assert tail(tmp_path / "nowhere", 5) == []


def test_tail_reads_only_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(300_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(f"line {n} é\n".encode() for n in range(3000)))
    tracemalloc.start()
    try:
        assert tail(path, 20) == [f"line {n} é" for n in range(2980, 3000)]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_tail_does_not_show_half_a_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x" * 3000 + "\n" + "short\n")
    assert tail(tmp_path / "log", 2) == ["short"]


# ---- all films -------------------------------------------------------------------------------------------------------------------


def test_known_runs_alive_first_then_newest(folders: Folders) -> None:
    assert known_runs(Folders(folders.output, folders.work, folders.logs / "nowhere")) == []
    _write(folders, _start(3000, film="c.mp4"), LAST_WORDS["finished"], folder="c-1")
    _write(folders, _start(1000, film="a.mp4"), _begun("1_extract"), folder="a-1")
    _write(folders, _start(4000, film="d.mp4"), folder="d-1")
    _write(folders, _start(2000, film="b.mp4", path="input/b.mp4"), LAST_WORDS["paused"], folder="b-1")
    _write(folders, _start(500, film="live.mp4"), _begun("1_extract"), folder="live-1")
    with _alive(folders, "live-1"):
        runs = known_runs(folders)
    assert [(run["film"], run["folder"], run["started"], run["running"], run["phase"]) for run in runs] == [
        ("live.mp4", "live-1", 500, True, "running"),
        ("d.mp4", "d-1", 4000, False, "stopped"),
        ("c.mp4", "c-1", 3000, False, "finished"),
        ("b.mp4", "b-1", 2000, False, "paused"),
        ("a.mp4", "a-1", 1000, False, "stopped"),
    ]
    assert runs[3]["path"] == "input/b.mp4"
    assert [run["folder"] for run in known_runs(folders)] == ["d-1", "c-1", "b-1", "a-1", "live-1"]


@pytest.mark.parametrize(
    ("end", "phase"),
    [
        (_lines(LAST_WORDS["finished"]), "finished"),
        (_lines(_event("failed", message="x" * 30_000)), "failed"),
        (_lines(_event("failed", message="one\u2028two\u0085three")), "failed"),
        (_lines(LAST_WORDS["failed"]) + '{"time": 1, "kind": "warning", "message": "{}', "failed"),
        ('{"time": 1, "kind": "stage_finished", "dropped": {"small": 1}', "stopped"),
        (_lines(LAST_WORDS["failed"]) + "\x00\x00\n", "failed"),
        (_lines(*(_progress("1_extract", n, n) for n in range(3000)), LAST_WORDS["cancelled"]), "cancelled"),
        ("", "stopped"),
    ],
)
def test_known_runs_finds_the_last_word(end: str, phase: str, folders: Folders) -> None:
    _write(folders, _start())
    _append(folders, end)
    assert [(run["film"], run["phase"]) for run in known_runs(folders)] == [("film.mp4", phase)]


def test_known_runs_leaves_foreign_files_alone(folders: Folders) -> None:
    for number, text in enumerate(
        ["", "\n", "no json\n", "[1, 2]\n", "{}\n", '{"kind": 1}\n', '{"kind": "run_started"}\n', '{"kind": "run_sta']
    ):
        (folders.logs / f"{number}.events.jsonl").write_text(text)
    (folders.logs / "bytes.events.jsonl").write_bytes(b"\xff\xfe\x00\n")
    (folders.logs / "folder.events.jsonl").mkdir()
    (folders.logs / "progress.events.jsonl").write_text(_lines(_progress("1_extract", 1, 1)))
    (folders.logs / f"{FOLDER}.events.jsonl.old").write_text(_lines(_start()))
    assert known_runs(folders) == []
    _write(folders, _start())
    assert [run["folder"] for run in known_runs(folders)] == [FOLDER]


# ---- real runs -------------------------------------------------------------------------------------------------------------------

DRAFT = load_settings(preset="draft").to_toml()
LONG = load_settings(preset="draft", assignments=["extract.mode=fps", "extract.fps=4", "dedupe.ssim_min=1"]).to_toml()
"""Many stills, so that there is time to look at the run and to stop it."""


@pytest.fixture(scope="module")
def film(drawn_film: Callable[..., Path]) -> Path:
    return drawn_film("mp4", seconds=6)


@pytest.fixture
def runs(tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """In a project folder, with the environment that a notebook's kernel has; what is still running at the end is killed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("CLICOLOR", "1")
    (tmp_path / "input").mkdir()
    made = Runs(folders, tmp_path / "references", tmp_path)
    yield made
    for process in made._started:
        process.kill()
        process.wait()


def _put(runs: Runs, film: Path, name: str = "film.mp4") -> Path:
    """The film in the project, and its path as the page hands it over."""
    path = Path("input") / name
    (runs.root / path).hardlink_to(film)
    return path


def _follow(runs: Runs, path: Path) -> ShownRun:
    return ShownRun(runs.folders, FilmFiles.of(media.probe(runs.root / path)).name)


def _phase(follower: ShownRun) -> str:
    follower.refresh()
    return follower.phase()


def _wait(launch: Launch) -> int:
    code = launch.process.wait(120)
    assert launch.console.is_file()
    return code


def test_a_run_that_pauses_and_goes_on(runs: Runs, film: Path) -> None:
    path = _put(runs, film)
    follower = _follow(runs, path)
    before = time.time()
    launch = runs.start([path], DRAFT, Options(pause=True))
    assert before <= launch.began <= time.time()
    assert launch.failed_early == "", "it has not ended yet"
    assert _wait(launch) == 0
    paused = follower.snapshot(RATES)
    assert (follower.phase(), paused["film"], paused["path"]) == ("paused", "film.mp4", "input/film.mp4")
    assert (follower.started["until"], paused["percent"], paused["stages"][-1]["name"]) == ("cast", 100.0, "3d_cast")
    assert {stage["state"] for stage in paused["stages"]} == {"done"}
    assert follower.started["settings"] == load_settings(preset="draft").model_dump(mode="json")
    console = launch.console.read_text(encoding="utf-8")
    assert "Stopped after cast" in console
    assert "\x1b" not in console
    assert "\r" not in console
    assert any("3d_cast: finished" in line for line in follower.log_tail())

    launch = runs.start([path], DRAFT, Options(keep_work=True))
    assert _wait(launch) == 0
    finished = follower.snapshot(RATES)
    assert (follower.phase(), follower.started["keep_work"], finished["percent"]) == ("finished", True, 100)
    states = [stage["state"] for stage in finished["stages"]]
    assert states == ["reused"] * 6 + ["done"] * (len(PIPELINE) - 6)
    assert (runs.root / follower.published["zip"]).is_file()
    assert [run["phase"] for run in known_runs(runs.folders)] == ["finished"]
    assert len(list(runs.folders.logs.glob("start-*.toml"))) == 2, "each start has its own settings and console"
    assert launch.failed_early == ""


@pytest.mark.parametrize(
    "name", ["-x 'quote\" $(touch gone) %s.mp4", pytest.param("--help.mp4", marks=pytest.mark.exhaustive)]
)
def test_odd_names(name: str, runs: Runs, film: Path) -> None:
    (runs.root / name).hardlink_to(film)
    launch = runs.start([Path(name)], DRAFT, Options(pause=True))
    assert _wait(launch) == 0, launch.console.read_text()
    (run,) = known_runs(runs.folders)
    assert (run["film"], run["path"], run["phase"]) == (name, name, "paused")
    assert not (runs.root / "gone").exists()


def test_what_the_process_is_told(runs: Runs) -> None:
    (runs.root / "references" / ".hidden").mkdir(parents=True)
    launch = runs.start([Path("a"), Path("b")], DRAFT, Options())
    words = list(launch.process.args)  # type: ignore[arg-type]
    assert words[-3:] == ["--", "a", "b"]
    assert not {"--references", "--cast", "--keep-work", "--until"} & set(words)
    (runs.root / "references" / "hero").mkdir()
    again = runs.start([Path("a")], DRAFT, Options(keep_work=True, pause=True, cast="cast.json"))
    words = list(again.process.args)  # type: ignore[arg-type]
    assert words[words.index("--references") + 1] == str(runs.references)
    assert words[words.index("--cast") + 1] == "cast.json"
    assert words[words.index("--until") + 1] == "cast"
    assert "--keep-work" in words
    assert again.console != launch.console
    assert os.getsid(again.process.pid) == again.process.pid, "a session of its own"


def _text(path: Path) -> None:
    path.write_text("no film at all\n" * 100)


@pytest.mark.parametrize(
    ("settings", "spoil", "says"),
    [
        ('[detect]\ndetector = "yolo:nowhere.onnx"\n', None, "yolo:nowhere.onnx: there is no file nowhere.onnx"),
        (DRAFT, _text, "film.mp4"),
        (DRAFT, Path.unlink, "film.mp4: no such file"),
        ("[detect]\nscore_min = 2\n", None, "detect.score_min = 2 is not allowed"),
    ],
    ids=["no such detector", "no film", "missing film", "bad settings"],
)
def test_a_run_that_fails_at_once_says_why_in_one_sentence(
    settings: str, spoil: Callable[[Path], None] | None, says: str, runs: Runs, film: Path
) -> None:
    path = _put(runs, film)
    if spoil:
        (runs.root / path).unlink()
        _text(runs.root / path)
        spoil(runs.root / path)
    launch = runs.start([path], settings, Options())
    assert _wait(launch) in (1, 2)
    assert says in launch.failed_early
    assert not launch.failed_early.startswith("error")
    assert launch.failed_early.isprintable(), "no line breaks, no colours"
    assert known_runs(runs.folders) == []


def _process(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.parametrize(
    ("code", "console", "says"),
    [
        ("exit(0)", "error: not the last word\n", ""),
        ("exit(130)", "stopping at the next safe point\n", ""),
        ("exit(1)", "one\nerror: a.mp4: no film\nerror: 1 of 2 films\nlog: x\n", "1 of 2 films"),
        (
            "exit(1)",
            "Traceback\nModuleNotFoundError: No module named 'x'\n",
            "ModuleNotFoundError: No module named 'x'",
        ),
        ("exit(3)", "", "the process ended with code 3"),
        ("import os; os.kill(os.getpid(), 15)", "[ 1/12] 1_extract\n", "ended from outside (signal 15)"),
        ("import os; os.kill(os.getpid(), 9)", "[ 1/12] 1_extract\n", "(signal 9, often for want of memory)"),
    ],
)
def test_last_complaints(code: str, console: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text(console)
    launch = Launch(_process(code), tmp_path / "console.log", 0.0)
    launch.process.wait(60)
    assert (launch.failed_early == "") == (says == "")
    assert says in launch.failed_early


def test_a_run_that_was_stopped_before_it_held_its_lock_has_not_failed(runs: Runs, film: Path) -> None:
    launch = runs.start([_put(runs, film)], LONG, Options())
    launch.stop()
    assert _wait(launch) != 0
    assert launch.failed_early == ""
    launch.stop()


def test_stop_comes_too_late_for_a_run_that_has_failed(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text("error: no film\n")
    launch = Launch(_process("exit(1)"), tmp_path / "console.log", 0.0)
    launch.process.wait(60)
    launch.stop()
    assert launch.failed_early == "no film"


def test_cancel_and_go_on(runs: Runs, film: Path) -> None:
    path = _put(runs, film)
    follower = _follow(runs, path)
    follower.cancel()  # nobody is there to be cancelled
    launch = runs.start([path], LONG, Options())

    def states() -> dict[str, str]:
        return {stage["name"]: stage["state"] for stage in follower.snapshot(RATES)["stages"]}

    _until(lambda: states().get("1_extract") == "done", "the first stage")
    assert follower.phase() == "running"
    follower.cancel()
    assert follower.phase() in ("cancelling", "cancelled")
    assert _wait(launch) == 130
    assert _phase(follower) == "cancelled"
    assert launch.failed_early == ""
    assert holder(runs.folders.work, follower.folder) is None

    assert _wait(runs.start([path], LONG, Options(pause=True))) == 0
    assert _phase(follower) == "paused"
    assert states()["1_extract"] == "reused"
    assert states()["3d_cast"] == "done"


def test_a_run_that_is_killed_has_stopped(runs: Runs, film: Path) -> None:
    path = _put(runs, film)
    follower = _follow(runs, path)
    launch = runs.start([path], LONG, Options())
    _until(lambda: _phase(follower) == "running", "the run to begin")
    launch.process.kill()
    assert _wait(launch) == -signal.SIGKILL
    assert _phase(follower) == "stopped"
    assert [run["phase"] for run in known_runs(runs.folders)] == ["stopped"]
    assert "signal 9" in launch.failed_early


def test_a_run_outlives_the_page_that_started_it(runs: Runs, film: Path) -> None:
    path = _put(runs, film)
    follower = _follow(runs, path)
    code = (
        "import sys; from pathlib import Path; from animeset_lib.dashboard.runs import Options, Runs\n"
        "from animeset_lib.pipeline import Folders\n"
        f"root = Path({str(runs.root)!r}); folders = Folders(root / 'output', root / 'work', root / 'logs')\n"
        "runs = Runs(folders, root / 'references', root)\n"
        f"launch = runs.start([Path({str(path)!r})], {LONG!r}, Options(pause=True))\n"
        "print(launch.process.pid, flush=True); sys.stdin.read()"
    )
    page = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert page.stdout is not None
    pid = int(page.stdout.readline())
    try:
        _until(lambda: _phase(follower) == "running", "the run to begin")
        os.killpg(page.pid, signal.SIGKILL)
        page.communicate()
        assert follower.phase() == "running"
        info = holder(runs.folders.work, follower.folder)
        assert info is not None
        assert info["pid"] == pid
        phase = _until(lambda: (p := _phase(follower)) != "running" and p, "the run to end")
        assert phase == "paused"
    finally:
        if holder(runs.folders.work, follower.folder) is not None:
            os.kill(pid, signal.SIGKILL)
