"""What is measured of a still while it is in memory, and the order in which stills come."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from animeset_lib.frames.similarity import ANALYSIS_SIDE_PX, analysis_picture
from animeset_lib.frames.stills import StillWriter, sharpness, slopes_at, small_file, write_still
from animeset_lib.media import read_image
from animeset_lib.records import Frame
from tests.talking_head import Picture, brighter, head, noisy, subtitle


def still(number: int) -> Frame:
    return Frame(id=f"f-{number}", pts_ms=number, shot=0, file=f"f-{number}.png", width=1280, height=720, cause="shot")


def test_a_still_is_written_with_its_small_picture_and_its_sharpness(tmp_path: Path) -> None:
    row = write_still(tmp_path, still(0), head())
    assert np.array_equal(read_image(tmp_path / "f-0.png"), head())
    assert np.array_equal(read_image(small_file(tmp_path, row)), analysis_picture(head()))
    assert max(read_image(small_file(tmp_path, row)).shape) == ANALYSIS_SIDE_PX
    assert row == still(0).model_copy(update={"sharpness": round(sharpness(head()), 3)})


def test_rows_come_in_order_and_few_pictures_are_held(tmp_path: Path) -> None:
    def slow(number: int) -> Picture:
        time.sleep(0.05 if number % 3 == 0 else 0)
        return head(scene=number % 4)

    rows: list[Frame] = []
    held = 0
    with StillWriter(tmp_path, threads=2) as writer:
        for number in range(12):
            frame = still(number)
            rows += writer.write(frame, partial(slow, number)) if number % 4 else writer.pass_on(frame)
            held = max(held, number + 1 - len(rows))
        rows += writer.rest()
    assert [row.id for row in rows] == [f"f-{n}" for n in range(12)]
    assert [row.sharpness > 0 for row in rows] == [n % 4 > 0 for n in range(12)]
    assert held <= 4


def test_a_failed_still_is_raised(tmp_path: Path) -> None:
    def fails() -> Picture:
        raise OSError("disk full")

    with StillWriter(tmp_path, threads=1) as writer, pytest.raises(OSError, match="disk full"):
        _ = [*writer.write(still(0), fails), *writer.rest()]


def test_sharpness_falls_with_blur_and_fade() -> None:
    values = [sharpness(cv2.GaussianBlur(head(), (0, 0), s).astype(np.uint8)) for s in (0.3, 0.8, 1.5, 3, 6)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 2 * values[-1]
    assert sharpness(brighter(head(), 0.5)) == pytest.approx(sharpness(head()) / 2, rel=0.05)


def test_sharpness_is_not_fooled_by_grain_or_subtitles() -> None:
    soft = cv2.GaussianBlur(head(), (0, 0), 2).astype(np.uint8)
    assert sharpness(noisy(soft, 10)) == pytest.approx(sharpness(soft), rel=0.05)
    assert sharpness(noisy(soft, 10)) < sharpness(head())
    assert sharpness(subtitle(soft, "sharp white letters")) == pytest.approx(sharpness(soft), rel=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 50, 3), (720, 1280, 3)])
def test_a_picture_without_edges_has_no_sharpness(shape: tuple[int, int, int]) -> None:
    assert sharpness(np.full(shape, 77, np.uint8)) == 0


def test_slopes_are_those_of_the_whole_picture() -> None:
    """The measure looks at a hundredth of the pixels; it must be what OpenCV gives for all of them, at the border, too."""
    grey = np.random.default_rng(0).integers(0, 256, (97, 61), dtype=np.uint8)
    across, down = cv2.spatialGradient(grey)
    lines, columns = (axis.ravel() for axis in np.indices(grey.shape))
    found = slopes_at(grey, lines, columns)
    assert np.array_equal(found[0], across.ravel())
    assert np.array_equal(found[1], down.ravel())
