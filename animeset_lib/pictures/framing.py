"""Where to cut: pure geometry from a face, a body and the other faces of a still to boxes that a trainer's buckets take as they are.

All boxes are in still pixels. A face box reaches from the brows to the chin and from cheek to cheek; lengths below are in heights of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, gcd, log, sqrt
from typing import get_args

from animeset_lib.cast.head_box import estimated_person
from animeset_lib.records import Box, Framing

__all__ = [
    "FramedFigure",
    "Shape",
    "buckets",
    "choose_factor",
    "keep_inside",
    "output_size",
    "place",
    "place_all",
    "snap",
]

FRAMINGS: tuple[Framing, ...] = get_args(Framing)

# Trainers accept more, but a picture twice as long as wide is the last that composes.
_RATIO_MIN, _RATIO_MAX = 0.5, 2.0
# Of what a framing should show, inside the still, this share must remain after other faces were cut away and a bucket was fitted.
_COVERAGE: Mapping[Framing, float] = {"face": 0.6, "upper_body": 0.65, "full": 0.8, "frame": 0.8}
# Where a box that is higher or lower than wished differs: the share that goes to its upper edge. Heads keep their room above the hair.
_UPPER_SHARE: Mapping[Framing, float] = {"face": 0.4, "upper_body": 0.15, "full": 0.5, "frame": 0.4}
# A body counts as whole when this share of its height is in the picture, as long as no more than the shoes are missing.
_WHOLE_BODY = 0.85
# An upper body must show the chest at least: this many face heights below the chin. The waist lies at about two.
_CHEST = 1.3
# Of the width and of the height of a face that no bucket's ratio can hold whole in its still, this share must remain.
_FACE_SHARE = 0.88
_FAR = 1_000_000


@dataclass(frozen=True)
class FramedFigure:
    """One character in one still of `width` x `height`: its face, its body, its head and upper body where they were seen, and the faces of everyone
    else."""

    face: Box
    person: Box
    person_estimated: bool
    width: int
    height: int
    others: tuple[Box, ...] = ()
    head: Box | None = None
    halfbody: Box | None = None


@dataclass(frozen=True)
class Shape:
    """What the trainer takes: pictures of about `training_px` squared, sides multiples of `step`."""

    training_px: int
    step: int


@lru_cache(maxsize=32)
def buckets(shape: Shape) -> tuple[tuple[int, int], ...]:
    """All `(width, height)` of at most the training area, each as high as its width allows and the other way round, narrowest first.

    The rule is kohya's (`make_bucket_resolutions` in sd-scripts): sides are multiples of the step, the area is as large as fits.
    """
    area, step = shape.training_px**2, shape.step
    found = set()
    for short in range(step, shape.training_px + 1, step):
        long = area // short // step * step
        if long and _RATIO_MIN <= short / long <= 1:
            found |= {(short, long), (long, short)}
    return tuple(sorted(found, key=lambda size: size[0] / size[1]))


def place_all(figure: FramedFigure, shape: Shape, zooms: Mapping[Framing, float]) -> dict[Framing, Box]:
    """Every framing this figure can have, with its box, closest first."""
    placed = {framing: place(figure, framing, shape, zooms[framing]) for framing in FRAMINGS}
    return {framing: box for framing, box in placed.items() if box is not None}


def place(figure: FramedFigure, framing: Framing, shape: Shape, zoom: float) -> Box | None:
    """The box for one framing, or None when the figure cannot be shown like that.

    zoom  0 (tight) to 1 (wide), so that a set does not hold one distance only.

    The box has whole coordinates, lies in the still, holds the whole face, or as much as it can of one that no box of a bucket's ratio
    in this still could hold, has the side ratio of a bucket, and contains no part of another face. It is None when the still does not show
    enough of the figure, or another face cannot be kept out without losing too much.
    """
    wish = _wish(figure, framing, zoom)
    if wish is None or (framing == "frame" and figure.others):
        return None
    still = Box(x0=0, y0=0, x1=figure.width, y1=figure.height)
    face = _within(figure.face, still)
    # hair and chin stay in, and the other's hair out, where that is possible; if not, at least the faces themselves
    rule = figure.face.grown(0.08, 0.25, 0.08, 0.12)
    head = _within(rule if figure.head is None else _around(figure.face, figure.head), still)
    demands = [(head, 0.2, 1.0), (head, 0.0, 1.0), (face, 0.0, 1.0)]
    if not figure.others:
        # a face that fills the still in one direction loses a little there to the side ratio
        demands.append((face, 0.0, _FACE_SHARE))
    for must, margin, share in demands:
        allowed = _without(still, wish, must, [other.grown(margin, margin, margin, margin) for other in figure.others])
        if allowed is None:
            continue
        target = wish.clip(figure.width, figure.height)
        assert target is not None, "a wish contains its face, which lies in the still"
        box = _fit(target, allowed, must, share, shape, _UPPER_SHARE[framing])
        if (
            box is not None
            and target.intersection(box) >= _COVERAGE[framing] * target.area
            and _shows(figure, framing, box)
        ):
            return box
    return None


def choose_factor(box: Box, factors: Sequence[int], shape: Shape, tolerance: float, max_factor: int) -> int:
    """How much to enlarge the content of `box`: 1 when it needs no more than `tolerance` to reach the training area, else the smallest of
    `factors` that reaches it, else the largest of them up to `max_factor`."""
    needed = shape.training_px / sqrt(box.area)
    usable = sorted(factor for factor in factors if factor <= max_factor)
    if needed <= tolerance or not usable:
        return 1
    return next((factor for factor in usable if factor >= needed), usable[-1])


def snap(box: Box, factor: int, face: Box, shape: Shape) -> Box:
    """`box`, a little smaller, so that both sides times `factor` are multiples of the step. Unchanged when a side would vanish, or when
    the enlarged picture is larger than the training area: it will be shrunk to a bucket, and has its ratio already."""
    if box.area * factor**2 >= shape.training_px**2:
        return box
    unit = shape.step // gcd(shape.step, factor)
    width, height = int(box.width // unit) * unit, int(box.height // unit) * unit
    # flooring a small box may make it too long
    width, height = (
        min(width, int(height * _RATIO_MAX // unit) * unit),
        min(height, int(width * _RATIO_MAX // unit) * unit),
    )
    return keep_inside(width, height, box, face) if width and height else box


def keep_inside(width: int, height: int, box: Box, face: Box) -> Box:
    """A part of `box` of `width` x `height`, from its middle, but moved so that it holds as much of `face` as possible."""
    cx, cy = box.center
    # whole pixels that hold the face's fractions too
    x0 = _clamp(round(cx - width / 2), ceil(face.x1 - width), floor(face.x0))
    y0 = _clamp(round(cy - height / 2), ceil(face.y1 - height), floor(face.y0))
    x0 = int(_clamp(x0, box.x0, box.x1 - width))
    y0 = int(_clamp(y0, box.y0, box.y1 - height))
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def output_size(width: int, height: int, shape: Shape, shrink: bool) -> tuple[int, int] | None:
    """Sides of the finished picture from `width` x `height` pixels: the bucket of the nearest ratio that fits into them when `shrink`, else (and for
    pictures smaller than every bucket) multiples of the step. Never larger than given; None when not even one step fits."""
    if shrink:
        fitting = [(w, h) for w, h in buckets(shape) if w <= width and h <= height]
        nearest = min(fitting, key=lambda size: abs(log(size[0] / size[1] / (width / height))), default=None)
        # a bucket of a quite different ratio would cut away more than the steps do
        if nearest is not None and abs(log(nearest[0] / nearest[1] / (width / height))) < 0.08:
            return nearest
    sides = width // shape.step * shape.step, height // shape.step * shape.step
    return sides if all(sides) else None


def _wish(figure: FramedFigure, framing: Framing, zoom: float) -> Box | None:
    """What the framing should show if nothing stood in the way; may reach beyond the still. None when the still does not show it."""
    face, size = figure.face, figure.face.height
    x, _ = face.center
    if framing == "frame":
        return Box(x0=0, y0=0, x1=figure.width, y1=figure.height)
    if framing == "face":
        # a profile's face box is narrow, but its head is not
        size = max(size, face.width)
        side = (2.1 + 0.6 * zoom) * size
        # the face's middle below that of the picture: hair is higher than chin and neck
        y0 = face.center[1] - (0.57 - 0.02 * zoom) * side
        wish = Box(x0=x - side / 2, y0=y0, x1=x + side / 2, y1=y0 + side)
        # a mane or a hat is wider than any rule; a little air around it
        return wish if figure.head is None else _around(wish, figure.head.grown(0.05, 0.05, 0.05, 0.05))
    if framing == "upper_body":
        seen = figure.height if figure.person_estimated else min(figure.height, figure.person.y1)
        if seen < face.y1 + _CHEST * size:
            return None
        y0, y1 = face.y0 - (0.75 + 0.15 * zoom) * size, face.y1 + (1.9 + 0.8 * zoom) * size
        if figure.halfbody is not None:
            room = 0.02 + 0.06 * zoom
            return figure.halfbody.grown(room, room, room, room)
        if not figure.person_estimated:
            x = (x + figure.person.center[0]) / 2
        half = (0.4 + 0.1 * zoom) * (y1 - y0)
        return Box(x0=x - half, y0=y0, x1=x + half, y1=y1)
    drawn = estimated_person(face, _FAR, _FAR)
    person = drawn if figure.person_estimated else figure.person
    cut_off = figure.person_estimated or figure.person.y1 >= figure.height - 2
    whole = drawn.height if cut_off else person.height
    if min(person.y1, figure.height) - max(person.y0, 0) < _WHOLE_BODY * whole or person.height < 5 * size:
        return None
    room = 0.03 + 0.05 * zoom
    return person.grown(room, room, room, room)


def _around(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    return Box(x0=min(one.x0, other.x0), y0=min(one.y0, other.y0), x1=max(one.x1, other.x1), y1=max(one.y1, other.y1))


def _shows(figure: FramedFigure, framing: Framing, box: Box) -> bool:
    """Whether a placed box is still what its name says: an upper body shows the chest."""
    if framing == "upper_body":
        return box.y1 >= figure.face.y1 + (_CHEST - 0.1) * figure.face.height
    return True


def _without(still: Box, wish: Box, must: Box, others: Sequence[Box]) -> Box | None:
    """The still less a side for each other face, the side that costs the least of `wish`; None when one of them cannot be cut off from `must`.

    Each cut is possible or not whatever the others are, so taking the cheapest first always ends well if anything does.
    """
    allowed = still
    for other in sorted(others, key=lambda box: (-wish.intersection(box), box.xyxy)):
        if allowed.intersection(other) == 0:
            continue
        cuts = [
            (must.x1 <= other.x0, (allowed.x0, allowed.y0, other.x0, allowed.y1)),
            (other.x1 <= must.x0, (other.x1, allowed.y0, allowed.x1, allowed.y1)),
            (must.y1 <= other.y0, (allowed.x0, allowed.y0, allowed.x1, other.y0)),
            (other.y1 <= must.y0, (allowed.x0, other.y1, allowed.x1, allowed.y1)),
        ]
        possible = [Box.of(xyxy) for keeps, xyxy in cuts if keeps]
        if not possible:
            return None
        allowed = max(possible, key=wish.intersection)
    return allowed


def _fit(target: Box, allowed: Box, must: Box, share: float, shape: Shape, upper_share: float) -> Box | None:
    """The box of a bucket's ratio inside `allowed` and around `must` that shows most of `target` and least else; None when none fits.

    `share` of the sides of `must` is enough; a box that is smaller than `must` lies within it, so that it holds as much as it can.
    """
    best, best_value = None, 0.0
    left, top = -int(-allowed.x0 // 1), -int(-allowed.y0 // 1)
    right, bottom = int(allowed.x1), int(allowed.y1)
    for bucket in buckets(shape):
        ratio = bucket[0] / bucket[1]
        covering = max(target.height, target.width / ratio)
        inside = min(target.height, target.width / ratio)
        for wished in (covering, sqrt(covering * inside), inside):
            height = min(wished, bottom - top, (right - left) / ratio)
            w, h = round(height * ratio), round(height)
            if w < share * must.width or h < share * must.height or w > right - left or h > bottom - top:
                continue
            x0 = target.center[0] - w / 2
            y0 = target.y0 + (target.height - h) * upper_share
            x0 = _clamp(round(_clamp(x0, *sorted((must.x1 - w, must.x0)))), left, right - w)
            y0 = _clamp(round(_clamp(y0, *sorted((must.y1 - h, must.y0)))), top, bottom - h)
            shown = max(0.0, min(x0 + w, target.x1) - max(x0, target.x0)) * max(
                0.0, min(y0 + h, target.y1) - max(y0, target.y0)
            )
            # cutting off hair or feet is worse than a little more background
            value = (shown / target.area) ** 2 * (shown / (w * h))
            if value > best_value + 1e-9:
                best, best_value = Box(x0=x0, y0=y0, x1=x0 + w, y1=y0 + h), value
    # whole pixels may cost a fraction of a pixel of what must be inside
    return best if best is None or best.intersection(must) >= 0.98 * share**2 * must.area else None


def _within(box: Box, still: Box) -> Box:
    inside = box.clip(still.x1, still.y1)
    assert inside is not None, "a face lies in its still"
    return inside


def _clamp(value: float, low: float, high: float) -> float:
    """`value` moved into low..high; `low` wins where the range is empty."""
    return max(low, min(value, high))
