"""Pictures of known characters: reading folders, and holding characters out. Without torch, so that measurements need none."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE_PX", "Head", "hold_out", "read_heads", "square"]

SIDE_PX = 128
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Head:
    """One picture of a character: `image` (H, W, 3) uint8 RGB; `ground` (H, W) bool is true on a plain white background, or None."""

    source: str
    person: str
    image: Image
    ground: NDArray[np.bool_] | None


def read_heads(folder: Path, names: Path | None = None, sources: bool = True) -> list[Head]:
    """`folder/source/character/*` (or `folder/character/*` without `sources`) -> heads in the order of their paths.

    names  JSON that maps `source/character` to one name per person, for characters that occur in several sources.
    """
    person = json.loads(names.read_text()) if names else {}
    heads = []
    for path in sorted(p for p in folder.glob("*/*/*" if sources else "*/*") if p.is_file()):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"cannot read {path} as a picture")
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        source = path.parts[-3] if sources else folder.name
        key = f"{source}/{path.parts[-2]}"
        heads.append(Head(source, person.get(key, key), image, _white_ground(image)))
    if not heads:
        raise ValueError(f"no pictures below {folder}")
    return heads


def hold_out(heads: list[Head], count: int, seed: int) -> tuple[list[Head], list[Head]]:
    """(training, held out): `count` persons with at least eight pictures, drawn from the sources by their share; no person is in both."""
    pictures = defaultdict(int)
    where = {}
    for head in heads:
        pictures[head.person] += 1
        where.setdefault(head.person, head.source)
    persons = sorted(p for p, n in pictures.items() if n >= 8)
    rng = np.random.default_rng(seed)
    by_source = defaultdict(list)
    for person in rng.permutation(persons):
        by_source[where[str(person)]].append(str(person))
    # The n-th of m persons of a source stands at (n + 0.5) / m: the first `count` of that order hold each source's share.
    order = sorted(((n + 0.5) / len(of), s, p) for s, of in by_source.items() for n, p in enumerate(of))
    held = {person for _, _, person in order[:count]}
    return [h for h in heads if h.person not in held], [h for h in heads if h.person in held]


def square(image: Image, side_px: int = SIDE_PX) -> Image:
    """The middle square of the picture's shorter side, resized."""
    height, width = image.shape[:2]
    side = min(height, width)
    # Heads stand at the top of a tall picture.
    top, left = (height - side) // 4, (width - side) // 2
    part = image[top : top + side, left : left + side]
    return cv2.resize(part, (side_px, side_px), interpolation=cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR)


def _white_ground(image: Image) -> NDArray[np.bool_] | None:
    """Where a sprite's white page shows: white, connected to the border, and a good part of it."""
    height, width = image.shape[:2]
    white = (image.min(axis=2) >= 248).astype(np.uint8)
    border = np.concatenate((white[0], white[:, 0], white[:, -1]))
    if border.mean() < 0.6:
        return None
    mask = np.zeros((height + 2, width + 2), np.uint8)
    mask[1:-1, 1:-1] = 1 - white
    for x, y in [
        (0, 0),
        (width - 1, 0),
        (0, height - 1),
        (width - 1, height - 1),
        (0, height // 2),
        (width - 1, height // 2),
    ]:
        if white[y, x]:
            cv2.floodFill(white, mask, (x, y), 2, flags=4 | cv2.FLOODFILL_FIXED_RANGE)
    ground = white == 2
    return (
        cv2.dilate(ground.astype(np.uint8), np.ones((2, 2), np.uint8)).astype(bool)
        if 0.05 < ground.mean() < 0.95
        else None
    )
