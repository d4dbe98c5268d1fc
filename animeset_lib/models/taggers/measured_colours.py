"""Tags that can be measured without a network, and nothing else.

Hair and eye colour, framing, number of faces, plain backgrounds, a sky's time of day, missing colour. A gender, a garment, an emotion or a
pose cannot be measured this way, so this tagger never says `1girl`; several faces are `multiple_faces`, whoever they belong to. A score is
the share of the looked-at pixels that agree (0.9 and less for what earlier stages decided); below 0.35 nothing is said.

Measured on 512 faces of 46 characters whose colours are known, mostly fan art: hair named for 80 % of them, right in 87 % of these (91 % at a
score of 0.5); eyes, where the face was large enough, named for half and right in 82 %. Pale and shaded colours are the weak spot: white
hair in warm light is called pink.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import Picture, TaggerInput, Tags, Thresholds
from animeset_lib.models.spec import Parts
from animeset_lib.models.taggers.colours import EYE_COLOURS, HAIR_COLOURS, lab_of, shares
from animeset_lib.records import Box

__all__ = ["VERSION", "Attributes"]

VERSION = "1"

_LEAST = 0.35
_MIN_EYE_FACE_PX = (
    72  # an iris is a sixth of the face high; below a dozen pixels compression has mixed its colour with the lashes'
)
_ENOUGH_FACE_PX = 256
_GREY_CHROMA = 4.0  # CIELAB; what compression leaves of a grey picture
_MIN_PIXELS = 48
_LEAD = 1.5  # the leading colour's share over the next one's
_WARM = (0.5, 0.866)  # CIELAB a, b direction of skin, 60 degrees
_WARM_SHARE = 0.5  # within 60 degrees of it
_PURE_CHROMA = 50.0
_SKIN_DISTANCE = 18.0  # CIELAB; within it a pixel is skin of this face


class Attributes:
    """A `Tagger`. Only general tags; the character and rating categories stay empty."""

    thresholds = Thresholds(general=_LEAST, character=1.0)
    vocabulary: frozenset[str] = frozenset()  # what it does not say it could not measure

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        return [Tags(general=_measure(given), character={}, rating={}) for given in inputs]


def _measure(original: TaggerInput) -> dict[str, float]:
    given = _reduced(original)
    picture = np.ascontiguousarray(given.picture)
    tags: dict[str, float] = {}
    grey = _greyscale(picture)
    if grey:
        tags |= {"greyscale": grey, "monochrome": grey}
    face = _inside(given.face, picture)
    if face is not None:
        skin = lab_of(_part(picture, face, 0.25, 0.5, 0.75, 0.8))
        skin_tone = np.median(skin, axis=0)
        if not grey:
            tags |= _hair(picture, face, skin_tone)
            tags |= _eyes(picture, face, skin_tone)
    if len(given.faces) == 1:
        tags["solo"] = 0.9
    elif len(given.faces) > 1:
        tags["multiple_faces"] = 0.9
    tags |= _framing(given)
    tags |= _background(picture, given, grey=bool(grey))
    tags |= _sky(picture, given)
    return {name: round(min(1.0, score), 4) for name, score in tags.items() if score >= _LEAST}


def _reduced(given: TaggerInput) -> TaggerInput:
    """The same with a face of at most `_ENOUGH_FACE_PX`: shares of colours need no more pixels, and time goes with their number."""
    if given.face is None or given.face.height <= _ENOUGH_FACE_PX:
        return given
    factor = _ENOUGH_FACE_PX / given.face.height
    height, width = given.picture.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(np.ascontiguousarray(given.picture), size, interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )
    fx, fy = size[0] / width, size[1] / height
    return TaggerInput(
        small, given.framing, given.face.scaled(fx, fy), tuple(face.scaled(fx, fy) for face in given.faces)
    )


def _inside(face: Box | None, picture: Picture) -> Box | None:
    return None if face is None else face.clip(picture.shape[1], picture.shape[0])


def _part(picture: Picture, box: Box, x0: float, y0: float, x1: float, y1: float) -> Picture:
    """The pixels between fractions of `box` (0 left/top, 1 right/bottom, beyond allowed), clipped, at least one pixel."""
    height, width = picture.shape[:2]
    wished = Box(
        x0=box.x0 + x0 * box.width,
        y0=box.y0 + y0 * box.height,
        x1=box.x0 + x1 * box.width,
        y1=box.y0 + y1 * box.height,
    )
    inside = wished.clip(width, height)
    if inside is None:
        return np.zeros((0, 0, 3), np.uint8)
    left, top, right, bottom = inside.pixels()
    left, top = min(left, width - 1), min(top, height - 1)
    return picture[top : max(bottom, top + 1), left : max(right, left + 1)]


def _greyscale(picture: Picture) -> float:
    """Confidence that the picture has no colour; 0 where it has, or is too dark or plain to tell."""
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    lab = lab_of(small.astype(np.uint8))
    if np.ptp(lab[:, 0]) < 20:
        return 0.0
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    return float(np.clip(1.5 - np.percentile(chroma, 98) / _GREY_CHROMA, 0, 1))


def _hair(picture: Picture, face: Box, skin: npt.NDArray[np.float32]) -> dict[str, float]:
    """Colour of the fringe and the locks beside the cheeks, where no hat is, without what looks like this face's skin."""
    parts = ((0.1, -0.25, 0.9, 0.15), (-0.12, 0.0, 0.06, 0.5), (0.94, 0.0, 1.12, 0.5))
    lab = np.concatenate([lab_of(_part(picture, face, *part)) for part in parts])
    lab = lab[np.linalg.norm(lab - skin, axis=1) > _SKIN_DISTANCE]
    if len(lab) < _MIN_PIXELS:
        return {}
    return _clear("hair", shares(lab, HAIR_COLOURS))


def _eyes(picture: Picture, face: Box, skin: npt.NDArray[np.float32]) -> dict[str, float]:
    """Colour of the irises: the coloured pixels of the eye band that are neither this face's skin nor its hair, the purest counting most.

    Lids, blush and thin lines on skin are warm too, so warm pixels count only when they are purer than those; brown eyes are not, and are
    never named.
    """
    if face.height < _MIN_EYE_FACE_PX:
        return {}
    lab = lab_of(_part(picture, face, 0.1, 0.22, 0.9, 0.6))
    hair = np.median(lab_of(_part(picture, face, 0.2, -0.25, 0.8, 0.1)), axis=0)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    warm = (lab @ (0, *_WARM)) > _WARM_SHARE * chroma
    own = (np.linalg.norm(lab - skin, axis=1) > 25) & (np.linalg.norm(lab - hair, axis=1) > 22)
    coloured = own & (chroma > np.where(warm, _PURE_CHROMA, 14)) & (lab[:, 0] > 15) & (lab[:, 0] < 92)
    if coloured.sum() < max(_MIN_PIXELS, 0.02 * len(lab)):
        return {}
    return _clear("eyes", shares(lab[coloured], EYE_COLOURS, chroma[coloured]))


def _clear(part: str, found: dict[str, float]) -> dict[str, float]:
    """The leading colour's tag, when it leads clearly."""
    (name, share), (_, second), *_ = found.items()
    return {f"{name}_{part}": share} if share > _LEAD * second else {}


def _framing(given: TaggerInput) -> dict[str, float]:
    """From the planned framing and how large the face is in the picture."""
    if given.framing == "face":
        return {"portrait": 0.9}
    if given.framing == "upper_body":
        return {"upper_body": 0.9}
    if given.framing == "full" and given.face is not None:
        # A figure of six heads fills a full-body picture with its face a tenth high; with a larger face the legs are cut off.
        share = given.face.height / given.picture.shape[0]
        return {"full_body": 0.8} if share < 0.16 else {"cowboy_shot": 0.6}
    return {}


def _background(picture: Picture, given: TaggerInput, *, grey: bool) -> dict[str, float]:
    """What lies outside the figure, judged on the outer columns and the top row beside the head."""
    height, width = picture.shape[:2]
    face = _inside(given.face, picture)
    if face is None or min(height, width) < 32:
        return {}
    side = max(1, width // 12)
    top = max(1, height // 12)
    upper = max(top + 1, int(face.y1))
    border = [picture[:upper, :side], picture[:upper, -side:]]
    if face.y0 - 0.6 * face.height > top:
        border.append(picture[:top])
    lab = np.concatenate([lab_of(part) for part in border])
    middle = np.median(lab, axis=0)
    plain = float((np.linalg.norm(lab - middle, axis=1) < 8).mean())
    if plain < 0.9:
        return {}
    tags = {"simple_background": plain}
    light, chroma = float(middle[0]), float(np.hypot(middle[1], middle[2]))
    if chroma < 6:
        name = "white" if light > 92 else "black" if light < 12 else "grey"
        tags[f"{name}_background"] = plain
    elif not grey:
        name = next(iter(shares(middle[None], HAIR_COLOURS)))
        tags[f"{'yellow' if name == 'blonde' else name}_background"] = plain
    return tags


def _sky(picture: Picture, given: TaggerInput) -> dict[str, float]:
    """Time of day, where the top of a wide picture is one smooth sky: a clear blue by day, orange at sunset, dark blue by night."""
    height, width = picture.shape[:2]
    top = height // 4
    if given.framing not in ("full", "frame") or any(face.y0 < top for face in given.faces) or min(top, width) < 32:
        return {}
    lab = lab_of(cv2.resize(picture[:top], (64, 16), interpolation=cv2.INTER_AREA).astype(np.uint8))
    light, a, b = lab.T
    skies = {
        "day": (light > 55) & (b < -14) & (np.abs(a) < 16),
        "sunset": (light > 35) & (b > 18) & (a > 8) & (a > 0.3 * b),
        "night": (light > 4) & (light < 30) & (b < -10),
    }
    name, score = max(((name, float(mask.mean())) for name, mask in skies.items()), key=lambda found: found[1])
    return {name: 0.8 * score} if score > 0.7 else {}
