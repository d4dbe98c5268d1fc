"""`toy_run(...)`: the real `run_film` over the toy pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib import pipeline
from animeset_lib.models.fakes import FakeModels
from animeset_lib.pipeline import Folders, RunResult
from animeset_lib.settings import Settings
from tests.run.toy import FILM, toy_stages


@pytest.fixture
def toy_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., RunResult]:
    film = tmp_path / "toy.mkv"
    film.write_text("toy")

    def run(root: Path, value: int = 1, **options: object) -> RunResult:
        root.mkdir(exist_ok=True)
        monkeypatch.setattr(pipeline.media, "probe", lambda path: FILM)
        monkeypatch.setattr(pipeline, "Zoo", FakeModels)
        monkeypatch.setattr(pipeline, "build_pipeline", lambda *a, **k: toy_stages(root / "diary", value))
        folders = Folders(root / "output", root / "work", root / "logs")
        return pipeline.run_film(film, Settings(), folders, **options)  # type: ignore[arg-type]

    return run
