"""The whole page without a page: real runs in processes of their own, driven and watched through the view-model only."""

from __future__ import annotations

import json
import os
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_lib.dashboard.results import ALL_ZIP
from animeset_lib.dashboard.shown_run import BUSY
from animeset_lib.dashboard.view_model import ViewModel
from animeset_lib.errors import BusyError, InputError, SettingsError
from animeset_lib.media import write_image
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.run.lock import holder
from animeset_lib.settings import PRESETS
from tests.dashboard.browser import make_project

ALL = [stage.name for stage in PIPELINE.values()]
SORTED = ALL[: ALL.index("3d_cast") + 1]
NASTY = "<img src=x onerror=alert(1)>.mkv"
PATIENCE_S = 240


@pytest.fixture(scope="session")
def films(drawn_film: Callable[..., Path]) -> dict[str, Path]:
    """`cast`: three characters; `short` and `other`: two films in which nobody is seen often enough to be one."""
    lengths = {"cast": 12, "short": 8, "other": 7}
    return {name: drawn_film("mkv", seconds=length) for name, length in lengths.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


Page = Callable[..., ViewModel]


@pytest.fixture
def page(project: Path, films: dict[str, Path]) -> Page:
    """`page("a.mkv=short")`: a page with a draft to be made of these films, which lie in `input/`."""

    def make(*wanted: str) -> ViewModel:
        for name, _, film in (text.rpartition("=") for text in wanted):
            (project / "input" / name).hardlink_to(films[film])
        model = opened(project)
        model.choose([text.rpartition("=")[0] for text in wanted])
        model.look_at_chosen()
        model.choose_preset("draft")
        return model

    return make


def opened(project: Path, folder: str | None = None) -> ViewModel:
    model = ViewModel(project)
    model.opened(folder)
    return model


def look(model: ViewModel) -> dict[str, Any]:
    """All that the page is sent must be JSON as browsers read it; gives the state of the run."""
    states = {
        "film": model.film_state(),
        "settings": model.settings_state(),
        "run": model.run_state(),
        "cast": model.cast_state(),
        "result": model.result_state(),
    }
    assert json.loads(json.dumps(states, allow_nan=False)) == states
    return states["run"]


def wait(model: ViewModel, *phases: str, film: str = "", until: Callable[[dict[str, Any]], bool] | None = None) -> Any:
    """Looks at the run, as a browser does, until it is in one of `phases`, and at the whole page now and then. Gives the run's state."""
    start, looks = time.monotonic(), 0
    while True:
        state = model.run_state()
        if state["phase"] in phases and film in state["film"] and (until is None or until(state)):
            return look(model)
        assert state["phase"] in BUSY or film not in state["film"], (state["phase"], state["problem"])
        assert time.monotonic() < start + PATIENCE_S, state
        if time.monotonic() > start + 2 * looks:
            looks += 1
            look(model)
        time.sleep(0.1)


def stages(state: dict[str, Any], how: str) -> list[str]:
    return [stage["name"] for stage in state["stages"] if stage["state"] == how]


def at_work(stage: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: stage in stages(state, "running")


# -------------------------------------------------------------------------------------------------------- a good run


def test_from_a_film_to_a_zip_with_a_look_at_the_cast_between(page: Page, project: Path) -> None:
    model = page("Ein Film.mkv=cast")
    assert look(model)["phase"] == "idle"
    assert (model.cast_state()["why"], model.result_state()["available"]) == ("no_run", False)
    model.option("pause", True)
    model.start()
    assert look(model)["phase"] in ("starting", "running")
    assert model.cast_state()["why"] == "running"
    assert model.cast_state()["busy"]

    running = wait(model, "running", until=lambda state: bool(state["previews"]))
    assert (running["film"], running["path"], running["logs"]) == ("Ein Film.mkv", "input/Ein Film.mkv", [])
    assert running["previews"][0].startswith("data:image/jpeg;base64,")
    assert [stage["name"] for stage in running["stages"]] == SORTED
    assert model.film_state()["films"][0]["running"]

    again = opened(project)  # a second tab, or the server was restarted
    assert look(again)["phase"] == "running"
    assert (again.folder, again.chosen, again.form.preset) == (model.folder, ["Ein Film.mkv"], "draft")
    with pytest.raises(BusyError, match=r"Ein Film\.mkv is being worked on already; wait for that run or cancel it"):
        again.start()

    paused = wait(model, "paused")
    assert (stages(paused, "done"), paused["percent"], paused["left_s"]) == (SORTED, 100, 0)
    assert [Path(log).name for log in paused["logs"]] == ["process.log", f"{model.folder}.log"]
    assert all((project / log).is_file() for log in paused["logs"])
    assert paused["models"][0]["task"] == "detector"
    assert wait(again, "paused")["stages"] == paused["stages"]
    assert not model.film_state()["films"][0]["running"]

    model.open_board()
    groups = [group["key"] for group in model.cast_state()["board"]["groups"]]
    assert groups[:3] == ["character_01", "character_02", "character_03"]
    assert model.board.rename("character_01", "Hana (Spring)") == "hana_spring"
    model.board.merge(["character_02", "character_03"], "character_02")
    model.open_board()
    assert model.cast_state()["changed"]
    again.open_board()
    assert [g["key"] for g in again.cast_state()["board"]["groups"]][:2] == ["hana_spring", "character_02"]

    model.resume()
    finished = wait(model, "finished")
    assert finished["stages"][-1]["name"] == "7_dataset"
    assert stages(finished, "reused") == [name for name in SORTED if name != "3d_cast"]
    assert stages(finished, "done") == ["3d_cast", *ALL[len(SORTED) :]]
    assert set(finished["characters"]) == {"hana_spring", "character_02"}
    assert all(count > 0 for count in finished["characters"].values())

    model.refresh_result()
    model.open_board()
    assert not (project / "work" / str(model.folder)).exists()  # the default: intermediate pictures go
    board = model.cast_state()["board"]
    assert [group["key"] for group in board["groups"]][:2] == ["hana_spring", "character_02"]
    assert all(uri.startswith("data:image/webp;base64,") for uri in model.board.pictures(board["ids"]).values())
    big = model.board.big(board["ids"][0])
    assert (big["src"].split(",")[0], big["still"]) == ("data:image/webp;base64", False)
    result = model.result_state()
    assert [one["name"] for one in result["gallery"]["characters"]] == ["character_02", "hana_spring"]
    assert result["trainers"]["onetrainer"] == "OneTrainer", "what the page offers stands in the table of forms"
    assert (result["busy"], result["no_characters"], result["films"][0]["film"]) == (False, False, "Ein Film.mkv")
    archive = model.results.prepare_download("film")
    assert (result["zip"]["path"], result["zip"]["bytes"]) == (archive, (project / archive).stat().st_size)
    assert archive.startswith("output/")
    with zipfile.ZipFile(project / archive) as file:
        names = file.namelist()
        assert file.testzip() is None
    assert any("/hana_spring/dataset/images/" in name for name in names)
    assert not any("character_01" in name or "character_03" in name for name in names)
    for_trainer = model.results.prepare_download("kohya", "outfit")
    assert for_trainer == f"output/{result['gallery']['folder']}.kohya.zip"
    with zipfile.ZipFile(project / for_trainer) as file:
        inside = file.namelist()
        assert file.testzip() is None
    assert "kohya/hana_spring/dataset_config.toml" in inside
    assert any(name.startswith("kohya/hana_spring/img/") and name.endswith(".txt") for name in inside)
    everything = model.results.prepare_download("all")
    assert everything == f"output/{ALL_ZIP}"
    assert set(names) <= set(zipfile.ZipFile(project / everything).namelist())

    after = opened(project, model.folder)  # the page is loaded again
    assert look(after)["phase"] == "finished"
    assert after.result_state()["gallery"]["total"] == result["gallery"]["total"]
    stranger = opened(project)  # another browser, that remembers nothing, is shown the newest
    assert (look(stranger)["phase"], stranger.folder) == ("finished", model.folder)
    stranger.choose(["Ein Film.mkv"])
    assert (look(stranger)["phase"], stranger.folder) == ("finished", model.folder)


def test_kept_pictures_are_for_planning_and_for_looking_at_limits(page: Page, project: Path) -> None:
    model = page("a.mkv=cast")
    model.explore("detect.score_min", 0.5)
    assert model.settings_state()["explored"] == {"name": "detect.score_min", "missing": True}
    model.plan()
    plan = look(model)["plan"]
    assert [row["stage"] for row in plan] == ALL
    assert not any(row["reused"] or row["begun"] for row in plan)
    assert sum(row["seconds"] for row in plan) > 1

    model.option("keep_work", True)
    model.start()
    wait(model, "finished")
    model.refresh_result()
    assert (project / "work" / str(model.folder)).is_dir()
    model.open_board()
    assert model.cast_state()["available"]
    assert not model.cast_state()["changed"]
    model.plan()
    assert all(row["reused"] for row in look(model)["plan"])
    model.set_setting("quality.dark_luma", 31)
    assert look(model)["plan"] is None  # it was for other settings
    model.plan()
    # pictures without anybody do not ask how good faces are
    touched = set(ALL[ALL.index("4a_quality") :]) - {"6d_regularisation"}
    assert [row["stage"] for row in look(model)["plan"] if not row["reused"]] == [s for s in ALL if s in touched]

    looked_at = {}
    for name, value in (("detect.score_min", 0.0), ("detect.score_min", 1.0), ("quality.dark_luma", 255)):
        model.explore(name, value)
        look(model)
        explored = model.settings_state()["explored"]
        assert (explored["name"], explored["limit"], explored["missing"]) == (name, value, False)
        assert sum(explored["counts"]) == explored["total"] > 0
        assert len(explored["edges"]) == len(explored["counts"]) + 1
        assert explored["border"][0]["src"].startswith("data:image/jpeg;base64,")
        looked_at[name, value] = explored["dropped"], explored["total"]
    assert looked_at["detect.score_min", 0.0][0] == 0
    assert looked_at["detect.score_min", 1.0][0] == looked_at["detect.score_min", 1.0][1]
    assert looked_at["quality.dark_luma", 255][0] == looked_at["quality.dark_luma", 255][1]
    for name in ("extract.fps", "nothing.at_all", "../x"):
        model.explore(name, 0.5)
        assert model.settings_state()["explored"] == {"name": name, "missing": True}


def test_a_series_goes_on_with_its_next_film_and_so_does_the_page(page: Page, project: Path) -> None:
    model = page("e02.mkv=other", "e01.mkv=short")
    model.option("pause", True)  # a series does not wait for anyone
    assert model.film_state()["chosen"] == ["e01.mkv", "e02.mkv"]
    model.start()
    first = wait(model, "running", film="e01.mkv")
    assert (first["series"], [stage["name"] for stage in first["stages"]]) == (
        [["input/e01.mkv", "input/e02.mkv"], 0],
        ALL,
    )
    second = wait(model, "finished", film="e02.mkv")
    assert second["series"][1] == 1
    assert [(run["film"], run["phase"]) for run in second["others"]] == [
        ("e02.mkv", "finished"),
        ("e01.mkv", "finished"),
    ]
    model.refresh_result()
    assert {film["film"] for film in model.result_state()["films"]} == {"e01.mkv", "e02.mkv"}
    assert model.result_state()["no_characters"]
    assert model.result_state()["gallery"]["why"]
    model.follow(next(run["folder"] for run in second["others"] if run["film"] == "e01.mkv"))
    model.refresh_result()
    # the run that is looked at is over, so the page does not run away to the next film of the series
    assert model.result_state()["gallery"]["film"] == "e01.mkv"


def test_a_film_takes_the_cast_of_an_earlier_one_also_when_it_is_resumed(page: Page, project: Path) -> None:
    model = page("e01.mkv=short", "e02.mkv=other")
    model.choose(["e01.mkv"])
    assert (look(model)["casts"], look(model)["options"]["cast"]) == ([], "")
    model.start()
    wait(model, "finished")
    assert look(model)["casts"] == [{"folder": "e01", "film": "e01.mkv"}]
    model.choose(["e02.mkv"])
    with pytest.raises(InputError, match="no cast of e07"):
        model.take_cast_of("e07")
    model.take_cast_of("e01")
    model.option("pause", True)
    model.start()
    assert wait(model, "paused")["options"]["cast"] == "e01"
    again = opened(project, model.folder)
    assert look(again)["options"]["cast"] == "e01"
    again.plan()
    reused = {row["stage"]: row["reused"] for row in look(again)["plan"]}
    assert reused["3d_cast"]
    again.take_cast_of("")
    again.plan()
    # sorting reads the cast file, so without it the stage is another one
    assert not {row["stage"]: row["reused"] for row in look(again)["plan"]}["3d_cast"]
    again.take_cast_of("e01")
    again.resume(to_the_end=True)
    wait(again, "finished")
    start = json.loads((project / "logs" / f"{again.folder}.events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert start["cast"] == "output/e01/cast.json"


def test_the_name_of_a_film_appears_as_it_is(page: Page, project: Path) -> None:
    model = page(f"{NASTY}=short")
    assert model.film_state()["films"][0]["name"] == NASTY
    assert model.film_state()["chosen"] == [NASTY]
    assert model.film_state()["films"][0]["details"] == {"seconds": 8.0, "width": 480, "height": 270}
    model.start()
    state = wait(model, "finished")
    assert (state["film"], state["path"]) == (NASTY, f"input/{NASTY}")
    model.refresh_result()
    result = model.result_state()
    assert result["gallery"]["film"] == NASTY
    assert not set(result["zip"]["path"]) & set("<>()")
    assert not any(set(path.name) & set("<>") for path in (project / "logs").iterdir())


# ---------------------------------------------------------------------------------------------------------- bad runs


def _nowhere(project: Path) -> str:
    return f"yolo:{project / 'nowhere.onnx'}"


def _broken(project: Path) -> str:
    (project / "broken.onnx").write_bytes(b"no network at all " * 100)
    return f"yolo:{project / 'broken.onnx'}"


@pytest.mark.parametrize(
    ("make", "words", "begun"),
    [(_nowhere, "nowhere.onnx", False), (_broken, "broken.onnx", True)],
    ids=["before it began", "within a stage"],
)
def test_a_run_that_fails_says_why_and_where_to_read_more(
    make: Callable[[Path], str], words: str, begun: bool, page: Page, project: Path
) -> None:
    model = page("a.mkv=short")
    model.set_setting("detect.detector", make(project))
    assert model.settings_state()["errors"] == {}
    model.start()
    state = wait(model, "failed")
    assert words in state["problem"]
    assert "\n" not in state["problem"]
    assert "Traceback" not in state["problem"]
    assert state["logs"][0] == "logs/process.log"
    assert len(state["logs"]) == 2
    for log in state["logs"]:
        assert state["problem"] in (project / log).read_text(encoding="utf-8"), log
    assert bool(stages(state, "done")) == begun
    assert bool(stages(state, "interrupted")) == begun
    assert look(model)["problem"] == state["problem"]

    model.set_setting("detect.detector", "auto")
    model.start()  # mended
    assert wait(model, "finished")["problem"] == ""


@pytest.mark.exhaustive
def test_a_run_that_failed_before_it_began_hides_the_run_before_it(page: Page, project: Path) -> None:
    model = page("a.mkv=short")
    model.start()
    assert wait(model, "finished")["percent"] == 100
    model.set_setting("detect.detector", _nowhere(project))
    model.start()
    state = wait(model, "failed")
    assert (state["stages"], state["percent"], state["film"], state["models"]) == ([], 0, "", [])
    assert "nowhere.onnx" in state["problem"]


def test_cancel_and_resume(page: Page) -> None:
    model = page("a.mkv=cast")
    model.start()
    wait(model, "running", until=at_work("1_extract"))
    model.cancel()
    state = wait(model, "cancelled")
    assert (state["problem"], len(state["logs"]), state["left_s"]) == ("", 2, 0)
    assert stages(state, "waiting")
    model.plan()
    model.resume()
    assert look(model)["phase"] in ("starting", "running")
    assert wait(model, "finished")["percent"] == 100


def test_cancel_before_the_run_has_begun(page: Page) -> None:
    model = page("a.mkv=cast")
    model.start()
    assert look(model)["phase"] == "starting"
    model.cancel()
    state = wait(model, "cancelled")
    assert (state["problem"], state["stages"]) == ("", [])
    model.start()
    wait(model, "running")
    model.cancel()
    wait(model, "cancelled")


@pytest.mark.exhaustive
def test_a_run_that_is_killed_has_stopped_and_can_go_on(page: Page, project: Path) -> None:
    model = page("a.mkv=cast")
    model.option("keep_work", True)
    model.start()
    wait(model, "running", until=lambda state: "1_extract" in stages(state, "done"))
    process = holder(model.folders.work, str(model.folder))
    assert process is not None
    os.kill(process["pid"], signal.SIGSTOP)  # so that what it was doing can be seen
    frozen = look(model)
    os.kill(process["pid"], signal.SIGKILL)
    state = wait(model, "stopped")
    assert frozen["phase"] == "running"
    assert len(state["logs"]) == 2
    assert stages(state, "interrupted") == stages(frozen, "running")
    assert stages(state, "done") == stages(frozen, "done")
    fresh = opened(project, model.folder)
    assert look(fresh)["phase"] == "stopped"
    assert (fresh.chosen, fresh.options.keep_work, fresh.form.preset) == (["a.mkv"], True, "draft")
    fresh.resume()
    done = wait(fresh, "finished")
    assert set(stages(frozen, "done")) <= set(stages(done, "reused"))
    assert "7_dataset" in stages(done, "done")


def test_after_the_end_the_cast_is_decided_about(page: Page, project: Path) -> None:
    model = page("a.mkv=cast")
    model.start()
    first = wait(model, "finished")
    assert not (project / "work" / str(model.folder)).exists()
    model.open_board()
    assert model.board.rename("character_01", "Hana") == "hana"
    assert model.cast_state()["changed"]
    model.apply_decisions()
    decided = wait(model, "finished")
    assert set(decided["characters"]) == set(first["characters"]) - {"character_01"} | {"hana"}
    model.open_board()
    assert not model.cast_state()["changed"]


@pytest.mark.exhaustive
def test_after_the_end_pictures_are_kept_on_request(page: Page, project: Path) -> None:
    model = page("a.mkv=cast")
    model.start()
    wait(model, "finished")
    archive = project / "output" / "a.zip"
    before = (archive.stat().st_mtime_ns, archive.read_bytes())
    model.option("keep_work", True)
    model.plan()
    assert not any(row["reused"] for row in look(model)["plan"])
    model.start()
    kept = wait(model, "finished")
    assert stages(kept, "done") == ALL
    assert (archive.stat().st_mtime_ns, archive.read_bytes()) == before
    model.open_board()
    assert model.board.big(model.cast_state()["board"]["ids"][0])["still"]
    model.explore("detect.score_min", 0.5)
    assert not model.settings_state()["explored"]["missing"]
    model.start()
    assert stages(wait(model, "finished"), "done") == []


@pytest.mark.parametrize("what", ["start", "resume"])
def test_nothing_is_started_without_a_film(what: str, project: Path) -> None:
    model = opened(project)
    with pytest.raises(InputError, match="choose"):
        getattr(model, what)()
    assert list((project / "logs").iterdir()) == []


def test_what_is_no_film_is_refused_in_a_sentence(project: Path) -> None:
    (project / "input" / "text.mkv").write_text("no film\n" * 100)
    model = opened(project)
    model.choose(["text.mkv"])
    for action in (model.look_at_chosen, model.plan, model.start):
        with pytest.raises(InputError, match=r"text\.mkv"):
            action()
    assert look(model)["phase"] == "idle"


# ------------------------------------------------------------------------------------------- what a browser may send


@pytest.mark.parametrize("folder", ["", "..", "../../etc", "/etc/passwd", "nobody", "\0", "a" * 5000])
def test_an_unknown_folder_is_nobodys_run(folder: str, project: Path) -> None:
    (project / "secret.events.jsonl").write_text('{"kind": "run_started", "film": "x", "time": 1, "path": "x"}\n')
    model = opened(project, folder)
    model.follow(folder)
    model.results.open(None, folder)
    assert (look(model)["phase"], model.folder, model.result_state()["available"]) == ("idle", None, False)
    with pytest.raises(InputError, match="no dataset to look at yet"):
        model.results.prepare_download("film")
    with pytest.raises(InputError, match="no sorting of this film"):
        _ = model.board


def test_only_what_lies_in_input_can_be_chosen(project: Path, films: dict[str, Path]) -> None:
    (project / "elsewhere.mkv").hardlink_to(films["short"])
    (project / "input" / "film.mkv").hardlink_to(films["short"])
    (project / "input" / "not this one.mkv").hardlink_to(films["short"])
    (project / "input" / ".hidden.mkv").hardlink_to(films["short"])
    (project / "input" / "link.mkv").symlink_to(project / "elsewhere.mkv")
    model = opened(project)
    model.choose(["../elsewhere.mkv", ".hidden.mkv", "link.mkv", str(films["short"]), "film.mkv", "film.mkv"])
    assert model.film_state()["chosen"] == ["film.mkv"]
    (project / "input" / "film.mkv").unlink()
    assert (model.film_state()["chosen"], look(model)["can_start"]) == ([], False)


@pytest.mark.parametrize("absolute", [False, True], ids=["from the page", "from a notebook"])
def test_choosing_a_film_shows_its_last_run_whoever_began_it(absolute: bool, project: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        (project / "input" / name).touch()
    path = project / "input" / "a.mkv" if absolute else Path("input/a.mkv")
    first = {"time": 1.0, "kind": "run_started", "film": "a.mkv", "path": str(path), "stages": []}
    last = {"time": 2.0, "kind": "cancelled", "message": "stop"}
    lines = "".join(json.dumps(event) + "\n" for event in (first, last))
    (project / "logs" / "a-0123456789ab.events.jsonl").write_text(lines, encoding="utf-8")
    model = ViewModel(project)
    model.choose(["b.mkv"])
    assert (model.folder, model.phase) == (None, "idle")
    model.choose(["a.mkv"])
    assert (model.folder, model.phase) == ("a-0123456789ab", "cancelled")


def test_folders_of_pictures_are_films(project: Path) -> None:
    folder = project / "input" / "pictures"
    folder.mkdir()
    for n in range(3):
        write_image(folder / f"{n}.png", np.full((90, 160, 3), 40 * n, np.uint8))
    model = opened(project)
    model.choose(["pictures"])
    model.look_at_chosen()
    [row] = model.film_state()["films"]
    assert (row["name"], row["folder"], row["size"]) == ("pictures", True, 0)
    assert row["details"] == {"seconds": 0, "width": 160, "height": 90}
    model.plan()
    assert sum(step["seconds"] for step in look(model)["plan"]) > 1


# ---------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset.max_pictures", -1),
        ("dataset.max_pictures", "many"),
        ("dataset.max_pictures", None),
        ("quality.dark_luma", "1e999"),
        ("nothing.at_all", 1),
        ("detect", 1),
        ("caption.core_traits", "<b>"),
        ("detect.detector", "a\nb"),
    ],
)
def test_a_refused_value_is_said_beside_its_field_and_changes_nothing(name: str, value: object, project: Path) -> None:
    model = opened(project)
    before = model.form.to_toml()
    model.set_setting(name, value)
    look(model)
    assert list(model.settings_state()["errors"]) == ([name] if "." in name else [])
    assert model.errors[name]
    assert model.form.to_toml() == before
    model.set_setting("dataset.max_pictures", 41)
    assert set(model.errors) == {name} - {"dataset.max_pictures"}  # a value that fits is no excuse for another
    model.reset_setting(None)
    assert model.errors == {}
    assert model.form.to_toml() == before


def test_settings_travel_as_toml_and_a_broken_file_changes_nothing(project: Path) -> None:
    model, other = opened(project), opened(project)
    model.choose_preset("draft")
    model.set_setting("dataset.max_pictures", 41)
    assert model.settings_state()["changed"] == 1
    other.choose_preset("draft")
    other.read_settings(model.form.to_toml())
    assert other.form.to_toml() == model.form.to_toml()
    for text in ("[dataset]\nmax_pictures = 'x'\n", "not toml [", "[nothing]\na = 1\n", "\0"):
        other.read_settings(text)
        look(other)
        assert list(other.settings_state()["errors"]) == ["file"], text
        assert other.form.to_toml() == model.form.to_toml()
    other.read_settings(model.form.to_toml())
    assert other.settings_state()["errors"] == {}
    with pytest.raises(SettingsError, match="nonsense"):
        other.choose_preset("nonsense")
    assert other.settings_state()["preset"] == "draft"
    assert set(other.settings_state()["presets"]) == set(PRESETS)


# -------------------------------------------------------------------------------------------------------- small things


def test_reference_pictures_are_counted_by_character(project: Path) -> None:
    for path in (
        "hana/1.png",
        "hana/2.avif",
        "hana/.3.png",
        "hana/notes.txt",
        "ren/1.heic",
        "rem/1.png",
        ".upload/1.png",
        "empty/.keep",
    ):
        (project / "references" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / "references" / path).touch()
    assert opened(project).cast_state()["references"] == [{"name": "hana", "count": 2}, {"name": "rem", "count": 1}]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InputError("the film is gone"), "the film is gone"),
        (KeyError("name"), "something went wrong inside animeset (KeyError: 'name'); nothing finished is lost"),
    ],
)
def test_faults_are_kept_by_section_until_they_are_forgotten(error: Exception, says: str, project: Path) -> None:
    model = opened(project)
    places: dict[str, Callable[[], Any]] = {
        "film": lambda: model.film_state()["error"],
        "run": lambda: model.run_state()["problem"],
        "cast": lambda: model.cast_state()["error"],
        "result": lambda: model.result_state()["error"],
    }
    for section in places:
        model.fault(section, error)
        assert {name: get() for name, get in places.items()} == {n: says if n == section else "" for n in places}
        model.fault(section, None)
        assert all(get() == "" for get in places.values())


def test_the_largest_upload_is_as_the_environment_says(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ViewModel(project).film_state()["max_bytes"] == 50_000_000_000
    monkeypatch.setenv("ANIMESET_MAX_UPLOAD_GB", "1.5")
    assert ViewModel(project).film_state()["max_bytes"] == 1_500_000_000
    monkeypatch.setenv("ANIMESET_MAX_UPLOAD_GB", "lots")
    with pytest.raises(SettingsError, match="expected a number of gigabytes"):
        ViewModel(project)
