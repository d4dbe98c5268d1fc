"""Title card and scrolling credits: a size and a position in, an RGB picture out."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from animeset_demo.backgrounds import paint_backdrop, soften
from animeset_demo.canvas import Picture
from animeset_demo.characters import CAST

TITLE = "Five Colours of Summer"

_CREDITS = (
    ("", "THE END"),
    *((c.name.capitalize(), f"{c.hair_colour} hair, {c.eye_colour} eyes") for c in CAST),
    ("Story", "script.py"),
    ("Character design", "characters.py"),
    ("Key animation", "face.py   hair.py   body.py"),
    ("Backgrounds", "backgrounds.py"),
    ("Photography", "film.py"),
    ("Ink and paint", "canvas.py"),
    ("Continuity", "truth.py"),
    ("", "Drawn by code. No pixel was borrowed."),
)


def title_card(width: int, height: int, seed: int) -> Picture:
    """The film's title over a soft evening sky, (height, width, 3)."""
    sky = soften(paint_backdrop("sunset", width, height, seed), 0.006)
    image = Image.fromarray(sky)
    pen = ImageDraw.Draw(image)
    for text, size, y, fill in (
        (TITLE, 0.115, 0.40, (255, 255, 255)),
        ("a little film for a big data set", 0.045, 0.55, (255, 236, 214)),
    ):
        font = ImageFont.load_default(size=size * height)
        edge = max(1, round(size * height * 0.06))
        pen.text((width / 2, y * height), text, fill, font, anchor="mm", stroke_width=edge, stroke_fill=(74, 42, 84))
    return np.asarray(image, np.uint8)


def credits_card(width: int, height: int, position: float) -> Picture:
    """The credits roll at ``position`` 0 (first line just below the middle) .. 1 (last line just above it)."""
    roll = _credits_roll(width, height)
    top = round(position * (roll.shape[0] - height))
    return roll[top : top + height]


@lru_cache(maxsize=2)
def _credits_roll(width: int, height: int) -> Picture:
    step = 0.115 * height
    image = Image.new("RGB", (width, round(step * (len(_CREDITS) - 1) + height)), (8, 8, 14))
    pen = ImageDraw.Draw(image)
    for i, (role, name) in enumerate(_CREDITS):
        y = height * 0.5 + i * step
        if not role:
            pen.text((width / 2, y), name, (244, 244, 244), ImageFont.load_default(size=0.062 * height), anchor="mm")
            continue
        pen.text((width * 0.48, y), role, (176, 176, 196), ImageFont.load_default(size=0.046 * height), anchor="rm")
        pen.text((width * 0.52, y), name, (244, 244, 244), ImageFont.load_default(size=0.052 * height), anchor="lm")
    return np.asarray(image, np.uint8)
