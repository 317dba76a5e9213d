"""What the training loop requires of a method, and the network that most methods share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks

HEAD = 2  # the last two weights of a Learner are its head's
LENGTH = 10**0.5  # of features beside prototypes: squared distances are then 20 (1 - cosine)


class Method(Protocol):
    """What a meta-learning method has. It is also an `nn.Module`, and a checkpoint holds its `state_dict`.

    It is a Protocol, so that the loop imports no method and a method imports no loop.
    """

    backbone: nn.Module
    metric: str | None  # how class means are compared with its embedding, "cosine" or "euclidean"; None: it adapts

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        """Put the mean gradient over tasks into every `parameter.grad`; return the loss and accuracies `[T]`, 0..1."""
        ...

    def accuracies(self, tasks: Tasks) -> NDArray[np.float64]:
        """The share of right answers on each task's query, `float64 [T]`, as the method is used after training."""
        ...


class Learner(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone and a linear head for n_way classes, `[B, C, H, W]` to `[B, W]`: what gradient-based methods adapt.

    Args:
        head: Where the head starts in every task. "zero": the classes of an episode come in random order, so any other
            fixed start would prefer one order (Kao et al. 2022, arXiv:2106.15367; Ye and Chao 2022, arXiv:2106.16245).
            "prototypes": at the prototypes of normalised features (Proto-MAML; Triantafillou et al. 2020,
            "Meta-Dataset", arXiv:1903.03096); before any adaptation it is a Prototypical Network.
    """

    metric = None

    def __init__(self, backbone: nn.Module, n_way: int, head: str = "zero") -> None:
        super().__init__()
        self.backbone, self.from_prototypes = backbone, head == "prototypes"
        self.head = nn.Linear(backbone.dim, n_way)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]

    def features(self, x: Tensor) -> Tensor:
        """The input of the head, `[B, D]`."""
        features = self.backbone(x)
        return LENGTH * F.normalize(features, dim=1) if self.from_prototypes else features

    def start(self, weights: Sequence[Tensor], features: Tensor, n_way: int) -> list[Tensor]:
        """The weights that a task starts from: these, with a head made of the prototypes.

        Minus the squared distance of f to a prototype c is 2 c · f - |c|² and a term that is the same for all classes.

        Args:
            features: `[W·S, D]`, class by class.
            n_way: Number of classes; it may differ from that in training.
        """
        prototypes = features.unflatten(0, (n_way, -1)).mean(dim=1)
        return [*weights[:-HEAD], 2 * prototypes, -prototypes.square().sum(dim=1)]
