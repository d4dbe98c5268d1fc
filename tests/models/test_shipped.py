"""The two networks that come with animeset: on drawn pictures whose truth is known, and on pictures that hold nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from animeset_demo import iter_demo_frames
from animeset_lib.cast.head_box import head_crop
from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detector, Embedder, Picture
from animeset_lib.models.engines import onnx as onnx_file
from animeset_lib.models.provider import Zoo
from animeset_lib.records import Box
from tests.models.tiny import parts


@cache
def frames() -> tuple[tuple[Picture, tuple[tuple[str, Box], ...]], ...]:
    """Sharp frames of the demo film, one a second, with the faces in them."""
    return tuple(
        (picture, tuple((p.character, Box.of(p.face_xyxy)) for p in truth.persons if p.face_xyxy))
        for picture, truth in iter_demo_frames(width=640, height=360, fps=1, length_s=45)
        if truth.defect is None
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Zoo().detector("animeset-face")


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Zoo().embedder("animeset-identity")


def test_they_are_what_auto_takes_and_as_small_as_promised() -> None:
    zoo = Zoo()
    assert zoo.info("detector", "auto").name == "animeset-face"
    assert zoo.info("embedder", "auto").name == "animeset-identity"
    assert onnx_file.shipped("animeset-face")[0].stat().st_size <= 5_000_000
    assert onnx_file.shipped("animeset-identity")[0].stat().st_size <= 6_000_000


def test_every_shipped_network_has_a_card_with_numbers() -> None:
    for path in onnx_file.SHIPPED.glob("*.onnx"):
        card = (onnx_file.SHIPPED.parent / "cards" / f"{path.stem}.md").read_text(encoding="utf-8")
        assert "## Known failures" in card
        assert "## Replacing it" in card
        assert "| 0." in card, "a card without its table of numbers"


def test_drawn_faces_are_found_and_little_else(detector: Detector) -> None:
    met, faces, false = 0, 0, 0
    for picture, known in frames():
        used = [d for d in detector.detect([picture])[0] if d.score >= detector.score_min]
        met += sum(max((d.box.iou(box) for d in used), default=0) > 0.5 for _, box in known)
        faces += len(known)
        false += sum(max((d.box.iou(box) for _, box in known), default=0) < 0.3 for d in used)
    assert faces >= 40
    assert met / faces >= 0.95
    assert false <= 0.05 * faces


def test_one_face_at_any_size_of_the_picture(detector: Detector) -> None:
    picture, known = next((p, k) for p, k in frames() if len(k) == 1)
    for factor in (0.4, 1.0, 6.0, 12.0):
        size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
        (found,) = detector.detect([cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)])
        assert found[0].score >= detector.score_min, factor
        assert found[0].box.scaled(1 / factor).iou(known[0][1]) > 0.5, factor


def test_a_close_up_that_fills_the_frame_is_found(detector: Detector) -> None:
    picture, known = next((p, k) for p, k in frames() if len(k) == 1)
    x0, y0, x1, y1 = known[0][1].grown(0.1, 0.15, 0.1, 0.05).pixels()
    close = cv2.resize(picture[y0:y1, x0:x1], (640, 640), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    (found,) = detector.detect([close])
    assert found[0].score >= detector.score_min
    assert found[0].box.area > 0.4 * 640 * 640


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((360, 640, 3), np.uint8),
        np.full((4320, 7680, 3), 255, np.uint8),
        np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (200, 1, 3)),
        np.zeros((3, 4000, 3), np.uint8),
    ],
    ids=["one pixel", "black", "white 8k", "grey ramp", "thin line"],
)
def test_pictures_without_a_face_have_none(detector: Detector, embedder: Embedder, picture: Picture) -> None:
    assert [d for d in detector.detect([picture])[0] if d.score >= detector.score_min] == []
    assert np.isfinite(embedder.embed([picture])).all()


def test_threads_may_share_it(detector: Detector) -> None:
    pictures = [picture for picture, _ in frames()[:4]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: detector.detect([picture])[0], pictures))
    assert together == detector.detect(pictures)


def test_heads_of_one_character_are_nearer_than_those_of_two(embedder: Embedder) -> None:
    who, heads = zip(*((name, head_crop(p, box)) for p, known in frames() for name, box in known), strict=True)
    vectors = embedder.embed(heads)
    first, second = np.triu_indices(len(who), k=1)
    distance = (1 - vectors @ vectors.T)[first, second]
    same = np.array(who)[first] == np.array(who)[second]
    order = np.argsort(distance)
    # Area under the verification curve by rank sum.
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    auc = 1 - (ranks[same].sum() - same.sum() * (same.sum() + 1) / 2) / (same.sum() * (~same).sum())
    assert auc >= 0.97
    assert (distance[~same] < embedder.same_distance).mean() <= 0.1


def test_a_head_and_its_mirror_image_are_one(embedder: Embedder) -> None:
    head = np.random.default_rng(0).integers(0, 256, (97, 97, 3), dtype=np.uint8)
    a, b = embedder.embed([head, head[:, ::-1]])
    assert a @ b > 0.9999


def test_a_lost_or_broken_file_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "SHIPPED", tmp_path)
    with pytest.raises(ModelError, match="install animeset again"):
        onnx_file.shipped("animeset-face")
    path = tmp_path / "animeset-face.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(
        ModelError, match=r"expected an ONNX network, got a file that cannot be opened as one.*install animeset again"
    ):
        onnx_file.open_network(path, replace(parts(path), remedy="install animeset again"))
