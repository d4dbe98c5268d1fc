"""3a_detect: figures from boxes, rows for everything the detector said, stills that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from animeset_lib.cast.body_parts import join_figures
from animeset_lib.cast.detect import DetectNotes, DetectStage
from animeset_lib.cast.head_box import estimated_person, head_box, head_crop
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import write_image
from animeset_lib.models.api import Detection
from animeset_lib.records import Box, DedupeRow, Frame, Region
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import DetectSettings
from tests.fakes import FAKE_FACE_RGB, FakeModels


def face(x0: float, y0: float, x1: float, y1: float, score: float = 0.9) -> Detection:
    return Detection("face", Box(x0=x0, y0=y0, x1=x1, y1=y1), score)


def person(x0: float, y0: float, x1: float, y1: float) -> Detection:
    return Detection("person", Box(x0=x0, y0=y0, x1=x1, y1=y1), 0.9)


class OneAnswer(FakeModels):
    """Every picture holds the same boxes."""

    def __init__(self, *answer: Detection) -> None:
        super().__init__()
        self._detector.detect = lambda pictures: [list(answer) for _ in pictures]  # type: ignore[method-assign]


@pytest.fixture
def stills(make_output: Callable[..., Output]) -> Callable[..., dict[StageType, Output[Any, Any]]]:
    """`stills(pictures)`: finished 1_extract and 2_dedupe with one still per picture, all kept."""

    def make(
        pictures: list[np.ndarray], duplicates: tuple[int, ...] = (), shots: tuple[int, ...] = ()
    ) -> dict[StageType, Output[Any, Any]]:
        frames = [
            Frame(
                id=f"abc-{i:09d}",
                pts_ms=i,
                shot=shots[i] if shots else 0,
                file=f"f{i}.png",
                width=p.shape[1],
                height=p.shape[0],
                cause="change",
            )
            for i, p in enumerate(pictures)
        ]
        given = {
            ExtractStage: make_output(ExtractStage, frames),
            DedupeStage: make_output(
                DedupeStage,
                [
                    DedupeRow(id=f.id, phash="0" * 16, sharpness=1.0, dropped="duplicate" if i in duplicates else None)
                    for i, f in enumerate(frames)
                ],
            ),
        }
        for frame, picture in zip(frames, pictures, strict=True):
            write_image(given[ExtractStage].path / frame.file, picture)
        return given

    return make


def drawn(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    picture = np.full((200, 300, 3), 128, np.uint8)
    for x0, y0, x1, y1 in boxes:
        picture[y0:y1, x0:x1] = FAKE_FACE_RGB
    return picture


@pytest.mark.parametrize(
    ("boxes", "doubles"),
    [
        ([face(0, 0, 50, 50)], []),
        ([face(0, 0, 50, 50, 0.9), face(5, 5, 55, 55, 0.8)], [(5, 5)]),
        ([face(0, 0, 50, 50, 0.8), face(5, 5, 55, 55, 0.9)], [(0, 0)]),
        ([face(0, 0, 80, 80, 0.9), face(20, 20, 50, 50, 0.5)], [(20, 20)]),
        ([face(0, 0, 50, 50), face(45, 0, 95, 50)], []),
    ],
    ids=["alone", "shifted", "the better one stays", "inside a larger one", "cheek to cheek"],
)
def test_doubles_of_one_face_are_found(boxes: list[Detection], doubles: list[tuple[float, float]]) -> None:
    figures = join_figures(boxes)
    assert len(figures) == len(boxes)
    assert [(f.face.x0, f.face.y0) for f in figures if f.double_of is not None] == doubles


def test_a_double_of_a_double_does_not_pull_a_third_face_in() -> None:
    figures = join_figures([face(0, 0, 100, 100, 0.9), face(30, 0, 130, 100, 0.8), face(62, 0, 162, 100, 0.7)])
    assert [f.double_of is None for f in figures] == [True, False, True]


def boxed(kind: Literal["head", "person", "halfbody"], *xyxy: float, score: float = 0.9) -> Detection:
    return Detection(kind, Box.of(tuple(xyxy)), score)  # type: ignore[arg-type]


def test_bodies_are_dealt_out_so_that_all_fit() -> None:
    """The front figure's face lies inside the narrow body behind it as well; taking the smallest body would rob that one of its own."""
    front, behind = person(50, 50, 250, 300), person(120, 20, 200, 300)
    figures = join_figures([face(130, 60, 170, 100, 0.9), face(150, 22, 170, 45, 0.8), behind, front])
    assert [f.person for f in figures] == [front.box, behind.box]
    alone = join_figures([face(100, 10, 140, 50, 0.9), face(110, 60, 150, 100, 0.8), person(80, 0, 200, 300)])
    assert [f.person is not None for f in alone] == [True, False], "a body has one head, at its upper end"
    assert join_figures([front]) == []


def test_face_head_and_bodies_of_one_figure_are_one() -> None:
    head, body, half = (
        boxed("head", 90, 0, 160, 70),
        boxed("person", 60, 0, 190, 300),
        boxed("halfbody", 65, 0, 185, 150),
    )
    (one,) = join_figures([half, body, face(100, 25, 150, 65), head])
    assert (one.head, one.person, one.halfbody, one.faceless) == (head.box, body.box, half.box, False)


def test_a_head_without_a_face_is_a_figure_without_one() -> None:
    """Two heads side by side, one seen from behind; the bodies go to their own heads."""
    seen, back = boxed("head", 0, 0, 100, 100), boxed("head", 200, 0, 300, 100, score=0.8)
    left, right = person(0, 0, 120, 300), person(190, 0, 310, 300)
    figures = join_figures([face(20, 40, 80, 95), back, seen, right, left])
    assert [(f.faceless, f.person, f.head) for f in figures] == [
        (False, left.box, seen.box),
        (True, right.box, back.box),
    ]
    assert figures[1].face.intersection(back.box) == pytest.approx(figures[1].face.area)
    assert figures[1].score == 0.8


def test_two_who_stand_close_keep_a_body_each() -> None:
    """Their bodies share nearly half of their union, as those of two people side by side do."""
    left, right = person(0, 0, 100, 300), person(35, 0, 135, 300)
    figures = join_figures([face(30, 20, 60, 50), face(85, 20, 115, 50), left, right])
    assert [f.person for f in figures] == [left.box, right.box]


def test_a_doubtful_box_does_not_take_the_head_of_a_sure_face() -> None:
    sure, doubtful = face(105, 110, 155, 160, 0.95), face(140, 156, 160, 176, 0.12)
    figures = join_figures([sure, doubtful, boxed("head", 100, 100, 200, 200), person(80, 95, 260, 600)])
    assert [(f.score, f.head is not None, f.person is not None) for f in figures] == [
        (0.95, True, True),
        (0.12, False, False),
    ]


def test_the_same_head_seen_by_two_detectors_is_one() -> None:
    figures = join_figures(
        [face(20, 40, 80, 95), boxed("head", 0, 0, 100, 100), boxed("head", 3, 0, 104, 100, score=0.6)]
    )
    assert [(f.head, f.faceless) for f in figures] == [(Box(x0=0, y0=0, x1=100, y1=100), False)]


def test_figures_do_not_depend_on_the_order_of_the_answer() -> None:
    boxes = [face(0, 0, 50, 50, 0.5), face(5, 5, 55, 55, 0.5), face(100, 0, 150, 50, 0.5), person(0, 0, 60, 200)]
    assert join_figures(boxes) == join_figures(boxes[::-1])


def test_head_square_holds_hair_and_chin_and_repeats_the_edge_beyond_the_picture() -> None:
    box = Box(x0=0, y0=0, x1=40, y1=40)
    assert head_box(box).width == pytest.approx(80)
    assert head_box(box).center[1] == pytest.approx(20 - 0.18 * 40)
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, 0] = (10, 200, 30)
    crop = head_crop(picture, box)
    assert crop.shape[0] == crop.shape[1] == 80
    assert (crop[:, :20] == (10, 200, 30)).all()
    assert (crop[:, 22:] == 0).all()


def test_a_large_head_is_shrunk() -> None:
    assert head_crop(np.zeros((900, 900, 3), np.uint8), Box(x0=200, y0=200, x1=700, y1=700)).shape == (256, 256, 3)


def test_estimated_body_is_below_the_face_and_inside_the_still() -> None:
    body = estimated_person(Box(x0=140, y0=30, x1=160, y1=50), 300, 200)
    assert body.x0 < 140
    assert body.x1 > 160
    assert body.y0 == pytest.approx(18)
    assert body.y1 == 200
    corner = estimated_person(Box(x0=0, y0=0, x1=20, y1=20), 300, 200)
    assert (corner.x0, corner.y0) == (0, 0)


def test_every_box_becomes_a_row_with_its_reason(
    stills: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    models = OneAnswer(
        face(10, 10, 60, 60, 0.9),
        face(12, 12, 62, 62, 0.8),
        face(100, 10, 120, 30, 0.9),
        face(200, 10, 260, 70, 0.3),
        boxed("head", 0, 0, 70, 70),
        boxed("head", 210, 100, 290, 180),
    )
    result = run_stage(DetectStage(DetectSettings()), stills([drawn()]), make_context(models=models))
    assert [(row.id, row.dropped) for row in result.rows] == [
        ("abc-000000000-00", None),
        ("abc-000000000-01", "double"),
        ("abc-000000000-02", "small_face"),
        ("abc-000000000-03", "low_score"),
        ("abc-000000000-04", "no_face"),
    ]
    assert [row.head is not None for row in result.rows] == [True, False, False, False, True]
    assert [row.why for row in result.rows[1:]] == [
        "a second box of the face at 10, 10, 60, 60 (shares 92% of the smaller box)",
        "face 20 px high, less than 40 px",
        "detection score 0.30 is below 0.50",
        "a head whose face is not seen: from behind, or hidden",
    ]
    assert all(row.person_estimated for row in result.rows)


def logo_on(seed: int) -> np.ndarray:
    """A magenta badge with a dark cross in the corner of a picture that differs with the seed."""
    picture = np.random.default_rng(seed).integers(0, 100, (20, 30, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    picture[20:70, 220:270] = FAKE_FACE_RGB
    picture[40:46, 226:264] = picture[26:64, 242:248] = 0
    return picture


def test_a_logo_over_changing_shots_is_dropped_as_an_overlay_and_recorded(
    stills: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    pictures = [logo_on(seed) for seed in range(4)]
    pictures[2][100:160, 60:120] = FAKE_FACE_RGB
    result = run_stage(DetectStage(DetectSettings()), stills(pictures, shots=(0, 1, 2, 3)), make_context())
    assert [(row.frame_id[-1], row.dropped) for row in result.rows] == [
        ("0", "overlay"),
        ("1", "overlay"),
        ("2", None),
        ("2", "overlay"),
        ("3", "overlay"),
    ]
    assert "same place in 4 shots" in result.rows[0].why
    (overlay,) = result.notes.overlays
    assert (overlay.box, overlay.faces, overlay.shots) == ((220, 20, 270, 70), 4, 4)
    same_shot = run_stage(DetectStage(DetectSettings()), stills(pictures), make_context())
    assert all(row.dropped is None for row in same_shot.rows)


def by_faces(notes: DetectNotes) -> tuple[int, int, int]:
    """Stills without a face, with one, with more."""
    return notes.without_face, notes.with_one_face, notes.with_more_faces


def test_notes_count_stills_by_faces(
    stills: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    one, two = (20, 20, 70, 70), (150, 30, 200, 80)
    given = stills([drawn(), drawn(one), drawn(one, two), drawn(one, two)], duplicates=(3,))
    result = run_stage(DetectStage(DetectSettings()), given, make_context(), batch=2)
    assert by_faces(result.notes) == (1, 1, 1)
    assert result.notes.detector.name == "fake-detector"
    assert sum(result.notes.score_counts) == 3
    region: Region = result.kept[0]
    assert region.face.xyxy == (20, 20, 70, 70)
    assert (region.width, region.height) == (300, 200)


def test_an_unreadable_still_is_said_and_stops_nothing(
    stills: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = stills([drawn((20, 20, 70, 70))] * 3)
    (given[ExtractStage].path / "f1.png").write_bytes(b"not a picture")
    result = run_stage(DetectStage(DetectSettings()), given, make_context())
    assert [row.frame_id for row in result.rows] == ["abc-000000000", "abc-000000002"]
    assert result.notes.unreadable == ("abc-000000001",)
    assert by_faces(result.notes) == (0, 2, 0)
    assert "abc-000000001 is left out" in caplog.text


def test_no_still_at_all(
    stills: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    result = run_stage(DetectStage(DetectSettings()), stills([]), make_context())
    assert result.rows == []
    assert by_faces(result.notes) == (0, 0, 0)


def test_another_detector_makes_another_key() -> None:
    assert DetectStage(DetectSettings()).fingerprint(FakeModels()) == {"detector": "fake-detector-1"}


def test_the_picture_folder_may_hold_tall_and_tiny_pictures(
    stills: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    given = stills([np.zeros((1, 1, 3), np.uint8), np.zeros((400, 3, 3), np.uint8)])
    assert run_stage(DetectStage(DetectSettings()), given, make_context()).rows == []
    assert not (Path(given[ExtractStage].path) / "unreadable").exists()
