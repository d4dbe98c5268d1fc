"""What the pictures of one track agree on, and what they must never make up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.words.cleaning import CONSTANT_GROUPS, Cleaned, clean
from animeset_lib.words.overlap import more_exact
from animeset_lib.words.visibility import visible
from animeset_lib.words.vocabulary import TRAIT_CATEGORIES, category_of
from animeset_lib.words.voting import Sighted, vote


def seen(tags: str, framing: str = "upper_body", still: str = "", faces: int = 1) -> Sighted:
    """`"blue_hair smile=0.4"`; a score is 0.9 unless given."""
    pairs = (word.partition("=") for word in tags.split())
    return Sighted({tag: float(score or 0.9) for tag, _, score in pairs}, framing, faces, still)


def shot(*pictures: Sighted) -> list[Sighted]:
    """The pictures in stills of their own, where they name none."""
    return [Sighted(p.tags, p.framing, p.faces, p.still or f"own {i}") for i, p in enumerate(pictures)]


def changes(result: Cleaned) -> set[str]:
    return {f"-{tag}" for tag in result.removed} | {f"+{tag}" for tag in result.added}


def outcome(pictures: Sequence[Sighted]) -> list[set[str]]:
    return [changes(result) for result in vote(pictures)]


BLUE = [seen("blue_hair blue_eyes smile")] * 5


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (seen("blue_hair green_eyes=0.6"), {"-green_eyes", "+blue_eyes"}),
        (seen("red_hair=0.6 blue_eyes"), {"-red_hair", "+blue_hair"}),
        # seen too small for eyes: what is wrong goes, nothing comes
        (seen("blue_hair green_eyes=0.6", "full"), {"-green_eyes"}),
        # eyes that are closed have no colour, so none is added
        (seen("blue_hair closed_eyes", "face"), set()),
        (seen("blue_hair from_behind"), set()),
        # missing traits come where the framing shows them
        (seen("smile", "face"), {"+blue_hair", "+blue_eyes"}),
        (seen("smile", "full"), {"+blue_hair"}),
        (seen("smile", "frame"), set()),
        # moods are nobody's to vote on
        (seen("blue_hair blue_eyes angry"), set()),
        # a second figure: nobody knows whose hair it is
        (seen("2girls red_hair green_eyes"), set()),
        (seen("red_hair green_eyes", faces=2), set()),
        # its own doubt is respected
        (seen("light_blue_hair blue_eyes"), {"-light_blue_hair", "+blue_hair"}),
    ],
)
def test_one_picture_against_five(odd: Sighted, expected: set[str]) -> None:
    *same, last = outcome(shot(*BLUE, odd))
    assert last == expected
    assert all(not change for change in same)


def test_what_was_changed_is_explained() -> None:
    result = vote(shot(*BLUE, seen("blue_hair green_eyes=0.6")))[-1]
    assert result.removed == {"green_eyes": "5 stills of this shot say blue_eyes (eye colour)"}
    assert result.added == {"blue_eyes": "5 stills of this shot say blue_eyes (eye colour), instead of green_eyes"}
    assert result.tags == {"blue_hair": 0.9, "blue_eyes": 0.9}


def test_no_clear_majority_no_change() -> None:
    assert outcome(shot(*[seen("blue_eyes")] * 3, *[seen("green_eyes")] * 2)) == [set()] * 5
    assert outcome(shot(*[seen("blue_eyes=0.4")] * 3, *[seen("green_eyes=0.95")])) == [set()] * 4, (
        "votes are as heavy as scores"
    )


def test_two_stills_are_no_majority_however_many_pictures_they_gave() -> None:
    pictures = [seen("blue_eyes", still="a"), seen("blue_eyes", still="a"), seen("blue_eyes", still="b")]
    assert outcome([*pictures, seen("green_eyes=0.4", still="c")]) == [set()] * 4
    third = seen("blue_eyes", still="d")
    assert outcome([*pictures, third, seen("green_eyes=0.4", still="c")])[-1] == {"-green_eyes", "+blue_eyes"}


def test_many_pictures_of_one_still_have_one_vote() -> None:
    same = [seen("green_eyes", still="a")] * 3
    assert outcome([*same, *shot(*[seen("blue_eyes")] * 4)])[0] == {"-green_eyes", "+blue_eyes"}


def test_two_coloured_eyes_are_no_contradiction() -> None:
    odd = seen("heterochromia blue_eyes red_eyes")
    assert outcome(shot(*[odd] * 2, *[seen("blue_eyes")] * 4, seen("red_eyes")))[-1] == set()
    assert outcome(shot(odd, *[seen("blue_eyes")] * 7, seen("red_eyes")))[-1] == {"-red_eyes", "+blue_eyes"}, (
        "one in nine is a slip"
    )


@pytest.mark.parametrize(
    ("tags", "framing", "expected"),
    [
        ("", "upper_body", {"+white_shirt"}),
        ("", "full", {"+white_shirt", "+skirt"}),
        ("", "face", set()),
        ("black_shirt=0.5", "upper_body", {"-black_shirt", "+white_shirt"}),
        ("black_skirt", "full", {"+white_shirt"}),
        ("shirt", "upper_body", {"-shirt", "+white_shirt"}),
        ("striped_white_shirt", "upper_body", set()),
    ],
)
def test_clothes_come_only_where_they_are_seen(tags: str, framing: str, expected: set[str]) -> None:
    dressed = [seen("white_shirt skirt", "full")] * 6
    assert outcome(shot(*dressed, seen(tags, framing)))[-1] == expected


def test_a_single_sighting_goes_and_a_passing_one_stays() -> None:
    others = [seen("blue_hair")] * 7
    lonely = vote(shot(*others, seen("blue_hair glasses=0.8 open_jacket smile")))[-1]
    assert lonely.removed == {"glasses": "only 1 of 8 stills of this shot say so"}
    assert outcome(shot(*others, seen("blue_hair glasses=0.8"), seen("blue_hair glasses=0.8")))[-1] == set(), (
        "two are no slip"
    )
    assert outcome(shot(*others[:3], seen("blue_hair glasses=0.8")))[-1] == set(), "too few to tell"
    assert outcome(shot(*others[:5], seen("blue_hair glasses=0.95")))[-1] == set(), "a certain one weighs more"
    boots = [seen("blue_hair", "face")] * 7
    assert outcome(shot(*boots, seen("blue_hair boots", "full")))[-1] == set(), "nobody else could show them"


WORDS = """
    blue_hair red_hair long_hair very_long_hair short_hair blue_eyes red_eyes closed_eyes smile white_shirt black_shirt shirt skirt black_skirt boots
    glasses hair_ribbon cat_ears animal_ears from_behind solo 1girl 2girls ponytail twintails heterochromia
"""
pictures = st.lists(
    st.builds(
        lambda tags, framing, faces, still: Sighted(clean(tags, faces).tags, framing, faces, still),
        st.dictionaries(
            st.sampled_from(WORDS.split()),
            st.floats(0.3, 1),
            max_size=8,
        ),
        st.sampled_from(["face", "upper_body", "full", "frame"]),
        st.integers(0, 2),
        st.sampled_from("abcdefgh"),
    ),
    max_size=14,
)


@given(pictures)
def test_a_vote_only_changes_traits_that_can_be_seen(sighted: list[Sighted]) -> None:
    results = vote(sighted)
    said = {tag for picture in sighted for tag in picture.tags}
    for picture, result in zip(sighted, results, strict=True):
        before, after = set(picture.tags), set(result.tags)
        assert after - before == set(result.added)
        assert before - after == set(result.removed)
        assert all(category_of(tag) in TRAIT_CATEGORIES for tag in before ^ after)
        assert all(visible(tag, picture.framing) >= 0.7 for tag in result.added)
        assert set(result.added) <= said
        assert not (result.added and picture.faces > 1)
        # what was clean stays so
        assert not any(more_exact(a, b) for a in after for b in after)
        for group in CONSTANT_GROUPS:
            if not group.open(before):
                sides = [{group.side(tag) for tag in tags} - {None} for tags in (before, after)]
                assert len(sides[1]) <= max(1, len(sides[0])), group.of
    assert [changes(r) for r in vote(sighted[::-1])] == [changes(r) for r in results][::-1]


def test_the_order_of_the_pictures_never_tips_a_vote() -> None:
    """Parts of a still such as a third do not add up to the same bit in every order, and this vote stands on the very edge."""
    hair = {"blue_hair": 1.0}
    pictures = [
        Sighted({}, "face", 0, "d"),
        Sighted({}, "frame", 0, "a"),
        Sighted({}, "frame", 0, "c"),
        Sighted(hair, "face", 0, "b"),
        Sighted(hair, "face", 0, "d"),
        Sighted(hair, "face", 0, "d"),
        Sighted(hair, "frame", 0, "a"),
    ]
    changed = [sorted(result.added) for result in vote(pictures)]
    assert [sorted(result.added) for result in vote(pictures[::-1])] == changed[::-1]
