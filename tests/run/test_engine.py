"""Reuse, keys, cancel, space, notes: what the engine promises apart from surviving kills."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import AnimesetError, BusyError, CancelledError, SettingsError, SpaceError
from animeset_lib.pipeline import Folders, RunResult, film_states, removable, remove_unused
from animeset_lib.pipeline import run as room
from animeset_lib.pipeline.stages import build_pipeline
from animeset_lib.records import Box
from animeset_lib.run import lock
from animeset_lib.run.engine import keys_of
from animeset_lib.run.events import read_events
from animeset_lib.run.lock import Cancel, hold, holder, request_cancel
from animeset_lib.run.stage import Context
from animeset_lib.settings import load_settings
from tests.fakes import FakeModels
from tests.run.toy import FILM, Knob, Numbers, NumbersNotes, Tree, Vectors, toy_stages

FOLDER = "toy-0123456789ab"


def _diary(root: Path) -> list[str]:
    return (root / "diary").read_text().split()


def test_files_of_a_kept_run_are_exactly_these(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    root = tmp_path / "a"
    result = toy_run(root, keep_work=True)
    keys = keys_of(toy_stages(root / "diary"), FakeModels())
    film = root / "work" / FOLDER
    names = sorted(p.relative_to(film).as_posix() for p in film.rglob("*") if p.is_file())
    images = [f"hero_{n}.png" for n in ("n0", "n1", "n2", "n3", "n5", "n5-twin")]
    assert names == sorted(
        ["plan.json"]
        + [f"1_numbers-{keys['1_numbers']}/{n}" for n in ["rows.jsonl", "stage.json", *(f"n{i}.txt" for i in range(7))]]
        + [f"2_vectors-{keys['2_vectors']}/{n}" for n in ("rows.jsonl", "stage.json", "vectors.npy")]
        + [f"3_tree-{keys['3_tree']}/{n}" for n in ("rows.jsonl", "stage.json")]
        + [f"3_tree-{keys['3_tree']}/tree/hero/dataset/images/{n}" for n in images]
    )
    assert result.characters == {"hero": 6}
    stage = json.loads((film / f"1_numbers-{keys['1_numbers']}" / "stage.json").read_text())
    assert (stage["rows"], stage["kept"], stage["dropped"], stage["notes"]) == (
        *(7, 6, {"even": 1}),
        {"film": FILM.model_dump(mode="json"), "sum": 21},
    )


def test_a_row_dropped_for_an_undeclared_reason_ends_the_run(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbers, "reasons", {})
    with pytest.raises(AnimesetError, match=r"1_numbers dropped rows as even.*declare it .* Numbers\.reasons \(tests"):
        toy_run(tmp_path / "a")


def test_a_changed_setting_repeats_only_what_depends_on_it(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    root = tmp_path / "a"
    toy_run(root, keep_work=True)
    assert len(_diary(root)) == 7
    assert toy_run(root, keep_work=True).up_to_date
    changed = toy_run(root, value=2, keep_work=True)
    assert not changed.up_to_date
    assert len(_diary(root)) == 14
    old = removable(root / "work", everything=False)
    assert [p.name.split("-")[0] for p in old] == ["1_numbers", "2_vectors", "3_tree"]
    toy_run(root, value=1, keep_work=True)
    assert len(_diary(root)) == 14, "the first run's folders were still there and must be reused"


def test_asking_to_keep_after_the_end_makes_the_stages_again_and_leaves_the_result(
    toy_run: Callable[..., RunResult], tmp_path: Path
) -> None:
    root = tmp_path / "a"
    toy_run(root)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in _files(root / "output")}
    kept = toy_run(root, keep_work=True)
    assert len(_diary(root)) == 14
    assert (kept.up_to_date, kept.characters, kept.work_bytes > 0) == (False, {"hero": 6}, True)
    stages = sorted(path.name.split("-")[0] for path in (root / "work" / FOLDER).glob("*-*"))
    assert stages == ["1_numbers", "2_vectors", "3_tree"]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in _files(root / "output")} == before
    assert [event["kind"] for event in read_events(root / "logs" / f"{FOLDER}.events.jsonl")][-2:] == [
        "published",
        "run_finished",
    ]
    assert toy_run(root, keep_work=True).up_to_date
    assert len(_diary(root)) == 14


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_success_removes_the_work_folder_unless_asked(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    toy_run(tmp_path / "a")
    assert os.listdir(tmp_path / "a" / "work") == [".locks"]


def test_events_tell_the_whole_story(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    root = tmp_path / "a"
    toy_run(root)
    events = read_events(root / "logs" / f"{FOLDER}.events.jsonl")
    kinds = [e["kind"] for e in events if e["kind"] != "progress"]
    assert kinds == [
        "run_started",
        *["model"] * 4,
        *["stage_started", "stage_finished"] * 3,
        "published",
        "run_finished",
    ]
    log = (root / "logs" / "process.log").read_text()
    for stage in ("1_numbers", "2_vectors", "3_tree"):
        assert f"{stage}: finished" in log
    assert "1 even" in log


def test_a_stage_that_sees_everything_at_once_is_one_step_of_its_bar(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Tree.finish

    def in_quarters(self: Tree, rows: Any, items: Any, given: Any, out: Path, ctx: Context) -> Any:
        ctx.progress(1, 4)
        return finish(self, rows, items, given, out, ctx)

    monkeypatch.setattr(Tree, "finish", in_quarters)
    seen: list[dict[str, Any]] = []
    toy_run(tmp_path / "a", listeners=(seen.append,))
    mine = [event for event in seen if event.get("stage") == "3_tree"]
    assert [(event["kind"], event.get("items"), event.get("done"), event.get("total")) for event in mine] == [
        ("stage_started", 1, None, None),
        ("progress", None, 0.25, 1),
        ("stage_finished", None, None, None),
    ]


def test_progress_names_the_newest_pictures_once_each(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Box(x0=1, y0=2, x1=3, y1=4)
    monkeypatch.setattr(Numbers, "shown", lambda self, row, items, out: (out / f"{row.id}.txt", part), raising=False)
    ticks = count()
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))  # a second per look, so nothing is thinned out
    seen: list[dict[str, Any]] = []
    toy_run(tmp_path / "a", listeners=(seen.append,))
    made = [event["made"] for event in seen if event["kind"] == "progress" and event["stage"] == "1_numbers"]
    names = [[Path(one["path"]).name for one in some] for some in made]
    assert names == [["n0.txt", "n1.txt", "n2.txt"], ["n3.txt", "n5-twin.txt", "n5.txt"], ["n6.txt"]]
    first = made[0][0]
    assert (Path(first["path"]).parent.name.startswith("1_numbers-"), first["box"]) == (True, [1.0, 2.0, 3.0, 4.0])


def test_cancel_keeps_finished_batches(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    root = tmp_path / "a"
    switches: list[Cancel] = []

    def cancel_in_second_batch(event: dict[str, object]) -> None:
        if event["kind"] == "progress" and event["done"] == 3:
            switches[0].set()

    with pytest.raises(CancelledError) as caught:
        toy_run(root, listeners=(cancel_in_second_batch,), on_cancel_switch=switches)
    assert caught.value.exit_code == 130
    assert _diary(root) == ["n0", "n1", "n2"]
    toy_run(root)
    assert _diary(root) == [f"n{i}" for i in range(7)], "the finished batch was repeated"


def test_cancel_from_another_process_reaches_the_run(tmp_path: Path) -> None:
    assert request_cancel(tmp_path, FOLDER) is False, "nobody to cancel"
    with hold(tmp_path, FOLDER) as cancel:
        code = (
            "from pathlib import Path; from animeset_lib.run.lock import request_cancel; "
            f"print(request_cancel(Path({str(tmp_path)!r}), {FOLDER!r}))"
        )
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert answer.stdout.strip() == "True"
        cancel._next_look = 0
        with pytest.raises(CancelledError):
            cancel.check()
    with hold(tmp_path, FOLDER) as cancel:
        cancel.check()


def test_second_run_is_told_who_is_busy(tmp_path: Path) -> None:
    hold_it = (
        "import sys; from pathlib import Path; from animeset_lib.run.lock import hold\n"
        f"with hold(Path({str(tmp_path)!r}), {FOLDER!r}):\n    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", hold_it], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "held"
    with pytest.raises(BusyError, match=str(other.pid)) as caught, hold(tmp_path, FOLDER):
        pass
    assert caught.value.exit_code == 75
    assert holder(tmp_path, FOLDER)
    other.kill()
    other.wait()
    assert holder(tmp_path, FOLDER) is None, "a dead process holds nothing"
    with hold(tmp_path, FOLDER):
        pass


def test_a_look_at_the_lock_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert holder(tmp_path, FOLDER) is None, "nothing there yet"
    with hold(tmp_path, FOLDER):
        pass
    assert holder(tmp_path, FOLDER) is None
    locks = tmp_path / ".locks"
    (locks / f"{FOLDER}.json").write_text(json.dumps({"pid": 1, "since": "yesterday"}))
    (locks / f"{FOLDER}.cancel").touch()
    assert holder(tmp_path, FOLDER) is None, "leftovers of a run that crashed"
    assert request_cancel(tmp_path, FOLDER) is False

    looker = FileLock(locks / f"{FOLDER}.lock")
    tries: list[bool] = []

    class Watched(FileLock):
        """Fails once, because somebody looks; then that one lets go."""

        def _acquire(self) -> None:
            super()._acquire()
            tries.append(self._context.lock_file_fd is not None)
            looker.release()

    looker.acquire()
    monkeypatch.setattr(lock, "FileLock", Watched)
    with hold(tmp_path, FOLDER) as cancel:
        assert tries == [False, True]
        cancel.check()  # what the crashed run was asked is not meant for this one
        assert (holder(tmp_path, FOLDER) or {}).get("pid") == os.getpid()


def test_full_disk_before_and_during_a_stage(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a"
    real = shutil.disk_usage

    def full(path: object) -> object:
        return real("/")._replace(free=1000)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", full)
        with pytest.raises(SpaceError, match="too little disk space"):
            toy_run(root)
    assert not (root / "diary").exists(), "nothing may start on a full disk"

    with monkeypatch.context() as patch:

        def fill(event: dict[str, object]) -> None:
            if event["kind"] == "stage_started" and event["stage"] == "3_tree":
                patch.setattr(shutil, "disk_usage", full)

        with pytest.raises(SpaceError, match="too little disk space for stage 3_tree"):
            toy_run(tmp_path / "late", listeners=(fill,))

    seen: list[str] = []
    write = Path.write_text

    def runs_full(self: Path, *args: object, **kwargs: object) -> int:
        if self.name == "n4.txt" and not seen:
            seen.append(self.name)
            raise OSError(28, "No space left on device")
        return write(self, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", runs_full)
        with pytest.raises(SpaceError, match="nothing finished is lost"):
            toy_run(root)
    toy_run(root)
    assert _diary(root) == ["n0", "n1", "n2", "n3", "n4", "n3", "n4", "n5", "n6"], "only the broken batch is repeated"


def test_half_written_folder_of_another_version_is_not_mistaken(
    toy_run: Callable[..., RunResult], tmp_path: Path
) -> None:
    root = tmp_path / "a"
    keys = keys_of(toy_stages(root / "diary"), FakeModels())
    stale = root / "work" / FOLDER / f"1_numbers-{keys['1_numbers']}.partial" / "parts"
    stale.mkdir(parents=True)
    (stale / "00000000.jsonl").write_text('{"items": ["other"]}\n{"id": "other"}\n')
    (stale / "00000003.jsonl").write_text("")
    result = toy_run(root)
    assert result.characters == {"hero": 6}


def test_double_ids_are_a_fault(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbers, "plan", lambda self, given: [FILM, FILM])
    with pytest.raises(AnimesetError, match="equal ids"):
        toy_run(tmp_path / "a")


def test_full_disk_while_publishing_costs_only_the_publishing(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(SpaceError, match="only publishing is left"):
            toy_run(tmp_path / "a")
    assert toy_run(tmp_path / "a").characters == {"hero": 6}
    assert len(_diary(tmp_path / "a")) == 7


def test_status_names_stages_and_says_what_is_current(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    root = tmp_path / "a"
    toy_run(root, keep_work=True)
    toy_run(root, value=2, keep_work=True)
    (state,) = film_states(root / "work", root / "logs")
    assert state["source"] == "toy.mkv"
    assert state["running"] is None
    assert sorted((s["stage"], s["current"]) for s in state["stages"]) == [
        (name, current) for name in ("1_numbers", "2_vectors", "3_tree") for current in (False, True)
    ]


def test_a_stage_before_what_it_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnimesetError, match="2_vectors"):
        keys_of((Vectors(Knob()), Numbers(Knob(), tmp_path)), FakeModels())


@given(a=st.integers(-1000, 1000), b=st.integers(-1000, 1000))
def test_keys_differ_exactly_when_settings_do(a: int, b: int) -> None:
    diary = Path("diary")

    def key(value: int) -> dict[str, str]:
        return keys_of((Numbers(Knob(value=value), diary), Vectors(Knob()), Tree(Knob())), FakeModels())

    assert (key(a) == key(b)) == (a == b)
    assert all((key(a)[name] == key(b)[name]) == (a == b) for name in ("1_numbers", "2_vectors", "3_tree"))


@pytest.mark.parametrize(
    ("assignment", "first"),
    [("extract.change=0.01", "1_extract"), ("dedupe.ssim_min=0.8", "2_dedupe"), ("caption.style=cel", "6c_caption")],
)
def test_a_setting_changes_the_keys_of_its_stage_and_those_after(assignment: str, first: str, tmp_path: Path) -> None:
    def keys(*assignments: str) -> dict[str, str]:
        return keys_of(build_pipeline(load_settings(assignments=assignments), FILM, tmp_path), FakeModels())

    before, after = keys(), keys(assignment)
    names = list(before)
    assert [name for name in names if before[name] != after[name]] == names[names.index(first) :]


def test_clean_sees_only_what_a_run_made(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    root = tmp_path / "a"
    toy_run(root, keep_work=True)
    for foreign in ("photos", "holiday-2024", f"{FOLDER}/my-notes", "other-0123456789ab"):
        (root / "work" / foreign).mkdir(parents=True)
    assert removable(root / "work", everything=True) == [root / "work" / FOLDER]
    assert removable(root / "work", everything=False) == []
    remove_unused(root / "work", root / "work" / FOLDER)
    assert sorted(p.name for p in (root / "work").iterdir()) == [
        ".locks",
        "holiday-2024",
        "other-0123456789ab",
        "photos",
    ]


def test_output_and_work_may_not_lie_inside_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for output, work in (("x", "x"), ("x/o", "x"), ("x", "x/w")):
        with pytest.raises(SettingsError, match="inside each other"):
            room._check_writable(Folders(tmp_path / output, tmp_path / work, tmp_path / "logs"))


def test_what_stages_warn_of_reaches_the_caller(
    toy_run: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(
        self: Numbers, rows: list[Any], items: Any, given: Any, out: Path, ctx: Context
    ) -> tuple[list[Any], NumbersNotes]:
        ctx.log.warning("only %d rows", len(rows))
        return rows, NumbersNotes(film=FILM, sum=0)

    monkeypatch.setattr(Numbers, "finish", warn)
    seen: list[str] = []
    result = toy_run(
        tmp_path / "a", listeners=(lambda e: seen.append(e["message"]) if e["kind"] == "warning" else None,)
    )
    assert list(result.notes) == seen == ["only 7 rows"]
