"""Shares, lift, core, policies, and what a caption must not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.settings import CaptionSettings
from animeset_lib.words.cleaning import clean
from animeset_lib.words.line import order_tags, write_caption
from animeset_lib.words.traits import (
    POLICIES,
    Pictured,
    Policy,
    Trait,
    TraitChoice,
    core_of,
    leaks_of,
    left_out,
    table_of,
    trait_table,
    traits_json,
)
from animeset_lib.words.vocabulary import CORE_CATEGORIES, category_of, is_accessory


def alone(character: str, tags: str, track: str = "", framing: str = "upper_body") -> Pictured:
    return Pictured(character, tuple(tags.split()), framing, track)


def on_own_tracks(character: str, *tags: str, framing: str = "upper_body") -> list[Pictured]:
    return [alone(character, words, f"{character} {i}", framing) for i, words in enumerate(tags)]


def table(pictures: list[Pictured], share: float = 0.6, lift: float = 3.0) -> dict[str, dict[str, Trait]]:
    return {name: {t.tag: t for t in traits} for name, traits in trait_table(pictures, share, lift).items()}


REM = on_own_tracks("rem", *["blue_hair long_hair red_eyes dress smile"] * 6, *["blue_hair ponytail dress"] * 4)


def test_core_traits_are_those_that_stay() -> None:
    # The eyes are visible on six pictures only, and red on all of these; the dress is on all, but clothes are never core.
    assert core_of(trait_table(REM, 0.6, 3)["rem"]) == ["blue_hair", "long_hair", "red_eyes"]
    assert core_of(trait_table(REM, 0.7, 3)["rem"]) == ["blue_hair", "red_eyes"]
    assert core_of(trait_table(REM[:1], 0.6, 3)["rem"]) == ["blue_hair", "long_hair", "red_eyes"]
    assert trait_table([], 0.6, 3) == {}


def test_two_sightings_among_many_pictures_are_chance() -> None:
    pictures = on_own_tracks("rem", *["dress"] * 20, *["red_eyes"] * 2)
    assert core_of(trait_table(pictures, 0.6, 3)["rem"]) == []
    assert core_of(trait_table([*pictures, *on_own_tracks("rem", "red_eyes")], 0.6, 3)["rem"]) == ["red_eyes"]


def test_the_numbers_of_a_trait() -> None:
    others = [
        *on_own_tracks("ram", *["pink_hair red_eyes"] * 2),
        *on_own_tracks("emi", *["blue_hair"] * 3, "grey_hair"),
    ]
    found = table([*REM, *others])["rem"]
    assert found["blue_hair"] == Trait("blue_hair", "hair", 10, 10, 1.0, 0.375, round(1.05 / 0.425, 4), True)
    assert found["red_eyes"] == Trait("red_eyes", "eyes", 6, 6, 1.0, 1.0, 1.0, True), (
        "emi shows no eyes, so only ram counts"
    )
    assert found["ponytail"] == Trait("ponytail", "hair", 10, 4, 0.4, 0.0, 9.0, False)
    assert found["dress"].lift == 21.0
    assert "smile" not in found
    assert table(REM)["rem"]["blue_hair"].lift is None, "there is nobody to compare with"


def test_a_track_weighs_the_same_however_long_it_is() -> None:
    long = [alone("rem", "red_hair", "night") for _ in range(50)]
    short = on_own_tracks("rem", *["blue_hair"] * 4)
    found = table([*long, *short])["rem"]
    assert found["blue_hair"].share == 0.8
    assert (found["red_hair"].share, found["red_hair"].count) == (0.2, 50)
    assert [found["blue_hair"].core, found["red_hair"].core] == [True, False]


def test_a_more_exact_word_counts_for_the_general_one() -> None:
    pictures = on_own_tracks("rem", *["long_hair"] * 5, *["very_long_hair"] * 4, "short_hair")
    found = table(pictures)["rem"]
    assert (found["long_hair"].share, found["very_long_hair"].share) == (0.9, 0.4)
    assert core_of(found.values()) == ["long_hair"]


def test_worn_things_are_core_only_when_always_there_and_telling() -> None:
    worn = on_own_tracks("rem", *["blue_hair glasses"] * 9, "blue_hair", framing="face")
    bare = on_own_tracks("ram", *["pink_hair"] * 5, framing="face")
    both = on_own_tracks("ram", *["pink_hair glasses"] * 5, framing="face")
    some = on_own_tracks("rem", *["blue_hair glasses"] * 8, *["blue_hair"] * 2, framing="face")
    assert table([*worn, *bare])["rem"]["glasses"].core
    assert not table([*worn, *both])["rem"]["glasses"].core, "everybody wears them"
    assert not table([*some, *bare])["rem"]["glasses"].core, "four times in five is not always"
    assert not table(worn)["rem"]["glasses"].core, "nobody to compare with"
    assert not table([*worn, *bare], lift=20)["rem"]["glasses"].core
    # where they cannot be seen they are not missing
    far = on_own_tracks("rem", *["blue_hair"] * 9, framing="full")
    shoes = [Pictured("rem", ("blue_hair",), "face", f"face {i}") for i in range(9)]
    assert table([*worn, *far])["rem"]["glasses"].pictures == 19
    assert table([*shoes, *on_own_tracks("rem", *["boots"] * 3, framing="full")])["rem"]["boots"].share == 1.0
    # a ribbon in the hair is worn, though it is a word about hair
    ribbons = on_own_tracks("rem", *["blue_hair hair_ribbon"] * 9)
    assert not table([*ribbons, *on_own_tracks("ram", *["hair_ribbon"] * 9)])["rem"]["hair_ribbon"].core
    assert table([*ribbons, *bare])["rem"]["hair_ribbon"].core


def test_core_traits_come_first_then_by_category_and_share() -> None:
    rows = trait_table([*REM, *on_own_tracks("rem", "blue_eyes")], 0.6, 3)["rem"]
    assert [row.tag for row in rows] == ["blue_hair", "long_hair", "red_eyes", "ponytail", "blue_eyes", "dress"]


CORE = ["long_hair", "blue_eyes", "glasses"]


@pytest.mark.parametrize(
    ("policy", "choice", "gone"),
    [
        ("keep", TraitChoice(), ""),
        ("drop", TraitChoice(), "very_long_hair blue_eyes glasses"),
        ("drop_all", TraitChoice(), "very_long_hair blue_eyes glasses ponytail cat_ears"),
        ("keep", TraitChoice(policy="drop"), "very_long_hair blue_eyes glasses"),
        ("drop", TraitChoice(policy="keep"), ""),
        ("keep", TraitChoice(always_drop=("hair_ribbon",)), "red_hair_ribbon"),
        ("drop", TraitChoice(always_keep=("blue_eyes",)), "very_long_hair glasses"),
        ("drop", TraitChoice(always_keep=("long_hair",)), "blue_eyes glasses"),
        ("drop_all", TraitChoice(always_keep=("animal_ears",)), "very_long_hair blue_eyes glasses ponytail"),
        ("keep", TraitChoice(always_drop=("very_long_hair",), always_keep=("long_hair",)), "very_long_hair"),
        (
            "drop_all",
            TraitChoice(always_drop=("long_hair",), always_keep=("very_long_hair",)),
            "blue_eyes glasses ponytail cat_ears",
        ),
    ],
)
def test_policies(policy: Policy, choice: TraitChoice, gone: str) -> None:
    tags = [
        "very_long_hair",
        "blue_eyes",
        "glasses",
        "ponytail",
        "cat_ears",
        "red_hair_ribbon",
        "dress",
        "smile",
        "1girl",
    ]
    assert {tag for tag in tags if left_out(tag, policy, CORE, choice)} == set(gone.split())


def published(policy: Policy = "drop", choice: TraitChoice | None = None) -> dict[str, Any]:
    found = traits_json(
        "rem",
        "ohwx rem",
        policy,
        trait_table(REM, 0.6, 3)["rem"],
        pictures=10,
        tracks=10,
        choice=choice or TraitChoice(),
    )
    loaded: dict[str, Any] = json.loads(json.dumps(found))
    return loaded


def test_what_is_published() -> None:
    found = published(choice=TraitChoice(always_drop=("crown",), always_keep=("red_eyes",)))
    assert {key: found[key] for key in found if key != "traits"} == {
        "character": "rem",
        "trigger": "ohwx rem",
        "trigger_first": True,
        "policy": "drop",
        "settings_policy": "drop",
        "pictures": 10,
        "tracks": 10,
        "dropped": ["blue_hair", "long_hair", "crown"],
        "kept": ["red_eyes"],
    }
    assert table_of(found) == trait_table(REM, 0.6, 3)["rem"]
    assert published("keep", TraitChoice(policy="drop_all"))["policy"] == "drop_all"
    assert published("keep", TraitChoice(policy="drop_all"))["settings_policy"] == "keep"
    assert set(published("drop_all")["dropped"]) == {"blue_hair", "long_hair", "red_eyes", "ponytail"}


def leaks(tags: list[str], policy: Policy, dropped: list[str], kept: list[str] | None = None) -> list[str]:
    """What such a caption gives away of `rem`."""
    return leaks_of({**published(policy), "trigger": "rem", "dropped": dropped, "kept": kept or []}, tags)


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("rem, 1girl, solo, dress, smile", []),
        ("rem, very_long_hair, smile", ["very_long_hair"]),
        ("rem, Long Hair", ["Long Hair"]),
        ("rem, long blue hair", ["long blue hair"]),
        ("rem, girl with blue hair", ["girl with blue hair"]),
        ("rem, silver_hair", []),
        ("rem, blue_hair_ribbon, blue_dress, hair_ornament", []),
        ("rem, holding hair", []),
        ("rem, red eyes", []),
        ("rem, blue_eyes", ["blue_eyes"]),
    ],
)
def test_identity_words_leak(caption: str, told: list[str]) -> None:
    found = leaks(caption.split(", "), "drop", ["long_hair", "blue_hair", "blue_eyes"], ["red_eyes"])
    assert len(found) == len(told), found
    assert all(sentence.startswith(f"{word} tells") for word, sentence in zip(told, found, strict=True))


def test_words_between_do_not_hide_a_leak() -> None:
    assert leaks(["rem", "blue long hair"], "drop", ["blue_hair"]) == [
        "blue long hair tells what the trigger word should learn (blue_hair is left out)"
    ]


def test_all_traits_leak_where_all_are_dropped() -> None:
    found = leaks(["rem", "cat_ears", "short_hair", "hair_ribbon", "red_eyes", "smile"], "drop_all", [], ["red_eyes"])
    assert [sentence.split()[0] for sentence in found] == ["cat_ears", "short_hair"]


@pytest.mark.parametrize(
    ("caption", "first", "said"),
    [
        (["1girl", "smile"], True, "the trigger word rem is missing"),
        ([], True, "the trigger word rem is missing"),
        (["Rem", "smile"], True, "the trigger word rem is spelled Rem"),
        (["1girl", "rem"], True, "the trigger word rem does not come first"),
        (["1girl", "rem"], False, None),
    ],
)
def test_the_trigger_is_there(caption: list[str], first: bool, said: str | None) -> None:
    traits = {**published("keep"), "trigger": "rem", "dropped": [], "trigger_first": first}
    assert leaks_of(traits, caption) == ([said] if said else [])


def test_leaks_of_a_published_table() -> None:
    assert leaks_of(published(), ["ohwx rem", "blue_hair", "ponytail"]) == [
        "blue_hair tells what the trigger word should learn (blue_hair is left out)"
    ]
    assert leaks_of(published("keep"), ["ohwx rem", "blue_hair", "ponytail"]) == []


WORDS = """
    blue_hair light_blue_hair long_hair very_long_hair ponytail red_eyes cat_ears animal_ears hair_ribbon red_hair_ribbon glasses round_eyewear dress
    smile 1girl solo witch_hat tail fox_tail navel
"""
words = st.sampled_from(WORDS.split())


@given(
    pictures=st.lists(
        st.tuples(st.sampled_from(["rem", "ram"]), st.lists(words, max_size=6), st.sampled_from("abcdef")), max_size=12
    ),
    policy=st.sampled_from(POLICIES),
    drop=st.sets(words, max_size=2),
    keep=st.sets(words, max_size=2),
    underscores=st.booleans(),
)
def test_captions_never_leak_what_the_policy_leaves_out(
    pictures: list[tuple[str, list[str], str]], policy: Policy, drop: set[str], keep: set[str], underscores: bool
) -> None:
    cast = [
        Pictured(name, tuple(clean(dict.fromkeys(tags, 0.9), 1).tags), "upper_body", track)
        for name, tags, track in pictures
    ]
    settings = CaptionSettings(underscores=underscores, trigger="ohwx {charname}")
    choice = TraitChoice(always_drop=tuple(sorted(drop)), always_keep=tuple(sorted(keep - drop)))
    for name, traits in trait_table(cast, 0.6, 3).items():
        for trait in traits:
            assert 0 < trait.count <= trait.pictures
            assert 0 < trait.share <= 1
            assert not trait.core or trait.category in CORE_CATEGORIES or is_accessory(trait.tag)
        said = traits_json(name, f"ohwx {name}", policy, traits, pictures=1, tracks=1, choice=choice)
        for picture in cast:
            pruned = [tag for tag in picture.tags if left_out(tag, policy, core_of(traits), choice)]
            tags = order_tags(dict.fromkeys(picture.tags, 0.9))
            caption = write_caption(name, tags, pruned, settings)
            assert picture.character != name or leaks_of(said, caption.split(", ")) == []
            assert all(category_of(tag) != "people" for tag in set(pruned) - drop)
