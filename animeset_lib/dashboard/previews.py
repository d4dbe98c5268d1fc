"""What a run is making right now, as a few small pictures: the newest stills, faces or crops, as its events name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from animeset_lib.dashboard.pictures import Thumbnails, face_picture
from animeset_lib.records import Box

__all__ = ["newest_pictures"]

_PX = 150


def newest_pictures(
    events: Sequence[Mapping[str, Any]], film_work: Path, stage: str, thumbs: Thumbnails, most: int = 8
) -> list[str]:
    """`data:` addresses of what stage `stage` made last, newest first; empty for stages that make no pictures. What cannot be read, because it
    is still being written or lies elsewhere by now, is left out."""
    found: list[str] = []
    for path, box in _made(events, stage):
        if box is None:
            uri = thumbs.get(film_work / path, "whole", _PX)
        else:
            uri = thumbs.get(film_work / path, box, _PX, lambda still, face=box: face_picture(still, face))  # type: ignore[misc]
        found += [uri] if uri else []
        if len(found) == most:
            break
    return found


def _made(events: Sequence[Mapping[str, Any]], stage: str) -> Iterator[tuple[str, Box | None]]:
    """The pictures that the events of a stage name, newest first."""
    for event in reversed(events):
        if event.get("stage") == stage:
            for one in reversed(event.get("made", ())):
                yield one["path"], None if one["box"] is None else Box.of(one["box"])
