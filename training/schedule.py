"""What both trainings share: the learning rate over time and the running average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["one_cycle", "update_average"]


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate: linear to 1 over the `warmup` share of the steps, then a cosine to 0.01."""
    start = max(1, int(steps * warmup))
    if step < start:
        return (step + 1) / start
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, steps - start)))


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, step: int, decay: float) -> None:
    """Move `average` towards `net`: an exponential average that starts as a plain one."""
    keep = min(decay, (step + 1) / (step + 10))
    for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)
