"""From chunks that a browser sends to a whole file in a folder: resumable, checked, never overwriting.

Everything lies on disk, for the process that receives dies with the page. A file on its way is `.upload/<id>.part.<ending>` below the target
folder, `<id>` naming its content; `<id>.json` says what it is, and `<id>.lock` is the operating system's lock on it. The part's length
is the only account of how far it got. When the last file on its way is done with, `.upload` goes as well.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import KW_ONLY, dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from animeset_lib.dashboard.file_names import safe_file_name, without_surrogates
from animeset_lib.dashboard.signatures import HEAD_BYTES, no_film
from animeset_lib.errors import BusyError, InputError, SpaceError
from animeset_lib.media import (
    ANIMATION_SUFFIXES,
    PICTURE_SUFFIXES,
    FilmReader,
    check_no_still,
    list_pictures,
    read_image,
    still_picture,
)
from animeset_lib.run.store import full_disk_as, write_json
from animeset_lib.system import O_BINARY, replace_path, sync

__all__ = ["FILM_SUFFIXES", "Inbox", "Pending", "Upload", "film_inbox", "picture_inbox"]


# fmt: off
FILM_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m1v", ".m2p", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm", ".rmvb", ".tp", ".trp", ".ts", ".vob", ".webm", ".wmv", ".y4m",
    *ANIMATION_SUFFIXES,
})
# fmt: on
"""Endings of containers that FFmpeg reads. An ending says little; it keeps subtitles and archives out before a byte is sent."""

_UPLOADS = ".upload"
_WAIT_S = 2.0  # a chunk is written in milliseconds; only a file that is being finished elsewhere holds its lock longer
_FILM_RESERVE = 1 << 30  # so that the machine stays usable; whether the run fits, the pipeline asks itself
_PICTURE_RESERVE = 64 << 20


@dataclass(frozen=True)
class Pending:
    """An upload that can go on; `offset` and `size` are bytes."""

    id: str
    name: str
    size: int
    offset: int


@dataclass(frozen=True)
class Inbox:
    """One folder that receives files.

    max_bytes      the largest file taken
    reserve_bytes  what must stay free on the disk besides
    accept         given the complete part (it has the final name's ending), raises `InputError` when it is not what is wanted
    suffixes       the endings taken, lower case with the dot
    kind           what is expected, for the messages: `film`
    look           given the first `HEAD_BYTES` (or all, when smaller), says what they obviously are instead, or "" to go on
    with_folders   whether a sub-folder of pictures counts as one of `files()`: to this project it is a film

    Messages hold the name as it is kept, never as the browser gave it; it may still hold `&` and quotes, so escape it for HTML.
    """

    folder: Path
    _: KW_ONLY
    max_bytes: int
    reserve_bytes: int
    accept: Callable[[Path], object]
    suffixes: frozenset[str] = FILM_SUFFIXES
    kind: str = "film"
    look: Callable[[bytes], str] | None = None
    with_folders: bool = False

    @property
    def _uploads(self) -> Path:
        return self.folder / _UPLOADS

    def begin(self, name: str, size: int, fingerprint: str) -> Upload:
        """The upload of a file of `size` bytes, where it was left off when it was begun before.

        `fingerprint` is any string by which the browser knows the same content again; with the size and the ending it decides what is
        resumed. A later `name` replaces an earlier one. Makes the folder when it is missing. Raises `InputError` when the file would be
        refused by its name or size or the folder cannot be written, `SpaceError` when it does not fit, `BusyError` when another page is
        just finishing it; none of these leaves anything behind or changes a part.
        """
        if not 0 < len(fingerprint) <= 500:
            raise ValueError(f"expected a fingerprint of 1 to 500 characters, got {len(fingerprint)}")
        kept = safe_file_name(name, fallback=self.kind)
        suffix = Path(kept).suffix.lower()
        wrong = ""
        if suffix not in self.suffixes:
            got = f"the ending {suffix}" if suffix else "a name without ending"
            endings = ", ".join(sorted(self.suffixes))
            wrong = f"expected a {self.kind} ({endings}), got {got}; choose the {self.kind}'s own file"
        elif size <= 0:
            wrong = f"expected a {self.kind}, got an empty file; copy or download it again"
        elif size > self.max_bytes:
            wrong = f"expected at most {_bytes(self.max_bytes)}, got {_bytes(size)}; put it into {self.folder} yourself"
        if wrong:
            raise InputError(f"{kept} was not taken: {wrong}")
        content = f"{size}\n{suffix}\n{without_surrogates(fingerprint)}"
        identity = hashlib.sha256(content.encode()).hexdigest()[:32]
        part = self._uploads / f"{identity}.part{suffix}"
        self._check_space(kept, size - min(size, _length(part) or 0))
        for _ in range(20):
            try:
                with full_disk_as(lambda: self._full(kept, "it was not begun")):
                    self._uploads.mkdir(parents=True, exist_ok=True)
                    with self._locked(identity, kept):
                        self._open_part(part, identity, kept, size)
                return Upload(self, identity, part, kept, size)
            except FileNotFoundError:
                continue  # another page has just removed `.upload`, which was empty in that instant
            except OSError as problem:
                if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise InputError(
                        f"{kept} was not taken: the folder {self.folder} cannot be written ({problem.strerror}); "
                        "give yourself the right to, or choose another folder"
                    ) from problem
                raise
        raise InputError(
            f"{kept} was not taken: the folder {self._uploads} disappears again and again; see what removes it"
        )

    def files(self) -> list[Path]:
        """What is here, newest first: files with one of the endings and, if wanted, folders of pictures.

        Left out: hidden ones (so everything on its way) and links to something outside the folder.
        """
        root = self.folder.resolve()
        rows: list[tuple[int, str, Path]] = []
        for path in self.folder.iterdir() if self.folder.is_dir() else []:
            with suppress(OSError):  # it went away while we looked, or may not be read
                if path.name.startswith(".") or not self._is_one(path):
                    continue
                real = path.resolve()
                if real.is_relative_to(root) and not any(p.startswith(".") for p in real.relative_to(root).parts):
                    rows.append((-path.stat().st_mtime_ns, path.name, path))
        return [path for _, _, path in sorted(rows)]

    def pending(self) -> list[Pending]:
        """The uploads that can go on, the most recently touched first."""
        uploads: list[tuple[float, str, Pending]] = []
        for path in self._uploads.glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):  # a stray file, or an upload that ends just now
                about = json.loads(path.read_text(encoding="utf-8"))
                name, size = str(about["name"]), int(about["size"])
                state = (self._uploads / f"{path.stem}.part{Path(name).suffix.lower()}").stat()
                uploads.append((-state.st_mtime, name, Pending(path.stem, name, size, state.st_size)))
        return [pending for *_, pending in sorted(uploads, key=lambda one: one[:2])]

    def forget(self, identity: str) -> None:
        """Remove what has arrived of a pending upload; nothing happens when there is none. Raises `BusyError` while it is being finished."""
        if not re.fullmatch(r"[0-9a-f]{32}", identity):
            raise ValueError(f"expected the id of a pending upload, 32 hex digits, got {identity!r}")
        if not any(self._uploads.glob(f"*{identity}.*")):
            return
        with suppress(FileNotFoundError), self._locked(identity, "this upload"):
            self._unlink_parts(identity)

    # ---- for Upload

    def _is_one(self, path: Path) -> bool:
        if path.is_dir():
            return self.with_folders and bool(list_pictures(path))
        suffix = path.suffix.lower()
        if suffix not in self.suffixes or not path.is_file():
            return False
        # a picture beside the films, such as a poster, is none of them
        return not (self.with_folders and suffix in ANIMATION_SUFFIXES and still_picture(path))

    def _check_space(self, name: str, missing: int) -> None:
        place = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.is_dir())
        free = shutil.disk_usage(place).free - self.reserve_bytes
        if free < missing:
            raise SpaceError(
                f"{name} was not taken: expected {_bytes(missing)} of free disk space in {self.folder}, got {_bytes(max(0, free))} "
                f"({_bytes(self.reserve_bytes)} are kept free besides); free some space and choose it again"
            )

    def _full(self, name: str, state: str) -> str:
        return f"the disk of {self.folder} is full while {name} arrives; {state}; free some space and choose the same file again"

    def _open_part(self, part: Path, identity: str, name: str, size: int) -> None:
        """With the lock held: the description first, so that there is no part that cannot be listed."""
        write_json(self._uploads / f"{identity}.json", {"name": name, "size": size})
        part.touch()
        if part.stat().st_size > size:  # none of ours: we never write beyond the size
            os.truncate(part, 0)

    @contextmanager
    def _locked(self, identity: str, name: str) -> Iterator[None]:
        """Holds the lock of one upload. Whatever there is of an upload without a part is removed at the end, the lock file too.

        A waiter may then get the lock of a file that has gone. filelock 4 notices and tries again; with an older one two could hold it at
        once when the same file is begun again in that instant, and would write the same bytes to the same places.
        """
        lock_path = self._uploads / f"{identity}.lock"
        lock = FileLock(lock_path)
        try:
            lock.acquire(timeout=_WAIT_S, poll_interval=0.01)
        except Timeout:
            raise BusyError(
                f"another page is just finishing {name}; wait a moment, then choose it again if it is not in the list"
            ) from None
        try:
            yield
        finally:
            over = not any(self._uploads.glob(f"{identity}.part*"))
            if over:
                for left in (self._uploads / f"{identity}.json", self._uploads / f".{identity}.json.tmp", lock_path):
                    with suppress(OSError):  # Windows keeps the lock file while it is open; filelock removes it there
                        left.unlink()
            lock.release()
            if over:
                with suppress(OSError):  # not empty: other files are on their way
                    self._uploads.rmdir()

    def _unlink_parts(self, identity: str) -> None:
        for part in self._uploads.glob(f"{identity}.part*"):
            part.unlink(missing_ok=True)


@dataclass
class Upload:
    """One file on its way into an `Inbox`; made by `Inbox.begin`. It keeps nothing open between calls, so it may be dropped at any time.

    Several uploads, in this process or others, may work on one part: each call holds its lock. `name` is what the file will be called
    if that is free, `size` its bytes; `already_here` is True after `finish` found the same content there before.
    """

    _inbox: Inbox
    id: str
    _part: Path
    name: str
    size: int
    already_here: bool = False
    _looked: bool = False
    _final: Path | None = None

    @property
    def offset(self) -> int:
        """How many bytes have arrived: where the next chunk begins."""
        return self.size if self._final is not None else _length(self._part) or 0

    def write(self, offset: int, data: bytes | memoryview) -> int:
        """Append a chunk that begins at `offset` of the file; gives the offset at which the next one must begin.

        A chunk for another offset is not written, and the answer says where to go on: that happens after a lost answer, or when a second
        page sends the same file. Raises `InputError` when the chunk reaches beyond the announced size (nothing is written), when the
        beginning is obviously something else (nothing is left), or when the upload was finished or discarded elsewhere; `SpaceError` when
        the disk is full, with everything kept that arrived; `BusyError` while another page finishes the same file (try again a little
        later: then it is done, or its content was refused).

        Chunks are not forced to the disk one by one. After a power failure a file system that reserves space before it writes (NTFS) may
        keep a part that ends in zeros; a dead process or browser cannot cause that.
        """
        block = memoryview(data).cast("B")
        with self._held() as length:
            if offset != length:
                return length
            if length + len(block) > self.size:
                raise InputError(
                    f"a chunk of {self.name} was refused: expected {self.size} bytes in all, got {length + len(block)}; "
                    "the file has changed since it was chosen, so choose it again"
                )
            with full_disk_as(self._kept):
                _append(self._part, length, block)
            length += len(block)
            self._look(length)
            return length

    def finish(self) -> Path:
        """Give the complete file its name in the folder; gives its path. Calling it again gives the same path.

        A file that has this name already is never overwritten: with the same content it is the answer and the part is removed
        (`already_here`), with another the new one becomes `name (2).mkv` and so on. Raises `InputError` when bytes are missing (the part
        is kept) or `accept` refuses it (nothing is left); `SpaceError` and `BusyError` as in `write`. Any other error keeps the part.
        """
        if self._final is not None:
            return self._final
        with self._held() as length:
            if length != self.size:
                raise InputError(
                    f"{self.name} is not complete: expected {self.size} bytes, got {length}; send the rest from there on"
                )
            self._look(length)
            with full_disk_as(self._kept):
                sync(self._part)
            try:
                self._inbox.accept(self._part)
            except InputError as refusal:
                self._inbox._unlink_parts(self.id)
                raise InputError(f"{self.name} was not taken: {self._in_its_name(str(refusal))}") from refusal
            with full_disk_as(self._kept):
                final, self.already_here = self._place()
            sync(final.parent)
            self._inbox._unlink_parts(self.id)
            self._final = final
        return final

    @contextmanager
    def _held(self) -> Iterator[int]:
        """Holds the lock, gives the length of the part."""
        if not self._part.exists():  # asking for its lock would make one
            raise self._gone()
        with ExitStack() as stack:
            try:
                stack.enter_context(self._inbox._locked(self.id, self.name))
                length = self._part.stat().st_size
            except FileNotFoundError:  # the part, or all of `.upload`, went while we waited
                raise self._gone() from None
            yield length

    def _gone(self) -> InputError:
        return InputError(
            f"the upload of {self.name} is no longer there: it was finished or discarded elsewhere; choose the file again if it is "
            "not in the list"
        )

    def _look(self, length: int) -> None:
        """Once enough has arrived: refuse what obviously is something else, and remove it."""
        look = self._inbox.look
        if self._looked or look is None or length < min(self.size, HEAD_BYTES):
            return
        with self._part.open("rb") as file:
            got = look(file.read(HEAD_BYTES))
        if got:
            self._inbox._unlink_parts(self.id)
            kind = self._inbox.kind
            raise InputError(f"{self.name} was not taken: expected a {kind}, got {got}; choose the {kind}'s own file")
        self._looked = True

    def _place(self) -> tuple[Path, bool]:
        """A name of its own for the part, and whether an equal file had it before."""
        stem, suffix = Path(self.name).stem, Path(self.name).suffix
        for number in count(1):
            target = self._inbox.folder / (self.name if number == 1 else f"{stem} ({number}){suffix}")
            try:
                _give_name(self._part, target)
                return target, False
            except FileExistsError:
                if _same_content(self._part, target):
                    return target, True
        raise AssertionError("unreachable: count does not end")

    def _kept(self) -> str:
        return self._inbox._full(self.name, "what has arrived is kept")

    def _in_its_name(self, message: str) -> str:
        """`message` about the part as one about the file, for its reader has never heard of parts."""
        return message.removeprefix(f"{self._part}: ").replace(str(self._part), self.name)


def film_inbox(folder: Path, max_bytes: int) -> Inbox:
    """For films, `input/`: takes what `FilmReader` can open, that is, a file with moving pictures whose first frame decodes."""

    def accept(part: Path) -> None:
        check_no_still(part)
        FilmReader(part).close()

    return Inbox(
        folder, max_bytes=max_bytes, reserve_bytes=_FILM_RESERVE, accept=accept, look=no_film, with_folders=True
    )


def picture_inbox(folder: Path, max_bytes: int) -> Inbox:
    """For reference pictures, `references/<name>/`: takes what `read_image` can decode."""
    return Inbox(
        folder,
        max_bytes=max_bytes,
        reserve_bytes=_PICTURE_RESERVE,
        accept=read_image,
        suffixes=PICTURE_SUFFIXES,
        kind="picture",
    )


def _same_content(one: Path, other: Path) -> bool:
    """Whether `other` is a regular file with the same bytes; a link is not, even to one."""
    try:
        filecmp.clear_cache()  # it goes by size and time
        return not other.is_symlink() and filecmp.cmp(one, other, shallow=False)
    except FileNotFoundError:  # removed just now
        return False


def _give_name(part: Path, target: Path) -> None:
    """Make `part` appear as `target`, whole and in one step. Raises `FileExistsError` when something has that name.

    Where there are no hard links (FAT, some network disks) an empty file reserves the name for an instant, which a crash may leave.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            replace_path(part, target)
        except OSError:
            target.unlink()
            raise


def _append(part: Path, length: int, block: memoryview) -> None:
    """Write `block` at `length`, past every short write; after an error what was written of it stays, and it is right."""
    handle = os.open(part, os.O_WRONLY | O_BINARY)
    try:
        os.lseek(handle, length, os.SEEK_SET)
        while block:
            block = block[os.write(handle, block) :]
    finally:
        os.close(handle)


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _bytes(number: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} bytes"
