"""Spelling, blacklist, overlaps, people and contradictions; and what must hold for any tags at all."""

from __future__ import annotations

import unicodedata
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.words.cleaning import _SAME, GROUPS, Cleaned, clean, normalise, one_figure
from animeset_lib.words.overlap import _KINDS, more_exact
from animeset_lib.words.vocabulary import category_of

NEVER = """
    letterboxed pillarboxed white_border translation_request tagme dated signature watermark patreon_logo twitter_username english_text artist_name
    character_name web_address highres absurdres jpeg_artifacts lowres bad_id commentary rating:safe nsfw explicit masterpiece best_quality score_9_up
    virtual_youtuber parody alternate_costume official_alternate_hairstyle hatsune_miku_(cosplay) dakimakura_(medium) screenshot anime_screencap
    anime_coloring
"""
ALLOWED = """
    borderlands order_hat general_uniform safety_glasses texture framed_glasses star_(symbol) star_(sky) sword costume subtitle original_hat
    checkered_skirt text_on_clothes character_print world_map
"""
MORE = """
    1girl 2girls 1boy solo multiple_girls no_humans blue_hair red_hair blue_eyes red_eyes closed_eyes open_mouth closed_mouth indoors outdoors day
    night portrait upper_body standing looking_at_viewer looking_away frown heterochromia dated tagme
"""


def cleaned(tags: str, faces: int = 0, blacklist: str = "") -> Cleaned:
    """`"long_hair smile=0.4"` → what is left of them; a score is 0.9 unless given."""
    scores = {}
    for word in tags.split():
        tag, _, score = word.partition("=")
        scores[tag] = float(score or 0.9)
    return clean(scores, faces, blacklist)


def left(tags: str, faces: int = 0, blacklist: str = "") -> set[str]:
    return set(cleaned(tags, faces, blacklist).tags)


@pytest.mark.parametrize(
    ("raw", "tag"),
    [
        ("Long Hair", "long_hair"),
        ("  long__hair_ ", "long_hair"),
        ("ｌｏｎｇ hair", "long_hair"),
        ("school uniform,", "school_uniform"),
        (r"saber \(fate\)", "saber_(fate)"),
        ("^ ^", "^_^"),
        ("^_^", "^_^"),
        (":D", ":d"),
        ("silver hair", "grey_hair"),
        ("silver_eyes", "grey_eyes"),
        ("golden_hair", "blonde_hair"),
        ("golden_eyes", "yellow_eyes"),
        ("eyes closed", "closed_eyes"),
        ("Twin_Tails", "twintails"),
        ("wide eyed", "wide-eyed"),
        ("‮long\u0000_hair", "long_hair"),
        ("\n,\t", ""),
        ("__", ""),
    ],
)
def test_spelling(raw: str, tag: str) -> None:
    assert normalise(raw) == tag


@given(st.text(max_size=30))
def test_spelling_is_stable_and_fits_a_caption(text: str) -> None:
    tag = normalise(text)
    assert normalise(tag) == tag
    assert not any(c.isspace() or c == "," or unicodedata.category(c)[0] == "C" for c in tag)


def test_an_alias_is_named_and_the_best_score_counts() -> None:
    found = clean({"silver hair": 0.6, "grey_hair": 0.9}, 0)
    assert found == Cleaned({"grey_hair": 0.9}, {"silver_hair": "another word for grey_hair"})
    assert clean({"grey_hair": 0.2, "silver hair": 0.6}, 0).tags == {"grey_hair": 0.6}


def test_what_cannot_be_written_is_said() -> None:
    assert clean({"\n": 0.9, "smile": 0.5}, 0) == Cleaned(
        {"smile": 0.5}, {r"\n": "there is nothing in it that can be written"}
    )


@pytest.mark.parametrize("tag", NEVER.split())
def test_what_is_never_about_the_picture(tag: str) -> None:
    assert cleaned(f"{tag} smile").removed == {tag: "says nothing about what is seen"}


@pytest.mark.parametrize("tag", ALLOWED.split())
def test_what_only_looks_like_it_stays(tag: str) -> None:
    assert left(tag) == {tag}


def test_your_own_list() -> None:
    unwanted = "Holding *, *_eyes,,silver hair, solo, [a]*"
    found = cleaned("holding_sword blue_eyes grey_hair eyes smile a_hat [a]b", 1, unwanted)
    assert set(found.tags) == {"eyes", "smile", "a_hat"}
    assert found.removed["holding_sword"] == "on your list of tags that are never used (Holding *)"
    assert set(found.removed) == {"holding_sword", "blue_eyes", "grey_hair", "[a]b", "solo"}
    assert found.added == {}, "what is on the list is not added either"


@pytest.mark.parametrize(
    ("tag", "general"),
    [
        ("very_long_hair", "long_hair"),
        ("absurdly_long_hair", "long_hair"),
        ("light_smile", "smile"),
        ("witch_hat", "hat"),
        ("black_beret", "hat"),
        ("baseball_cap", "hat"),
        ("twin_braids", "braid"),
        ("single_glove", "gloves"),
        ("cat_ears", "animal_ears"),
        ("black_serafuku", "school_uniform"),
        ("streaked_hair", "multicolored_hair"),
        ("white_background", "simple_background"),
        ("holding_sword", "holding"),
        ("sitting_on_bed", "sitting"),
        ("hair_bow", "bow"),
        ("red_hair_bow", "bow"),
    ],
)
def test_more_exact(tag: str, general: str) -> None:
    assert more_exact(tag, general)
    assert not more_exact(general, tag)


@pytest.mark.parametrize(
    ("tag", "general"),
    [
        ("dress_shirt", "dress"),
        ("hair_ribbon", "hair"),
        ("holding_hat", "hat"),
        ("unworn_hat", "hat"),
        ("no_bra", "bra"),
        ("hair_flower", "flower"),
        ("pointy_ears", "animal_ears"),
        ("ponytail", "tail"),
        ("white_red_outfit", "red_outfit"),
        ("long_hair", "long_hair"),
        ("long_hair", ""),
        ("dresses", "dress_"),
    ],
)
def test_not_more_exact(tag: str, general: str) -> None:
    assert not more_exact(tag, general)


def test_more_exact_is_an_order() -> None:
    words = sorted({*_KINDS, *(kind for kinds in _KINDS.values() for kind in kinds)})
    for a, b in product(words, words):
        assert not (more_exact(a, b) and more_exact(b, a)), (a, b)
    for a, b, c in product(words, words, words):
        if more_exact(a, b) and more_exact(b, c):
            assert more_exact(a, c), (a, b, c)


def test_tables_use_canonical_words() -> None:
    words = {*_KINDS, *(kind for kinds in _KINDS.values() for kind in kinds), *_SAME.values()}
    assert {word: normalise(word) for word in words} == {word: word for word in words}
    assert not set(_SAME) & set(_SAME.values())


def test_the_more_exact_one_is_named() -> None:
    found = clean({"hat": 0.9, "beret": 0.5, "red_beret": 0.4}, 0)
    assert found.tags == {"red_beret": 0.4}
    assert found.removed == {"hat": "beret says it more exactly", "beret": "red_beret says it more exactly"}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("blue_hair=0.9 green_hair=0.5", "blue_hair"),
        ("blue_hair=0.5 green_hair=0.9", "green_hair"),
        ("blue_hair=0.5 green_hair=0.5", "blue_hair"),
        ("blue_hair green_hair streaked_hair", "blue_hair green_hair streaked_hair"),
        ("blue_eyes=0.9 red_eyes=0.5", "blue_eyes"),
        ("blue_eyes red_eyes heterochromia", "blue_eyes red_eyes heterochromia"),
        ("short_hair=0.7 long_hair=0.6", "short_hair"),
        # what speaks for long hair speaks for very long hair
        ("medium_hair=0.7 long_hair=0.9 very_long_hair=0.5", "very_long_hair"),
        ("open_mouth=0.9 closed_mouth=0.5 parted_lips=0.4", "open_mouth"),
        ("closed_eyes=0.9 blue_eyes=0.5 looking_at_viewer=0.5", "closed_eyes"),
        ("closed_eyes=0.4 blue_eyes=0.9 looking_at_viewer=0.5", "blue_eyes looking_at_viewer"),
        ("closed_eyes=0.4 one_eye_closed=0.9", "one_eye_closed"),
        ("wide-eyed=0.9 half-closed_eyes=0.5", "wide-eyed"),
        ("indoors=0.9 outdoors=0.5", "indoors"),
        ("day=0.4 blue_sky=0.5 night=0.9", "night"),
        ("day=0.4 blue_sky=0.9 starry_sky=0.5", "day blue_sky"),
        ("portrait=0.9 upper_body=0.8 close-up=0.5", "portrait close-up"),
        ("cowboy_shot=0.4 full_body=0.5", "full_body"),
        ("standing=0.9 sitting=0.5", "standing"),
        ("sitting=0.5 wariza=0.6 lying=0.55", "wariza"),
        ("smile=0.9 frown=0.4 angry=0.5", "smile"),
        ("smile=0.3 frown=0.4 angry=0.5", "frown angry"),
        ("evil_smile angry", "evil_smile angry"),
        ("crying smile", "crying smile"),
        ("looking_at_viewer=0.9 looking_away=0.5 looking_back=0.4", "looking_at_viewer looking_back"),
        ("looking_up=0.6 looking_down=0.5", "looking_up"),
        ("from_above=0.6 from_below=0.5 from_side", "from_above from_side"),
        ("from_behind=0.6 profile=0.5", "from_behind"),
        ("ponytail=0.6 low_twintails=0.5", "ponytail"),
        ("small_breasts=0.5 large_breasts=0.6", "large_breasts"),
        ("greyscale monochrome", "greyscale"),
    ],
)
def test_contradictions_are_settled_by_score(tags: str, expected: str) -> None:
    found = cleaned(tags)
    assert set(found.tags) == set(expected.split())
    gone = {word.partition("=")[0] for word in tags.split()} - set(found.tags)
    assert set(found.removed) == gone


def test_a_contradiction_says_what_it_contradicts() -> None:
    found = cleaned("blue_hair=0.9 green_hair=0.5")
    assert found.removed == {"green_hair": "contradicts blue_hair (hair colour), which is more certain"}


@pytest.mark.parametrize(
    ("tags", "faces"), [("blonde_hair black_hair smile angry", 2), ("2girls blonde_hair black_hair", 1)]
)
def test_two_figures_may_differ(tags: str, faces: int) -> None:
    assert {"blonde_hair", "black_hair"} <= left(tags, faces)
    assert len(left("indoors=0.9 outdoors=0.5 2girls", 2) & {"indoors", "outdoors"}) == 1, "the place is everybody's"


@pytest.mark.parametrize(
    ("tags", "faces", "expected"),
    [
        # one face
        ("", 1, "solo"),
        ("solo", 1, "solo"),
        ("1girl solo=0.4", 1, "1girl solo"),
        ("1girl", 1, "1girl solo"),
        ("1girl=0.9 1boy=0.6 solo=0.8", 1, "1girl solo"),
        ("1girl=0.9 1boy=0.4", 1, "1girl solo"),
        ("1girl=0.9 1boy=0.7", 1, "1girl 1boy"),
        ("2girls=0.8 solo=0.7", 1, "2girls"),
        ("2girls=0.8 multiple_girls=0.9", 1, "2girls"),
        ("2girls=0.4", 1, "1girl solo"),
        ("2girls=0.6 solo=0.9", 1, "1girl solo"),
        ("1girl=0.9 2girls=0.8 solo=0.95 solo_focus=0.4", 1, "1girl solo"),
        ("multiple_girls=0.4", 1, "solo"),
        ("crowd=0.8 1girl=0.9 solo=0.5", 1, "crowd 1girl"),
        ("no_humans", 1, "solo"),
        # more
        ("solo 1girl", 2, ""),
        ("2girls solo", 2, "2girls"),
        ("1girl 1boy solo", 2, "1girl 1boy"),
        ("1girl 2boys", 3, "1girl 2boys"),
        ("2girls", 3, "multiple_girls"),
        ("3girls", 2, "3girls"),
        ("6+girls", 8, "6+girls"),
        ("multiple_girls 1boy", 3, "multiple_girls 1boy"),
        ("1girl=0.9 multiple_girls=0.6", 2, ""),
        ("1girl=0.6 multiple_girls=0.9", 2, "multiple_girls"),
        ("multiple_faces", 2, "multiple_faces"),
        ("", 2, ""),
        # nobody's face
        ("1girl solo", 0, "1girl solo"),
        ("", 0, ""),
        ("2girls=0.8 solo=0.7", 0, "2girls"),
        ("2girls=0.4 solo=0.7", 0, "1girl solo"),
        ("2girls=0.4", 0, "2girls"),
        ("no_humans=0.9 1girl=0.5 solo=0.4", 0, "no_humans"),
        ("no_humans=0.4 1girl=0.5", 0, "1girl"),
    ],
)
def test_people_agree_with_the_faces(tags: str, faces: int, expected: str) -> None:
    found = cleaned(tags, faces)
    assert set(found.tags) == set(expected.split())
    before = {word.partition("=")[0] for word in tags.split()}
    assert set(found.removed) == before - set(found.tags)
    assert set(found.added) == set(found.tags) - before


def test_what_is_added_keeps_the_score_of_what_it_comes_from() -> None:
    assert clean({"2girls": 0.4}, 1).tags == {"1girl": 0.4, "solo": 1.0}
    assert clean({"2girls": 0.4}, 3).tags == {"multiple_girls": 0.4}
    again = clean({"2girls": 0.9, "multiple_girls": 0.8}, 3)
    assert again == Cleaned({"multiple_girls": 0.9}, {"2girls": "3 faces were found"}), "it neither went nor came"


@pytest.mark.parametrize(
    ("tags", "alone"),
    [
        ("1girl solo", True),
        ("", True),
        ("1girl 1boy", False),
        ("2girls", False),
        ("crowd", False),
        ("multiple_boys", False),
    ],
)
def test_one_figure(tags: str, alone: bool) -> None:
    assert one_figure(dict.fromkeys(tags.split(), 0.5)) is alone


KNOWN = sorted({*_KINDS, *(kind for kinds in _KINDS.values() for kind in kinds), *_SAME, *MORE.split()})
general_tags = st.dictionaries(st.one_of(st.sampled_from(KNOWN), st.text(max_size=10)), st.floats(0, 1), max_size=14)


@given(general=general_tags, faces=st.integers(0, 3))
def test_repair_holds_for_any_tags(general: dict[str, float], faces: int) -> None:
    found = clean(general, faces)
    tags = set(found.tags)
    # each tag is clean, nothing is there twice, nothing goes or comes without a reason
    assert all(normalise(tag) == tag for tag in tags)
    assert all(words for words in (*found.removed.values(), *found.added.values()))
    assert not tags & set(found.removed)
    for raw in general:
        assert normalise(raw) in tags | set(found.removed) or not normalise(raw)
    assert tags - {normalise(raw) for raw in general} == set(found.added)
    assert all(0 <= score <= 1 for score in found.tags.values())
    # no overlaps, no contradictions
    assert not any(more_exact(a, b) for a in tags for b in tags)
    several = faces > 1 or not one_figure(found.tags)
    for group in GROUPS:
        if not (group.figure and several) and not group.open(tags):
            assert len({group.side(tag) for tag in tags} - {None}) < 2, group.of
    # people
    assert "solo" not in tags or faces < 2
    assert "no_humans" not in tags or (
        faces == 0 and not any(category_of(tag) == "people" for tag in tags - {"no_humans"})
    )
    if faces == 1 and "solo" in tags:
        assert len(tags & {"1girl", "1boy", "1other"}) < 2
        assert one_figure(found.tags)
    if faces > 1:
        assert tags & {"1girl", "1boy", "1other"} != {"1girl"} or tags & {
            "multiple_girls",
            "multiple_boys",
            "2boys",
            "multiple_others",
        }
    # settled: the order does not matter, and once is enough
    assert clean(dict(reversed(general.items())), faces).tags == found.tags
    assert clean(found.tags, faces).tags == found.tags
