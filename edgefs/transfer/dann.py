"""Domain-adversarial training (Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", arXiv:1505.07818).

A discriminator learns to tell the domains apart by the features; on the way back its gradient is reversed, so the
features learn that it cannot. The reversal is faded in from 0 to 1 by the paper's schedule: at first the discriminator
knows nothing, and what it says is noise.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 256
SHARPNESS = 10.0  # of the schedule, as in the paper


class Reversal(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
    """Identity forwards, times -strength backwards."""

    @staticmethod
    def forward(context: Any, x: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


class DANN(nn.Module):  # type: ignore[misc]
    """The discriminator, and the loss it is trained by while the features are trained against it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(
            nn.Linear(dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
        )

    def loss(self, source: Tensor, target: Tensor, _logits: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """Of features `[B, D]` of either domain.  progress: 0..1 through the training."""
        features = Reversal.apply(torch.cat([source, target]), fade_in(progress))
        says = self.discriminator(features).squeeze(1)
        truth = torch.cat([torch.ones(len(source)), torch.zeros(len(target))]).to(says.device)
        return F.binary_cross_entropy_with_logits(says, truth)


def fade_in(progress: float) -> float:
    """From 0 to 1 as the paper has it: 2 / (1 + exp(-10 p)) - 1."""
    return float(2 / (1 + torch.exp(torch.tensor(-SHARPNESS * progress))) - 1)
