"""A small published film on the disk, as `animeset run` leaves one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Shown:
    """One picture: what its row and its caption say."""

    caption: str = "hana, 1girl, solo, smile"
    outfit: str = "dress"
    emotion: str = "smile"
    framing: str = "face"
    shot: int | None = 0
    size: tuple[int, int] = (64, 64)
    mask: bool = False


def write_picture(path: Path, seed: int, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8), mode).save(path)


def make_film(
    output: Path,
    characters: dict[str, Sequence[Shown]],
    *,
    name: str = "film",
    film_id: str = "0123456789ab",
    scenery: int = 0,
    training_px: int = 512,
) -> Path:
    """The folder `output/<name>`; pictures are called `<character>_0001.png` and so on."""
    folder = output / name
    for number, (character, pictures) in enumerate(characters.items()):
        rows = []
        for rank, shown in enumerate(pictures, start=1):
            stem = f"{character}_{rank:04d}"
            base = folder / character / "dataset"
            write_picture(base / "images" / f"{stem}.png", 1000 * number + rank, shown.size)
            if shown.mask:
                write_picture(base / "masks" / f"{stem}.png", 5000 * number + rank, shown.size, "L")
            _text(base / "captions" / f"{stem}.txt", f"{shown.caption}\n")
            rows.append(_row(base / "images" / f"{stem}.png", character, rank, shown))
        _text(folder / character / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for number in range(1, scenery + 1):
        base = folder / "regularisation"
        write_picture(base / "images" / f"scenery_{number:04d}.png", 9000 + number)
        _text(base / "captions" / f"scenery_{number:04d}.txt", "no_humans, forest\n")
    if scenery:
        names = [f"images/scenery_{number:04d}.png" for number in range(1, scenery + 1)]
        _text(folder / "regularisation" / "metadata.jsonl", "".join(json.dumps({"file_name": n}) + "\n" for n in names))
    manifest = {
        "film": film_id,
        "source": f"{name}.mp4",
        "key": "k",
        "settings": {"upscale": {"training_px": training_px}},
        "files": {},
    }
    _text(folder / "animeset.json", json.dumps(manifest))
    return folder


def _row(path: Path, character: str, rank: int, shown: Shown) -> dict[str, Any]:
    return {
        "file_name": f"dataset/images/{path.name}",
        "text": shown.caption,
        "character": character,
        "outfit": shown.outfit,
        "emotion": shown.emotion,
        "background": "indoors",
        "view": "front",
        "framing": shown.framing,
        "rank": rank,
        "film": "film.mp4",
        "time_ms": 1000 * rank,
        "shot": shown.shot,
        "frame": f"0123456789ab-{1000 * rank:09d}",
        "box": [1.0, 2.0, 30.0, 40.0],
        "quality": 0.5,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
