"""Files of a run: atomic writes, the part journal of a running stage, its commit by rename, and publishing to `output/`.

The only room that renames or deletes below `work/`. A stage's folder is `<name>-<key>`; while it is being made it ends in `.partial` and holds
`parts/`, one small journal file per finished batch. A folder without that ending is finished, whatever killed the process in between.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from animeset_lib.errors import SpaceError
from animeset_lib.records import EmbedRow, Record
from animeset_lib.run.stage import Notes, Output, Stage, StageInfo, read_rows, row_of
from animeset_lib.system import O_BINARY, replace_path, sync

__all__ = [
    "FilmStore",
    "PartialStage",
    "StageFolder",
    "append_line",
    "atomic",
    "folder_size",
    "free_name",
    "full_disk_as",
    "parse_json",
    "remove_tree",
    "write_json",
    "write_text",
]

R = TypeVar("R", bound=Record)
N = TypeVar("N", bound=Notes)

PARTIAL = ".partial"
DOOMED = ".doomed"
_STAGE_FOLDER = re.compile(rf"(?P<stage>\d\w*)-(?P<key>[0-9a-f]{{12}})(?P<partial>{re.escape(PARTIAL)})?")


def parse_json(text: str) -> Any:
    """The value that JSON text holds, from a file that may come from anybody: whatever is wrong with it is a `ValueError`.

    Wrong is also what is nested too deeply for the parser, and half of a surrogate pair, which can be written into no file.
    """
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that `path` holds either the old content or all of the new one, also after a crash."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """`write_text` of readable JSON with a stable key order as given."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """`with atomic(path) as temporary`: flush to disk and rename when the block ends well; nothing is left otherwise."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(temporary)
    replace_path(temporary, path)
    sync(path.parent)


def append_line(path: Path, line: str, after: int) -> None:
    """Put a line behind the first `after` bytes of a file, whole or not at all, and force it to the disk. What a crash left there is cut off."""
    content = line.encode() + b"\n"
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | O_BINARY, 0o666)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        file.truncate(after)
        file.seek(after)
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(after)
            raise
    if new:
        sync(path.parent)


def remove_tree(path: Path) -> None:
    """Delete a folder so that a half-deleted one is never taken for a finished one: it is renamed first."""
    doomed = path.with_name(f".{path.name.lstrip('.')}{DOOMED}")
    if doomed.exists():
        shutil.rmtree(doomed)
    if path.exists():
        replace_path(path, doomed)
        shutil.rmtree(doomed)


@contextmanager
def full_disk_as(message: Callable[[], str]) -> Iterator[None]:
    """Turns the system's "no space left" and "quota exceeded" into `SpaceError` with `message()`; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpaceError(message()) from error
        raise


def free_name(folder: Path) -> Path:
    """Where a folder that a person changed is set aside: the first of `<name>.edited-1`, `-2`, ... that is free."""
    number = 1
    while (candidate := folder.with_name(f"{folder.name}.edited-{number}")).exists():
        number += 1
    return candidate


def folder_size(path: Path) -> int:
    """Bytes of all files below `path`."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@dataclass(frozen=True)
class StageFolder:
    """One stage folder found on disk."""

    path: Path
    stage: str
    key: str
    finished: bool
    parts: int


class FilmStore:
    """`work/<film name>-<film id>/`: all stage folders of one film.

    Everything inside is relative, so the folder may be moved with its project.
    """

    def __init__(self, work: Path, film_folder: str) -> None:
        self.path = work / film_folder

    def folder(self, stage: str, key: str) -> Path:
        return self.path / f"{stage}-{key}"

    def finished(self, stage: type[Stage[Any, R, N]], key: str) -> Output[R, N] | None:
        """The committed output for this key, or None."""
        folder = self.folder(stage.name, key)
        return Output(folder, stage, key) if (folder / "stage.json").is_file() else None

    def begin(self, stage: type[Stage[Any, R, N]], key: str) -> PartialStage[R, N]:
        """Open or reopen the partial folder of a stage."""
        partial = self.folder(stage.name, key).with_name(f"{stage.name}-{key}{PARTIAL}")
        (partial / "parts").mkdir(parents=True, exist_ok=True)
        return PartialStage(partial, stage, key)

    def folders(self) -> list[StageFolder]:
        """Every stage folder of this film, finished or not, sorted by name; other folders are left out."""
        found = []
        for path in sorted(self.path.iterdir()) if self.path.is_dir() else []:
            name = _STAGE_FOLDER.fullmatch(path.name)
            if name is not None and path.is_dir():
                parts = sum(1 for _ in (path / "parts").glob("*.jsonl")) if name["partial"] else 0
                found.append(StageFolder(path, name["stage"], name["key"], not name["partial"], parts))
        return found

    def unused(self, keys: Mapping[str, str]) -> list[Path]:
        """Folders that no key of the given plan (`stage -> key`) uses, and half-deleted leftovers."""
        kept = {f"{stage}-{key}" for stage, key in keys.items()}
        strays = [f.path for f in self.folders() if f.path.name.removesuffix(PARTIAL) not in kept]
        return strays + (sorted(self.path.glob(f".[0-9]*-*{DOOMED}")) if self.path.is_dir() else [])


class PartialStage(Generic[R, N]):
    """A stage folder under construction. All methods may be interrupted anywhere and called again.

    Every finished batch leaves one part file, named by the plan index of its first item and written by rename: first line
    `{"items": [ids]}`, then one row per line; the vectors of embed rows stand beside it in a `.npy` that is written first.
    """

    def __init__(self, path: Path, stage: type[Stage[Any, R, N]], key: str) -> None:
        self.path = path
        self._stage = stage
        self._row_type = row_of(stage)
        self._key = key
        self._parts = path / "parts"

    @property
    def sealed(self) -> bool:
        """True when all rows are merged and only the rename is missing."""
        return (self.path / "stage.json").is_file()

    def has(self, index: int, item_ids: Sequence[str]) -> bool:
        """Whether the batch of these items, the first of which is number `index` of the plan, is already journaled."""
        part = self._part(index)
        head = part.read_text(encoding="utf-8").partition("\n")[0] if part.is_file() else ""
        return head == _head(item_ids)

    def add(self, index: int, item_ids: Sequence[str], rows: Sequence[R]) -> None:
        """Journal one finished batch."""
        part = self._part(index)
        self._write_vectors(part.with_suffix(".npy"), rows)
        lines = [_head(item_ids), *(row.model_dump_json() for row in rows)]
        write_text(part, "".join(f"{line}\n" for line in lines))

    def rows(self, indexes: Iterable[int]) -> list[R]:
        """The journaled rows of the batches that begin at these plan indexes, in that order."""
        rows: list[R] = []
        for part in map(self._part, indexes):
            rows += read_rows(part, self._row_type, partial(np.load, part.with_suffix(".npy")), skip=1)
        return rows

    def seal(self, rows: Sequence[R], info: StageInfo) -> None:
        """Write the final rows and, last of all, stage.json."""
        self._write_vectors(self.path / "vectors.npy", rows)
        write_text(self.path / "rows.jsonl", "".join(f"{row.model_dump_json()}\n" for row in rows))
        write_json(self.path / "stage.json", info.model_dump(mode="json"))

    def commit(self) -> Output[R, N]:
        """Drop the journal and rename the folder to its final name."""
        if self._parts.exists():
            shutil.rmtree(self._parts)
        final = self.path.with_name(self.path.name.removesuffix(PARTIAL))
        replace_path(self.path, final)
        sync(final.parent)
        return Output(final, self._stage, self._key)

    def _part(self, index: int) -> Path:
        return self._parts / f"{index:08d}.jsonl"

    def _write_vectors(self, path: Path, rows: Sequence[R]) -> None:
        if self._row_type is not EmbedRow:
            return
        vectors = [row.vector for row in rows if isinstance(row, EmbedRow)]
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, np.stack(vectors) if vectors else np.zeros((0, 0), np.float32))


def _head(item_ids: Sequence[str]) -> str:
    return json.dumps({"items": list(item_ids)})
