"""Faces that are not in the film but on it: a channel's logo, a mascot beside the subtitles.

A box that stays at one place with the same drawing while everything around it changes, over several shots, is an overlay. A shot that comes
back (two people talking, seen in turn) also shows the same face at the same place, but then its surroundings come back too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.models.api import Picture
from animeset_lib.records import Box

__all__ = ["Overlay", "Place", "find_overlays"]

_SAME_PLACE = 0.6
"""Boxes of one overlay share at least this much of their union: it stands still, the detector's box does not quite."""
_SHOTS = 3
"""Over fewer shots chance and repeated cuts are as likely."""
_STILLS = 12
"""Stills looked at for one place: one of each shot, evenly spread."""
_INSIDE, _AROUND = 0.75, 0.5
"""Likeness (correlation of edges, 1 = equal) that the box must reach and its surroundings must not."""
_SIDE = 32
_PICTURE_SIDE = 160
"""Pixels of the longer side at which boxes and whole pictures are compared."""
_GAP = 0.25
"""Where the surroundings begin, in box sides: the logo's own outline lies around a face's box, not in it."""


@dataclass(frozen=True)
class Place:
    """One detected face: where, in which still and shot. `size` is the still's width and height; scenes with bars of their own have smaller ones."""

    still: str
    shot: int
    box: Box
    size: tuple[int, int]


@dataclass(frozen=True)
class Overlay:
    """`members` are row numbers of the places given; `box` their median; `inside` and `around` the measured likenesses over `shots` shots."""

    box: Box
    members: tuple[int, ...]
    shots: int
    inside: float
    around: float


def find_overlays(places: Sequence[Place], read: Callable[[str], Picture | None]) -> list[Overlay]:
    """Overlays among the faces of one film, those with most faces first. `read` gives a still (None: unreadable); only suspects are read.

    A real face that happens to stand where an overlay does is not a member: each member's own pixels are compared with the overlay's.
    """
    found = []
    for members in _same_place(places):
        shots = {places[i].shot for i in members}
        if len(shots) < _SHOTS:
            continue
        box = _median([places[i].box for i in members])
        first_of_shot = {places[i].shot: i for i in reversed(members)}
        sample = [first_of_shot[shot] for shot in sorted(first_of_shot)]
        sample = [sample[k] for k in np.unique(np.linspace(0, len(sample) - 1, min(_STILLS, len(sample))).astype(int))]
        views = [_edges(picture, box) for picture in (read(places[i].still) for i in sample) if picture is not None]
        if len(views) < _SHOTS:
            continue
        inside = [view[0] for view in views]
        # The median over shots is the overlay alone: what lies around and shines through differs from shot to shot.
        pattern = np.median(inside, axis=0)
        likeness = float(np.median([_likeness(view, pattern) for view in inside]))
        around = float(np.median([_likeness(a[1], b[1]) for n, a in enumerate(views) for b in views[:n]]))
        if likeness < _INSIDE or around > _AROUND:
            continue
        own = tuple(i for i in members if _belongs(places[i], box, pattern, read))
        if len({places[i].shot for i in own}) >= _SHOTS:
            found.append(Overlay(box, own, len({places[i].shot for i in own}), likeness, around))
    return sorted(found, key=lambda overlay: (-len(overlay.members), overlay.members))


def _same_place(places: Sequence[Place]) -> list[list[int]]:
    """Row numbers by place, in order: each box joins the first place it fits, in a still of the same size."""
    groups: list[tuple[Place, list[int]]] = []
    for i, place in enumerate(places):
        for first, members in groups:
            if first.size == place.size and first.box.iou(place.box) >= _SAME_PLACE:
                members.append(i)
                break
        else:
            groups.append((place, [i]))
    return [members for _, members in groups]


def _median(boxes: Sequence[Box]) -> Box:
    x0, y0, x1, y1 = np.median([box.xyxy for box in boxes], axis=0).tolist()
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _belongs(place: Place, box: Box, pattern: npt.NDArray[np.float32], read: Callable[[str], Picture | None]) -> bool:
    picture = read(place.still)
    return picture is not None and _likeness(_edges(picture, box)[0], pattern) >= _INSIDE


def _edges(picture: Picture, box: Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Edge strengths inside the box and in the rest of the picture, each as a row of numbers, equally long for all stills of one size.

    Edges, not colours: a logo that is half transparent keeps its lines over every background. The rest is the whole picture and not a ring: beside
    a mascot stands the channel's name.
    """
    x0, y0, x1, y1 = box.pixels()
    height, width = picture.shape[:2]
    inside = picture[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
    # The box itself becomes about _SIDE px, so that the same measure works on a 20 px logo and a 200 px one.
    inner = _strength(inside, _SIDE / max(box.width, box.height))
    scale = _PICTURE_SIDE / max(height, width)
    outer = _strength(picture, scale)
    gap_x, gap_y = _GAP * box.width, _GAP * box.height
    left, top = max(0, round((box.x0 - gap_x) * scale)), max(0, round((box.y0 - gap_y) * scale))
    rest = np.ones(outer.shape, bool)
    rest[top : round((box.y1 + gap_y) * scale), left : round((box.x1 + gap_x) * scale)] = False
    return inner.ravel(), outer[rest]


def _strength(part: Picture, scale: float) -> npt.NDArray[np.float32]:
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    size = max(3, round(grey.shape[1] * scale)), max(3, round(grey.shape[0] * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR).astype(np.float32)
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
    return cv2.magnitude(across, down).astype(np.float32)


def _likeness(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Correlation -1..1; 0 where either is flat."""
    if a.shape != b.shape or not len(a):
        return 0.0
    x, y = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / size if size > 1e-6 else 0.0
