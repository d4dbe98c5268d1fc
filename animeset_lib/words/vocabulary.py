"""Booru tag → what it talks about: the small visible word lists behind captions and attributes, which stand in `vocabulary.toml`.

Tags are Danbooru's (lower case, underscores). The lists hold what is common in anime footage, not everything that exists; a tag that
stands nowhere is `other` and stays in the caption. The families (by last word) follow how Danbooru forms its names, so `blue_dress` and
`wedding_dress` are both dresses.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from animeset_lib.words.spelling import is_emoticon

__all__ = [
    "CATEGORIES",
    "CORE_CATEGORIES",
    "SOLO",
    "TRAIT_CATEGORIES",
    "UNKNOWN",
    "background_of",
    "category_of",
    "emotion_of",
    "is_accessory",
    "listed",
    "meanings",
    "outfit_of",
    "view_of",
]

CATEGORIES = ("people", "hair", "eyes", "body", "outfit", "emotion", "pose", "framing", "background", "other")
"""Every tag is in exactly one of them."""

CORE_CATEGORIES = ("hair", "eyes", "body")
"""Where a constant tag belongs to the character itself. Clothes and poses never do, however constant they are in one film."""

TRAIT_CATEGORIES = (*CORE_CATEGORIES, "outfit")
"""What a figure looks like, as far as it does not change from one moment to the next."""

SOLO = "solo"
UNKNOWN = "unknown"

_TABLES: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8")
)


def listed(table: str) -> dict[str, tuple[str, ...]]:
    """One table of `vocabulary.toml`: name → its words, all in their order."""
    return {name: tuple(words.split()) for name, words in _TABLES[table].items()}


def meanings(table: str) -> dict[str, str]:
    """The same the other way round: word → the name that it stands under."""
    return {word: name for name, words in listed(table).items() for word in words}


_WHOLE, _LAST, _ACCESSORIES = (
    {name: frozenset(words) for name, words in listed(table).items()} for table in ("whole", "last", "accessories")
)
_EMOTIONS, _VIEWS = meanings("emotions"), meanings("views")
_OUTFITS, _BACKGROUNDS = tuple(listed("outfits").values()), tuple(listed("backgrounds").values())

_PEOPLE = re.compile(
    r"\d\+?(girl|boy|other)s?|solo(_focus)?|(male|female|other)_focus|multiple_(girls|boys|others|people|faces)|no_humans|crowd|group|\d\+?(people|faces)"
)

_POSE = re.compile(
    r"(standing|sitting|lying|kneeling|running|walking|jumping|squatting|crouching|sleeping_upright|flying|falling|floating(?!_hair)|swimming|"
    r"dancing|fighting|bowing|stretching|reading|writing|eating|drinking|cooking|driving|riding)(_.+)?"
    r"|(looking|facing|holding|hand|hands|arm|arms|leg|legs|leaning|crossed|pointing|waving|reaching|carrying|hugging|own|spread|"
    r"outstretched|raised|adjusting|covering|on)_.+"
    r"|from_(behind|side|above|below|outside)|profile|head_(tilt|rest|down)|back-to-back|fighting_stance|salute|v|peace_sign|waving|"
    r"pointing|hug|kiss|seiza|wariza|all_fours|indian_style|bent_over|arched_back|clenched_hands?|double_v|thumbs_up|w|"
    r"(open|imminent|heart|finger|index|interlocked|knees?|feet|foot|paw|claw|finger_gun|gun|mouth)_(hands?|kiss|to_mouth|finger_raised|fingers|up|"
    r"together_feet_apart|pose|hold|gesture|hug)|[vw]_arms|straddling|upside-down|contrapposto|top-down_bottom-up|sideways_glance|eye_contact|"
    r"face-to-face|smoking|talking|singing|whispering|bathing|wading|tiptoes|battle|duel|attack|licking|biting|dual_wielding|shushing|shrugging|"
    r"headpat|selfie|princess_carry|piggyback|hug_from_behind|undressing|carrying|reaching|leg_lift|against_wall|under_covers|presenting|"
    r"invisible_chair|playing_.+|using_.+|being_.+|grabbing_.+|pulling_.+|lifting_.+|feeding|cuddling|stomping|kicking|punching|climbing|hiding"
)
_CHATTER = re.compile(r"[.?!+^]+")
"""Marks drawn into the picture, which say nothing about a face, unlike other emoticons."""


@lru_cache(maxsize=1 << 16)
def category_of(tag: str) -> str:
    """One of `CATEGORIES` for a booru tag."""
    words = tag.split("_")
    last = words[-1]
    if _PEOPLE.fullmatch(tag):
        return "people"
    if tag in _WHOLE["framing"]:
        return "framing"
    if tag in _EMOTIONS or tag in _WHOLE["face"]:
        return "emotion"
    if tag in _WHOLE["nobodys"]:
        return "other"
    if tag in _WHOLE["hair_pose"] or (tag not in _WHOLE["no_pose"] and _POSE.fullmatch(tag)):
        return "pose"
    if tag in _WHOLE["outfit"]:
        return "outfit"
    if words[0] == "hair" or _in_hair(words):
        return "hair"
    for category in CORE_CATEGORIES:
        if tag in _WHOLE[category] or (last in _LAST[category] and tag != "facial_hair"):
            return category
    if last in ("background", "flower", "rose") or any(tag in tier for tier in (*_BACKGROUNDS, _WHOLE["background"])):
        return "background"
    if last in _LAST["outfit"] or words[0] == "sleeves" or outfit_of({tag: 1.0}) != UNKNOWN:
        return "outfit"
    if tag and is_emoticon(tag) and not tag.isalnum() and not _CHATTER.fullmatch(tag):
        return "emotion"
    return "other"


def _in_hair(words: list[str]) -> bool:
    return "hair" in words and words[-1] in _ACCESSORIES["in_hair"]


def is_accessory(tag: str) -> bool:
    """Whether a tag names a thing that some characters wear always and others never: glasses, earrings, a ribbon in the hair, a hat."""
    words = tag.split("_")
    return category_of(tag) in TRAIT_CATEGORIES and (
        words[-1] in _ACCESSORIES["last"] or _in_hair(words) or tag in _ACCESSORIES["whole"]
    )


def outfit_of(tags: Mapping[str, float]) -> str:
    """The clothes in one word, `unknown` when no tag names any. `blue_dress` counts as `dress`."""
    for tier in _OUTFITS:
        scores: dict[str, float] = {}
        for tag, score in tags.items():
            garment = next((own for own in tier if tag == own or tag.endswith(f"_{own}")), None)
            if garment is not None:
                scores[garment] = max(score, scores.get(garment, 0.0))
        if scores:
            return max(tier, key=lambda garment: scores.get(garment, -1.0))
    return UNKNOWN


def emotion_of(tags: Mapping[str, float]) -> str:
    """The facial expression in one word, `unknown` when no tag names one."""
    return _said(_EMOTIONS, tags)


def view_of(tags: Mapping[str, float]) -> str:
    """From where the head is seen: `front`, `side`, `behind`, `above` or `below`; `unknown` when no tag says."""
    return _said(_VIEWS, tags)


def _said(meanings: Mapping[str, str], tags: Mapping[str, float]) -> str:
    named = [tag for tag in meanings if tag in tags]
    return meanings[max(named, key=lambda tag: tags[tag])] if named else UNKNOWN


def background_of(tags: Mapping[str, float]) -> str:
    """Where the picture plays, the most telling that is known: place, indoors or outdoors, sky and time of day, plain colour; else `unknown`."""
    for tier in _BACKGROUNDS:
        if named := [tag for tag in tier if tag in tags]:
            return max(named, key=lambda tag: tags[tag])
    plain = {tag: score for tag, score in tags.items() if tag.endswith("_background") and tag != "blurry_background"}
    # `white_background` says more than the `simple_background` that always stands beside it.
    return min(plain, key=lambda tag: (tag == "simple_background", -plain[tag], tag), default=UNKNOWN)
