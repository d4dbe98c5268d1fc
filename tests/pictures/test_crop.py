"""Crop: sizes, pixels and face boxes of the finished pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from animeset_lib.cast.detect import DetectStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image, write_image
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import Box, Crop, Frame, PlannedCrop, Region
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import CropSettings, TrainingSize
from tests.fakes import FAKE_FACE_RGB

WIDTH, HEIGHT = 2000, 1200
FACE = Box(x0=900, y0=300, x1=1100, y1=500)
OTHER = Box(x0=1300, y0=300, x1=1500, y1=500)
Cut = Callable[..., tuple[Crop, Output]]


@pytest.fixture
def cut(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> Cut:
    """`cut(box, factor)`: one planned crop of a still with two magenta faces on a grey ramp, through the stage."""

    def make(
        box: Box, factor: int = 1, size: TrainingSize = TrainingSize(), file: bool = True, **planned: object
    ) -> tuple[Crop, Output]:
        frame = Frame(id="f-0", pts_ms=0, shot=0, file="0.png", width=WIDTH, height=HEIGHT, cause="shot")
        regions = [
            Region(
                id=f"f-0-{i:02d}",
                frame_id="f-0",
                face=face,
                person=face,
                person_estimated=True,
                score=1,
                width=WIDTH,
                height=HEIGHT,
            )
            for i, face in enumerate((FACE, OTHER))
        ]
        plan = PlannedCrop(
            id="f-0-00-face",
            region_id="f-0-00",
            frame_id="f-0",
            character="anna",
            framing="face",
            box=box,
            factor=factor,
            file="f-0-00-face.png" if factor > 1 else None,
            upscaler="fake" if factor > 1 else None,
            **planned,  # type: ignore[arg-type]
        )
        given = {
            ExtractStage: make_output(ExtractStage, [frame]),
            DetectStage: make_output(DetectStage, regions),
            UpscaleStage: make_output(UpscaleStage, [plan]),
        }
        picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        picture[:] = np.linspace(20, 230, WIDTH).astype(np.uint8)[None, :, None]
        for face in (FACE, OTHER):
            x0, y0, x1, y1 = face.pixels()
            picture[y0:y1, x0:x1] = FAKE_FACE_RGB
        still = given[ExtractStage].path / "0.png"
        if file:
            write_image(still, picture)
        else:
            still.write_bytes(b"no picture")
        if factor > 1:
            x0, y0, x1, y1 = box.pixels()
            large = picture[y0:y1, x0:x1].repeat(factor, axis=0).repeat(factor, axis=1)
            write_image(given[UpscaleStage].path / "f-0-00-face.png", large)
        output = run_stage(CropStage(CropSettings(), size), given, make_context())
        return (output.rows or [None])[0], output

    return make


def check_face(row: Crop, output: Output) -> None:
    """The face box of the row is where the picture is magenta."""
    picture = read_image(output.path / row.file)
    assert picture.shape == (row.height, row.width, 3)
    assert row.face is not None
    magenta = (np.abs(picture.astype(int) - FAKE_FACE_RGB).sum(axis=2) < 60).nonzero()
    left = [face for face in row.faces if face != row.face]
    if not left:
        found = magenta[1].min(), magenta[0].min(), magenta[1].max() + 1, magenta[0].max() + 1
        assert row.face.xyxy == pytest.approx(found, abs=1.5)


@pytest.mark.parametrize(
    ("box", "factor", "size"),
    [
        (Box(x0=800, y0=200, x1=1200, y1=600), 4, (1024, 1024)),  # 1600 px shrunk to the bucket
        (Box(x0=840, y0=240, x1=1160, y1=560), 2, (640, 640)),  # stays small
        (Box(x0=850, y0=200, x1=1170, y1=680), 4, (832, 1216)),  # 2:3
        (Box(x0=400, y0=0, x1=1280, y1=880), 1, (832, 832)),  # trimmed to the step
        (Box(x0=60, y0=20, x1=1260, y1=1190), 1, (1024, 1024)),
        (Box(x0=880, y0=280, x1=1130, y1=540), 1, (192, 256)),
    ],
)
def test_size_and_face(cut: Cut, box: Box, factor: int, size: tuple[int, int]) -> None:
    row, output = cut(box, factor)
    assert row.dropped is None
    assert (row.width, row.height) == size
    assert row.face is not None
    assert row.faces == (row.face,)
    check_face(row, output)


def test_pixels_are_cut_unchanged_when_nothing_must_shrink(cut: Cut) -> None:
    row, output = cut(Box(x0=840, y0=240, x1=1160, y1=560))
    still = read_image(output.path.parent.parent / "given" / "1_extract" / "0.png")
    assert np.array_equal(read_image(output.path / row.file), still[240:560, 840:1160])
    assert row.box.xyxy == (840, 240, 1160, 560)


def test_every_pixel_stays_when_shrinking_is_off(cut: Cut) -> None:
    row, output = cut(Box(x0=0, y0=0, x1=1290, y1=1200), size=TrainingSize(shrink_to_training=False))
    assert (row.width, row.height) == (1280, 1152)
    check_face(row, output)


def test_other_faces_count_when_a_third_is_visible(cut: Cut) -> None:
    half, _ = cut(Box(x0=760, y0=200, x1=1400, y1=840))
    assert len(half.faces) == 2
    assert half.faces[1].x1 == half.width
    edge, _ = cut(Box(x0=700, y0=200, x1=1340, y1=840))
    assert len(edge.faces) == 1


def test_the_face_stays_in_when_the_step_takes_a_border(cut: Cut) -> None:
    # 200 px of face in 250 px: the 192 px that remain lie on the face, not beside it
    row, _ = cut(Box(x0=850, y0=290, x1=1100, y1=550))
    assert row.face is not None
    assert row.face.width >= 190


def test_what_is_smaller_than_a_step_and_what_cannot_be_read(cut: Cut) -> None:
    row, output = cut(Box(x0=900, y0=300, x1=950, y1=350))
    assert row.dropped == "too_small"
    assert row.why == "the crop has 50x50 px, less than one bucket step of 64 px"
    assert not (output.path / row.file).exists()
    row, _ = cut(Box(x0=800, y0=200, x1=1200, y1=600), file=False)
    assert row.dropped == "unreadable"


def test_dropped_plans_are_not_cut_again(cut: Cut) -> None:
    row, output = cut(Box(x0=800, y0=200, x1=1200, y1=600), dropped="not_preselected")
    assert row is None
    assert not list(output.path.glob("*.png"))
