"""What a run would do, and what runs there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from animeset_lib import media
from animeset_lib.models.engines.device import choose
from animeset_lib.models.provider import Zoo
from animeset_lib.pipeline.folders import FilmFiles, Folders, film_folders, last_plan
from animeset_lib.pipeline.run import film_stages, to_repeat
from animeset_lib.pipeline.stages import AnyStage
from animeset_lib.published.publish import published
from animeset_lib.run.engine import keys_of
from animeset_lib.run.events import read_events
from animeset_lib.run.lock import holder
from animeset_lib.run.store import FilmStore, folder_size
from animeset_lib.settings import Settings

__all__ = ["film_states", "live_runs", "plan_film"]


def plan_film(
    path: Path,
    settings: Settings,
    folders: Folders,
    *,
    references: Path | None = None,
    cast: Path | None = None,
    keep_work: bool = False,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """For each stage whether a run would reuse it (`reused`), go on with it (`begun`) or run it, and in words (`state`); nothing is written."""
    film = media.probe(path, settings=settings.film)
    files = FilmFiles.of(film, folders)
    models = Zoo(device=choose(device, precision=settings.device.precision))
    stages, _ = film_stages(settings, film, path, files, models, references=references, cast=cast)
    keys = keys_of(stages, models)
    here = {(f.stage, f.key): f for f in FilmStore(folders.work, files.name).folders()}
    todo: Sequence[AnyStage] = stages
    if published(folders.output, film, keys[stages[-1].name]) is not None:
        todo = to_repeat(stages, keys, files, keep_work)
    names = {stage.name for stage in todo}
    rows = []
    for stage, key in keys.items():
        found = here.get((stage, key)) if stage in names else None
        begun = found is not None and not found.finished
        reused = stage not in names or (found is not None and found.finished)
        state = "finished, reused" if reused else "to run"
        if found is not None and begun:
            state = f"goes on after {found.parts} batches"
        elif stage not in names:
            state = "up to date in the output"
        rows.append({"stage": stage, "key": key, "state": state, "reused": reused, "begun": begun})
    return rows


def film_states(work: Path, logs: Path) -> list[dict[str, Any]]:
    """One entry per film in `work`: source, folder, who is running, its stages, the last progress event, and its size unless it is growing."""
    states = []
    for folder in film_folders(work):
        plan = last_plan(work / folder)
        keys = plan.get("keys", {})
        running = holder(work, folder)
        events = read_events(logs / f"{folder}.events.jsonl") if running else []
        stages = [
            {
                "stage": f.stage,
                "key": f.key,
                "finished": f.finished,
                "parts": f.parts,
                "current": keys.get(f.stage) == f.key,
            }
            for f in FilmStore(work, folder).folders()
        ]
        states.append(
            {
                "source": plan.get("source", folder),
                "folder": folder,
                "running": running,
                "stages": stages,
                "progress": next((event for event in reversed(events) if event["kind"] == "progress"), None),
                "bytes": None if running else folder_size(work / folder),
            }
        )
    return states


def live_runs(work: Path) -> list[str]:
    """Film folders with a live run."""
    return [folder for folder in film_folders(work) if holder(work, folder) is not None]
