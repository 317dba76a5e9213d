"""LeNet (LeCun et al. 1998) with 20 and 50 filters and 500 features, the size used for domain adaptation of digits.

Batch normalisation after every layer makes AdaBN possible and DANN stable.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

FILTERS = (20, 50)
FEATURES = 500


class LeNet(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`float32 [B, channels, size, size]`, size ≥ 16, to features `[B, 500]`."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        self.conv1, self.norm1 = nn.Conv2d(channels, FILTERS[0], 5, bias=False), nn.BatchNorm2d(FILTERS[0])
        self.conv2, self.norm2 = nn.Conv2d(FILTERS[0], FILTERS[1], 5, bias=False), nn.BatchNorm2d(FILTERS[1])
        self.full, self.norm3 = nn.Linear(FILTERS[1] * side**2, FEATURES, bias=False), nn.BatchNorm1d(FEATURES)
        self.dim = FEATURES

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.norm1(self.conv1(x)), 2))
        x = F.relu(F.max_pool2d(self.norm2(self.conv2(x)), 2))
        return F.relu(self.norm3(self.full(x.flatten(1))))
