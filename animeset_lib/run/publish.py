"""From a finished tree below `work/` to `output/<film>/` and `output/<film>.zip`, without ever losing what a person put there.

`animeset.json` in the published folder says which film and which key it belongs to and lists every file with its hash, so that the next run
knows whether it is up to date and whether somebody has edited it since.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.errors import AnimesetError
from animeset_lib.records import Film
from animeset_lib.run.store import remove_tree, sync, write_json

__all__ = ["MANIFEST", "Published", "edited", "publish", "published", "tidy"]

MANIFEST = "animeset.json"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest the format can say; equal datasets give equal zips


@dataclass(frozen=True)
class Published:
    """Where a film's datasets are. `set_aside` is where an edited earlier version was moved, if there was one."""

    folder: Path
    zip: Path
    set_aside: Path | None = None


def published(output: Path, film: Film, key: str) -> Published | None:
    """What is already published for exactly this film and key, with its zip; None when anything is missing or another."""
    for folder in _candidates(output, film):
        manifest = _manifest(folder)
        if manifest.get("film") == film.id:
            whole = _archive(folder).is_file() and all((folder / name).is_file() for name in manifest["files"])
            return Published(folder, _archive(folder)) if manifest.get("key") == key and whole else None
    return None


def publish(
    tree: Path, output: Path, film: Film, key: str, settings: Mapping[str, Any], check_cancel: Callable[[], None]
) -> Published:
    """Copy `tree` to `output/<film name>/`, swap it in by rename, and zip it beside.

    A folder of the same name that we did not make for this film is left alone: this film's id is added to the name.
    An earlier version of this film is replaced, unless one of its files was changed, added or removed by hand: then it
    is moved to `<name>.edited-<n>`. Killed anywhere, the next call does it again. Files are copied, not linked: editing
    a published file must not reach into `work/`.
    """
    output.mkdir(parents=True, exist_ok=True)
    free = [folder for folder in _candidates(output, film) if _owner(folder) in (None, film.id)]
    if not free:
        raise AnimesetError(
            f"both {' and '.join(map(str, _candidates(output, film)))} belong to something else; move one of them away or use --output"
        )
    target = free[0]
    tidy(output, film)
    fresh, old = (target.with_name(f".{target.name}.{state}") for state in ("new", "old"))
    hashes: dict[str, str] = {}
    for source in sorted(path for path in tree.rglob("*") if path.is_file()):
        check_cancel()
        name = source.relative_to(tree).as_posix()
        copy = fresh / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        hashes[name] = _sha256(copy)
    write_json(
        fresh / MANIFEST,
        {"film": film.id, "source": film.source_name, "key": key, "settings": settings, "files": hashes},
    )

    archive = _archive(target)
    _write_zip(fresh, target.name, archive, [*hashes, MANIFEST], check_cancel)

    set_aside = None
    if target.exists():
        if edited(target):
            set_aside = _free_name(target)
            os.replace(target, set_aside)
        else:
            os.replace(target, old)
    os.replace(fresh, target)
    sync(output)
    remove_tree(old)
    return Published(target, archive, set_aside)


def tidy(output: Path, film: Film) -> None:
    """Remove what an interrupted `publish` of this film may have left behind."""
    for folder in _candidates(output, film):
        remove_tree(folder.with_name(f".{folder.name}.new"))
        _zip_temporary(_archive(folder)).unlink(missing_ok=True)
        remove_tree(folder.with_name(f".{folder.name}.old"))


def _archive(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.zip")


def _zip_temporary(archive: Path) -> Path:
    return archive.with_name(f".{archive.name}.tmp")


def _candidates(output: Path, film: Film) -> tuple[Path, Path]:
    return output / film.name, output / f"{film.name}-{film.id}"


def _owner(folder: Path) -> str | None:
    """Id of the film to which this folder, or the zip that is left of it, belongs; None when the name is free, `somebody` when it is not ours."""
    if folder.exists():
        return str(_manifest(folder).get("film", "somebody"))
    if not _archive(folder).exists():
        return None
    try:
        with zipfile.ZipFile(_archive(folder)) as archive:
            return str(json.loads(archive.read(f"{folder.name}/{MANIFEST}")).get("film", "somebody"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return "somebody"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest


def edited(folder: Path) -> bool:
    """Whether a file of a published folder was changed, added or removed since."""
    known = _manifest(folder).get("files", {})
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    return present != set(known) or any(_sha256(folder / name) != digest for name, digest in known.items())


def _free_name(folder: Path) -> Path:
    number = 1
    while (candidate := folder.with_name(f"{folder.name}.edited-{number}")).exists():
        number += 1
    return candidate


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_zip(folder: Path, top: str, archive: Path, names: list[str], check_cancel: Callable[[], None]) -> None:
    """Stream the files into a zip under `top/`, reopen it and check every byte against its checksum before it gets its name."""
    temporary = _zip_temporary(archive)
    with zipfile.ZipFile(temporary, "w", allowZip64=True) as file:
        for name in names:
            check_cancel()
            entry = zipfile.ZipInfo(f"{top}/{name}", _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            # Pictures are compressed already; deflating them again costs minutes and gains nothing.
            entry.compress_type = (
                zipfile.ZIP_STORED if name.endswith((".png", ".webp", ".jpg")) else zipfile.ZIP_DEFLATED
            )
            with (folder / name).open("rb") as source, file.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    with zipfile.ZipFile(temporary) as file:
        damaged = file.testzip()
        if damaged is not None or len(file.namelist()) != len(names):
            raise AnimesetError(
                f"the zip {archive} does not read back ({damaged or 'files missing'}); check the disk and run the same command again"
            )
    sync(temporary)
    os.replace(temporary, archive)
