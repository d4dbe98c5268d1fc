"""6c_caption: order, pruning, attributes, and what must hold for any tags at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import SettingsError
from animeset_lib.records import AttributeRow, Box, CastRow, Crop
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import CaptionSettings, load_settings
from animeset_lib.stages.caption import CaptionStage, _spelled, core_traits, order_tags, write_caption
from animeset_lib.tags.spelling import clean_tag, is_emoticon, safe_slug
from animeset_lib.tags.vocabulary import CATEGORIES, background_of, category_of, emotion_of, outfit_of

DESIGN = {
    "anything_else": 0.99,
    "indoors": 0.9,
    "smile": 0.7,
    "school_uniform": 0.8,
    "long_hair": 0.9,
    "blue_eyes": 0.6,
    "looking_at_viewer": 0.8,
    "upper_body": 0.9,
    "solo": 0.95,
    "1girl": 0.9,
    "blue_hair": 0.95,
}


def test_the_order_of_the_design() -> None:
    tags = order_tags(DESIGN, faces=1)
    assert write_caption("rem", tags, [], CaptionSettings()) == (
        "rem, 1girl, solo, blue_hair, long_hair, blue_eyes, school_uniform, smile, looking_at_viewer, upper_body, indoors, anything_else, anime_style"
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"underscores": False}, "rem_san, solo, long hair, ^_^, anime style"),
        ({"style": ""}, "rem_san, solo, long_hair, ^_^"),
        ({"template": "{people}, {charname}, masterpiece, {hair}"}, "solo, rem_san, masterpiece, long_hair"),
        ({"template": "{charname}"}, "rem_san"),
        ({"style": "a, b\nc"}, "rem_san, solo, long_hair, ^_^, a_b_c"),
    ],
)
def test_settings(settings: dict[str, Any], expected: str) -> None:
    tags = order_tags({"long_hair": 0.9, "^_^": 0.5}, faces=1)
    assert write_caption("rem_san", tags, [], CaptionSettings(**settings)) == expected


@pytest.mark.parametrize("template", ["1girl, {hair}", "{charname}, {shoes}", "{charname} {hair}", "{charname}, {hair"])
def test_a_template_that_cannot_be_is_refused_by_name(template: str) -> None:
    with pytest.raises(SettingsError, match=r"caption\.template"):
        load_settings(None, [f"caption.template={template}"])


@pytest.mark.parametrize(
    ("general", "faces", "solo"),
    [
        ({"solo": 0.9}, 1, True),
        ({"solo": 0.9}, 0, False),
        ({"solo": 0.9}, 2, False),
        ({"long_hair": 0.9}, 1, True),
        ({"2girls": 0.9}, 1, False),
        ({"1girl": 0.9, "solo": 0.4}, 1, True),
        ({}, 1, True),
    ],
)
def test_solo_needs_exactly_one_face_and_no_contradiction(general: dict[str, float], faces: int, solo: bool) -> None:
    assert ("solo" in order_tags(general, faces)) is solo


def test_core_traits_are_those_that_stay() -> None:
    pictures = [["blue_hair", "long_hair", "red_eyes", "dress", "smile"]] * 6 + [["blue_hair", "ponytail", "dress"]] * 4
    # The eyes are visible on six pictures only, and red on all of these; the dress is on all, but clothes are never core.
    assert core_traits(pictures, 0.6) == ["blue_hair", "long_hair", "red_eyes"]
    assert core_traits(pictures, 0.7) == ["blue_hair", "red_eyes"]
    assert core_traits(pictures[:1], 0.6) == ["blue_hair", "long_hair", "red_eyes"]
    # Two sightings among many pictures are chance.
    assert core_traits([["dress"]] * 20 + [["red_eyes"]] * 2, 0.6) == []
    assert core_traits([], 0.6) == []


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
    ("tag", "category"),
    [
        ("2girls", "people"),
        ("very_long_hair", "hair"),
        ("hair_ribbon", "hair"),
        ("floating_hair", "hair"),
        ("adjusting_hair", "pose"),
        ("facial_hair", "body"),
        ("green_eyes", "eyes"),
        ("closed_eyes", "emotion"),
        ("cat_ears", "body"),
        ("covering_ears", "pose"),
        ("black_gloves", "outfit"),
        ("holding_sword", "pose"),
        ("from_behind", "pose"),
        ("cowboy_shot", "framing"),
        ("starry_sky", "background"),
        ("grey_background", "background"),
        ("navel", "other"),
        ("", "other"),
    ],
)
def test_categories(tag: str, category: str) -> None:
    assert category_of(tag) == category


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


names = st.text(min_size=1, max_size=20).filter(clean_tag)
general_tags = st.dictionaries(
    st.one_of(st.text(max_size=12), st.sampled_from(sorted(DESIGN))), st.floats(0, 1), max_size=12
)


@given(
    character=names,
    general=general_tags,
    faces=st.integers(0, 3),
    underscores=st.booleans(),
    style=st.text(max_size=10),
)
def test_any_caption_is_one_line_of_unique_tags_with_the_trigger_first(
    character: str, general: dict[str, float], faces: int, underscores: bool, style: str
) -> None:
    caption = write_caption(
        character, order_tags(general, faces), [], CaptionSettings(underscores=underscores, style=style)
    )
    parts = caption.split(", ")
    assert parts[0] == clean_tag(character)
    assert len(set(parts)) == len(parts)
    assert all(part and part == part.strip() and "," not in part for part in parts)
    assert len(caption.splitlines()) == 1
    assert caption.encode("utf-8").decode("utf-8") == caption
    assert not (faces != 1 and "solo" in parts and "solo" not in (clean_tag(character), clean_tag(style)))


@given(general=general_tags, faces=st.integers(0, 3))
def test_tags_come_by_category_and_do_not_depend_on_input_order(general: dict[str, float], faces: int) -> None:
    tags = order_tags(general, faces)
    assert tags == order_tags(dict(reversed(general.items())), faces)
    places = [CATEGORIES.index(category_of(tag)) for tag in tags]
    assert places == sorted(places)


@given(st.text())
def test_slugs_are_safe_and_stable(text: str) -> None:
    slug = safe_slug(text)
    assert slug
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert safe_slug(slug) == slug


# ------------------------------------------------------------------------------------------------ the stage


def crop(crop_id: str, character: str = "rem", faces: int = 1, **changes: Any) -> Crop:
    face = Box(x0=1, y0=1, x1=5, y1=5)
    return Crop(
        id=crop_id,
        region_id="f-1-00",
        frame_id="f-1",
        character=character,
        framing="face",
        file=f"{crop_id}.png",
        box=face,
        factor=1,
        upscaler=None,
        width=8,
        height=8,
        face=face,
        faces=(face,) * faces,
        **changes,
    )


def kind(crop_id: str, *tags: str, outfit: str = "unknown", emotion: str = "unknown", **changes: Any) -> AttributeRow:
    return AttributeRow(
        id=crop_id,
        tags=dict.fromkeys(tags, 0.9),
        outfit=outfit,
        emotion=emotion,
        background=background_of(dict.fromkeys(tags, 0.9)),
        view="unknown",
        **changes,
    )


@pytest.fixture
def inputs(make_output: Callable[..., Output]) -> dict[str, Output]:
    crops = [
        crop("a"),
        crop("b"),
        crop("c"),
        crop("two", faces=2),
        crop("r", "エミリア"),
        crop("broken"),
        crop("gone", dropped="x", why="y"),
    ]
    tags = [
        kind("a", "blue_hair", "dress", "smile", outfit="dress", emotion="smile"),
        kind("b", "blue_hair", "dress", "angry", "night", outfit="dress", emotion="angry"),
        kind("c", "blue_hair", "jacket", outfit="jacket"),
        kind("two", "pink_hair", "kimono", "smile", "indoors"),
        kind("r", "silver_hair"),
        kind("broken", dropped="unreadable", why="cut short"),
    ]
    return {
        "3d_cast": make_output("3d_cast", CastRow, []),
        "5_crop": make_output("5_crop", Crop, crops),
        "6b_attributes": make_output("6b_attributes", AttributeRow, tags),
    }


def test_rows(
    inputs: dict[str, Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(CaptionStage(CaptionSettings()), inputs, make_context())
    assert {row.id: (row.caption, row.name) for row in out.rows} == {
        "a": ("rem, solo, blue_hair, dress, smile, anime_style", "rem_dress_smile_unknown"),
        "b": ("rem, solo, blue_hair, dress, angry, night, anime_style", "rem_dress_angry_night"),
        "c": ("rem, solo, blue_hair, jacket, anime_style", "rem_jacket_unknown_unknown"),
        # Whose kimono and smile it is cannot be known; the room is everybody's.
        "two": ("rem, pink_hair, kimono, smile, indoors, anime_style", "rem_unknown_unknown_indoors"),
        "r": ("エミリア, solo, silver_hair, anime_style", "emiria_unknown_unknown_unknown"),
    }
    assert out.by_id["a"].tags == ("solo", "blue_hair", "dress", "smile")
    assert out.info["notes"]["core_traits"] == {"rem": ["blue_hair"], "エミリア": ["silver_hair"]}


def test_dropped_core_traits_are_left_to_the_trigger(
    inputs: dict[str, Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    out = run_stage(CaptionStage(CaptionSettings(core_traits="drop")), inputs, make_context())
    assert [row.caption for row in out.rows] == [
        "rem, solo, dress, smile, anime_style",
        "rem, solo, dress, angry, night, anime_style",
        "rem, solo, jacket, anime_style",
        "rem, pink_hair, kimono, smile, indoors, anime_style",
        "エミリア, solo, anime_style",
    ]
    assert "blue_hair" in out.by_id["a"].tags


def test_no_crops_no_captions(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    empty = {
        name: make_output(name, kind, [])
        for name, kind in (("3d_cast", CastRow), ("5_crop", Crop), ("6b_attributes", AttributeRow))
    }
    out = run_stage(CaptionStage(CaptionSettings()), empty, make_context())
    assert out.rows == []
    assert out.info["notes"]["core_traits"] == {}


@pytest.mark.parametrize(
    ("tag", "drawn"),
    [
        *[
            (tag, True)
            for tag in ("^_^", "o_o", "0_0", "(o)_(o)", "||_||", "<|>_<|>", ">_<", "+_-", "u_u", "6_9", ":3", "._.")
        ],
        *[(tag, False) for tag in ("long_hair", "1girl", "k-on!", "v_arms", "x-ray", "2girls", "re:zero", "a_ok")],
    ],
)
def test_emoticons_keep_their_underscores(tag: str, drawn: bool) -> None:
    assert is_emoticon(tag) is drawn
    assert _spelled(tag, underscores=False) == (tag if drawn else tag.replace("_", " "))
