"""What is particular about Google Colab, and nothing outside it: the graphics card in words, Drive if asked, widgets, and getting the zip out.

Every function also works where there is no Colab and then does the nearest plain thing.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from pathlib import Path
from typing import Any

from animeset_lib import pipeline
from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.models.engines.device import cards, choose, idle
from animeset_lib.notebook.bars import counting
from animeset_lib.pipeline import RunResult
from animeset_lib.settings import load_settings

__all__ = ["DRIVE", "allow_widgets", "device_in_words", "fetch_models", "hand_over", "mount_drive", "on_colab"]

DRIVE = Path("/content/drive/MyDrive")


def on_colab() -> bool:
    """Whether this is a Colab runtime: its own package is there."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except ModuleNotFoundError:  # no package `google` at all
        return False


def device_in_words() -> str:
    """Which cards the driver shows and where networks will run, with the command that mends what leaves a card idle."""
    device = choose("auto")
    names = "; ".join(f"{card.name}, {card.memory / 2**30:.0f} GiB" for card in cards()) or "none"
    return "\n".join([f"graphics card: {names}", f"networks run on: {device.words}", *idle(device)])


def allow_widgets() -> bool:
    """Let Colab show the dashboard's widgets; elsewhere they are shown anyway. Returns whether this was Colab."""
    if not on_colab():
        return False
    _colab("output").enable_custom_widget_manager()
    return True


def mount_drive(wanted: bool) -> Path | None:
    """The folder `animeset` on Google Drive when `wanted`, made where it is missing; None when not, and then Drive is not touched.

    Raises `AnimesetError` when Drive is wanted outside Colab.
    """
    if not wanted:
        return None
    if not on_colab():
        raise AnimesetError(
            "MOUNT_DRIVE is on, but this is not Colab; expected a Colab runtime. Set MOUNT_DRIVE = False: results lie in output/"
        )
    _colab("drive").mount("/content/drive")
    folder = DRIVE / "animeset"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch_models(preset: str) -> str:
    """Download the best models that run well here, with a bar; returns what could not be had, or that all is there."""
    said: list[str] = []
    with counting("downloading models") as progress:
        pipeline.fetch_models(
            load_settings(preset=preset), "auto", lambda name, done, total: progress(done, total or done), said.append
        )
    return "\n".join(said) or "the best models that run well here are present"


def hand_over(result: RunResult, drive: Path | None) -> Path:
    """Where the zip of `result` can be had: copied to `drive`, else downloaded by the browser on Colab, else where it lies.

    The cast file and your decisions go to `drive` with it. Raises `InputError` when nothing was published.
    """
    if result.published is None:
        raise InputError("the run was stopped early and published nothing; expected the result of run.finish()")
    archive = result.published.zip
    if drive is not None:
        for file in (archive, *archive.parent.glob(f"{result.film.name}-{result.film.id}.decisions.jsonl")):
            shutil.copy2(file, drive / file.name)
        shutil.copy2(result.published.folder / "cast.json", drive / f"{result.published.folder.name}.cast.json")
        return drive / archive.name
    if on_colab():
        _colab("files").download(str(archive))
    return archive


def _colab(module: str) -> Any:
    return importlib.import_module(f"google.colab.{module}")
