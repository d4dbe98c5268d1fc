"""Quality: each defect on a drawn face, what must not count as one, and the stage's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import write_image
from animeset_lib.pictures.measure import find_mixture, measure_face, mixing_patch
from animeset_lib.pictures.quality import GATES, QualityStage, find_faults, rate
from animeset_lib.records import Box, CastRow, Frame, QualityRow, Region
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import QualitySettings

Picture = npt.NDArray[np.uint8]
SIZE = (640, 360)
LIMITS = QualitySettings()


def draw(
    height: int = 160, hair: tuple[int, int, int] = (90, 60, 140), seed: int = 0, at: tuple[int, int] = (320, 180)
) -> tuple[Picture, Box]:
    """A cel-shaded head with dark lines before a soft, painted background, and its face box (brow to chin)."""
    rng = np.random.default_rng(seed)
    soft = rng.integers(60, 220, (6, 10, 3), dtype=np.uint8)
    picture = cv2.resize(soft, SIZE, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    unit, ink = height / 100, (30, 20, 30)

    def p(x: float, y: float) -> tuple[int, int]:
        return round((at[0] + x * unit) * 8), round((at[1] + y * unit) * 8)

    def line(*points: tuple[float, float], width: float = 1.6) -> None:
        cv2.polylines(
            picture, [np.array([p(*q) for q in points])], False, ink, max(1, round(width * unit)), cv2.LINE_AA, 3
        )

    def disc(x: float, y: float, a: float, b: float, colour: tuple[int, int, int]) -> None:
        axes = round(a * unit * 8), round(b * unit * 8)
        cv2.ellipse(picture, p(x, y), axes, 0, 0, 360, colour, -1, cv2.LINE_AA, 3)
        cv2.ellipse(picture, p(x, y), axes, 0, 0, 360, ink, max(1, round(1.4 * unit)), cv2.LINE_AA, 3)

    disc(0, -20, 62, 70, hair)
    disc(0, 0, 45, 50, (250, 220, 200))
    for side in (-1, 1):
        disc(side * 19, -2, 9, 12, (60, 90, 160))
        line((side * 8, -18), (side * 20, -23), (side * 31, -18), width=2.4)
    line((-10, 28), (0, 32), (10, 28))
    line((-40, -30), (-25, -48), (-12, -26), (0, -50), (14, -26), (28, -47), (40, -28))
    face = Box(x0=at[0] - 45 * unit, y0=at[1] - 50 * unit, x1=at[0] + 45 * unit, y1=at[1] + 50 * unit)
    return picture, face


def faults(picture: Picture, face: Box, limits: QualitySettings = LIMITS) -> list[str]:
    own = {gate.measure: gate.of(picture, face) for gate in GATES.values() if gate.of}
    return list(find_faults({**measure_face(picture, face), **own, "blend": 0.0}, limits))


def scaled(picture: Picture, gain: float, offset: float = 0) -> Picture:
    return np.clip(picture * gain + offset, 0, 255).astype(np.uint8)


def moved(picture: Picture, length: int, degrees: float) -> Picture:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length // 2, length // 2), degrees, 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(picture, -1, kernel / kernel.sum()).astype(np.uint8)


def coded(picture: Picture, quality: int) -> Picture:
    data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def noisy(picture: Picture, sigma: float) -> Picture:
    return scaled(picture + np.random.default_rng(1).normal(0, sigma, picture.shape), 1)


def interlaced(picture: Picture, moved_px: int) -> Picture:
    combed = picture.copy()
    combed[1::2] = np.roll(picture, moved_px, axis=1)[1::2]
    return combed


@pytest.mark.parametrize("height", [50, 80, 160, 320])
def test_a_clean_drawing_has_no_fault(height: int) -> None:
    assert faults(*draw(height)) == []


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(lambda p: coded(p, 80), id="usual coding"),
        pytest.param(lambda p: noisy(p, 3), id="light grain"),
        pytest.param(lambda p: scaled(p, 0.4), id="a dark scene"),
        pytest.param(lambda p: scaled(p * np.array([0.45, 0.55, 0.9]), 1), id="a blue night"),
        pytest.param(lambda p: scaled(p * np.array([1.0, 0.7, 0.4]), 1), id="a sunset"),
        pytest.param(lambda p: cv2.GaussianBlur(p, (0, 0), 0.8), id="a soft master"),
    ],
)
def test_style_is_no_fault(harmless: Callable[[Picture], Picture]) -> None:
    picture, face = draw()
    assert faults(harmless(picture), face) == []


def test_a_blurred_background_and_few_lines_are_no_fault() -> None:
    picture = np.full((360, 640, 3), (250, 220, 200), np.uint8)
    picture[:, 400:] = cv2.GaussianBlur(draw()[0], (0, 0), 9)[:, 400:]
    for x in (170, 230):
        cv2.ellipse(picture, (x, 170), (9, 14), 0, 0, 360, (40, 20, 30), -1, cv2.LINE_AA)
    cv2.line(picture, (185, 215), (215, 215), (40, 20, 30), 2, cv2.LINE_AA)
    assert faults(picture, Box(x0=130, y0=120, x1=270, y1=260)) == []


@pytest.mark.parametrize("height", [60, 160, 300])
@pytest.mark.parametrize(
    ("code", "defect"),
    [
        pytest.param("too_dark", lambda p, h: scaled(p, 0.12), id="darkness"),
        pytest.param("too_bright", lambda p, h: scaled(p, 0.2, 200), id="glare"),
        pytest.param("flat", lambda p, h: scaled(p, 0.15, 100), id="haze"),
        pytest.param("blurred", lambda p, h: cv2.GaussianBlur(p, (0, 0), 0.03 * h), id="blur"),
        pytest.param("blurred", lambda p, h: cv2.GaussianBlur(p, (0, 0), 0.08 * h), id="strong blur"),
        pytest.param("blurred", lambda p, h: moved(p, round(0.2 * h), 0), id="pan"),
        pytest.param("blurred", lambda p, h: moved(p, round(0.2 * h), 45), id="diagonal move"),
        pytest.param("blurred", lambda p, h: moved(p, round(0.2 * h), 90), id="tilt"),
        pytest.param("noisy", lambda p, h: noisy(p, 20), id="noise"),
        pytest.param("blocky", lambda p, h: coded(p, 8), id="blocks"),
        pytest.param("combed", lambda p, h: interlaced(p, round(0.1 * h)), id="two moments"),
    ],
)
def test_each_defect_is_named(code: str, defect: Callable[[Picture, float], Picture], height: int) -> None:
    picture, face = draw(height)
    assert code in faults(np.ascontiguousarray(defect(picture, height)), face)


def test_blur_is_measured_against_the_face_not_the_pixels() -> None:
    small = draw(100)
    large = draw(300)
    blurs = [measure_face(cv2.GaussianBlur(p, (0, 0), 0.04 * f.height), f)["blur"] for p, f in (small, large)]
    assert blurs[0] == pytest.approx(blurs[1], rel=0.25)


def test_too_small_and_every_sentence_has_its_numbers() -> None:
    picture, face = draw(30)
    found = find_faults({**measure_face(picture, face), "blend": 0.0, "combs": 0.0}, LIMITS)
    assert next(iter(found)) == "too_small"
    assert found["too_small"] == "the face is 30 px high, at least 48 are needed"


def test_any_box_and_size_can_be_measured() -> None:
    for shape in ((1, 1), (3, 400), (9, 9), (40, 40), (200, 7)):
        picture = np.full((*shape, 3), 128, np.uint8)
        measured = measure_face(picture, Box(x0=0, y0=0, x1=shape[1], y1=shape[0]))
        assert all(np.isfinite(value) for value in measured.values())
        assert measured["blur"] == 0
    outside = measure_face(draw()[0], Box(x0=-30, y0=-30, x1=60, y1=60))
    assert all(np.isfinite(value) for value in outside.values())


@pytest.mark.parametrize(
    ("change", "worse"),
    [("blur", 1.5), ("noise", 5.0), ("blockiness", 0.8), ("blend", 0.15), ("face_px", 60.0), ("contrast", 70.0)],
)
def test_rating_falls_with_every_fault(change: str, worse: float) -> None:
    good = {"blur": 0.2, "noise": 0.5, "blockiness": 0.2, "blend": 0.0, "face_px": 250.0, "contrast": 180.0}
    assert 0 < rate({**good, change: worse}, LIMITS) < rate(good, LIMITS) <= 1


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_dissolve_is_explained_by_its_neighbours(share: float) -> None:
    (one, face), (other, _) = draw(seed=1), draw(seed=2, hair=(220, 200, 90), at=(350, 150))
    blend = scaled(share * one + (1 - share) * other, 1)
    patch, before, after = (mixing_patch(p, face) for p in (blend, one, other))
    found = find_mixture(patch, [before], [after])
    assert found is not None
    assert found.residual < 0.1
    assert found.share == pytest.approx(min(share, 1 - share), abs=0.03)


def test_a_fade_counts_the_colour_and_a_change_of_light_counts_nothing() -> None:
    picture, face = draw()
    black = np.zeros_like(picture)
    patch = mixing_patch(scaled(picture, 0.4), face)
    fade = find_mixture(patch, [mixing_patch(picture, face)], [mixing_patch(black, face)])
    assert fade is not None
    assert fade.fade
    assert fade.share == pytest.approx(0.6, abs=0.03)
    light = find_mixture(patch, [mixing_patch(picture, face)], [mixing_patch(scaled(picture, 0.2), face)])
    assert light is None


@pytest.fixture
def film(make_output: Callable[..., Output]) -> Callable[..., dict[StageType, Output[Any, Any]]]:
    """`film(pictures, faces)`: finished 1_extract, 3a_detect and 3d_cast, one face per picture, 250 ms apart."""

    def make(
        pictures: list[Picture], faces: list[Box], characters: list[str | None] | None = None
    ) -> dict[StageType, Output[Any, Any]]:
        names = characters or ["anna"] * len(pictures)
        frames = [
            Frame(
                id=f"f-{i:03d}", pts_ms=250 * i, shot=0, file=f"f{i}.png", width=SIZE[0], height=SIZE[1], cause="change"
            )
            for i in range(len(pictures))
        ]
        regions = [
            Region(
                id=f"f-{i:03d}-00",
                frame_id=f"f-{i:03d}",
                face=face,
                person=face,
                person_estimated=True,
                score=1,
                width=SIZE[0],
                height=SIZE[1],
            )
            for i, face in enumerate(faces)
        ]
        cast = [
            CastRow(
                id=region.id,
                character=name,
                cluster=0 if name else -1,
                source="cluster" if name else "noise",
                confidence=1,
                dropped=None if name else "noise",
            )
            for region, name in zip(regions, names, strict=True)
        ]
        given = {
            ExtractStage: make_output(ExtractStage, frames),
            DetectStage: make_output(DetectStage, regions),
            CastStage: make_output(CastStage, cast),
        }
        for i, picture in enumerate(pictures):
            write_image(given[ExtractStage].path / f"f{i}.png", picture)
        return given

    return make


def test_stage_rows(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    make_context: Callable[..., Context],
    run_stage: Callable[..., Output],
) -> None:
    clean, face = draw()
    blurred = cv2.GaussianBlur(clean, (0, 0), 8).astype(np.uint8)
    given = film([clean, blurred, clean, scaled(clean, 0.1), clean], [face] * 5, ["anna", "anna", None, "anna", "anna"])
    (given[ExtractStage].path / "f4.png").write_bytes(b"no picture")
    output = run_stage(QualityStage(LIMITS), given, make_context())
    assert [(row.id, row.dropped) for row in output.rows] == [
        ("f-000-00", None),
        ("f-001-00", "blurred"),
        ("f-003-00", "too_dark"),
        ("f-004-00", "unreadable"),
    ]
    rows: list[QualityRow] = output.rows
    assert set(rows[0].measured) == set(rows[1].measured) >= {"blur", "noise", "blend", "face_px", "luma_mean"}
    assert rows[0].score > rows[1].score
    assert rows[0].why == ""
    assert "% of the face height" in rows[1].why
    notes = output.notes
    assert sum(notes.distribution["blur"].counts) == 3
    assert notes.beyond_limit["blurred"] == 1
    assert notes.limits == LIMITS


def test_stage_finds_blends_and_is_the_same_in_any_batch(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    make_context: Callable[..., Context],
    run_stage: Callable[..., Output],
) -> None:
    one, face = draw(seed=1)
    other = draw(seed=2, hair=(220, 200, 90), at=(360, 150))[0]
    dissolve = [scaled(one * (1 - share) + other * share, 1) for share in (0, 0, 0.33, 0.67, 1, 1)]
    fade = [scaled(other, share) for share in (0.75, 0.5, 0.25, 0, 0)]
    given = film(dissolve + fade, [face] * 11)
    outputs = [run_stage(QualityStage(LIMITS), given, make_context(), batch=size).rows for size in (1, 3, 100)]
    assert outputs[0] == outputs[1] == outputs[2]
    codes = [row.dropped for row in outputs[0]]
    assert codes[:2] == [None, None]
    assert codes[2:4] == ["blend", "blend"]
    assert codes[4:6] == [None, None]
    assert codes[6:8] == ["blend", "blend"]
    assert all(codes[8:])


def test_an_empty_film(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    make_context: Callable[..., Context],
    run_stage: Callable[..., Output],
) -> None:
    clean, face = draw()
    assert run_stage(QualityStage(LIMITS), film([clean], [face], [None]), make_context()).rows == []
