"""Selection: caps, mix, no picture twice, diversity, and that the order of candidates never matters."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.dataset.selection import THUMB_PX, PictureCandidate, choose, likeness, thumb_difference
from animeset_lib.settings import DatasetSettings

FRAMINGS: tuple[Any, ...] = ("face", "upper_body", "full", "frame")


def thumb(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((6, 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_CUBIC), 0, 1)


def candidate(number: int, look: int | None = None, **changes: Any) -> PictureCandidate:
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
    return PictureCandidate(**{**values, **changes})


def jittered(number: int, look: int, seed: int, **changes: Any) -> PictureCandidate:
    """Of the same kind, but another drawing: the thumbnail is half of its own."""
    own = candidate(number, look, **changes)
    return PictureCandidate(**{**own.__dict__, "thumb": 0.7 * own.thumb + 0.3 * thumb(seed)})


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
        counts: Counter[str] = Counter(framing[one] for one in ranked[:size])
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


def test_a_stranger_does_not_come_early() -> None:
    """Eight pictures each of three kinds, and two that resemble nothing, which are as good as the others."""
    own = [jittered(i, look=1 + i % 3, seed=500 + i) for i in range(24)]
    strangers = [candidate(100 + i) for i in range(2)]
    ranked = choose([*own, *strangers], DatasetSettings(min_pictures=12, max_pictures=12)).ranked
    assert {int(key[1:]) % 3 for key in ranked[:3]} == {0, 1, 2}
    assert not {c.id for c in strangers} & set(ranked[:9])


def test_of_two_alike_the_better_one() -> None:
    pool = [candidate(1, quality=0.2), candidate(2, look=1, quality=0.9), candidate(3)]
    assert "c0002" in choose(pool, DatasetSettings()).ranked
    pool = [candidate(1, confidence=0.3), candidate(2, look=1, confidence=0.9), candidate(3)]
    assert "c0002" in choose(pool, DatasetSettings()).ranked


def test_it_stops_when_the_rest_is_nothing_new() -> None:
    alike = [
        PictureCandidate(
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


def drab(number: int, **changes: Any) -> PictureCandidate:
    """One that is never sought for itself: a poor picture, unlike the others in nothing but its drawing."""
    return jittered(number, look=1, seed=2000 + number, quality=0.0, confidence=0.0, **changes)


def good(number: int, **changes: Any) -> PictureCandidate:
    return candidate(number, quality=1.0, confidence=1.0, **changes)


def taken(ranked: tuple[str, ...], pool: list[PictureCandidate], name: str, value: str) -> int:
    chosen = set(ranked)
    return sum(c.id in chosen and getattr(c, name) == value for c in pool)


@pytest.mark.parametrize(("name", "setting"), [("outfit", "per_outfit"), ("emotion", "per_emotion")])
def test_every_outfit_and_emotion_gets_its_least_number_in_time(name: str, setting: str) -> None:
    pool = [
        *(good(i, **{name: "usual"}) for i in range(60)),
        *(drab(100 + i, **{name: "rare"}) for i in range(12)),
    ]
    limits: dict[str, Any] = {"min_pictures": 30, "max_pictures": 40, "per_outfit": 0, "per_emotion": 0}
    without = choose(pool, DatasetSettings(**limits)).ranked
    ranked = choose(pool, DatasetSettings(**{**limits, setting: 8})).ranked
    assert taken(without[:30], pool, name, "rare") < 4
    assert taken(ranked[:15], pool, name, "rare") >= 4
    assert taken(ranked[:30], pool, name, "rare") == 8
    assert taken(ranked, pool, name, "rare") == taken(ranked[:30], pool, name, "rare")


def test_outfits_that_together_ask_for_more_than_the_smallest_set_are_served_evenly() -> None:
    pool = [drab(100 * kind + i, outfit=f"outfit_{kind}") for kind in range(1, 11) for i in range(8)]
    pool += [good(i, outfit="outfit_1") for i in range(60)]
    ranked = choose(pool, DatasetSettings(min_pictures=30, max_pictures=100, per_outfit=8, novelty_min=0)).ranked
    for size in (20, 40, 80):
        counts = [taken(ranked[:size], pool, "outfit", f"outfit_{kind}") for kind in range(1, 11)]
        assert min(counts) >= size // 10, (size, counts)


def test_unknown_asks_for_nothing() -> None:
    pool = [*(good(i, outfit="dress") for i in range(40)), *(drab(100 + i) for i in range(10))]
    ranked = choose(pool, DatasetSettings(min_pictures=30, max_pictures=30, per_outfit=10)).ranked
    assert taken(ranked, pool, "outfit", "unknown") < 4


def test_the_shot_cap_wins_over_an_outfit() -> None:
    pool = [*(good(i, outfit="usual") for i in range(60)), *(drab(100 + i, outfit="rare", shot=999) for i in range(12))]
    choice = choose(pool, DatasetSettings(min_pictures=30, max_pictures=40, per_outfit=8, per_shot=3))
    assert taken(choice.ranked, pool, "outfit", "rare") == 3


def test_novelty_wins_over_an_outfit() -> None:
    rare = [drab(100 + i, outfit="rare", shot=999, pts_ms=i) for i in range(30)]
    pool = [*(good(i, outfit="usual") for i in range(30)), *rare]
    limits: dict[str, Any] = {"min_pictures": 10, "max_pictures": 50, "per_outfit": 20, "per_shot": 50}
    most = choose(pool, DatasetSettings(**limits, novelty_min=0)).ranked
    assert taken(most, pool, "outfit", "rare") == 20
    choice = choose(pool, DatasetSettings(**limits, novelty_min=0.3))
    assert taken(choice.ranked, pool, "outfit", "rare") < 10
    assert any("novelty_min" in choice.rejected.get(c.id, "") for c in rare)


def test_the_mix_of_framings_wins_over_an_outfit() -> None:
    """The outfit is there in whole frames alone, of which a tenth is wanted."""
    pool = [candidate(i, framing=FRAMINGS[i % 3], outfit="usual") for i in range(90)]
    pool += [candidate(200 + i, framing="frame", outfit="rare") for i in range(20)]
    ranked = choose(pool, DatasetSettings(min_pictures=30, max_pictures=60, per_outfit=20, novelty_min=0)).ranked
    for size in (10, 30, 60):
        assert size // 10 <= taken(ranked[:size], pool, "outfit", "rare") <= size // 10 + 1


@pytest.mark.parametrize("swapped", [False, True])
def test_an_outfit_wins_over_an_emotion(swapped: bool) -> None:
    one, other = ("emotion", "outfit") if swapped else ("outfit", "emotion")
    pool = [*(good(i, outfit="usual", emotion="usual") for i in range(30))]
    pool += [drab(100 + i, **{one: "rare", other: "usual"}) for i in range(10)]
    pool += [drab(200 + i, **{one: "usual", other: "rare"}) for i in range(10)]
    limits = DatasetSettings(min_pictures=20, max_pictures=20, per_outfit=10, per_emotion=10)
    ranked = choose(pool, limits).ranked
    by_id = {c.id: c for c in pool}
    rare = [next(at for at, key in enumerate(ranked) if getattr(by_id[key], name) == "rare") for name in (one, other)]
    assert (rare[0] < rare[1]) is not swapped


def test_what_nobody_measured_makes_no_pictures_alike() -> None:
    pool = [candidate(i) for i in range(6)]
    plain = likeness(pool)
    assert np.array_equal(likeness([replace(c, outfit="dress") for c in pool]) >= plain, np.ones((6, 6), bool))
    emotions = [replace(c, emotion=("smile", "sad")[i % 2]) for i, c in enumerate(pool)]
    same = likeness(emotions)
    assert same[0, 2] > plain[0, 2]
    assert same[0, 1] < plain[0, 1]
    half = likeness([replace(emotions[0], emotion="unknown"), *emotions[1:]])
    assert same[0, 1] < half[0, 1] < same[0, 2]


def test_looks_are_compared_within_a_framing_only() -> None:
    def pair(framing: str, look: int) -> float:
        return float(likeness([candidate(1), candidate(1, thumb=thumb(look), framing=framing)])[0, 1])

    assert pair("face", 1) > pair("face", 2) + 0.2
    assert pair("full", 1) == pair("full", 2)


@pytest.mark.parametrize(
    ("rare", "taken"),
    [
        ([{"outfit": "rare"}] * 3, 2),
        # on fewer than three figures it is as often a wrong face's dress
        ([{"outfit": f"once_{i}"} for i in range(3)], 0),
        ([{"outfit": "rare", "region_id": "one"}] * 3, 0),
    ],
)
def test_what_is_rare_comes_in_the_middle(rare: list[dict[str, str]], taken: int) -> None:
    pool = [
        *(good(i, outfit=f"outfit_{i % 9}") for i in range(90)),
        *(drab(100 + i, **changes) for i, changes in enumerate(rare)),
    ]
    ranked = choose(pool, DatasetSettings(min_pictures=20, max_pictures=50, per_outfit=8, novelty_min=0)).ranked
    at = [number for number, key in enumerate(ranked) if key.startswith("c01")]
    assert len(at) == taken  # though the other quotas alone ask for 72
    assert not at or at[0] > 10


def test_every_choice_is_explained_by_what_decided() -> None:
    pool = [
        *(good(i, outfit="usual") for i in range(60)),
        *(drab(100 + i, outfit="rare_dress") for i in range(12)),
        *(drab(200 + i, framing="full") for i in range(12)),
    ]
    choice = choose(pool, DatasetSettings(min_pictures=30, max_pictures=40, per_outfit=8))
    assert tuple(choice.chosen) == choice.ranked
    assert choice.chosen[choice.ranked[0]] == "first choice: stands best for all 84 candidates"
    rare = [why for key, why in choice.chosen.items() if key.startswith("c01")]
    assert [why.split(";")[0] for why in rare] == [f"{n} of 8 wanted of outfit rare dress" for n in range(1, 9)]
    full = [why for key, why in choice.chosen.items() if key.startswith("c02")]
    assert full
    assert all(re.match(r"adds full \(\d+ of \d+ so far, 20% wished\); of these adds most: ", why) for why in full)
    assert choose([candidate(1)], DatasetSettings()).chosen == {"c0001": "the only candidate"}
    crowd = choose([candidate(i, shot=1) for i in range(9)], DatasetSettings(min_pictures=9, per_shot=4)).chosen
    over = [why for why in crowd.values() if "more than 4 of shot 1 (dataset.per_shot)" in why]
    assert len(over) == 5
    assert "9 pictures are wanted" in over[0]


pools = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(0, 3),
        st.integers(0, 5),
        st.floats(0, 1),
        st.sampled_from(["unknown", "dress", "uniform"]),
        st.sampled_from(["unknown", "smile", "sad"]),
    ),
    min_size=0,
    max_size=25,
).map(
    lambda rows: [
        jittered(
            i,
            look,
            50 + (i * 7) % 9,
            framing=FRAMINGS[framing],
            shot=shot,
            region_id=f"r{i // 2}",
            quality=quality,
            outfit=outfit,
            emotion=emotion,
        )
        for i, (look, framing, shot, quality, outfit, emotion) in enumerate(rows)
    ]
)


def test_crops_that_have_nothing_in_common_are_chosen_all_the_same() -> None:
    pool = [
        candidate(number, look, framing=framing, outfit=outfit, vector=vector, tags={f"tag_{look}": 0.9})
        for number, look, framing, outfit, vector in (
            (1, 0, "face", "uniform", np.eye(16, dtype=np.float32)[0]),
            (2, 8, "upper_body", "dress", np.eye(16, dtype=np.float32)[1]),
        )
    ]
    choice = choose(pool, DatasetSettings(min_pictures=2, max_pictures=2))
    assert set(choice.ranked) == {"c0001", "c0002"}
    assert "adds most: the set stands for 100.0% of the 2 candidates with it" in choice.chosen[choice.ranked[1]]


@settings(max_examples=60, deadline=None)
@given(
    pool=pools, least=st.integers(1, 6), more=st.integers(0, 10), per_shot=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_what_holds_for_any_pool(pool: list[PictureCandidate], least: int, more: int, per_shot: int, seed: int) -> None:
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
    assert tuple(choice.chosen) == choice.ranked
    order = sorted(by_id)
    like = likeness([by_id[key] for key in order]) if order else np.zeros((0, 0), np.float32)
    for at, key in enumerate(choice.ranked[1:], start=1):
        before = choice.ranked[:at]
        said = re.search(r"difference (\S+) to (\S+), the nearest", choice.chosen[key])
        assert said
        assert said[2] in before
        nearest = max(float(like[order.index(key), order.index(other)]) for other in before)
        assert float(said[1]) == pytest.approx(1 - nearest, abs=0.0051)
        assert like[order.index(key), order.index(said[2])] == pytest.approx(nearest)
        if counted := re.search(r"adds ([a-z ]+) \((\d+) of (\d+) so far", choice.chosen[key]):
            framings = [by_id[other].framing for other in before]
            assert counted[1].replace(" ", "_") == by_id[key].framing
            assert (int(counted[2]), int(counted[3])) == (framings.count(by_id[key].framing), at)
        for number, wanted, name, value in re.findall(r"(\d+) of (\d+) wanted of (\w+) (\w+)", choice.chosen[key]):
            own = [getattr(by_id[other], name) for other in before]
            assert value == getattr(by_id[key], name)
            assert int(number) == own.count(value) + 1 <= int(wanted)

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
