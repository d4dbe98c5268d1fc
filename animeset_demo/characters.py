"""The cast of the demo film: who they are, what they look like, what they wear. All invented here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from animeset_demo.canvas import Colour

HairStyle = Literal["twin_tails", "bob", "spiky", "hime", "ponytail"]
Top = Literal["sailor", "blazer", "dress", "hoodie", "jacket", "sweater", "tracksuit"]
Emotion = Literal["neutral", "smile", "angry", "sad", "surprised"]

EMOTIONS: tuple[Emotion, ...] = ("neutral", "smile", "angry", "sad", "surprised")


@dataclass(frozen=True)
class Outfit:
    """One set of clothes: cut of the top, what is worn below, and their colours (RGB)."""

    name: str
    top: Top
    main: Colour
    trim: Colour
    accent: Colour
    skirt: bool
    lower: Colour
    legs: Colour | None  # socks or tights; None: bare legs
    shoes: Colour


@dataclass(frozen=True)
class Character:
    """One person of the cast. ``eye_*`` are in face units (half a face height = 1)."""

    name: str
    hair_colour: str
    eye_colour: str
    hair_style: HairStyle
    hair: tuple[Colour, Colour, Colour, Colour]  # base, shade, shine, line
    iris: tuple[Colour, Colour, Colour]  # top to bottom
    ribbon: Colour
    skin: tuple[Colour, Colour]  # base, shade
    eye_width: float
    eye_height: float
    eye_tilt: float  # positive: outer corners up
    boy: bool
    outfits: tuple[Outfit, Outfit]


_FAIR = ((255, 232, 214), (240, 190, 172))
_WARM = ((252, 222, 198), (230, 176, 152))
_NAVY: Colour = (52, 62, 104)
_WHITE: Colour = (248, 248, 252)

CAST: tuple[Character, ...] = (
    Character(
        name="hana",
        hair_colour="pink",
        eye_colour="green",
        hair_style="twin_tails",
        hair=((246, 158, 184), (214, 112, 152), (255, 214, 226), (120, 44, 78)),
        iris=((16, 74, 62), (38, 152, 108), (150, 232, 170)),
        ribbon=(226, 52, 74),
        skin=_FAIR,
        eye_width=0.31,
        eye_height=0.31,
        eye_tilt=0.02,
        boy=False,
        outfits=(
            Outfit("school_uniform", "sailor", _WHITE, _NAVY, (222, 58, 70), True, _NAVY, (40, 44, 66), (88, 54, 44)),
            Outfit(
                "summer_dress", "dress", (255, 236, 166), _WHITE, (240, 140, 90), True, (255, 236, 166), None, _WHITE
            ),
        ),
    ),
    Character(
        name="ren",
        hair_colour="black",
        eye_colour="red",
        hair_style="spiky",
        hair=((58, 56, 68), (34, 32, 44), (118, 120, 142), (14, 12, 20)),
        iris=((86, 14, 24), (196, 44, 46), (250, 146, 110)),
        ribbon=(60, 60, 70),
        skin=_WARM,
        eye_width=0.30,
        eye_height=0.25,
        eye_tilt=0.08,
        boy=True,
        outfits=(
            Outfit(
                "school_uniform",
                "blazer",
                (62, 74, 112),
                _WHITE,
                (186, 46, 58),
                False,
                (96, 100, 116),
                None,
                (60, 44, 40),
            ),
            Outfit(
                "casual",
                "jacket",
                (196, 76, 58),
                (58, 60, 68),
                (240, 240, 240),
                False,
                (70, 92, 138),
                None,
                (236, 236, 238),
            ),
        ),
    ),
    Character(
        name="sora",
        hair_colour="black",
        eye_colour="violet",
        hair_style="hime",
        hair=((50, 46, 84), (30, 26, 56), (124, 122, 186), (12, 10, 28)),
        iris=((52, 22, 96), (124, 70, 190), (214, 166, 246)),
        ribbon=(150, 110, 210),
        skin=_FAIR,
        eye_width=0.31,
        eye_height=0.27,
        eye_tilt=0.06,
        boy=False,
        outfits=(
            Outfit("school_uniform", "sailor", _WHITE, _NAVY, (222, 58, 70), True, _NAVY, (36, 34, 48), (88, 54, 44)),
            Outfit(
                "sweater",
                "sweater",
                (150, 118, 176),
                _WHITE,
                (104, 78, 134),
                True,
                (84, 84, 100),
                (50, 44, 62),
                (66, 46, 48),
            ),
        ),
    ),
    Character(
        name="yuki",
        hair_colour="blue",
        eye_colour="yellow",
        hair_style="bob",
        hair=((158, 204, 236), (108, 156, 206), (222, 242, 252), (38, 66, 108)),
        iris=((116, 66, 10), (222, 154, 30), (255, 232, 124)),
        ribbon=(252, 220, 90),
        skin=_FAIR,
        eye_width=0.31,
        eye_height=0.30,
        eye_tilt=-0.03,
        boy=False,
        outfits=(
            Outfit("school_uniform", "sailor", _WHITE, _NAVY, (222, 58, 70), True, _NAVY, _WHITE, (88, 54, 44)),
            Outfit(
                "hoodie",
                "hoodie",
                (112, 190, 156),
                (238, 244, 240),
                (70, 140, 112),
                True,
                (82, 90, 122),
                None,
                (240, 120, 120),
            ),
        ),
    ),
    Character(
        name="mio",
        hair_colour="blonde",
        eye_colour="blue",
        hair_style="ponytail",
        hair=((250, 214, 122), (222, 164, 76), (255, 244, 196), (116, 72, 26)),
        iris=((18, 52, 128), (48, 124, 214), (150, 220, 252)),
        ribbon=(70, 130, 226),
        skin=_WARM,
        eye_width=0.31,
        eye_height=0.29,
        eye_tilt=0.05,
        boy=False,
        outfits=(
            Outfit("school_uniform", "sailor", _WHITE, _NAVY, (222, 58, 70), True, _NAVY, (40, 44, 66), (88, 54, 44)),
            Outfit("tracksuit", "tracksuit", (226, 74, 66), _WHITE, (255, 214, 80), False, (226, 74, 66), None, _WHITE),
        ),
    ),
)


def character(name: str) -> Character:
    """The cast member of that name."""
    return next(c for c in CAST if c.name == name)
