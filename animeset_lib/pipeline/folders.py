"""Where things lie: the folders of a project, and everything about one film in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.published.publish import published_folders, read_manifest
from animeset_lib.records import Film

__all__ = ["FilmFiles", "Folders", "film_folders", "last_keys", "last_plan"]

PLAN_FILE = "plan.json"
"""In the film's work folder: source name and the keys of the last run, for `status` and `clean`."""


@dataclass(frozen=True)
class Folders:
    """Where things go. Created when needed."""

    output: Path = Path("output")
    work: Path = Path("work")
    logs: Path = Path("logs")


@dataclass(frozen=True)
class FilmFiles:
    """Everything about one film, whether it is there or not. `name` is that of its folder below `work/` and of its logs: readable and unique.

    What people decided, wrote or sorted lies in `output/` beside the result, for `work/` is cleaned away.
    """

    folders: Folders
    name: str

    @classmethod
    def of(cls, film: Film, folders: Folders = Folders()) -> FilmFiles:
        return cls(folders, f"{film.name}-{film.id}")

    @property
    def work(self) -> Path:
        """The stages of its runs."""
        return self.folders.work / self.name

    @property
    def plan(self) -> Path:
        return self.work / PLAN_FILE

    @property
    def events(self) -> Path:
        """What its last run told, one JSON object a line."""
        return self.folders.logs / f"{self.name}.events.jsonl"

    @property
    def decisions(self) -> Path:
        """What people decided about its stills and faces (`run.decisions`)."""
        return self._beside("decisions.jsonl")

    @property
    def cast_pack(self) -> Path:
        """Its sorting for the cast board (`pipeline.cast_pack`)."""
        return self._beside("cast")

    @property
    def traits(self) -> Path:
        """Which traits of which character its captions say (`words.trait_choices`)."""
        return self._beside("traits.toml")

    @property
    def edits(self) -> Path:
        """What people changed in its data sets (`published.edit_log`)."""
        return self._beside("edits.jsonl")

    @property
    def names(self) -> Path:
        """Whom its runs gave which automatic name (`cast.name_book`)."""
        return self._beside("names.json")

    @property
    def published(self) -> Path | None:
        """The folder of its data sets, None when there are none."""
        ours = [p for p in published_folders(self.folders.output) if self.name.endswith(f"-{read_manifest(p)['film']}")]
        return ours[-1] if ours else None

    def _beside(self, ending: str) -> Path:
        return self.folders.output / f"{self.name}.{ending}"


def film_folders(work: Path) -> list[str]:
    """Names of the folders in `work` that a run made; whatever else lies there is none of our business."""
    folders = sorted(path for path in work.iterdir() if path.is_dir()) if work.is_dir() else []
    return [path.name for path in folders if (film := last_plan(path).get("film")) and path.name.endswith(f"-{film}")]


def last_keys(film_work: Path) -> dict[str, str]:
    """Stage → key of the last run on the film whose work folder is given; empty when there was none."""
    keys: dict[str, str] = last_plan(film_work).get("keys", {})
    return keys


def last_plan(film_work: Path) -> dict[str, Any]:
    """What the last run wrote into its plan; empty when there was none."""
    try:
        plan: dict[str, Any] = json.loads((film_work / PLAN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan
