"""The network of a transfer run: a backbone, perhaps a narrow layer on it, and a head for the classes."""

from __future__ import annotations

from torch import Tensor, nn

from edgefs.networks.learner import Learner

HIDDEN = 128  # units of the MLP head


class Bottleneck(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A frozen backbone and a narrow layer on it that learns: `[B, C, H, W]` to `[B, dim]`."""

    def __init__(self, backbone: nn.Module, dim: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.narrow = nn.Sequential(nn.Linear(backbone.dim, dim), nn.BatchNorm1d(dim), nn.ReLU())
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(self.backbone(x))  # type: ignore[no-any-return]


def bare(backbone: nn.Module) -> nn.Module:
    """The backbone without the bottleneck that domain adaptation put on it."""
    return backbone.backbone if isinstance(backbone, Bottleneck) else backbone


def classifier(backbone: nn.Module, n_classes: int, *, mlp: bool = False) -> Learner:
    """A backbone with a head for `n_classes`: linear, or with one hidden layer."""
    learner = Learner(backbone, n_classes)
    if mlp:
        learner.head = nn.Sequential(nn.Linear(backbone.dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n_classes))
    return learner
