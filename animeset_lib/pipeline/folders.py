"""Where things lie"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.published.publish import (
    published_folders,
    read_manifest,
)
from animeset_lib.records import Film

__all__ = [
    "PLAN_FILE",
    "Folders",
    "_film_folders",
    "_plan",
    "_text",
    "captions_path",
    "cast_pack_path",
    "decisions_path",
    "film_folder",
    "last_keys",
    "names_path",
    "published_folder",
    "traits_path",
]


PLAN_FILE = "plan.json"
"""In the film's work folder: source name and the keys of the last run, for `status` and `clean`."""


@dataclass(frozen=True)
class Folders:
    """Where things go. Created when needed."""

    output: Path = Path("output")
    work: Path = Path("work")
    logs: Path = Path("logs")


def film_folder(film: Film) -> str:
    """Name of the film's folder below `work/` and of its logs: readable and unique."""
    return f"{film.name}-{film.id}"


def decisions_path(output: Path, folder: str) -> Path:
    """Where the human decisions about a film lie: beside its datasets, for `work/` is cleaned away. `folder` as of `film_folder`."""
    return output / f"{folder}.decisions.jsonl"


def cast_pack_path(output: Path, folder: str) -> Path:
    """Where the film's sorting lies for the cast board (`cast_pack`). `folder` as of `film_folder`."""
    return output / f"{folder}.cast"


def traits_path(output: Path, folder: str) -> Path:
    """Where a person says which traits of which character the captions tell (`review.traits`). `folder` as of `film_folder`."""
    return output / f"{folder}.traits.toml"


def captions_path(output: Path, folder: str) -> Path:
    """Where the captions that people wrote for a film's pictures are remembered. `folder` as of `film_folder`."""
    return output / f"{folder}.captions.jsonl"


def names_path(output: Path, folder: str) -> Path:
    """Where the automatic names of a film's characters are remembered (`stages.namebook`). `folder` as of `film_folder`."""
    return output / f"{folder}.names.json"


def published_folder(output: Path, folder: str) -> Path | None:
    """Where the datasets of the film lie, None when there are none. `folder` as of `film_folder`."""
    found = [path for path in published_folders(output) if folder.endswith(f"-{read_manifest(path)['film']}")]
    return found[-1] if found else None


def _film_folders(work: Path) -> list[str]:
    """Folders in `work` that a run made; whatever else lies there is none of our business."""
    folders = sorted(path for path in work.iterdir() if path.is_dir()) if work.is_dir() else []
    return [path.name for path in folders if (film := _plan(path).get("film")) and path.name.endswith(f"-{film}")]


def last_keys(film_work: Path) -> dict[str, str]:
    """Stage → key of the last run on the film whose work folder is given; empty when there was none."""
    keys: dict[str, str] = _plan(film_work).get("keys", {})
    return keys


def _plan(folder: Path) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
