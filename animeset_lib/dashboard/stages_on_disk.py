"""The finished stages of a film that lie in its work folder, found by what they say of each other."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.run.stage import Output
from animeset_lib.run.store import FilmStore
from animeset_lib.stages import PIPELINE

__all__ = ["stages_with"]

_KINDS = {stage.name: stage for stage in PIPELINE.values()}


def stages_with(film_work: Path, last: str) -> dict[str, Output] | None:
    """The newest finished stage `last` and all stages it was made from, by name; None when there is none or one of them is gone."""
    store = FilmStore(film_work.parent, film_work.name)
    found = [folder for folder in store.folders() if folder.stage == last and folder.finished]
    if not found:
        return None
    newest = max(found, key=lambda folder: (folder.path / "stage.json").stat().st_mtime)
    outputs: dict[str, Output] = {}
    waiting = [(last, newest.key)]
    while waiting:
        name, key = waiting.pop()
        if name in outputs:
            continue
        output = store.finished(_KINDS[name], key)
        if output is None:
            return None
        outputs[name] = output
        waiting += list(output.info["inputs"].items())
    return outputs
