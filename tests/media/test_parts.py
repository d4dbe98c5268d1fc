"""Films that are not whole: their parts lie in other files, or their end is cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib.errors import InputError
from animeset_lib.media import probe
from animeset_lib.media.matroska import read_segment
from animeset_lib.media.parts import missing_parts
from tests.film_maker import drawing, remux, write_film
from tests.media.test_media import _tone

ELSEWHERE = bytes(range(16))


def element(kind: int, content: bytes, width: int = 8) -> bytes:
    """An element of EBML (RFC 8794), its size written in `width` bytes."""
    return (
        kind.to_bytes((kind.bit_length() + 7) // 8, "big")
        + (len(content) | 1 << 7 * width).to_bytes(width, "big")
        + content
    )


def chapters(ordered: bool = True, enabled: bool = True) -> bytes:
    own = element(0xB6, element(0x91, b"\0"))
    linked = element(0xB6, element(0x6E67, ELSEWHERE) + element(0x4598, bytes([enabled])), width=1)
    return element(0x1043A770, element(0x45B9, element(0x45DD, bytes([ordered])) + own + element(0xB6, linked)))


def with_elements(path: Path, more: bytes, *, uid: bytes = b"", at_end: bool = False) -> Path:
    """`path`, a Matroska file, with elements added to its segment: in place of FFmpeg's index of elements, or after its last cluster."""
    data = path.read_bytes()
    segment = data.index(b"\x18\x53\x80\x67")
    size = int.from_bytes(data[segment + 4 : segment + 12], "big") & (1 << 56) - 1
    body = data[segment + 12 : segment + 12 + size]
    if uid:
        place = body.index(b"\x73\xa4\x90") + 3
        body = body[:place] + uid + body[place + 16 :]
    if at_end:
        seek = element(0x4DBB, element(0x53AB, b"\x10\x43\xa7\x70") + element(0x53AC, (10**6).to_bytes(8, "big")))
        lead = len(element(0x114D9B74, seek))
        seek = seek.replace((10**6).to_bytes(8, "big"), (lead + len(body)).to_bytes(8, "big"))
        body = element(0x114D9B74, seek) + body + more
    else:
        body = more + body
    path.write_bytes(data[:segment] + element(0x18538067, body))
    return path


def film(path: Path) -> Path:
    return write_film(path, [drawing(seed) for seed in range(24)])


@pytest.mark.parametrize("at_end", [False, True])
def test_a_film_with_parts_in_other_files_says_so(tmp_path: Path, at_end: bool) -> None:
    path = with_elements(film(tmp_path / "Show_01.mkv"), chapters(), at_end=at_end)
    (note,) = [note for note in probe(path).notes if "parts of this film" in note]
    assert f"one that is not beside it (segment {ELSEWHERE.hex()})" in note
    with_elements(film(tmp_path / "Opening.mkv"), b"", uid=ELSEWHERE)
    (tmp_path / "broken.mkv").write_bytes(b"\x1a\x45\xdf\xa3")
    (note,) = [note for note in probe(path).notes if "parts of this film" in note]
    assert "Opening.mkv; give those files as films too, or join them all with mkvmerge" in note
    assert probe(tmp_path / "Opening.mkv").notes == probe(film(tmp_path / "plain.mkv")).notes


@pytest.mark.parametrize("more", [chapters(ordered=False), chapters(enabled=False), b""])
def test_chapters_that_fetch_nothing_are_no_parts(tmp_path: Path, more: bytes) -> None:
    assert missing_parts(with_elements(film(tmp_path / "a.mkv"), more)) == []


def test_linked_parts_before_and_after_are_named(tmp_path: Path) -> None:
    info = element(0x1549A966, element(0x3EB923, ELSEWHERE) + element(0x73A4, b"\1" * 16))
    path = with_elements(film(tmp_path / "a.mkv"), info)
    segment = read_segment(path)
    assert segment is not None
    assert segment.needs == (ELSEWHERE,)


def test_a_list_of_films_without_pictures_names_the_films(tmp_path: Path) -> None:
    sound = remux(_tone(tmp_path / "a.wav"), tmp_path / "master.mkv", **{"c:a": "flac"})
    with_elements(sound, chapters())
    with_elements(film(tmp_path / "Opening.mkv"), b"", uid=ELSEWHERE)
    with pytest.raises(InputError, match=r"got a list of films that lie in other files; give those: Opening\.mkv"):
        probe(sound)


def _fast_start(folder: Path) -> Path:
    return remux(film(folder / "b.mp4"), folder / "a.mp4", movflags="faststart")


@pytest.mark.parametrize("make", [lambda folder: film(folder / "a.mkv"), _fast_start])
def test_a_film_that_ends_early_says_so(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    whole = path.read_bytes()
    assert missing_parts(path) == []
    path.write_bytes(whole + b"junk after the end, as some programs leave it")
    assert missing_parts(path) == []
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert any("the file ends too early" in note and "copy or download it again" in note for note in probe(path).notes)


@pytest.mark.parametrize("data", [b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3" + b"\xff" * 60, bytes(64)])
def test_what_is_neither_has_no_parts(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mkv").write_bytes(data)
    assert missing_parts(tmp_path / "a.mkv") == []


def test_a_recording_without_sizes_is_not_called_cut(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv")
    data = path.read_bytes()
    segment = data.index(b"\x18\x53\x80\x67")
    path.write_bytes(data[: segment + 4] + b"\x01" + b"\xff" * 7 + data[segment + 12 : -3000])
    assert missing_parts(path) == []
