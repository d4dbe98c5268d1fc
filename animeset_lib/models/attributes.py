"""Tags that can be measured without a network, and nothing else.

Hair and eye colour, framing, number of faces, plain backgrounds, time of day, missing colour. A gender, a garment, an emotion or a pose
cannot be measured this way, so this tagger never says `1girl`; several faces are `multiple_faces`, whoever they belong to. A score is the
share of the looked-at pixels that agree, scaled by how clear the case is; below 0.35 nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import ModelInfo, Picture, TaggerInput, Tags
from animeset_lib.models.colours import EYE_COLOURS, HAIR_COLOURS, lab_of, shares
from animeset_lib.records import Box

__all__ = ["VERSION", "Attributes"]

VERSION = "1"

_LEAST = 0.35
_MIN_EYE_FACE_PX = (
    72  # an iris is a sixth of the face high; below a dozen pixels compression has mixed its colour with the lashes'
)
_GREY_CHROMA = 4.0  # CIELAB; what compression leaves of a grey picture
_SKIN_DISTANCE = 18.0  # CIELAB; within it a pixel is skin of this face


class Attributes:
    """A `Tagger`. Only general tags; the character and rating categories stay empty."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        return [Tags(general=_measure(given), character={}, rating={}) for given in inputs]


def _measure(given: TaggerInput) -> dict[str, float]:
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
    return {name: round(min(1.0, score), 4) for name, score in tags.items() if score >= _LEAST}


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
    """Colour of the fringe and crown: the band above the brows, without what looks like this face's skin."""
    lab = lab_of(_part(picture, face, 0.1, -0.4, 0.9, 0.05))
    lab = lab[np.linalg.norm(lab - skin, axis=1) > _SKIN_DISTANCE]
    if len(lab) < 64:
        return {}
    best, second, *_ = shares(lab, HAIR_COLOURS).items()
    return {f"{best[0]}_hair": best[1] if best[1] > 1.5 * second[1] else 0.0}


def _eyes(picture: Picture, face: Box, skin: npt.NDArray[np.float32]) -> dict[str, float]:
    """Colour of the irises: coloured pixels of the eye band that are neither this face's skin nor dark line."""
    if face.height < _MIN_EYE_FACE_PX:
        return {}
    lab = lab_of(_part(picture, face, 0.12, 0.25, 0.88, 0.6))
    total = len(lab)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    hair = np.median(lab_of(_part(picture, face, 0.2, -0.3, 0.8, 0.0)), axis=0)
    far = (np.linalg.norm(lab - skin, axis=1) > 25) & (np.linalg.norm(lab - hair, axis=1) > 20)
    lab = lab[far & (chroma > 12) & (lab[:, 0] > 15) & (lab[:, 0] < 92)]
    if len(lab) < max(24, 0.02 * total):
        return {}
    best, second, *_ = shares(lab, EYE_COLOURS).items()
    return {f"{best[0]}_eyes": best[1] if best[1] > 1.5 * second[1] else 0.0}


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
