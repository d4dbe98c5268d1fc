"""How kohya-ss/sd-scripts reads a data set: folders named `N_words`, a `dataset_config.toml`, or metadata in JSON.

Facts: library/config_util.py and library/train_util.py of kohya-ss/sd-scripts, 2026-02 (the package cannot be installed from a registry).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import (
    caption_from,
    ignored_pictures,
    kohya_caption,
    lonely_captions,
    missing,
)
from animeset_lib.export.loaded import (
    ANY_PICTURE,
    MOST,
    Kind,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    parsed,
    sorted_files,
    sorted_folders,
)

__all__ = [
    "KOHYA_SUFFIXES",
    "kohya_roots",
    "load_kohya_config",
    "load_kohya_folders",
    "load_kohya_metadata",
    "repeats_of",
]

_LOWER = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
KOHYA_SUFFIXES = frozenset((*_LOWER, *(suffix.upper() for suffix in _LOWER)))
"""All small or all capital: `.Png` is not found. AVIF and JPEG XL only where their plug-ins are installed, so not here."""
_READS = ".png, .jpg, .jpeg, .webp and .bmp, all small or all capital letters"
_CAPTIONS = (".txt", ".caption")
_REGULARISATION = ("reg", "regularisation", "regularization")
_GUI_FOLDERS = frozenset({"log", "logs", "model", "models", "sample", "samples"})
"""What kohya_ss makes beside `img` and `reg`; no pictures to train in them."""


def repeats_of(name: str) -> int | None:
    """The number before the first `_` of a folder's name, as kohya reads it; `None` when there is none."""
    try:
        return int(name.split("_")[0])
    except ValueError:
        return None


def kohya_roots(path: Path) -> list[tuple[Path, Kind]]:
    """The folders in `path` that hold `N_words` folders with pictures, each with what it is for; `path` itself may be one.

    Of the folders that kohya_ss makes (`img`, `reg`) and others, only the former are given to the trainer.
    """
    roots: list[tuple[Path, Kind]] = [(path, _kind(path))] if _holds_numbered(path) else []
    inner = [child for child in sorted_folders(path) if _is_root(child)]
    if any(child.name == "img" for child in inner):
        inner = [child for child in inner if child.name == "img" or _kind(child) == "regularisation"]
    return roots + [(child, _kind(child)) for child in inner]


def _kind(folder: Path) -> Kind:
    return "regularisation" if folder.name.lower() in _REGULARISATION else "train"


def _is_root(folder: Path) -> bool:
    return not is_hidden(folder) and repeats_of(folder.name) is None and _holds_numbered(folder)


def _holds_numbered(path: Path) -> bool:
    return any(
        "_" in child.name and repeats_of(child.name) is not None and _pictures_in(child)
        for child in sorted_folders(path)
    )


def _pictures_in(folder: Path) -> list[Path]:
    """What kohya's glob finds directly in `folder`."""
    return [path for path in sorted_files(folder) if path.suffix in KOHYA_SUFFIXES and not is_hidden(path)]


def load_kohya_folders(path: Path, root: Path) -> Loaded:
    """`--train_data_dir` (and `--reg_data_dir`) with one `N_words` folder per set, N being the repeats."""
    notes = Notes(root)
    roots = kohya_roots(path) or [(path, "train")]
    suffix = _suffix_in([child for parent, _ in roots for child in sorted_folders(parent)])
    sets = []
    for parent, kind in roots:
        ignored_pictures(notes, sorted_files(parent), lambda _: False, "pictures in N_words folders only", "")
        for child in sorted_folders(parent):
            if is_hidden(child) or _is_root(child) or child.name.lower() in _GUI_FOLDERS:
                continue
            if found := _numbered_folder(notes, child, kind, suffix):
                sets.append(found)
    return Loaded("kohya-folders", path, tuple(sets), tuple(notes.findings), note=f"with --caption_extension {suffix}")


def _numbered_folder(notes: Notes, folder: Path, kind: Kind, suffix: str) -> LoadedSet | None:
    pictures = [p for p in sorted_files(folder) if p.suffix.lower() in ANY_PICTURE]
    repeats = repeats_of(folder.name)
    if repeats is None:
        if pictures:
            notes.error(
                "no_repeats",
                folder,
                f"expected a name like 10_{folder.name}, the number being the repeats; kohya ignores a folder without: rename it",
                folder.name,
            )
        return None
    if repeats < 1:
        notes.error(
            "zero_repeats",
            folder,
            f"{repeats} repeats: kohya ignores the folder; expected 1 or more: rename it",
            folder.name,
        )
        return None
    words = folder.name.partition("_")[2]
    if not words:
        notes.warning(
            "no_class_tokens",
            folder,
            f"expected a name like {repeats}_trigger, got no words after the number",
            folder.name,
        )
    subset = _Subset(folder, folder.name, repeats, kind, class_tokens=words or None, suffix=suffix)
    return _pictures_of(notes, subset)


def _suffix_in(folders: Sequence[Path]) -> str:
    """The caption suffix that most files in `folders` have; it is given on the command line."""
    count = {suffix: sum(1 for f in folders for p in sorted_files(f) if p.suffix == suffix) for suffix in _CAPTIONS}
    return max(_CAPTIONS, key=lambda suffix: count[suffix])


# --------------------------------------------------------------------------------------------- one folder of pictures


@dataclass(frozen=True)
class _Subset:
    folder: Path
    name: str
    repeats: int
    kind: Kind
    class_tokens: str | None
    suffix: str
    wildcard: bool = False
    prefix: str = ""
    after: str = ""
    masks: Path | None = None

    def fed(self, caption: str) -> str:
        """With what the config puts before and after each caption."""
        caption = f"{self.prefix} {caption}" if self.prefix else caption
        return f"{caption} {self.after}" if self.after else caption


def _pictures_of(notes: Notes, subset: _Subset) -> LoadedSet:
    files = sorted_files(subset.folder)
    pictures = _pictures_in(subset.folder)
    ignored_pictures(notes, files, set(pictures).__contains__, _READS, subset.name)
    for inner in sorted_folders(subset.folder):
        if not is_hidden(inner) and inner != subset.masks:
            ignored_pictures(notes, sorted_files(inner), lambda _: False, "no folder inside this one", subset.name)
    if not pictures:
        notes.error(
            "no_pictures",
            subset.folder,
            f"expected pictures ({_READS}), got none; kohya ignores the folder",
            subset.name,
        )
    masks = _masks_of(subset)
    loaded = tuple(_one_picture(notes, subset, picture, masks.get(picture.stem)) for picture in pictures)
    lonely_captions(notes, files, (subset.suffix,), pictures, subset.name)
    if subset.masks is not None:
        _check_masks(notes, subset, loaded)
    return LoadedSet(subset.name, loaded, subset.repeats, subset.kind, subset.class_tokens)


def _one_picture(notes: Notes, subset: _Subset, picture: Path, mask: Path | None) -> LoadedPicture:
    found = kohya_caption(picture, subset.suffix)
    instead = subset.class_tokens or ""
    if found is None:
        words = f"kohya trains it with {instead!r}" if instead else "kohya trains it with an empty prompt"
        missing(notes, picture, subset.suffix, words, subset.name)
        return LoadedPicture(picture, (subset.fed(instead),), mask=mask)
    if found.borrowed:
        notes.error(
            "borrowed_caption",
            picture,
            f"has no caption {picture.stem}{subset.suffix}, so kohya takes {notes.shown(found.path)}, which belongs to another picture: "
            "write its own",
            subset.name,
        )
    captions = caption_from(
        notes, found.path, "alternatives" if subset.wildcard else "first_line", subset.name, not subset.wildcard
    )
    return LoadedPicture(picture, tuple(map(subset.fed, captions)), found.path, mask)


def _masks_of(subset: _Subset) -> dict[str, Path]:
    """Stem → mask; of several with one stem the first by name."""
    masks: dict[str, Path] = {}
    for mask in _pictures_in(subset.masks) if subset.masks is not None else ():
        masks.setdefault(mask.stem, mask)
    return masks


def _check_masks(notes: Notes, subset: _Subset, pictures: Sequence[LoadedPicture]) -> None:
    assert subset.masks is not None
    for picture in pictures:
        if picture.mask is None:
            notes.error(
                "missing_mask",
                picture.path,
                f"has no mask of its name in {notes.shown(subset.masks)}; kohya stops unless each picture has one",
                subset.name,
            )
    used = {picture.mask for picture in pictures}
    for mask in _pictures_in(subset.masks):
        if mask not in used:
            notes.error(
                "mask_without_picture", mask, "belongs to no picture; kohya stops at it: remove it", subset.name
            )


# ---------------------------------------------------------------------------------------------------- dataset_config

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


def _number(values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    return value if isinstance(value, int) and value < MOST else default


def _word(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else ""


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
    suffix = _word(values, "caption_extension") or ".caption"
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
    subset = _Subset(
        folder,
        folder.name,
        repeats,
        _role(values),
        _word(values, "class_tokens") or None,
        suffix,
        values.get("enable_wildcard") is True,
        _word(values, "caption_prefix"),
        _word(values, "caption_suffix"),
        masks,
    )
    config.sets.append(_pictures_of(notes, subset))


# ----------------------------------------------------------------------------------------------------------- metadata


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
    config.sets.append(_metadata_set(notes, path, folder, repeats, values))


def _repeats(config: _Config, where: str, values: Mapping[str, Any]) -> int | None:
    """How often a subset's pictures are shown; None, which is said, for one that kohya ignores."""
    repeats = _number(values, "num_repeats", 1)
    if repeats >= 1:
        return repeats
    config.notes.error(
        "zero_repeats", config.path, f"{where}: num_repeats = {repeats}: kohya ignores the subset; expected 1 or more"
    )
    return None


def load_kohya_metadata(path: Path, root: Path) -> Loaded:
    """`--in_json path`, or the metadata of a config that is not here: JSON or JSONL, with its pictures in its own folder."""
    notes = Notes(root)
    found = _metadata_set(notes, path, path.parent, 1, {})
    return Loaded(
        "kohya-metadata",
        path,
        (found,),
        tuple(notes.findings),
        has_repeats=False,
        note=f"with image_dir = the folder of {path.name}",
    )


def _metadata_set(notes: Notes, path: Path, folder: Path | None, repeats: int, values: Mapping[str, Any]) -> LoadedSet:
    rows = _metadata_rows(notes, path)
    pictures = []
    for key, row in rows.items():
        if (picture := _metadata_picture(notes, path, folder, key, row, values)) is not None:
            pictures.append(picture)
    if not rows:
        notes.error("no_pictures", path, "expected a row per picture, got none; kohya ignores it", path.stem)
    if folder is not None:
        listed = {picture.path for picture in pictures}
        for other in _pictures_in(folder):
            if other not in listed:
                notes.warning("not_listed", other, f"stands in no row of {path.name}, so it is not trained", path.stem)
    return LoadedSet(path.stem, tuple(pictures), repeats)


def _metadata_rows(notes: Notes, path: Path) -> dict[str, dict[str, Any]]:
    text = notes.text(path)
    if text is None:
        return {}
    rows: dict[str, dict[str, Any]] = {}
    try:
        if path.suffix == ".jsonl":
            for line in text.splitlines():
                row = parsed(line, "json")
                if not isinstance(row, dict) or not isinstance(row.get("image_path"), str):
                    raise ValueError(f"expected an object with image_path on each line, got {line[:60]!r}")
                rows[row["image_path"]] = row
            return rows
        tree = parsed(text, "json")
        if not isinstance(tree, dict) or not all(isinstance(row, dict) for row in tree.values()):
            raise ValueError("expected an object of objects, keyed by picture")
        return tree
    except ValueError as problem:
        notes.error("not_parsed", path, f"cannot be read as metadata ({problem}); run the export again", path.stem)
        return {}


def _metadata_picture(
    notes: Notes, config: Path, folder: Path | None, key: str, row: Mapping[str, Any], values: Mapping[str, Any]
) -> LoadedPicture | None:
    if folder is None and not os.path.isabs(key):
        notes.error(
            "no_image_dir",
            config,
            f"{key!r} is relative, and the subset has no image_dir; kohya stops here",
            config.stem,
        )
        return None
    place = notes.place(key, folder or config.parent, config, "picture", config.stem)
    if place is None:
        return None
    if not place.is_file():
        notes.error(
            "missing_picture",
            config,
            f"there is no picture {notes.shown(place)}; kohya stops when it trains it",
            config.stem,
        )
        return None
    for name in ("caption", "tags"):
        if not isinstance(row.get(name, ""), str | None):
            notes.error("wrong_type", config, f"{name} of {key!r}: expected text, got {row[name]!r}", config.stem)
            return None
    caption, tags = row.get("caption") or "", row.get("tags") or ""
    separator = _word(values, "caption_separator") or ","
    wildcard = values.get("enable_wildcard") is True
    if tags and wildcard:
        tags = tags.replace("\n", separator)
        caption = "\n".join(f"{line}{separator}{tags}" for line in caption.split("\n") if line.strip())
    elif tags:
        caption = f"{caption}{separator if caption else ''}{tags}"
    lines = [line.strip() for line in caption.split("\n") if line.strip()]
    if not lines:
        notes.error(
            "empty_caption", place, f"has no text in {config.name}; expected tags with the trigger first", config.stem
        )
    if len(lines) > 1 and not wildcard:
        notes.error(
            "multi_line_caption",
            place,
            f"{len(lines)} lines in {config.name}, of which only the first is read",
            config.stem,
        )
        lines = lines[:1]
    prefix, after = _word(values, "caption_prefix"), _word(values, "caption_suffix")
    fed = tuple(" ".join(part for part in (prefix, line, after) if part) for line in lines or [""])
    return LoadedPicture(place, fed, size=_stated_size(notes, config, key, row), facts=row)


def _stated_size(notes: Notes, config: Path, key: str, row: Mapping[str, Any]) -> tuple[int, int] | None:
    size = row.get("image_size")
    if size is None:
        return None
    if isinstance(size, list) and len(size) == 2 and all(isinstance(one, int) for one in size):
        return size[0], size[1]
    notes.error("wrong_type", config, f"image_size of {key!r}: expected [width, height], got {size!r}", config.stem)
    return None
