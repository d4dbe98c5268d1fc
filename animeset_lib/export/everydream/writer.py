"""EveryDream2trainer: nested folders with captions, and how often each is shown in `multiply.txt`.

Checked against EveryDream2trainer of 2025-05 (`data/dataset.py`, `doc/`): `multiply.txt` counts for its own folder only; the first tag of a caption
is its main prompt and stays in front when the others are shuffled; hidden files are not read.
"""

from __future__ import annotations

import json

from animeset_lib.export.plan import ExportFiles, ExportPlan, repeats_table
from animeset_lib.published.reader import REGULARISATION

__all__ = ["everydream_files"]

_REGULARISATION_SHARE = 0.25
"""The trainer has no regularisation of its own; its guide mixes in a smaller part of other pictures instead."""


def everydream_files(plan: ExportPlan) -> ExportFiles:
    """All files of the export, by path relative to its folder."""
    files = ExportFiles()
    for character in plan.characters:
        for one in character.sets:
            folder = "/".join(part for part in ("train", character.name, one.folder) if part)
            for picture in one.pictures:
                files.picture(folder, picture, one.trigger)
            files.text(f"{folder}/multiply.txt", f"{one.repeats}\n")
        for picture in character.validation:
            files.picture(f"validation/{character.name}", picture, character.trigger)
    if plan.regularisation:
        views = sum(character.views for character in plan.characters)
        share = min(1.0, max(0.01, _REGULARISATION_SHARE * views / len(plan.regularisation)))
        for picture in plan.regularisation:
            files.picture(f"train/{REGULARISATION}", picture)
        files.text(f"train/{REGULARISATION}/multiply.txt", f"{share:.2f}\n")
    if any(character.validation for character in plan.characters):
        validation = {
            "validate_training": True,
            "val_split_mode": "manual",
            "manual_data_root": plan.path("validation"),
            "every_n_epochs": 1,
            "seed": 555,
        }
        files.text("validation.json", json.dumps(validation, indent=1) + "\n")
    files.text("README.md", _readme(plan))
    return files


def _readme(plan: ExportPlan) -> str:
    option = " --validation_config validation.json" if any(one.validation for one in plan.characters) else ""
    lines = [
        "# For EveryDream2trainer",
        "",
        "Inside this folder:",
        "",
        "```",
        f"python EVERYDREAM/train.py --data_root train --resolution {plan.resolution} --shuffle_tags{option} ...",
        "```",
        "",
        "The trigger is the first tag of every caption and stays in front when tags are shuffled.",
        "`multiply.txt` says how often a folder is shown, so that every character and sub-set is seen about equally often.",
        "",
        repeats_table(plan),
    ]
    return "\n".join(lines)
