"""Options of the Classifier-Baseline (`edgefs/meta/classifier.py`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from edgefs.methods.meta_learning import TrainConfig
from edgefs.methods.options import option


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(TrainConfig):
    """Classifier-Baseline (Chen et al. 2021): learn to tell all training classes apart, by scaled cosine."""

    n_way: int = 64
    n_query: int = 1
    bf16: bool | None = None
    optimiser: str = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    n_classes: int = option(0, "how many classes; 0: those of the training data")

    def for_classes(self, n_classes: int) -> ClassifierConfig:
        return replace(self, n_classes=self.n_classes or n_classes)

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        from edgefs.meta.classifier import Classifier

        return Classifier(backbone, self.n_classes, bf16=bool(self.bf16))
