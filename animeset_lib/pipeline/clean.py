"""Removing what no run needs any more."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.pipeline.folders import film_folders, last_plan
from animeset_lib.run.lock import hold, holder
from animeset_lib.run.store import FilmStore, remove_tree

__all__ = ["removable", "remove_unused"]


def removable(work: Path, everything: bool) -> list[Path]:
    """What `clean` may remove: stage folders no key of the film's last run uses, or whole film folders; never a running film's."""
    found: list[Path] = []
    for folder in film_folders(work):
        if holder(work, folder) is not None:
            continue
        found += (
            [work / folder] if everything else FilmStore(work, folder).unused(last_plan(work / folder).get("keys", {}))
        )
    return found


def remove_unused(work: Path, path: Path) -> None:
    """Remove one of the folders that `removable` named, unless a run has begun on its film since. Raises `BusyError` then."""
    film = path.relative_to(work).parts[0]
    with hold(work, film):
        remove_tree(path)
