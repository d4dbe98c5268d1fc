"""kohya-ss/sd-scripts: image folders with repeats, dataset configurations and metadata, one root per character that trains alone.

Checked against sd-scripts of 2026-02 (`library/config_util.py`, `library/train_util.py`, `docs/`):
- A folder's leading number counts only with `--train_data_dir`, `num_repeats` only with `--dataset_config`; both are written and equal.
- `validation_split` is a key of a dataset there, not of a sub-set (whatever `docs/validation.md` shows), hence a dataset of its own with 1.0.
- `conditioning_data_dir` is allowed with `--masked_loss` only, needs a mask for every picture and knows no regularisation pictures; hence a
  configuration of its own, and white masks (learn everything) for pictures without one.
- A caption without `caption` but with `tags` is those tags as they are, and the trainer counts their frequencies.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tomlkit
from tomlkit.items import Table

from animeset_lib.export.plan import CharacterPlan, ExportFiles, ExportPlan, PlannedSet, name_of, readme
from animeset_lib.export.prompts import NEGATIVE
from animeset_lib.records import safe_name
from animeset_lib.words.spelling import safe_slug

__all__ = ["export_files"]

_STEP_PX = 64
_REG_FOLDER = "1_scenery"
_MASKS = "masks"
_VALIDATION = "validation"


def export_files(plan: ExportPlan) -> ExportFiles:
    """All files of the export, by path relative to its folder."""
    files = ExportFiles()
    for character in plan.characters:
        root = character.name
        for one in character.sets:
            files.pictures(f"{root}/img/{_image_folder(one)}", one.pictures, one.trigger)
            files.text(f"{root}/{_meta_name(one)}", _metadata(one))
            if one.masked:
                _add_masks(files, f"{root}/{_MASKS}/{_image_folder(one)}", one)
        files.pictures(f"{root}/{_VALIDATION}", character.validation, character.trigger)
        files.pictures(f"{root}/reg/{_REG_FOLDER}", plan.regularisation)
        base = root if plan.prefix else ""
        files.text(f"{root}/dataset_config.toml", _dataset_config(plan, [(base, character)], root))
        files.text(f"{root}/finetune_config.toml", _finetune_config(plan, base, character))
        if any(one.masked for one in character.sets):
            files.text(f"{root}/masked_loss_config.toml", _masked_config(plan, base, character))
        files.text(f"{root}/sample_prompts.txt", _prompts(plan, character))
    everyone = [(character.name, character) for character in plan.characters]
    if len(everyone) > 1:
        files.text("all_characters.toml", _dataset_config(plan, everyone, "this export"))
    # below this size it is SD 1.5 that is trained
    script = "sdxl_train_network.py" if plan.resolution >= 896 else "train_network.py"
    files.text("README.md", readme(Path(__file__).with_name("README.md.j2"), plan, script=script))
    return files


def _image_folder(one: PlannedSet) -> str:
    """`<repeats>_<trigger>`, and the outfit or emotion behind it."""
    words = safe_name(one.trigger, fallback="character")
    if not one.name:
        return f"{one.repeats}_{words}"
    # a folder name with a number tells sub-sets apart whose names are alike but for blanks, capitals or what no folder may be called
    plain = one.folder == safe_slug(one.name)
    return f"{one.repeats}_{words} {safe_name(one.name, fallback='set') if plain else one.folder}"


def _meta_name(one: PlannedSet) -> str:
    return f"meta_{one.folder}.json" if one.folder else "meta.json"


def _add_masks(files: ExportFiles, folder: str, one: PlannedSet) -> None:
    """A mask under the stem of every picture: the user's, or white."""
    for picture in one.pictures:
        name = f"{folder}/{picture.stem}.png"
        if picture.mask is not None:
            files.linked[name] = picture.mask
        else:
            _, encoded = cv2.imencode(".png", np.full((picture.height, picture.width), 255, np.uint8))
            files.written[name] = encoded.tobytes()


def _metadata(one: PlannedSet) -> str:
    """Metadata JSON of one image folder: picture → tags and size."""
    entries = {
        name_of(picture): {"tags": picture.caption, "image_size": [picture.width, picture.height]}
        for picture in one.pictures
    }
    return json.dumps(entries, ensure_ascii=False, indent=1) + "\n"


_Place = tuple[str, CharacterPlan]
"""The path to a character's root, and the character."""


def _dataset_config(plan: ExportPlan, characters: list[_Place], place: str) -> str:
    """The DreamBooth configuration of these characters, each with the path to its root."""
    subsets = [_subset(plan, base, one) for base, character in characters for one in character.sets]
    if plan.regularisation:
        reg = plan.path(characters[0][0], "reg", _REG_FOLDER)
        subsets.append(
            {"image_dir": reg, "is_reg": True, "num_repeats": 1, "keep_tokens": 0, "class_tokens": "scenery"}
        )
    return _toml(plan, place, [], _CAPTIONS, [_dataset(plan, subsets), *_validation(plan, characters)])


def _masked_config(plan: ExportPlan, base: str, character: CharacterPlan) -> str:
    """The configuration for `--masked_loss`; sub-sets without any mask are a dataset of their own."""
    remarks = ["For --masked_loss only; without it the trainer refuses conditioning_data_dir."]
    if plan.regularisation:
        remarks.append("The trainer knows no regularisation pictures beside masks, so there are none here.")
    parts = ([one for one in character.sets if one.masked is masked] for masked in (True, False))
    datasets = [_dataset(plan, [_subset(plan, base, one, one.masked) for one in part]) for part in parts if part]
    return _toml(plan, character.name, remarks, _CAPTIONS, [*datasets, *_validation(plan, [(base, character)])])


def _finetune_config(plan: ExportPlan, base: str, character: CharacterPlan) -> str:
    """The same training pictures by the fine-tuning method, which reads captions from metadata. It has neither regularisation nor validation."""
    subsets = [
        {
            "metadata_file": plan.path(base, _meta_name(one)),
            "image_dir": plan.path(base, "img", _image_folder(one)),
            **_numbers(one),
        }
        for one in character.sets
    ]
    remarks = ["Captions come from the metadata files; the .txt files are not read."]
    return _toml(plan, character.name, remarks, {}, [_dataset(plan, subsets)])


_CAPTIONS = {"caption_extension": ".txt"}
_GENERAL = {
    "shuffle_caption": True,
    "enable_bucket": True,
    "bucket_reso_steps": _STEP_PX,
    "bucket_no_upscale": True,
}


def _toml(plan: ExportPlan, place: str, remarks: list[str], general: dict[str, Any], datasets: list[Table]) -> str:
    """A configuration with comments on top: where it is to be used, and `remarks`."""
    where = "" if plan.prefix else f" Paths are relative: start the trainer inside the folder of {place}."
    document = tomlkit.document()
    for line in (f"Written by animeset.{where}", *remarks):
        document.add(tomlkit.comment(line))
    document.add("general", tomlkit.item({**general, **_GENERAL}))
    tables = tomlkit.aot()
    for dataset in datasets:
        tables.append(dataset)
    document.add("datasets", tables)
    return tomlkit.dumps(document)


def _dataset(plan: ExportPlan, subsets: list[dict[str, Any]], **more: Any) -> Table:
    table = tomlkit.table()
    table.update(
        {
            "resolution": plan.resolution,
            "batch_size": 1,
            # the trainer checks these two even where bucket_no_upscale makes it ignore them
            "min_bucket_reso": 256,
            "max_bucket_reso": 2 * plan.resolution,
            **more,
            "subsets": subsets,
        }
    )
    return table


def _subset(plan: ExportPlan, base: str, one: PlannedSet, masked: bool = False) -> dict[str, Any]:
    folder = _image_folder(one)
    words = {"class_tokens": f"{one.trigger} {one.name}".strip()}
    if masked:
        words = {"conditioning_data_dir": plan.path(base, _MASKS, folder)}
    return {"image_dir": plan.path(base, "img", folder), **words, **_numbers(one)}


def _numbers(one: PlannedSet) -> dict[str, Any]:
    return {"num_repeats": one.repeats, "keep_tokens": one.keep_tokens}


def _validation(plan: ExportPlan, characters: list[_Place]) -> list[Table]:
    """A dataset that is validation as a whole; none when no picture was kept back."""
    subsets = [
        {
            "image_dir": plan.path(base, _VALIDATION),
            "class_tokens": character.trigger,
            "keep_tokens": character.keep_tokens,
        }
        for base, character in characters
        if character.validation
    ]
    if not subsets:
        return []
    dataset = _dataset(plan, subsets, validation_split=1.0, validation_seed=0)
    dataset.comment("Kept back in whole shots. 1.0: all of it validates, none of it trains.")
    return [dataset]


def _prompts(plan: ExportPlan, character: CharacterPlan) -> str:
    """One prompt per line in the trainer's notation: negative prompt, size, seed, guidance, steps."""
    lines = ["# For --sample_prompts. What each sample shows:"]
    lines += [f"# {number}. {one.shows}" for number, one in enumerate(character.prompts, start=1)]
    tail = f"--n {NEGATIVE} --w {plan.resolution} --h {plan.resolution} --d 1 --l 7 --s 28"
    # " --" would begin an option
    lines += [f"{one.text.replace(' --', ' ')} {tail}" for one in character.prompts]
    return "\n".join(lines) + "\n"
