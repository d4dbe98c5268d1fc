"""How ostris/ai-toolkit reads the datasets of a job file (YAML or JSON).

Facts: toolkit/config.py, config_modules.py, data_loader.py and dataloader_mixins.py of ostris/ai-toolkit (2026-08).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, ignored_pictures, lonely_captions, missing
from animeset_lib.export.loaded import (
    MOST,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    parsed,
    sorted_files,
    stem_path,
    walked,
)

__all__ = ["load_ai_toolkit"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_READS = ", ".join(_SUFFIXES)
_KNOWN = frozenset(
    (
        *("batch_size", "type", "folder_path", "dataset_path", "default_caption", "trigger_word", "random_triggers"),
        *(
            "random_triggers_max",
            "caption_ext",
            "caption_type",
            "random_scale",
            "random_crop",
            "resolution",
            "scale",
            "buckets",
        ),
        *("bucket_tolerance", "is_reg", "prior_reg", "network_weight", "token_dropout_rate", "shuffle_tokens"),
        *(
            "caption_dropout_rate",
            "keep_tokens",
            "flip_x",
            "flip_y",
            "augments",
            "augmentations",
            "shuffle_augmentations",
        ),
        *("control_path", "control_path_1", "control_path_2", "control_path_3", "control_from_same_folder"),
        *("num_controls_from_same_folder", "control_transparent_color", "inpaint_path", "full_size_control_images"),
        *(
            "alpha_mask",
            "mask_path",
            "invert_mask",
            "mask_min_value",
            "unconditional_path",
            "poi",
            "use_short_captions",
        ),
        *(
            "num_repeats",
            "cache_latents",
            "cache_latents_to_disk",
            "cache_tensors_to_disk",
            "cache_clip_vision_to_disk",
        ),
        *("cache_text_embeddings", "load_image_when_caching_latents", "standardize_images", "guidance_type"),
        *(
            "clip_image_path",
            "clip_image_from_same_folder",
            "clip_image_augmentations",
            "clip_image_shuffle_augmentations",
        ),
        *(
            "replacements",
            "loss_multiplier",
            "num_workers",
            "prefetch_factor",
            "cache_latents_num_workers",
            "extra_values",
        ),
        *("square_crop", "replay_transforms", "num_frames", "shrink_video_to_frames", "fps", "auto_frame_count"),
        *("trim_auto_frame_count_tail", "debug", "controls", "fast_image_size", "do_i2v", "do_audio"),
        *("audio_preserve_pitch", "audio_normalize", "diff_output_preservation", "diff_output_preservation_class"),
    )
)
"""Keys of a dataset; others are left out without a word."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("folder_path", "dataset_path", "trigger_word", "default_caption", "caption_ext", "mask_path"), (str,)
    ),
    **dict.fromkeys(("num_repeats", "keep_tokens", "bucket_tolerance"), (int,)),
    **dict.fromkeys(("is_reg", "prior_reg", "buckets", "alpha_mask", "flip_x", "flip_y", "shuffle_tokens"), (bool,)),
    "resolution": (int, list),
}


def load_ai_toolkit(path: Path, root: Path) -> Loaded:
    """The job file `path`. Relative paths count from its folder, where the trainer would have to be started."""
    notes = Notes(root)
    sets: list[LoadedSet] = []
    sizes: list[int] = []
    for process in _processes(notes, path):
        word = process.get("trigger_word")
        for number, dataset in enumerate(_dicts(process.get("datasets")), start=1):
            found = _dataset(notes, path, dataset, word if isinstance(word, str) else None, number)
            if found is not None:
                sets.append(found)
            resolution = dataset.get("resolution", 512)
            sizes += [
                side
                for side in (resolution if isinstance(resolution, list) else [resolution])
                if isinstance(side, int) and side < MOST
            ]
    return Loaded(
        "ai-toolkit",
        path,
        tuple(sets),
        tuple(notes.findings),
        training_px=min(sizes) if sizes else None,  # of several sizes it takes for each picture those that it fills
        note=f"started in the folder of {path.name}",
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _processes(notes: Notes, path: Path) -> list[dict[str, Any]]:
    text = notes.text(path)
    if text is None:
        return []
    try:
        tree = parsed(text, "json" if path.suffix.lower() in (".json", ".jsonc") else "yaml")
    except ValueError as problem:
        notes.error(
            "not_parsed",
            path,
            f"expected {path.suffix[1:].upper()}, got text that is none ({' '.join(str(problem).split())})",
        )
        return []
    if not isinstance(tree, dict) or "job" not in tree or not isinstance(tree.get("config"), dict):
        notes.error("not_parsed", path, "expected the keys job and config at the top; ai-toolkit stops here")
        return []
    if "name" not in tree["config"]:
        notes.error("missing_key", path, "config has no name; ai-toolkit stops here: write one")
    processes = _dicts(tree["config"].get("process"))
    if not any(_dicts(process.get("datasets")) for process in processes):
        notes.error("no_datasets", path, "expected config.process with datasets, got none; there is nothing to train")
    return processes


@dataclass(frozen=True)
class _Dataset:
    name: str
    place: Path
    suffix: str
    trigger: str | None
    default: str | None
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


def _dataset(notes: Notes, config: Path, values: Mapping[str, Any], word: str | None, number: int) -> LoadedSet | None:
    key = "dataset_path" if values.get("dataset_path") is not None else "folder_path"
    name = str(values.get(key) or f"dataset {number}")
    for unknown in sorted(map(str, set(values) - _KNOWN)):
        notes.warning(
            "unknown_key", config, f"{unknown}: ai-toolkit does not know it and leaves it out; check the spelling", name
        )
    for one, kinds in _TYPES.items():
        value = values.get(one)
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            notes.error("wrong_type", config, f"{one}: expected {wanted}, got {value!r}", name)
    place = notes.place(values.get(key), config.parent, config, key, name)
    if place is None:
        return None
    if not place.exists():
        notes.error(
            "no_such_folder",
            config,
            f"there is no {notes.shown(place)}; ai-toolkit stops here: mend {key}, which counts from where it is started",
            name,
        )
        return None
    suffix = str(values.get("caption_type") or values.get("caption_ext") or ".txt")
    own = values.get("trigger_word")
    default = values.get("default_caption")
    masks = None
    if values.get("mask_path") is not None:
        masks = notes.place(values["mask_path"], config.parent, config, "mask_path", name)
        if masks is not None and not masks.is_dir():
            notes.error("no_such_folder", config, f"there is no folder {notes.shown(masks)} for masks", name)
            masks = None
    dataset = _Dataset(
        name,
        place,
        suffix if suffix.startswith(".") else f".{suffix}",
        own if isinstance(own, str) else word,
        default if isinstance(default, str) else None,
        values.get("is_reg") is True or values.get("prior_reg") is True,
        masks,
    )
    pictures = _from_folder(notes, dataset) if place.is_dir() else _from_json(notes, dataset)
    repeats = values.get("num_repeats", 1)
    return LoadedSet(
        name,
        pictures,
        max(1, repeats) if isinstance(repeats, int) and repeats < MOST else 1,
        "regularisation" if dataset.regularisation else "train",
        dataset.trigger,
        trigger_is_sure=dataset.trigger is not None,
    )


def _from_folder(notes: Notes, dataset: _Dataset) -> tuple[LoadedPicture, ...]:
    files = [path for folder in walked(dataset.place) if folder.name != "_controls" for path in sorted_files(folder)]
    if dataset.masks is not None and dataset.masks != dataset.place and dataset.masks.is_relative_to(dataset.place):
        notes.error(
            "masks_trained",
            dataset.masks,
            "lies inside the folder of pictures, all of which is trained, masks too; put it beside that folder",
            dataset.name,
        )
    pictures = [p for p in files if p.name.lower().endswith(_SUFFIXES) and not is_hidden(p)]
    ignored_pictures(notes, files, set(pictures).__contains__, _READS, dataset.name)
    if not pictures:
        notes.error(
            "no_pictures", dataset.place, f"expected pictures ({_READS}), got none; ai-toolkit stops here", dataset.name
        )
    lonely_captions(notes, files, (dataset.suffix,), pictures, dataset.name)
    return tuple(_picture(notes, dataset, picture, None) for picture in pictures)


def _from_json(notes: Notes, dataset: _Dataset) -> tuple[LoadedPicture, ...]:
    text = notes.text(dataset.place, dataset.name)
    try:
        rows = parsed(text or "", "json")
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise ValueError("expected an object of objects, keyed by picture")
    except ValueError as problem:
        notes.error("not_parsed", dataset.place, f"cannot be read as a list of pictures ({problem})", dataset.name)
        return ()
    pictures = []
    for key, row in rows.items():
        place = notes.place(key, dataset.place.parent, dataset.place, "picture", dataset.name)
        if place is None:
            continue
        if place.is_file():
            pictures.append(_picture(notes, dataset, place, row))
        else:
            notes.error("missing_picture", dataset.place, f"there is no picture {notes.shown(place)}", dataset.name)
    return tuple(pictures)


def _picture(notes: Notes, dataset: _Dataset, picture: Path, row: Mapping[str, Any] | None) -> LoadedPicture:
    if picture.suffix.lower() == ".webp":
        notes.warning("webp", picture, "ai-toolkit's notes say that WebP has issues; save it as .png", dataset.name)
    mask = _mask(dataset, picture)
    if row is not None and "caption" in row:
        if not isinstance(row["caption"], str) or not row["caption"].strip():
            notes.error("empty_caption", picture, f"has no text in {dataset.place.name}", dataset.name)
            return LoadedPicture(picture, ("",), None, mask)
        return LoadedPicture(picture, (dataset.fed(row["caption"]),), dataset.place, mask)
    caption = Path(stem_path(picture) + dataset.suffix)
    if not caption.is_file():
        default = dataset.fed(dataset.default or "")
        missing(notes, picture, dataset.suffix, f"ai-toolkit trains it with {default!r}", dataset.name)
        return LoadedPicture(picture, (default,), None, mask)
    (text,) = caption_from(notes, caption, "whole", dataset.name)
    if not text and dataset.default is not None:
        text = dataset.default
    placed = "[trigger]" in text or "[name]" in text
    if text and dataset.trigger and not dataset.regularisation and not placed and dataset.trigger not in text:
        notes.warning(
            "missing_trigger",
            caption,
            f"does not hold the trigger {dataset.trigger}; ai-toolkit writes it before the first tag without a comma: put it in yourself",
            dataset.name,
        )
    return LoadedPicture(picture, (dataset.fed(text),), caption, mask)


def _mask(dataset: _Dataset, picture: Path) -> Path | None:
    if dataset.masks is None:
        return None
    names: Sequence[Path] = [dataset.masks / f"{picture.stem}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in names if os.path.exists(path)), None)
