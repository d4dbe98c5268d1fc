"""Upscale: what is planned for whom, what is enlarged by how much, and that nothing disappears without a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.errors import ModelError, PictureError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image, write_image
from animeset_lib.models.api import Picture
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import Box, CastRow, EmbedRow, Frame, PlannedCrop, QualityRow, Region
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import Section, SetSize, TrainingSize, UpscaleSettings
from tests.fakes import FakeModels

WIDTH, HEIGHT = 960, 540
Film = Callable[..., dict[StageType, Output[Any, Any]]]
Run = Callable[..., Output]
Make = Callable[..., Context]


def face(x: float = 450, y: float = 80, size: float = 50) -> Box:
    return Box(x0=x, y0=y, x1=x + size, y1=y + size)


@pytest.fixture
def film(make_output: Callable[..., Output]) -> Film:
    """`film([[("anna", box), ...], ...])`: finished stages up to 4a for stills with these figures; a name of None is noise, `-` failed quality."""

    def make(
        stills: list[list[tuple[str | None, Box]]], missing: tuple[int, ...] = ()
    ) -> dict[StageType, Output[Any, Any]]:
        frames, regions, vectors, cast, quality = [], [], [], [], []
        rng = np.random.default_rng(0)
        for i, figures in enumerate(stills):
            frame = f"f-{i:03d}"
            frames.append(
                Frame(
                    id=frame, pts_ms=500 * i, shot=i // 3, file=f"{i}.png", width=WIDTH, height=HEIGHT, cause="change"
                )
            )
            for k, (name, box) in enumerate(figures):
                id = f"{frame}-{k:02d}"
                regions.append(
                    Region(
                        id=id,
                        frame_id=frame,
                        face=box,
                        person=box,
                        person_estimated=True,
                        score=1,
                        width=WIDTH,
                        height=HEIGHT,
                    )
                )
                vector = rng.normal(size=8)
                vectors.append(EmbedRow.with_vector(id, (vector / np.linalg.norm(vector)).astype(np.float32)))
                who = "anna" if name == "-" else name
                source = "noise" if who is None else "cluster"
                dropped = "noise" if who is None else None
                cast.append(CastRow(id=id, character=who, cluster=0, source=source, confidence=0.9, dropped=dropped))
                if name is not None:
                    score = float(rng.uniform(0.5, 1))
                    dropped = "blurred" if name == "-" else None
                    quality.append(QualityRow(id=id, measured={}, score=score, dropped=dropped))
        given = {
            ExtractStage: make_output(ExtractStage, frames),
            DetectStage: make_output(DetectStage, regions),
            EmbedStage: make_output(EmbedStage, vectors),
            CastStage: make_output(CastStage, cast),
            QualityStage: make_output(QualityStage, quality),
        }
        for i in range(len(stills)):
            if i not in missing:
                picture = (
                    np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 1), dtype=np.uint8).repeat(3, axis=2)
                )
                write_image(given[ExtractStage].path / f"{i}.png", picture)
        return given

    return make


def run(
    film: dict[StageType, Output[Any, Any]], run_stage: Run, make_context: Make, **settings: object
) -> tuple[list[PlannedCrop], Output]:
    """`settings` of the stage, of the training size and of the size of a set."""

    def of(kind: type[Section]) -> dict[str, object]:
        return {name: value for name, value in settings.items() if name in kind.model_fields}

    own = UpscaleSettings.model_validate({"upscaler": "fake", **of(UpscaleSettings)})
    stage = UpscaleStage(own, TrainingSize.model_validate(of(TrainingSize)), SetSize.model_validate(of(SetSize)))
    output = run_stage(stage, film, make_context())
    return output.rows, output


def test_enlarged_files_are_the_box_times_the_factor(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face())], [("anna", face(30, 20, 40))], [("anna", face(300, 100, 250))]])
    rows, output = run(given, run_stage, make_context, min_pictures=9)
    factors = set()
    for row in rows:
        x0, y0, x1, y1 = row.box.pixels()
        factors.add(row.factor)
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        if row.factor == 1:
            assert row.file is None
            assert row.upscaler is None
            continue
        assert row.upscaler == "fake-upscaler"
        assert row.file == f"{row.id}.png"
        still = read_image(given[ExtractStage].path / given[ExtractStage].by_id[row.frame_id].file)
        # the fake repeats pixels, so the border must be exactly those of the box
        expected = still[y0:y1, x0:x1].repeat(row.factor, axis=0).repeat(row.factor, axis=1)
        assert np.array_equal(read_image(output.path / row.file), expected)
        assert (x1 - x0) * row.factor % 64 == 0 or row.box.area * row.factor**2 >= 1024**2
    assert {2, 4} <= factors
    notes = output.notes
    assert sum(notes.enlarged.values()) == sum(row.factor > 1 for row in rows)
    assert notes.enlarged_pixels == sum(round(row.box.area) * row.factor**2 for row in rows if row.factor > 1)


def test_nothing_is_enlarged_where_it_need_not_be(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face(300, 100, 250))]])
    for settings in ({"training_px": 256}, {"upscaler": "none"}, {"max_factor": 1}):
        rows, output = run(given, run_stage, make_context, **settings)
        assert {row.factor for row in rows} == {1}
        assert not list(output.path.glob("*.png"))


def test_the_fingerprint_is_the_upscaler() -> None:
    models = FakeModels()
    assert UpscaleStage(UpscaleSettings(upscaler="none")).fingerprint(models) == {}
    assert UpscaleStage(UpscaleSettings(upscaler="fake")).fingerprint(models) == {"upscaler": "fake-upscaler-1"}


def test_every_figure_that_passed_has_a_row_with_a_reason(film: Film, run_stage: Run, make_context: Make) -> None:
    stills: list[list[tuple[str | None, Box]]] = [[("anna", face(400 + i, 80, 60))] for i in range(12)]
    stills += [
        [("anna", face(100, 100, 80)), ("berta", face(170, 100, 80))],  # faces overlap
        [("-", face())],
        [(None, face())],
    ]
    rows, output = run(film(stills), run_stage, make_context, max_pictures=4, min_pictures=1, candidates=1.5)
    passed = {row.id for row in film(stills)[QualityStage].kept}
    assert {row.region_id for row in rows} == passed
    assert Counter(row.dropped for row in rows) == {None: 6, "not_preselected": 6, "other_face": 2}
    assert all(row.why and row.factor == 1 and row.file is None for row in rows if row.dropped)
    reason = next(row.why for row in rows if row.dropped == "not_preselected")
    assert reason.startswith("6 of the character's 12 figures were chosen")
    assert len({row.id for row in rows}) == len(rows)
    assert sum(output.notes.framings["anna"].values()) == 6
    assert output.notes.framings["berta"] == {}


def test_few_figures_are_framed_several_times(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face(200 + 100 * i, 60, 48))] for i in range(4)])
    few, _ = run(given, run_stage, make_context, min_pictures=1, max_pictures=100)
    more, _ = run(given, run_stage, make_context, min_pictures=8, candidates=1.0)
    assert Counter(row.region_id for row in few) == {f"f-{i:03d}-00": 1 for i in range(4)}
    assert Counter(row.region_id for row in more) == {f"f-{i:03d}-00": 2 for i in range(4)}


def test_the_mix_follows_the_settings(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face(100 + 20 * i, 40, 50))] for i in range(20)])
    rows, _ = run(given, run_stage, make_context, min_pictures=1, training_px=768)
    assert Counter(row.framing for row in rows) == {"face": 7, "upper_body": 7, "full": 4, "frame": 2}
    rows, _ = run(given, run_stage, make_context, min_pictures=1, mix_face=0, mix_upper_body=0, mix_full=1, mix_frame=0)
    assert {row.framing for row in rows} == {"full"}


def test_framings_without_a_share_are_explained(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face(300, 100, 300))]])  # a close-up has no full figure
    rows, _ = run(given, run_stage, make_context, mix_face=0, mix_upper_body=0, mix_full=1, mix_frame=0)
    assert [row.dropped for row in rows] == ["no_framing"]
    assert rows[0].why == "it could only be shown as face, frame, and the wanted mix has none of that"


def test_others_stay_out_of_the_picture(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face(300, 100, 60)), ("berta", face(520, 100, 60)), (None, face(400, 330, 60))]] * 3)
    rows, _ = run(given, run_stage, make_context, min_pictures=9)
    faces = {region.id: region.face for region in given[DetectStage].rows}
    kept = [row for row in rows if row.dropped is None]
    assert len(kept) > 6
    for row in kept:
        for id, other in faces.items():
            if id.startswith(row.frame_id) and id != row.region_id:
                assert row.box.intersection(other) == 0
    assert "frame" not in {row.framing for row in kept}


def test_an_unreadable_still_is_a_row(film: Film, run_stage: Run, make_context: Make) -> None:
    rows, _ = run(film([[("anna", face())]], missing=(0,)), run_stage, make_context)
    assert {row.dropped for row in rows} == {"unreadable"}


def test_same_rows_in_any_batch_and_none_for_nobody(film: Film, run_stage: Run, make_context: Make) -> None:
    given = film([[("anna", face(100 + 40 * i, 60, 46)), ("berta", face(700, 300, 90))] for i in range(6)])
    stage = UpscaleStage(UpscaleSettings(upscaler="fake"))
    first, second = (run_stage(stage, given, make_context(), batch=size).rows for size in (1, 50))
    assert first == second
    assert run_stage(stage, film([[(None, face())]]), make_context()).rows == []


class Fails(FakeModels):
    """An upscaler that cannot do the pictures it is asked for at these turns (from 0)."""

    def __init__(self, turns: set[int]) -> None:
        super().__init__()
        asked = iter(range(10**6))
        whole = self._upscaler.upscale

        def upscale(picture: Picture, factor: int) -> Picture:
            if next(asked) in turns:
                raise PictureError("the program ended with exit code 3")
            return whole(picture, factor)

        self._upscaler.upscale = upscale  # type: ignore[method-assign]


def test_a_picture_that_cannot_be_enlarged_is_a_row_with_the_reason(
    film: Film, run_stage: Run, make_context: Make
) -> None:
    given = film([[("anna", face(30 + i, 20, 40))] for i in range(4)])
    stage = UpscaleStage(UpscaleSettings(upscaler="fake"), set_size=SetSize(min_pictures=1))
    output = run_stage(stage, given, make_context(models=Fails({1})))
    assert [row.dropped for row in output.rows].count("not_enlarged") == 1
    (failed,) = [row for row in output.rows if row.dropped == "not_enlarged"]
    assert failed.why == "the program ended with exit code 3"
    assert failed.file is None


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_an_upscaler_that_fails_on_a_plain_picture_too_stops_the_run_at_once(
    film: Film, run_stage: Run, make_context: Make, batch: int
) -> None:
    given = film([[("anna", face(30 + i, 20, 40))] for i in range(4)])
    stage = UpscaleStage(UpscaleSettings(upscaler="fake"), set_size=SetSize(min_pictures=1))
    with pytest.raises(ModelError, match="the upscaler fake fails, on a plain picture too: the program ended"):
        run_stage(stage, given, make_context(models=Fails({2, 3})), batch=batch)
    assert all(row.dropped is None for row in run_stage(stage, given, make_context()).rows)


def test_pictures_that_are_bad_one_after_the_other_are_rows(film: Film, run_stage: Run, make_context: Make) -> None:
    """The second question is about the plain picture; it is answered, so it is not the upscaler."""
    given = film([[("anna", face(30 + i, 20, 40))] for i in range(4)])
    stage = UpscaleStage(UpscaleSettings(upscaler="fake"), set_size=SetSize(min_pictures=1))
    rows = run_stage(stage, given, make_context(models=Fails({0, 2, 3, 4}))).rows
    assert [row.dropped for row in rows] == ["not_enlarged"] * 4
