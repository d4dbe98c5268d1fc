"""Weight files: where they lie, whether they are what they should be, and how they come here (`download.py` brings the bytes).

<folder>/<model>/<file>          a file that was checked, or that a person put there
<folder>/<model>/<other>         a file that was made here from another form of the weights (`made_once`)
<folder>/<model>/record.json     per file its SHA-256 and where it came from
<folder>/.incoming/<model>/      what is arriving; renamed from there into its place once it is whole and checked
<folder>/.incoming/*.lock        one process at a time per model
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

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
)
from animeset_lib.models.spec import HubFile, WeightFile
from animeset_lib.system import replace_path, sha256_of, sync

__all__ = [
    "Entry",
    "Facts",
    "FileState",
    "OfflineError",
    "Progress",
    "Weights",
    "is_plain",
    "made_once",
    "models_folder",
    "new_entry",
    "words",
    "writing",
]

_LOG = logging.getLogger("animeset")

_RECORD = "record.json"
_BY_HAND = "placed by hand"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Facts(BaseModel):
    """A file's part of a bundle's manifest.

    revision  the commit that the hub gave; None for other files
    trust     `pinned`: it equals the hash in the table of models. `first use`: no such hash is known; the file must stay what it was when it
              first came.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    source: str
    revision: str | None
    trust: str


class Entry(Facts):
    """A file's part of `record.json`. `bytes` and `mtime_ns` are the file's when it was hashed; `when` is UTC, ISO 8601."""

    mtime_ns: int
    when: str


@dataclass(frozen=True)
class FileState:
    """What is known about one weight file.

    why_not  what is wrong with it, in words; empty when it can be used
    entry    the file as it lies there, None when it is absent or unreadable
    is_news  whether the record says something else
    """

    path: Path
    present: bool
    why_not: str
    entry: Entry | None = None
    is_news: bool = False


_RECORDS = TypeAdapter(dict[str, Entry])


def models_folder() -> Path:
    """Where weights lie unless told otherwise: `ANIMESET_MODELS`, else `models` in the user's cache folder for animeset."""
    if named := os.environ.get("ANIMESET_MODELS"):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("animeset")) / "models"


def made_once(model: str, name: str, make: Callable[[IO[bytes]], object]) -> Path:
    """The file `name` beside the model's downloads; where there is none, what `make` writes. Raises `ModelError` or `SpaceError`."""
    path = models_folder() / model / name
    if not path.is_file():
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, make)
    return path


def _write(path: Path, make: Callable[[IO[bytes]], object]) -> None:
    """What `make` writes, at `path` as soon as it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        make(file)
    sync(temporary)
    replace_path(temporary, path)


class Weights:
    """The models folder. Nothing is read, made or fetched before a method asks for it.

    Model and file names are single path components. Methods raise `ModelError`, its kin `OfflineError`, or `SpaceError`.
    """

    folder: Path

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = models_folder() if folder is None else folder

    def path(self, model: str, file: WeightFile) -> Path:
        """Where the file lies. Raises `ModelError` when it is absent; its content is not looked at (`digest` does that)."""
        path = self.place(model, file.name)
        if not path.is_file():
            raise ModelError(
                f"{path.name} of {model} is not downloaded; get it with `animeset models fetch {model}`, or put the file at {path}"
            )
        return path

    def digest(self, model: str, file: WeightFile) -> str:
        """SHA-256 of the file, 64 hex digits, checked against the pinned hash or the recorded one.

        A file is hashed only when its size or time of change is not what the record says. What is hashed is recorded; a folder that cannot
        be written costs the record, not the answer. Raises `ModelError` when the file is absent or has another hash.
        """
        return self.checked(model, file).sha256

    def checked(self, model: str, file: WeightFile) -> Entry:
        """The file's entry, noted where it is news. Raises `ModelError` when the file is absent or at fault."""
        state = self.state(model, file)
        if state.entry is None or state.why_not:
            raise ModelError(state.why_not)
        if state.is_news:
            try:
                self._note(model, {file.name: state.entry})
            except OSError as error:
                _LOG.warning(
                    "%s: its hash could not be recorded (%s); it is taken anew each time", state.path, words(error)
                )
        return state.entry

    def state(self, model: str, file: WeightFile, believe: bool = True) -> FileState:
        """What is known about the file. Writes nothing and raises nothing; hashes the file only when the record does not know it as it is, or
        is not to be believed."""
        path = self.folder / model / file.name
        try:
            path = self.path(model, file)
            recorded = self._read(model).get(file.name)
            now = path.stat()
            fresh = recorded is not None and (recorded.bytes, recorded.mtime_ns) == (now.st_size, now.st_mtime_ns)
            got = recorded.sha256 if recorded and fresh and believe else sha256_of(path)
        except ModelError as error:
            return FileState(path, False, str(error))
        except OSError as error:
            fault = f"{path} cannot be read ({words(error)}); mend its permissions or fetch it again"
            return FileState(path, True, fault)
        if recorded and recorded.sha256 == got:
            as_it_is = {"bytes": now.st_size, "mtime_ns": now.st_mtime_ns, "trust": _trust(file)}
            entry = recorded.model_copy(update=as_it_is)
        else:
            entry = new_entry(now, sha256=got, source=_BY_HAND, revision=None, trust=_trust(file))
        expected, whose = _expected(file, recorded, None)
        fault = ""
        if expected not in (None, got):
            fault = (
                f"{path} is not the file it should be: expected SHA-256 {expected} ({whose}), got {got}; "
                f"get it with `animeset models fetch {model} --again`"
            )
            if not file.sha256:
                fault += f"; if you replaced it on purpose, remove {self.folder / model / _RECORD}"
        return FileState(path, True, fault, entry, entry != recorded)

    def verify(self, model: str, files: Sequence[WeightFile]) -> list[str]:
        """Hash every file anew: one sentence for each that is absent, unreadable or not what it should be; empty when all is well."""
        states = (self.state(model, file, believe=False) for file in files)
        return [state.why_not for state in states if state.why_not]

    def fetch(self, model: str, files: Sequence[WeightFile], progress: Progress, again: bool = False) -> list[Path]:
        """Make the files present and checked; their paths, in order.

        A file that is there is checked and kept; with `again` it is replaced once the new one has arrived and was checked. A download that
        breaks off stays in `.incoming` and the next `fetch` goes on from there. While another process fetches the same model, this one waits.

        Raises `OfflineError` without a connection, `SpaceError` when a file does not fit, `ModelError` when the server refuses, the file is
        not what it should be, or the folder cannot be written. A file in place is unchanged after any of them.
        """
        with self.filling(model) as incoming:
            wanted = [file for file in files if again or not self.place(model, file.name).is_file()]
            for file in files:
                if file not in wanted:
                    self.checked(model, file)
            for name in ("ANIMESET_OFFLINE", "HF_HUB_OFFLINE"):
                if wanted and os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
                    raise OfflineError(self._offline(model, wanted[0], f"the network is off ({name} is set)"))
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
        return [self.place(model, file.name) for file in files]

    def place(self, model: str, name: str) -> Path:
        for part in (model, name):
            if not is_plain(part):
                raise ModelError(
                    f"`{part}` cannot be the name of a model or of its file: expected one path component that does not begin with a dot"
                )
        return self.folder / model / name

    @contextmanager
    def filling(self, model: str) -> Iterator[Path]:
        """Hold the model's lock and have its folder in `.incoming`, which goes again when nothing is left in it."""
        from filelock import FileLock, Timeout

        self.place(model, "any")
        incoming = self.folder / ".incoming" / model
        with writing(self.folder):
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

    def _offline(self, model: str, file: WeightFile, why: str) -> str:
        host = urlsplit(endpoint() if isinstance(file, HubFile) else file.source).netloc
        return (
            f"{file.name} of {model} could not be fetched from {host}: {why}; run `animeset models export-bundle` on a machine with network "
            f"and `animeset models import-bundle` here, or put the file at {self.place(model, file.name)}"
        )

    def _fetch_one(
        self,
        model: str,
        file: WeightFile,
        incoming: Path,
        recorded: Entry | None,
        commits: dict[str, str],
        progress: Progress,
    ) -> None:
        """Bring one file into its place and the record. `commits` tells, per repository, which commit a branch stands for, and is filled in."""
        part = incoming / f"{file.name}.part"
        line = Line(lambda why: self._offline(model, file, why))
        advice = f"update animeset, or put the file at {self.place(model, file.name)}"
        if isinstance(file, HubFile):
            revision = file.revision if _COMMIT.fullmatch(file.revision) else commits.get(file.repo, file.revision)
            origin = ask_hub(file, revision, line, advice)
            if origin.commit:
                commits[file.repo] = origin.commit
        else:
            origin = Origin(file.url, {}, file.size, None, None)
        download(origin, file.size, part, Paced(progress, file.name, file.size), line, advice)
        if recorded is not None and recorded.source != file.source:
            recorded = None
        expected, whose = _expected(file, recorded, origin.sha256)
        got = sha256_of(part)
        if expected is not None and got != expected:
            part.unlink()
            came_from(part).unlink(missing_ok=True)
            raise ModelError(
                f"{origin.url} is not the file it should be: expected SHA-256 {expected} ({whose}), got {got}; what arrived was removed; "
                f"try `animeset models fetch {model} --again` once; if it stays so, do not use the file, and "
                + ("report it" if file.sha256 else f"remove {self.folder / model / _RECORD} if you know why it changed")
            )
        sync(part)
        entry = new_entry(part.stat(), sha256=got, source=file.source, revision=origin.commit, trust=_trust(file))
        self.settle(model, {file.name: part}, {file.name: entry})
        came_from(part).unlink(missing_ok=True)

    def settle(self, model: str, arrived: Mapping[str, Path], entries: Mapping[str, Entry]) -> None:
        """Rename checked files into their places (which keeps size and time of change) and record them."""
        for name, path in arrived.items():
            final = self.place(model, name)
            final.parent.mkdir(parents=True, exist_ok=True)
            replace_path(path, final)
        self._note(model, entries)

    def _read(self, model: str) -> dict[str, Entry]:
        path = self.folder / model / _RECORD
        try:
            return _RECORDS.validate_json(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            _LOG.warning("%s cannot be read (%s); going on without it", path, words(error))
            return {}

    def _note(self, model: str, entries: Mapping[str, Entry]) -> None:
        """Add to the record. Raises `OSError`."""
        from filelock import FileLock

        locks = self.folder / ".incoming"
        locks.mkdir(parents=True, exist_ok=True)
        # A lock of its own: a run that notes a hash must not wait until another process has fetched gigabytes.
        with FileLock(locks / f"{model}.record.lock"):
            record = {**self._read(model), **entries}
            text = json.dumps(
                {name: record[name].model_dump() for name in sorted(record)}, ensure_ascii=False, indent=1
            )
            _write(self.folder / model / _RECORD, lambda file: file.write(f"{text}\n".encode()))


def is_plain(name: str) -> bool:
    """Whether a name is a single path component on every system, and none of the names that this folder uses itself."""
    return bool(re.fullmatch(r'[^./\\:*?"<>|\x00-\x1f][^/\\:*?"<>|\x00-\x1f]*', name)) and name != _RECORD


def new_entry(now: os.stat_result, *, sha256: str, source: str, revision: str | None, trust: str) -> Entry:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return Entry(
        sha256=sha256,
        bytes=now.st_size,
        mtime_ns=now.st_mtime_ns,
        source=source,
        revision=revision,
        trust=trust,
        when=when,
    )


def _trust(file: WeightFile) -> str:
    return "pinned" if file.sha256 else "first use"


def _expected(file: WeightFile, recorded: Entry | None, stated: str | None) -> tuple[str | None, str]:
    """The hash that the file must have, None where none is known, and who says so."""
    if file.sha256:
        return file.sha256, "in the table of models"
    return (recorded.sha256, f"recorded {recorded.when}") if recorded else (stated, "stated by the hub")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Makes a system error about files a sentence with advice."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpaceError(f"{folder}: the disk is full; free some space, then the same command goes on") from error
        where = error.filename or folder
        raise ModelError(
            f"{where}: expected a place that animeset may write to, got: {words(error)}; mend its permissions, or set ANIMESET_MODELS to "
            "another folder"
        ) from error


def words(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
