"""How OneTrainer reads a list of concepts (`concepts.json`).

Facts: modules/util/config/ConceptConfig.py and modules/dataLoader of Nerogar/OneTrainer (2026-08), pipelineModules of Nerogar/mgds (2026-07).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, ignored_pictures, lonely_captions, missing, taken_pictures
from animeset_lib.export.files import ANY_PICTURE, existing, is_hidden, sorted_files, sorted_folders, stem_path, walked
from animeset_lib.export.loaded import Kind, Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes, types_by_key
from animeset_lib.export.texts import lines_of

__all__ = ["load", "recognises"]

_SUFFIXES = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"})
_READS = ", ".join(sorted(_SUFFIXES))
_MASK, _CONDITION = "-masklabel", "-condlabel"
_KINDS: Mapping[str, Kind] = {"STANDARD": "train", "VALIDATION": "validation", "PRIOR_PREDICTION": "regularisation"}
_CONCEPT = types_by_key(
    {
        (str,): "name path type balancing_strategy",
        (int,): "seed image_variations text_variations __version",
        (bool,): "enabled include_subdirectories validation_concept",
        (int, float): "balancing loss_weight repeats",
        (dict,): "concept_stats image text",
    }
)
_PARTS = {
    "image": types_by_key(
        {
            (int,): "__version",
            (str,): "resolution_override",
            (int, float): "random_rotate_max_angle random_brightness_max_strength random_contrast_max_strength "
            "random_saturation_max_strength random_hue_max_strength",
            (bool,): "enable_crop_jitter enable_random_flip enable_fixed_flip enable_random_rotate enable_fixed_rotate "
            "enable_random_brightness enable_fixed_brightness enable_random_contrast enable_fixed_contrast "
            "enable_random_saturation enable_fixed_saturation enable_random_hue enable_fixed_hue "
            "enable_resolution_override enable_random_circular_mask_shrink enable_random_mask_rotate_crop",
        }
    ),
    "text": types_by_key(
        {
            (int,): "__version keep_tags_count",
            (str,): "prompt_source prompt_path tag_delimiter tag_dropout_mode tag_dropout_special_tags_mode "
            "tag_dropout_special_tags caps_randomize_mode",
            (int, float): "tag_dropout_probability caps_randomize_probability",
            (bool,): "enable_tag_shuffling tag_dropout_enable tag_dropout_special_tags_regex caps_randomize_enable "
            "caps_randomize_lowercase",
        }
    ),
}


def recognises(path: Path, tree: Any) -> bool:
    if path.suffix.lower() != ".json":
        return False
    if tree is None:
        return path.name.lower().startswith("concepts")
    concepts = isinstance(tree, list) and tree
    return bool(concepts) and all(isinstance(one, dict) and "path" in one and "prompt" not in one for one in tree)


def load(path: Path, root: Path) -> Loaded:
    """The concept list `path`. Relative paths count from its folder, where OneTrainer would have to be started."""
    notes = Notes(root)
    concepts = notes.tree(path, "json", list[dict[str, Any]], "a list of concepts, each an object")
    if concepts == []:
        notes.error("no_datasets", path, "expected at least one concept, got none; there is nothing to train")
    sets = []
    off = 0
    for number, concept in enumerate(concepts or [], start=1):
        name = str(concept.get("name") or f"concept {number}")
        if concept.get("enabled", True) is False:
            off += 1
        elif (found := _concept(notes.of(name), path, concept, name)) is not None:
            sets.append(found)
    note = f"started in the folder of {path.name}" + (f"; {off} concepts are switched off" if off else "")
    return Loaded(tuple(sets), tuple(notes.findings), note=note)


def _concept(notes: Notes, config: Path, written: Mapping[str, Any], name: str) -> LoadedSet | None:
    concept = _values(notes, config, written, _CONCEPT)
    for part, known in _PARTS.items():
        concept[part] = _values(notes, config, concept.get(part, {}), known, f"{part}.")
    kind = written.get("type", "VALIDATION" if concept.get("validation_concept") else "STANDARD")
    if not isinstance(kind, str) or kind not in _KINDS:
        words = f"type = {kind!r}: expected one of {', '.join(_KINDS)}; OneTrainer takes STANDARD"
        notes.error("wrong_value", config, words)
    folder = notes.place(written.get("path"), config, "path", "folder", "OneTrainer stops here")
    if folder is None:
        return None
    deep = concept.get("include_subdirectories", False)
    files = sorted(path for one in (walked(folder) if deep else [folder]) for path in sorted_files(one))
    labels = [p for p in files if p.suffix.lower() in ANY_PICTURE and p.stem.endswith((_MASK, _CONDITION))]
    others = [p for p in files if p not in set(labels)]
    pictures = taken_pictures(notes, folder, others, lambda p: p.suffix.lower() in _SUFFIXES, _READS)
    for inner in sorted_folders(folder) if not deep else ():
        if not is_hidden(inner):
            reads = "no sub-folders here (include_subdirectories)"
            ignored_pictures(notes, sorted_files(inner), lambda _: False, reads)
    loaded = _captioned(notes, config, concept["text"], pictures)
    lonely_captions(notes, files, ".txt", pictures)
    _check_labels(notes, labels, {stem_path(p) for p in pictures})
    repeats = concept.get("balancing", concept.get("repeats", 1.0))
    if concept.get("balancing_strategy") == "SAMPLES":
        repeats /= max(1, len(pictures))
    return LoadedSet(name, loaded, repeats, _KINDS.get(str(kind), "train"), concept.get("name") or None)


def _values(
    notes: Notes, config: Path, table: Mapping[str, Any], known: Mapping[str, tuple[type, ...]], part: str = ""
) -> dict[str, Any]:
    for key in table:
        if key not in known:
            words = f"{part}{key}: OneTrainer does not know it and leaves it out; check the spelling"
            notes.warning("unknown_key", config, words)
    return notes.typed(config, table, known, part, "OneTrainer takes its default instead")


def _captioned(
    notes: Notes, config: Path, text: Mapping[str, Any], pictures: Sequence[Path]
) -> tuple[LoadedPicture, ...]:
    """Each picture with its prompts, from where the part `text` of the concept says."""
    source = text.get("prompt_source", "sample")
    shared, prompts = None, [""]
    if source == "concept":
        words = "its pictures have no prompts"
        shared = notes.place(text.get("prompt_path"), config, "text.prompt_path", "file of prompts", words)
        if shared is not None:
            prompts = [line.strip() for line in lines_of(notes.text(shared) or "") if line.strip()] or [""]
    loaded = []
    for picture in pictures:
        mask = existing(Path(f"{stem_path(picture)}{_MASK}.png"))
        caption = shared
        if source == "filename":
            captions: tuple[str, ...] = (picture.stem,)
        elif source == "concept":
            captions = tuple(prompts)
        elif caption := existing(Path(f"{stem_path(picture)}.txt")):
            captions = caption_from(notes, caption, "alternatives")
        else:
            captions = ("",)
            missing(notes, picture, ".txt", "OneTrainer trains it with an empty prompt")
        loaded.append(LoadedPicture(picture, captions, caption, mask))
    return tuple(loaded)


def _check_labels(notes: Notes, labels: Sequence[Path], stems: set[str]) -> None:
    for label in labels:
        ending = _MASK if label.stem.endswith(_MASK) else _CONDITION
        if label.suffix != ".png":
            notes.error("mask_not_png", label, f"is not read: OneTrainer wants {label.stem}.png; save it so")
        if stem_path(label).removesuffix(ending) not in stems:
            notes.warning("mask_without_picture", label, "belongs to no picture; was the picture renamed or removed?")
