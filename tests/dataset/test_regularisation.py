"""6d_regularisation: stills without anybody, checked by the tagger, spread over the film, captioned without a trigger."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from animeset_lib.cast.detect import DetectStage
from animeset_lib.dataset.regularisation import RegularisationStage, published_entries, spread
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image, write_image
from animeset_lib.models.api import TaggerInput, Tags, Thresholds
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.records import Box, DedupeRow, Film, Frame, Region
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import CaptionWords, RegularisationSettings, TrainingSize, load_settings
from tests.fakes import FakeModels, FakeTagger
from tests.notes import noted

WIDTH, HEIGHT = 640, 360
SMALL = TrainingSize(training_px=256, bucket_step_px=64)


def noise(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Coarse colour patches: another place for each seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 10, 3))
    return np.kron(patches, np.ones((height // 6, width // 10, 1))).astype(np.uint8)


def frame(frame_id: str, shot: int, **changes: Any) -> Frame:
    values: dict[str, Any] = {
        "pts_ms": 1000 * shot,
        "shot": shot,
        "file": f"{frame_id}.png",
        "width": WIDTH,
        "height": HEIGHT,
        "cause": "shot",
    }
    return Frame.model_validate({"id": frame_id, **values, **changes})


def region(frame_id: str, dropped: str | None = None) -> Region:
    box = Box(x0=10, y0=10, x1=60, y1=60)
    return Region(
        id=f"{frame_id}-00",
        dropped=dropped,
        frame_id=frame_id,
        face=box,
        person=box,
        person_estimated=True,
        score=0.9,
        width=WIDTH,
        height=HEIGHT,
    )


class Watcher(FakeTagger):
    """Sees what the picture's upper left pixel stands for."""

    thresholds = Thresholds(general=0.35, character=0.85)
    vocabulary = frozenset({"1girl", "no_humans", "forest", "blonde_hair"})

    def __init__(self, *seen: dict[str, float]) -> None:
        self.by_seed = {tuple(noise(seed)[0, 0].tolist()): tags for seed, tags in enumerate(seen)}
        self.asked: list[TaggerInput] = []

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        self.asked += inputs
        scores = [self.by_seed[tuple(one.picture[0, 0].tolist())] for one in inputs]
        return [Tags(general=tags, character={}, rating={}) for tags in scores]


class WithWatcher(FakeModels):
    def __init__(self, tagger: FakeTagger) -> None:
        super().__init__()
        self._tagger = tagger


Run = Callable[..., Output]


@pytest.fixture
def run(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> Run:
    """`run(tagger, pictures=..., frames=[(Frame, picture or None)], regions=[...], dropped={...}, unreadable=[...])`."""

    def start(
        tagger: FakeTagger,
        frames: Sequence[tuple[Frame, Picture | None]],
        regions: Sequence[Region] = (),
        dropped: frozenset[str] = frozenset(),
        unreadable: Sequence[str] = (),
        pictures: int = 9,
        size: TrainingSize = SMALL,
        **words: Any,
    ) -> Output:
        stills = make_output(ExtractStage, [one for one, _ in frames])
        for one, picture in frames:
            if picture is None:
                (stills.path / one.file).write_bytes(b"\x89PNG\r\n")
            else:
                write_image(stills.path / one.file, picture)
        rows = [
            DedupeRow(id=one.id, dropped="duplicate" if one.id in dropped else None, phash="0" * 16, sharpness=1)
            for one, _ in frames
        ]
        inputs = {
            ExtractStage: stills,
            DedupeStage: make_output(DedupeStage, rows),
            DetectStage: make_output(DetectStage, list(regions), noted(DetectStage, unreadable=tuple(unreadable))),
        }
        stage = RegularisationStage(RegularisationSettings(pictures=pictures), size, CaptionWords(**words))
        return run_stage(stage, inputs, make_context(models=WithWatcher(tagger)))

    return start


FOREST = {"forest": 0.8, "no_humans": 0.9}


def test_only_stills_in_which_nobody_was_found(run: Run) -> None:
    frames = [(frame(f"f-{n}", n), noise(n)) for n in range(6)]
    out = run(
        Watcher(*[FOREST] * 6),
        frames,
        regions=[region("f-1"), region("f-2", dropped="low_score")],
        dropped=frozenset({"f-3"}),
        unreadable=["f-4"],
    )
    assert [row.id for row in out.rows] == ["f-0", "f-5"], "a box that was dropped may have been somebody"
    assert all(row.dropped is None for row in out.rows)


@pytest.mark.parametrize(
    ("tags", "reason", "caption"),
    [
        (FOREST, None, "no_humans, forest, anime_style"),
        ({"forest": 0.8}, None, "forest, anime_style"),
        ({"forest": 0.3}, None, "anime_style"),
        ({}, None, "anime_style"),
        ({"forest": 0.8, "1girl": 0.9}, "somebody_in_it", ""),
        ({"forest": 0.8, "solo": 0.21}, "somebody_in_it", ""),
        ({"forest": 0.8, "1boy": 0.19}, None, "forest, anime_style"),
        ({"forest": 0.8, "blonde_hair": 0.6}, "somebody_in_it", ""),
        ({"forest": 0.8, "dress": 0.6, "smile": 0.5, "standing": 0.5}, None, "forest, anime_style"),
        (
            {"grass": 0.4, "forest": 0.8, "wide_shot": 0.6, "bird": 0.9},
            None,
            "wide_shot, forest, grass, bird, anime_style",
        ),
    ],
)
def test_the_tagger_has_the_last_word(run: Run, tags: dict[str, float], reason: str | None, caption: str) -> None:
    out = run(Watcher(tags), [(frame("f-0", 0), noise(0))])
    (row,) = out.rows
    assert (row.dropped, row.caption) == (reason, caption)
    assert (out.path / "f-0.png").is_file() == (reason is None)


def test_spelling_style_and_blacklist_follow_the_settings(run: Run) -> None:
    tags = {"starry_sky": 0.9, "forest": 0.8, "bird": 0.7}
    words = {"style": "cel_shading", "underscores": False, "blacklist": "bird, x*"}
    (row,) = run(Watcher(tags), [(frame("f-0", 0), noise(0))], **words).rows
    assert row.caption == "starry sky, forest, cel shading"
    assert row.tags == {"starry_sky": 0.9, "forest": 0.8}
    (silent,) = run(Watcher({}), [(frame("f-0", 0), noise(0))], style="").rows
    assert silent.dropped == "no_words"


def test_a_tagger_that_does_not_see_people_makes_no_set(run: Run) -> None:
    out = run(FakeTagger(), [(frame("f-0", 0), noise(0)), (frame("f-1", 1), noise(1))])
    assert [row.dropped for row in out.rows] == ["not_checked"] * 2
    assert "fake-tagger does not see people" in out.rows[0].why


def test_nothing_is_asked_when_none_are_wanted(run: Run) -> None:
    watcher = Watcher(FOREST)
    out = run(watcher, [(frame("f-0", 0), noise(0))], pictures=0)
    assert (out.rows, watcher.asked) == ([], [])
    assert RegularisationStage(RegularisationSettings()).fingerprint(FakeModels()) == {}
    asking = RegularisationStage(RegularisationSettings(pictures=1))
    assert asking.fingerprint(FakeModels()) == {"tagger": "fake-tagger-1"}


def credits(share: float) -> Picture:
    """White bars on black."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[: round(share * HEIGHT)] = 255
    return picture


@pytest.mark.parametrize(
    ("picture", "size", "reason"),
    [
        (np.full((HEIGHT, WIDTH, 3), 255, np.uint8), (WIDTH, HEIGHT), "nothing_to_see"),
        (credits(0.2), (WIDTH, HEIGHT), "nothing_to_see"),
        (noise(0, 60, 36), (60, 36), "too_small"),
        (None, (WIDTH, HEIGHT), "unreadable"),
    ],
    ids=["white", "credits", "tiny", "damaged"],
)
def test_what_is_no_picture_is_a_row_with_a_reason(
    run: Run, picture: Picture | None, size: tuple[int, int], reason: str
) -> None:
    watcher = Watcher(FOREST, FOREST)
    odd = frame("f-0", 0, width=size[0], height=size[1])
    out = run(watcher, [(odd, picture), (frame("f-1", 1), noise(1))])
    assert [row.dropped for row in out.rows] == [reason, None]
    assert out.rows[0].why
    assert len(watcher.asked) == 1


@pytest.mark.parametrize(
    ("still", "trained", "size", "box"),
    [
        ((640, 360), {}, (320, 192), (20, 0, 620, 360)),
        ((640, 360), {"shrink_to_training": False}, (640, 320), (0, 20, 640, 340)),
        ((640, 240), {}, (320, 192), (120, 0, 520, 240)),
        ((200, 138), {"training_px": 1024}, (192, 128), (0, 2, 200, 136)),
    ],
    ids=["shrunk to a bucket", "cut only", "a wide one loses its sides", "a small one stays small"],
)
def test_the_middle_in_a_size_that_trainers_take(
    run: Run, still: tuple[int, int], trained: dict[str, Any], size: tuple[int, int], box: tuple[int, ...]
) -> None:
    width, height = still
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, :, 0] = np.linspace(0, 255, width).astype(np.uint8)[None]
    picture[:, :, 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]

    class Content(Watcher):
        def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
            return [Tags(general=FOREST, character={}, rating={}) for _ in inputs]

    out = run(
        Content(), [(frame("f-0", 0, width=width, height=height), picture)], size=SMALL.model_copy(update=trained)
    )
    (row,) = out.rows
    assert (row.width, row.height) == size
    assert row.box.xyxy == pytest.approx(box, abs=1)
    cut = read_image(out.path / row.file)
    assert cut.shape[1::-1] == size
    assert cut[:, :, 0].mean() == pytest.approx(127.5, abs=2), "as much goes on the left as on the right"


def test_no_more_than_wanted_and_the_most_different_first(run: Run) -> None:
    frames = [(frame("f-0", 0), noise(0)), (frame("f-1", 0), noise(0)), (frame("f-2", 0), noise(0))]
    frames += [(frame("f-3", 1), noise(1)), (frame("f-4", 2), noise(2))]
    out = run(Watcher(FOREST, {"1girl": 0.9}, FOREST), frames, pictures=2)
    assert {row.id: row.dropped for row in out.rows} == {
        "f-0": None,
        "f-1": "not_selected",
        "f-2": "not_selected",
        "f-3": "somebody_in_it",
        "f-4": None,
    }
    assert sorted(path.name for path in out.path.glob("*.png")) == ["f-0.png", "f-4.png"]


def test_one_of_each_shot_before_a_second_of_any() -> None:
    places = [np.full((4, 4, 3), value, np.float32) for value in (0.0, 1.0, 0.5)]
    assert list(spread(places, [0, 0, 1])) == [0, 2, 1]
    assert list(spread(places, [0, 1, 2])) == [0, 1, 2]
    assert list(spread([], [])) == []


@hypothesis_given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 3)), max_size=12))
def test_every_picture_is_given_once(seeds: list[tuple[int, int]]) -> None:
    thumbs = [np.full((3, 5, 3), seed / 255, np.float32) for seed, _ in seeds]
    assert sorted(spread(thumbs, [shot for _, shot in seeds])) == list(range(len(seeds)))


def test_what_is_published(run: Run) -> None:
    frames = [(frame("f-0", 0), noise(0)), (frame("f-1", 1), noise(1)), (frame("f-2", 2), noise(2))]
    out = run(Watcher(FOREST, {"1girl": 1.0}, {"forest": 0.7}), frames)
    film = Film(id="0" * 12, name="x", source_name="x.mp4", kind="video", width=WIDTH, height=HEIGHT)
    entries = published_entries(out, film)
    assert [(row["file_name"], row["text"]) for _, row in entries] == [
        ("images/scenery_0001.png", "no_humans, forest, anime_style"),
        ("images/scenery_0002.png", "forest, anime_style"),
    ]
    row = json.loads(json.dumps(entries[1][1]))
    assert (row["file_name"], row["frame"], row["shot"], row["time_ms"]) == ("images/scenery_0002.png", "f-2", 2, 2000)
    assert (row["width"], row["height"], row["tags"]) == (320, 192, ["forest"])
    assert entries[1][0].read_bytes() == (out.path / "f-2.png").read_bytes()
    assert len(row["sha256"]) == 64


def test_equal_input_gives_equal_bytes(run: Run, tmp_path: Path) -> None:
    frames = [(frame(f"f-{n}", n), noise(n)) for n in range(4)]
    first = run(Watcher(*[FOREST] * 4), frames, pictures=3)
    before = {path.name: path.read_bytes() for path in first.path.iterdir()}
    again = run(Watcher(*[FOREST] * 4), frames, pictures=3)
    assert {path.name: path.read_bytes() for path in again.path.iterdir()} == before


def test_size_and_words_are_those_that_other_sections_set() -> None:
    settings = load_settings(
        assignments=["upscale.training_px=768", "caption.style=cel", "caption.underscores=false", "tag.general_min=0.5"]
    )
    assert settings.training_size.training_px == 768
    words = settings.caption_words
    assert (words.style, words.underscores, words.general_min) == ("cel", False, 0.5)
    defaults = load_settings()
    for name, section in {"tagger": "tag", "choice": "tag", "blacklist": "attributes", "style": "caption"}.items():
        assert getattr(defaults.caption_words, name) == getattr(getattr(defaults, section), name)


def test_it_comes_before_the_dataset() -> None:
    names = list(PIPELINE)
    assert names.index("regularisation") == names.index("dataset") - 1
