"""Options of domain adaptation: labels from a source, pictures without labels from a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from edgefs.methods.options import option
from edgefs.methods.transfer import TransferConfig


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(TransferConfig):
    """Options that every adaptation method has. A method derives from it and adds its loss."""

    trains: ClassVar[bool] = True  # whether the method has a loss

    source: str = option(text="folder of class folders: the labels", group="data")
    target: str = option(text="folder of the same class folders, or of pictures without labels")
    target_labels: str = option(
        "", "folder of the same class folders to measure on (default: the target's own, if it has any)"
    )
    backbone: str = "lenet"
    weights: str = "none"
    bottleneck: int = option(256, "features that learn on top of trained weights, which stay frozen", group="training")
    seeds: int = option(5, "how many runs, of which the mean and its interval are reported", least=1)
    first_seed: int = option(0, "seed of the first run", least=0)
    steps: int = option(1000, "optimiser steps of a run", least=1)
    batch: int = 64
    lr: float = 2e-3
    augment: tuple[str, ...] = ("warp",)
    weight: float = option(1.0, "weight of the method's loss beside that of the labels", least=0)
    bounds: bool = option(True, "also train on the source alone and on the target's labels, to compare with")
    out: str = option("", "new folder for the first seed's checkpoint and the report (default: nothing is written)")

    @property
    def start_seed(self) -> int:
        return self.first_seed

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        from edgefs.networks.classifier import Bottleneck, classifier

        narrow = Bottleneck(backbone, self.bottleneck) if self.bottleneck else backbone
        return classifier(narrow, len(self.classes))

    def loss(self, dim: int) -> Any:
        """The `nn.Module` with this method's `loss(source, target, logits, progress)`; it imports torch.

        Args:
            dim: Size of the features that the domains are compared by.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class DANNConfig(AdaptConfig):
    """Domain-adversarial training (Ganin et al. 2016): a discriminator's gradient is reversed."""

    def loss(self, dim: int) -> Any:
        from edgefs.adaptation.dann import DANN

        return DANN(dim)


@dataclass(frozen=True, kw_only=True)
class MMDConfig(AdaptConfig):
    """Maximum mean discrepancy (Long et al. 2015): the means under several kernels are drawn together."""

    weight: float = 4.0

    def loss(self, dim: int) -> Any:
        from edgefs.adaptation.mmd import MMD

        return MMD()


@dataclass(frozen=True, kw_only=True)
class CORALConfig(AdaptConfig):
    """Deep CORAL (Sun and Saenko 2016): the covariances of the features are drawn together."""

    def loss(self, dim: int) -> Any:
        from edgefs.adaptation.coral import CORAL

        return CORAL()


@dataclass(frozen=True, kw_only=True)
class AdaBNConfig(AdaptConfig):
    """Adaptive batch normalisation (Li et al. 2017): the norm layers take the target's statistics, without training."""

    trains: ClassVar[bool] = False
