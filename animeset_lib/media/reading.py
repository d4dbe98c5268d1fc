"""Reading pictures in threads while the ones before are worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from animeset_lib.errors import InputError
from animeset_lib.media import Picture, read_image
from animeset_lib.prefetch import ahead

__all__ = ["read_ahead"]

_THREADS = 4
"""Decoding four at a time keeps any network busy."""


def read_ahead(paths: Iterable[Path], threads: int, room: int) -> Iterator[Picture | InputError]:
    """The pictures in order, at most `room` of them ready beside the one handed out. A file that cannot be read is its error, not an exception:
    one bad picture must not end those read beside it."""
    return ahead(_read, paths, min(threads, _THREADS), room)


def _read(path: Path) -> Picture | InputError:
    try:
        return read_image(path)
    except InputError as error:
        return error
