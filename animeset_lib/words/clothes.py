"""What a figure wears, measured: the colours below the chin, by height, next to the colour of the skin in the same picture.

There is no network in it. Clothes are cel colours on large areas, so a short palette for each of a few heights tells one outfit from another; the
light of the scene tints skin and clothes alike, so the skin is kept beside the palettes, and whoever compares two pictures can take the
light out (`relit`). Lengths are in face boxes (brows to chin, cheek to cheek), as in `framing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import Picture
from animeset_lib.records import Box

__all__ = ["COLOURS", "SKIN", "ZONES", "Lab", "Look", "clothes_look", "lab_of", "palette", "relit", "rgb_of"]

Lab = npt.NDArray[np.float32]

ZONES: tuple[tuple[float, float, float, float], ...] = (
    (0.15, 0.6, 0.45, 1.0),
    (0.6, 1.5, 0.95, 0.9),
    (1.5, 2.5, 0.8, 0.7),
    (2.5, 4.5, 0.7, 0.7),
)
"""Collar, chest, waist, skirt or trousers: from and to below the chin in face heights, half the width there at the top and at the bottom in face
widths. Narrower than shoulders and hips: what lies in it is the figure in most poses."""
_AROUND = (3.0, 1.5, 3.0, 4.6)
"""What is looked at at all, in face boxes beyond the face to the left, above, to the right and below."""
COLOURS = 4
"""Palette entries of a zone."""
_ENTRY = 4  # share, L, a, b
_FACE_PX = 64  # faces are shrunk to this height: the palette needs no more
_LEAST_FACE_PX = 12
_LEAST_SHARE = 0.12
"""A zone with less of its area left as clothes counts as not seen."""
_SKIN_LIGHT = (-25.0, 8.0)
_SKIN_CHROMA = (-5.0, 14.0)
_SKIN_HUE = 7.0
"""A pixel is skin when its CIELAB lightness, chroma and hue differ from the cheeks' by no more: shade is darker, white cloth paler."""
_HAIR = 13.0
_BACKGROUND = 8.0
_JOIN = 14.0
"""CIELAB distances, lightness counted half, within which a pixel is hair, background, or the same colour of a palette."""
_MIDDLE = 0.35
_FILLED = 0.5
"""Hair hangs at the sides. Where its colour fills this share of the middle (so many face widths to each side), the clothes have it too."""
_LIGHT = (0.3, 6.0)
"""A scene's light is believed to change one channel at most so much; beyond, what was taken for skin is none."""
SKIN: Lab = np.array([88, 8, 14], np.float32)
"""CIELAB of the skin in whose light the palettes are given: a fair drawn one in daylight. Own observation."""
_HALF_LIGHT = np.array([0.5, 1.0, 1.0], np.float32)


@dataclass(frozen=True)
class Look:
    """The descriptor, unpacked. `skin` is `(3,)` CIELAB; `zones` are `(Z, COLOURS, 4)`: share of the zone's area (0..1, largest first, 0 where there
    is no further colour), L 0..100, a, b."""

    skin: Lab
    zones: Lab

    @classmethod
    def unpack(cls, values: Sequence[float]) -> Look:
        """From what `clothes_look` gave. Raises `ValueError` when the number of values is another."""
        array = np.asarray(values, np.float32)
        return cls(array[:3], array[3:].reshape(len(ZONES), COLOURS, _ENTRY))

    def pack(self) -> tuple[float, ...]:
        """Shares to 0.01, colours to whole units: less is noise, and equal pictures of two machines stay equal."""
        zones = self.zones.astype(np.float64).copy()
        zones[..., 0] = zones[..., 0].round(2)
        zones[..., 1:] = zones[..., 1:].round()
        return tuple(float(v) + 0.0 for v in (*self.skin.astype(np.float64).round(), *zones.ravel()))


def clothes_look(picture: Picture, face: Box | None) -> tuple[float, ...]:
    """The clothes of the figure whose face is given: 3 + 4 x 4 x 4 numbers (see `Look`), or nothing where none are seen.

    picture  `(H, W, 3)` uint8 RGB, any crop of the figure.
    face     in its pixels, brows to chin; None: nothing is measured.

    Skin, the colours of the hair and of the background beside the head are left out as far as they can be told.
    """
    if face is None or face.height < _LEAST_FACE_PX:
        return ()
    around = face.grown(*_AROUND).clip(picture.shape[1], picture.shape[0])
    if around is None:
        return ()
    left, top, right, bottom = around.pixels()
    picture, face = picture[top:bottom, left:right], face.moved(-left, -top)
    if not picture.size:  # a sliver of less than half a pixel
        return ()
    factor = min(1.0, _FACE_PX / face.height)
    height, width = picture.shape[:2]
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        face = face.scaled(size[0] / width, size[1] / height)
    rgb = (picture / 255).astype(np.float32)
    inner = _part(lab_of(rgb), face, 0.2, 0.45, 0.8, 0.85)
    if not len(inner):
        return ()
    seen_skin = np.median(inner, axis=0)
    lab = relit(rgb, seen_skin, SKIN)
    hair = _hair(lab, face)
    backdrop = _backdrop(lab, face)
    zones = np.zeros((len(ZONES), COLOURS, _ENTRY), np.float32)
    for index, zone in enumerate(ZONES):
        zones[index] = _zone(lab, face, zone, hair, backdrop)
    return Look(seen_skin, zones).pack() if zones[..., 0].any() else ()


def relit(rgb: npt.NDArray[np.float32], skin: Lab, wanted: Lab) -> Lab:
    """`(..., 3)` RGB 0..1 in a light that shows skin as `skin` → CIELAB in one that shows it as `wanted`.

    A scene's tint multiplies all colours of a figure (von Kries): each channel of linear light is multiplied by what makes the skin right.
    """
    gain = np.clip(_linear(rgb_of(wanted)) / np.maximum(_linear(rgb_of(skin)), 1e-3), *_LIGHT)
    return lab_of(np.clip(_linear(rgb) * gain, 0, 1).astype(np.float32) ** np.float32(1 / 2.2))


def _linear(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.clip(rgb, 0, 1) ** np.float32(2.2), np.float32)


def lab_of(rgb: npt.NDArray[np.float32]) -> Lab:
    """`(..., 3)` float32 RGB 0..1 → CIELAB of the same shape."""
    return _converted(rgb, cv2.COLOR_RGB2LAB)


def rgb_of(lab: Lab) -> npt.NDArray[np.float32]:
    """`(..., 3)` CIELAB → float32 RGB 0..1 of the same shape."""
    return _converted(lab, cv2.COLOR_LAB2RGB)


def _converted(values: npt.NDArray[np.float32], code: int) -> npt.NDArray[np.float32]:
    flat = np.ascontiguousarray(values, np.float32).reshape(1, -1, 3)
    return np.asarray(cv2.cvtColor(flat, code), np.float32).reshape(values.shape)


def palette(pixels: Lab, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`(N, 4)`: weight, L, a, b of the colours of `(P, 3)` pixels, heaviest first: the fullest cells of a coarse grid with what is near;
    at most 8."""
    cells = np.floor(pixels / np.array([10, 8, 8], np.float32)).astype(np.int64) + 32
    keys, index = np.unique(cells @ np.array([64 * 64, 64, 1]), return_inverse=True)
    mass = np.bincount(index, weights=weights, minlength=len(keys))
    sums = [np.bincount(index, weights=weights * pixels[:, c], minlength=len(keys)) for c in range(3)]
    mean = np.stack(sums, axis=1) / mass[:, None]
    found: list[list[float]] = []
    left = np.argsort(-mass, kind="stable")
    while len(left) and len(found) < 2 * COLOURS:
        near = np.linalg.norm((mean[left] - mean[left[0]]) * _HALF_LIGHT, axis=1) <= _JOIN
        group = left[near]
        total = float(mass[group].sum())
        found.append([total, *(mass[group] @ mean[group] / total)])
        left = left[~near]
    found.sort(key=lambda entry: -entry[0])
    return np.array(found, np.float32)


def _part(lab: Lab, box: Box, x0: float, y0: float, x1: float, y1: float) -> Lab:
    """`(P, 3)`: the pixels between fractions of `box` (0 left and top, 1 right and bottom, beyond allowed), as far as they are in the picture."""
    height, width = lab.shape[:2]
    left, right = (round(min(max(box.x0 + x * box.width, 0), width)) for x in (x0, x1))
    top, bottom = (round(min(max(box.y0 + y * box.height, 0), height)) for y in (y0, y1))
    return lab[top:bottom, left:right].reshape(-1, 3)


def _far(lab: Lab, colours: Lab) -> npt.NDArray[np.float32]:
    """`(P,)`: distance of each pixel to the nearest of `(N, 3)` colours; infinite when there are none."""
    if not len(colours):
        return np.full(len(lab), np.inf, np.float32)
    apart = np.linalg.norm((lab[:, None] - colours[None]) * _HALF_LIGHT, axis=2)
    return np.asarray(apart.min(axis=1), np.float32)


def _is_skin(lab: Lab) -> npt.NDArray[np.bool_]:
    """`(P,)`: which pixels of a picture in the light of `SKIN` are skin."""
    chroma = float(np.hypot(SKIN[1], SKIN[2]))
    along = lab[:, 1:] @ SKIN[1:] / chroma - chroma
    across = lab[:, 1:] @ np.array([-SKIN[2], SKIN[1]], np.float32) / chroma
    light = lab[:, 0] - SKIN[0]
    inside = (light >= _SKIN_LIGHT[0]) & (light <= _SKIN_LIGHT[1]) & (np.abs(across) <= _SKIN_HUE)
    return np.asarray(inside & (along >= _SKIN_CHROMA[0]) & (along <= _SKIN_CHROMA[1]), np.bool_)


def _hair(lab: Lab, face: Box) -> Lab:
    """`(N, 3)`: the two main colours above the brows and beside the cheeks that are not skin."""
    parts = ((0.1, -0.3, 0.9, 0.1), (-0.12, 0.0, 0.06, 0.5), (0.94, 0.0, 1.12, 0.5))
    pixels = np.concatenate([_part(lab, face, *part) for part in parts])
    pixels = pixels[~_is_skin(pixels)]
    return palette(pixels, np.ones(len(pixels), np.float32))[:2, 1:] if len(pixels) else pixels


def _backdrop(lab: Lab, face: Box) -> Lab:
    """`(N, 3)`: the main colours at the left and right edges, from the top to the chin, away from the head."""
    pixels = np.concatenate([_part(lab, face, -20, -20, -0.8, 0.9), _part(lab, face, 1.8, -20, 20, 0.9)])
    if not len(pixels):
        return pixels
    found = palette(pixels, np.ones(len(pixels), np.float32))
    return found[found[:, 0] > 0.1 * found[:, 0].sum(), 1:]


def _zone(
    lab: Lab, face: Box, zone: tuple[float, float, float, float], hair: Lab, backdrop: Lab
) -> npt.NDArray[np.float32]:
    """`(COLOURS, 4)`: the palette of one zone, zeros when it is not seen."""
    found = np.zeros((COLOURS, _ENTRY), np.float32)
    top, bottom, wide, narrow = zone
    first, last = round(face.y1 + top * face.height), round(face.y1 + bottom * face.height)
    area = (wide + narrow) * face.width * (last - first)
    rows, columns = np.mgrid[first : max(first, min(lab.shape[0], last)), 0 : lab.shape[1]]
    aside = np.abs(columns - (face.x0 + face.x1) / 2)
    half = (wide + (rows - first) / max(1, last - first) * (narrow - wide)) * face.width
    inside = aside < half
    if not inside.any():  # below the picture
        return found
    pixels = lab[rows[inside], columns[inside]]
    weights = (1.0 - 0.5 * aside[inside] / half[inside]).astype(np.float32)
    own = ~_is_skin(pixels)
    middle = own & (aside[inside] < _MIDDLE * face.width)
    like_hair = _far(pixels, hair) <= _HAIR
    if not middle.any() or like_hair[middle].mean() < _FILLED:
        own &= ~like_hair
    own &= _far(pixels, backdrop) > _BACKGROUND
    if own.sum() < _LEAST_SHARE * area:
        return found
    worn = palette(pixels[own], weights[own])[:COLOURS]
    worn[:, 0] *= own.sum() / area / worn[:, 0].sum()
    found[: len(worn)] = worn
    return found
