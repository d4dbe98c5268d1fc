"""What of a figure a framing shows: nobody sees shoes on a picture of a face."""

from __future__ import annotations

import re

from animeset_lib.words.vocabulary import category_of

__all__ = ["on_face", "visible"]

_FRAMINGS = ("face", "upper_body", "full", "frame")
# How well each of these shows it, 0..1; how large the figure is in a whole frame nobody knows beforehand.
_EYES = (1.0, 0.7, 0.2, 0.2)
_HEAD = (1.0, 1.0, 0.8, 0.4)
_LENGTH = (0.3, 0.8, 1.0, 0.4)
_NECK = (0.5, 1.0, 0.8, 0.4)
_TORSO = (0.0, 1.0, 0.9, 0.4)
_BEHIND = (0.0, 0.4, 1.0, 0.4)
_LEGS = (0.0, 0.0, 1.0, 0.4)

_LENGTHS = re.compile(r".*(short|medium|long)_hair|hair_down|.*(braids?|ponytail|twintails|drills?)|hair_over_shoulder")
_ON_FACE = re.compile(
    r".*(eyewear|glasses|goggles|monocle|earrings?|freckles|fangs?|lips|lipstick|makeup|facial_.+)|mole_.*|scar_.*|.*piercing"
)
_ON_HEAD = re.compile(
    r".*(ears|horns?|halo|antennae|skin|hat|cap|beret|beanie|helmet|crown|tiara|headphones|headset|head(gear|wear|piece|dress)|circlet|bandana|"
    r"wreath|mask|veil|hair_\w+|hairband|headband|hairclip|hairpin|eyebrows|beard|mustache|stubble|goatee|sideburns)"
)
_AT_NECK = re.compile(r".*(choker|necktie|bowtie|neckerchief|ascot|scarf|collar|necklace|pendant|neck_\w+|turtleneck)")
_ON_LEGS = re.compile(
    r".*(skirt|miniskirt|pants|shorts|jeans|buruma|leggings|thighhighs?|kneehighs?|socks?|pantyhose|boots|shoes?|sneakers|loafers|sandals|slippers|"
    r"geta|heels|footwear|mary_janes|garters?|thigh_\w+|leg_\w+|bare_legs|zettai_ryouiki|barefoot|hakama|spats|anklet)"
)
_AT_BACK = re.compile(r".*(tails?|wings?|bag|backpack|cape|cloak|randoseru)")


def visible(tag: str, framing: str) -> float:
    """How well a trait can be seen in a picture of this framing (face, upper_body, full, frame), 0..1: 0 not at all."""
    return _table(tag)[_FRAMINGS.index(framing)]


def on_face(tag: str) -> bool:
    """Whether a trait is seen only where the face is."""
    return category_of(tag) == "eyes" or _ON_FACE.fullmatch(tag) is not None


def _table(tag: str) -> tuple[float, ...]:
    if on_face(tag):
        return _EYES
    if category_of(tag) == "hair":
        return _LENGTH if _LENGTHS.fullmatch(tag) else _HEAD
    for pattern, table in ((_ON_LEGS, _LEGS), (_AT_BACK, _BEHIND), (_AT_NECK, _NECK), (_ON_HEAD, _HEAD)):
        if pattern.fullmatch(tag):
            return table
    return _TORSO
