"""What a folder or file is, by the table of forms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.errors import InputError
from animeset_lib.export.files import is_hidden, sorted_files, sorted_folders
from animeset_lib.export.forms import FORMS, LOADERS
from animeset_lib.export.loaded import Loaded
from animeset_lib.export.texts import parsed

__all__ = ["Source", "load", "recognise"]

_DEPTH = 4
"""How deep below a given folder data sets are looked for: exports/<trainer>/<character>/img."""
_KINDS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".jsonl": "json"}


@dataclass(frozen=True)
class Source:
    """A data set: the folder or config file that its trainer would be given. `format` is the loader's name."""

    format: str
    path: Path


def load(source: Source, root: Path) -> Loaded:
    """What the trainer takes from `source`; findings are relative to `root`."""
    return LOADERS[source.format].load(source.path, root)


def recognise(path: Path, only: str | None = None) -> list[Source]:
    """The data sets in `path`, at least one. `only`: what is taken, a form's or a loader's name.

    Raises `InputError` where there is nothing at `path`, or nothing of that format.
    """
    groups = {form.name: {loader.name for loader in form.loaders} for form in FORMS}
    if only is not None and only not in groups and only not in LOADERS:
        raise InputError(f"unknown format {only!r}; expected one of {', '.join(dict.fromkeys((*groups, *LOADERS)))}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    found = _of_file(path) if path.is_file() else _in_folder(path, _DEPTH) or _sources("rest", path)
    if only is not None:
        found = [one for one in found if one.format in groups.get(only, {only})]
        # what is said is believed, as far as it can be
        if only in LOADERS and not found and (LOADERS[only].of == "file") == path.is_file():
            found = [Source(only, path)]
    if not found:
        what = f"no {only} data set" if only else "nothing to lint"
        raise InputError(
            f"{path}: {what} here; expected a published film, an exports folder, a trainer's config, or a folder of pictures with captions"
        )
    return found


def _in_folder(folder: Path, depth: int) -> list[Source]:
    if film := _sources("film", folder):
        return film
    found = [one for path in sorted_files(folder) if not is_hidden(path) for one in _of_file(path)]
    if any(one.format == "kohya-config" for one in found):
        found = [one for one in found if one.format != "kohya-metadata"]  # configs name their metadata
    folders = _sources("folder", folder)
    if depth > 0 and not folders:
        for child in sorted_folders(folder):
            if not is_hidden(child):
                found += _in_folder(child, depth - 1)
    return found + folders


def _of_file(path: Path) -> list[Source]:
    """What the file `path` says it is: at most one."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = parsed((text.splitlines() or ["null"])[0] if path.suffix.lower() == ".jsonl" else text, kind)
    except (OSError, ValueError):
        tree = None
    return _sources("file", path, tree)


def _sources(of: str, path: Path, tree: Any = None) -> list[Source]:
    return [Source(one.name, path) for one in LOADERS.values() if one.of == of and one.recognises(path, tree)]
