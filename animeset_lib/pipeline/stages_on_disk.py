"""The finished stages of a film that lie in its work folder, found by what they say of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animeset_lib.pipeline.folders import last_keys
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.run.stage import Given, Output, StageType
from animeset_lib.run.store import PARTIAL, FilmStore

__all__ = ["stages_with"]

_KINDS = {stage.name: stage for stage in PIPELINE.values()}


def stages_with(film_work: Path, last: StageType) -> Given | None:
    """The finished stage `last` of the film's last run, else the newest one, and all stages it was made from; None when there is none or one of
    them is gone."""
    store = FilmStore(film_work.parent, film_work.name)
    found = [(_finished_at(folder.path), folder.key) for folder in store.folders() if folder.stage == last.name]
    finished = [(when, key) for when, key in found if when]
    if not finished:
        return None
    outputs: dict[str, Output[Any, Any]] = {}
    now = last_keys(film_work).get(last.name)
    waiting = [(last.name, now if now in {key for _, key in finished} else max(finished)[1])]
    while waiting:
        name, key = waiting.pop()
        if name in outputs:
            continue
        output = store.finished(_KINDS[name], key) if name in _KINDS else None
        if output is None:
            return None
        outputs[name] = output
        try:
            waiting += list(output.info.inputs.items())
        except (
            FileNotFoundError,
            ValueError,
        ):  # a run that ends well removes its stages; one of another version wrote others
            return None
    return Given(outputs[name] for name in _KINDS if name in outputs)


def _finished_at(folder: Path) -> int:
    """In ns; 0 for a folder that is not finished."""
    try:
        return 0 if folder.name.endswith(PARTIAL) else (folder / "stage.json").stat().st_mtime_ns
    except OSError:
        return 0
