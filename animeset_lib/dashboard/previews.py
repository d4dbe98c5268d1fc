"""What a run is making right now, as a few small pictures: the newest stills, faces or crops, as its events name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from animeset_lib.cast.head_box import head_crop
from animeset_lib.dashboard.pictures import thumbnail
from animeset_lib.records import Box

__all__ = ["newest_pictures"]

_PX = 150


def newest_pictures(events: Sequence[Mapping[str, Any]], film_work: Path, stage: str, most: int = 8) -> list[str]:
    """`data:` addresses of what stage `stage` made last, newest first; empty for stages that make no pictures. What cannot be read, because it
    is still being written or lies elsewhere by now, is left out."""
    of_stage = (event.get("made", ()) for event in reversed(events) if event.get("stage") == stage)
    made = (one for pictures in of_stage for one in reversed(pictures))
    uris = (_picture(film_work / one["path"], one["box"]) for one in made)
    return list(islice(filter(None, uris), most))


def _picture(path: Path, box: Sequence[float] | None) -> str:
    """The whole picture, or the head in `box`."""
    if box is None:
        return thumbnail(path, _PX)
    return thumbnail(path, _PX, (head_crop, Box.of(box)))
