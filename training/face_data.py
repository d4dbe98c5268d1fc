"""Labelled frames for the face detector: reading YOLO labels, and the augmentation that makes training views of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from training.face_net import face_targets

__all__ = ["FaceViews", "LabelledFrame", "read_frames"]

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
_FILL = (0, 16, 114, 128, 255)


@dataclass(frozen=True)
class LabelledFrame:
    """One picture, (H, W, 3) uint8 RGB, and its faces, (n, 4) float32 xyxy in pixels."""

    name: str
    image: Image
    boxes: Boxes


def read_frames(folder: Path) -> list[LabelledFrame]:
    """`folder/images/*.{jpg,png,webp}` with `folder/labels/*.txt`: one line `class cx cy w h` a face, relative to the picture.

    A picture without a label file, or with an empty one, is a frame without faces. Raises `ValueError` for an unreadable
    picture or line, naming it.
    """
    frames = []
    for path in sorted(
        p for p in (folder / "images").iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
    ):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"cannot read {path} as a picture")
        height, width = image.shape[:2]
        label = folder / "labels" / f"{path.stem}.txt"
        rows = [line.split() for line in label.read_text().splitlines() if line.strip()] if label.exists() else []
        if any(len(row) != 5 for row in rows):
            raise ValueError(f"{label}: expected lines of `class cx cy w h`")
        cx, cy, w, h = np.array([[float(v) for v in row[1:]] for row in rows], np.float32).reshape(-1, 4).T
        boxes = np.stack(
            ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height), axis=1
        )
        frames.append(LabelledFrame(path.stem, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), boxes.astype(np.float32)))
    if not frames:
        raise ValueError(f"no pictures in {folder / 'images'}")
    return frames


class FaceViews(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]):
    """`length` random training views, each a function of (seed, index) alone.

    A view is `side_px` square. Its scale is drawn so that the frame is as large as a film's working size (`long_side_px`), with a
    share of views drawn by the wanted size of a face instead, because most labelled faces are of one middling size.
    """

    def __init__(
        self, frames: list[LabelledFrame], length: int, side_px: int, long_side_px: tuple[int, int], seed: int
    ) -> None:
        self.frames, self.length, self.side_px, self.long_side_px, self.seed = (
            frames,
            length,
            side_px,
            long_side_px,
            seed,
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        # Every frame once before any frame twice.
        turn, place = divmod(index, len(self.frames))
        frame = self.frames[np.random.default_rng((self.seed, -1 - turn + 2**32)).permutation(len(self.frames))[place]]
        image, boxes = (
            self._mosaic(frame, rng) if rng.random() < 0.2 else self._view(frame, self.side_px, self.side_px, rng)
        )
        image = _paint_over(_degrade(_recolour(image, rng), rng), rng)
        heat, target, weight = face_targets(boxes, self.side_px)
        return torch.from_numpy(image), torch.from_numpy(heat), torch.from_numpy(target), torch.from_numpy(weight)

    def _view(self, frame: LabelledFrame, width: int, height: int, rng: np.random.Generator) -> tuple[Image, Boxes]:
        """A random crop at a random scale, turn and mirroring."""
        source_height, source_width = frame.image.shape[:2]
        low, high = self.long_side_px
        scale = math.exp(rng.uniform(math.log(low), math.log(high))) / max(source_height, source_width)
        focus = None
        if len(frame.boxes) and rng.random() < 0.85:
            focus = frame.boxes[rng.integers(len(frame.boxes))]
            if rng.random() < 0.35:
                wanted = math.exp(rng.uniform(math.log(16), math.log(min(width, height) * 0.9)))
                scale = wanted / max(focus[2] - focus[0], focus[3] - focus[1])
        scale = min(max(scale, 256 / max(source_height, source_width)), 2.6)
        angle = math.radians(rng.normal(0, 12)) if rng.random() < 0.3 else 0.0
        stretch = math.exp(rng.normal(0, 0.06))
        mirror = -1.0 if rng.random() < 0.5 else 1.0
        if focus is not None:
            x, y = (focus[0] + focus[2]) / 2, (focus[1] + focus[3]) / 2
            # The face may lie anywhere in the view as long as its centre does.
            to_x, to_y = width * rng.uniform(0.12, 0.88), height * rng.uniform(0.12, 0.88)
        else:
            x, y = rng.uniform(0, source_width), rng.uniform(0, source_height)
            to_x, to_y = width / 2, height / 2
        # Do not show more of the void than must be.
        cos, sin = math.cos(angle), math.sin(angle)
        linear = np.array([[cos * mirror * stretch, -sin / stretch], [sin * mirror * stretch, cos / stretch]]) * scale
        shift = np.array([to_x, to_y]) - linear @ np.array([x, y])
        corners = (
            linear @ np.array([[0, source_width, 0, source_width], [0, 0, source_height, source_height]])
        ).T + shift
        for axis, size in ((0, width), (1, height)):
            first, last = corners[:, axis].min(), corners[:, axis].max()
            if last - first >= size:
                shift[axis] += min(0.0, -first) if first > 0 else max(0.0, size - last)
            elif rng.random() < 0.5:
                shift[axis] += rng.uniform(0, size - (last - first)) - first
        matrix = np.concatenate((linear, shift[:, None]), axis=1)
        fill = _FILL[rng.integers(len(_FILL))]
        # Anti-aliased enough: shrinking is at most 3x and INTER_AREA does not work with turns.
        source = frame.image if scale > 0.6 else cv2.GaussianBlur(frame.image, (0, 0), 0.35 / scale)
        interpolation = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
        image = cv2.warpAffine(source, matrix, (width, height), flags=interpolation, borderValue=(fill, fill, fill))
        if not len(frame.boxes):
            return image, np.zeros((0, 4), np.float32)
        centres = (frame.boxes[:, :2] + frame.boxes[:, 2:]) / 2
        half = (frame.boxes[:, 2:] - frame.boxes[:, :2]) / 2
        moved = centres @ linear.T + shift
        # The box of the turned ellipse: the box of the turned box would grow with the angle, and faces are round.
        extent = np.sqrt((half**2) @ (linear.T**2))
        boxes = np.concatenate((moved - extent, moved + extent), axis=1)
        clipped = boxes.clip([0, 0, 0, 0], [width, height, width, height])
        visible = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1) / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).clip(
            1e-6
        )
        small = (clipped[:, 2:] - clipped[:, :2]).min(axis=1) < 6
        return image, clipped[(visible > 0.4) & ~small].astype(np.float32)

    def _mosaic(self, first: LabelledFrame, rng: np.random.Generator) -> tuple[Image, Boxes]:
        """Four views in one, meeting at a random point."""
        side = self.side_px
        x, y = (int(v) // 8 * 8 for v in rng.uniform(0.3, 0.7, 2) * side)
        image = np.empty((side, side, 3), np.uint8)
        boxes = []
        frames = [first, *(self.frames[i] for i in rng.integers(len(self.frames), size=3))]
        for frame, (left, top, width, height) in zip(
            frames, ((0, 0, x, y), (x, 0, side - x, y), (0, y, x, side - y), (x, y, side - x, side - y)), strict=True
        ):
            part, found = self._view(frame, width, height, rng)
            image[top : top + height, left : left + width] = part
            boxes.append(found + np.array([left, top, left, top], np.float32))
        return image, np.concatenate(boxes)


def _recolour(image: Image, rng: np.random.Generator) -> Image:
    """Light as films have it: gamma, contrast, brightness, a tint, saturation; now and then night, grey or strange colours."""
    if rng.random() < 0.25:
        return image
    level = np.linspace(0, 1, 256)
    if rng.random() < 0.7:
        level = level ** math.exp(rng.normal(0, 0.3))
    level = (level - 0.5) * math.exp(rng.normal(0, 0.18)) + 0.5
    gain = math.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.08, 3))
    image = cv2.LUT(image, (level[:, None] * gain * 255).clip(0, 255).astype(np.uint8)[None])
    saturation = 0.0 if rng.random() < 0.06 else rng.uniform(0.4, 1.4)
    mix = (1 - saturation) * np.tile([0.299, 0.587, 0.114], (3, 1)) + saturation * np.eye(3)
    if rng.random() < 0.08:  # night, sunset, flashback: the whole picture takes one colour
        mix = rng.uniform(0.3, 1.0, (3, 1)) * mix
    if rng.random() < 0.03:
        mix = mix[rng.permutation(3)]
    return cv2.transform(image, mix)


def _degrade(image: Image, rng: np.random.Generator) -> Image:
    """What cameras do not do but encoders and animators do: blur, motion blur, grain, blocks."""
    kind = rng.random()
    if kind < 0.12:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8))
    elif kind < 0.2:
        length = int(rng.integers(3, 12))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if rng.random() < 0.15:
        grain = rng.standard_normal(image.shape[:2], np.float32) * np.float32(rng.uniform(2, 14))
        image = (image + grain[..., None]).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])[1]
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return image


def _paint_over(image: Image, rng: np.random.Generator) -> Image:
    """Things that are no faces: subtitles, bars, a channel logo's ring, a patch over part of a face."""
    image = np.ascontiguousarray(image)
    side = image.shape[0]
    if rng.random() < 0.08:
        bar = int(side * rng.uniform(0.05, 0.15))
        image[:bar] = image[-bar:] = 0
    if rng.random() < 0.1:
        text = "".join(chr(c) for c in rng.integers(33, 123, int(rng.integers(6, 30))))
        size, at = rng.uniform(0.4, 1.0), (int(rng.integers(-20, side // 2)), int(rng.integers(side // 2, side)))
        font = int(rng.integers(0, 8))
        cv2.putText(image, text, at, font, size, (0, 0, 0), 4, cv2.LINE_AA)
        colour = tuple(int(v) for v in rng.integers(160, 256, 3))
        cv2.putText(image, text, at, font, size, colour, 1, cv2.LINE_AA)
    if rng.random() < 0.06:
        centre, radius = tuple(int(v) for v in rng.integers(0, side, 2)), int(rng.integers(6, 24))
        for part in (1.0, 0.7):
            cv2.circle(
                image, centre, int(radius * part), tuple(int(v) for v in rng.integers(0, 256, 3)), -1, cv2.LINE_AA
            )
    return image
