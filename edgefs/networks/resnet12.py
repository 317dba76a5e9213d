"""ResNet-12 (Oreshkin et al. 2018, arXiv:1805.10123, with the widths of Lee et al. 2019, arXiv:1904.03758).

Four stages of three 3×3 convolutions with a shortcut, each ending in a 2×2 pool, then the global average. Dropout
between the stages replaces the papers' DropBlock.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 160, 320, 640)
SLOPE = 0.1


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class Stage(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`[B, in, H, W]` to `[B, out, H // 2, W // 2]`."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3)
        self.second = convolution(outputs, outputs, 3)
        self.third = convolution(outputs, outputs, 3)
        self.shortcut = convolution(inputs, outputs, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x), SLOPE)
        y = F.leaky_relu(self.second(y), SLOPE)
        y = self.third(y) + self.shortcut(x)
        return self.dropout(F.leaky_relu(F.max_pool2d(y, 2), SLOPE))  # type: ignore[no-any-return]


class ResNet12(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`float32 [B, channels, size, size]`, size ≥ 16, to features `[B, 640]`."""

    def __init__(self, channels: int, size: int, dropout: float = 0.1) -> None:
        super().__init__()
        del size  # the global average takes any
        inputs = (channels, *WIDTHS[:-1])
        self.stages = nn.Sequential(*(Stage(i, o, dropout) for i, o in zip(inputs, WIDTHS, strict=False)))
        self.dim = WIDTHS[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", a=SLOPE, nonlinearity="leaky_relu")
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x).mean(dim=(2, 3))
