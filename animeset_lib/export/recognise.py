"""What a folder or file is, and the loader for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.errors import InputError
from animeset_lib.export.ai_toolkit.loader import load_ai_toolkit
from animeset_lib.export.animeset.loader import is_character, is_film, load_canonical
from animeset_lib.export.imagefolder.loader import METADATA_NAMES, load_imagefolder
from animeset_lib.export.kohya.load_config import load_kohya_config
from animeset_lib.export.kohya.load_folders import kohya_roots, load_kohya_folders
from animeset_lib.export.kohya.load_metadata import load_kohya_metadata
from animeset_lib.export.loaded import ANY_PICTURE, Loaded, is_hidden, parsed, sorted_files, sorted_folders
from animeset_lib.export.onetrainer.loader import load_onetrainer
from animeset_lib.export.plain.loader import load_plain

__all__ = ["FORMATS", "Source", "load", "recognise"]

Loader = Callable[[Path, Path], Loaded]

FORMATS: Mapping[str, Loader] = {
    "animeset": load_canonical,
    "kohya-folders": load_kohya_folders,
    "kohya-config": load_kohya_config,
    "kohya-metadata": load_kohya_metadata,
    "onetrainer": load_onetrainer,
    "ai-toolkit": load_ai_toolkit,
    "huggingface": load_imagefolder,
    "folder": load_plain,
}
"""Format → what loads a path as its trainer would, naming what is wrong relative to the second path."""

_DEPTH = 4
"""How deep below a given folder data sets are looked for: exports/<trainer>/<character>/img."""
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Source:
    """A data set: the folder or config file that its trainer would be given."""

    format: str
    path: Path


def load(source: Source, root: Path) -> Loaded:
    """What the trainer takes from `source`; findings are relative to `root`."""
    return FORMATS[source.format](source.path, root)


def recognise(path: Path, only: str | None = None) -> list[Source]:
    """The data sets in `path`, at least one. `only`: what is taken, a name of `FORMATS`, or `kohya` for all three kinds of kohya's.

    Raises `InputError` where there is nothing at `path`, or nothing of that format.
    """
    if only is not None and only != "kohya" and only not in FORMATS:
        raise InputError(f"unknown format {only!r}; expected one of kohya, {', '.join(FORMATS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if path.is_file():
        found = [Source(format, path) for format in _file_formats(path)]
        if only in ("kohya-metadata", "kohya-config", "onetrainer", "ai-toolkit"):
            found = [Source(only, path)]
    else:
        found = _in_folder(path, _DEPTH)
        if not _wanted(found, only) and only in ("kohya-folders", "huggingface", "folder", "animeset"):
            found = [Source(only, path)]
        if not found and _any_picture(path, _DEPTH):
            found = [Source("folder", path)]
    found = _wanted(found, only)
    if not found:
        what = f"no {only} data set" if only else "nothing to lint"
        raise InputError(
            f"{path}: {what} here; expected a published film, an exports folder, a trainer's config, or a folder of pictures with captions"
        )
    return found


def _wanted(found: list[Source], only: str | None) -> list[Source]:
    return [
        one
        for one in found
        if only is None or one.format == only or (only == "kohya" and one.format.startswith("kohya-"))
    ]


def _in_folder(folder: Path, depth: int) -> list[Source]:
    if is_film(folder) or is_character(folder):
        return [Source("animeset", folder)]
    found = _config_files(folder)
    if any(parent == folder or parent.name in ("img", "reg") for parent, _ in kohya_roots(folder)):
        found.append(Source("kohya-folders", folder))
    if _is_imagefolder(folder):
        found.append(Source("huggingface", folder))
    if depth > 0 and all(one.path.is_file() for one in found):
        for child in sorted_folders(folder):
            if not is_hidden(child):
                found += _in_folder(child, depth - 1)
    return found


def _is_imagefolder(folder: Path) -> bool:
    """Whether `folder` has a metadata file that names pictures, or a split folder with one."""
    return any(_names_files(folder / name) for name in METADATA_NAMES) or any(
        (folder / split / name).is_file() for split in _SPLITS for name in METADATA_NAMES
    )


def _names_files(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix != ".jsonl":
        return True
    with path.open("rb") as lines:
        return b'"image_path"' not in lines.readline()


def _config_files(folder: Path) -> list[Source]:
    found = [
        Source(format, path) for path in sorted_files(folder) if not is_hidden(path) for format in _file_formats(path)
    ]
    if any(one.format == "kohya-config" for one in found):
        found = [one for one in found if one.format != "kohya-metadata"]  # configs name their metadata
    return [one for one in found if one.format != "huggingface"]


def _file_formats(path: Path) -> list[str]:
    """What the file `path` says it is: one format or none. A file that cannot be parsed counts where its name says what it should be."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".toml":
            tree = parsed(path.read_text(encoding="utf-8-sig"), "toml")
            return ["kohya-config"] if "datasets" in tree or "general" in tree else []
        if suffix in (".yaml", ".yml"):
            tree = parsed(path.read_text(encoding="utf-8-sig"), "yaml")
            return ["ai-toolkit"] if isinstance(tree, dict) and ("job" in tree or "config" in tree) else []
        if suffix == ".json":
            return _json_formats(parsed(path.read_text(encoding="utf-8-sig"), "json"))
        if suffix == ".jsonl":
            row = parsed((path.read_text(encoding="utf-8-sig").splitlines() or ["null"])[0], "json")
            return ["kohya-metadata"] if isinstance(row, dict) and "image_path" in row else []
    except (OSError, ValueError):
        return _by_name(path.name.lower())
    return []


def _json_formats(tree: Any) -> list[str]:
    if isinstance(tree, list):
        return (
            ["onetrainer"]
            if tree and all(isinstance(one, dict) and "path" in one and "prompt" not in one for one in tree)
            else []
        )
    if not isinstance(tree, dict):
        return []
    if "datasets" in tree:
        return ["kohya-config"]
    if "job" in tree and "config" in tree:
        return ["ai-toolkit"]
    rows = list(tree.values())
    named = rows and all(isinstance(row, dict) and ({"caption", "tags"} & set(row)) for row in rows)
    return ["kohya-metadata"] if named else []


def _by_name(name: str) -> list[str]:
    if name.endswith(".toml"):
        return ["kohya-config"] if "dataset" in name else []
    if name.endswith((".yaml", ".yml")):
        return ["ai-toolkit"]
    if name.endswith(".json") and name.startswith("concepts"):
        return ["onetrainer"]
    return ["kohya-metadata"] if name.startswith("meta") and name.endswith((".json", ".jsonl")) else []


def _below(folder: Path, depth: int) -> list[Path]:
    found = sorted_files(folder)
    if depth > 0:
        for inner in sorted_folders(folder):
            if not is_hidden(inner):
                found += _below(inner, depth - 1)
    return found


def _any_picture(path: Path, depth: int) -> bool:
    return any(one.suffix.lower() in ANY_PICTURE for one in _below(path, depth))
