"""Batches and training views of known characters, for the identity embedder."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from training.heads import SIDE_PX, Head

__all__ = ["CharacterBatches", "CharacterViews"]

Image = NDArray[np.uint8]


class CharacterBatches(Sampler[list[tuple[int, int]]]):
    """Batches of `characters` x `pictures` (picture, draw number), a function of the seed alone.

    Half of a batch's characters come from one source: telling apart characters of one style is the task, and style is the
    short cut. Characters are drawn alike however many pictures they have, and a character's pictures alike from its sources.
    """

    def __init__(self, heads: list[Head], characters: int, pictures: int, batches: range, seed: int) -> None:
        self.heads, self.characters, self.pictures, self.batches, self.seed = heads, characters, pictures, batches, seed
        self.of: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, head in enumerate(heads):
            self.of[head.person][head.source].append(index)
        self.cast: dict[str, list[str]] = defaultdict(list)
        for person, sources in self.of.items():
            for source in sources:
                self.cast[source].append(person)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        persons = sorted(self.of)
        sources = sorted(self.cast)
        # A source is drawn by the root of its cast: a large cast has more pairs to learn from, a small one must not vanish.
        weight = np.sqrt([len(self.cast[s]) for s in sources])
        for number in self.batches:
            rng = np.random.default_rng((self.seed, number))
            source = sources[rng.choice(len(sources), p=weight / weight.sum())]
            near = rng.permutation(self.cast[source])[: self.characters // 2].tolist()
            far = [p for p in rng.permutation(persons).tolist() if p not in near]
            batch = []
            for person in (near + far)[: self.characters]:
                where = self.of[person]
                keys = sorted(where)
                for draw in range(self.pictures):
                    pool = where[keys[(draw + rng.integers(len(keys))) % len(keys)]]
                    batch.append((int(pool[rng.integers(len(pool))]), int(rng.integers(2**31))))
            yield batch


class CharacterViews(Dataset[tuple[torch.Tensor, int]]):
    """(picture, draw number) -> one random training view (128, 128, 3) uint8 and its label."""

    def __init__(self, heads: list[Head], seed: int) -> None:
        self.heads, self.seed = heads, seed
        persons = sorted({h.person for h in heads})
        self.label = {p: n for n, p in enumerate(persons)}

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
        index, draw = key
        rng = np.random.default_rng((self.seed, draw))
        head = self.heads[index]
        image = self._view(head, rng)
        image = _degrade(_occlude(_light(image, rng), rng), rng)
        return torch.from_numpy(np.ascontiguousarray(image)), self.label[head.person]

    def _view(self, head: Head, rng: np.random.Generator) -> Image:
        image = head.image
        if head.ground is not None and rng.random() < 0.85:
            image = np.where(head.ground[..., None], self._background(image.shape[0], image.shape[1], rng), image)
        height, width = image.shape[:2]
        side = min(height, width) * math.exp(rng.uniform(math.log(0.58), math.log(1.12)))
        scale = SIDE_PX / side
        angle = math.radians(rng.normal(0, 10))
        mirror = -1.0 if rng.random() < 0.5 else 1.0
        cos, sin = math.cos(angle), math.sin(angle)
        stretch = math.exp(rng.normal(0, 0.05))
        linear = np.array([[cos * mirror * stretch, -sin / stretch], [sin * mirror * stretch, cos / stretch]]) * scale
        room_x, room_y = (width - side) / 2, (height - side) / 2
        at = np.array(
            [
                width / 2 + rng.uniform(-1, 1) * (max(room_x, 0) * 0.7 + 0.05 * side),
                height / 2
                - (height - min(height, width)) / 4
                + rng.uniform(-1, 1) * (max(room_y, 0) * 0.6 + 0.05 * side),
            ]
        )
        shift = SIDE_PX / 2 - linear @ at
        matrix = np.concatenate((linear, shift[:, None]), axis=1)
        return cv2.warpAffine(
            image, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    def _background(self, height: int, width: int, rng: np.random.Generator) -> Image:
        """A plain colour, a gradient, or another picture out of focus."""
        kind = rng.random()
        if kind < 0.35:
            return np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (height, width, 3)).copy()
        if kind < 0.6:
            corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
            return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
        other = self.heads[rng.integers(len(self.heads))].image
        small = cv2.resize(other, (int(rng.integers(3, 14)),) * 2, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _light(image: Image, rng: np.random.Generator) -> Image:
    """A film's light. Hue is hardly turned: hair and eye colour say who it is, and the whole picture's tint does not."""
    level = np.linspace(0, 1, 256)
    level = level ** math.exp(rng.normal(0, 0.25))
    level = (level - 0.5) * math.exp(rng.normal(0, 0.15)) + 0.5
    gain = math.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, 3))
    image = cv2.LUT(image, (level[:, None] * gain * 255).clip(0, 255).astype(np.uint8)[None])
    saturation = rng.uniform(0.5, 1.35) if rng.random() > 0.03 else 0.0
    mix = (1 - saturation) * np.tile([0.299, 0.587, 0.114], (3, 1)) + saturation * np.eye(3)
    if rng.random() < 0.22:  # night, sunset, flashback, lamp
        tint = rng.uniform(0.35, 1.0, 3)
        mix = (tint / max(tint.max(), 0.6))[:, None] * mix
    image = cv2.transform(image, mix)
    if rng.random() < 0.15:  # shade over a part, with a hard or a soft edge
        angle, offset, soft = rng.uniform(0, 2 * math.pi), rng.normal(0, 25), rng.uniform(0.02, 0.5)
        axis = np.arange(SIDE_PX) - SIDE_PX / 2
        ramp = (math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None] - offset) * soft
        shade = 1 - (1 - rng.uniform(0.4, 0.85)) / (1 + np.exp(-ramp.clip(-30, 30)))
        image = (image * shade[..., None]).astype(np.uint8)
    return image


def _occlude(image: Image, rng: np.random.Generator) -> Image:
    """A hand, another shoulder, lettering: something plain over a part."""
    if rng.random() < 0.25:
        w, h = (int(v) for v in rng.uniform(0.1, 0.45, 2) * SIDE_PX)
        x, y = int(rng.integers(-w // 2, SIDE_PX - w // 2)), int(rng.integers(-h // 2, SIDE_PX - h // 2))
        image = image.copy()
        image[max(y, 0) : y + h, max(x, 0) : x + w] = rng.integers(0, 256, 3)
    return image


def _degrade(image: Image, rng: np.random.Generator) -> Image:
    """Small and blurred heads, grain, compression."""
    if rng.random() < 0.4:
        small = int(math.exp(rng.uniform(math.log(28), math.log(110))))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(
            image, (SIDE_PX, SIDE_PX), interpolation=(cv2.INTER_LINEAR, cv2.INTER_CUBIC)[rng.integers(2)]
        )
    if rng.random() < 0.1:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.12:
        grain = rng.standard_normal((SIDE_PX, SIDE_PX, 1), np.float32) * np.float32(rng.uniform(2, 12))
        image = (image + grain).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))])[1]
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return image
