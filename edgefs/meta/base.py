"""What the training loop asks of a method, and the network most of them share."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks


class Method(Protocol):
    """A Protocol, so that the loop knows no method and a method knows no loop.

    It is also an `nn.Module`: what its `state_dict` holds is what a checkpoint holds.
    """

    backbone: nn.Module
    metric: str | None  # of nearest class means on its embedding, after training; None: it adapts to every episode

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        """Leave the mean gradient over tasks in every parameter's `.grad`; return the loss and accuracies `[T]`."""
        ...

    def accuracies(self, tasks: Tasks) -> NDArray[np.float64]:
        """The share of right answers on each task's query, `float64 [T]`, as the method is used after training."""
        ...


class Learner(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone and a linear head for n_way classes: what gradient-based methods adapt. `[B, C, H, W]` to `[B, W]`.

    The head starts at zero. An episode's classes come in random order, so whatever else it started from would speak for
    one order (Kao et al. 2022, arXiv:2106.15367; Ye and Chao 2022, arXiv:2106.16245); from zero, the first step of
    adaptation makes it the prototypes.
    """

    metric = None  # its head answers, not class means

    def __init__(self, backbone: nn.Module, n_way: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.dim, n_way)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))  # type: ignore[no-any-return]
