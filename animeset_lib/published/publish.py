"""From a finished tree below `work/` to `output/<film>/` and `output/<film>.zip`, without ever losing what a person put there.

`animeset.json` in the published folder says which film and which key it belongs to and lists every file with its hash, so that the next run
knows whether it is up to date and whether somebody has edited it since. Captions are not listed: the film's log answers for them
(`published.edit_log`).

Whoever changes, swaps or packs a published folder holds its lock (`output/.locks/<folder>.lock`), so that no zip has half of an edit.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from animeset_lib.errors import AnimesetError, BusyError, InputError
from animeset_lib.published.layout import caption_of_a_picture
from animeset_lib.records import Film
from animeset_lib.run.store import atomic, free_name, full_disk_as, parse_json, remove_tree, write_json, write_text
from animeset_lib.system import replace_path, sha256_of, sync

__all__ = [
    "MANIFEST",
    "HandWork",
    "Published",
    "changed_files",
    "find_published",
    "hold_folder",
    "manifest_of",
    "production_of",
    "publish",
    "published",
    "published_folders",
    "put_text",
    "read_manifest",
    "refresh_zip",
    "tidy",
    "zip_all",
    "zip_folder",
]

MANIFEST = "animeset.json"

_COMPRESSED = (".png", ".webp", ".jpg", ".jpeg")
_PATIENCE_S = 10.0
"""How long to wait for another process that edits or packs the same folder before saying so."""
_SWAP_PATIENCE_S = 600.0
"""A finished run waits longer: packing a large set on a slow disk may take minutes, and hours of work must not fail for that."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest the format can say; equal datasets give equal zips


@dataclass(frozen=True)
class Published:
    """Where a film's datasets are. `set_aside` is where an edited earlier version was moved, if there was one, because of its files `by_hand`."""

    folder: Path
    zip: Path
    set_aside: Path | None = None
    by_hand: tuple[str, ...] = ()


class HandWork(Protocol):
    """What carries the captions that people wrote from an earlier version into the next. The lock of the published folder is held."""

    def take_in(self, folder: Path) -> None:
        """Remember what a person changed in a published folder, on the disk when this returns."""
        ...

    def lay_over(self, tree: Path) -> None:
        """Put what is remembered over the captions of a new tree, which is nobody else's yet."""
        ...


def published(output: Path, film: Film, key: str) -> Published | None:
    """What is already published for exactly this film and key, with its zip; None when anything is missing or another."""
    for folder in _candidates(output, film):
        manifest = read_manifest(folder)
        if manifest.get("film") == film.id:
            whole = _archive(folder).is_file() and all((folder / name).is_file() for name in manifest["files"])
            return Published(folder, _archive(folder)) if manifest.get("key") == key and whole else None
    return None


def publish(
    tree: Path,
    output: Path,
    film: Film,
    key: str,
    settings: Mapping[str, Any],
    check_cancel: Callable[[], None],
    hand: HandWork | None = None,
) -> Published:
    """Copy `tree` to `output/<film name>/`, put over it what `hand` remembers, swap it in by rename, and zip it beside.

    A folder of the same name that we did not make for this film is left alone: this film's id is added to the name.
    An earlier version of this film is replaced, unless one of its files but captions was changed, added or removed by hand: then it is moved to
    `<name>.edited-<n>`. Killed anywhere, the next call does it again. Files are copied, not linked: editing a published file must not
    reach into `work/`.
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
    hashes = _copied(tree, fresh, check_cancel)
    archive = _archive(target)
    by_hand = set[str]()
    # Whoever edits the earlier version waits, or is waited for: between being read and being replaced it must not change.
    with hold_folder(target, _SWAP_PATIENCE_S) if target.exists() else _hold_if_used(target):
        earlier = target if target.exists() else None
        if earlier is not None:
            if hand is not None:
                hand.take_in(earlier)
            by_hand = changed_files(earlier)
        if hand is not None:
            hand.lay_over(fresh)
        said = {"film": film.id, "source": film.source_name, "key": key, "settings": settings, "files": hashes}
        write_json(fresh / MANIFEST, said)
        _pack(_visible(fresh, target.name), archive, check_cancel)
        set_aside = free_name(target) if by_hand else None
        if earlier is not None:
            replace_path(earlier, set_aside or old)
        replace_path(fresh, target)
    sync(output)
    remove_tree(old)
    return Published(target, archive, set_aside, tuple(sorted(by_hand)))


def _copied(tree: Path, target: Path, check_cancel: Callable[[], None]) -> dict[str, str]:
    """Copies all files; the hash of each but captions, by its path with `/`."""
    hashes: dict[str, str] = {}
    for source in sorted(path for path in tree.rglob("*") if path.is_file()):
        check_cancel()
        name = source.relative_to(tree).as_posix()
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        if not caption_of_a_picture(tree, name):
            hashes[name] = sha256_of(copy)
    return hashes


def tidy(output: Path, film: Film) -> None:
    """Remove what an interrupted `publish` of this film may have left behind; an earlier version that it had moved and not yet replaced comes
    back."""
    for folder in _candidates(output, film):
        remove_tree(folder.with_name(f".{folder.name}.new"))
        if (temporary := _zip_temporary(_archive(folder))).exists():
            with _hold_if_used(folder):  # `refresh_zip` may be writing it
                temporary.unlink(missing_ok=True)
        old = folder.with_name(f".{folder.name}.old")
        if _owner(old) in (None, film.id):
            if old.exists() and not folder.exists():
                replace_path(old, folder)
            remove_tree(old)


def _archive(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.zip")


def _zip_temporary(archive: Path) -> Path:
    return archive.with_name(f".{archive.name}.tmp")


def _candidates(output: Path, film: Film) -> tuple[Path, Path]:
    return output / film.name, output / f"{film.name}-{film.id}"


def _owner(folder: Path) -> str | None:
    """Id of the film to which this folder, or the zip that is left of it, belongs; None when the name is free, `somebody` when it is not ours."""
    if folder.exists():
        return str(read_manifest(folder).get("film", "somebody"))
    if not _archive(folder).exists():
        return None
    try:
        with zipfile.ZipFile(_archive(folder)) as archive:
            return str(json.loads(archive.read(f"{folder.name}/{MANIFEST}")).get("film", "somebody"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return "somebody"


def production_of(folder: Path) -> str:
    """What everything about the film of a published folder is called, beside it and elsewhere: readable and unique."""
    film = read_manifest(folder).get("film")
    return f"{folder.name.removesuffix(f'-{film}')}-{film}"


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `animeset.json` of a published folder says; empty for a folder that is not ours."""
    try:
        manifest: dict[str, Any] = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def manifest_of(folder: Path) -> dict[str, Any]:
    """`read_manifest` of a published film. Raises `InputError` for another folder."""
    manifest = read_manifest(folder)
    if "film" not in manifest:
        found = f"a folder without a readable {MANIFEST}" if folder.is_dir() else "no such folder"
        raise InputError(
            f"{folder} is no published film: expected a folder below output/ as `animeset run` leaves it, with {MANIFEST} in it; got {found}. "
            "Choose such a folder, or run the film first"
        )
    return manifest


def changed_files(folder: Path) -> set[str]:
    """Which files of a published folder but captions were changed, added or removed since, as paths relative to it with `/`."""
    known = read_manifest(folder).get("files", {})
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    changed = {name for name in present & set(known) if sha256_of(folder / name) != known[name]}
    return changed | {name for name in present ^ set(known) if not caption_of_a_picture(folder, name)}


def _pack(
    files: Mapping[str, Path],
    archive: Path,
    check_cancel: Callable[[], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
    stored: tuple[str, ...] = _COMPRESSED,
) -> None:
    """Stream files, by their names in it, into a zip, reopen it and check every byte against its checksum before it gets its name. Those with the
    endings `stored` are not deflated: with pictures that costs minutes and gains nothing.

    On an error or a stop `archive` is what it was, and nothing else is left behind.
    """
    temporary = _zip_temporary(archive)
    total = sum(source.stat().st_size for source in files.values())
    done = 0
    try:
        with (
            full_disk_as(
                lambda: f"the disk of {archive} is full ({total / 1e6:.0f} MB to pack); free some space, then try again"
            ),
            zipfile.ZipFile(temporary, "w", allowZip64=True) as file,
        ):
            for name, source in files.items():
                check_cancel()
                info = zipfile.ZipInfo(name, _ZIP_TIME)
                info.external_attr = 0o644 << 16
                info.compress_type = zipfile.ZIP_STORED if name.endswith(stored) else zipfile.ZIP_DEFLATED
                info.file_size = source.stat().st_size  # says beforehand whether this entry needs ZIP64
                with source.open("rb") as content, file.open(info, "w") as sink:
                    shutil.copyfileobj(content, sink, 1 << 20)
                done += info.file_size
                progress(done, total)
        with zipfile.ZipFile(temporary) as file:
            damaged = file.testzip()
            if damaged is not None or len(file.namelist()) != len(files):
                raise AnimesetError(
                    f"the zip {archive} does not read back ({damaged or 'files missing'}); check the disk and run the same command again"
                )
        sync(temporary)
        replace_path(temporary, archive)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def hold_folder(folder: Path, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Hold the lock of something below `output/`; it dies with its process.

    Raises `BusyError` when another process (or another tab of this one) still holds it after `patience_s` seconds. The lock lies outside the
    folder, so the folder can be swapped while it is held, and no zip or `changed_files` sees it.
    """
    path = _lock_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(path).acquire(timeout=patience_s)
    except Timeout:
        raise BusyError(
            f"another window or process is editing or packing {folder.name} and was not done after {patience_s:.0f} s; "
            "nothing was changed, try again in a moment"
        ) from None
    with held:
        yield


def _hold_if_used(folder: Path) -> AbstractContextManager[None]:
    """`hold_folder` for a run that finds no earlier version: where nobody ever edited or packed this folder there is no lock and nobody to wait
    for, and none is left behind.

    Weak spot: somebody who packs it for the very first time just then is not seen.
    """
    return hold_folder(folder, _SWAP_PATIENCE_S) if _lock_file(folder).exists() else nullcontext()


def _lock_file(folder: Path) -> Path:
    place = folder.resolve()
    return place.with_name(".locks") / f"{place.name}.lock"


def put_text(path: Path, text: str) -> None:
    """Make `path` hold exactly this text, atomically.

    Bytes that are not UTF-8 travel as lone surrogates (Python's `surrogateescape`), so that what was read that way is put back byte for byte.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_text(path, text)
    except UnicodeEncodeError:
        with atomic(path) as temporary:
            temporary.write_bytes(text.encode("utf-8", "surrogateescape"))


def published_folders(output: Path) -> list[Path]:
    """The film folders of `output/` that we made, by name.

    Hidden ones are under construction. An edited version that a later run set aside is left out as long as the later one is there.
    """
    ours = {
        path: str(film)
        for path in (sorted(output.iterdir()) if output.is_dir() else [])
        if path.is_dir() and not path.name.startswith(".") and (film := read_manifest(path).get("film"))
    }
    return [path for path in ours if (base := _set_aside_from(path)) is None or ours.get(base) != ours[path]]


def find_published(film: str, output: Path) -> Path:
    """The published folder that is meant by `film`: its path, or part of its name, of its film's file name or id; a whole name wins over parts.

    Raises `InputError` when none or several match.
    """
    if "film" in read_manifest(Path(film)):
        return Path(film)
    folders = published_folders(output)
    names = {folder: (folder.name, read_manifest(folder).get("source", ""), _owner(folder)) for folder in folders}
    found = [folder for folder in folders if film in names[folder]]
    found = found or [folder for folder in folders if film and any(film in str(name) for name in names[folder])]
    if len(found) != 1:
        there = ", ".join(folder.name for folder in found or folders) or "none"
        raise InputError(
            f"{'several published films match' if found else 'no published film matches'} '{film}' in {output}; expected the path of a published "
            f"folder, or part of the name or id of one of: {there}"
        )
    return found[0]


def _set_aside_from(folder: Path) -> Path | None:
    """The folder whose earlier version this one is; None when it does not bear such a name."""
    name = re.fullmatch(r"(.+)\.edited-\d+", folder.name)
    return folder.with_name(name[1]) if name else None


def refresh_zip(folder: Path, check_cancel: Callable[[], None] = lambda: None) -> Path:
    """Make the zip beside a published folder hold what the folder holds now; returns the zip's path.

    Left alone when it does so already: every name is compared, and every byte, for times and sizes do not tell whether a caption was edited.
    Hidden files are left out. Written anew it is byte for byte what publishing this folder would have written; on an error the old one stays.

    Raises `InputError` for a folder that we did not make, `BusyError` when it is being edited, `SpaceError` when the disk is full.
    """
    manifest_of(folder)
    archive = _archive(folder)
    with hold_folder(folder):
        files = _visible(folder, folder.name)
        if not _is_current(archive, files, check_cancel):
            _pack(files, archive, check_cancel)
    return archive


def zip_all(
    output: Path,
    target: Path,
    check_cancel: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """One zip, `target`, with every published film folder of `output/` in its present state; returns its path.

    Stored, not compressed, streamed file by file, ZIP64 where it is needed. Hidden files and other people's folders are left out.

    progress   gets the bytes packed so far and all bytes

    Raises `InputError` when there is no film, or when `target` is the zip of one of them or lies inside one; `BusyError` when one is being edited.
    On an error or a stop an earlier `target` stays.
    """
    folders = published_folders(output)
    if not folders:
        raise InputError(
            f"{output} holds no published film, so there is nothing to pack; run `animeset run` on a film first"
        )
    place = target.absolute()
    for folder in folders:
        own = folder.absolute()
        if place == _archive(own) or own in place.parents:
            raise InputError(
                f"{target} belongs to the film {folder.name}; choose another name for the zip of all films"
            )
    place.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(hold_folder(output / place.name))  # two at once would write into one temporary file
        for folder in folders:
            stack.enter_context(hold_folder(folder))
        files = {name: path for folder in folders for name, path in _visible(folder, folder.name).items()}
        _pack(files, place, check_cancel, progress, stored=("",))
    return target


def zip_folder(folder: Path, archive: Path, check_cancel: Callable[[], None] = lambda: None) -> Path:
    """Put all that is not hidden below a folder into a zip, under the folder's name; returns `archive`. On an error an earlier one stays."""
    with hold_folder(archive):  # two at once would write into one temporary file
        files = {name: path for name, path in _visible(folder, folder.name).items() if path.is_file()}
        _pack(files, archive, check_cancel)
    return archive


def _visible(folder: Path, top: str) -> dict[str, Path]:
    """The files of a folder by their names in a zip, below `top`, in their order there: sorted, the manifest last; nothing hidden."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    visible = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    ordered = [name.as_posix() for name in visible if name != Path(MANIFEST)] + [MANIFEST]
    return {f"{top}/{name}": folder / name for name in ordered}


def _is_current(archive: Path, files: Mapping[str, Path], check_cancel: Callable[[], None]) -> bool:
    """Whether a readable zip holds exactly these files as they are now. Small ones are compared first: they are what people edit."""
    try:
        with zipfile.ZipFile(archive) as file:
            sizes = {name: path.stat().st_size for name, path in files.items()}
            if {info.filename: info.file_size for info in file.infolist()} != sizes:
                return False
            for name in sorted(files, key=sizes.__getitem__):
                check_cancel()
                with files[name].open("rb") as now, file.open(name) as packed:
                    while piece := now.read(1 << 20):
                        if packed.read(len(piece)) != piece:
                            return False
    except (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return False
    return True
