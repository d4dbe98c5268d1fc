"""Exports on the disk: each format's folder is made whole beside its place and swapped in by rename; nothing that a person changed is lost.

`.animeset-export.json` in an exported folder says which format, films and triggers it holds and lists every file with its hash. That is how the
next export knows what is its own. What trainers leave beside the pictures (caches of latents and text) is no change; a trained network is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from animeset_lib.errors import InputError
from animeset_lib.export.files import MARKER, marker_of
from animeset_lib.export.forms import WRITERS
from animeset_lib.export.plan import ExportFiles, ExportOptions, ExportPlan, make_plan
from animeset_lib.published.publish import hold_folder
from animeset_lib.published.reader import read_film
from animeset_lib.published.series import join_films
from animeset_lib.run.store import free_name, full_disk_as, remove_tree, write_json
from animeset_lib.system import replace_path, sha256_of, sync

__all__ = ["Exported", "export_films", "write_export"]

_CACHES = (".npz", ".safetensors")
_CACHE_FILES = frozenset({"metadata_cache.json", ".aitk_size.json"})


@dataclass(frozen=True)
class Exported:
    """One format that was written. `set_aside` is where an earlier export that somebody had changed was moved."""

    format: str
    folder: Path
    pictures: int
    set_aside: Path | None


def export_films(
    folders: Sequence[Path], target: Path, formats: Sequence[str], options: ExportOptions, *, copy: bool = False
) -> tuple[ExportPlan, list[Exported]]:
    """Write `target/<format>/` for each format from these published films; several films are one series.

    copy   copy pictures instead of hard-linking them: an edit of a linked picture is one of the published picture too

    Nobody can edit or publish the films meanwhile. Raises `InputError` for a folder that is no published film, an option out of range, or a place
    that is taken by something else; formats that were written before an error stay.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown or not formats:
        raise InputError(f"unknown format '{', '.join(unknown)}'; expected some of {', '.join(WRITERS)}")
    for folder in folders:
        if target.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{target} lies inside the published film {folder}; choose a place outside")
    with ExitStack() as held:
        for folder in sorted({folder.resolve() for folder in folders if folder.is_dir()}):
            held.enter_context(hold_folder(folder))
        plan = make_plan(join_films([read_film(folder) for folder in folders]), options)
        done = []
        for name in formats:
            own = replace(plan, prefix=plan.prefix.replace("{format}", name))
            done.append(
                write_export(WRITERS[name].export_files(own), target, name, plan.film_ids, copy=copy, prefix=own.prefix)
            )
    return plan, done


def write_export(
    files: ExportFiles,
    target: Path,
    name: str,
    film_ids: Sequence[str],
    *,
    copy: bool = False,
    prefix: str = "",
) -> Exported:
    """Make `target/<name>` hold exactly these files. Equal files give equal bytes, whatever was there before. `prefix`, which somebody wanted before
    every path, is told to the linter.

    An earlier export of the same films is replaced, or moved to `<name>.edited-<n>` when somebody changed, added or removed a file in it.
    Raises `InputError` when the place holds anything else, `SpaceError` when the disk is full; the place is then what it was.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; name a folder with --to, in which each format gets one")
    place = target / name
    earlier = _marker(place)
    if place.exists() and not earlier:
        raise InputError(f"{place} is there and no export of animeset; move it away, or choose another place with --to")
    if earlier and not set(earlier["films"]) & set(film_ids):
        raise InputError(
            f"{place} holds the export of another film ({', '.join(earlier['films'])}); choose another place with --to"
        )
    fresh, old = (place.with_name(f".{name}.{state}") for state in ("new", "old"))
    remove_tree(fresh)
    remove_tree(old)
    try:
        with full_disk_as(lambda: f"the disk of {target} is full; free some space, then export again"):
            hashes = _fill(fresh, files, copy)
            told = {"format": name, "films": sorted(film_ids), "prefix": prefix, "triggers": files.triggers}
            write_json(fresh / MARKER, {**told, "files": hashes})
    except BaseException:
        remove_tree(fresh)
        raise
    set_aside = None
    if place.exists():
        if _changed(place, earlier["files"]):
            set_aside = free_name(place)
            replace_path(place, set_aside)
        else:
            replace_path(place, old)
    replace_path(fresh, place)
    sync(target)
    remove_tree(old)
    return Exported(name, place, len(files.linked), set_aside)


def _fill(folder: Path, files: ExportFiles, copy: bool) -> dict[str, str]:
    """Write everything into a new folder; returns the hash of each file by name, sorted."""
    folder.mkdir(parents=True)
    for name, source in files.linked.items():
        _place(source, folder / name, copy)
    for name, content in files.written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: sha256_of(folder / name) for name in sorted([*files.linked, *files.written])}


def _place(source: Path, path: Path, copy: bool) -> None:
    """The same bytes under another name: linked where that is possible and wanted, else copied."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not copy:
        try:
            os.link(os.path.realpath(source), path)  # of a link inside the film, what it shows
            return
        except OSError:
            pass  # another disk, or a file system without links
    shutil.copyfile(source, path)


def _changed(folder: Path, known: Mapping[str, str]) -> bool:
    """Whether somebody changed, added or removed a file. Hidden files and trainers' caches beside the pictures do not count."""
    pictures = {str(PurePosixPath(name).parent) for name in known if not name.endswith((".txt", ".json", ".md"))}
    present = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not name.name.startswith(".") and not _is_cache(PurePosixPath(name.as_posix()), pictures):
            present.add(name.as_posix())
    return present != set(known) or any(sha256_of(folder / name) != digest for name, digest in known.items())


def _is_cache(name: PurePosixPath, pictures: set[str]) -> bool:
    """Whether a file is a trainer's cache: in a folder of pictures, or in one that begins with `_` below it. A network elsewhere is a result."""
    if name.name in _CACHE_FILES:
        return True
    folder = name.parent.parent if name.parent.name.startswith("_") else name.parent
    return name.suffix in _CACHES and str(folder) in pictures


def _marker(folder: Path) -> dict[str, Any]:
    """What `.animeset-export.json` says; empty when the folder is no export."""
    marker = marker_of(folder)
    return marker if isinstance(marker.get("files"), dict) and isinstance(marker.get("films"), list) else {}
