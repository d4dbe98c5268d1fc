"""How kohya-ss/sd-scripts reads a `dataset_config.toml`.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animeset_lib.export.kohya.load_folders import pictures_of, repeats_of
from animeset_lib.export.kohya.load_metadata import metadata_set
from animeset_lib.export.loaded import Kind, Loaded, LoadedSet
from animeset_lib.export.notes import Notes, Types, types_by_key

__all__ = ["load", "recognises"]

_SUBSET = types_by_key(
    {
        (bool,): "color_aug flip_aug random_crop shuffle_caption enable_wildcard",
        (int,): "num_repeats keep_tokens token_warmup_min caption_dropout_every_n_epochs",
        (float, int): "token_warmup_step caption_dropout_rate caption_tag_dropout_rate",
        (
            str,
        ): "keep_tokens_separator secondary_separator caption_separator caption_prefix caption_suffix resize_interpolation",
        (dict,): "custom_attributes",
        (list,): "face_crop_aug_range",
    }
)
_DATASET = types_by_key(
    {
        (bool,): "bucket_no_upscale enable_bucket",
        (int,): "batch_size bucket_reso_steps max_bucket_reso min_bucket_reso validation_seed",
        (float,): "validation_split network_multiplier",
        (int, list): "resolution",
        (str,): "resize_interpolation",
    }
)
_PAIRS = {"resolution": int, "face_crop_aug_range": float}
"""Keys whose list is of two numbers of this type."""


@dataclass(frozen=True)
class _Method:
    """One of kohya's ways to give captions and masks, and which keys its sub-sets know: those that a dataset may give them all, and their own."""

    shared: Mapping[str, Types]
    own: Mapping[str, Types]


_DREAMBOOTH = _Method(
    types_by_key({(str,): "caption_extension class_tokens", (bool,): "cache_info"}),
    types_by_key({(str,): "image_dir", (bool,): "is_reg alpha_mask"}),
)
_METADATA = _Method({}, types_by_key({(str,): "metadata_file image_dir", (bool,): "alpha_mask"}))
_CONTROL = _Method(
    types_by_key({(str,): "caption_extension", (bool,): "cache_info"}),
    types_by_key({(str,): "image_dir conditioning_data_dir"}),
)
_ANYWHERE = {**_SUBSET, **_DATASET}.keys() | {
    key for method in (_DREAMBOOTH, _METADATA, _CONTROL) for key in (*method.shared, *method.own)
}


@dataclass(frozen=True)
class _Config:
    """One config file while it is read. Relative paths count from its folder, where the trainer is to be started."""

    path: Path
    notes: Notes
    sets: list[LoadedSet] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def error(self, code: str, words: str) -> None:
        self.notes.error(code, self.path, words)

    def place(self, values: Mapping[str, Any], key: str, kind: str, where: str, then: str) -> Path | None:
        return self.notes.place(values[key], self.path, f"{where}: {key}", kind, then)


def recognises(path: Path, tree: Any) -> bool:
    suffix = path.suffix.lower()
    if tree is None:
        return suffix == ".toml" and "dataset" in path.name.lower()
    if not isinstance(tree, dict):
        return False
    return (suffix in (".toml", ".json") and "datasets" in tree) or (suffix == ".toml" and "general" in tree)


def load(path: Path, root: Path) -> Loaded:
    """`--dataset_config path`; the numbers in folder names do not count here."""
    config = _Config(path, Notes(root))
    tree = config.notes.tree(path, "toml", dict[str, Any], "a table of settings")
    if tree is not None:
        top = _values(config, tree, {"general": (dict,), "datasets": (list,)}, "the top level")
        general = _values(config, top.get("general", {}), {**_DATASET, **_SUBSET, **_DREAMBOOTH.shared}, "[general]")
        if not top.get("datasets"):
            config.error("no_datasets", "expected at least one [[datasets]], got none; there is nothing to train")
        for number, dataset in enumerate(top.get("datasets", []), start=1):
            if isinstance(dataset, dict):
                _dataset(config, dataset, general, f"[[datasets]] {number}")
    masked = any(picture.mask for one in config.sets for picture in one.pictures)
    options = ["with --masked_loss"] if masked else []  # without it conditioning_data_dir is refused
    if tree is not None and not config.sizes:
        options.append("with --resolution")
    return Loaded(
        tuple(config.sets),
        tuple(config.notes.findings),
        training_px=min(config.sizes, default=None),
        note=", ".join((f"started in the folder of {path.name}", *options)),
    )


def _values(config: _Config, table: Mapping[str, Any], known: Mapping[str, Types], where: str) -> dict[str, Any]:
    """What is well-typed in a table. Says which keys kohya refuses here ("extra keys not allowed"), and which values."""
    for key in table:
        if key not in known:
            hint = (
                "; it is an option of the command line"
                if key == "prior_loss_weight"
                else "; it belongs to another level or kind of subset"
                if key in _ANYWHERE
                else ""
            )
            words = f"{key} in {where}: kohya refuses it (extra keys not allowed){hint}; take it out"
            config.error("unknown_key", words)
    values = config.notes.typed(config.path, table, known, f"{where}: ", "kohya refuses it")
    for key, kind in _PAIRS.items():
        pair = values.get(key)
        if isinstance(pair, list) and not (len(pair) == 2 and all(isinstance(one, kind) for one in pair)):
            del values[key]
            config.error("wrong_type", f"{where}: {key}: expected two numbers, got {pair!r}; kohya refuses it")
    return values


def _dataset(config: _Config, dataset: Mapping[str, Any], general: Mapping[str, Any], where: str) -> None:
    listed = dataset.get("subsets", [])
    subsets = [subset for subset in listed if isinstance(subset, dict)] if isinstance(listed, list) else []
    if not subsets:
        config.error("no_datasets", f"{where}: expected at least one [[datasets.subsets]], got none")
        return
    from_metadata = ["metadata_file" in subset for subset in subsets]
    if any(from_metadata) and not all(from_metadata):
        words = "subsets with metadata_file beside subsets without; kohya refuses the mixture: put them into datasets of their own"
        config.error("mixed_methods", f"{where}: {words}")
        return
    control = all("conditioning_data_dir" in subset for subset in subsets)
    method = _CONTROL if control else _METADATA if any(from_metadata) else _DREAMBOOTH
    own = {key: value for key, value in dataset.items() if key != "subsets"}
    values = {**general, **_values(config, own, {**_DATASET, **_SUBSET, **method.shared}, where)}
    _check_size(config, values, where)
    seen: set[str] = set()
    for index, subset in enumerate(subsets, start=1):
        here = f"{where}, subset {index}"
        own = _values(config, subset, {**_SUBSET, **method.shared, **method.own}, here)
        identity = str(subset.get("metadata_file" if any(from_metadata) else "image_dir", ""))
        if identity in seen:
            words = f"{here}: {identity!r} is there twice; kohya ignores the second: join them"
            config.error("duplicate_subset", words)
            continue
        seen.add(identity)
        found = _subset(config, {"num_repeats": 1, **values, **own}, here)
        if found is not None:
            config.sets.append(found)


def _check_size(config: _Config, values: Mapping[str, Any], where: str) -> None:
    resolution: int | list[int] = values.get("resolution", 0)
    sides = resolution if isinstance(resolution, list) else [resolution, resolution]
    if min(sides) <= 0:
        return
    config.sizes.append((sides[0] * sides[1]) ** 0.5)
    step = values.get("bucket_reso_steps", 64)
    low, high = values.get("min_bucket_reso", 256), values.get("max_bucket_reso", 1024)
    if not values.get("enable_bucket") or min(step, low, high) <= 0:
        return
    low, high = low - low % step, high + -high % step
    if min(sides) < low or max(sides) > high:
        wanted = f"a resolution from min_bucket_reso {low} to max_bucket_reso {high}"
        config.error("bucket_range", f"{where}: expected {wanted}, got {resolution}; kohya stops here")


def _subset(config: _Config, values: dict[str, Any], where: str) -> LoadedSet | None:
    repeats = values["num_repeats"]
    if repeats < 1:
        words = f"{where}: num_repeats = {repeats}: kohya ignores the subset; expected 1 or more"
        config.error("zero_repeats", words)
        return None
    folder = masks = None
    if "image_dir" in values:
        folder = config.place(values, "image_dir", "folder", where, "kohya goes on without it")
    elif "metadata_file" not in values:
        config.error("no_image_dir", f"{where}: expected image_dir, got none; kohya refuses it")
    if "metadata_file" in values:
        file = config.place(values, "metadata_file", "file", where, "kohya stops here")
        return metadata_set(config.notes.of(file.stem), file, folder, values) if file is not None else None
    if folder is None:
        return None
    _check_folder(config, folder, values, where)
    if "conditioning_data_dir" in values:
        masks = config.place(values, "conditioning_data_dir", "folder", where, "so there are no masks")
    values["caption_extension"] = values.get("caption_extension") or ".caption"
    return pictures_of(config.notes.of(folder.name), folder, values, _kind(values), masks)


def _check_folder(config: _Config, folder: Path, values: Mapping[str, Any], where: str) -> None:
    repeats, named = values["num_repeats"], repeats_of(folder.name)
    if named is not None and "_" in folder.name and named != repeats:
        got = f"the folder is called {folder.name}, num_repeats is {repeats}"
        words = f"{where}: {got}; only the latter counts here: make them agree"
        config.notes.warning("repeats_disagree", config.path, words)
    if "caption_extension" not in values:
        words = 'no caption_extension, so kohya looks for .caption files; write caption_extension = ".txt"'
        config.notes.warning("default_extension", config.path, f"{where}: {words}")


def _kind(values: Mapping[str, Any]) -> Kind:
    """A share of 1.0 leaves nothing to train: the trainer rounds the training part down to no picture."""
    if values.get("is_reg"):
        return "regularisation"
    return "validation" if values.get("validation_split") == 1.0 else "train"
