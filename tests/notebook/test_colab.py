"""Colab's own things, against a stand-in of its package, and the plain things that happen elsewhere."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.notebook import colab
from animeset_lib.pipeline import RunResult
from animeset_lib.published.publish import Published
from animeset_lib.records import Film

FILM = Film(id="0" * 12, name="film", source_name="film.mkv", kind="video", width=64, height=64)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`google.colab` with the three functions that are used; what was called, in order."""
    done: list[str] = []

    def module(name: str, **members: Any) -> types.ModuleType:
        made = types.ModuleType(name)
        made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        made.__path__ = []
        made.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    module("google")
    module("google.colab")
    module("google.colab.output", enable_custom_widget_manager=lambda: done.append("widgets"))
    module("google.colab.drive", mount=lambda path: done.append(f"mount {path}"))
    module("google.colab.files", download=lambda path: done.append(f"download {Path(path).name}"))
    return done


@pytest.fixture
def result(tmp_path: Path) -> RunResult:
    folder = tmp_path / "output" / "film"
    folder.mkdir(parents=True)
    (folder / "cast.json").write_text("{}")
    (folder.parent / "film.zip").write_bytes(b"zip")
    (folder.parent / f"film-{FILM.id}.decisions.jsonl").write_text("")
    return RunResult(FILM, Published(folder, folder.parent / "film.zip"), {"hana": 1}, (), False, 0)


def test_elsewhere_nothing_of_colab_happens(result: RunResult) -> None:
    assert not colab.on_colab()
    assert colab.allow_widgets() is False
    assert colab.mount_drive(False) is None
    assert colab.hand_over(result, None) == result.published.zip  # type: ignore[union-attr]
    with pytest.raises(AnimesetError, match="not Colab; expected a Colab runtime"):
        colab.mount_drive(True)


def test_on_colab_widgets_are_allowed_and_the_browser_downloads(called: list[str], result: RunResult) -> None:
    assert colab.on_colab()
    assert colab.allow_widgets()
    assert colab.mount_drive(False) is None, "Drive is not touched unless it is asked for"
    colab.hand_over(result, None)
    assert called == ["widgets", "download film.zip"]


def test_results_go_to_drive_when_it_is_mounted(
    called: list[str], result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")
    drive = colab.mount_drive(True)
    assert called == ["mount /content/drive"]
    assert drive == tmp_path / "drive" / "animeset"
    assert colab.hand_over(result, drive) == drive / "film.zip"
    assert sorted(path.name for path in drive.iterdir()) == [
        "film-" + FILM.id + ".decisions.jsonl",
        "film.cast.json",
        "film.zip",
    ]
    assert called == ["mount /content/drive"], "no download beside it"


def test_a_run_that_was_stopped_has_nothing_to_hand_over() -> None:
    with pytest.raises(InputError, match=r"run\.finish\(\)"):
        colab.hand_over(RunResult(FILM, None, {}, (), False, 0), None)


def test_the_machine_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colab, "cards", lambda: ())
    monkeypatch.setattr(colab, "choose", lambda asked: colab_device("cpu"))
    assert colab.device_in_words() == "graphics card: none\nnetworks run on: processor, 2 threads"
    from animeset_lib.models.engines.device import Card

    monkeypatch.setattr(colab, "cards", lambda: (Card(0, "Tesla T4", 15 * 2**30),))
    monkeypatch.setattr(colab, "choose", lambda asked: colab_device("cuda"))
    monkeypatch.setattr(colab, "idle", lambda device: ["torch cannot use it"])
    assert colab.device_in_words().splitlines() == [
        "graphics card: Tesla T4, 15 GiB",
        "networks run on: cuda:0 (Tesla T4)",
        "torch cannot use it",
    ]


def colab_device(kind: Any) -> Any:
    from animeset_lib.models.engines.device import Device

    return Device(kind, 0, 2, "processor" if kind == "cpu" else "Tesla T4")


def test_without_network_the_models_that_are_here_are_used() -> None:
    assert "goes on with" in colab.fetch_models("draft")
