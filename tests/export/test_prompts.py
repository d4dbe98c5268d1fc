"""Sample prompts say what the set says, and ask for what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from animeset_lib.export.prompts import sample_prompts
from animeset_lib.published.reader import CharacterSet, ExportPicture


def character(*captions: str) -> CharacterSet:
    pictures = tuple(
        ExportPicture(Path(f"{n}.png"), f"p{n}", caption, "f", "", 8, 8) for n, caption in enumerate(captions)
    )
    return CharacterSet("hana", pictures[0].tags[0], pictures)


def test_the_set_in_words() -> None:
    prompts = sample_prompts(
        character(
            "hana, 1girl, solo, long_hair, blue_eyes, school_uniform, smile, classroom, anime_style",
            "hana, 1girl, solo, long_hair, blue_eyes, school_uniform, smile, classroom, anime_style",
            "hana, 1girl, long_hair, kimono, angry, street, anime_style",
        )
    )
    assert [one.text for one in prompts] == [
        "hana",
        "hana, 1girl, solo, long_hair, blue_eyes, portrait, smile, anime_style",
        "hana, 1girl, solo, long_hair, blue_eyes, school_uniform, upper_body, classroom, anime_style",
        "hana, 1girl, solo, long_hair, blue_eyes, school_uniform, full_body, standing, anime_style",
        "hana, 1girl, solo, long_hair, blue_eyes, winter_coat, upper_body, anime_style",
        "hana, 1girl, solo, long_hair, blue_eyes, school_uniform, upper_body, beach, anime_style",
    ]
    assert all(one.shows for one in prompts)


def test_a_prompt_wears_one_outfit() -> None:
    worn = [("red_dress, red_bow", "dress")] * 3 + [("white_coat", "coat")] * 2 + [("red_dress", "unknown")] * 9
    pictures = tuple(
        replace(picture, outfit=outfit)
        for picture, (_, outfit) in zip(
            character(*(f"hana, {tags}, anime_style" for tags, _ in worn)).pictures, worn, strict=True
        )
    )
    dressed = [one.text for one in sample_prompts(CharacterSet("hana", "hana", pictures)) if "dress" in one.text]
    assert dressed
    assert all("red_bow" in text and "coat" not in text for text in dressed)


@pytest.mark.parametrize(
    ("captions", "new"),
    [
        (["hana, dress"], {"kimono", "beach"}),
        (["hana, red_kimono, beach"], {"winter_coat", "forest"}),
        (["hana, kimono, fur_coat, beach, forest"], {"business_suit", "library"}),
    ],
)
def test_what_the_set_lacks_is_asked_for(captions: list[str], new: set[str]) -> None:
    outfit, place = sample_prompts(character(*captions))[-2:]
    assert new == {tag for one in (outfit, place) for tag in one.text.split(", ")} & {
        *("kimono", "winter_coat", "business_suit", "beach", "forest", "library"),
    } - set(captions[0].split(", "))


def test_spelling_follows_the_captions() -> None:
    prompts = sample_prompts(character("ha_na, long hair, blue eyes", "ha_na, long hair, blue eyes, ^_^"))
    assert prompts[1].text == "ha_na, long hair, blue eyes, portrait, ^_^"
    assert "upper body" in prompts[2].text


def test_the_trigger_alone_is_enough() -> None:
    assert [one.text for one in sample_prompts(character("hana"))] == [
        "hana",
        "hana, portrait",
        "hana, upper_body",
        "hana, full_body, standing",
        "hana, kimono, upper_body",
        "hana, upper_body, beach",
    ]


def test_order_of_pictures_does_not_matter() -> None:
    captions = ["hana, dress, smile", "hana, kimono, angry", "hana, dress, street"]
    assert sample_prompts(character(*captions)) == sample_prompts(character(*captions[::-1]))
