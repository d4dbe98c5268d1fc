"""What a booru tag talks about."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.words.spelling import safe_slug
from animeset_lib.words.visibility import on_face, visible
from animeset_lib.words.vocabulary import CATEGORIES, background_of, category_of, emotion_of, is_accessory, outfit_of


@pytest.mark.parametrize(
    ("function", "tags", "expected"),
    [
        (outfit_of, {"white_shirt": 0.9, "school_uniform": 0.5}, "school_uniform"),
        (outfit_of, {"blue_dress": 0.6, "kimono": 0.5}, "dress"),
        (outfit_of, {"sweater_vest": 0.6, "shirt": 0.9}, "vest"),
        (outfit_of, {"hat": 0.9, "blue_hair": 0.9}, "unknown"),
        (outfit_of, {"address": 0.9}, "unknown"),
        (outfit_of, {}, "unknown"),
        (emotion_of, {"smile": 0.5, "angry": 0.6}, "angry"),
        (emotion_of, {"light_smile": 0.5, "blush": 0.9}, "smile"),
        (emotion_of, {"open_mouth": 0.9}, "unknown"),
        (background_of, {"indoors": 0.9, "classroom": 0.4}, "classroom"),
        (background_of, {"outdoors": 0.5, "sky": 0.9}, "outdoors"),
        (background_of, {"simple_background": 0.9, "white_background": 0.8}, "white_background"),
        (background_of, {"blurry_background": 0.9}, "unknown"),
        (background_of, {"night": 0.5, "blue_background": 0.9}, "night"),
    ],
)
def test_attributes(function: Callable[[Mapping[str, float]], str], tags: dict[str, float], expected: str) -> None:
    assert function(tags) == expected


@pytest.mark.parametrize(
    ("category", "tags"),
    [
        ("people", "2girls solo multiple_boys no_humans male_focus"),
        ("hair", "very_long_hair hair_ribbon floating_hair crossed_bangs short_hair_with_long_locks white_hairband"),
        ("eyes", "green_eyes heterochromia symbol_in_eye red_eyeshadow"),
        ("body", "facial_hair cat_ears cat_girl wolf_boy black_nails scar_on_face arm_tattoo elf makeup sharp_teeth"),
        (
            "outfit",
            "black_gloves bare_shoulders midriff sleeves_past_wrists single_earring leg_ribbon arm_warmers hood_up red_outfit",
        ),
        ("emotion", "closed_eyes light_blush flying_sweatdrops saliva >:) @_@"),
        ("pose", "adjusting_hair covering_ears holding_sword from_behind w index_finger_raised talking heart_hands"),
        ("framing", "cowboy_shot close-up"),
        ("background", "starry_sky grey_background falling_petals white_flower railing torii motion_lines"),
        ("other", "navel hand_fan drinking_glass pubic_hair swim_ring !? ..."),
    ],
)
def test_categories(category: str, tags: str) -> None:
    assert {tag: category_of(tag) for tag in tags.split()} == dict.fromkeys(tags.split(), category)


def test_no_tag_is_in_no_category() -> None:
    assert category_of("") == "other"


@given(st.text(max_size=20))
def test_every_text_has_a_category(text: str) -> None:
    assert category_of(text) in CATEGORIES


@pytest.mark.parametrize(
    ("tag", "worn"),
    [
        *(
            (tag, True)
            for tag in ("glasses", "round_eyewear", "hair_ribbon", "star_hair_ornament", "red_scarf", "witch_hat")
        ),
        *(
            (tag, False)
            for tag in (
                "blue_hair",
                "hair_between_eyes",
                "hair_bun",
                "skirt",
                "holding_hat",
                "smile",
                "red_bow",
                "cat_ears",
            )
        ),
    ],
)
def test_accessories_are_what_is_always_worn_or_never(tag: str, worn: bool) -> None:
    assert is_accessory(tag) is worn


@pytest.mark.parametrize(
    ("tag", "framings"),
    [
        ("blue_eyes", "face upper_body"),
        ("glasses", "face upper_body"),
        ("blue_hair", "face upper_body full"),
        ("very_long_hair", "upper_body full"),
        ("necktie", "upper_body full"),
        ("white_shirt", "upper_body full"),
        ("pleated_skirt", "full"),
        ("cat_tail", "full"),
        ("black_boots", "full"),
        ("witch_hat", "face upper_body full"),
    ],
)
def test_what_a_framing_shows_well(tag: str, framings: str) -> None:
    shown = [framing for framing in ("face", "upper_body", "full", "frame") if visible(tag, framing) >= 0.7]
    assert shown == framings.split()
    assert visible("boots", "face") == visible("boots", "upper_body") == 0
    assert on_face("blue_eyes")
    assert not on_face("blue_hair")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Frau Müller", "frau_muller"),
        ("レム", "remu"),
        ("렘", "rem"),
        ("愛", "u611b"),
        ("Ørsted ß", "orsted_ss"),
        ("--", "unnamed"),
        ("a__B-1", "a_b_1"),
    ],
)
def test_slugs(text: str, slug: str) -> None:
    assert safe_slug(text) == slug


@given(st.text())
def test_slugs_are_safe_and_stable(text: str) -> None:
    slug = safe_slug(text)
    assert slug
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert safe_slug(slug) == slug
