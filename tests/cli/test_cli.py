"""The command line as a person uses it: good films with odd names, bad input of every kind, exit codes, JSON."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from animeset_demo import iter_demo_frames
from animeset_lib.cli import common
from animeset_lib.pipeline import film_states
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.run.lock import hold
from animeset_lib.settings import PRESETS
from tests.film_maker import write_film

DRAFT = ("--preset", "draft")


@pytest.fixture(scope="session")
def short_film(drawn_film: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of the demo film, 480x270: a title and a first scene."""
    return Path(shutil.copy(drawn_film("mp4", seconds=6), tmp_path_factory.mktemp("films") / "short.mp4"))


Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "name",
    [
        "two\nlines 😀.mp4",
        "-dash 'quote\" $x.mp4",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("Ein Film – ßäü 🎬.mp4", "con.mp4")),
        "x" * 200 + ".mp4",
    ],
)
def test_any_file_name_works(name: str, short_film: Path, animeset: Call, tmp_path: Path) -> None:
    (tmp_path / name).hardlink_to(short_film)
    code, out, err = animeset("run", *DRAFT, "--json", "--", name)
    assert code == 0, err
    answer = json.loads(out)
    folder, archive = Path(answer["output"]), Path(answer["zip"])
    assert folder.is_dir()
    assert zipfile.ZipFile(archive).testzip() is None
    assert os.listdir("work") == [".locks"]
    assert "Up to date already" in animeset("run", *DRAFT, "--", name)[1]


def _missing(folder: Path) -> Path:
    return folder / "missing.mkv"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("no film at all\n" * 100)
    return folder / "text.mp4"


def _bare_folder(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "notes.txt").write_text("no picture")
    return folder / "pictures"


def _sound(folder: Path) -> Path:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


@pytest.mark.parametrize("make", [_missing, _empty, _text, _bare_folder, _sound])
def test_what_cannot_be_a_film_gets_one_clear_line(
    make: Callable[[Path], Path], animeset: Call, tmp_path: Path
) -> None:
    path = make(tmp_path)
    code, out, err = animeset("run", "--", path)
    assert code == 1, out + err
    assert err.count("error:") == 1
    assert path.name in err
    assert "Traceback" not in out + err
    assert len(err.strip().splitlines()) <= 2
    assert not list(Path.cwd().glob("output/*"))


def test_wrong_settings_and_places(animeset: Call, short_film: Path, tmp_path: Path) -> None:
    code, _, err = animeset("run", "--set", "dedupe.ssim_mni=1", short_film)
    assert code == 2
    assert "did you mean 'ssim_min'" in err
    (tmp_path / "file").touch()
    code, _, err = animeset("run", "--output", tmp_path / "file" / "deeper", short_film)
    assert code == 1
    assert "cannot write" in err
    code, _, err = animeset("run", "--references", tmp_path / "nowhere", *DRAFT, short_film)
    assert code == 1
    assert "nowhere" in err


def test_truncated_film_is_used_as_far_as_it_goes_and_says_so(animeset: Call, short_film: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mkv"
    with av.open(str(short_film)) as source, av.open(str(whole), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    code, out, err = animeset("run", *DRAFT, "--json", cut)
    assert code == 0, err
    assert json.loads(out)["notes"], "a cut-off film must be mentioned"


def test_no_face_is_a_finished_run_that_explains_itself(animeset: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    scenes = [np.kron(rng.integers(40, 220, (9, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(3)]
    write_film(tmp_path / "landscape.mp4", [scene for scene in scenes for _ in range(12)], fps=12)
    code, out, err = animeset("run", *DRAFT, "landscape.mp4")
    assert code == 0, err
    assert "No character was found" in out
    assert len(list(Path("output/landscape/frames").iterdir())) >= 3
    assert "no " in Path("output/landscape/README.md").read_text(encoding="utf-8").lower()


def test_film_of_one_frame(animeset: Call, tmp_path: Path) -> None:
    write_film(tmp_path / "one.mp4", [np.full((180, 320, 3), 120, np.uint8)])
    assert animeset("run", *DRAFT, "one.mp4")[0] == 0


def test_folder_of_pictures_is_a_film(animeset: Call, tmp_path: Path) -> None:
    folder = tmp_path / "stills"
    folder.mkdir()
    for number, (picture, _) in enumerate(iter_demo_frames(width=480, height=270, fps=2, length_s=6)):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    (folder / "broken.png").write_bytes(b"\x89PNG nothing")
    code, out, err = animeset("run", *DRAFT, "--json", folder)
    assert code == 0, err
    explained = Path(json.loads(out)["output"], "explain.jsonl").read_text(encoding="utf-8")
    assert "unreadable" in explained


def test_plan_status_clean(animeset: Call, short_film: Path) -> None:
    code, out, _ = animeset("run", *DRAFT, "--plan", short_film)
    assert code == 0
    *rows, last = out.splitlines()
    # as wide as the longest name, 6d_regularisation, so that all states stand below each other
    assert rows == [f"{stage.name:<17}  to run" for stage in PIPELINE.values()]
    assert last == "short.mp4: 0 of 14 stages reused, 14 to run"
    assert animeset("run", *DRAFT, "--keep-work", short_film)[0] == 0
    plan = ("run", *DRAFT, "--plan")
    assert animeset(*plan, short_film)[1:] == (
        "short.mp4: all 14 stages are up to date in the output; nothing to run\n",
        "",
    )
    out = animeset(*plan, "--set", "caption.style=cel", short_film)[1].splitlines()
    assert out[10:] == [
        "6b_attributes      finished, reused",
        "6c_caption         to run",
        "6d_regularisation  to run",
        "7_dataset          to run",
        "short.mp4: 11 of 14 stages reused, 3 to run",
    ]
    states = json.loads(animeset("status", "--json")[1])
    assert len(states[0]["stages"]) == 14
    assert all(stage["finished"] and stage["current"] for stage in states[0]["stages"])
    assert re.fullmatch(r"short.mp4  finished up to 7_dataset, \d+ MB in work/\n", animeset("status")[1])
    first, *stages = animeset("status", "--all")[1].splitlines()
    assert first.startswith("short.mp4: finished up to 7_dataset, ")
    assert stages == [f"  {stage.name:<17}  finished" for stage in PIPELINE.values()]
    assert "Nothing to remove" in animeset("clean")[1]
    assert animeset("run", *DRAFT, "--keep-work", "--set", "caption.style=cel", short_film)[0] == 0
    assert animeset("status")[1].endswith("; no run needs 3 of its stages (animeset clean)\n")
    assert animeset("status", "--all")[1].count("finished, no current run uses it") == 3
    listed = json.loads(animeset("clean", "--json")[1])
    assert sorted(Path(entry["path"]).name.split("-")[0] for entry in listed) == [
        *("6c_caption", "6d_regularisation", "7_dataset"),
    ]
    assert all(Path(entry["path"]).exists() for entry in listed)
    animeset("clean", "--yes")
    assert not any(Path(entry["path"]).exists() for entry in listed)
    animeset("clean", "--all", "--yes")
    assert os.listdir("work") == [".locks"]
    assert "No live run" in animeset("cancel")[1]


def test_doctor_and_settings(animeset: Call, tmp_path: Path) -> None:
    answer = json.loads(animeset("doctor", "--json")[1])
    tasks = {row["task"] for row in answer["models"] if row["present"]}
    assert tasks == {"detector", "embedder", "upscaler", "tagger"}, "every task needs a rung that is always there"
    code, out, _ = animeset("settings", "--preset", "draft")
    (tmp_path / "mine.toml").write_text(out, encoding="utf-8")
    assert animeset("settings", "--settings", "mine.toml")[1] == out
    assert code == 0


def test_demo_film_command(animeset: Call) -> None:
    code, out, _ = animeset(
        "demo-film", "films/d.mp4", "--length", "2", "--width", "320", "--height", "180", "--fps", "6"
    )
    assert code == 0
    assert Path("films/d.mp4").is_file()
    assert Path("films/d.truth.json").is_file()
    assert "films/d.mp4" in out


def test_faults_of_the_demo_command_are_the_users_to_mend(animeset: Call, tmp_path: Path) -> None:
    code, _, err = animeset("demo-film", "d.mp4", "--length", "2", "--width", "161", "--height", "91")
    assert (code, "even" in err, "inside animeset" in err) == (2, True, False)
    (tmp_path / "file").touch()
    code, _, err = animeset("demo-film", "file/d.mp4", "--length", "2")
    assert (code, "cannot write" in err) == (1, True)
    assert "no film was named" in animeset("run", "")[2]


def test_a_run_stops_where_it_is_told_and_goes_on(animeset: Call, short_film: Path) -> None:
    code, out, err = animeset("run", *DRAFT, "--until", "dedupe", short_film)
    assert code == 0, err
    assert "Stopped after dedupe" in out
    assert os.listdir("output") == []
    (film,) = (path for path in Path("work").iterdir() if path.name != ".locks")
    assert sorted(path.name.split("-")[0] for path in film.glob("*-*")) == ["1_extract", "2_dedupe"]
    assert animeset("clean", "--json")[1].strip() == "[]"
    events = [json.loads(line) for line in next(Path("logs").glob("*.events.jsonl")).read_text().splitlines()]
    assert (events[-1]["kind"], events[-1]["after"]) == ("paused", "2_dedupe")
    assert events[0]["until"] == "dedupe"
    code, out, err = animeset("run", *DRAFT, short_film)
    assert code == 0, err
    assert re.search(r"1_extract +reused", out)
    assert list(Path("output").glob("*.zip"))
    code, _, err = animeset("run", "--until", "nowhere", short_film)
    assert code == 2
    assert "nowhere" in err


def test_a_series_goes_on_after_a_broken_film_and_hands_the_cast_on(
    animeset: Call, short_film: Path, tmp_path: Path
) -> None:
    for name in ("e1.mp4", "e3.mp4"):
        # another byte at the end: another film
        (tmp_path / name).write_bytes(short_film.read_bytes() + name.encode())
    (tmp_path / "e2.mp4").write_text("no film at all" * 100)
    code, out, err = animeset("run", *DRAFT, "--json", "e1.mp4", "e2.mp4", "e3.mp4")
    assert code == 1
    assert "1 of 3 films" in err
    assert "e2.mp4" in err
    answers = [json.loads(line) for line in out.splitlines()]
    assert [Path(answer["output"]).name for answer in answers] == ["e1", "e3"]
    assert "e2.mp4" in Path("logs/process.log").read_text()
    starts = {}
    for path in Path("logs").glob("*.events.jsonl"):
        first = json.loads(path.read_text().splitlines()[0])
        starts[first["film"]] = first
    assert starts["e3.mp4"]["series"] == [["e1.mp4", "e2.mp4", "e3.mp4"], 2]
    # whoever goes on with the series gives the first film what the command gave it: nothing
    assert starts["e3.mp4"]["cast"] is None
    alone = animeset("run", *DRAFT, "--plan", "--json", "e3.mp4")[1]
    with_cast = animeset("run", *DRAFT, "--plan", "--json", "--cast", "output/e1/cast.json", "e3.mp4")[1]
    assert {row["state"] for row in json.loads(with_cast)} == {"up to date in the output"}
    assert {row["state"] for row in json.loads(alone)} != {"up to date in the output"}


def test_a_film_may_have_a_percent_sign_in_its_name(animeset: Call, tmp_path: Path) -> None:
    (tmp_path / "100% nope.mp4").write_text("no film at all" * 100)
    code, _, err = animeset("run", *DRAFT, "100% nope.mp4")
    assert code == 1
    assert "Traceback" not in err
    assert "Logging error" not in err
    assert "[100% nope" in Path("logs/process.log").read_text(encoding="utf-8")


def test_a_folder_without_rights_is_named(animeset: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied", "output/film/hana")

    monkeypatch.setattr("animeset_lib.pipeline.find_dataset", refuse)
    code, _, err = animeset("export", "film")
    assert code == 1
    assert "output/film/hana may not be read or written by you (Permission denied)" in err
    assert "something went wrong" not in err


def _work_folder(film: str, **keys: bool) -> Path:
    """As a run leaves it: its plan, and its stages, finished or with two batches."""
    folder = Path("work", f"{film}-0123456789ab")
    for stage, finished in keys.items():
        (folder / f"{stage[1:]}-aaaaaaaaaaaa{'' if finished else '.partial'}" / "parts").mkdir(parents=True)
    plan = {
        "source": f"{film}.mkv",
        "film": "0123456789ab",
        "keys": {stage.name: "a" * 12 for stage in PIPELINE.values()},
    }
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return folder


def test_status_has_one_line_for_each_film(animeset: Call) -> None:
    _work_folder("e1", _1_extract=True, _2_dedupe=True, _3a_detect=False)
    _work_folder("e2_long", _1_extract=False)
    folder = _work_folder("e3", _1_extract=True, _2_dedupe=True)
    Path("logs").mkdir()
    with hold(Path("work"), folder.name):
        begun = animeset("status")[1].splitlines()[2]
        event = {"time": 1.0, "kind": "progress", "stage": "3b_embed", "done": 37, "total": 100, "seconds": 1.0}
        Path("logs", f"{folder.name}.events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
        lines = animeset("status")[1].splitlines()
        assert film_states(Path("work"), Path("logs"))[2]["bytes"] is None, "what grows is not measured"
    assert begun == f"e3.mkv       running: just begun (process {os.getpid()})"
    assert lines == [
        "e1.mkv       finished up to 2_dedupe, 3a_detect begun, 0 MB in work/",
        "e2_long.mkv  no stage is finished, 1_extract begun, 0 MB in work/",
        f"e3.mkv       running: 3b_embed 37 % (process {os.getpid()})",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_columns_are_folded_in_a_terminal_only(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "ein Satz, " * 20
    for terminal in (True, False):
        screen = io.StringIO()
        monkeypatch.setattr(common, "console", Console(file=screen, width=width, force_terminal=terminal))
        common.say_columns([("花.mkv", "short"), ("episode.mkv", long)])
        first, *lines = screen.getvalue().splitlines()
        assert first == "花.mkv       short"
        if terminal:
            assert len(lines) > 1
            assert all(cell_len(line) <= width for line in lines)
            assert lines[0].startswith("episode.mkv  ein Satz, ")
            assert all(line.startswith(" " * 13 + line.strip()[0]) for line in lines[1:])
        else:
            assert lines == [f"episode.mkv  {long}"]


@pytest.mark.parametrize("width", [80, 200])
def test_help_has_a_line_for_each_command_in_the_order_of_use(
    animeset: Call, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = animeset("--help")
    assert code == 0
    assert {len(line) for line in out.splitlines() if line} == {width}
    _, commands = out.split("From a film to image sets")
    rows = re.findall(r"^│ (\S+) +(\S.*?) +│$", commands, re.MULTILINE)
    assert [name for name, _ in rows] == [
        *("probe", "run", "dashboard", "status", "cancel", "decide", "lens", "export", "lint", "captions", "traits"),
        *("models", "doctor", "settings", "clean", "demo-film", "notebooks"),
    ]
    assert all(words[0].isupper() and words[-1] == "." for _, words in rows), "whole sentences, none is continued"
    assert re.findall(r"╭─ ([^─]+) ─", commands) == ["Who is who", "Published sets", "This machine"]


def test_the_help_of_a_run_names_every_preset(animeset: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written down, not made, so that help need not load the settings."""
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = animeset("run", "--help")
    (line,) = [line for line in out.splitlines() if "--preset" in line]
    assert all(re.search(rf"\b{name}\b", line) for name in PRESETS)
