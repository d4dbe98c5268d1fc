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

import cv2
import numpy as np

from animeset_lib.export.plan import CharacterPlan, ExportFiles, ExportPlan, PlannedSet, repeats_table
from animeset_lib.export.prompts import NEGATIVE
from animeset_lib.records import safe_name
from animeset_lib.words.spelling import safe_slug

__all__ = ["kohya_files"]

_STEP_PX = 64
_REG_FOLDER = "1_scenery"
_MASKS = "masks"
_VALIDATION = "validation"


def kohya_files(plan: ExportPlan) -> ExportFiles:
    """All files of the export, by path relative to its folder."""
    files = ExportFiles()
    for character in plan.characters:
        root = character.name
        for one in character.sets:
            folder = f"{root}/img/{_image_folder(one)}"
            for picture in one.pictures:
                files.picture(folder, picture, one.trigger)
            files.text(f"{root}/{_meta_name(one)}", _metadata(one))
            if _masked(one):
                _add_masks(files, f"{root}/{_MASKS}/{_image_folder(one)}", one)
        for picture in character.validation:
            files.picture(f"{root}/{_VALIDATION}", picture, character.trigger)
        for picture in plan.regularisation:
            files.picture(f"{root}/reg/{_REG_FOLDER}", picture)
        base = root if plan.prefix else ""
        files.text(f"{root}/dataset_config.toml", _dataset_config(plan, [(base, character)], root))
        files.text(f"{root}/finetune_config.toml", _finetune_config(plan, base, character))
        if any(_masked(one) for one in character.sets):
            files.text(f"{root}/masked_loss_config.toml", _masked_config(plan, base, character))
        files.text(f"{root}/sample_prompts.txt", _prompts(plan, character))
    everyone = [(character.name, character) for character in plan.characters]
    if len(everyone) > 1:
        files.text("all_characters.toml", _dataset_config(plan, everyone, "this export"))
    files.text("README.md", _readme(plan))
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


def _masked(one: PlannedSet) -> bool:
    return any(picture.mask is not None for picture in one.pictures)


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
        f"{picture.stem}{picture.path.suffix.lower()}": {
            "tags": picture.caption,
            "image_size": [picture.width, picture.height],
        }
        for picture in one.pictures
    }
    return json.dumps(entries, ensure_ascii=False, indent=1) + "\n"


def _dataset_config(plan: ExportPlan, characters: list[tuple[str, CharacterPlan]], place: str) -> str:
    """The DreamBooth configuration of these characters, each with the path to its root."""
    lines = [*_head(plan, place), "[general]", _pair("caption_extension", ".txt"), *_general(), ""]
    lines += _dataset(plan)
    for base, character in characters:
        for one in character.sets:
            lines += _subset(plan.path(base, "img", _image_folder(one)), one)
    if plan.regularisation:
        lines += ["  [[datasets.subsets]]", _pair("image_dir", plan.path(characters[0][0], "reg", _REG_FOLDER), 2)]
        lines += ["  is_reg = true", "  num_repeats = 1", "  keep_tokens = 0", _pair("class_tokens", "scenery", 2), ""]
    lines += _validation(plan, characters)
    return "\n".join(lines)


def _masked_config(plan: ExportPlan, base: str, character: CharacterPlan) -> str:
    """The configuration for `--masked_loss`; sub-sets without any mask are a dataset of their own."""
    lines = [
        *_head(plan, character.name),
        "# For --masked_loss only; without it the trainer refuses conditioning_data_dir.",
    ]
    if plan.regularisation:
        lines.append("# The trainer knows no regularisation pictures beside masks, so there are none here.")
    lines += ["[general]", _pair("caption_extension", ".txt"), *_general(), ""]
    lines += _dataset(plan)
    for one in character.sets:
        if _masked(one):
            masks = plan.path(base, _MASKS, _image_folder(one))
            lines += _subset(plan.path(base, "img", _image_folder(one)), one, masks=masks)
    plain = [one for one in character.sets if not _masked(one)]
    if plain:
        lines += _dataset(plan)
        for one in plain:
            lines += _subset(plan.path(base, "img", _image_folder(one)), one)
    lines += _validation(plan, [(base, character)])
    return "\n".join(lines)


def _finetune_config(plan: ExportPlan, base: str, character: CharacterPlan) -> str:
    """The same training pictures by the fine-tuning method, which reads captions from metadata. It has neither regularisation nor validation."""
    lines = [
        *_head(plan, character.name),
        "# Captions come from the metadata files; the .txt files are not read.",
        "[general]",
    ]
    lines += [*_general(), "", *_dataset(plan)]
    for one in character.sets:
        lines += ["  [[datasets.subsets]]", _pair("metadata_file", plan.path(base, _meta_name(one)), 2)]
        lines += [_pair("image_dir", plan.path(base, "img", _image_folder(one)), 2), *_numbers(one), ""]
    return "\n".join(lines)


def _head(plan: ExportPlan, place: str) -> list[str]:
    if plan.prefix:
        return ["# Written by animeset.", ""]
    return [f"# Written by animeset. Paths are relative: start the trainer inside the folder of {place}.", ""]


def _general() -> list[str]:
    return [
        "shuffle_caption = true",
        "enable_bucket = true",
        f"bucket_reso_steps = {_STEP_PX}",
        "bucket_no_upscale = true",
    ]


def _dataset(plan: ExportPlan) -> list[str]:
    # The trainer checks these two even where bucket_no_upscale makes it ignore them.
    return [
        "[[datasets]]",
        f"resolution = {plan.resolution}",
        "batch_size = 1",
        "min_bucket_reso = 256",
        f"max_bucket_reso = {2 * plan.resolution}",
        "",
    ]


def _subset(image_dir: str, one: PlannedSet, masks: str | None = None) -> list[str]:
    lines = ["  [[datasets.subsets]]", _pair("image_dir", image_dir, 2)]
    if masks is None:
        lines.append(_pair("class_tokens", f"{one.trigger} {one.name}".strip(), 2))
    else:
        lines.append(_pair("conditioning_data_dir", masks, 2))
    return [*lines, *_numbers(one), ""]


def _numbers(one: PlannedSet) -> list[str]:
    return [f"  num_repeats = {one.repeats}", f"  keep_tokens = {one.keep_tokens}"]


def _validation(plan: ExportPlan, characters: list[tuple[str, CharacterPlan]]) -> list[str]:
    """A dataset that is validation as a whole; nothing when no picture was kept back."""
    kept_back = [(base, character) for base, character in characters if character.validation]
    if not kept_back:
        return []
    lines = ["# Kept back in whole shots. 1.0: all of it validates, none of it trains.", *_dataset(plan)[:-1]]
    lines += ["validation_split = 1.0", "validation_seed = 0", ""]
    for base, character in kept_back:
        lines += ["  [[datasets.subsets]]", _pair("image_dir", plan.path(base, _VALIDATION), 2)]
        lines += [_pair("class_tokens", character.trigger, 2), f"  keep_tokens = {character.keep_tokens}", ""]
    return lines


def _pair(key: str, text: str, indent: int = 0) -> str:
    """`key = "text"`; TOML's basic strings are written as JSON's are."""
    return f"{' ' * indent}{key} = {json.dumps(text, ensure_ascii=False)}"


def _prompts(plan: ExportPlan, character: CharacterPlan) -> str:
    """One prompt per line in the trainer's notation: negative prompt, size, seed, guidance, steps."""
    lines = ["# For --sample_prompts. What each sample shows:"]
    lines += [f"# {number}. {one.shows}" for number, one in enumerate(character.prompts, start=1)]
    tail = f"--n {NEGATIVE} --w {plan.resolution} --h {plan.resolution} --d 1 --l 7 --s 28"
    # " --" would begin an option
    lines += [f"{one.text.replace(' --', ' ')} {tail}" for one in character.prompts]
    return "\n".join(lines) + "\n"


def _readme(plan: ExportPlan) -> str:
    first = plan.characters[0].name
    lines = [
        "# For kohya-ss/sd-scripts",
        "",
        f"One folder per character that trains alone: `cd {first}`, then",
        "",
        "```",
        f"accelerate launch SD_SCRIPTS/{_script(plan.resolution)} --dataset_config dataset_config.toml --sample_prompts sample_prompts.txt ...",
        "```",
        "",
        "or, without a configuration, `--train_data_dir img --resolution "
        f"{plan.resolution} --caption_extension .txt --shuffle_caption --keep_tokens {plan.characters[0].keep_tokens} --enable_bucket "
        "--bucket_no_upscale`" + (" and `--reg_data_dir reg`" if plan.regularisation else "") + ".",
    ]
    if plan.prefix:
        lines.append(f"Paths in the configurations begin with `{plan.prefix}`, so they do not depend on the folder.")
    if len(plan.characters) > 1:
        lines.append("One LoRA of all characters: stay here and use `--dataset_config all_characters.toml`.")
    lines.append("`finetune_config.toml` is the same by the fine-tuning method, which reads `meta*.json`.")
    if any(_masked(one) for character in plan.characters for one in character.sets):
        lines.append("`masked_loss_config.toml` goes with `--masked_loss` and learns only what is white in `masks/`.")
    if any(character.validation for character in plan.characters):
        lines.append(
            "`validation/` holds whole shots that are not trained; `dataset_config.toml` says so to the trainer."
        )
    lines += [
        "",
        "Text encoder outputs cannot be cached while captions are shuffled; set `shuffle_caption = false` to cache them.",
        "Repeats are balanced so that every character and sub-set is seen about equally often; they stand in the folder names and in the",
        "configurations, for the trainer reads one or the other.",
        "",
        repeats_table(plan),
    ]
    return "\n".join(lines)


def _script(resolution: int) -> str:
    """Below this size it is SD 1.5 that is trained."""
    return "sdxl_train_network.py" if resolution >= 896 else "train_network.py"
