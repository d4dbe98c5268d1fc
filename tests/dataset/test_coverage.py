"""Coverage: the numbers, the gaps and their words, and that the sheet can be drawn of anything."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from animeset_lib.dataset.coverage import PARTS, THIN, Coverage, coverage
from animeset_lib.dataset.coverage_sheet import coverage_sheet
from animeset_lib.dataset.selection import THUMB_PX, PictureCandidate

SPAN = (0, 100_000)
SHOTS = [(at * 10_000, at * 10_000 + 9_999) for at in range(10)]
RED, GREEN = (255, 0, 0), (0, 255, 0)


def candidate(number: int, **changes: Any) -> PictureCandidate:
    values: dict[str, Any] = {
        "id": f"c{number:03d}",
        "region_id": f"r{number:03d}",
        "framing": "face",
        "shot": number % 10,
        "pts_ms": number % 10 * 10_000 + 5_000,
        "vector": np.ones(1, np.float32),
        "tags": {},
        "thumb": np.zeros((THUMB_PX, THUMB_PX, 3), np.float32),
        "quality": 0.5,
        "confidence": 1.0,
    }
    return PictureCandidate(**{**values, **changes})


def covered(pool: list[PictureCandidate], chosen: list[int], **changes: Any) -> Coverage:
    return coverage("hana", pool, [f"c{number:03d}" for number in chosen], SPAN, SHOTS, **changes)


def values(found: Coverage, aspect: str) -> list[tuple[str, int, int]]:
    return [(value.name, value.film, value.set) for value in found.aspect(aspect).values]


def never(found: Coverage) -> list[tuple[str, str]]:
    return [(gap.aspect, gap.value) for gap in found.never_shown]


WARDROBE = [
    *(candidate(i, outfit="dress", emotion="smile", view="front") for i in range(6)),
    *(candidate(10 + i, outfit="dress", emotion="sad", view="side", framing="full") for i in range(2)),
    *(candidate(20 + i, outfit="coat", emotion="grin", view="front") for i in range(3)),
    candidate(30, outfit="coat", view="front", framing="upper_body"),
    candidate(40),
]
CHOSEN = [1, 0, 2, 3, 10, 20, 21]


def test_every_aspect_is_counted_in_the_film_and_in_the_set() -> None:
    found = covered(WARDROBE, CHOSEN)
    assert (found.pictures, found.candidates) == (7, 13)
    assert values(found, "framing") == [("face", 10, 6), ("upper_body", 1, 0), ("full", 2, 1)]
    assert values(found, "outfit") == [("dress", 8, 5), ("coat", 4, 2), ("unknown", 1, 0)]
    assert values(found, "emotion") == [("smile", 6, 4), ("grin", 3, 2), ("sad", 2, 1), ("unknown", 2, 0)]
    assert values(found, "view") == [("front", 10, 6), ("side", 2, 1), ("unknown", 1, 0)]
    assert values(found, "background") == [("unknown", 13, 7)]
    for aspect in found.aspects:
        assert sum(value.film for value in aspect.values) == 13
        assert sum(value.set for value in aspect.values) == 7


def test_outfits_by_framings() -> None:
    cells = {(cell.outfit, cell.framing): cell for cell in covered(WARDROBE, CHOSEN).cells}
    assert list(cells)[:4] == [("dress", "face"), ("dress", "upper_body"), ("dress", "full"), ("dress", "frame")]
    assert [outfit for outfit, _ in list(cells)[::4]] == ["dress", "coat", "unknown"]
    first, missing, left_out = cells["dress", "face"], cells["dress", "frame"], cells["coat", "upper_body"]
    assert (first.film, first.set, first.example) == (6, 4, "c001")  # the first one chosen
    assert (missing.film, missing.set, missing.example) == (0, 0, None)
    assert (left_out.film, left_out.set, left_out.example) == (1, 0, "c030")


def test_without_a_chosen_one_the_best_candidate_is_the_example() -> None:
    pool = [candidate(1, quality=0.2), candidate(2, quality=0.9), candidate(3, quality=0.9)]
    assert covered(pool, []).cells[0].example == "c002"


def test_what_the_film_never_shows() -> None:
    found = covered(WARDROBE, CHOSEN)
    assert never(found) == [
        ("framing", "frame"),
        ("view", "behind"),
        ("emotion", "angry"),
        ("emotion", "surprised"),
        ("emotion", "crying"),
    ]
    by_value = {gap.value: gap.words for gap in found.never_shown}
    assert by_value["frame"] == "framing whole frame: on none of the 13 usable pictures"
    assert by_value["angry"] == "emotion angry: on none of the 11 usable pictures of which it is known"


def test_a_framing_nobody_wanted_is_not_missing() -> None:
    assert ("framing", "frame") not in never(covered(WARDROBE, CHOSEN, wished_framings=("face", "upper_body", "full")))


def test_a_grin_is_a_smile_and_tears_are_sad() -> None:
    pool = [candidate(i, emotion=("grin", "crying")[i % 2]) for i in range(8)]
    assert [value for aspect, value in never(covered(pool, [0])) if aspect == "emotion"] == ["angry", "surprised"]


def test_an_emotion_that_joined_another_sub_set_was_shown() -> None:
    pool = [candidate(i, emotion="sad", tags={"tears": 0.9} if i == 3 else {}) for i in range(8)]
    assert ("emotion", "crying") not in never(covered(pool, [0]))


def test_what_the_tagger_cannot_measure_is_said_once_and_never_called_not_shown() -> None:
    found = covered([candidate(i) for i in range(10)], [0, 1, 2])
    assert never(found) == [("framing", "upper_body"), ("framing", "full"), ("framing", "frame")]
    aspects = ["view", "emotion", "outfit", "background", "surroundings", "time_of_day"]
    assert [gap.aspect for gap in found.not_measurable] == aspects
    assert all(gap.words.endswith("not measurable with this tagger") for gap in found.not_measurable)


def test_what_is_known_of_few_pictures_says_nothing_about_the_film() -> None:
    pool = [candidate(i, emotion="smile" if i < 4 else "unknown") for i in range(20)]
    found = covered(pool, [0])
    assert not [value for aspect, value in never(found) if aspect == "emotion"]
    (emotion,) = [gap for gap in found.not_measurable if gap.aspect == "emotion"]
    assert emotion.words.startswith("emotion: known of only 4 of 20 pictures")
    enough = covered([candidate(i, emotion="smile" if i < 5 else "unknown") for i in range(20)], [0])
    assert ("emotion", "angry") in never(enough)


def test_in_the_film_but_not_in_the_set() -> None:
    found = covered(WARDROBE, CHOSEN)
    assert [(gap.aspect, gap.value, gap.film) for gap in found.not_in_set] == [
        ("framing", "upper_body", 1),
        ("part", "3", 2),
    ]
    assert found.not_in_set[0].words == "framing upper body: 1 usable picture in the film, none in the set"
    without_coat = covered(WARDROBE, [1, 0, 2, 3, 10])
    assert ("outfit", "coat", 4) in [(gap.aspect, gap.value, gap.film) for gap in without_coat.not_in_set]


def test_thin() -> None:
    found = covered(WARDROBE, CHOSEN)
    thin = {(gap.aspect, gap.value): (gap.set, gap.film) for gap in found.thin}
    assert thin == {
        ("framing", "full"): (1, 2),
        ("view", "side"): (1, 2),
        ("emotion", "grin"): (2, 3),
        ("emotion", "sad"): (1, 2),
        ("outfit", "coat"): (2, 4),
    }
    assert all(gap.set < THIN for gap in found.thin)
    enough = covered(WARDROBE, [*CHOSEN, 22])
    assert ("outfit", "coat") not in [(gap.aspect, gap.value) for gap in enough.thin]


@pytest.mark.parametrize(
    ("background", "tags", "side", "time"),
    [
        ("classroom", {}, "indoors", "unknown"),
        ("street", {"night": 0.9, "day": 0.2}, "outdoors", "night"),
        ("classroom", {"outdoors": 0.8, "indoors": 0.5}, "outdoors", "unknown"),
        ("sunset", {"sunset": 0.7}, "unknown", "evening"),
        ("white_background", {"blue_sky": 0.6, "sunrise": 0.7}, "unknown", "morning"),
        ("unknown", {}, "unknown", "unknown"),
    ],
)
def test_place_and_time_of_day(background: str, tags: dict[str, float], side: str, time: str) -> None:
    found = covered([candidate(1, background=background, tags=tags)], [1])
    assert values(found, "surroundings") == [(side, 1, 1)]
    assert values(found, "time_of_day") == [(time, 1, 1)]


def test_parts_of_the_film_and_shots() -> None:
    pool = [
        candidate(0, pts_ms=-5),
        candidate(1, pts_ms=19_999),
        candidate(2, pts_ms=20_000),
        candidate(9, pts_ms=100_000),
    ]
    found = covered(pool, [2])
    assert values(found, "part") == [("1", 2, 0), ("2", 1, 1), ("3", 0, 0), ("4", 0, 0), ("5", 1, 0)]
    assert len(found.aspect("part").values) == PARTS
    assert values(found, "shot") == [("0", 1, 0), ("1", 1, 0), ("2", 1, 1), ("9", 1, 0)]
    assert found.shots_ms == tuple(SHOTS[at] for at in (0, 1, 2, 9))
    assert list(found.moments) == [
        (-5, False),
        (19_999, False),
        (20_000, True),
        (100_000, False),
    ]


def test_json_is_the_same_for_any_order_and_survives_a_file() -> None:
    expected = json.dumps(covered(WARDROBE, CHOSEN).as_json())
    for seed in range(5):
        shuffled = list(WARDROBE)
        random.Random(seed).shuffle(shuffled)
        assert json.dumps(covered(shuffled, CHOSEN).as_json()) == expected
    data = json.loads(expected)
    assert data["aspects"]["emotion"]["smile"] == {"film": 6, "set": 4}
    assert data["outfit_by_framing"]["coat"]["upper_body"] == {"film": 1, "set": 0}
    assert data["not_in_set"][0] == {
        "aspect": "framing",
        "value": "upper_body",
        "film": 1,
        "set": 0,
        "words": "framing upper body: 1 usable picture in the film, none in the set",
    }
    assert list(data) == [
        *("character", "pictures", "candidates", "span_ms", "aspects", "outfit_by_framing"),
        *("never_shown", "not_in_set", "thin", "not_measurable"),
    ]


def test_nobody_there() -> None:
    found = covered([], [])
    assert (found.never_shown, found.not_in_set, found.thin, found.not_measurable, found.cells) == ((), (), (), (), ())
    sheet = coverage_sheet(found, {}, "hana", "no picture")
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] <= 2350


def picture(color: Any, height: int = 60, width: int = 90) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def test_the_sheet_shows_the_best_of_each_kind_and_dims_what_was_left_out() -> None:
    found = covered(WARDROBE, CHOSEN)
    sheet = coverage_sheet(
        found, {"c001": picture(RED), "c000": picture((9, 9, 200)), "c030": picture(GREEN)}, "hana", ""
    )
    assert (sheet == RED).all(axis=2).sum() > 15_000  # 216 x 144, scaled up to the cell
    assert not (sheet == (9, 9, 200)).all(axis=2).any()  # another picture of the same kind
    assert not (sheet == GREEN).all(axis=2).any()
    dimmed = (sheet[..., 1] > 60) & (sheet[..., 0] == 0) & (sheet[..., 2] == 0)
    assert dimmed.sum() > 15_000


def test_the_sheet_of_twenty_outfits_with_long_names() -> None:
    pool = [
        candidate(
            i,
            outfit=f"{'very_long_' * 12}dress_{i % 20}",
            background=f"place_{i % 30}",
            framing=("face", "full")[i % 2],
        )
        for i in range(200)
    ]
    few, many = covered(pool[:3], [0]), covered(pool, list(range(0, 200, 7)))
    thumbnails = {one.id: picture(RED) for one in pool}
    small, large = (coverage_sheet(one, thumbnails, "hana " * 30, "x" * 300) for one in (few, many))
    assert small.shape[1] == large.shape[1] <= 2350
    assert small.shape[0] < large.shape[0] < 2600
    assert np.array_equal(large, coverage_sheet(many, thumbnails, "hana " * 30, "x" * 300))
    margin = large[:, -20:]
    assert (margin == margin[0, 0]).all()  # nothing is written beyond the edge


def test_a_kind_never_shown_is_marked_on_the_sheet() -> None:
    """With and without whole frames: the empty cell must look different from a filled one and from one that has no thumbnail."""
    pool = [candidate(i, outfit="dress") for i in range(4)]
    with_frame = [*pool, candidate(9, outfit="dress", framing="frame")]
    nothing = coverage_sheet(covered(pool, [0]), {}, "hana", "")
    left_out = coverage_sheet(covered(with_frame, [0]), {}, "hana", "")
    chosen = coverage_sheet(covered(with_frame, [0, 9]), {}, "hana", "")
    rows = min(len(nothing), len(left_out), len(chosen))
    column = slice(954, 1170)  # whole frames
    cells = [one[180 : min(rows, 330), column] for one in (nothing, left_out, chosen)]
    assert not np.array_equal(cells[0], cells[1])
    assert not np.array_equal(cells[1], cells[2])
    assert not np.array_equal(cells[0], cells[2])
