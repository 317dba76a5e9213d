"""The network of a transfer run: a backbone, perhaps a narrow layer on it, and a head for the classes."""

from __future__ import annotations

from torch import Tensor, nn

from edgefs.data import DataSpec
from edgefs.networks import build
from edgefs.networks.learner import Learner
from edgefs.transfer.config import AdaptConfig, FinetuneConfig

HIDDEN = 128  # units of the MLP head


class Bottleneck(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone and a narrow layer on it, `[B, C, H, W]` to `[B, dim]`: what learns while the backbone is frozen."""

    def __init__(self, backbone: nn.Module, dim: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.narrow = nn.Sequential(nn.Linear(backbone.dim, dim), nn.BatchNorm1d(dim), nn.ReLU())
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(self.backbone(x))  # type: ignore[no-any-return]


def bare(backbone: nn.Module) -> nn.Module:
    """A backbone without the bottleneck that adapting put on it."""
    return backbone.backbone if isinstance(backbone, Bottleneck) else backbone


def new_classifier(config: FinetuneConfig | AdaptConfig, spec: DataSpec) -> Learner:
    """The network of a run with fresh random weights, as a checkpoint rebuilds it."""
    size, channels = min(spec.preprocess.size), spec.preprocess.channels
    return classifier(build(config.backbone, channels=channels, size=size), config)


def classifier(backbone: nn.Module, config: FinetuneConfig | AdaptConfig) -> Learner:
    """A backbone, a bottleneck if asked for, and a head for the run's classes: linear, or a small MLP."""
    if isinstance(config, AdaptConfig) and config.bottleneck:
        backbone = Bottleneck(backbone, config.bottleneck)
    learner = Learner(backbone, len(config.classes))
    if isinstance(config, FinetuneConfig) and config.head == "mlp":
        learner.head = nn.Sequential(nn.Linear(backbone.dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(config.classes)))
    return learner
