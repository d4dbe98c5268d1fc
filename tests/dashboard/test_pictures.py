"""Small pictures for a page: size and format, and what the cache keeps and forgets."""

from __future__ import annotations

import base64
import io
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from animeset_lib.cast.head_box import head_crop
from animeset_lib.dashboard import pictures
from animeset_lib.dashboard.pictures import data_uri, framed, thumbnail
from animeset_lib.media import Picture, write_image
from animeset_lib.records import Box


def _plain(color: tuple[int, int, int], height: int = 30, width: int = 40) -> Picture:
    return np.full((height, width, 3), color, np.uint8)


def _opened(uri: str) -> Image.Image:
    start, _, data = uri.partition(",")
    assert start == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert image.format == "JPEG"
    return image.convert("RGB")


def _color(uri: str) -> tuple[int, ...]:
    return tuple(int(v) for v in np.asarray(_opened(uri)).reshape(-1, 3).mean(0).round())


@pytest.mark.parametrize(
    ("height", "width", "longest", "size"),
    [
        (100, 200, 50, (50, 25)),
        (200, 100, 50, (25, 50)),
        (20, 30, 50, (30, 20)),  # never enlarged
        (50, 50, 50, (50, 50)),
        (1, 1, 50, (1, 1)),
        (1, 1, 1, (1, 1)),
        (1, 5000, 100, (100, 1)),
        (5000, 1, 100, (1, 100)),
        (33, 77, 10, (10, 4)),
    ],
)
def test_size(height: int, width: int, longest: int, size: tuple[int, int]) -> None:
    assert _opened(data_uri(_plain((9, 9, 9), height, width), longest)).size == size


@pytest.mark.parametrize("color", [(200, 30, 40), (30, 200, 40), (30, 40, 200), (128, 128, 128), (0, 0, 0)])
def test_colours_are_those_of_the_picture(color: tuple[int, int, int]) -> None:
    for longest in (10, 100):
        assert np.abs(np.subtract(_color(data_uri(_plain(color), longest)), color)).max() <= 3


def test_a_view_of_a_picture_is_fine() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 30:] = 250
    assert _color(data_uri(picture[::2, 59:30:-1], 100)) == (250, 250, 250)


def test_grey_pictures_files(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((30, 40), 90, np.uint8))
    assert np.ptp(_color(thumbnail(tmp_path / "grey.png", 20))) <= 1


def test_framed_marks_a_copy(tmp_path: Path) -> None:
    still = _plain((100, 100, 100), 360, 640)
    marked = framed(still, Box(x0=100, y0=50, x1=200, y1=150))
    assert (still == 100).all()
    assert marked.shape == still.shape
    assert tuple(marked[50, 150]) == (255, 255, 255)
    assert (marked[60:140, 110:190] == 100).all()
    assert (marked[200:] == 100).all()
    assert framed(_plain((1, 1, 1), 20, 20), Box(x0=-5, y0=-5, x1=400, y1=400)).shape == (20, 20, 3)


def test_a_face_at_the_border_is_square() -> None:
    picture = head_crop(_plain((50, 60, 70), 90, 120), Box(x0=100, y0=70, x1=120, y1=90))
    assert picture.shape[0] == picture.shape[1]
    assert (picture == (50, 60, 70)).all()


# ---- the cache -------------------------------------------------------------------------------------------------------------------


class _Counting:
    """A cut that counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, still: Picture, box: Box) -> Picture:
        self.calls += 1
        x0, y0, x1, y1 = box.pixels()
        return still[y0:y1, x0:x1]


def _box(size: int) -> Box:
    return Box(x0=0, y0=0, x1=size, y1=size)


@pytest.fixture
def red(tmp_path: Path) -> Path:
    write_image(tmp_path / "red.png", _plain((200, 0, 0)))
    return tmp_path / "red.png"


def test_the_same_picture_is_made_once(red: Path) -> None:
    cut = _Counting()
    first = thumbnail(red, 50, (cut, _box(10)))
    assert thumbnail(red, 50, (cut, _box(10))) is first
    assert cut.calls == 1
    assert _opened(first).size == (10, 10)


def test_another_cut_box_or_size_is_another_picture(red: Path) -> None:
    cut = _Counting()
    asked = ((50, None), (50, (cut, _box(10))), (50, (cut, _box(20))), (5, (cut, _box(10))), (20, None))
    sizes = [_opened(thumbnail(red, px, how)).size for px, how in asked]
    assert sizes == [(40, 30), (10, 10), (20, 20), (5, 5), (20, 15)]


def test_a_file_that_was_changed_gives_the_new_picture(red: Path) -> None:
    assert _color(thumbnail(red, 50))[0] > 150
    before = red.stat()
    write_image(red, _plain((0, 0, 200)))
    os.utime(red, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert _color(thumbnail(red, 50))[2] > 150, "the small picture"
    assert _color(thumbnail(red, 50, (_Counting(), _box(5))))[2] > 150, "the still behind it"
    write_image(red, _plain((0, 200, 0), 90, 90))
    os.utime(red, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert _color(thumbnail(red, 50))[1] > 150, "another size within the clock's tick"


def test_a_file_that_comes_back_is_shown_again(red: Path) -> None:
    data = red.read_bytes()
    assert thumbnail(red, 50)
    red.unlink()
    assert thumbnail(red, 50) == ""
    red.write_bytes(data[:40])
    assert thumbnail(red, 50) == "", "half of a picture"
    red.write_bytes(data)
    assert thumbnail(red, 50)


def test_a_still_is_read_once_for_many_cuts(red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    read = pictures.read_image
    monkeypatch.setattr(pictures, "read_image", lambda path: reads.append(path.name) or read(path))
    for size in (1, 2, 3):
        assert thumbnail(red, 50, (_Counting(), _box(size)))
    assert reads == ["red.png"]


def test_several_threads_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(6)]
    for n, path in enumerate(paths):
        write_image(path, _plain((40 * n, 0, 0), 8, 8))
    faults: list[str] = []

    def look(seed: int) -> None:
        for n in np.random.default_rng(seed).integers(0, len(paths), 300):
            try:
                if abs(_color(thumbnail(paths[n], 8))[0] - 40 * n) > 4:
                    faults.append(f"a wrong picture for {n}")
            except Exception as fault:
                faults.append(repr(fault))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
