"""How long a stage will take: from earlier runs, else from what was measured once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.dashboard.estimates import Rates
from animeset_lib.dashboard.runs import finished_events
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.settings import PRESETS, load_settings

DRAFT = load_settings(preset="draft").model_dump(mode="json")
FULL = load_settings().model_dump(mode="json")


def _run(*events: dict[str, Any], minutes: float | None = 2, settings: dict[str, Any] | None = None) -> list[Any]:
    duration = None if minutes is None else int(60_000 * minutes)
    start = {
        "time": 1.0,
        "kind": "run_started",
        "film": "f.mp4",
        "duration_ms": duration,
        "settings": FULL if settings is None else settings,
    }
    return [start, *events]


def _stage(
    seconds: float, *, todo: int = 5, reused: bool = False, stage: str = "1_extract", ended: bool = True
) -> list[Any]:
    started = {"time": 2.0, "kind": "stage_started", "stage": stage, "items": 5, "todo": todo}
    finished = {"time": 3.0, "kind": "stage_finished", "stage": stage, "seconds": seconds, "reused": reused}
    return [started, *([finished] if ended else [])]


def test_every_stage_was_measured() -> None:
    assert [stage.name for stage in PIPELINE.values() if "seconds_per_minute" not in vars(stage)] == []


@pytest.mark.parametrize(
    ("stage", "settings", "minutes", "seconds"),
    [
        ("1_extract", FULL, 1, 6.0),
        ("1_extract", FULL, 24, 144.0),
        ("1_extract", DRAFT, 0.5, 3.0),
        ("1_extract", FULL, 0, 6.0),  # a folder of pictures
        ("4b_upscale", FULL, 1, 440.0),
        ("4b_upscale", DRAFT, 1, 1.0),
        ("4b_upscale", {"upscale": {"upscaler": "none"}}, 3, 3.0),
        ("4b_upscale", {"upscale": {"upscaler": "realesrgan"}}, 1, 440.0),
        ("4b_upscale", {}, 1, 440.0),
        ("9_unheard_of", FULL, 2, 2.0),
        ("3d_cast", FULL, 1.23, 0.1),
    ],
)
def test_without_an_earlier_run(stage: str, settings: dict[str, Any], minutes: float, seconds: float) -> None:
    assert Rates().seconds(stage, settings, minutes) == seconds
    assert PRESETS["draft"]["upscale"]["upscaler"] == "lanczos"


@pytest.mark.parametrize(
    ("runs", "seconds"),
    [
        ([_run(*_stage(20))], 10.0),
        ([_run(*_stage(20)), _run(*_stage(80))], 40.0),
        ([_run(*_stage(20), minutes=0.5)], 40.0),
        ([_run(*_stage(0, reused=True))], 6.0),
        ([_run(*_stage(20)), _run(*_stage(0, reused=True))], 10.0),
        ([_run(*_stage(2, todo=4))], 6.0),
        ([_run(*_stage(20, ended=False))], 6.0),
        ([_run(*_stage(20), minutes=None)], 6.0),
        ([_run(*_stage(20), minutes=0)], 6.0),
        ([_run(*_stage(20), settings=DRAFT)], 6.0),
        ([_run(*_stage(20, stage="2_dedupe"))], 6.0),
        ([_run()], 6.0),
        ([], 6.0),
    ],
)
def test_learned_from_runs(runs: list[list[dict[str, Any]]], seconds: float) -> None:
    assert Rates.learned(runs).seconds("1_extract", FULL, 1) == seconds


def test_a_draft_teaches_drafts() -> None:
    rates = Rates.learned([_run(*_stage(20), settings=DRAFT), _run(*_stage(90), settings=FULL)])
    assert (rates.seconds("1_extract", DRAFT, 1), rates.seconds("1_extract", FULL, 1)) == (10.0, 45.0)


def test_learned_from_the_files_of_runs_oldest_first(tmp_path: Path) -> None:
    def write(name: str, seconds: float, changed: int) -> None:
        path = tmp_path / f"{name}.events.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in _run(*_stage(seconds))), encoding="utf-8")
        os.utime(path, (changed, changed))

    write("b-old", 20, 1000)
    write("a-new", 60, 2000)
    write("c-older", 100, 500)
    (tmp_path / "half.events.jsonl").write_text('{"time": 1, "kind": "run_sta', encoding="utf-8")
    (tmp_path / "foreign.events.jsonl").write_text('[1]\n{"some": "thing"}\nno json\n', encoding="utf-8")
    (tmp_path / "folder.events.jsonl").mkdir()
    runs = finished_events(tmp_path)
    assert [events[2]["seconds"] for events in runs] == [100, 20, 60]
    assert Rates.learned(runs).seconds("1_extract", FULL, 1) == 30.0
    assert finished_events(tmp_path / "nowhere") == []


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    whole = "".join(json.dumps(event) + "\n" for event in _run(*_stage(20)))
    (tmp_path / "x.events.jsonl").write_text(whole + '{"time": 9, "kind": "stage_st', encoding="utf-8")
    (events,) = finished_events(tmp_path)
    assert [event["kind"] for event in events] == ["run_started", "stage_started", "stage_finished"]
