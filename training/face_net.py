"""The face detector `animeset-face`: network, targets and loss.

One head at stride 8 on a top-down neck: a centre heat map and the distances from each cell to the four sides of its face.
Sources: CenterNet (Zhou et al. 2019) for the heat map and its focal loss, TTFNet (Liu et al. 2020) for training the distances on
a Gaussian region around the centre, which needs far fewer epochs than the centre cell alone.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from training.backbone import Backbone

__all__ = ["STRIDE", "ExportedFaceNet", "FaceNet", "face_loss", "face_targets"]

STRIDE = 8
# The heat map's Gaussian has a standard deviation of this share of the face's side: 0.54 / 6 of TTFNet.
_SIGMA = 0.09


class _Mix(nn.Sequential):
    """A 3x3 convolution with batch norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())


class FaceNet(nn.Module):
    """(B, 3, H, W) float RGB 0..255, sides multiples of 32 -> heat logits (B, 1, H/8, W/8), distances l, t, r, b in pixels (B, 4, H/8, W/8)."""

    def __init__(self, width: int = 64, frozen: int = 0, train_depthwise: bool = True) -> None:
        super().__init__()
        self.backbone = Backbone(stages=6, frozen=frozen, train_depthwise=train_depthwise)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in (40, 112, 192))
        self.merge = nn.ModuleList(_Mix(width) for _ in range(2))
        self.heat = nn.Sequential(_Mix(width), nn.Conv2d(width, 1, 1))
        self.sides = nn.Sequential(_Mix(width), nn.Conv2d(width, 4, 1))
        nn.init.constant_(self.heat[1].bias, -math.log((1 - 0.01) / 0.01))
        nn.init.constant_(self.sides[1].bias, 1.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.backbone(x)
        eight, sixteen, thirtytwo = (lateral(maps[i]) for lateral, i in zip(self.lateral, (2, 4, 5), strict=True))
        y = self.merge[0](F.interpolate(thirtytwo, scale_factor=2.0, mode="nearest") + sixteen)
        y = self.merge[1](F.interpolate(y, scale_factor=2.0, mode="nearest") + eight)
        return self.heat(y), F.softplus(self.sides(y)) * (2 * STRIDE)


def _centres(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel positions of the cells' centres: (h, 1) and (1, w)."""
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) * STRIDE
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) * STRIDE
    return y[:, None], x[None, :]


class ExportedFaceNet(nn.Module):
    """What is shipped: (B, H, W, 3) uint8 RGB -> scores (B, H/8, W/8), 0 off the peaks, and boxes xyxy in pixels (B, H/8, W/8, 4)."""

    def __init__(self, net: FaceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        heat, sides = self.net(images.permute(0, 3, 1, 2).float())
        score = torch.sigmoid(heat)
        score = torch.where(F.max_pool2d(score, 3, 1, 1) == score, score, torch.zeros_like(score))
        y, x = _centres(sides.shape[2], sides.shape[3], sides)
        left, top, right, bottom = sides.unbind(1)
        return score[:, 0], torch.stack((x - left, y - top, x + right, y + bottom), dim=-1)


def face_targets(
    boxes: NDArray[np.float32], side_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n, 4) xyxy in a square picture -> heat (h, w), box of each cell (4, h, w), weight of each cell's box (h, w).

    A cell near several centres belongs to the smallest face. The box weights of one face add up to the logarithm of its area
    in cells, so that a large face does not outvote a small one by the square of its side.
    """
    cells = side_px // STRIDE
    heat = np.zeros((cells, cells), np.float32)
    target = np.zeros((4, cells, cells), np.float32)
    weight = np.zeros((cells, cells), np.float32)
    grid = (np.arange(cells, dtype=np.float32) + 0.5) * STRIDE
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for box in boxes[np.argsort(-areas)]:
        w, h = box[2] - box[0], box[3] - box[1]
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        # The peak sits on a cell's centre: focal loss knows a positive only where the heat is exactly 1.
        column, row = min(int(x / STRIDE), cells - 1), min(int(y / STRIDE), cells - 1)
        sigma_x, sigma_y = max(w * _SIGMA, STRIDE * 0.35), max(h * _SIGMA, STRIDE * 0.35)
        gauss = np.outer(
            np.exp(-((grid - grid[row]) ** 2) / (2 * sigma_y**2)),
            np.exp(-((grid - grid[column]) ** 2) / (2 * sigma_x**2)),
        ).astype(np.float32)
        heat = np.maximum(heat, gauss)
        region = gauss > 0.15
        share = gauss[region] / gauss[region].sum() * math.log2(1 + max(w * h / STRIDE**2, 1.0))
        target[:, region] = box[:, None]
        weight[region] = share
    return heat, target, weight


def face_loss(
    heat: Tensor, sides: Tensor, target_heat: Tensor, target_box: Tensor, weight: Tensor, doubt: float
) -> tuple[Tensor, Tensor]:
    """Focal loss of the heat map and generalised IoU loss of the boxes, each per face.

    doubt  weight of a background cell that the network calls a face with more than 0.6; below 1 because the labels leave
           visible faces out, and a confident "false" face is more often an unlabelled one. 1 trusts the labels.
    """
    logits, p = heat[:, 0].float(), torch.sigmoid(heat[:, 0].float())
    positive = target_heat == 1
    count = positive.sum().clamp(min=1)
    background = (1 - target_heat) ** 4
    background = torch.where((p.detach() > 0.6) & (target_heat < 0.1), background * doubt, background)
    centre = -F.logsigmoid(logits) * (1 - p) ** 2
    off = -F.logsigmoid(-logits) * p**2 * background
    heat_loss = torch.where(positive, centre, off).sum() / count

    y, x = _centres(sides.shape[2], sides.shape[3], sides)
    left, top, right, bottom = sides.float().unbind(1)
    x1, y1, x2, y2 = x - left, y - top, x + right, y + bottom
    tx1, ty1, tx2, ty2 = target_box.unbind(1)
    inner = (torch.minimum(x2, tx2) - torch.maximum(x1, tx1)).clamp(min=0) * (
        torch.minimum(y2, ty2) - torch.maximum(y1, ty1)
    ).clamp(min=0)
    union = (x2 - x1) * (y2 - y1) + (tx2 - tx1) * (ty2 - ty1) - inner
    hull = (torch.maximum(x2, tx2) - torch.minimum(x1, tx1)) * (torch.maximum(y2, ty2) - torch.minimum(y1, ty1))
    giou = inner / union.clamp(min=1) - (hull - union) / hull.clamp(min=1)
    box_loss = ((1 - giou) * weight).sum() / weight.sum().clamp(min=1)
    return heat_loss, box_loss
