"""Outfits and emotions from sightings made by hand: what is joined, what is not, and what the sub-sets are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.dataset.subset_sheet import subset_sheet, subsets_json
from animeset_lib.settings import AttributesSettings
from animeset_lib.words.clothes import COLOURS, SKIN, ZONES, Look, lab_of
from animeset_lib.words.emotions import emotions
from animeset_lib.words.outfits import outfits
from animeset_lib.words.subsets import Subsets, TaggedCrop

Colour = tuple[int, int, int]
SETTINGS = AttributesSettings()
RED, NAVY, WHITE, GREEN, YELLOW = (200, 40, 45), (40, 50, 100), (250, 250, 250), (70, 150, 80), (245, 215, 70)


def lab(colour: Colour) -> list[float]:
    return [float(v) for v in lab_of(np.array([colour], np.float32) / np.float32(255))[0]]


def clothes(*zones: Colour | None, skin: Sequence[float] = tuple(SKIN)) -> tuple[float, ...]:
    """A descriptor with one colour per zone from the collar down; None and what is left out: not seen."""
    found = np.zeros((len(ZONES), COLOURS, 4), np.float32)
    for index, colour in enumerate(zones):
        if colour is not None:
            found[index, 0] = [0.8, *lab(colour)]
    return Look(np.asarray(skin, np.float32), found).pack()


def shot(
    track: int, figures: int, looks: tuple[float, ...] = (), tags: Mapping[str, float] | None = None, faces: int = 1
) -> list[TaggedCrop]:
    """So many figures of one track, one crop each."""
    return [
        TaggedCrop(f"f-{track:03}-{i:03}-face", f"f-{track:03}-{i:03}", track, tags or {}, looks, faces)
        for i in range(figures)
    ]


def of_track(grouping: Subsets, track: int) -> str:
    names = {name for id, name in grouping.name_of.items() if id.startswith(f"f-{track:03}-")}
    assert len(names) == 1, "a track has one outfit"
    return names.pop()


# --------------------------------------------------------------------------------------------------------------- outfits


def test_colours_alone_make_two_outfits_and_name_them() -> None:
    uniform, dress = clothes(NAVY, WHITE, WHITE, NAVY), clothes(RED, RED, RED)
    found = outfits([*shot(1, 4, uniform), *shot(2, 3, dress), *shot(3, 3, uniform), *shot(4, 3, dress)], SETTINGS)
    assert [subset.name for subset in found.subsets] == ["blue_white_outfit", "red_outfit"]
    assert of_track(found, 1) == of_track(found, 3) == "blue_white_outfit"
    first = found.subsets[0]
    assert (first.figures, first.tracks) == (7, 2)
    assert first.share == pytest.approx(7 / 13, abs=0.001)
    assert first.colours[0][0] == "blue"
    assert sum(share for _, share in first.colours) == pytest.approx(1, abs=0.01)
    assert first.words == ()


def test_a_face_picture_inherits_from_its_track() -> None:
    body = shot(1, 3, clothes(NAVY, WHITE, WHITE, NAVY))
    blind = TaggedCrop("f-001-009-face", "f-001-009", 1, {}, (), 1)
    lone = shot(2, 2)
    found = outfits([*body, blind, *lone], SETTINGS)
    assert found.name_of[blind.id] == found.name_of[body[0].id] == "blue_white_outfit"
    assert of_track(found, 2) == "unknown"
    assert blind.id in found.subsets[0].ids
    assert not set(found.subsets[0].ids) & {s.id for s in lone}


def test_crops_of_one_figure_complete_each_other() -> None:
    face = TaggedCrop("a-face", "a", 1, {}, clothes(RED), 1)
    body = TaggedCrop("a-full", "a", 1, {}, clothes(RED, GREEN, GREEN, GREEN), 1)
    found = outfits([face, body], AttributesSettings(subset_min=1))
    assert found.name_of == {"a-face": "green_outfit", "a-full": "green_outfit"}
    assert found.subsets[0].figures == 1


def test_every_track_counts_once_however_long() -> None:
    def colours(long: int) -> tuple[tuple[str, float], ...]:
        sightings = [
            *shot(1, long, clothes(RED, RED)),
            *shot(2, 3, clothes(WHITE, WHITE)),
            *shot(3, 3, clothes(WHITE, RED)),
        ]
        found = outfits(sightings, AttributesSettings(outfit_distance=5))
        assert len(found.subsets) == 1
        return found.subsets[0].colours

    assert colours(3) == colours(60)


def test_tags_name_the_garment_and_colours_tell_two_of_a_kind_apart() -> None:
    blue, red = {"dress": 0.9, "blue_dress": 0.8}, {"dress": 0.9}
    sightings = [
        *shot(1, 4, clothes(NAVY, NAVY, NAVY), blue),
        *shot(2, 3, clothes(RED, RED, RED), red),
        *shot(3, 3, clothes(WHITE, WHITE), {"school_uniform": 0.9, "necktie": 0.7}),
    ]
    found = outfits(sightings, SETTINGS)
    assert [subset.name for subset in found.subsets] == ["blue_dress", "red_dress", "school_uniform"]
    words = {word.tag: word for word in found.subsets[2].words}
    assert words["necktie"].share == 1
    assert words["necktie"].lift == pytest.approx(10 / 3, abs=0.01)


def test_equal_names_get_numbers_the_larger_first() -> None:
    one, other = clothes(None, WHITE, NAVY, NAVY), clothes(None, NAVY, WHITE, WHITE)
    found = outfits([*shot(1, 3, one), *shot(2, 5, other)], SETTINGS)
    assert len(found.subsets) == 2
    names = [subset.name for subset in found.subsets]
    assert len(set(names)) == 2
    assert found.subsets[0].figures == 5
    alike = [
        *shot(1, 3, (), {"dress": 0.9, "obi": 0.9, "geta": 0.9}),
        *shot(2, 4, (), {"dress": 0.9, "boots": 0.9, "hat": 0.9}),
    ]
    assert {subset.name for subset in outfits(alike, AttributesSettings(outfit_distance=0.5)).subsets} == {
        "dress",
        "dress_2",
    }


def test_a_garment_is_never_named_without_tags() -> None:
    found = outfits([*shot(1, 4, clothes(RED, RED)), *shot(2, 4, clothes(YELLOW, YELLOW))], SETTINGS)
    assert {subset.name for subset in found.subsets} == {"red_outfit", "yellow_outfit"}


def test_tags_of_pictures_with_two_people_are_not_asked() -> None:
    found = outfits([*shot(1, 4, clothes(RED, RED), {"kimono": 0.9}, faces=2)], SETTINGS)
    assert [subset.name for subset in found.subsets] == ["red_outfit"]
    assert found.subsets[0].words == ()


def test_stray_tags_do_not_split_one_outfit() -> None:
    strays = ["hat", "boots", "gloves", "scarf", "bag", "ring"]
    sightings = [
        sighting
        for track, stray in enumerate(strays)
        for sighting in shot(track, 3, (), {"school_uniform": 0.9, "necktie": 0.8, stray: 0.4})
    ]
    assert [subset.name for subset in outfits(sightings, SETTINGS).subsets] == ["school_uniform"]


def test_tags_part_what_colours_cannot() -> None:
    black = clothes((40, 40, 45), (40, 40, 45), (40, 40, 45))
    suit, kimono = {"suit": 0.9, "necktie": 0.9}, {"kimono": 0.9, "obi": 0.9}
    found = outfits([*shot(1, 4, black, suit), *shot(2, 3, black, kimono)], AttributesSettings(outfit_distance=0.5))
    assert [subset.name for subset in found.subsets] == ["suit", "kimono"]


RARE = {
    "near: joins": (clothes((205, 60, 60), (205, 60, 60)), None, "red_outfit"),
    "far and without a name: given up": (clothes(GREEN, GREEN), None, "unknown"),
    "far but named by tags: stays": (clothes(GREEN, GREEN), {"kimono": 0.9}, "kimono"),
}


@pytest.mark.parametrize("case", RARE)
def test_rare_outfits(case: str) -> None:
    looks, tags, name = RARE[case]
    found = outfits([*shot(1, 5, clothes(RED, RED)), *shot(2, 2, looks, tags)], SETTINGS)
    assert of_track(found, 2) == name
    assert of_track(found, 1) == "red_outfit"
    assert bool(found.notes) == (name == "unknown")


def test_a_rare_outfit_is_kept_when_asked_for_and_the_only_one_always() -> None:
    rare = [*shot(1, 5, clothes(RED, RED)), *shot(2, 2, clothes(GREEN, GREEN))]
    assert of_track(outfits(rare, AttributesSettings(subset_min=2)), 2) == "green_outfit"
    assert of_track(outfits(shot(1, 1, clothes(RED, RED)), SETTINGS), 1) == "red_outfit"


def test_the_setting_says_how_different_outfits_are() -> None:
    sightings = [*shot(1, 4, clothes(RED, RED)), *shot(2, 4, clothes((225, 110, 75), (225, 110, 75)))]
    assert len(outfits(sightings, AttributesSettings(outfit_distance=5)).subsets) == 1
    assert len(outfits(sightings, AttributesSettings(outfit_distance=0.2)).subsets) == 2


def test_dark_skin_is_not_taken_for_darkness() -> None:
    dark = lab((141, 85, 54))
    fair, dim = outfits(shot(1, 3, clothes(None, WHITE)), SETTINGS), lab((110, 98, 90))
    assert fair.subsets[0].name == "white_outfit"
    # In the light in which fair skin looks fair this cloth is white; beside dark skin seen as such it was a dark one.
    assert outfits(shot(1, 3, clothes(None, WHITE, skin=dim)), SETTINGS).subsets[0].name == "white_outfit"
    assert outfits(shot(1, 3, clothes(None, WHITE, skin=dark)), SETTINGS).subsets[0].name != "white_outfit"


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_pictures_does_not_matter(random: Any) -> None:
    sightings = [
        *shot(1, 4, clothes(NAVY, WHITE, WHITE, NAVY), {"school_uniform": 0.8, "smile": 0.7}),
        *shot(2, 3, clothes(RED, RED), {"dress": 0.6, "grin": 0.7, ":d": 0.5}),
        *shot(3, 1, clothes((210, 60, 40), RED), {"angry": 0.6}),
        *shot(4, 2, clothes(NAVY), {"sad": 0.5, "tears": 0.5}),
        *shot(5, 3),
    ]
    mixed = list(sightings)
    random.shuffle(mixed)
    for group in (outfits, emotions):
        one, other = group(sightings, SETTINGS), group(mixed, SETTINGS)
        assert one == other
        assert list(one.name_of) == list(other.name_of)
        assert set(one.name_of) == {sighting.id for sighting in sightings}


def test_names_are_fit_for_files_and_tags() -> None:
    found = outfits([*shot(1, 4, clothes(NAVY, WHITE)), *shot(2, 4, clothes(YELLOW, GREEN))], SETTINGS)
    for subset in found.subsets:
        assert subset.name.isascii()
        assert subset.name == subset.name.lower()
        assert subset.name.replace("_", "").isalnum()


def test_nothing_given_gives_nothing() -> None:
    assert outfits([], SETTINGS) == emotions([], SETTINGS) == Subsets({}, ())


# --------------------------------------------------------------------------------------------------------------- emotions


def faces_of(*tags: Mapping[str, float]) -> list[TaggedCrop]:
    return [TaggedCrop(f"p{i:02}-face", f"p{i:02}", 1, own, (), 1) for i, own in enumerate(tags)]


def test_emotions_may_change_inside_a_track() -> None:
    found = emotions(faces_of(*[{"smile": 0.8}] * 4, *[{"angry": 0.8}] * 3, {}), SETTINGS)
    assert [(s.name, s.figures, s.kind) for s in found.subsets] == [("smile", 4, "emotion"), ("angry", 3, "emotion")]
    assert found.name_of["p07-face"] == "unknown"


KIN = {
    "one kin": ([("grin", 1), ("smile", 4)], {"smile": 5}),
    "up two steps": ([("laughing", 1), ("grin", 1), ("smile", 3)], {"smile": 5}),
    "tears are sad": ([("tears", 2), ("sad", 3)], {"sad": 5}),
    "kin that is as rare": ([("annoyed", 1), ("angry", 1)], {"annoyed": 2}),
    "no kin: stays": ([("surprised", 1), ("smile", 4)], {"smile": 4, "surprised": 1}),
    "enough: stays": ([("grin", 3), ("smile", 4)], {"smile": 4, "grin": 3}),
}


@pytest.mark.parametrize("case", KIN)
def test_rare_emotions_go_to_their_kin(case: str) -> None:
    seen, wanted = KIN[case]
    found = emotions(faces_of(*({tag: 0.8} for tag, count in seen for _ in range(count))), SETTINGS)
    assert {subset.name: subset.figures for subset in found.subsets} == wanted


def test_scores_of_one_emotion_add_up_and_neighbours_help() -> None:
    two_words = {"angry": 0.6, "smile": 0.5, ":d": 0.5}
    assert emotions(faces_of(two_words), SETTINGS).name_of["p00-face"] == "smile"
    like_smiles = {"smile": 0.58, "angry": 0.6, "open_mouth": 0.9, "blush": 0.9, "closed_eyes": 0.9}
    smiles = [{"smile": 0.8, "open_mouth": 0.9, "blush": 0.9, "closed_eyes": 0.9}] * 5
    assert emotions(faces_of(like_smiles), SETTINGS).name_of["p00-face"] == "angry"
    assert emotions(faces_of(like_smiles, *smiles), SETTINGS).name_of["p00-face"] == "smile"


def test_neighbours_never_give_an_emotion_to_a_face_without_any() -> None:
    bare = {"open_mouth": 0.9, "blush": 0.9}
    found = emotions(faces_of(bare, *[{**bare, "smile": 0.3}] * 5), SETTINGS)
    assert found.name_of["p00-face"] == "unknown"


def test_all_crops_of_a_figure_share_its_emotion_and_crowds_are_not_asked() -> None:
    face = TaggedCrop("a-face", "a", 1, {"smile": 0.7}, (), 1)
    frame = TaggedCrop("a-frame", "a", 1, {"angry": 0.9}, (), 2)
    assert emotions([face, frame], SETTINGS).name_of == {"a-face": "smile", "a-frame": "smile"}


# ----------------------------------------------------------------------------------------------------------- what is said


def groupings() -> tuple[Subsets, Subsets]:
    sightings = [
        *shot(1, 4, clothes(NAVY, WHITE, WHITE, NAVY), {"smile": 0.8}),
        *shot(2, 3, clothes(RED, RED), {"smile": 0.8}),
        *shot(3, 2),
    ]
    return outfits(sightings, SETTINGS), emotions(sightings, SETTINGS)


def test_json_lists_published_pictures_only() -> None:
    files = {"f-001-000-face": "images/b.png", "f-001-002-face": "images/a.png", "f-003-000-face": "images/c.png"}
    rows = json.loads(json.dumps(subsets_json(groupings(), files)))
    assert [(row["kind"], row["name"], row["files"]) for row in rows] == [
        ("outfit", "blue_white_outfit", ["images/a.png", "images/b.png"]),
        ("emotion", "smile", ["images/a.png", "images/b.png"]),
    ]
    assert rows[0]["pictures"] == 2
    assert rows[0]["figures_in_film"] == 4
    assert rows[0]["tracks_in_film"] == 1
    assert rows[1]["tags"] == [{"tag": "smile", "share": 1.0, "lift": pytest.approx(9 / 7, abs=0.001)}]


def test_the_sheet_has_a_section_for_each_sub_set() -> None:
    wears, _ = groupings()
    blue, red = np.full((80, 60, 3), (10, 20, 250), np.uint8), np.full((80, 60, 3), (250, 20, 10), np.uint8)
    pictures = {id: blue if id.startswith("f-001") else red for id in wears.name_of if not id.startswith("f-003")}
    sheet = subset_sheet("hana", [wears], pictures, len(pictures))
    is_blue, is_red = ((sheet == colour).all(axis=2).any(axis=1) for colour in ((10, 20, 250), (250, 20, 10)))
    assert is_blue.any()
    assert is_red.any()
    assert not (is_blue & is_red).any()
    assert np.flatnonzero(is_blue).max() < np.flatnonzero(is_red).min()
    more = subset_sheet("hana", [wears], pictures | {"f-003-000-face": red}, len(pictures) + 1)
    assert more.shape[0] > sheet.shape[0], "what is unknown has a section of its own"
