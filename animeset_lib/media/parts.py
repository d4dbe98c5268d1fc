"""What a film's file lacks, seen before it is decoded: parts that lie in other files, and an end that was cut off."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from animeset_lib.media.matroska import MATROSKA_SUFFIXES, Segment, read_segment

__all__ = ["missing_bytes", "missing_parts", "other_parts"]


def missing_parts(path: Path) -> list[str]:
    """Notes for a person on what is not in the file and what to do about it; none when it is whole, or cannot be told."""
    notes = []
    segment = read_segment(path)
    if parts := other_parts(path, segment):
        notes.append(
            f"parts of this film lie in other files and are not in the pictures: {parts}; give those files as films too, or join them all with "
            "mkvmerge"
        )
    if cut_off := missing_bytes(path, segment):
        there, whole = cut_off
        notes.append(
            f"the file ends too early: {there / 1e6:.1f} of {whole / 1e6:.1f} MB are there; copy or download it again, or the end is missing"
        )
    return notes


def missing_bytes(path: Path, segment: Segment | None = None) -> tuple[int, int] | None:
    """How many bytes are there of how many that the file should have; None when it is whole, or cannot be told."""
    segment = segment or read_segment(path)
    length = path.stat().st_size
    declared = segment.declared if segment is not None else _mp4_length(path, length)
    return (length, declared) if declared is not None and length < declared else None


def other_parts(path: Path, segment: Segment | None = None) -> str:
    """The files that the Matroska file `path` wants to be played with it, by name where they lie beside it; "" when there are none."""
    segment = segment or read_segment(path)
    if segment is None or not segment.needs:
        return ""
    beside: dict[bytes, str] = {}
    for file in sorted(path.absolute().parent.iterdir()):
        if file.suffix.lower() in MATROSKA_SUFFIXES and file.is_file():
            with suppress(OSError):
                if other := read_segment(file):
                    beside.setdefault(other.uid, file.name)
    names: Sequence[str] = [beside[uid] for uid in segment.needs if uid in beside]
    absent = [uid.hex() for uid in segment.needs if uid not in beside]
    return ", ".join([*names, *(f"one that is not beside it (segment {uid})" for uid in absent)])


def _mp4_length(path: Path, length: int) -> int | None:
    """How long an MP4 or QuickTime file should be, by the boxes it consists of; None for other files and where the last box is open."""
    with path.open("rb") as file:
        at = 0
        while at + 16 <= length:
            file.seek(at)
            head = file.read(16)
            if at == 0 and head[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return None
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(head[8:], "big")
            if size < 8:
                return None
            at += size
            if (
                at > length
            ):  # other kinds of boxes are only believed when they end within the file: it may be junk after its end
                return at if head[4:8] in (b"mdat", b"moof", b"moov") else None
    return None
