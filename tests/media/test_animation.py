"""Pictures given as films: those that move are films, those that do not are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.media import probe
from animeset_lib.media.animation import open_animation, still_picture
from tests.film_maker import drawing

LENGTHS = [80, 160, 0, 400]
TIMES = (0, 80, 240, 340)  # what is given no length is shown for 100 ms


def animation(path: Path, pictures: list[Image.Image] | None = None, **options: Any) -> Path:
    first, *rest = pictures or [Image.fromarray(drawing(seed)) for seed in range(4)]
    first.save(path, save_all=True, append_images=rest, duration=LENGTHS, **options)
    return path


def test_a_moving_webp_gives_its_pictures_and_times(tmp_path: Path) -> None:
    found = open_animation(animation(tmp_path / "a.webp", lossless=True))
    assert found is not None
    assert (found.width, found.height, found.times_ms, found.duration_ms) == (320, 180, TIMES, 740)
    frames = list(found.frames())
    assert tuple(time for _, time in frames) == TIMES
    assert all((picture == drawing(seed)).all() for seed, (picture, _) in enumerate(frames))
    assert [(int(picture[0, 0, 0]), time) for picture, time in found.frames(81)] == [
        (int(drawing(seed)[0, 0, 0]), TIMES[seed]) for seed in (2, 3)
    ]


def test_what_a_moving_webp_shows_through_is_white(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (20, 10), (seed * 9, 0, 0, 0 if seed == 1 else 255)) for seed in range(4)]
    found = open_animation(animation(tmp_path / "a.webp", pictures, lossless=True))
    assert found is not None
    assert [picture[0, 0].tolist() for picture, _ in found.frames()] == [[0, 0, 0], [255] * 3, [18, 0, 0], [27, 0, 0]]


def test_a_cut_webp_is_an_input_error(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", lossless=True)
    path.write_bytes(path.read_bytes()[:-3000])
    found = open_animation(path)
    assert found is not None
    with pytest.raises(InputError, match="copy or download it again"):
        list(found.frames())


@pytest.mark.parametrize("suffix", [".gif", ".png", ".avif", ".webp"])
def test_what_moves_is_no_still(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}")
    assert still_picture(path) == ""
    assert (open_animation(path) is not None) == (suffix == ".webp")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".avif", ".webp", ".jpg", ".jfif", ".bmp", ".tif", ".jp2"])
def test_a_still_picture_is_no_film(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(drawing(1)).save(tmp_path / f"a{suffix}")
    assert open_animation(tmp_path / f"a{suffix}") is None
    with pytest.raises(InputError, match=r"expected a film, got a still picture .* put the pictures into a folder"):
        probe(tmp_path / f"a{suffix}")


def test_several_pages_are_no_film(tmp_path: Path) -> None:
    pages = [Image.fromarray(drawing(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pages[1:])
    for name in ("a.tif", "a.jpg"):
        with pytest.raises(InputError, match="got a still picture"):
            probe(tmp_path / name)


@pytest.mark.parametrize("suffix", [".heic", ".jxl"])
def test_a_picture_that_is_not_read_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(np.arange(256, dtype=np.uint8).tobytes())
    with pytest.raises(InputError, match="not read; save it as PNG or JPEG"):
        probe(tmp_path / f"a{suffix}")
