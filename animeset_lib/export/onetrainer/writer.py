"""OneTrainer: concepts, pictures with captions and masks beside them, sample prompts.

Checked against OneTrainer of 2026-08 (`modules/util/config/ConceptConfig.py`, `SampleConfig.py`, the data loaders). It opens its JSON files in the
system's encoding, so they are written in ASCII. `__version` 2 keeps it from migrating `balancing` away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from animeset_lib.export.plan import CharacterPlan, ExportFiles, ExportPlan, joined, readme
from animeset_lib.export.prompts import NEGATIVE
from animeset_lib.published.reader import REGULARISATION, ExportPicture

__all__ = ["export_files"]

_VALIDATION = "validation"


def export_files(plan: ExportPlan) -> ExportFiles:
    """All files of the export, by path relative to its folder."""
    files = ExportFiles()
    for character in plan.characters:
        for one in character.sets:
            _add(files, joined(character.name, "train", one.folder), one.pictures, one.trigger)
        _add(files, f"{character.name}/{_VALIDATION}", character.validation, character.trigger)
    _add(files, REGULARISATION, plan.regularisation)
    files.text("concepts.json", _json(_concepts(plan, plan.characters)))
    files.text("samples.json", _json(_samples(plan, plan.characters)))
    if len(plan.characters) > 1:
        for character in plan.characters:
            files.text(f"concepts_{character.name}.json", _json(_concepts(plan, (character,))))
            files.text(f"samples_{character.name}.json", _json(_samples(plan, (character,))))
    files.text("README.md", readme(Path(__file__).with_name("README.md.j2"), plan))
    return files


def _add(files: ExportFiles, folder: str, pictures: tuple[ExportPicture, ...], trigger: str = "") -> None:
    files.pictures(folder, pictures, trigger)
    for picture in pictures:
        if picture.mask is not None:
            files.linked[f"{folder}/{picture.stem}-masklabel.png"] = picture.mask


def _json(value: Any) -> str:
    return json.dumps(value, indent=4) + "\n"


def _concepts(plan: ExportPlan, characters: tuple[CharacterPlan, ...]) -> list[dict[str, Any]]:
    concepts: list[dict[str, Any]] = []
    for character in characters:
        for one in character.sets:
            name = f"{character.name} {one.name}".strip()
            path = plan.path(character.name, "train", one.folder)
            concepts.append(_concept(len(concepts), name, path, "STANDARD", one.repeats, one.keep_tokens))
    for character in characters:
        if character.validation:
            path = plan.path(character.name, _VALIDATION)
            name = f"{character.name} {_VALIDATION}"
            concepts.append(_concept(len(concepts), name, path, "VALIDATION", 1, character.keep_tokens))
    if plan.regularisation:
        path = plan.path(REGULARISATION)
        concepts.append(_concept(len(concepts), REGULARISATION, path, "PRIOR_PREDICTION", 1, 0))
    return concepts


def _concept(seed: int, name: str, path: str, kind: str, repeats: int, keep_tags: int) -> dict[str, Any]:
    """One concept; what is not said has the trainer's default. Captions of validation stay in order, so that its loss is comparable."""
    return {
        "__version": 2,
        "image": {"__version": 0, "enable_crop_jitter": False},
        "text": {
            "__version": 0,
            "prompt_source": "sample",
            "prompt_path": "",
            "enable_tag_shuffling": kind == "STANDARD",
            "tag_delimiter": ",",
            "keep_tags_count": keep_tags,
        },
        "name": name,
        "path": path,
        "seed": seed,
        "enabled": True,
        "type": kind,
        "include_subdirectories": False,
        "image_variations": 1,
        "text_variations": 1,
        "balancing": float(repeats),
        "balancing_strategy": "REPEATS",
        "loss_weight": 1.0,
        "concept_stats": {},
    }


def _samples(plan: ExportPlan, characters: tuple[CharacterPlan, ...]) -> list[dict[str, Any]]:
    return [
        {
            "__version": 0,
            "enabled": True,
            "prompt": prompt.text,
            "negative_prompt": NEGATIVE,
            "height": plan.resolution,
            "width": plan.resolution,
            "seed": 42,
            "random_seed": False,
            "diffusion_steps": 28,
            "cfg_scale": 7.0,
            "noise_scheduler": "EULER_A",
        }
        for character in characters
        for prompt in character.prompts
    ]
