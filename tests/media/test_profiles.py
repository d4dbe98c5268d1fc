"""Pictures whose colours are not sRGB: converted by their ICC profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from animeset_lib.media import read_image
from tests.film_maker import drawing
from tests.icc import ADOBE_RGB, adobe_rgb_of, cmyk_profile, gray_profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _difference(one: Any, other: Any) -> float:
    """The mean CIE76 colour difference."""
    labs = [cv2.cvtColor(np.float32(picture) / 255, cv2.COLOR_RGB2LAB) for picture in (one, other)]
    return float(np.linalg.norm(labs[0] - labs[1], axis=2).mean())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_adobe_rgb_becomes_srgb(tmp_path: Path, suffix: str) -> None:
    original = drawing(3)
    path = tmp_path / f"a{suffix}"
    options: dict[str, Any] = {".webp": {"lossless": True}, ".avif": {"quality": 100, "subsampling": "4:4:4"}}.get(
        suffix, {}
    )
    Image.fromarray(adobe_rgb_of(original)).save(path, icc_profile=ADOBE_RGB, **options)
    assert _difference(adobe_rgb_of(original), original) > 3
    assert _difference(read_image(path), original) < 1


@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "L", "LA"])
def test_profiles_reach_every_mode(tmp_path: Path, mode: str) -> None:
    colour = Image.new("RGB", (8, 8), (200, 90, 60)).convert(mode)
    gray = mode in ("1", "L", "LA")
    colour.save(tmp_path / "a.png", icc_profile=gray_profile(1.0) if gray else ADOBE_RGB)
    plain = np.asarray(colour.convert("RGB"))[0, 0].astype(float) / 255
    if gray:  # a linear grey, by the curve of sRGB
        expected = np.where(plain <= 0.0031308, plain * 12.92, 1.055 * plain ** (1 / 2.4) - 0.055) * 255
        assert np.abs(read_image(tmp_path / "a.png")[0, 0] - expected).max() <= 1
    else:
        assert (adobe_rgb_of(read_image(tmp_path / "a.png"))[0, 0] == np.asarray(colour.convert("RGB"))[0, 0]).all()


def test_what_is_transparent_stays_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (200, 90, 60, 0)).save(tmp_path / "a.png", icc_profile=ADOBE_RGB)
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_more_than_eight_bits_of_grey_are_converted_too(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 0x8080, np.uint16)).save(tmp_path / "a.png", icc_profile=gray_profile(1.0))
    assert np.abs(read_image(tmp_path / "a.png").astype(int) - 188).max() <= 1


def _press() -> bytes:
    """A press whose cyan, magenta and yellow are the inks of a magazine, and whose overprints darken as Lab."""
    paper = np.array([95.0, 0.0, 0.0])
    inks = np.array([[55, -37, -50], [48, 74, -3], [89, -5, 93], [16, 0, 0]], float)
    corners = np.empty((2, 2, 2, 2, 3))
    for which in np.ndindex(2, 2, 2, 2):
        used = [inks[i] for i in range(4) if which[i]]
        corners[which] = np.mean(used, axis=0) - [12.0 * (len(used) - 1), 0, 0] if used else paper
    coded = np.rint(corners * [2.55, 1, 1] + [0, 128, 128])
    return cmyk_profile(np.clip(coded, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("ink", "lab"),
    [
        ((128, 0, 0, 0), (75, -19, -25)),
        ((0, 128, 0, 0), (71, 37, -2)),
        ((0, 0, 128, 0), (92, -3, 47)),
        ((0, 0, 0, 128), (55, 0, 0)),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_looks_as_its_inks_do(tmp_path: Path, ink: tuple[int, ...], lab: tuple[float, ...], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("CMYK", (16, 16), ink).save(path, icc_profile=_press(), quality=100)
    seen = cv2.cvtColor(np.float32(read_image(path)) / 255, cv2.COLOR_RGB2LAB)[8, 8]
    # half a tint lies within sRGB; paper and black are stretched to the screen's white and black
    assert np.linalg.norm(seen - lab) < 10


@pytest.mark.parametrize(
    "picture", [Image.fromarray(drawing(4)), Image.new("L", (9, 5), 77), Image.new("RGBA", (9, 5), (9, 200, 77, 99))]
)
def test_srgb_by_profile_stays_as_it_is(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "tagged.png", icc_profile=SRGB)
    assert (read_image(tmp_path / "tagged.png") == read_image(tmp_path / "plain.png")).all()


@pytest.mark.parametrize(
    "profile", [b"no profile", ADOBE_RGB[:200], gray_profile(1.0), _press()], ids=["nonsense", "cut", "gray", "cmyk"]
)
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(drawing(4)).save(tmp_path / "a.png", icc_profile=profile)
    assert (read_image(tmp_path / "a.png") == drawing(4)).all()
