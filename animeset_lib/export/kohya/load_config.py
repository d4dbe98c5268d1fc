"""How kohya-ss/sd-scripts reads a `dataset_config.toml`.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animeset_lib.export.kohya.load_folders import Subset, pictures_of, repeats_of
from animeset_lib.export.kohya.load_metadata import metadata_set, word_of
from animeset_lib.export.loaded import (
    MOST,
    Kind,
    Loaded,
    LoadedSet,
    Notes,
    parsed,
)

__all__ = ["load_kohya_config"]


Types = tuple[type, ...]
_SUBSET: Mapping[str, Types] = {
    **dict.fromkeys(("color_aug", "flip_aug", "random_crop", "shuffle_caption", "enable_wildcard"), (bool,)),
    **dict.fromkeys(("num_repeats", "keep_tokens", "token_warmup_min"), (int,)),
    **dict.fromkeys(
        (
            *("keep_tokens_separator", "secondary_separator", "caption_separator"),
            *("caption_prefix", "caption_suffix", "resize_interpolation"),
        ),
        (str,),
    ),
    "token_warmup_step": (float, int),
    "custom_attributes": (dict,),
    "face_crop_aug_range": (list,),
    "caption_dropout_every_n_epochs": (int,),
    "caption_dropout_rate": (float, int),
    "caption_tag_dropout_rate": (float, int),
}
_DREAMBOOTH: Mapping[str, Types] = {"caption_extension": (str,), "class_tokens": (str,), "cache_info": (bool,)}
_CONTROL: Mapping[str, Types] = {"caption_extension": (str,), "cache_info": (bool,)}
_DATASET: Mapping[str, Types] = {
    **dict.fromkeys(
        (*("batch_size", "bucket_reso_steps", "max_bucket_reso", "min_bucket_reso", "validation_seed"),),
        (int,),
    ),
    **dict.fromkeys(("bucket_no_upscale", "enable_bucket"), (bool,)),
    **dict.fromkeys(("validation_split", "network_multiplier"), (float,)),
    "resolution": (int, list),
    "resize_interpolation": (str,),
}
_DREAMBOOTH_ONLY: Mapping[str, Types] = {"image_dir": (str,), "is_reg": (bool,), "alpha_mask": (bool,)}
_METADATA_ONLY: Mapping[str, Types] = {"metadata_file": (str,), "image_dir": (str,), "alpha_mask": (bool,)}
_CONTROL_ONLY: Mapping[str, Types] = {"image_dir": (str,), "conditioning_data_dir": (str,)}
_ANYWHERE = frozenset((*_SUBSET, *_DREAMBOOTH, *_DATASET, *_DREAMBOOTH_ONLY, *_METADATA_ONLY, *_CONTROL_ONLY))
_TYPE_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a point",
    str: "text",
    list: "a list",
    dict: "a table",
}


@dataclass
class _Config:
    """One config file while it is read. Relative paths count from its folder, where the trainer is to be started."""

    path: Path
    notes: Notes
    sets: list[LoadedSet] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    @property
    def base(self) -> Path:
        return self.path.parent


def load_kohya_config(path: Path, root: Path) -> Loaded:
    """`--dataset_config path`; the numbers in folder names do not count here."""
    notes = Notes(root)
    config = _Config(path, notes)
    tree = _parsed(notes, path)
    if tree is not None:
        _check_keys(config, tree, {"general": (dict,), "datasets": (list,)}, "the top level")
        general = tree.get("general", {})
        if isinstance(general, dict):
            _check_keys(config, general, {**_DATASET, **_SUBSET, **_DREAMBOOTH}, "[general]")
        datasets = tree.get("datasets")
        if not isinstance(datasets, list) or not datasets:
            notes.error("no_datasets", path, "expected at least one [[datasets]], got none; there is nothing to train")
            datasets = []
        for number, dataset in enumerate(datasets, start=1):
            if isinstance(dataset, dict):
                _dataset(config, dataset, general if isinstance(general, dict) else {}, number)
    masked = any(picture.mask for one in config.sets for picture in one.pictures)
    options = ["with --masked_loss"] if masked else []  # without it conditioning_data_dir is refused
    if tree is not None and not config.sizes:
        options.append("with --resolution")
    return Loaded(
        "kohya-config",
        path,
        tuple(config.sets),
        tuple(notes.findings),
        training_px=min(config.sizes) if config.sizes else None,
        note=", ".join((f"started in the folder of {path.name}", *options)),
    )


def _parsed(notes: Notes, path: Path) -> dict[str, Any] | None:
    text = notes.text(path)
    if text is None:
        return None
    try:
        tree = parsed(text, "json" if path.suffix.lower() == ".json" else "toml")
    except ValueError as problem:
        notes.error("not_parsed", path, f"expected {path.suffix[1:].upper()}, got text that is none ({problem})")
        return None
    if not isinstance(tree, dict):
        notes.error("not_parsed", path, f"expected a table of settings, got {type(tree).__name__}")
        return None
    return tree


def _check_keys(config: _Config, table: Mapping[str, Any], known: Mapping[str, Types], where: str) -> None:
    """Says which keys kohya refuses here ("extra keys not allowed") and which values have another type than it wants."""
    for key, value in table.items():
        if key not in known:
            hint = (
                "; it is an option of the command line"
                if key == "prior_loss_weight"
                else "; it belongs to another level or kind of subset"
                if key in _ANYWHERE
                else ""
            )
            config.notes.error(
                "unknown_key",
                config.path,
                f"{key} in {where}: kohya refuses it (extra keys not allowed){hint}; take it out",
            )
        elif not isinstance(value, known[key]) or not _pair_fits(key, value):
            wanted = " or ".join(_TYPE_WORDS[kind] for kind in known[key])
            config.notes.error(
                "wrong_type", config.path, f"{key} in {where}: expected {wanted}, got {value!r}; kohya refuses it"
            )


def _pair_fits(key: str, value: Any) -> bool:
    """Whether a list has the two numbers that the key wants; other values are not looked at."""
    kind = {"resolution": int, "face_crop_aug_range": float}.get(key)
    if kind is None or not isinstance(value, list):
        return True
    return len(value) == 2 and all(isinstance(one, kind) for one in value)


def _dataset(config: _Config, dataset: Mapping[str, Any], general: Mapping[str, Any], number: int) -> None:
    notes, where = config.notes, f"[[datasets]] {number}"
    listed = dataset.get("subsets", [])
    subsets = [subset for subset in listed if isinstance(subset, dict)] if isinstance(listed, list) else []
    if not subsets:
        notes.error("no_datasets", config.path, f"{where}: expected at least one [[datasets.subsets]], got none")
        return
    from_metadata = ["metadata_file" in subset for subset in subsets]
    if any(from_metadata) and not all(from_metadata):
        notes.error(
            "mixed_methods",
            config.path,
            f"{where}: subsets with metadata_file beside subsets without; kohya refuses the mixture: put them into datasets of their own",
        )
        return
    control = all("conditioning_data_dir" in subset for subset in subsets)
    shared = _CONTROL if control else {} if any(from_metadata) else _DREAMBOOTH
    own = _CONTROL_ONLY if control else _METADATA_ONLY if any(from_metadata) else _DREAMBOOTH_ONLY
    _check_keys(config, {k: v for k, v in dataset.items() if k != "subsets"}, {**_DATASET, **_SUBSET, **shared}, where)
    _check_size(config, {**general, **dataset}, where)
    seen: set[str] = set()
    for index, subset in enumerate(subsets, start=1):
        here = f"{where}, subset {index}"
        _check_keys(config, subset, {**_SUBSET, **shared, **own}, here)
        values = {**general, **{k: v for k, v in dataset.items() if k != "subsets"}, **subset}
        identity = str(subset.get("metadata_file" if any(from_metadata) else "image_dir", ""))
        if identity in seen:
            notes.error(
                "duplicate_subset",
                config.path,
                f"{here}: {identity!r} is there twice; kohya ignores the second: join them",
            )
            continue
        seen.add(identity)
        if any(from_metadata):
            _metadata_subset(config, values, here)
        else:
            _image_dir_subset(config, values, here)


def _check_size(config: _Config, values: Mapping[str, Any], where: str) -> None:
    resolution = values.get("resolution")
    sides = [resolution] * 2 if isinstance(resolution, int) else resolution
    if (
        not isinstance(sides, list)
        or len(sides) != 2
        or not all(isinstance(side, int) and 0 < side < MOST for side in sides)
    ):
        return
    config.sizes.append((sides[0] * sides[1]) ** 0.5)
    if values.get("enable_bucket") is not True:
        return
    step = values.get("bucket_reso_steps", 64)
    low, high = values.get("min_bucket_reso", 256), values.get("max_bucket_reso", 1024)
    if not all(isinstance(one, int) and one > 0 for one in (step, low, high)):
        return
    low, high = low - low % step, high + -high % step
    if min(sides) < low or max(sides) > high:
        config.notes.error(
            "bucket_range",
            config.path,
            f"{where}: expected a resolution from min_bucket_reso {low} to max_bucket_reso {high}, got {resolution}; kohya stops here",
        )


def number_of(values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    return value if isinstance(value, int) and value < MOST else default


def _role(values: Mapping[str, Any]) -> Kind:
    """A share of 1.0 leaves nothing to train: the trainer rounds the training part down to no picture."""
    if values.get("is_reg") is True:
        return "regularisation"
    return "validation" if values.get("validation_split") == 1.0 else "train"


def _image_dir_subset(config: _Config, values: Mapping[str, Any], where: str) -> None:
    notes = config.notes
    if "image_dir" not in values:
        notes.error("no_image_dir", config.path, f"{where}: expected image_dir, got none; kohya refuses it")
        return
    folder = notes.place(values["image_dir"], config.base, config.path, "image_dir")
    if folder is None:
        return
    if not folder.is_dir():
        notes.error(
            "no_such_folder",
            config.path,
            f"{where}: there is no folder {notes.shown(folder)}; kohya goes on without it: mend image_dir, which counts from this file's folder",
        )
        return
    repeats = _repeats(config, where, values)
    if repeats is None:
        return
    named = repeats_of(folder.name)
    if named is not None and "_" in folder.name and named != repeats:
        notes.warning(
            "repeats_disagree",
            config.path,
            f"{where}: the folder is called {folder.name}, num_repeats is {repeats}; only the latter counts here: make them agree",
        )
    suffix = word_of(values, "caption_extension") or ".caption"
    if "caption_extension" not in values:
        notes.warning(
            "default_extension",
            config.path,
            f'{where}: no caption_extension, so kohya looks for .caption files; write caption_extension = ".txt"',
        )
    masks = None
    if "conditioning_data_dir" in values:
        masks = notes.place(values["conditioning_data_dir"], config.base, config.path, "conditioning_data_dir")
        if masks is not None and not masks.is_dir():
            notes.error("no_such_folder", config.path, f"{where}: there is no folder {notes.shown(masks)} for masks")
            masks = None
    subset = Subset(
        folder,
        folder.name,
        repeats,
        _role(values),
        word_of(values, "class_tokens") or None,
        suffix,
        values.get("enable_wildcard") is True,
        word_of(values, "caption_prefix"),
        word_of(values, "caption_suffix"),
        masks,
    )
    config.sets.append(pictures_of(notes, subset))


def _metadata_subset(config: _Config, values: Mapping[str, Any], where: str) -> None:
    notes = config.notes
    path = notes.place(values["metadata_file"], config.base, config.path, "metadata_file")
    if path is None:
        return
    if not path.is_file():
        notes.error(
            "no_such_file",
            config.path,
            f"{where}: there is no file {notes.shown(path)}; kohya stops here: mend metadata_file, which counts from this file's folder",
        )
        return
    folder = None
    if "image_dir" in values:
        folder = notes.place(values["image_dir"], config.base, config.path, "image_dir")
        if folder is not None and not folder.is_dir():
            notes.error("no_such_folder", config.path, f"{where}: there is no folder {notes.shown(folder)}")
    repeats = _repeats(config, where, values)
    if repeats is None:
        return
    config.sets.append(metadata_set(notes, path, folder, repeats, values))


def _repeats(config: _Config, where: str, values: Mapping[str, Any]) -> int | None:
    """How often a subset's pictures are shown; None, which is said, for one that kohya ignores."""
    repeats = number_of(values, "num_repeats", 1)
    if repeats >= 1:
        return repeats
    config.notes.error(
        "zero_repeats", config.path, f"{where}: num_repeats = {repeats}: kohya ignores the subset; expected 1 or more"
    )
    return None
