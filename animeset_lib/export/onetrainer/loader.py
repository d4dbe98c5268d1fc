"""How OneTrainer reads a list of concepts (`concepts.json`).

Facts: modules/util/config/ConceptConfig.py and modules/dataLoader of Nerogar/OneTrainer (2026-08), pipelineModules of Nerogar/mgds (2026-07).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, ignored_pictures, lonely_captions, missing
from animeset_lib.export.loaded import (
    ANY_PICTURE,
    MOST,
    Kind,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    lines_of,
    parsed,
    sorted_files,
    sorted_folders,
    stem_path,
    walked,
)

__all__ = ["load_onetrainer"]

_SUFFIXES = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"})
_READS = ", ".join(sorted(_SUFFIXES))
_MASK, _CONDITION = "-masklabel", "-condlabel"
_KINDS: Mapping[str, Kind] = {"STANDARD": "train", "VALIDATION": "validation", "PRIOR_PREDICTION": "regularisation"}

_IMAGE_SWITCHES = (
    *("enable_crop_jitter", "enable_random_flip", "enable_fixed_flip", "enable_random_rotate", "enable_fixed_rotate"),
    *("enable_random_brightness", "enable_fixed_brightness", "enable_random_contrast", "enable_fixed_contrast"),
    *("enable_random_saturation", "enable_fixed_saturation", "enable_random_hue", "enable_fixed_hue"),
    *("enable_resolution_override", "enable_random_circular_mask_shrink", "enable_random_mask_rotate_crop"),
)
_IMAGE_NUMBERS = (
    "random_rotate_max_angle",
    *(f"random_{what}_max_strength" for what in ("brightness", "contrast", "saturation", "hue")),
)
_KNOWN: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "": {
        **dict.fromkeys(("name", "path", "type", "balancing_strategy"), (str,)),
        **dict.fromkeys(("seed", "image_variations", "text_variations", "__version"), (int,)),
        **dict.fromkeys(("enabled", "include_subdirectories", "validation_concept"), (bool,)),
        **dict.fromkeys(("balancing", "loss_weight", "repeats"), (int, float)),
        **dict.fromkeys(("concept_stats", "image", "text"), (dict,)),
    },
    "image": {
        "__version": (int,),
        "resolution_override": (str,),
        **dict.fromkeys(_IMAGE_SWITCHES, (bool,)),
        **dict.fromkeys(_IMAGE_NUMBERS, (int, float)),
    },
    "text": {
        **dict.fromkeys(
            (
                *("prompt_source", "prompt_path", "tag_delimiter", "tag_dropout_mode"),
                *("tag_dropout_special_tags_mode", "tag_dropout_special_tags", "caps_randomize_mode"),
            ),
            (str,),
        ),
        **dict.fromkeys(("keep_tags_count", "__version"), (int,)),
        **dict.fromkeys(
            (
                *("enable_tag_shuffling", "tag_dropout_enable", "tag_dropout_special_tags_regex"),
                *("caps_randomize_enable", "caps_randomize_lowercase"),
            ),
            (bool,),
        ),
        **dict.fromkeys(("tag_dropout_probability", "caps_randomize_probability"), (int, float)),
    },
}


def load_onetrainer(path: Path, root: Path) -> Loaded:
    """The concept list `path`. Relative paths count from its folder, where OneTrainer would have to be started."""
    notes = Notes(root)
    sets = []
    off = 0
    for number, concept in enumerate(_concepts(notes, path), start=1):
        if concept.get("enabled", True) is False:
            off += 1
        elif (found := _concept(notes, path, concept, number)) is not None:
            sets.append(found)
    note = f"started in the folder of {path.name}" + (f"; {off} concepts are switched off" if off else "")
    return Loaded("onetrainer", path, tuple(sets), tuple(notes.findings), note=note)


def _concepts(notes: Notes, path: Path) -> list[dict[str, Any]]:
    text = notes.text(path)
    if text is None:
        return []
    try:
        tree = parsed(text, "json")
    except ValueError as problem:
        notes.error("not_parsed", path, f"expected JSON, got text that is none ({problem})")
        return []
    if not isinstance(tree, list) or not all(isinstance(one, dict) for one in tree):
        notes.error("not_parsed", path, "expected a list of concepts, each an object")
        return []
    if not tree:
        notes.error("no_datasets", path, "expected at least one concept, got none; there is nothing to train")
    return tree


def _concept(notes: Notes, config: Path, concept: Mapping[str, Any], number: int) -> LoadedSet | None:
    name = str(concept.get("name") or f"concept {number}")
    _check_keys(notes, config, concept, "", name)
    for part in ("image", "text"):
        if isinstance(inner := concept.get(part, {}), dict):
            _check_keys(notes, config, inner, part, name)
    kind = concept.get("type", "VALIDATION" if concept.get("validation_concept") is True else "STANDARD")
    if not isinstance(kind, str) or kind not in _KINDS:
        notes.error(
            "wrong_value",
            config,
            f"type = {kind!r}: expected one of {', '.join(_KINDS)}; OneTrainer takes STANDARD",
            name,
        )
    folder = notes.place(concept.get("path"), config.parent, config, "path", name)
    if folder is None:
        return None
    if not folder.is_dir():
        notes.error(
            "no_such_folder",
            config,
            f"there is no folder {notes.shown(folder)}; OneTrainer stops here: mend path, which counts from where it is started",
            name,
        )
        return None
    files = _files(folder, concept.get("include_subdirectories") is True)
    pictures = [p for p in files if p.suffix.lower() in _SUFFIXES and not p.stem.endswith((_MASK, _CONDITION))]
    labels = {p for p in files if p.suffix.lower() in ANY_PICTURE and p.stem.endswith((_MASK, _CONDITION))}
    ignored_pictures(notes, files, lambda p: p in labels or p.suffix.lower() in _SUFFIXES, _READS, name)
    if not files or not pictures:
        notes.error("no_pictures", folder, f"expected pictures ({_READS}), got none", name)
    if concept.get("include_subdirectories") is not True:
        for inner in sorted_folders(folder):
            if not is_hidden(inner):
                ignored_pictures(
                    notes, sorted_files(inner), lambda _: False, "no sub-folders here (include_subdirectories)", name
                )
    loaded = tuple(_picture(notes, config, concept, picture, name) for picture in pictures)
    lonely_captions(notes, files, (".txt",), pictures, name)
    _check_labels(notes, labels, {stem_path(p) for p in pictures}, name)
    return LoadedSet(
        name,
        loaded,
        _repeats(concept, len(pictures)),
        _KINDS.get(str(kind), "train"),
        trigger=str(concept.get("name") or "") or None,
    )


def _check_keys(notes: Notes, config: Path, table: Mapping[str, Any], part: str, name: str) -> None:
    for key, value in table.items():
        known = _KNOWN[part]
        shown = f"{part}.{key}" if part else key
        if key not in known:
            notes.warning(
                "unknown_key",
                config,
                f"{shown}: OneTrainer does not know it and leaves it out; check the spelling",
                name,
            )
        elif not isinstance(value, known[key]) or (isinstance(value, bool) and bool not in known[key]):
            wanted = " or ".join(kind.__name__ for kind in known[key])
            notes.error(
                "wrong_type",
                config,
                f"{shown}: expected {wanted}, got {value!r}; OneTrainer takes its default instead",
                name,
            )


def _repeats(concept: Mapping[str, Any], pictures: int) -> float:
    balancing = concept.get("balancing", concept.get("repeats", 1.0))
    if not isinstance(balancing, int | float) or isinstance(balancing, bool) or not abs(balancing) < MOST:
        return 1.0
    if concept.get("balancing_strategy") == "SAMPLES":
        return balancing / max(1, pictures)
    return float(balancing)


def _files(folder: Path, deep: bool) -> list[Path]:
    return sorted(path for one in (walked(folder) if deep else [folder]) for path in sorted_files(one))


def _picture(notes: Notes, config: Path, concept: Mapping[str, Any], picture: Path, name: str) -> LoadedPicture:
    text = concept.get("text")
    source = text.get("prompt_source", "sample") if isinstance(text, dict) else "sample"
    stem = stem_path(picture)
    mask = Path(f"{stem}{_MASK}.png")
    mask_path = mask if mask.is_file() else None
    if source == "filename":
        return LoadedPicture(picture, (picture.stem,), None, mask_path)
    if source == "concept" and isinstance(text, dict):
        shared = notes.place(text.get("prompt_path"), config.parent, config, "text.prompt_path", name)
        if shared is None or not shared.is_file():
            notes.error(
                "missing_caption", config, f"{name}: there is no file of prompts {text.get('prompt_path')!r}", name
            )
            return LoadedPicture(picture, ("",), None, mask_path)
        prompts = [line.strip() for line in lines_of(notes.text(shared, name) or "") if line.strip()]
        return LoadedPicture(picture, tuple(prompts) or ("",), shared, mask_path)
    caption = Path(f"{stem}.txt")
    if not caption.is_file():
        missing(notes, picture, ".txt", "OneTrainer trains it with an empty prompt", name)
        return LoadedPicture(picture, ("",), None, mask_path)
    return LoadedPicture(picture, caption_from(notes, caption, "alternatives", name, strict=False), caption, mask_path)


def _check_labels(notes: Notes, labels: set[Path], stems: set[str], name: str) -> None:
    for label in sorted(labels):
        ending = _MASK if label.stem.endswith(_MASK) else _CONDITION
        if label.suffix != ".png":
            notes.error("mask_not_png", label, f"is not read: OneTrainer wants {label.stem}.png; save it so", name)
        if stem_path(label).removesuffix(ending) not in stems:
            notes.warning(
                "mask_without_picture", label, "belongs to no picture; was the picture renamed or removed?", name
            )
