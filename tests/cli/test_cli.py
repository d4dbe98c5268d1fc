"""The command line as a person uses it: good films with odd names, bad input of every kind, exit codes, JSON."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from animeset_demo import iter_demo_frames
from tests.film_maker import write_film

DRAFT = ("--preset", "draft")


@pytest.fixture(scope="session")
def short_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of the demo film, 480x270: a title and a first scene."""
    path = tmp_path_factory.mktemp("films") / "short.mp4"
    write_film(path, [picture for picture, _ in iter_demo_frames(width=480, height=270, fps=12, length_s=6)], fps=12)
    return path


Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "name", ["Ein Film – ßäü 🎬.mp4", "two\nlines 😀.mp4", "-dash 'quote\" $x.mp4", "x" * 200 + ".mp4", "con.mp4"]
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
    assert out.count("to run") == 14
    assert animeset("run", *DRAFT, "--keep-work", short_film)[0] == 0
    states = json.loads(animeset("status", "--json")[1])
    assert len(states[0]["stages"]) == 14
    assert all(stage["finished"] and stage["current"] for stage in states[0]["stages"])
    assert "Nothing to remove" in animeset("clean")[1]
    assert animeset("run", *DRAFT, "--keep-work", "--set", "caption.style=cel", short_film)[0] == 0
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
