"""The face detector on drawn faces whose place is known, and its guard against another library layout."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import pytest

from animeset_demo import iter_demo_frames
from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detector, Picture
from animeset_lib.models.detectors import animeface
from animeset_lib.models.provider import Zoo
from animeset_lib.records import Box


@cache
def faces() -> tuple[tuple[Picture, Box], ...]:
    """Frames of the demo film with exactly one face, sharp and evenly lit, one per character and shot."""
    found: dict[tuple[str, int], tuple[Picture, Box]] = {}
    for picture, truth in iter_demo_frames(width=640, height=360, fps=2, length_s=30):
        if truth.defect is None and len(truth.persons) == 1 and truth.persons[0].face_xyxy:
            found.setdefault((truth.persons[0].character, truth.shot), (picture, Box.of(truth.persons[0].face_xyxy)))
    return tuple(found.values())


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Zoo().detector("animeface")


def test_drawn_faces_are_found_where_they_are(detector: Detector) -> None:
    known = faces()
    assert len(known) >= 5
    overlaps = [
        max((d.box.iou(box) for d in found), default=0.0)
        for found, (_, box) in zip(detector.detect([picture for picture, _ in known]), known, strict=True)
    ]
    assert np.mean(np.array(overlaps) > 0.5) >= 0.8, overlaps
    assert np.median(overlaps) > 0.6, overlaps


def test_very_large_and_small_pictures_give_the_same_face(detector: Detector) -> None:
    picture, box = faces()[0]
    for factor in (0.6, 1.0, 6.0):
        size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
        (found,) = detector.detect([cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)])
        assert found[0].box.scaled(1 / factor).iou(box) > 0.5, factor


def test_threads_may_share_it(detector: Detector) -> None:
    pictures = [picture for picture, _ in faces()[:4]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: detector.detect([picture])[0], pictures))
    assert together == detector.detect(pictures)


def test_a_library_with_another_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def misread(values: np.ndarray) -> object:  # rows and columns swapped, as another layout would
        rows, cols, n = values.shape
        return ctypes.byref(animeface._Matrix(1, values.size, n, rows * cols, cols, rows, n, 0, values.ctypes.data))

    monkeypatch.setattr(animeface, "_matrix", misread)
    with pytest.raises(ModelError, match="does not answer as version"):
        animeface._Nvxs()


def test_without_the_wheel_it_is_not_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animeface.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="not installed"):
        animeface.weights()
