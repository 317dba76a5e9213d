"""Conv-4, the network of the few-shot papers (Vinyals et al. 2016, arXiv:1606.04080): 4 x (conv, norm, ReLU, pool).

The maximum is taken before the ReLU: max(relu(x)) = relu(max(x)) exactly, and the ReLU then sees a quarter of the
elements. The convolution has no bias: batch normalisation would subtract it again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


class Block(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`[B, in, H, W]` to `[B, out, H // 2, W // 2]`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.max_pool2d(self._normalised(x), 2))

    def _normalised(self, x: Tensor) -> Tensor:
        norm = self.norm
        if norm.training or not torch.is_inference_mode_enabled():
            return norm(self.conv(x))
        # While images are only embedded, the norm is folded into the convolution: one pass over memory less.
        folded = fuse_conv_bn_weights(
            self.conv.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        return F.conv2d(x, *folded, padding=1)


class Conv4(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`float32 [B, channels, size, size]` to features `[B, dim]`, dim = filters · (size // 16)².

    Args:
        filters: 64 (Prototypical Networks), or 32 (MAML at 84 × 84).
    """

    def __init__(self, channels: int, size: int, filters: int = 64) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(channels if i == 0 else filters, filters) for i in range(4)))
        self.dim = filters * (size // 16) ** 2
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x).flatten(1)


def conv4_32(channels: int, size: int) -> Conv4:
    """Conv-4 with 32 filters."""
    return Conv4(channels, size, filters=32)
