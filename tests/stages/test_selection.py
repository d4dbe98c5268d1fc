"""Selection: caps, mix, no picture twice, diversity, and that the order of candidates never matters."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.settings import DatasetSettings
from animeset_lib.stages.selection import THUMB_PX, Candidate, choose, thumb_difference

FRAMINGS: tuple[Any, ...] = ("face", "upper_body", "full", "frame")


def thumb(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((6, 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_CUBIC), 0, 1)


def candidate(number: int, look: int | None = None, **changes: Any) -> Candidate:
    """A crop unlike every other number; `look` gives it the thumbnail, vector and tags of that kind."""
    kind = number if look is None else look
    vector = np.random.default_rng(kind).normal(size=16).astype(np.float32)
    values: dict[str, Any] = {
        "id": f"c{number:04d}",
        "region_id": f"r{number:04d}",
        "framing": "face",
        "shot": number,
        "pts_ms": number * 1000,
        "vector": vector / np.linalg.norm(vector),
        "tags": {f"tag_{kind}": 0.9, "blue_hair": 0.9},
        "thumb": thumb(kind),
        "quality": 0.5,
        "confidence": 0.9,
    }
    return Candidate(**{**values, **changes})


def jittered(number: int, look: int, seed: int, **changes: Any) -> Candidate:
    """Of the same kind, but another drawing: the thumbnail is half of its own."""
    own = candidate(number, look, **changes)
    return Candidate(**{**own.__dict__, "thumb": 0.7 * own.thumb + 0.3 * thumb(seed)})


def test_nothing_to_choose() -> None:
    assert choose([], DatasetSettings()).ranked == ()


def test_all_are_taken_when_fewer_than_wanted() -> None:
    choice = choose([candidate(i) for i in range(5)], DatasetSettings())
    assert sorted(choice.ranked) == [f"c{i:04d}" for i in range(5)]
    assert choice.rejected == {}


def test_the_same_picture_is_not_chosen_twice_even_below_the_minimum() -> None:
    again = candidate(7, look=2, shot=50, pts_ms=90_000)
    choice = choose([*(candidate(i) for i in range(5)), again], DatasetSettings())
    assert len(choice.ranked) == 5
    ((dropped, why),) = choice.rejected.items()
    other = "c0002" if dropped == "c0007" else "c0007"
    assert f"almost the same picture as {other}" in why


def test_a_few_pixels_off_is_the_same_picture_and_another_expression_is_not() -> None:
    rng = np.random.default_rng(5)
    still = cv2.GaussianBlur(rng.random((300, 300, 3)).astype(np.float32), (0, 0), 6)
    still = (still - still.min()) / (still.max() - still.min())

    def crop(x: int, y: int, source: np.ndarray = still) -> np.ndarray:
        return cv2.resize(source[y : y + 200, x : x + 200], (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)

    open_mouth = still.copy()
    cv2.ellipse(open_mouth, (148, 190), (16, 12), 0, 0, 360, (0.5, 0.05, 0.05), -1)
    limit = DatasetSettings().same_picture
    assert thumb_difference(crop(50, 50), crop(50, 50)) == pytest.approx(0, abs=1e-6)
    assert max(thumb_difference(crop(50 + dx, 50 + dy), crop(50, 50)) for dx, dy in ((4, 0), (-3, 5), (6, 6))) < limit
    assert thumb_difference(crop(50, 50, open_mouth), crop(50, 50)) > limit
    assert thumb_difference(crop(0, 0), crop(100, 100)) > 3 * limit


def test_one_crop_of_each_framing_per_figure() -> None:
    same = [candidate(i, region_id="r", shot=1) for i in range(3)]
    other = candidate(3, region_id="r", shot=1, framing="full")
    choice = choose([*same, other], DatasetSettings())
    chosen = Counter(c.framing for c in [*same, other] if c.id in choice.ranked)
    assert chosen == {"face": 1, "full": 1}
    assert all("same figure in the same framing" in why for why in choice.rejected.values())


def test_no_shot_gives_more_than_its_share_while_there_are_others() -> None:
    crowd = [candidate(i, shot=1) for i in range(20)]
    others = [candidate(100 + i) for i in range(10)]
    limits = DatasetSettings(min_pictures=5, max_pictures=30, per_shot=4, novelty_min=0)
    choice = choose([*crowd, *others], limits)
    assert sum(one in {c.id for c in crowd} for one in choice.ranked) == 4
    assert len(choice.ranked) == 14
    assert all("shot 1 already gives 4 pictures" in why for why in choice.rejected.values())


def test_the_shot_cap_gives_way_to_the_minimum() -> None:
    choice = choose(
        [candidate(i, shot=1) for i in range(20)], DatasetSettings(min_pictures=9, max_pictures=30, per_shot=4)
    )
    assert len(choice.ranked) == 9


def test_the_mix_of_framings_is_kept_in_every_prefix() -> None:
    shares = {"face": 0.35, "upper_body": 0.35, "full": 0.2, "frame": 0.1}
    pool = [candidate(i, framing=FRAMINGS[i % 4]) for i in range(160)]
    ranked = choose(pool, DatasetSettings(max_pictures=60, novelty_min=0)).ranked
    framing = {c.id: c.framing for c in pool}
    for size in range(5, 61, 5):
        counts = Counter(framing[one] for one in ranked[:size])
        assert all(counts[name] <= share * size + 1.001 for name, share in shares.items()), (size, counts)


def test_framings_that_run_out_are_replaced_by_others() -> None:
    pool = [*(candidate(i) for i in range(40)), *(candidate(100 + i, framing="full") for i in range(2))]
    choice = choose(pool, DatasetSettings(min_pictures=10, max_pictures=30, novelty_min=0))
    assert len(choice.ranked) == 30
    assert {"c0100", "c0101"} <= set(choice.ranked)


def test_rare_kinds_are_in_the_first_pictures() -> None:
    common = [jittered(i, look=1, seed=500 + i) for i in range(60)]
    rare = [jittered(100 + i, look=2 + i % 3, seed=700 + i) for i in range(9)]
    ranked = choose([*common, *rare], DatasetSettings(min_pictures=5, max_pictures=20)).ranked
    kinds = {int(one[1:]) % 100 % 3 for one in ranked[:6] if int(one[1:]) >= 100}
    assert kinds == {0, 1, 2}


def test_of_two_alike_the_better_one() -> None:
    pool = [candidate(1, quality=0.2), candidate(2, look=1, quality=0.9), candidate(3)]
    assert "c0002" in choose(pool, DatasetSettings()).ranked
    pool = [candidate(1, confidence=0.3), candidate(2, look=1, confidence=0.9), candidate(3)]
    assert "c0002" in choose(pool, DatasetSettings()).ranked


def test_it_stops_when_the_rest_is_nothing_new() -> None:
    alike = [
        Candidate(
            **{
                **candidate(i, look=1, shot=1).__dict__,
                "thumb": np.clip(thumb(1) + 0.05 * thumb(900 + i), 0, 1),
                "pts_ms": 10 * i,
            }
        )
        for i in range(40)
    ]
    others = [candidate(100 + i) for i in range(12)]
    limits = DatasetSettings(min_pictures=10, max_pictures=50, per_shot=50, same_picture=0)
    choice = choose([*alike, *others], limits)
    assert 12 <= len(choice.ranked) < 20
    assert {c.id for c in others} <= set(choice.ranked)
    assert all("adds almost nothing to" in why and "novelty_min" in why for why in choice.rejected.values())
    everything = choose(
        [*alike, *others], DatasetSettings(min_pictures=10, max_pictures=50, per_shot=50, same_picture=0, novelty_min=0)
    )
    assert len(everything.ranked) == 50


def test_a_full_set_names_what_the_others_resemble() -> None:
    choice = choose([candidate(i) for i in range(9)], DatasetSettings(min_pictures=2, max_pictures=4))
    assert len(choice.ranked) == 4
    assert all("the set is full" in why and "is most like it" in why for why in choice.rejected.values())


pools = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 5), st.floats(0, 1)), min_size=0, max_size=25
).map(
    lambda rows: [
        jittered(
            i, look, 50 + (i * 7) % 9, framing=FRAMINGS[framing], shot=shot, region_id=f"r{i // 2}", quality=quality
        )
        for i, (look, framing, shot, quality) in enumerate(rows)
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    pool=pools, least=st.integers(1, 6), more=st.integers(0, 10), per_shot=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_what_holds_for_any_pool(pool: list[Candidate], least: int, more: int, per_shot: int, seed: int) -> None:
    limits = DatasetSettings(min_pictures=least, max_pictures=least + more, per_shot=per_shot)
    choice = choose(pool, limits)
    by_id = {c.id: c for c in pool}

    shuffled = list(pool)
    random.Random(seed).shuffle(shuffled)
    assert choose(shuffled, limits) == choice

    assert len(set(choice.ranked)) == len(choice.ranked) <= limits.max_pictures
    assert set(choice.ranked) | set(choice.rejected) == set(by_id)
    assert not set(choice.ranked) & set(choice.rejected)
    assert all(choice.rejected.values())

    places = Counter((by_id[one].region_id, by_id[one].framing) for one in choice.ranked)
    assert all(count == 1 for count in places.values())
    chosen = [by_id[one] for one in choice.ranked]
    assert all(
        thumb_difference(a.thumb, b.thumb) >= limits.same_picture
        for b_at, b in enumerate(chosen)
        for a in chosen[b_at + 1 :]
    )
    beyond = Counter(c.shot for c in chosen)
    if len(chosen) > least:
        assert sum(max(0, count - per_shot) for count in beyond.values()) <= least

    # The first n are the set of n.
    for smaller in range(least, limits.max_pictures):
        fewer = choose(pool, DatasetSettings(min_pictures=least, max_pictures=smaller, per_shot=per_shot))
        assert fewer.ranked == choice.ranked[:smaller]
