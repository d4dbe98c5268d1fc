"""Pre-selection and the planned mix of framings: pure functions, small cases by hand, and what must always hold."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.pictures.framing import FRAMINGS
from animeset_lib.pictures.preselect import FigureCandidate, assign_framings, preselect
from animeset_lib.records import Box, Framing

SHARES: dict[Framing, float] = {"face": 0.35, "upper_body": 0.35, "full": 0.2, "frame": 0.1}
BOXES: dict[Framing, Box] = {
    "face": Box(x0=400, y0=100, x1=500, y1=200),
    "upper_body": Box(x0=350, y0=80, x1=550, y1=380),
    "full": Box(x0=200, y0=50, x1=700, y1=700),
    "frame": Box(x0=0, y0=0, x1=1280, y1=720),
}


def candidate(name: str, shot: int = 0, second: float = 0, score: float = 0.5, angle: float = 0) -> FigureCandidate:
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return FigureCandidate(name, shot, int(second * 1000), score, vector)


@st.composite
def pools(draw: st.DrawFn) -> list[FigureCandidate]:
    count = draw(st.integers(0, 25))
    return [
        candidate(
            f"r{i:02d}",
            draw(st.integers(0, 5)),
            draw(st.integers(0, 600)),
            draw(st.floats(0, 1)),
            draw(st.floats(0, 6)),
        )
        for i in range(count)
    ]


@given(pools(), st.integers(0, 30), st.randoms())
def test_preselect_is_a_ranking(pool: list[FigureCandidate], limit: int, random: object) -> None:
    chosen = preselect(pool, limit)
    assert len(chosen) == min(limit, len(pool)) == len(set(chosen))
    shuffled = list(pool)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert preselect(shuffled, limit) == chosen
    assert preselect(pool, limit + 3)[: len(chosen)] == chosen


@given(pools(), st.integers(1, 30))
def test_no_shot_runs_ahead(pool: list[FigureCandidate], limit: int) -> None:
    shots = {c.id: c.shot for c in pool}
    chosen = preselect(pool, limit)
    left = {c.shot for c in pool if c.id not in chosen}
    taken = Counter(shots[name] for name in chosen)
    if left and taken:
        assert max(taken.values()) <= min(taken[shot] for shot in left) + 2


def test_the_best_comes_first_then_the_different_one() -> None:
    pool = [
        candidate("a", shot=0, score=0.8, second=10),
        candidate("b", shot=1, score=0.8, second=11, angle=0.01),
        candidate("c", shot=2, score=0.7, second=300, angle=0.6),
    ]
    assert preselect(pool, 3) == ["a", "c", "b"]


def test_a_bad_outlier_does_not_beat_good_ones() -> None:
    pool = [candidate(f"g{i}", shot=i, second=i, score=0.9, angle=0.05 * i) for i in range(6)]
    pool.append(candidate("odd", shot=9, second=3, score=0.1, angle=3))
    assert "odd" not in preselect(pool, 4)


def mix(framings: list[list[Framing]]) -> Counter[Framing]:
    return Counter(framing for few in framings for framing in few)


@given(st.lists(st.sets(st.sampled_from(FRAMINGS)), max_size=40), st.integers(0, 100))
def test_every_figure_gets_what_it_can(possible: list[set[Framing]], target: int) -> None:
    options = [{f: BOXES[f] for f in FRAMINGS if f in some} for some in possible]
    framings = assign_framings(options, [frozenset()] * len(options), SHARES, target)
    assert len(framings) == len(options)
    for few, boxes in zip(framings, options, strict=True):
        assert set(few) <= set(boxes)
        assert len(few) == len(set(few))
        assert bool(few) == bool(boxes)
    figures = sum(bool(boxes) for boxes in options)
    assert sum(mix(framings).values()) == max(figures, min(target, sum(map(len, options))))
    assert framings == assign_framings(options, [frozenset()] * len(options), SHARES, target)


@pytest.mark.parametrize("count", [20, 37, 150])
def test_the_mix_is_met_where_all_is_possible(count: int) -> None:
    planned = mix(assign_framings([BOXES] * count, [frozenset()] * count, SHARES, count))
    assert all(abs(planned[framing] - share * count) <= 1 for framing, share in SHARES.items())


def test_rare_framings_go_to_those_who_can() -> None:
    close_up = {"face": BOXES["face"]}
    options = [BOXES] * 8 + [close_up] * 12
    planned = mix(assign_framings(options, [frozenset()] * 20, SHARES, 20))
    assert planned["face"] == 12
    assert planned["upper_body"] + planned["full"] + planned["frame"] == 8
    assert planned["full"] >= 2


def test_few_figures_give_several_framings_each() -> None:
    framings = assign_framings([BOXES] * 5, [frozenset()] * 5, SHARES, 15)
    assert all(len(few) == 3 for few in framings)


def test_nearly_equal_boxes_are_one_picture() -> None:
    frame = Box(x0=0, y0=0, x1=1280, y1=720)
    close_up: dict[Framing, Box] = {"face": Box(x0=0, y0=0, x1=1200, y1=720), "frame": frame}
    assert [len(few) for few in assign_framings([close_up], [frozenset()], SHARES, 5)] == [1]


def test_poor_framings_only_where_nothing_else_is_left() -> None:
    poor = frozenset[Framing]({"face"})
    only_face = {"face": BOXES["face"]}
    framings = assign_framings([BOXES, only_face], [poor, poor], {**SHARES, "face": 1.0}, 2)
    assert framings[0] != ["face"]
    assert framings[1] == ["face"]


def test_a_share_of_zero_forbids() -> None:
    framings = assign_framings([BOXES, {"face": BOXES["face"]}], [frozenset()] * 2, {**SHARES, "face": 0}, 10)
    assert "face" not in mix(framings)
    assert framings[1] == []
    everything_zero = assign_framings([BOXES], [frozenset()], dict.fromkeys(FRAMINGS, 0.0), 1)
    assert len(everything_zero[0]) == 1
