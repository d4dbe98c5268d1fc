"""Tags to one line: order, template, trigger, limit, and what must hold for any tags at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import SettingsError
from animeset_lib.settings import CaptionSettings, load_settings
from animeset_lib.words.line import order_tags, trigger_first, trigger_of, write_caption
from animeset_lib.words.spelling import clean_tag, is_emoticon, same_word, spelled
from animeset_lib.words.vocabulary import CATEGORIES, category_of

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
    assert write_caption("rem", order_tags(DESIGN), [], CaptionSettings()) == (
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
        ({"trigger": "ohwx {charname}"}, "ohwx rem_san, solo, long_hair, ^_^, anime_style"),
        (
            {"trigger": "ohwx {charname}", "template": "{charname}, {trigger}, Rem San, {hair}"},
            "ohwx rem_san, long_hair",
        ),
        ({"trigger": "{charname}_anime", "template": "{people}, {trigger}"}, "solo, rem_san_anime"),
        # the name is the trigger here, so it is written once, where it comes first
        ({"template": "{people}, {charname}, {hair}, {trigger}"}, "solo, rem_san, long_hair"),
        # a word that reads like the trigger would be a second spelling of it
        ({"template": "Rem San, {trigger}, {hair}", "style": ""}, "rem_san, long_hair"),
        ({"template": "{trigger}, Long Hair, {hair}"}, "rem_san, Long_Hair"),
    ],
)
def test_settings(settings: dict[str, Any], expected: str) -> None:
    tags = order_tags({"long_hair": 0.9, "^_^": 0.5, "solo": 1.0})
    assert write_caption("rem_san", tags, [], CaptionSettings(**settings)) == expected


@pytest.mark.parametrize(
    "template", ["1girl, {hair}", "{charname}, {shoes}", "{charname} {hair}", "{charname}, {hair", "{trigger}_x"]
)
def test_a_template_that_cannot_be_is_refused_by_name(template: str) -> None:
    with pytest.raises(SettingsError, match=r"caption\.template"):
        load_settings(None, [f"caption.template={template}"])


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["caption.trigger=ohwx"], "share one trigger"),
        (["caption.trigger=ohwx {name}"], "only field"),
        (["caption.trigger={charname}, girl"], "without commas"),
        (["caption.trigger=x{charname}", "caption.template={charname}, {hair}"], "never be written"),
    ],
)
def test_a_trigger_that_cannot_be_is_refused(assignments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=rf"caption\.trigger.*{said}"):
        load_settings(None, assignments)


@pytest.mark.parametrize(
    ("settings", "trigger", "first"),
    [
        ({}, "rem_san", True),
        ({"trigger": "ohwx  {charname} "}, "ohwx rem_san", True),
        ({"template": "{people}, {charname}"}, "rem_san", False),
        ({"template": "{charname}, {trigger}", "trigger": "x_{charname}"}, "x_rem_san", True),
    ],
)
def test_the_trigger(settings: dict[str, Any], trigger: str, first: bool) -> None:
    chosen = CaptionSettings(**settings)
    assert trigger_of("rem san", chosen) == trigger
    assert trigger_first(chosen) is first


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, "rem, 1girl, solo, blue_hair, long_hair, blue_eyes, smile, anime_style"),
        (6, "rem, 1girl, solo, blue_hair, long_hair, blue_eyes, smile, anime_style"),
        (4, "rem, 1girl, solo, blue_hair, long_hair, anime_style"),
        (1, "rem, solo, anime_style"),
    ],
)
def test_a_limit_lets_the_least_certain_go_and_never_the_trigger(most: int, expected: str) -> None:
    scores = {"1girl": 0.9, "solo": 0.95, "blue_hair": 0.8, "long_hair": 0.8, "blue_eyes": 0.4, "smile": 0.4}
    settings = CaptionSettings(max_tags=most)
    assert write_caption("rem", order_tags(scores), [], settings, scores) == expected


def test_what_is_pruned_does_not_count() -> None:
    scores = {"blue_hair": 0.8, "long_hair": 0.7, "smile": 0.4}
    caption = write_caption("rem", order_tags(scores), ["blue_hair"], CaptionSettings(max_tags=2), scores)
    assert caption == "rem, long_hair, smile, anime_style"


names = st.text(min_size=1, max_size=20).filter(clean_tag)
general_tags = st.dictionaries(
    st.one_of(
        st.text(max_size=12), st.sampled_from(sorted(DESIGN)), st.sampled_from(["Long Hair", "long hair", "^_^"])
    ),
    st.floats(0, 1),
    max_size=12,
)
templates = st.lists(
    st.sampled_from(["{charname}", "{people}", "{hair}", "{other}", "{style}", "masterpiece", "LONG hair", "", " "]),
    max_size=8,
)


@given(
    character=names,
    general=general_tags,
    underscores=st.booleans(),
    style=st.text(max_size=10),
    template=templates,
    trigger=st.sampled_from(["", "ohwx {charname}", "{charname}_anime", "{charname}"]),
    most=st.integers(0, 6),
    place=st.integers(0, 8),
)
def test_any_caption_is_one_line_of_unique_words_with_the_trigger_in_it(
    character: str,
    general: dict[str, float],
    underscores: bool,
    style: str,
    template: list[str],
    trigger: str,
    most: int,
    place: int,
) -> None:
    parts = [*template[:place], "{trigger}", *template[place:]]
    settings = CaptionSettings(
        underscores=underscores, style=style, template=",".join(parts), trigger=trigger, max_tags=most
    )
    caption = write_caption(character, order_tags(general), [], settings, general)
    written = caption.split(", ")
    assert written.count(trigger_of(character, settings)) == 1
    assert len({same_word(word) for word in written}) == len(written)
    assert all(word and word == word.strip() and "," not in word for word in written)
    assert len(caption.splitlines()) == 1
    assert caption.encode("utf-8").decode("utf-8") == caption


@given(character=names, general=general_tags, most=st.integers(1, 5))
def test_a_limit_holds(character: str, general: dict[str, float], most: int) -> None:
    settings = CaptionSettings(max_tags=most, style="")
    caption = write_caption(character, order_tags(general), [], settings, general)
    assert caption.split(", ")[0] == clean_tag(character)
    assert len(caption.split(", ")) <= most + 1


@given(general=general_tags)
def test_tags_come_by_category_and_do_not_depend_on_input_order(general: dict[str, float]) -> None:
    tags = order_tags(general)
    assert tags == order_tags(dict(reversed(general.items())))
    places = [CATEGORIES.index(category_of(tag)) for tag in tags]
    assert places == sorted(places)


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
    assert spelled(tag, underscores=False) == (tag if drawn else tag.replace("_", " "))
