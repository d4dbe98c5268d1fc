"""Which tag says the same as another one, only more exactly: `very_long_hair` of `long_hair`, `witch_hat` of `hat`, `beret` of `hat`.

Danbooru's names put the thing last and what it is like before it, so a tag is the more exact one when it ends with the other's words. The table
holds what names do not show.
"""

from __future__ import annotations

import re
from functools import lru_cache

from animeset_lib.words.vocabulary import category_of

__all__ = ["more_exact"]

_KINDS: dict[str, str] = {
    "long_hair": "very_long_hair absurdly_long_hair",
    "very_long_hair": "absurdly_long_hair",
    "short_hair": "very_short_hair short_hair_with_long_locks bob_cut pixie_cut bowl_cut",
    "multicolored_hair": "two-tone_hair streaked_hair gradient_hair split-color_hair colored_inner_hair rainbow_hair colored_tips",
    "twintails": "low_twintails short_twintails",
    "hair_bun": "double_bun single_side_bun",
    "hair_ornament": "hairclip hairpin hair_flower hair_bell hair_bobbles hair_stick scrunchie",
    "bow": "hair_bow bowtie",
    "ribbon": "hair_ribbon",
    "facial_hair": "beard mustache stubble goatee sideburns",
    "breasts": "flat_chest",
    "mole": "mole_under_eye mole_under_mouth mole_on_breast",
    "scar": "scar_on_face scar_on_cheek scar_across_eye",
    "fang": "skin_fang",
    "colored_skin": "blue_skin green_skin red_skin grey_skin purple_skin pink_skin",
    "dark_skin": "dark-skinned_female dark-skinned_male",
    "school_uniform": "serafuku gakuran",
    "japanese_clothes": "kimono yukata hakama haori",
    "chinese_clothes": "china_dress",
    "swimsuit": "bikini",
    "dress": "sundress gown",
    "jacket": "blazer",
    "hat": "beret cap beanie top_hat",
    "glasses": "semi-rimless_eyewear under-rim_eyewear round_eyewear black-framed_eyewear red-framed_eyewear",
    "shoes": "sneakers loafers",
    "underwear": "bra panties",
    "jewelry": "earrings necklace bracelet ring",
    "smile": "grin smirk",
    "tears": "crying streaming_tears crying_with_eyes_open",
    "crying": "streaming_tears crying_with_eyes_open",
    "blush": "nose_blush full-face_blush",
    "sitting": "seiza wariza indian_style",
    "lying": "on_back on_side on_stomach",
    "holding_weapon": "holding_sword holding_gun holding_knife holding_polearm holding_staff",
    "from_side": "profile",
    "monochrome": "greyscale",
    "simple_background": (
        "white_background grey_background black_background blue_background pink_background yellow_background red_background green_background "
        "brown_background purple_background orange_background gradient_background two-tone_background transparent_background"
    ),
    "sky": "starry_sky cloudy_sky",
    "night": "night_sky starry_sky",
    "tree": "cherry_blossoms palm_tree",
    "moon": "crescent_moon",
}
_LESS_EXACT: dict[str, frozenset[str]] = {
    kind: frozenset(general for general, kinds in _KINDS.items() if kind in kinds.split())
    for kinds in _KINDS.values()
    for kind in kinds.split()
}
_BEAST = re.compile(
    r"(bat|bear|bird|cat|cow|deer|dog|dragon|fox|goat|horse|lion|monkey|mouse|panda|pig|rabbit|raccoon|sheep|squirrel|tiger|wolf)_ears"
)


_NOT_SO = ("no", "unworn", "imminent", "after")
"""`no_bra` is no bra, `unworn_hat` none on a head."""


def more_exact(tag: str, general: str) -> bool:
    """Whether `tag` (clean, as `cleaning.normalise` gives it) holds everything that `general` says, and more."""
    if _one(tag) == _one(general) or not general:
        return False
    if general == "animal_ears" and _BEAST.fullmatch(tag):
        return True
    if general.endswith("ing") and tag.split("_")[0] == general:
        return category_of(tag) == "pose"  # `sitting_on_bed`
    return _one(general) in _said_by(tag)


# By tag, not by pair: a film has a thousand different tags, and a million pairs of them.
@lru_cache(maxsize=1 << 16)
def _said_by(tag: str) -> frozenset[str]:
    """What a tag is besides what it adds, in the singular, the tag itself included: `black_witch_hat` is a `witch_hat` and a `hat`."""
    words = tag.split("_")
    said = _is_also(tag)
    if words[0] in _NOT_SO or words[-1] == "outfit":  # `white_red_outfit` is another costume than `red_outfit`
        return frozenset(said)
    # `holding_hat` is no hat on a head, `hair_flower` no flower in a meadow.
    things = ("_".join(words[first:]) for first in range(1, len(words)))
    return frozenset(said.union(*(_is_also(thing) for thing in things if category_of(thing) == category_of(tag))))


def _is_also(thing: str) -> set[str]:
    return {_one(thing)}.union(*(_is_also(general) for general in _LESS_EXACT.get(thing, ())))


@lru_cache(maxsize=1 << 16)
def _one(tag: str) -> str:
    """In the singular: `twin_braids` are braids and hold a `braid`."""
    return tag[:-1] if tag.endswith("s") and not tag.endswith("ss") else tag
