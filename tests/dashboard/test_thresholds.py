"""What a threshold would do: the counts are those of a real rerun of the stage with that limit, the pictures those next to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.dashboard.pictures import thumbnail
from animeset_lib.dashboard.thresholds import EXPLORABLE, Explored, explore
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.frames.stills import sharpness, write_still
from animeset_lib.models.api import Detection
from animeset_lib.pictures.quality import GATES, QualityStage
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.records import Box, CastRow, DedupeRow, Frame, QualityRow, Region
from animeset_lib.run.stage import Context, Given, Output
from animeset_lib.settings import DedupeSettings, DetectSettings, QualitySettings, Settings, describe
from tests.fakes import FakeModels
from tests.film_maker import drawing
from tests.talking_head import Picture, brighter, compressed, head, noisy

MakeOutput = Callable[..., Output]
RunStage = Callable[..., Output]


@pytest.fixture
def stills(make_output: MakeOutput) -> Callable[[Sequence[Picture]], Output]:
    """`stills(pictures)`: a finished 1_extract with one still per picture, half a second apart in one shot."""

    def make(pictures: Sequence[Picture]) -> Output:
        frames = [
            Frame(
                id=f"f-{i:03d}",
                pts_ms=500 * i,
                shot=0,
                file=f"f-{i:03d}.png",
                width=picture.shape[1],
                height=picture.shape[0],
                cause="change",
                sharpness=sharpness(picture),
            )
            for i, picture in enumerate(pictures)
        ]
        output = make_output(ExtractStage, frames)
        for frame, picture in zip(frames, pictures, strict=True):
            write_still(output.path, frame, picture)
        return output

    return make


def _look(name: str, value: float, outputs: Given) -> Explored:
    found = explore(name, value, Settings(), outputs)
    assert found is not None
    assert (found.name, found.limit) == (name, value)
    return found


def _between(values: Sequence[float], share: float) -> float:
    """A limit that lies between two of the values."""
    ordered = sorted(set(values))
    place = min(len(ordered) - 2, int(share * (len(ordered) - 1)))
    return (ordered[place] + ordered[place + 1]) / 2


def _consistent(found: Explored, *, low_is_bad: bool) -> None:
    """Histogram and border belong together with the counts; the border lies on the right side, nearest first."""
    assert sum(found.counts) == found.total
    assert len(found.edges) == len(found.counts) + 1
    assert json.loads(json.dumps(found.__dict__)) == found.__dict__
    for dropped, there in ((True, found.dropped), (False, found.total - found.dropped)):
        side = [entry["value"] for entry in found.border if entry["dropped"] is dropped]
        assert len(side) == min(6, there)
        assert all(value < found.limit if low_is_bad == dropped else value >= found.limit for value in side)
        distances = [abs(value - found.limit) for value in side]
        assert distances == sorted(distances)
    assert all(entry["src"].startswith("data:image/jpeg;base64,") for entry in found.border)


# ---- every entry -----------------------------------------------------------------------------------------------------------------


def test_every_entry_is_a_number_setting_of_the_stage_it_names() -> None:
    settings = {f"{row['section']}.{row['name']}": row for row in describe()}
    for name, limit in EXPLORABLE.items():
        assert name in settings
        assert PIPELINE[name.partition(".")[0]] is limit.stage
        assert settings[name]["range"].startswith(("(at least", "(more than"))


# ---- 2_dedupe --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("name", "field"), [("ssim_min", "ssim"), ("local_ssim_min", "local_ssim")])
def test_dedupe_drops_as_many_as_a_rerun(
    name: str,
    field: str,
    share: float,
    stills: Callable[..., Output],
    run_stage: RunStage,
    make_context: Callable[..., Context],
) -> None:
    # pairs of a drawing and a darker one of it, each pair unlike the others: who is compared with whom does not depend on the limit,
    # and no move that is taken out makes them more alike
    pictures = []
    for seed, gain in enumerate((0.95, 0.85, 0.75, 0.65, 0.55, 0.45)):
        clean = drawing(20 + seed)
        pictures += [clean, brighter(clean, gain)]
    given = Given([stills(pictures)])
    first = run_stage(DedupeStage(DedupeSettings(ssim_min=0.5, local_ssim_min=0.1)), given, make_context())
    values = [getattr(row, field) for row in first.rows if row.dropped]
    assert len(set(values)) >= 5
    limit = round(_between(values, share), 4)
    found = _look(f"dedupe.{name}", limit, given.having(first))
    settings = DedupeSettings.model_validate({"ssim_min": 0.5, "local_ssim_min": 0.1, name: limit})
    again = run_stage(DedupeStage(settings), given, make_context())
    assert 0 < found.dropped < found.total == len(values)
    assert found.dropped == sum(row.dropped == "duplicate" for row in Output(again.path, DedupeStage).rows)
    _consistent(found, low_is_bad=False)


def test_a_duplicate_just_at_the_limit_goes(make_output: MakeOutput, stills: Callable[..., Output]) -> None:
    rows = [DedupeRow(id="f-000", phash="0" * 16, sharpness=1, dropped="duplicate", ssim=0.95, local_ssim=0.8)]
    outputs = Given([stills([drawing(1)]), make_output(DedupeStage, rows)])
    assert [_look("dedupe.ssim_min", value, outputs).dropped for value in (0.9499, 0.95, 0.9501)] == [1, 1, 0]


# ---- 3a_detect -------------------------------------------------------------------------------------------------------------------

SIZES = (16, 30, 39, 40, 41, 60, 80, 120)
SCORES = (0.95, 0.3, 0.5, 0.9, 0.45, 0.7, 0.2, 0.6)


class _Detected(FakeModels):
    """In each still a face of its own size and score, a double of it with a low score and a head without a face."""

    def __init__(self) -> None:
        super().__init__()
        self._left = list(zip(SIZES, SCORES, strict=True))
        self._detector.detect = self._detect  # type: ignore[method-assign]

    def _detect(self, pictures: Sequence[Any]) -> list[list[Detection]]:
        found = []
        for _ in pictures:
            size, score = self._left.pop(0)
            face = Box(x0=10, y0=10, x1=10 + size, y1=10 + size)
            found.append(
                [
                    Detection("face", face, score),
                    Detection("face", face.moved(1, 1), score / 2),
                    Detection("head", Box(x0=220, y0=100, x1=240, y1=120), 0.25),
                ]
            )
        return found


@pytest.mark.parametrize(
    ("name", "reason", "limits"),
    [("score_min", "low_score", (0.25, 0.5, 0.55, 0.92, 1)), ("min_face_px", "small_face", (17, 40, 41, 100))],
)
def test_detect_drops_as_many_as_a_rerun(
    name: str,
    reason: str,
    limits: tuple[float, ...],
    stills: Callable[..., Output],
    make_output: MakeOutput,
    run_stage: RunStage,
    make_context: Callable[..., Context],
) -> None:
    frames = stills([drawing(seed) for seed in range(len(SIZES))])
    kept = [DedupeRow(id=frame.id, phash="0" * 16, sharpness=1) for frame in frames.rows]
    given = Given([frames, make_output(DedupeStage, kept)])

    def detected(**settings: Any) -> Output:
        stage = DetectStage(DetectSettings.model_validate(settings))
        output = run_stage(stage, given, make_context(models=_Detected()))
        assert len(output.rows) == 3 * len(SIZES)
        return output

    before = detected()
    outputs = given.having(before)
    counts = set()
    for limit in limits:
        found = _look(f"detect.{name}", limit, outputs)
        rows = detected(**{name: limit}).rows
        assert found.dropped == sum(row.dropped == reason for row in rows), limit
        assert all(row.dropped in (None, "double", "no_face", "low_score", "small_face") for row in rows)
        _consistent(found, low_is_bad=True)
        counts.add(found.dropped)
    assert len(counts) >= 3


# ---- 4a_quality ------------------------------------------------------------------------------------------------------------------


def _mixed(a: Picture, b: Picture | int, share: float) -> Picture:
    return np.clip(a * (1 - share) + np.asarray(b, np.float64) * share, 0, 255).round().astype(np.uint8)


def _figures() -> list[tuple[Picture, int]]:
    """(still, face size): one drawing in all states a film can bring it to."""
    large, small, other = head(size=200), head("smile", size=90), head("open", size=200, scene=9)
    soft = [np.asarray(cv2.GaussianBlur(large, (0, 0), sigma), np.uint8) for sigma in (2, 4, 6)]
    spoiled = [noisy(large, 4), noisy(large, 9), noisy(large, 14), *(compressed(large, q) for q in (40, 20, 8))]
    toned = [brighter(large, 0.25), brighter(large, 0.15), _mixed(large, 255, 0.85), _mixed(large, 128, 0.8)]
    blends = [large, large, _mixed(large, other, 0.2), _mixed(large, other, 0.35), other, other]
    return [*((picture, 200) for picture in (*soft, *spoiled, *toned, *blends)), (small, 90), (head(size=40), 40)]


@pytest.fixture
def figures(
    stills: Callable[..., Output],
    make_output: MakeOutput,
    run_stage: RunStage,
    make_context: Callable[..., Context],
) -> tuple[Given, Callable[..., Output]]:
    """Finished stages up to 4a_quality with default limits, and a function that runs 4a_quality with others."""
    drawn = _figures()
    frames = stills([picture for picture, _ in drawn])
    regions = []
    for frame, (_, size) in zip(frames.rows, drawn, strict=True):
        x, y = 620, max(int(0.6 * size), 330)
        face = Box(x0=x - 0.42 * size, y0=y - 0.5 * size, x1=x + 0.42 * size, y1=y + 0.5 * size)
        regions.append(
            Region(
                id=f"{frame.id}-00",
                frame_id=frame.id,
                face=face,
                person=face,
                person_estimated=True,
                score=0.9,
                width=frame.width,
                height=frame.height,
            )
        )
    cast = [CastRow(id=r.id, character="hero", cluster=0, source="cluster", confidence=1) for r in regions]
    given = Given([frames, make_output(DetectStage, regions), make_output(CastStage, cast)])

    def measured(**limits: float) -> Output:
        output = run_stage(QualityStage(QualitySettings.model_validate(limits)), given, make_context())
        return Output(output.path, QualityStage)

    first = measured()
    assert len(first.rows) == len(drawn)
    return given.having(first), measured


REASONS = {gate.limit: code for code, gate in GATES.items()}


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_quality_drops_as_many_as_a_rerun(share: float, figures: tuple[Given, Callable[..., Output]]) -> None:
    outputs, measured = figures
    rows = outputs[QualityStage].rows
    limits = {}
    for key in REASONS:
        value = _between([EXPLORABLE[f"quality.{key}"].measure(row) for row in rows], share)
        limits[key] = round(value) if key == "min_face_px" else round(value, 3)
    found = {key: _look(f"quality.{key}", value, outputs) for key, value in limits.items()}
    beyond = measured(**limits).notes.beyond_limit
    for key, reason in REASONS.items():
        assert 0 < found[key].dropped < found[key].total == len(rows), key
        assert found[key].dropped == beyond[reason], key
        if key != "blur_percent":  # which drops only what is also soft in pixels
            _consistent(found[key], low_is_bad=EXPLORABLE[f"quality.{key}"].low_is_bad)


def test_lines_that_are_sharp_in_pixels_are_not_counted_as_blurred(
    make_output: MakeOutput, stills: Callable[..., Output]
) -> None:
    other = {
        "face_px": 60,
        "luma_p95": 200,
        "luma_p05": 20,
        "contrast": 180,
        "noise": 0,
        "blockiness": 0,
        "combs": 0,
        "blend": 0,
    }
    rows = [
        QualityRow(id=f"f-00{n}", measured={**other, "blur": 3.0, "blur_px": px}, score=1)
        for n, px in enumerate((0.7, 2))
    ]
    outputs = Given([stills([drawing(1), drawing(2)]), make_output(QualityStage, rows)])
    found = _look("quality.blur_percent", 2.0, outputs)
    assert (found.dropped, found.total, [entry["dropped"] for entry in found.border]) == (1, 2, [True, False])


def test_the_border_shows_the_nearest_six_of_each_side(make_output: MakeOutput, stills: Callable[..., Output]) -> None:
    frames = stills([np.full((60, 80, 3), 12 * n, np.uint8) for n in range(20)])
    face = Box(x0=10, y0=10, x1=40, y1=40)
    regions = [
        Region(
            id=f"f-{n:03d}-00",
            frame_id=f"f-{n:03d}",
            face=face,
            person=face,
            person_estimated=True,
            score=(n * 7 % 20) / 20,
            width=80,
            height=60,
        )
        for n in range(20)
    ]
    outputs = Given([frames, make_output(DetectStage, regions)])
    found = _look("detect.score_min", 0.5, outputs)
    assert [(entry["value"], entry["dropped"]) for entry in found.border] == [
        *((value, True) for value in (0.45, 0.4, 0.35, 0.3, 0.25, 0.2)),
        *((value, False) for value in (0.5, 0.55, 0.6, 0.65, 0.7, 0.75)),
    ]
    (number,) = (n for n in range(20) if n * 7 % 20 == 9)
    assert found.border[0]["src"] == thumbnail(
        frames.path / f"f-{number:03d}.png", 132, (lambda p, face: p[:60, :60], regions[0].face)
    )


def test_what_cannot_be_told(make_output: MakeOutput, stills: Callable[..., Output], tmp_path: Path) -> None:
    frames = stills([drawing(1)])
    dropped = QualityRow(id="f-000-00", measured={}, score=0, dropped="unreadable")
    outputs = Given([frames, make_output(QualityStage, [dropped])])
    for name in ("caption.style", "nonsense", "detect.score_min", "quality.dark_luma"):
        assert explore(name, 1.0, Settings(), outputs) is None, name
    kept = DedupeRow(id="f-000", phash="0" * 16, sharpness=1)
    outputs = outputs.having(make_output(DedupeStage, [kept]))
    assert explore("dedupe.ssim_min", 0.9, Settings(), outputs) is None


def test_a_picture_that_is_gone_leaves_the_counts(make_output: MakeOutput, stills: Callable[..., Output]) -> None:
    frames = stills([drawing(1)])
    (frames.path / "f-000.png").unlink()
    row = DedupeRow(id="f-000", phash="0" * 16, sharpness=1, dropped="duplicate", ssim=0.95, local_ssim=0.8)
    outputs = Given([frames, make_output(DedupeStage, [row])])
    found = _look("dedupe.ssim_min", 0.9, outputs)
    assert (found.dropped, found.total, found.border) == (1, 1, [])
