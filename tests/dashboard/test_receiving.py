"""receiving: films and pictures arrive whole, once, under a name that is free; whatever fails leaves nothing, or what can go on."""

from __future__ import annotations

import collections
import contextlib
import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.cast.references import find_references
from animeset_lib.dashboard import receiving
from animeset_lib.dashboard.file_names import safe_file_name
from animeset_lib.dashboard.receiving import (
    FILM_SUFFIXES,
    Inbox,
    Upload,
    film_inbox,
    picture_inbox,
)
from animeset_lib.dashboard.signatures import HEAD_BYTES, no_film
from animeset_lib.errors import BusyError, InputError, SpaceError
from animeset_lib.media import ANIMATION_SUFFIXES, PICTURE_SUFFIXES, FilmReader, ffmpeg_exe, write_image
from tests.film_maker import drawing, remux, write_film

GB = 10**9


def anything(folder: Path, accept: Callable[[Path], None] = lambda part: None, **changes: Any) -> Inbox:
    """An inbox that looks at no content, for what does not depend on it."""
    return Inbox(folder, max_bytes=GB, reserve_bytes=0, accept=accept, **changes)


def send(upload: Upload, data: bytes, chunk: int = 1000) -> Path:
    """As the page does: from where it was left off, always on from the offset that is answered."""
    offset = upload.offset
    while offset < len(data):
        offset = upload.write(offset, memoryview(data)[offset : offset + chunk])
    return upload.finish()


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def part_of(upload: Upload) -> Path:
    (part,) = upload._inbox.folder.glob(f".upload/{upload.id}.part.*")
    return part


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mkv", [drawing(seed) for seed in range(4)])


# ------------------------------------------------------------------------------------------------------------ arriving


def test_a_film_in_three_hundred_chunks_arrives_equal_and_memory_stays_flat(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = (random.integers(0, 256, (360, 640, 3), np.uint8) for _ in range(115))
    source = write_film(tmp_path / "noise.mkv", pictures, codec="rawvideo", options={})
    size, inbox = source.stat().st_size, film_inbox(tmp_path / "input", 10 * GB)
    chunk = -(-size // 300)
    assert size > 30_000_000
    with source.open("rb") as stream:
        tracemalloc.start()
        upload = inbox.begin("Ein Film – ßäü 🎬.mkv", size, "f")
        offsets = [0]
        while data := stream.read(chunk):
            offsets.append(upload.write(offsets[-1], memoryview(data)))
        path = upload.finish()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert offsets == [min(size, chunk * n) for n in range(301)]
    assert peak < 4_000_000, "all of it is 38 MB"
    assert path == tmp_path / "input" / "Ein Film – ßäü 🎬.mkv"
    assert path.read_bytes() == source.read_bytes()
    assert listing(tmp_path / "input") == ["Ein Film – ßäü 🎬.mkv"]
    assert not upload.already_here


def test_while_it_arrives_it_is_no_film_of_the_folder(tmp_path: Path, film: Path) -> None:
    data, inbox = film.read_bytes(), film_inbox(tmp_path, GB)
    upload = inbox.begin("a.mkv", len(data), "f")
    upload.write(0, data)
    assert upload.offset == len(data)
    assert inbox.files() == []
    assert listing(tmp_path) == [
        ".upload",
        f".upload/{upload.id}.json",
        f".upload/{upload.id}.lock",
        f".upload/{upload.id}.part.mkv",
    ]
    upload.finish()
    assert inbox.files() == [tmp_path / "a.mkv"]
    assert listing(tmp_path) == ["a.mkv"]


def test_after_a_dead_process_a_new_one_goes_on(tmp_path: Path, film: Path) -> None:
    data = film.read_bytes()
    upload = film_inbox(tmp_path, GB).begin("a.mkv", len(data), "f")
    upload.write(0, data[:5000])
    again = film_inbox(tmp_path, GB).begin("a.mkv", len(data), "f")
    assert again.offset == 5000
    assert send(again, data).read_bytes() == data
    assert listing(tmp_path) == ["a.mkv"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_in_the_middle_of_a_chunk_the_torn_part_goes_on(tmp_path: Path) -> None:
    data = noise(9000)
    (tmp_path / "source").write_bytes(data)
    code = f"""
import os, signal
from pathlib import Path
from animeset_lib.dashboard.receiving import Inbox
data = Path({str(tmp_path / "source")!r}).read_bytes()
upload = Inbox(Path({str(tmp_path / "input")!r}), max_bytes=10**9, reserve_bytes=0, accept=print).begin("a.mkv", len(data), "f")
assert upload.write(0, data[:4000]) == 4000
write = os.write
def torn(handle, block):
    write(handle, block[:1234])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = torn
upload.write(4000, data[4000:8000])
"""
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr
    upload = anything(tmp_path / "input").begin("a.mkv", len(data), "f")
    assert upload.offset == 5234
    assert send(upload, data).read_bytes() == data
    assert listing(tmp_path / "input") == ["a.mkv"]


def test_a_chunk_for_another_offset_is_not_written(tmp_path: Path) -> None:
    data = noise(3000)
    upload = anything(tmp_path).begin("a.mkv", 3000, "f")
    assert upload.write(0, data[:1000]) == 1000
    for wrong in (0, 999, 1001, 2000):
        assert upload.write(wrong, b"x" * 500) == 1000
    assert part_of(upload).read_bytes() == data[:1000]
    assert send(upload, data).read_bytes() == data


def test_chunks_may_be_of_any_kind_of_memory(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.int32)
    upload = anything(tmp_path).begin("a.mkv", 48, "f")
    assert upload.write(0, numbers.reshape(3, 4)[:1].data) == 16
    assert upload.write(16, b"") == 16
    assert upload.write(16, bytearray(numbers[4:].tobytes())) == 48  # type: ignore[arg-type]  # it fits all the same
    assert upload.finish().read_bytes() == numbers.tobytes()


def test_more_than_announced_is_refused_and_not_written(tmp_path: Path) -> None:
    upload = anything(tmp_path).begin("a.mkv", 10, "f")
    upload.write(0, b"12345678")
    with pytest.raises(InputError, match=r"expected 10 bytes in all, got 11; .* choose it again"):
        upload.write(8, b"9ab")
    assert part_of(upload).read_bytes() == b"12345678"


def test_less_than_announced_is_not_finished_and_kept(tmp_path: Path) -> None:
    upload = anything(tmp_path).begin("a.mkv", 10, "f")
    upload.write(0, b"12345678")
    with pytest.raises(InputError, match=r"a\.mkv is not complete: expected 10 bytes, got 8"):
        upload.finish()
    assert upload.offset == 8
    upload.write(8, b"9a")
    assert upload.finish().read_bytes() == b"123456789a"


def test_finishing_twice_gives_the_same_path(tmp_path: Path) -> None:
    upload = anything(tmp_path).begin("a.mkv", 3, "f")
    path = send(upload, b"abc")
    assert upload.finish() == path
    assert upload.offset == 3
    assert listing(tmp_path) == ["a.mkv"]


def test_what_is_resumed_depends_on_fingerprint_size_and_ending(tmp_path: Path) -> None:
    inbox = anything(tmp_path)
    inbox.begin("a.mkv", 10, "f").write(0, b"12345")
    offsets = {
        given: inbox.begin(*given).offset
        for given in [("a.mkv", 10, "g"), ("a.mkv", 11, "f"), ("a.mp4", 10, "f"), ("b.MKV", 10, "f")]
    }
    assert list(offsets.values()) == [0, 0, 0, 5]
    assert send(inbox.begin("b.MKV", 10, "f"), b"123456789a").name == "b.MKV"


def test_a_part_longer_than_the_file_is_begun_anew(tmp_path: Path) -> None:
    inbox = anything(tmp_path)
    part_of(inbox.begin("a.mkv", 3, "f")).write_bytes(b"not ours")
    upload = inbox.begin("a.mkv", 3, "f")
    assert upload.offset == 0
    assert send(upload, b"abc").read_bytes() == b"abc"


def test_a_damaged_description_does_not_stop_the_part(tmp_path: Path) -> None:
    inbox = anything(tmp_path)
    upload = inbox.begin("a.mkv", 3, "f")
    upload.write(0, b"ab")
    for text in ("{", "[1]", "{}", '{"name": 1}'):
        (tmp_path / ".upload" / f"{upload.id}.json").write_text(text)
        assert inbox.pending() == []
        assert inbox.begin("a.mkv", 3, "f").offset == 2
        assert [(one.name, one.offset) for one in inbox.pending()] == [("a.mkv", 2)]


# ----------------------------------------------------------------------------------------------------------- two pages


def test_two_pages_that_send_the_same_file_make_one_sound_file(tmp_path: Path) -> None:
    data, answers = noise(60_000), []
    start = threading.Barrier(2)

    def page() -> None:
        upload = anything(tmp_path).begin("a.mkv", len(data), "f")
        start.wait()
        try:
            offset = upload.offset
            while offset < len(data):
                with contextlib.suppress(BusyError):  # the other one was quicker too often
                    offset = upload.write(offset, data[offset : offset + 700])
            answers.append(upload.finish().name)
        except InputError as problem:
            answers.append(str(problem))

    pages = [threading.Thread(target=page) for _ in range(2)]
    for one in pages:
        one.start()
    for one in pages:
        one.join(60)
    assert sorted(answers) == [
        "a.mkv",
        "the upload of a.mkv is no longer there: it was finished or discarded elsewhere; choose the file again if it is not in the list",
    ]
    assert (tmp_path / "a.mkv").read_bytes() == data
    assert listing(tmp_path) == ["a.mkv"]


def test_while_one_page_finishes_another_is_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "_WAIT_S", 0.1)
    told: list[Callable[[], object]] = []

    def accept(part: Path) -> None:
        for attempt in (
            lambda: second.write(3, b""),
            second.finish,
            lambda: anything(tmp_path).forget(second.id),
            lambda: anything(tmp_path).begin("a.mkv", 3, "f"),
        ):
            with pytest.raises(BusyError, match="another page is just finishing"):
                attempt()
            told.append(attempt)

    first = anything(tmp_path, accept).begin("a.mkv", 3, "f")
    second = anything(tmp_path).begin("a.mkv", 3, "f")
    assert send(first, b"abc").read_bytes() == b"abc"
    assert len(told) == 4
    assert listing(tmp_path) == ["a.mkv"]


def test_an_upload_that_ended_elsewhere_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = (anything(tmp_path).begin("a.mkv", 3, "f") for _ in range(2))
    anything(tmp_path).forget(first.id)
    for attempt in (lambda: second.write(0, b"abc"), second.finish):
        with pytest.raises(InputError, match="no longer there: it was finished or discarded elsewhere"):
            attempt()
    anything(tmp_path).forget(second.id)
    assert listing(tmp_path) == []


def test_a_folder_that_another_page_removes_in_this_instant_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    turns: list[Any] = []

    def vanishing(path: Any, *given: Any, **named: Any) -> int:
        if str(path).endswith(".lock") and not turns:
            turns.append(path)
            Path(path).parent.rmdir()
        return real(path, *given, **named)

    monkeypatch.setattr(os, "open", vanishing)
    assert send(anything(tmp_path).begin("a.mkv", 3, "f"), b"abc").read_bytes() == b"abc"
    assert turns


def test_files_on_their_way_do_not_disturb_each_other(tmp_path: Path) -> None:
    inbox = anything(tmp_path)
    one, two = inbox.begin("a.mkv", 3, "f"), inbox.begin("b.mkv", 3, "g")
    one.write(0, b"ab")
    assert send(two, b"xyz").read_bytes() == b"xyz"
    assert one.offset == 2
    assert send(one, b"abc").read_bytes() == b"abc"
    assert listing(tmp_path) == ["a.mkv", "b.mkv"]


# --------------------------------------------------------------------------------------------------- names in the folder


@pytest.fixture(params=["hard links", "no hard links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT and some network disks have none."""

    def without(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", without)


@pytest.mark.usefixtures("links")
def test_the_same_name_and_content_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"other")
    (tmp_path / "a (2).mkv").write_bytes(b"equal")
    os.utime(tmp_path / "a (2).mkv", (1000, 1000))
    upload = anything(tmp_path).begin("a.mkv", 5, "f")
    assert send(upload, b"equal") == tmp_path / "a (2).mkv"
    assert upload.already_here
    assert (tmp_path / "a (2).mkv").stat().st_mtime == 1000
    assert listing(tmp_path) == ["a (2).mkv", "a.mkv"]


@pytest.mark.usefixtures("links")
def test_the_same_name_with_other_content_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.b.mkv").mkdir()
    for content in (b"1", b"22", b"33", b"22"):
        upload = anything(tmp_path).begin("a.b.mkv", len(content), content.hex())
        path = send(upload, content)
        assert path.read_bytes() == content
    assert upload.already_here
    assert listing(tmp_path) == ["a.b (2).mkv", "a.b (3).mkv", "a.b (4).mkv", "a.b.mkv"]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")
def test_nothing_is_written_through_a_link_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"same")
    folder = tmp_path / "input"
    folder.mkdir()
    (folder / "a.mkv").symlink_to(tmp_path / "outside")
    (folder / "b.mkv").symlink_to(tmp_path / "nowhere")
    assert send(anything(folder).begin("a.mkv", 4, "f"), b"same").name == "a (2).mkv"
    assert send(anything(folder).begin("b.mkv", 4, "g"), b"same").name == "b (2).mkv"
    assert listing(tmp_path) == ["input", "input/a (2).mkv", "input/a.mkv", "input/b (2).mkv", "input/b.mkv", "outside"]


@pytest.mark.usefixtures("links")
def test_uploads_that_finish_in_the_same_instant_all_keep_their_content(tmp_path: Path) -> None:
    for turn in range(4):
        folder = tmp_path / str(turn)
        contents = [f"content {number}".encode() for number in range(8)]
        uploads = [anything(folder).begin("a.mkv", 9, content.hex()) for content in contents]
        for upload, content in zip(uploads, contents, strict=True):
            upload.write(0, content)
        start = threading.Barrier(8)
        paths: dict[str, Path] = {}

        def finish(upload: Upload, start: threading.Barrier = start, paths: dict[str, Path] = paths) -> None:
            start.wait()
            paths[upload.id] = upload.finish()

        threads = [threading.Thread(target=finish, args=(upload,)) for upload in uploads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [paths[upload.id].read_bytes() for upload in uploads] == contents
        assert listing(folder) == sorted(["a.mkv", *(f"a ({n}).mkv" for n in range(2, 9))])


def test_a_file_that_appears_just_before_the_name_is_given_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def overtaken(source: Path, target: Path) -> None:
        if Path(target).name == "a.mkv":
            Path(target).write_bytes(b"faster")
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    assert send(anything(tmp_path).begin("a.mkv", 3, "f"), b"abc").name == "a (2).mkv"
    assert (tmp_path / "a.mkv").read_bytes() == b"faster"


def test_killed_between_naming_and_clearing_up_it_is_recognised(tmp_path: Path) -> None:
    upload = anything(tmp_path).begin("a.mkv", 3, "f")
    upload.write(0, b"abc")
    os.link(part_of(upload), tmp_path / "a.mkv")
    again = anything(tmp_path).begin("a.mkv", 3, "f")
    assert again.offset == 3
    assert again.finish() == tmp_path / "a.mkv"
    assert again.already_here
    assert listing(tmp_path) == ["a.mkv"]
    assert (tmp_path / "a.mkv").read_bytes() == b"abc"


# ----------------------------------------------------------------------------------------------------- refused at once


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("a.mkv", 0, "a.mkv was not taken: expected a film, got an empty file; copy or download it again"),
        ("a.mkv", -5, "a.mkv was not taken: expected a film, got an empty file; copy or download it again"),
        ("a.mkv", GB + 1, "a.mkv was not taken: expected at most 1.0 GB, got 1.0 GB; put it into {folder} yourself"),
        ("a.srt", 9, "got the ending .srt; choose the film's own file"),
        ("a.mkv.part", 9, "got the ending .part; choose the film's own file"),
        ("Makefile", 9, "got a name without ending; choose the film's own file"),
        ("", 9, "film was not taken: expected a film (.3g2, .3gp, .apng, .asf, .avi, "),
        ("<b>.exe", 9, "b.exe was not taken: expected a film (.3g2, "),
    ],
)
def test_refused_by_name_or_size(tmp_path: Path, name: str, size: int, message: str) -> None:
    folder = tmp_path / "input"
    with pytest.raises(InputError) as refusal:
        anything(folder).begin(name, size, "f")
    assert message.format(folder=folder) in str(refusal.value)
    assert listing(tmp_path) == []


def test_the_largest_size_is_taken(tmp_path: Path) -> None:
    assert anything(tmp_path).begin("a.mkv", GB, "f").offset == 0


@pytest.mark.parametrize("fingerprint", ["", "x" * 501])
def test_a_fingerprint_is_needed(tmp_path: Path, fingerprint: str) -> None:
    with pytest.raises(ValueError, match="a fingerprint of 1 to 500 characters"):
        anything(tmp_path).begin("a.mkv", 3, fingerprint)
    assert listing(tmp_path) == []


def test_any_fingerprint_will_do(tmp_path: Path) -> None:
    for fingerprint in ("../../x", "\0", "half \ud800 a pair", "ß" * 500):
        upload = anything(tmp_path).begin("a.mkv", 3, fingerprint)
        upload.write(0, b"ab")
        assert anything(tmp_path).begin("a.mkv", 3, fingerprint).offset == 2
        anything(tmp_path).forget(upload.id)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def closed(*_: object, **__: object) -> None:  # a test run by root may write everywhere
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(InputError) as refusal:
        anything(tmp_path).begin("a.mkv", 3, "f")
    assert f"a.mkv was not taken: the folder {tmp_path} cannot be written ({os.strerror(number)})" in str(refusal.value)


# ------------------------------------------------------------------------------------------------------------ full disk


def _free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = collections.namedtuple("usage", "total used free")  # as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10 * GB, 10 * GB - free, free))


def test_what_does_not_fit_is_refused_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox(tmp_path / "a" / "b", max_bytes=GB, reserve_bytes=1000, accept=lambda part: None)
    _free(monkeypatch, 1999)
    with pytest.raises(SpaceError) as refusal:
        inbox.begin("a.mkv", 1000, "f")
    assert str(refusal.value) == (
        f"a.mkv was not taken: expected 1.0 kB of free disk space in {tmp_path / 'a' / 'b'}, got 999 bytes "
        "(1.0 kB are kept free besides); free some space and choose it again"
    )
    assert listing(tmp_path) == []
    _free(monkeypatch, 2000)
    assert inbox.begin("a.mkv", 1000, "f").offset == 0


def test_only_what_is_missing_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = anything(tmp_path)
    inbox.begin("a.mkv", 1000, "f").write(0, b"x" * 700)
    _free(monkeypatch, 299)
    with pytest.raises(SpaceError):
        inbox.begin("a.mkv", 1000, "f")
    _free(monkeypatch, 300)
    assert inbox.begin("a.mkv", 1000, "f").offset == 700


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_keeps_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    data, room, write = noise(5000), [3500], os.write

    def full(handle: int, block: memoryview) -> int:
        if not room[0]:
            raise OSError(number, os.strerror(number))
        written = write(handle, block[: room[0]])
        room[0] -= written
        return written

    upload = anything(tmp_path).begin("a.mkv", len(data), "f")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert upload.write(0, data[:2000]) == 2000
        with pytest.raises(SpaceError) as problem:
            upload.write(2000, data[2000:4000])
    assert str(problem.value) == (
        f"the disk of {tmp_path} is full while a.mkv arrives; what has arrived is kept; free some space and choose the same file again"
    )
    assert upload.offset == 3500
    assert send(anything(tmp_path).begin("a.mkv", len(data), "f"), data).read_bytes() == data
    assert listing(tmp_path) == ["a.mkv"]


def test_a_disk_that_is_full_at_the_end_keeps_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    upload = anything(tmp_path).begin("a.mkv", 3, "f")
    upload.write(0, b"abc")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SpaceError, match="what has arrived is kept"):
            upload.finish()
    assert upload.finish().read_bytes() == b"abc"
    assert listing(tmp_path) == ["a.mkv"]


def test_a_disk_that_is_full_for_the_name_keeps_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    upload = anything(tmp_path).begin("a.mkv", 3, "f")
    upload.write(0, b"abc")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        patch.setattr(os, "replace", full)
        with pytest.raises(SpaceError, match="what has arrived is kept"):
            upload.finish()
    assert "a.mkv" not in listing(tmp_path)
    assert upload.finish() == tmp_path / "a.mkv"
    assert listing(tmp_path) == ["a.mkv"]


def test_a_disk_that_is_full_at_the_beginning_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(receiving, "write_json", full)
    with pytest.raises(SpaceError, match="it was not begun"):
        anything(tmp_path).begin("a.mkv", 3, "f")
    assert listing(tmp_path) == []


# -------------------------------------------------------------------------------------------------------------- content


def _zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("film.txt", noise(3 * HEAD_BYTES))
    return target.getvalue()


def _picture(kind: str) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)).save(target, kind)
    return target.getvalue()


NO_FILMS: dict[str, Callable[[], bytes]] = {
    "plain text": lambda: "Es war einmal – 昔々。\r\n".encode() * 60_000,
    "a ZIP archive": _zip,
    **{f"a {kind} picture": lambda kind=kind: _picture(kind) for kind in ("PNG", "JPEG", "WebP", "BMP", "TIFF")},  # type: ignore[misc]
    "nothing but zeros, as of a download that was broken off": lambda: bytes(2 * HEAD_BYTES),
    "a playlist": lambda: b"ffconcat version 1.0\n#\x01\nfile a.mkv\n",
    "a PDF document": lambda: b"%PDF-1.7\n\x01",
}


@pytest.mark.parametrize("what", NO_FILMS)
def test_what_is_obviously_no_film_is_refused_with_the_first_chunk(tmp_path: Path, what: str) -> None:
    data = NO_FILMS[what]()
    first = data[: 4 * HEAD_BYTES]
    upload = film_inbox(tmp_path, 10 * GB).begin("a.mkv", GB if len(first) >= HEAD_BYTES else len(data), "f")
    with pytest.raises(InputError) as refusal:
        upload.write(0, first)
    assert str(refusal.value) == f"a.mkv was not taken: expected a film, got {what}; choose the film's own file"
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    "text", [b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile a.mkv\n", b"The free film\n", b"x AVI AVI\n"]
)
def test_small_texts_are_refused_too(tmp_path: Path, text: bytes) -> None:
    upload = film_inbox(tmp_path, GB).begin("a.mkv", len(text), "f")
    upload.write(0, text[:5])
    with pytest.raises(InputError, match="got plain text"):
        upload.write(5, text[5:])
    assert listing(tmp_path) == []


def test_a_process_that_died_before_looking_does_not_save_a_text_from_being_refused(tmp_path: Path) -> None:
    text = b"Once upon a time. " * 10
    part_of(film_inbox(tmp_path, GB).begin("a.mkv", len(text), "f")).write_bytes(text)
    with pytest.raises(InputError, match="got plain text"):
        film_inbox(tmp_path, GB).begin("a.mkv", len(text), "f").finish()
    assert listing(tmp_path) == []


def test_the_head_is_looked_at_once_and_whole(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def look(head: bytes) -> str:
        seen.append(head)
        return ""

    data = noise(3 * HEAD_BYTES)
    send(anything(tmp_path, look=look).begin("a.mkv", len(data), "f"), data, 400_000)
    assert seen == [data[:HEAD_BYTES]]
    send(anything(tmp_path, look=look).begin("b.mkv", 2000, "f"), data[:2000])
    assert seen[1:] == [data[:2000]]


CONTAINERS: dict[str, dict[str, Any]] = {
    "a.mkv": {},
    "a.mp4": {},
    "faststart.mp4": {"movflags": "faststart"},
    "pieces.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "a.mov": {},
    "a.3gp": {},
    "a.avi": {"c:v": "mpeg4"},
    "a.flv": {},
    "a.f4v": {},
    "a.ts": {},
    "a.m2ts": {"mpegts_m2ts_mode": 1},
    "a.nut": {},
    "a.mpg": {"c:v": "mpeg1video"},
    "a.vob": {"c:v": "mpeg2video"},
    "a.m2v": {"c:v": "mpeg2video"},
    "a.mxf": {"c:v": "mpeg2video"},
    "a.wmv": {"c:v": "wmv2"},
    "a.webm": {"c:v": "libvpx", "deadline": "realtime"},
    "a.rm": {"c:v": "rv20", "s": "352x288"},
    "a.y4m": {"c:v": "rawvideo", "pix_fmt": "yuv420p"},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_films_in_all_containers_are_taken(tmp_path: Path, film: Path, name: str) -> None:
    source = remux(film, tmp_path / name, **CONTAINERS[name])
    data = source.read_bytes()
    path = send(film_inbox(tmp_path / "input", GB).begin(name, len(data), "f"), data, 100_000)
    assert path.read_bytes() == data
    assert listing(tmp_path / "input") == [name]


def test_a_film_whose_index_is_at_the_end_passes_the_early_check(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(n).integers(0, 256, (360, 640, 3), np.uint8) for n in range(12)]
    source = write_film(tmp_path / "source.mp4", pictures)
    data = source.read_bytes()
    assert data.rindex(b"moov") > HEAD_BYTES
    (tmp_path / "head.mp4").write_bytes(data[:HEAD_BYTES])
    with pytest.raises(InputError):  # so opening the head would have refused it
        FilmReader(tmp_path / "head.mp4")
    path = send(film_inbox(tmp_path / "input", GB).begin("a.mp4", len(data), "f"), data, HEAD_BYTES)
    assert path.read_bytes() == data


def test_films_that_begin_like_something_else_pass_the_early_check(tmp_path: Path, film: Path) -> None:
    ts = remux(film, tmp_path / "a.ts").read_bytes()
    assert no_film(ts[77:]) == "", "recording began inside a packet"
    camera = remux(film, tmp_path / "a.m2ts", mpegts_m2ts_mode=1).read_bytes()
    assert no_film(b"PK\3\4" + camera[4:]) == "", "the first four bytes are a time"
    assert no_film(b"PK\3\4mdat" + noise(5000)) == "", "the first four bytes are a size"
    assert no_film(b"YUV4MPEG2 W64 H64 F24:1\nFRAME\n" + b"\x80" * 6144) == "", (
        "a grey picture has no control characters"
    )
    assert no_film(b"PK\3\4" + noise(5000)) == "a ZIP archive"


def _no_pictures(folder: Path) -> bytes:
    target = folder / "sound.mkv"
    ffmpeg.input("sine=d=1", f="lavfi").output(str(target)).run(cmd=ffmpeg_exe(), quiet=True)
    return target.read_bytes()


def _no_index(folder: Path) -> bytes:
    data = write_film(folder / "whole.mp4", [drawing(1)] * 3).read_bytes()
    return data[: data.rindex(b"moov")]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (lambda folder: noise(50_000), "a.mkv", "expected a film, got a file FFmpeg cannot read"),
        (_no_pictures, "Töne.mkv", "expected a film, got a file without moving pictures (only audio)"),
        (_no_index, "a.mp4", "its index (moov) is missing or broken, which a complete copy or download would have"),
    ],
)
def test_what_turns_out_to_be_no_film_is_refused_at_the_end(
    tmp_path: Path, content: Callable[[Path], bytes], name: str, message: str
) -> None:
    data, folder = content(tmp_path), tmp_path / "input"
    upload = film_inbox(folder, GB).begin(name, len(data), "f")
    with pytest.raises(InputError) as refusal:
        send(upload, data)
    assert str(refusal.value).startswith(f"{name} was not taken: expected a film")
    assert message in str(refusal.value)
    assert not any(word in str(refusal.value) for word in (".part", ".upload", upload.id))
    assert listing(folder) == []


def test_a_mistake_of_ours_in_accepting_keeps_the_part(tmp_path: Path) -> None:
    def broken(part: Path) -> None:
        raise RuntimeError("a mistake")

    upload = anything(tmp_path, broken).begin("a.mkv", 3, "f")
    with pytest.raises(RuntimeError, match="a mistake"):
        send(upload, b"abc")
    assert anything(tmp_path).begin("a.mkv", 3, "f").finish().read_bytes() == b"abc"


# ---------------------------------------------------------------------------------------------- what lies in the folder


def test_discarding_leaves_nothing_and_not_what_is_finished(tmp_path: Path) -> None:
    upload = anything(tmp_path).begin("a.mkv", 3, "f")
    upload.write(0, b"ab")
    anything(tmp_path).forget(upload.id)
    assert listing(tmp_path) == []
    done = anything(tmp_path).begin("a.mkv", 3, "f")
    assert done.offset == 0
    send(done, b"abc")
    anything(tmp_path).forget(done.id)
    assert listing(tmp_path) == ["a.mkv"]


def test_pending_uploads_are_told_and_can_be_forgotten(tmp_path: Path) -> None:
    inbox, before = anything(tmp_path), time.time()
    old, new = inbox.begin("alt – ß.mkv", 10, "f"), inbox.begin("b.mkv", 20, "g")
    new.write(0, b"abc")
    os.utime(part_of(old), (before - 500, before - 500))
    found = anything(tmp_path).pending()
    assert [(p.id, p.name, p.size, p.offset) for p in found] == [
        (new.id, "b.mkv", 20, 3),
        (old.id, "alt – ß.mkv", 10, 0),
    ]
    assert inbox.begin("c.mkv", 20, "g").offset == 3
    assert inbox.pending()[0].name == "c.mkv"
    inbox.forget(new.id)
    assert [p.id for p in inbox.pending()] == [old.id]
    inbox.forget(new.id)
    inbox.forget(old.id)
    assert inbox.pending() == []
    assert listing(tmp_path) == []


@pytest.mark.parametrize("identity", ["", "*", "../" + "a" * 29, "A" * 32, "a" * 33, "a" * 32 + "\n"])
def test_only_ids_are_forgotten(tmp_path: Path, identity: str) -> None:
    with pytest.raises(ValueError, match="32 hex digits"):
        anything(tmp_path).forget(identity)


def test_the_films_of_the_folder_newest_first(tmp_path: Path) -> None:
    folder, outside = tmp_path / "input", tmp_path / "outside"
    inbox = film_inbox(folder, GB)
    assert inbox.files() == []
    for place in (folder / "stills", folder / "empty", folder / ".hidden", outside):
        place.mkdir(parents=True)
    write_image(folder / "stills" / "1.png", np.zeros((4, 4, 3), np.uint8))
    write_image(folder / ".hidden" / "1.png", np.zeros((4, 4, 3), np.uint8))
    for age, name in enumerate(["b.mkv", "ä – 2.MP4", "a.mkv", ".c.mkv", "notes.txt", "x.mkv.part", "x.zip"]):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (5000 - age, 5000 - age))
    os.utime(folder / "stills", (4999.5, 4999.5))
    inbox.begin("on its way.mkv", 10, "f")
    (outside / "film.mkv").write_bytes(b"x")
    write_image(outside / "1.png", np.zeros((4, 4, 3), np.uint8))
    if sys.platform != "win32":
        (folder / "out.mkv").symlink_to(outside / "film.mkv")
        (folder / "out").symlink_to(outside)
        (folder / "broken.mkv").symlink_to(folder / "nothing.mkv")
        (folder / "hidden.mkv").symlink_to(folder / ".c.mkv")
        (folder / "inside.mkv").symlink_to("b.mkv")
        (folder / ".inside.mkv").symlink_to("b.mkv")
    names = [path.name for path in inbox.files() if path.name != "inside.mkv"]
    assert names == ["b.mkv", "stills", "ä – 2.MP4", "a.mkv"]
    if sys.platform != "win32":
        assert folder / "inside.mkv" in inbox.files()


# ------------------------------------------------------------------------------------------------------------- pictures


def test_pictures_of_every_ending_that_is_taken_are_found_as_references(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "rem"
    for suffix in sorted(PICTURE_SUFFIXES):
        target = io.BytesIO()
        Image.fromarray(drawing(1)).save(target, Image.registered_extensions()[suffix])
        data = target.getvalue()
        send(picture_inbox(folder, GB).begin(f"Rem{suffix}", len(data), suffix), data)
    found = [f"Rem{suffix}" for suffix in sorted(PICTURE_SUFFIXES)]
    assert {"Rem.avif", "Rem.gif", "Rem.jfif", "Rem.tiff"} < set(found)
    assert listing(folder) == found
    assert [path.name for path in find_references(tmp_path)["rem"]] == found
    assert sorted(path.name for path in picture_inbox(folder, GB).files()) == found


@pytest.mark.parametrize("data", [b"no picture", _picture("PNG")[:50_000]], ids=["text", "truncated"])
def test_broken_pictures_are_refused(tmp_path: Path, data: bytes) -> None:
    upload = picture_inbox(tmp_path, GB).begin("a.png", len(data), "f")
    with pytest.raises(InputError) as refusal:
        send(upload, data)
    assert str(refusal.value).startswith("a.png was not taken: expected a readable picture, got one that cannot be")
    assert ".upload" not in str(refusal.value)
    assert listing(tmp_path) == []


def test_a_film_is_no_picture_and_a_picture_no_film(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a picture \(\.avif, .*, \.webp\), got the ending \.mkv"):
        picture_inbox(tmp_path, GB).begin("a.mkv", 5, "f")
    with pytest.raises(InputError, match=r"expected a film \(.*\), got the ending \.png"):
        film_inbox(tmp_path, GB).begin("a.png", 5, "f")


def _moving(kind: str) -> bytes:
    from PIL import Image

    first, *rest = [Image.fromarray(drawing(seed)) for seed in range(3)]
    target = io.BytesIO()
    first.save(target, kind, save_all=True, append_images=rest, duration=100)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "kind"), [("a.gif", "GIF"), ("a.apng", "PNG"), ("a.webp", "WEBP"), ("a.avif", "AVIF")]
)
def test_a_picture_that_moves_is_a_film_and_a_still_one_is_none(tmp_path: Path, name: str, kind: str) -> None:
    moving, still = _moving(kind), _picture(kind)
    assert no_film(moving) == ""
    upload = film_inbox(tmp_path, GB).begin(f"poster{name[1:]}", len(still), "g")
    with pytest.raises(InputError, match=r"a still picture|a PNG picture|a WebP picture"):
        send(upload, still)
    assert listing(tmp_path) == []
    (tmp_path / name).write_bytes(moving)
    (tmp_path / f"poster{name[1:]}").write_bytes(still)
    assert film_inbox(tmp_path, GB).files() == [tmp_path / name]


def test_the_page_offers_the_pictures_that_are_taken() -> None:
    vue = Path(receiving.__file__).parent / "vue"
    offered = re.search(r'id="reference-file".*? accept="([^"]*)"', (vue / "cast.vue").read_text(encoding="utf-8"))
    assert offered is not None
    assert offered[1].split(",") == sorted(PICTURE_SUFFIXES)
    films = (vue / "film.vue").read_text(encoding="utf-8")
    assert all(suffix in films for suffix in ANIMATION_SUFFIXES)


# ---------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ein Film – ßäü 🎬.mp4", "Ein Film – ßäü 🎬.mp4"),
        ("[Group] 魔法少女 - 01 (1080p) 'x' & y, #1 100%.mkv", "[Group] 魔法少女 - 01 (1080p) 'x' & y, #1 100%.mkv"),
        ("To be continued....mkv", "To be continued....mkv"),
        ("👨‍👩‍👧.mkv", "👨‍👩‍👧.mkv"),
        ("A.MKV", "A.MKV"),
        ("がのド.mkv", "がのド.mkv"),
        ("u\u0308ber.mkv", "über.mkv"),
        ("Re:Zero – Wer? <1>.mkv", "Re_Zero – Wer_ _1.mkv"),
        ("Fate/Zero 01.mkv", "Fate_Zero 01.mkv"),
        ("../../etc/passwd.mkv", "etc_passwd.mkv"),
        ("..\\..\\a.mkv", "a.mkv"),
        ("C:\\fakepath\\a.mkv", "C_fakepath_a.mkv"),
        ("/a.mkv", "a.mkv"),
        ("a.mkv/", "a.mkv"),
        ("a.mkv/..", "a.mkv"),
        ("<img src=x onerror=alert(1)>.mkv", "img src=x onerror=alert(1).mkv"),
        ("a\x00b\x1b[31m\x7f.mkv", "a_b_[31m.mkv"),
        ("a\r\nb\u2028c.mkv", "a  b c.mkv"),
        ("\u202evkm.a\u2066\u200b.mkv", "vkm.a.mkv"),
        (".hidden.mkv", "hidden.mkv"),
        ("- -rf.mkv", "rf.mkv"),
        (".mkv", "film.mkv"),
        ("...mkv", "film.mkv"),
        ("???.mkv", "film.mkv"),
        ("a.mkv. . ", "a.mkv"),
        (" a .mkv", "a.mkv"),
        ("CON.mkv", "film_CON.mkv"),
        ("con .x.mkv", "film_con .x.mkv"),
        ("lpt¹.mkv", "film_lpt¹.mkv"),
        ("Conan.mkv", "Conan.mkv"),
        ("half \ud800 a pair.mkv", "half _ a pair.mkv"),
        ("x" * 300 + ".mkv", "x" * 196 + ".mkv"),
        ("ß" * 300 + ".mkv", "ß" * 98 + ".mkv"),
        ("x" * 5000 + ".webm", "x" * 195 + ".webm"),
        ("a" * 195 + "  b.mkv", "a" * 195 + ".mkv"),
        ("a." + "b" * 300, "a." + "b" * 198),
        ("", "film"),
        ("..", "film"),
        ("/", "film"),
    ],
)
def test_names(given: str, kept: str) -> None:
    assert safe_file_name(given) == kept


# fmt: off
NASTY = st.sampled_from([
    "..", ".", "/", "\\", "C:", "\0", "\n", "con", "NUL", "-", " ", "\u3000", "\u202e", "e\u0301", "\u0301", "\u200d", "\ud800", "<b>",
    "ß" * 120, "🎬", ".mkv", ".MP4", "_", "x",
])
# fmt: on
NAMES = st.text(st.characters()) | st.lists(NASTY).map("".join)


@settings(max_examples=400, deadline=None)
@given(NAMES)
def test_any_text_becomes_a_name_for_every_system(text: str) -> None:
    kept = safe_file_name(text)
    assert 1 <= len(kept.encode()) <= 200
    assert not set(kept) & set('<>:"/\\|?*')
    assert all(ord(letter) >= 32 for letter in kept)
    assert kept[0] not in ".- "
    assert kept[-1] not in ". "
    assert kept.partition(".")[0].rstrip().lower() not in {"con", "nul", "prn", "aux", "com1"}
    assert safe_file_name(kept) == kept


@settings(max_examples=150, deadline=None)
@given(NAMES, st.sampled_from([".mkv", ".Mp4"]))
def test_no_name_leaves_the_folder(text: str, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "a" / "input"
        path = send(anything(folder).begin(text + suffix, 3, "f"), b"abc")
        assert path.parent == folder
        assert path.suffix == suffix
        assert listing(Path(place)) == ["a", "a/input", f"a/input/{path.name}"]
        assert anything(folder).files() == [path]


def test_the_endings_taken_are_written_as_they_are_compared() -> None:
    assert all(s == s.lower() and s[0] == "." and s.count(".") == 1 for s in FILM_SUFFIXES | PICTURE_SUFFIXES)
