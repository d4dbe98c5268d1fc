"""Weight files: where they lie, whether they are what they should be, and how they come here (`download.py` brings the bytes).

<folder>/<model>/<file>          a file that was checked, or that a person put there
<folder>/<model>/<other>         a file that was made here from another form of the weights (`made_once`)
<folder>/<model>/record.json     per file its SHA-256 and where it came from
<folder>/.incoming/<model>/      what is arriving; renamed from there into its place once it is whole and checked
<folder>/.incoming/*.lock        one process at a time per model
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from animeset_lib.errors import ModelError, SpaceError
from animeset_lib.models.download import (
    Line,
    OfflineError,
    Origin,
    Paced,
    Progress,
    ask_hub,
    came_from,
    download,
    endpoint,
    need,
)
from animeset_lib.models.spec import HubFile, WeightFile
from animeset_lib.system import replace_path, sha256_of, sync

__all__ = ["FileState", "OfflineError", "Progress", "Weights", "made_once", "models_folder"]

_LOG = logging.getLogger("animeset")

_RECORD = "record.json"
_MANIFEST = "bundle.json"
_BUNDLE_FORMAT = 1
_MANIFEST_MAX = 16 << 20
"""Bytes. A bundle names a few dozen files; more is not a bundle of ours, and would be read into memory."""
_BY_HAND = "placed by hand"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileState:
    """What is known about one weight file.

    sha256    of the file as it lies there, None when it is absent or unreadable
    trust     `pinned`: it equals the hash in the table of models. `first use`: no such hash is known; the file must stay what it was when it
              first came. Empty: absent or at fault.
    revision  the commit that the hub gave; None for other files
    why_not   what is wrong with it, in words; empty when it can be used
    """

    path: Path
    present: bool
    bytes: int | None
    sha256: str | None
    trust: Literal["pinned", "first use", ""]
    revision: str | None
    why_not: str


@dataclass(frozen=True)
class _Entry:
    """A file's part of `record.json`. `bytes` and `mtime_ns` are the file's when it was hashed; `when` is UTC, ISO 8601."""

    sha256: str
    bytes: int
    mtime_ns: int
    source: str
    revision: str | None
    trust: str
    when: str


def models_folder() -> Path:
    """Where weights lie unless told otherwise: `ANIMESET_MODELS`, else `models` in the user's cache folder for animeset."""
    if named := os.environ.get("ANIMESET_MODELS"):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("animeset")) / "models"


def made_once(model: str, name: str, make: Callable[[IO[bytes]], None]) -> Path:
    """The file `name` beside the model's downloads; where there is none, what `make` writes. Raises `ModelError` or `SpaceError`."""
    path = models_folder() / model / name
    if not path.is_file():
        with _writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
            with temporary.open("wb") as file:
                make(file)
            sync(temporary)
            replace_path(temporary, path)
    return path


class Weights:
    """The models folder. Nothing is read, made or fetched before a method asks for it.

    Model and file names are single path components. Methods raise `ModelError`, its kin `OfflineError`, or `SpaceError`.
    """

    folder: Path

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = models_folder() if folder is None else folder

    def path(self, model: str, file: WeightFile) -> Path:
        """Where the file lies. Raises `ModelError` when it is absent; its content is not looked at (`digest` does that)."""
        path = self._place(model, file.name)
        if not path.is_file():
            raise ModelError(_absent(model, path))
        return path

    def digest(self, model: str, file: WeightFile) -> str:
        """SHA-256 of the file, 64 hex digits, checked against the pinned hash or the recorded one.

        A file is hashed only when its size or time of change is not what the record says. What is hashed is recorded; a folder that cannot
        be written costs the record, not the answer. Raises `ModelError` when the file is absent or has another hash.
        """
        path = self.path(model, file)
        try:
            entry, recorded, fault = self._examine(model, file, path, believe=True)
        except OSError as error:
            raise ModelError(
                f"{path} cannot be read ({_words(error)}); mend its permissions or fetch it again"
            ) from error
        if fault:
            raise ModelError(fault)
        if entry != recorded:
            try:
                self._note(model, {file.name: entry})
            except OSError as error:
                _LOG.warning("%s: its hash could not be recorded (%s); it is taken anew each time", path, _words(error))
        return entry.sha256

    def state(self, model: str, file: WeightFile) -> FileState:
        """What is known about the file. Writes nothing and raises nothing; hashes the file only when the record does not know it as it is."""
        path = self.folder / model / file.name
        try:
            path = self.path(model, file)
            entry, _, fault = self._examine(model, file, path, believe=True)
        except ModelError as error:
            return FileState(path, False, None, None, "", None, str(error))
        except OSError as error:
            return FileState(path, True, None, None, "", None, f"{path} cannot be read ({_words(error)})")
        trust: Literal["pinned", "first use", ""] = "" if fault else "pinned" if file.sha256 else "first use"
        return FileState(path, True, entry.bytes, entry.sha256, trust, entry.revision, fault)

    def verify(self, model: str, files: Sequence[WeightFile]) -> list[str]:
        """Hash every file anew: one sentence for each that is absent, unreadable or not what it should be; empty when all is well."""
        faults = []
        for file in files:
            try:
                path = self.path(model, file)
                fault = self._examine(model, file, path, believe=False)[2]
            except ModelError as error:
                fault = str(error)
            except OSError as error:
                fault = f"{self.folder / model / file.name} cannot be read ({_words(error)})"
            if fault:
                faults.append(fault)
        return faults

    def fetch(self, model: str, files: Sequence[WeightFile], progress: Progress, again: bool = False) -> list[Path]:
        """Make the files present and checked; their paths, in order.

        A file that is there is checked and kept; with `again` it is replaced once the new one has arrived and was checked. A download that
        breaks off stays in `.incoming` and the next `fetch` goes on from there. While another process fetches the same model, this one waits.

        Raises `OfflineError` without a connection, `SpaceError` when a file does not fit, `ModelError` when the server refuses, the file is
        not what it should be, or the folder cannot be written. A file in place is unchanged after any of them.
        """
        with self._filling(model) as incoming:
            wanted = [file for file in files if again or not self._place(model, file.name).is_file()]
            for file in files:
                if file not in wanted:
                    self.digest(model, file)
            if wanted:
                self._forbid_offline(model, wanted[0])
            record = self._read(model)
            # Files of one repository belong together: where a branch is asked for, all come from the commit that the first one came from.
            commits = {
                file.repo: entry.revision
                for file in files
                if isinstance(file, HubFile) and (entry := record.get(file.name)) and entry.source == file.source
                if entry.revision
            }
            for file in wanted:
                self._fetch_one(model, file, incoming, record.get(file.name), commits, progress)
        return [self._place(model, file.name) for file in files]

    def export_bundle(self, models: Mapping[str, Sequence[WeightFile]], target: Path, progress: Progress) -> None:
        """Write the files of these models into one zip for a machine without network. `target` appears only when it is whole.

        Raises `ModelError` when a file is absent or not what it should be, `SpaceError` when the bundle does not fit.
        """
        listed: dict[str, dict[str, dict[str, Any]]] = {}
        for model, files in models.items():
            for file in files:
                digest = self.digest(model, file)
                entry = self._read(model).get(file.name)
                listed.setdefault(model, {})[file.name] = {
                    "sha256": digest,
                    "bytes": self.path(model, file).stat().st_size,
                    "source": entry.source if entry else _BY_HAND,
                    "revision": entry.revision if entry else None,
                    "trust": "pinned" if file.sha256 else "first use",
                }
        partial = target.with_name(f"{target.name}.partial")
        with _writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            need(target.parent, sum(facts["bytes"] for files in listed.values() for facts in files.values()))
            try:
                # stored: weights do not compress
                with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as bundle:
                    bundle.writestr(_MANIFEST, json.dumps({"format": _BUNDLE_FORMAT, "models": listed}, indent=1))
                    for model, entries in listed.items():
                        for name, facts in entries.items():
                            source, tell = self._place(model, name), Paced(progress, name, facts["bytes"])
                            inside = zipfile.ZipInfo(f"{model}/{name}")
                            with source.open("rb") as content, bundle.open(inside, "w", force_zip64=True) as member:
                                if _copy(content, member, tell) != facts["sha256"]:
                                    raise ModelError(
                                        f"{source} changed while the bundle was written; check it with `animeset models verify`, "
                                        "then write the bundle again"
                                    )
                sync(partial)
                replace_path(partial, target)
            finally:
                partial.unlink(missing_ok=True)

    def import_bundle(
        self, source: Path, progress: Progress, known: Mapping[str, Sequence[WeightFile]] | None = None
    ) -> list[str]:
        """Take over the models of a bundle; their names. Files that are already there are replaced.

        known  the files of the table of models: a bundle that holds another content under a pinned name is refused

        All names and sizes are checked before the first byte is copied, every hash before anything of its model is put in place: a bundle with
        a wrong or truncated file changes nothing of that model; models before it stay taken over. Raises `ModelError` for that, and
        `SpaceError` when it does not fit.
        """
        taken: list[str] = []
        try:
            with zipfile.ZipFile(source) as bundle:
                listed = _manifest(bundle, source)
                _refuse_other_content(listed, known or {}, source)
                with _writing(self.folder):
                    self.folder.mkdir(parents=True, exist_ok=True)
                    need(self.folder, sum(entry.bytes for files in listed.values() for entry in files.values()))
                for model, files in listed.items():
                    self._take_over(bundle, source, model, files, progress)
                    taken.append(model)
        # RuntimeError is what zipfile raises for an encrypted member
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            so_far = f" (taken over before that: {', '.join(taken)})" if taken else ""
            raise ModelError(
                f"{source}: expected a bundle written by `animeset models export-bundle`, got a file that cannot be read as one "
                f"({_words(error)}){so_far}; copy it here once more"
            ) from error
        return taken

    def _take_over(
        self, bundle: zipfile.ZipFile, source: Path, model: str, files: Mapping[str, _Entry], progress: Progress
    ) -> None:
        with self._filling(model) as incoming:
            arrived = {name: incoming / f"{name}.bundle" for name in files}
            try:
                entries = {}
                for name, expected in files.items():
                    try:
                        with bundle.open(f"{model}/{name}") as member, arrived[name].open("wb") as file:
                            got = _copy(member, file, Paced(progress, name, expected.bytes))
                    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
                        got = f"unreadable bytes ({error})"
                    if got != expected.sha256:
                        raise ModelError(
                            f"{source}: {model}/{name} is damaged: expected SHA-256 {expected.sha256}, got {got}; nothing of {model} was "
                            "changed; copy the bundle here once more, or write it again"
                        )
                    sync(arrived[name])
                    entries[name] = _entry(arrived[name], got, expected.source, expected.revision, expected.trust)
                self._settle(model, arrived, entries)
            finally:
                for path in arrived.values():
                    path.unlink(missing_ok=True)

    def _place(self, model: str, name: str) -> Path:
        for part in (model, name):
            if not _is_plain(part):
                raise ModelError(
                    f"`{part}` cannot be the name of a model or of its file: expected one path component that does not begin with a dot"
                )
        return self.folder / model / name

    @contextmanager
    def _filling(self, model: str) -> Iterator[Path]:
        """Hold the model's lock and have its folder in `.incoming`, which goes again when nothing is left in it."""
        from filelock import FileLock, Timeout

        self._place(model, "any")
        incoming = self.folder / ".incoming" / model
        with _writing(self.folder):
            incoming.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(incoming.parent / f"{model}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _LOG.warning("another process is fetching %s; waiting for it", model)
                lock.acquire()
            try:
                incoming.mkdir(exist_ok=True)
                yield incoming
            finally:
                if incoming.is_dir() and not any(incoming.iterdir()):
                    incoming.rmdir()
                lock.release()

    def _forbid_offline(self, model: str, file: WeightFile) -> None:
        for name in ("ANIMESET_OFFLINE", "HF_HUB_OFFLINE"):
            if os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
                raise OfflineError(self._offline(model, file, f"the network is off ({name} is set)"))

    def _offline(self, model: str, file: WeightFile, why: str) -> str:
        host = urlsplit(endpoint() if isinstance(file, HubFile) else file.source).netloc
        return (
            f"{file.name} of {model} could not be fetched from {host}: {why}; run `animeset models export-bundle` on a machine with network "
            f"and `animeset models import-bundle` here, or put the file at {self._place(model, file.name)}"
        )

    def _fetch_one(
        self,
        model: str,
        file: WeightFile,
        incoming: Path,
        recorded: _Entry | None,
        commits: dict[str, str],
        progress: Progress,
    ) -> None:
        """Bring one file into its place and the record. `commits` tells, per repository, which commit a branch stands for, and is filled in."""
        part = incoming / f"{file.name}.part"
        line = Line(lambda why: self._offline(model, file, why))
        advice = f"update animeset, or put the file at {self._place(model, file.name)}"
        if isinstance(file, HubFile):
            revision = file.revision if _COMMIT.fullmatch(file.revision) else commits.get(file.repo, file.revision)
            origin = ask_hub(file, revision, line, advice)
            if origin.commit:
                commits[file.repo] = origin.commit
        else:
            origin = Origin(file.url, {}, file.size, None, None)
        download(origin, file.size, part, Paced(progress, file.name, file.size), line, advice)
        expected, whose = file.sha256, "in the table of models"
        if expected is None and recorded is not None and recorded.source == file.source:
            expected, whose = recorded.sha256, f"recorded {recorded.when}"
        if expected is None:
            expected, whose = origin.sha256, "stated by the hub"
        got = sha256_of(part)
        if expected is not None and got != expected:
            part.unlink()
            came_from(part).unlink(missing_ok=True)
            raise ModelError(
                f"{origin.url} is not the file it should be: expected SHA-256 {expected} ({whose}), got {got}; what arrived was removed; "
                f"try `animeset models fetch {model} --again` once; if it stays so, do not use the file, and "
                + ("report it" if file.sha256 else f"remove {self.folder / model / _RECORD} if you know why it changed")
            )
        trust = "pinned" if file.sha256 else "first use"
        sync(part)
        self._settle(model, {file.name: part}, {file.name: _entry(part, got, file.source, origin.commit, trust)})
        came_from(part).unlink(missing_ok=True)

    def _settle(self, model: str, arrived: Mapping[str, Path], entries: Mapping[str, _Entry]) -> None:
        """Rename checked files into their places (which keeps size and time of change) and record them."""
        for name, path in arrived.items():
            final = self._place(model, name)
            final.parent.mkdir(parents=True, exist_ok=True)
            replace_path(path, final)
        self._note(model, entries)

    def _examine(self, model: str, file: WeightFile, path: Path, believe: bool) -> tuple[_Entry, _Entry | None, str]:
        """The entry for the file as it lies there, the recorded one, and what is wrong in words. `believe` the record where it is fresh."""
        recorded = self._read(model).get(file.name)
        now = path.stat()
        if believe and recorded and (recorded.bytes, recorded.mtime_ns) == (now.st_size, now.st_mtime_ns):
            entry = recorded
        else:
            got = sha256_of(path)
            trust = "pinned" if file.sha256 else "first use"
            if recorded and recorded.sha256 == got:
                entry = _Entry(
                    got, now.st_size, now.st_mtime_ns, recorded.source, recorded.revision, trust, recorded.when
                )
            else:
                entry = _Entry(got, now.st_size, now.st_mtime_ns, _BY_HAND, None, trust, _now())
        if file.sha256:
            expected, whose = file.sha256, "in the table of models"
        elif recorded:
            expected, whose = recorded.sha256, f"recorded {recorded.when}"
        else:
            return entry, recorded, ""
        if entry.sha256 == expected:
            return entry, recorded, ""
        return (
            entry,
            recorded,
            f"{path} is not the file it should be: expected SHA-256 {expected} ({whose}), got {entry.sha256}; "
            f"get it with `animeset models fetch {model} --again`"
            + ("" if file.sha256 else f"; if you replaced it on purpose, remove {self.folder / model / _RECORD}"),
        )

    def _read(self, model: str) -> dict[str, _Entry]:
        path = self.folder / model / _RECORD
        try:
            return {name: _as_entry(facts) for name, facts in json.loads(path.read_text(encoding="utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            _LOG.warning("%s cannot be read (%s: %s); going on without it", path, type(error).__name__, error)
            return {}

    def _note(self, model: str, entries: Mapping[str, _Entry]) -> None:
        """Add to the record. Raises `OSError`."""
        from filelock import FileLock

        locks = self.folder / ".incoming"
        locks.mkdir(parents=True, exist_ok=True)
        # A lock of its own: a run that notes a hash must not wait until another process has fetched gigabytes.
        with FileLock(locks / f"{model}.record.lock"):
            record = {**self._read(model), **entries}
            path = self.folder / model / _RECORD
            temporary = path.with_name(f".{_RECORD}.tmp")
            text = json.dumps({name: asdict(record[name]) for name in sorted(record)}, ensure_ascii=False, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
            sync(temporary)
            replace_path(temporary, path)


def _absent(model: str, path: Path) -> str:
    return f"{path.name} of {model} is not downloaded; get it with `animeset models fetch {model}`, or put the file at {path}"


def _is_plain(name: str) -> bool:
    """Whether a name is a single path component on every system, and none of the names that this folder uses itself."""
    return bool(re.fullmatch(r'[^./\\:*?"<>|\x00-\x1f][^/\\:*?"<>|\x00-\x1f]*', name)) and name != _RECORD


def _as_entry(facts: Mapping[str, Any]) -> _Entry:
    """An entry from JSON. Raises `ValueError`, `TypeError` or `KeyError` for anything else."""
    entry = _Entry(**facts)
    texts = [entry.source, entry.trust, entry.when, "" if entry.revision is None else entry.revision]
    if not all(isinstance(text, str) for text in texts) or not _SHA256.fullmatch(entry.sha256):
        raise ValueError("an entry has a field of the wrong form")
    if not isinstance(entry.bytes, int) or not isinstance(entry.mtime_ns, int) or entry.bytes < 0:
        raise ValueError("an entry has a size or time that is no whole number")
    return entry


def _entry(path: Path, sha256: str, source: str, revision: str | None, trust: str) -> _Entry:
    now = path.stat()
    return _Entry(sha256, now.st_size, now.st_mtime_ns, source, revision, trust, _now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _manifest(bundle: zipfile.ZipFile, source: Path) -> dict[str, dict[str, _Entry]]:
    """The models and files that a bundle lists, all names, sizes and members checked. Raises `ModelError`."""

    def wrong(what: str) -> ModelError:
        return ModelError(
            f"{source}: expected a bundle written by `animeset models export-bundle` (format {_BUNDLE_FORMAT}), got {what}; "
            "nothing was taken over; copy it here once more, or write it again with this version of animeset"
        )

    members = {info.filename: info for info in bundle.infolist()}
    if len(members) != len(bundle.infolist()):
        raise wrong("a zip that holds a name twice")
    if _MANIFEST not in members or members[_MANIFEST].file_size > _MANIFEST_MAX:
        raise wrong(f"a zip without a {_MANIFEST}")
    try:
        content = json.loads(bundle.read(_MANIFEST))
        if content["format"] != _BUNDLE_FORMAT:
            raise wrong(f"format {content['format']}")
        listed = {
            str(model): {str(name): _as_entry({**facts, "mtime_ns": 0, "when": ""}) for name, facts in files.items()}
            for model, files in content["models"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise wrong(f"a {_MANIFEST} of another form ({type(error).__name__}: {error})") from error
    expected = {_MANIFEST}
    for model, entries in listed.items():
        for name, entry in entries.items():
            if not _is_plain(model) or not _is_plain(name):
                raise wrong(f"the name {f'{model}/{name}'!r}, which could lead out of the models folder")
            member = members.get(f"{model}/{name}")
            if member is None or member.file_size != entry.bytes:
                raise wrong(
                    f"{model}/{name} with {'no' if member is None else member.file_size} bytes instead of {entry.bytes}"
                )
            expected.add(member.filename)
    if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members.values()):
        # what is packed tightly may unpack to more than the disk holds
        raise wrong("a zip with compressed or encrypted files")
    if more := sorted(members.keys() - expected):
        raise wrong(f"{more[0]!r}, which its {_MANIFEST} does not list")
    return listed


def _refuse_other_content(
    listed: Mapping[str, Mapping[str, _Entry]], known: Mapping[str, Sequence[WeightFile]], source: Path
) -> None:
    """Raises `ModelError` for a file whose hash is not the pinned one."""
    for model, files in listed.items():
        for file in known.get(model, ()):
            entry = files.get(file.name)
            if entry and file.sha256 and entry.sha256 != file.sha256:
                raise ModelError(
                    f"{source}: {model}/{file.name} is not the file it should be: expected SHA-256 {file.sha256} (in the table of models), "
                    f"got {entry.sha256}; nothing was taken over; write the bundle again where `animeset models verify` finds all well"
                )


def _copy(source: IO[bytes], target: IO[bytes], tell: Paced) -> str:
    """Copy to the end and give the SHA-256 of what was copied."""
    digest, done = hashlib.sha256(), 0
    while block := source.read(1 << 20):
        target.write(block)
        digest.update(block)
        done += len(block)
        tell(done)
    return digest.hexdigest()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Makes a system error about files a sentence with advice."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpaceError(f"{folder}: the disk is full; free some space, then the same command goes on") from error
        where = error.filename or folder
        raise ModelError(
            f"{where}: expected a place that animeset may write to, got: {_words(error)}; mend its permissions, or set ANIMESET_MODELS to "
            "another folder"
        ) from error


def _words(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
