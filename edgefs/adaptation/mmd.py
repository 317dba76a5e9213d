"""Maximum mean discrepancy (Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks",
arXiv:1502.02791): the distance between the means of both domains in the space of several kernels.

It is computed for the features and for the class probabilities: the layers that transfer worst by themselves.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgefs.adaptation.dann import fade_in

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the mean squared distance: five Gaussian kernels


class MMD(nn.Module):  # type: ignore[misc]  # torch is untyped here
    def loss(self, source: Tensor, target: Tensor, logits: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """The loss of features `[B, D]` and logits `[B, K]` of both domains.

        Args:
            progress: Share of the training that is done, 0..1.
        """
        of_source, of_target = (F.softmax(values, dim=1) for values in logits)
        return fade_in(progress) * (discrepancy(source, target) + discrepancy(of_source, of_target))


def discrepancy(source: Tensor, target: Tensor) -> Tensor:
    """The squared MMD of two samples `[B, D]`, a scalar ≥ 0."""
    both = torch.cat([source, target])
    squares = both.square().sum(dim=1)
    distances = (squares[:, None] + squares[None] - 2 * both @ both.T).clamp_min(0)
    count = len(both)
    width = distances.detach().sum() / (count * count - count) + 1e-8
    kernels = torch.stack([torch.exp(-distances / (factor * width)) for factor in WIDTHS]).mean(dim=0)
    n = len(source)
    return kernels[:n, :n].mean() + kernels[n:, n:].mean() - 2 * kernels[:n, n:].mean()
