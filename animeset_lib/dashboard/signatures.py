"""What a file obviously is instead of a film, told from its first bytes."""

from __future__ import annotations

import re

__all__ = ["HEAD_BYTES", "no_film"]


HEAD_BYTES = 1 << 20
"""What the early check looks at: no more than FFmpeg itself reads to tell the container (PROBE_BUF_MAX, libavformat/internal.h)."""

_FILM_STARTS: tuple[tuple[int, bytes], ...] = (
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska, WebM (EBML)
    *((4, box) for box in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"uuid")),
    (8, b"AVI"),
    (8, b"AMV "),
    (0, b"FLV"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF, WMV
    (0, b"OggS"),
    (0, b".RMF"),
    (0, b"\x06\x0e\x2b\x34"),  # MXF
    (0, b"nut/multimedia container"),
    (0, b"\0\0\1"),  # MPEG program and elementary streams; H.264 and H.265 too
)
_TRANSPORT = re.compile(rb"(?s)G(?:.{187}G){4}|G(?:.{191}G){4}|G(?:.{203}G){4}")  # sync bytes of five packets in a row
_OTHER_STARTS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (8, b"WEBPVP8", "a WebP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WAVEfmt ", "a sound file (WAV)"),
    (0, b"fLaC", "a sound file (FLAC)"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b\x08", "a gzip archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3\0", "a database"),
    (0, b"ffconcat version", "a playlist"),
)
_BMP = re.compile(rb"(?s)BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}")  # `BM` alone is too little to go by
_IN_TEXT = bytes(range(32, 127)) + bytes(range(128, 256)) + b"\t\r\n\f\b\x1b"


def no_film(head: bytes) -> str:
    """What a file obviously is instead of a film, told from its first `HEAD_BYTES`; "" when it may be one.

    This looks at signatures and opens nothing: an MP4 file with its index at the end cannot be opened from its head. It is made to let
    a wrong file pass rather than to refuse a film. Refused are

    - plain text in any 8-bit encoding, so also playlists, which would make FFmpeg read other files: no film has 4096 bytes without a
      control character, but uncompressed YUV4MPEG may;
    - a still picture, sound file, archive, document or program by its first bytes, unless the file also begins like a known
      container or holds the sync bytes of five transport packets anywhere (the first four bytes of an old MP4 or a camera's .m2ts are a
      size or a time and may look like anything);
    - nothing but zeros, which a download that reserved its space leaves, and in which FFmpeg finds nothing either.

    Everything else passes. Encrypted or damaged files, sound in a film's container and UTF-16 text are found when the whole file is
    opened; a HEIC picture that is called a film is not found at all, for FFmpeg opens it as a film of one frame.
    """
    if head.startswith(b"YUV4MPEG2 "):
        return ""
    if not head[:4096].translate(None, _IN_TEXT):
        return "plain text"
    if any(head.startswith(start, at) for at, start in _FILM_STARTS) or _moves(head) or _TRANSPORT.search(head):
        return ""
    for at, start, what in _OTHER_STARTS:
        if head.startswith(start, at):
            return what
    if _BMP.match(head):
        return "a BMP picture"
    return "" if head.strip(b"\0") else "nothing but zeros, as of a download that was broken off"


def _moves(head: bytes) -> bool:
    """Whether this is a picture that moves, or may: an animated WebP (bit 1 of its flags) or PNG, or a GIF, which shows it only further on."""
    if head.startswith(b"VP8X", 12):
        return len(head) > 20 and bool(head[20] & 2)
    return head.startswith((b"GIF87a", b"GIF89a")) or b"acTL" in head[: max(0, head.find(b"IDAT"))]
