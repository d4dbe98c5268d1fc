"""SSIM against values worked out by hand and against scikit-image, and where the border between same and different runs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from animeset_lib.frames.similarity import (
    ANALYSIS_SIDE_PX,
    Similarity,
    analysis_picture,
    may_have_moved,
    moved_similarity,
    similarity,
    ssim_map,
)
from animeset_lib.settings import DedupeSettings
from tests.film_maker import drawing
from tests.talking_head import Picture, brighter, camera, compressed, head, noisy, subtitle


def same(a: Picture, b: Picture) -> bool:
    """Confirmed with the default settings, as the stage asks: as they stand, else with a small move taken out."""
    limits = DedupeSettings()
    a, b = analysis_picture(a), analysis_picture(b)
    found = similarity(a, b)
    tries = [found, moved_similarity(a, b)] if may_have_moved(found) else [found]
    return any(t.mean >= limits.ssim_min and t.worst >= limits.local_ssim_min for t in tries)


# ------------------------------------------------------------------------------------------------------------- the measure


def test_two_flat_pictures_differ_only_in_light() -> None:
    """Variance 0: (2 * 100 * 120 + C1) / (100^2 + 120^2 + C1), C1 = (0.01 * 255)^2 = 6.5025."""
    a, b = np.full((20, 30), 100, np.float32), np.full((20, 30), 120, np.float32)
    assert ssim_map(a, b) == pytest.approx((24_000 + 6.5025) / (24_400 + 6.5025), abs=5e-4)


def test_a_board_and_its_opposite() -> None:
    """Every window has mean 128, variance 400 and covariance -400: (-800 + C2) / (800 + C2), C2 = (0.03 * 255)^2 = 58.5225.
    The weights of the window's even and odd pixels are equal within 0.001 %."""
    sign = np.where(np.indices((40, 40)).sum(axis=0) % 2, 1, -1)
    a, b = (128 + 20 * sign).astype(np.float32), (128 - 20 * sign).astype(np.float32)
    assert ssim_map(a, b)[8:-8, 8:-8] == pytest.approx((-800 + 58.5225) / (800 + 58.5225), abs=1e-3)


def test_equal_pictures_give_one_and_order_does_not_matter() -> None:
    a, b = (cv2.cvtColor(drawing(seed), cv2.COLOR_RGB2GRAY).astype(np.float32) for seed in (1, 2))
    assert ssim_map(a, a) == pytest.approx(1, abs=5e-4)
    assert ssim_map(a, b) == pytest.approx(ssim_map(b, a), abs=5e-4)
    assert ssim_map(a, b).mean() < 0.6


@pytest.mark.parametrize("shape", [(180, 320), (33, 47), (12, 200)])
def test_as_scikit_image(shape: tuple[int, int]) -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is compared with where it is installed")
    random = np.random.default_rng(0)
    a = cv2.resize(cv2.cvtColor(drawing(1), cv2.COLOR_RGB2GRAY), shape[::-1])
    b = np.clip(a + random.normal(0, 12, a.shape), 0, 255).astype(np.uint8)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, expected = metrics.structural_similarity(a, b, full=True, **options)
    assert ssim_map(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (320, 7)])
def test_any_size(size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 90, np.uint8)
    for found in (similarity(picture, picture), moved_similarity(picture, picture)):
        assert found.mean == pytest.approx(1)
        assert found.worst == pytest.approx(1)


def test_other_shapes_are_never_similar_other_sizes_may_be() -> None:
    assert similarity(drawing(1), drawing(1, 320, 240)) == Similarity(0.0, 0.0)
    assert moved_similarity(drawing(1), drawing(1, 320, 240)) == Similarity(0.0, 0.0)
    assert same(head(), cv2.resize(head(), (427, 240), interpolation=cv2.INTER_AREA))


def test_analysis_picture_is_small_and_keeps_its_shape() -> None:
    assert analysis_picture(drawing(1, 1920, 800)).shape == (133, ANALYSIS_SIDE_PX, 3)
    assert analysis_picture(drawing(1, 480, 640)).shape == (ANALYSIS_SIDE_PX, 240, 3)
    small = drawing(1, 100, 60)
    assert analysis_picture(small) is small


# -------------------------------------------------------------------------------------------------- same or another drawing


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: noisy(p, 4), id="grain"),
        pytest.param(lambda p: compressed(p, 30), id="strong compression"),
        pytest.param(lambda p: compressed(noisy(p, 3), 60), id="grain and compression"),
        pytest.param(lambda p: brighter(p, 0.95), id="5 % darker"),
        pytest.param(lambda p: camera(p, right=1, down=1), id="jitter of 1 px"),
        pytest.param(lambda p: camera(p, right=24), id="slow pan by 24 px"),
        pytest.param(lambda p: camera(p, zoom=1.04), id="slow zoom by 4 %"),
        pytest.param(lambda p: cv2.GaussianBlur(p, (0, 0), 1.5), id="softer"),
        pytest.param(lambda p: subtitle(p, "and then she said"), id="a subtitle"),
    ],
)
@pytest.mark.parametrize("scene", [3, 8])
def test_a_held_drawing_stays_the_same(change: Callable[[Picture], npt.NDArray[np.uint8]], scene: int) -> None:
    picture = head(scene=scene)
    assert same(picture, change(picture))


EXPRESSIONS = {
    "neutral": head(),
    "mouth open": head(mouth="open"),
    "smile": head(mouth="smile"),
    "eyes shut": head(eyes="shut"),
    "looks aside": head(eyes="aside"),
    "laughs": head(mouth="open", eyes="shut"),
}


@pytest.mark.parametrize(
    ("a", "b"), [(a, b) for i, a in enumerate(EXPRESSIONS) for b in list(EXPRESSIONS)[i + 1 :]], ids=lambda name: name
)
def test_another_expression_is_another_drawing(a: str, b: str) -> None:
    assert not same(EXPRESSIONS[a], EXPRESSIONS[b])


@pytest.mark.parametrize("size", [380, 260, 180])
@pytest.mark.parametrize("change", [{"mouth": "open"}, {"eyes": "shut"}], ids=str)
def test_expressions_count_from_close_up_to_a_quarter_of_the_height(size: int, change: dict[str, str]) -> None:
    assert not same(head(size=size), head(size=size, **change))  # type: ignore[arg-type]


def test_an_expression_counts_although_the_camera_moves() -> None:
    assert not same(head(), camera(head(mouth="open"), right=16))
    assert not same(head(), camera(head(eyes="shut"), zoom=1.03))


def test_a_far_figures_lips_do_not_count() -> None:
    """A face of 50 pixels in 720: the mouth moves by 2 of them."""
    assert same(head(size=50), head(size=50, mouth="half"))


def test_a_sepia_memory_is_another_picture() -> None:
    picture = head()
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)
    found = similarity(analysis_picture(picture), analysis_picture(grey))
    assert found.mean > 0.98, "the lines are equal"
    assert not same(picture, grey)


def test_half_faded_and_flashed_pictures_are_not_the_same() -> None:
    picture = head()
    assert not same(picture, brighter(picture, 0.4))
    assert not same(picture, (picture // 3 + 170).astype(np.uint8))


def test_another_scene_is_another_picture() -> None:
    assert not same(head(scene=3), head(scene=4))
    assert not same(drawing(1, 1280, 720), drawing(2, 1280, 720))
