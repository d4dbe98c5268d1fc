"""The identity embedder `animeset-identity`: network and loss.

Sources: supervised contrastive learning (Khosla et al. 2020) and a cosine classifier with an additive margin (CosFace, Wang et al. 2018)
over the training characters; only the embedding is shipped.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.backbone import STAGES, Backbone
from training.heads import SIDE_PX

__all__ = ["CosineHead", "ExportedIdentityNet", "IdentityNet", "supervised_contrast"]


class IdentityNet(nn.Module):
    """(B, 3, 128, 128) float RGB 0..255 -> unit vectors (B, dim)."""

    def __init__(self, dim: int = 128, frozen: int = 0, train_depthwise: bool = True) -> None:
        super().__init__()
        self.backbone = Backbone(stages=7, frozen=frozen, train_depthwise=train_depthwise)
        channels = STAGES[6][5] + STAGES[4][5]
        self.norm = nn.BatchNorm1d(channels)
        self.project = nn.Linear(channels, dim)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.backbone(x)
        # Shapes from the last stage, colours and patches of hair from a stage that still has a place for each.
        pooled = torch.cat([maps[6].float().mean((2, 3)), maps[4].float().mean((2, 3))], dim=1)
        return F.normalize(self.project(self.norm(pooled)), dim=1)


class ExportedIdentityNet(nn.Module):
    """What is shipped: (B, 128, 128, 3) uint8 RGB -> unit vectors (B, dim).

    The mean over the head, its inner three quarters and the mirror images of both: a head and its mirror image have the same vector, and how
    tightly the head was cut matters less.
    """

    def __init__(self, net: IdentityNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, heads: Tensor) -> Tensor:
        whole = heads.permute(0, 3, 1, 2).float()
        edge = SIDE_PX // 8
        inner = whole[:, :, edge : SIDE_PX - edge, edge : SIDE_PX - edge]
        inner = F.interpolate(inner, size=(SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)
        return F.normalize(sum(self.net(x) + self.net(x.flip(3)) for x in (whole, inner)), dim=1)


class CosineHead(nn.Module):
    """Unit vectors and labels -> classification loss over the training characters."""

    def __init__(self, dim: int, classes: int, scale: float, margin: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, dim) * 0.1)
        self.scale, self.margin = scale, margin

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        cosine = vectors @ F.normalize(self.weight, dim=1).T
        cosine = cosine - self.margin * F.one_hot(labels, cosine.shape[1])
        # A few labels are wrong in every source: smoothing keeps them from dominating the end of the training.
        return F.cross_entropy(cosine * self.scale, labels, label_smoothing=0.05)


def supervised_contrast(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean over all pairs of one character in the batch of -log softmax of their cosine among all others."""
    logits = vectors @ vectors.T / temperature
    self_pair = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = logits.masked_fill(self_pair, -torch.inf)
    same = (labels[:, None] == labels[None, :]) & ~self_pair
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    return -(log_share.masked_fill(~same, 0.0).sum(1) / same.sum(1).clamp(min=1)).mean()
