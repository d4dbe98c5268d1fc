"""Hugging Face imagefolder: per character the splits `train` and `validation`, each with its `metadata.jsonl` inside.

The common caption column of the diffusers scripts is `text`. Every column has the same type in every row and split, whatever is unknown, because the
library refuses splits that differ: unknown words are `unknown`, unknown numbers -1, an unknown box is the whole picture. Regularisation pictures
are left out.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from animeset_lib.export.plan import CharacterPlan, ExportFiles, ExportPlan, name_of, readme
from animeset_lib.published.reader import ExportPicture
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = ["export_files"]


def export_files(plan: ExportPlan) -> ExportFiles:
    """All files of the export, by path relative to its folder."""
    files = ExportFiles()
    for character in plan.characters:
        trained = tuple(picture for one in character.sets for picture in one.pictures)
        for split, pictures in (("train", trained), ("validation", character.validation)):
            if pictures:
                folder = f"{character.name}/{split}"
                files.triggers[folder] = character.trigger
                for picture in pictures:
                    files.linked[f"{folder}/{name_of(picture)}"] = picture.path
                files.text(f"{folder}/metadata.jsonl", "".join(_line(character, picture) for picture in pictures))
    files.text("README.md", readme(Path(__file__).with_name("README.md.j2"), plan))
    return files


def _line(character: CharacterPlan, picture: ExportPicture) -> str:
    row: dict[str, Any] = {
        "file_name": name_of(picture),
        "text": picture.caption,
        "tags": list(picture.tags),
        "character": character.name,
        "outfit": picture.outfit,
        "emotion": picture.emotion,
        "framing": picture.framing,
        "background": picture.background,
        "view": picture.view,
        "video": str(picture.row.get("film") or UNKNOWN),
        "time_s": -1.0 if picture.time_ms is None else round(picture.time_ms / 1000, 3),
        "shot": -1 if picture.shot is None else picture.shot,
        "frame": str(picture.row.get("frame") or UNKNOWN),
        "bbox": _box(picture),
        "score": _number(picture.row.get("quality"), -1.0),
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.sha256,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _box(picture: ExportPicture) -> list[float]:
    """The four sides; those of the whole picture where its row does not say four numbers."""
    whole = [0.0, 0.0, float(picture.width), float(picture.height)]
    said = picture.row.get("box")
    sides = [_number(side, math.nan) for side in said] if isinstance(said, list) else []
    return sides if len(sides) == 4 and not any(map(math.isnan, sides)) else whole


def _number(value: Any, otherwise: float) -> float:
    """A finite number of a row, which anybody may have edited."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e15
    return float(value) if known else otherwise
