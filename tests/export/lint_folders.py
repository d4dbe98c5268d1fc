"""Good data sets of two characters, ten pictures each, as every trainer wants them; tests break one thing in them at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from animeset_lib.media import write_image

CHARACTERS = ("hana", "mika")
EACH = 10
SIDE = 512


@cache
def pixels(seed: int, side: int = SIDE) -> np.ndarray:
    """A picture like no other: an 8 x 8 board of colours."""
    board = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.kron(board, np.ones((side // 8, side // 8, 1), np.uint8))


def draw(path: Path, seed: int, side: int = SIDE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels(seed, side))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def words(character: str, number: int) -> str:
    return f"{character}, 1girl, solo, smile, outdoors, view_{number}"


def _beside(folder: Path, character: str) -> None:
    for number in range(1, EACH + 1):
        draw(folder / f"{character}_{number:04d}.png", CHARACTERS.index(character) * 100 + number)
        write(folder / f"{character}_{number:04d}.txt", words(character, number) + "\n")


def kohya_folders(root: Path) -> None:
    for name in CHARACTERS:
        _beside(root / f"3_{name}", name)


def kohya_config(root: Path) -> None:
    kohya_folders(root / "img")
    subsets = "".join(
        f'[[datasets.subsets]]\nimage_dir = "img/3_{name}"\nclass_tokens = "{name}"\nnum_repeats = 3\n'
        for name in CHARACTERS
    )
    write(
        root / "dataset_config.toml",
        f'[general]\ncaption_extension = ".txt"\nenable_bucket = true\n\n[[datasets]]\nresolution = {SIDE}\n\n{subsets}',
    )


def kohya_metadata(root: Path) -> None:
    for name in CHARACTERS:
        _beside(root / name, name)
        rows = {f"{name}_{n:04d}.png": {"tags": words(name, n), "image_size": [SIDE, SIDE]} for n in range(1, EACH + 1)}
        write(root / f"{name}.json", json.dumps(rows, indent=1))
    subsets = "".join(
        f'[[datasets.subsets]]\nimage_dir = "{name}"\nmetadata_file = "{name}.json"\n' for name in CHARACTERS
    )
    write(root / "finetune.toml", f"[[datasets]]\nresolution = {SIDE}\n\n{subsets}")


def onetrainer(root: Path) -> None:
    for name in CHARACTERS:
        _beside(root / name, name)
    concepts = [
        {
            "name": name,
            "path": name,
            "enabled": True,
            "type": "STANDARD",
            "balancing": 3.0,
            "text": {"prompt_source": "sample"},
        }
        for name in CHARACTERS
    ]
    write(root / "concepts.json", json.dumps(concepts))


def ai_toolkit(root: Path) -> None:
    for name in CHARACTERS:
        _beside(root / name, name)
    datasets = [
        {"folder_path": name, "caption_ext": "txt", "trigger_word": name, "num_repeats": 3, "resolution": [SIDE]}
        for name in CHARACTERS
    ]
    job = {"job": "extension", "config": {"name": "both", "process": [{"type": "sd_trainer", "datasets": datasets}]}}
    write(root / "job.yaml", yaml.safe_dump(job))


def huggingface(root: Path) -> None:
    rows = []
    for name in CHARACTERS:
        for number in range(1, EACH + 1):
            draw(root / "train" / f"{name}_{number:04d}.png", CHARACTERS.index(name) * 100 + number)
            rows.append({"file_name": f"{name}_{number:04d}.png", "text": words(name, number), "character": name})
    write(root / "train" / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def plain(root: Path) -> None:
    for name in CHARACTERS:
        _beside(root / name, name)


def canonical(
    root: Path, each: Mapping[str, int] = dict.fromkeys(CHARACTERS, EACH), named: str = "{0}_{1:04d}"
) -> None:
    """`each`: pictures per character. `named`: form of the pictures' stems from character and number."""
    for name in each:
        rows = []
        for number in range(1, each[name] + 1):
            stem = named.format(name, number)
            picture = root / name / "dataset" / "images" / f"{stem}.png"
            draw(picture, CHARACTERS.index(name) * 100 + number)
            write(root / name / "dataset" / "captions" / f"{stem}.txt", words(name, number) + "\n")
            rows.append(
                {
                    "file_name": f"dataset/images/{picture.name}",
                    "text": words(name, number),
                    "character": name,
                    "width": SIDE,
                    "height": SIDE,
                    "outfit": "dress" if number % 3 else "coat",
                    "emotion": "smile" if number % 2 else "angry",
                    "framing": "face",
                    "shot": number // 2,
                    "rank": number,
                    "sha256": hashlib.sha256(picture.read_bytes()).hexdigest(),
                }
            )
        write(root / name / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(
        root / "animeset.json",
        json.dumps(
            {
                "film": "0123456789ab",
                "source": "film.mp4",
                "key": "k",
                "settings": {"upscale": {"training_px": SIDE}},
                "files": {},
            }
        ),
    )


GOOD: dict[str, Callable[[Path], None]] = {
    "animeset": canonical,
    "kohya-folders": kohya_folders,
    "kohya-config": kohya_config,
    "kohya-metadata": kohya_metadata,
    "onetrainer": onetrainer,
    "ai-toolkit": ai_toolkit,
    "huggingface": huggingface,
    "folder": plain,
}
BESIDE = tuple(name for name in GOOD if name not in ("animeset", "huggingface", "kohya-metadata"))
"""Formats with a caption file beside each picture."""
IN_FILES = ("animeset", *BESIDE)
"""Formats whose captions are files."""


def picture(root: Path, name: str = "hana_0004") -> Path:
    (found,) = root.rglob(f"{name}.png")
    return found


def caption(root: Path, name: str = "hana_0004") -> Path:
    (found,) = root.rglob(f"{name}.txt")
    return found


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    write(path, json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))
