"""How ostris/ai-toolkit reads the datasets of a job file (YAML or JSON).

Facts: toolkit/config.py, config_modules.py, data_loader.py and dataloader_mixins.py of ostris/ai-toolkit (2026-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, lonely_captions, missing, taken_pictures
from animeset_lib.export.files import existing, is_hidden, sorted_files, stem_path, walked
from animeset_lib.export.loaded import Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes, types_by_key

__all__ = ["load", "recognises"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_READS = ", ".join(_SUFFIXES)
_KNOWN = types_by_key(
    {
        (str,): "folder_path dataset_path trigger_word default_caption caption_ext mask_path",
        (int,): "num_repeats keep_tokens bucket_tolerance",
        (bool,): "is_reg prior_reg buckets alpha_mask flip_x flip_y shuffle_tokens",
        (int, list): "resolution",
        (object,): "audio_normalize audio_preserve_pitch augmentations augments auto_frame_count batch_size "
        "cache_clip_vision_to_disk cache_latents cache_latents_num_workers cache_latents_to_disk cache_tensors_to_disk "
        "cache_text_embeddings caption_dropout_rate caption_type clip_image_augmentations clip_image_from_same_folder "
        "clip_image_path clip_image_shuffle_augmentations control_from_same_folder control_path control_path_1 "
        "control_path_2 control_path_3 control_transparent_color controls debug diff_output_preservation "
        "diff_output_preservation_class do_audio do_i2v extra_values fast_image_size fps full_size_control_images "
        "guidance_type inpaint_path invert_mask load_image_when_caching_latents loss_multiplier mask_min_value "
        "network_weight num_controls_from_same_folder num_frames num_workers poi prefetch_factor random_crop "
        "random_scale random_triggers random_triggers_max replacements replay_transforms scale shrink_video_to_frames "
        "shuffle_augmentations square_crop standardize_images token_dropout_rate trim_auto_frame_count_tail type "
        "unconditional_path use_short_captions",
    }
)
"""Keys of a dataset; others are left out without a word."""


def recognises(path: Path, tree: Any) -> bool:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return tree is None or (isinstance(tree, dict) and ("job" in tree or "config" in tree))
    return suffix == ".json" and isinstance(tree, dict) and "job" in tree and "config" in tree


def load(path: Path, root: Path) -> Loaded:
    """The job file `path`. Relative paths count from its folder, where the trainer would have to be started."""
    notes = Notes(root)
    sets: list[LoadedSet] = []
    sizes: list[int] = []
    for process in _processes(notes, path):
        word = process.get("trigger_word")
        for number, written in enumerate(_dicts(process.get("datasets")), start=1):
            key = "dataset_path" if written.get("dataset_path") is not None else "folder_path"
            name = str(written.get(key) or f"dataset {number}")
            values = _values(notes.of(name), path, written)
            values.setdefault("trigger_word", word if isinstance(word, str) else None)
            found = _dataset(notes.of(name), path, {**values, key: written.get(key)}, key, name)
            if found is not None:
                sets.append(found)
            resolution = values.get("resolution", 512)
            sides = resolution if isinstance(resolution, list) else [resolution]
            sizes += [side for side in sides if isinstance(side, int)]
    return Loaded(
        tuple(sets),
        tuple(notes.findings),
        training_px=min(sizes, default=None),  # of several sizes it takes for each picture those that it fills
        note=f"started in the folder of {path.name}",
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _processes(notes: Notes, path: Path) -> list[dict[str, Any]]:
    tree = notes.tree(path, "yaml", dict, "a job")
    if tree is None:
        return []
    config = tree.get("config")
    if "job" not in tree or not isinstance(config, dict):
        notes.error("not_parsed", path, "expected the keys job and config at the top; ai-toolkit stops here")
        return []
    if "name" not in config:
        notes.error("missing_key", path, "config has no name; ai-toolkit stops here: write one")
    processes = _dicts(config.get("process"))
    if not any(_dicts(process.get("datasets")) for process in processes):
        notes.error("no_datasets", path, "expected config.process with datasets, got none; there is nothing to train")
    return processes


def _values(notes: Notes, config: Path, written: Mapping[str, Any]) -> dict[str, Any]:
    """What a dataset says and is well-typed, without what is null."""
    for unknown in sorted(map(str, written.keys() - _KNOWN.keys())):
        words = f"{unknown}: ai-toolkit does not know it and leaves it out; check the spelling"
        notes.warning("unknown_key", config, words)
    said = {key: value for key, value in written.items() if value is not None}
    return notes.typed(config, said, _KNOWN, "", "mend it")


@dataclass(frozen=True)
class _Dataset:
    place: Path
    suffix: str
    trigger: str | None
    default: str
    regularisation: bool
    masks: Path | None

    def fed(self, text: str) -> str:
        """The prompt for the words in a caption file: tags joined anew, the trigger put in where it is missing."""
        prompt = ", ".join(text.split(","))
        for placeholder in ("[name]", "[trigger]"):
            prompt = prompt.replace(placeholder, self.trigger or "")
        if self.trigger and not self.regularisation and self.trigger not in prompt:
            return f"{self.trigger} {prompt}"
        return prompt


def _dataset(notes: Notes, config: Path, values: Mapping[str, Any], key: str, name: str) -> LoadedSet | None:
    place = notes.place(values.get(key), config, key, "folder or list", "ai-toolkit stops here")
    if place is None:
        return None
    masks = None
    if "mask_path" in values:
        masks = notes.place(values["mask_path"], config, "mask_path", "folder", "so there are no masks")
    suffix = str(values.get("caption_type") or values.get("caption_ext") or ".txt")
    dataset = _Dataset(
        place,
        suffix if suffix.startswith(".") else f".{suffix}",
        values["trigger_word"],
        values.get("default_caption", ""),
        values.get("is_reg", False) or values.get("prior_reg", False),
        masks,
    )
    return LoadedSet(
        name,
        _from_folder(notes, dataset) if place.is_dir() else _from_json(notes, dataset),
        max(1, values.get("num_repeats", 1)),
        "regularisation" if dataset.regularisation else "train",
        dataset.trigger,
        trigger_is_sure=dataset.trigger is not None,
    )


def _from_folder(notes: Notes, dataset: _Dataset) -> tuple[LoadedPicture, ...]:
    place, masks = dataset.place, dataset.masks
    if masks is not None and masks != place and masks.is_relative_to(place):
        words = "lies inside the folder of pictures, all of which is trained, masks too; put it beside that folder"
        notes.error("masks_trained", masks, words)
    files = [path for folder in walked(place) if folder.name != "_controls" for path in sorted_files(folder)]
    pictures = taken_pictures(notes, place, files, _is_taken, _READS, "; ai-toolkit stops here")
    lonely_captions(notes, files, dataset.suffix, pictures)
    return tuple(_picture(notes, dataset, picture, {}) for picture in pictures)


def _is_taken(path: Path) -> bool:
    return path.name.lower().endswith(_SUFFIXES) and not is_hidden(path)


def _from_json(notes: Notes, dataset: _Dataset) -> tuple[LoadedPicture, ...]:
    rows = notes.tree(dataset.place, "json", dict[str, dict[str, Any]], "an object of objects, keyed by picture") or {}
    places = {key: notes.place(key, dataset.place, "picture", "picture", "take it out of the list") for key in rows}
    return tuple(_picture(notes, dataset, place, rows[key]) for key, place in places.items() if place is not None)


def _picture(notes: Notes, dataset: _Dataset, picture: Path, row: Mapping[str, Any]) -> LoadedPicture:
    """The picture with the caption in its `row` of a list, else in the file beside it."""
    if picture.suffix.lower() == ".webp":
        notes.warning("webp", picture, "ai-toolkit's notes say that WebP has issues; save it as .png")
    mask = _mask(dataset, picture)
    if "caption" in row:
        text = row["caption"]
        if not isinstance(text, str) or not text.strip():
            notes.error("empty_caption", picture, f"has no text in {dataset.place.name}")
            return LoadedPicture(picture, ("",), None, mask)
        return LoadedPicture(picture, (dataset.fed(text),), dataset.place, mask)
    caption = existing(Path(stem_path(picture) + dataset.suffix))
    if caption is None:
        default = dataset.fed(dataset.default)
        missing(notes, picture, dataset.suffix, f"ai-toolkit trains it with {default!r}")
        return LoadedPicture(picture, (default,), None, mask)
    text = caption_from(notes, caption, "whole")[0] or dataset.default
    known = ("[trigger]", "[name]", dataset.trigger or "")
    if text and not dataset.regularisation and not any(word in text for word in known):
        words = f"does not hold the trigger {dataset.trigger}; ai-toolkit writes it before the first tag without a comma: put it in yourself"
        notes.warning("missing_trigger", caption, words)
    return LoadedPicture(picture, (dataset.fed(text),), caption, mask)


def _mask(dataset: _Dataset, picture: Path) -> Path | None:
    if dataset.masks is None:
        return None
    found = (existing(dataset.masks / f"{picture.stem}{suffix}") for suffix in _SUFFIXES)
    return next(filter(None, found), None)
