"""What a Matroska file says of other files: parts of a film that its chapters fetch from elsewhere. FFmpeg does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["MATROSKA_SUFFIXES", "Segment", "read_segment"]

MATROSKA_SUFFIXES = frozenset({".mkv", ".mk3d", ".mka", ".webm"})

# Element ids of RFC 9559 (Matroska).
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_SEEK_HEAD, _INFO, _CHAPTERS = 0x114D9B74, 0x1549A966, 0x1043A770
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_UID, _PREVIOUS_UID, _NEXT_UID = 0x73A4, 0x3CB923, 0x3EB923
_EDITION, _ORDERED, _CHAPTER, _ENABLED, _CHAPTER_SEGMENT_UID = 0x45B9, 0x45DD, 0xB6, 0x4598, 0x6E67
_MAX_ELEMENT = 1 << 24  # titles and chapters are kilobytes; a larger one is a broken size


@dataclass(frozen=True)
class Segment:
    """What one file is called by others, and which others it needs.

    uid       its own SegmentUID, 16 bytes; empty when it has none
    needs     the SegmentUIDs of other files that play within it (ordered chapters) or before or after it (linked parts), in that order
    declared  how many bytes the file should have; None where it does not say, as a recording that was not finished properly
    """

    uid: bytes
    needs: tuple[bytes, ...]
    declared: int | None


@dataclass(frozen=True)
class _Element:
    id: int
    at: int
    size: int | None


def read_segment(path: Path) -> Segment | None:
    """The first segment of the Matroska file `path`; None for other files and broken ones. Reads a few kilobytes, wherever they lie."""
    with path.open("rb") as file:
        if file.read(4) != _EBML.to_bytes(4, "big"):
            return None
        file.seek(0)
        segment = next((one for one in _elements(file, None) if one.id == _SEGMENT), None)
        if segment is None:
            return None
        end = None if segment.size is None else segment.at + segment.size
        found: dict[int, bytes] = {}
        elsewhere: dict[int, int] = {}
        for one in _elements(file, end):
            if one.id == _CLUSTER:
                break
            if one.id == _SEEK_HEAD:
                elsewhere |= _positions(_body(file, one))
            elif one.id in (_INFO, _CHAPTERS):
                found.setdefault(one.id, _body(file, one))
        for wanted in {_INFO, _CHAPTERS} & (elsewhere.keys() - found.keys()):
            file.seek(segment.at + elsewhere[wanted])
            there = next(_elements(file, end), None)
            if there is not None and there.id == wanted:
                found[wanted] = _body(file, there)
    info = dict(_children(found.get(_INFO, b"")))
    uid = info.get(_UID, b"")
    linked = (info.get(_PREVIOUS_UID, b""), *_chapter_uids(found.get(_CHAPTERS, b"")), info.get(_NEXT_UID, b""))
    return Segment(uid, tuple(dict.fromkeys(one for one in linked if one and one != uid)), end)


def _chapter_uids(chapters: bytes) -> Iterator[bytes]:
    for kind, edition in _children(chapters):
        parts = list(_children(edition)) if kind == _EDITION else []
        if any(kind == _ORDERED and any(value) for kind, value in parts):
            yield from _segments_of(parts)


def _segments_of(parts: list[tuple[int, bytes]]) -> Iterator[bytes]:
    for kind, chapter in parts:
        inner = list(_children(chapter)) if kind == _CHAPTER else []
        if not any(kind == _ENABLED and not any(value) for kind, value in inner):
            yield from (value for kind, value in inner if kind == _CHAPTER_SEGMENT_UID)
            yield from _segments_of(inner)


def _positions(seek_head: bytes) -> dict[int, int]:
    """Element id → where it lies in the segment."""
    entries = [dict(_children(entry)) for kind, entry in _children(seek_head) if kind == _SEEK]
    return {
        int.from_bytes(e.get(_SEEK_ID, b""), "big"): int.from_bytes(e.get(_SEEK_POSITION, b""), "big") for e in entries
    }


def _elements(file: BinaryIO, end: int | None) -> Iterator[_Element]:
    """The elements from here to `end`, each passed over unless the caller stops at it; one of unknown size is the last."""
    while end is None or file.tell() < end:
        begin = file.tell()
        header = _header(file.read(12), 0)
        if header is None:
            return
        kind, size, used = header
        file.seek(begin + used)
        yield _Element(kind, begin + used, size)
        if size is None:
            return
        file.seek(begin + used + size)


def _body(file: BinaryIO, one: _Element) -> bytes:
    file.seek(one.at)
    return file.read(one.size) if one.size is not None and one.size <= _MAX_ELEMENT else b""


def _children(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while (header := _header(body, at)) is not None:
        kind, size, begin = header
        at = len(body) if size is None else begin + size
        yield kind, body[begin:at]


def _header(data: bytes, at: int) -> tuple[int, int | None, int] | None:
    """Id, size (None: unknown) and begin of the content of the element at `at`; None where there is none.

    Both numbers take one byte more than their first byte has leading zero bits. The id keeps the bit that tells this, the size does not.
    """
    numbers = []
    for _ in range(2):
        width = 9 - data[at].bit_length() if at < len(data) else 9
        if width > 8 or at + width > len(data):
            return None
        numbers.append(int.from_bytes(data[at : at + width], "big"))
        at += width
    unknown = (1 << 7 * width) - 1
    size = numbers[1] & unknown
    return numbers[0], None if size == unknown else size, at
