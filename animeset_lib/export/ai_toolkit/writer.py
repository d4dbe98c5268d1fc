"""ostris/ai-toolkit: folders of pictures with captions, and a job in YAML per character.

Checked against ai-toolkit of 2026-08 (`toolkit/config_modules.py`, `data_loader.py`, `dataloader_mixins.py`): a dataset's folder is read with all
folders below it, so masks and validation pictures lie beside it. `shuffle_tokens` moves the trigger too (`keep_tokens` guards it from dropout
only), so it is off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from animeset_lib.export.plan import CharacterPlan, ExportFiles, ExportPlan, PlannedSet, joined, readme
from animeset_lib.export.prompts import NEGATIVE
from animeset_lib.published.reader import REGULARISATION

__all__ = ["export_files"]

_XL_FROM_PX = 896
"""Who trains at this size or above has SDXL or a child of it."""


def export_files(plan: ExportPlan) -> ExportFiles:
    """All files of the export, by path relative to its folder."""
    files = ExportFiles()
    for character in plan.characters:
        for one in character.sets:
            files.pictures(joined(character.name, "train", one.folder), one.pictures, one.trigger)
            for picture in one.pictures:
                if picture.mask is not None:
                    files.linked[joined(character.name, "masks", one.folder, f"{picture.stem}.png")] = picture.mask
        files.pictures(f"{character.name}/validation", character.validation, character.trigger)
        files.text(f"{character.name}.yaml", _job(plan, character.name, (character,)))
    files.pictures(REGULARISATION, plan.regularisation)
    if len(plan.characters) > 1:
        files.text("all_characters.yaml", _job(plan, "all_characters", plan.characters))
    files.text("README.md", readme(Path(__file__).with_name("README.md.j2"), plan))
    return files


def _job(plan: ExportPlan, name: str, characters: Sequence[CharacterPlan]) -> str:
    large = plan.resolution >= _XL_FROM_PX
    datasets = [_dataset(plan, character, one) for character in characters for one in character.sets]
    if plan.regularisation:
        datasets.append(
            {
                "folder_path": plan.path(REGULARISATION),
                "caption_ext": ".txt",
                "is_reg": True,
                "num_repeats": 1,
                "resolution": [plan.resolution],
                "cache_latents_to_disk": True,
            }
        )
    process: dict[str, Any] = {
        "type": "sd_trainer",
        "training_folder": plan.path("output"),
        "device": "cuda:0",
        "network": {"type": "lora", "linear": 32, "linear_alpha": 16},
        "save": {"dtype": "float16", "save_every": 250, "max_step_saves_to_keep": 8},
        "datasets": datasets,
        "train": {
            "batch_size": 1,
            "steps": 2000,
            "gradient_accumulation_steps": 1,
            "train_unet": True,
            "train_text_encoder": False,
            "gradient_checkpointing": True,
            "noise_scheduler": "ddpm",
            "optimizer": "adamw8bit",
            "lr": 0.0001,
            "dtype": "bf16",
        },
        "model": {"name_or_path": "FILL IN: your base model", "is_xl": large},
        "sample": {
            "sampler": "ddpm",
            "sample_every": 250,
            "width": plan.resolution,
            "height": plan.resolution,
            "prompts": [prompt.text for character in characters for prompt in character.prompts],
            "neg": NEGATIVE,
            "seed": 42,
            "walk_seed": True,
            "guidance_scale": 7,
            "sample_steps": 28,
        },
    }
    job = {"job": "extension", "config": {"name": name, "process": [process]}}
    head = [
        "# Written by animeset. Fill in model.name_or_path; is_xl fits SDXL and its children, other families need their own key.",
        "# shuffle_tokens is off because it would move the trigger as well.",
    ]
    written = yaml.safe_dump(job, allow_unicode=True, sort_keys=False, width=math.inf)
    return "\n".join([*head, "---", written])


def _dataset(plan: ExportPlan, character: CharacterPlan, one: PlannedSet) -> dict[str, Any]:
    dataset: dict[str, Any] = {
        "folder_path": plan.path(character.name, "train", one.folder),
        "caption_ext": ".txt",
        "trigger_word": one.trigger,
        "num_repeats": one.repeats,
        "resolution": [plan.resolution],
        "keep_tokens": one.keep_tokens,
        "shuffle_tokens": False,
        "caption_dropout_rate": 0.05,
        "cache_latents_to_disk": True,
    }
    if one.masked:
        dataset["mask_path"] = plan.path(character.name, "masks", one.folder)
    return dataset
