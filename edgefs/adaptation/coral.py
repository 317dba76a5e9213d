"""Deep CORAL (Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", arXiv:1607.01719).

The loss is the distance between the covariances of the features of both domains.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgefs.adaptation.dann import fade_in


class CORAL(nn.Module):  # type: ignore[misc]  # torch is untyped here
    def loss(self, source: Tensor, target: Tensor, _logits: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """|C_s - C_t|² / 4D of features `[B, D]`: the paper's loss times D, so that its size does not depend on D."""
        difference = torch.cov(source.T) - torch.cov(target.T)
        return fade_in(progress) * difference.square().sum() / (4 * source.shape[1])
