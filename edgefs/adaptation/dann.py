"""Domain-adversarial training (Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", arXiv:1505.07818).

A discriminator learns to tell the domains apart by their features. Its gradient is reversed before it reaches the
features, so these learn to look the same in both domains. The reversal rises from 0 to 1 by the paper's schedule,
because the gradient of an untrained discriminator is noise.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 256
SHARPNESS = 10.0  # of the schedule


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
    """The discriminator. One loss trains it, and trains the features against it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(
            nn.Linear(dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
        )

    def loss(self, source: Tensor, target: Tensor, _logits: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """The loss of features `[B, D]` of both domains.

        Args:
            progress: Share of the training that is done, 0..1.
        """
        features = Reversal.apply(torch.cat([source, target]), fade_in(progress))
        domains = self.discriminator(features).squeeze(1)
        truth = torch.cat([torch.ones(len(source)), torch.zeros(len(target))]).to(domains.device)
        return F.binary_cross_entropy_with_logits(domains, truth)


def fade_in(progress: float) -> float:
    """The paper's schedule, from 0 to 1: 2 / (1 + exp(-10 · progress)) - 1."""
    return float(2 / (1 + torch.exp(torch.tensor(-SHARPNESS * progress))) - 1)
