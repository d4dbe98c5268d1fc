"""`toy_run(...)`: the real `run_film` over the toy pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib.pipeline import Folders, RunResult
from animeset_lib.pipeline import run as room
from animeset_lib.settings import Settings
from tests.fakes import FakeModels
from tests.run.toy import FILM, Numbers, Tree, toy_stages


@pytest.fixture
def toy_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., RunResult]:
    film = tmp_path / "toy.mkv"
    film.write_text("toy")

    def run(root: Path, value: int = 1, **options: object) -> RunResult:
        root.mkdir(exist_ok=True)
        monkeypatch.setattr(room.media, "probe", lambda path, **_: FILM)
        monkeypatch.setattr(room, "Zoo", FakeModels)
        monkeypatch.setattr(room, "build_pipeline", lambda *a, **k: toy_stages(root / "diary", value))
        monkeypatch.setattr(room, "ExtractStage", Numbers)
        monkeypatch.setattr(room, "DatasetStage", Tree)
        folders = Folders(root / "output", root / "work", root / "logs")
        return room.run_film(film, Settings(), folders, **options)  # type: ignore[arg-type]

    return run
