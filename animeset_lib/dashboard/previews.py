"""What a run is making right now, as a few small pictures: the newest stills, faces or crops of the stage at work."""

from __future__ import annotations

import os
from pathlib import Path

from animeset_lib.dashboard.pictures import Thumbnails, face_picture
from animeset_lib.records import Region

__all__ = ["newest_pictures"]

_PICTURES = (".png", ".webp", ".jpg")
_PX = 150


def newest_pictures(film_work: Path, stage: str, thumbs: Thumbnails, most: int = 8) -> list[str]:
    """`data:` addresses of what stage `stage` made last, newest first; empty for stages that make no pictures."""
    folders = sorted(film_work.glob(f"{stage}-*"), key=_changed, reverse=True) if film_work.is_dir() else []
    if not folders:
        return []
    if stage == "3a_detect":
        try:
            return _faces(film_work, folders[0], thumbs, most)
        except FileNotFoundError:  # the stage was finished meanwhile, and its folder has another name
            return []
    found = [thumbs.get(path, "whole", _PX) for path in _newest_files(folders[0], most)]
    return [uri for uri in found if uri]


def _newest_files(folder: Path, most: int) -> list[Path]:
    entries = []
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(_PICTURES) and not name.startswith("."):
                path = Path(place, name)
                entries.append((_changed(path), path))
    return [path for _, path in sorted(entries, reverse=True)[:most]]


def _faces(film_work: Path, folder: Path, thumbs: Thumbnails, most: int) -> list[str]:
    stills = next(iter(sorted(film_work.glob("1_extract-*"), key=_changed, reverse=True)), None)
    sources = sorted((folder / "parts").glob("*.jsonl"), key=_changed)[-1:] or [folder / "rows.jsonl"]
    if stills is None or not sources[0].is_file():
        return []
    regions = []
    for line in sources[0].read_text(encoding="utf-8").splitlines():
        if not line.startswith('{"items"'):
            regions.append(Region.model_validate_json(line))
    found = []
    for region in [r for r in regions if r.dropped is None][-most:][::-1]:
        path = next((p for ending in _PICTURES if (p := stills / f"{region.frame_id}{ending}").is_file()), None)
        path = path or next(iter(stills.rglob(f"{region.frame_id}.*")), None)
        if path is not None:
            face = region.face
            found.append(thumbs.get(path, region.id, _PX, lambda still, face=face: face_picture(still, face)))  # type: ignore[misc]
    return [uri for uri in found if uri]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
