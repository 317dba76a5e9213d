"""Deep CORAL (Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", arXiv:1607.01719):
the covariances of the features of both domains are drawn together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgefs.transfer.dann import fade_in


class CORAL(nn.Module):  # type: ignore[misc]  # torch is untyped here
    def __init__(self, dim: int) -> None:
        super().__init__()
        del dim  # nothing here depends on it

    def loss(self, source: Tensor, target: Tensor, _logits: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """|C_s - C_t|² / 4D of features `[B, D]`: the paper's, times D, so that it does not fade with their number."""
        difference = torch.cov(source.T) - torch.cov(target.T)
        return fade_in(progress) * difference.square().sum() / (4 * source.shape[1])
