"""Options of fine-tuning, and of fitting a head on the features of a network that stays as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from edgefs.errors import ConfigError
from edgefs.methods.options import option
from edgefs.methods.transfer import TransferConfig


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TransferConfig):
    """Fine-tune a trained network on labelled pictures."""

    method: str = option("finetune", choices=("finetune", "features"), flag=False)
    root: str = option(".", "folder of class folders, or of train, val, test with class folders", group="data")
    data: str = option("folder", "folder, or a .csv list with the columns path, label and perhaps split")
    val_share: float = option(0.2, "share that validates, where no val is given; 0: none", least=0, most=0.9)
    test_share: float = option(0.2, "share that is kept for the test, where there are no splits", least=0, most=0.9)
    per_class: int = option(0, "train on so many pictures a class and test on the rest; 0: by share", least=0)
    backbone: str = "torchvision:mobilenet_v2"
    weights: str = "DEFAULT"
    head: str = option(
        "logistic",
        "classifier fitted on the frozen features, where fine-tuning starts: logistic regression, ridge, a hidden "
        "layer, nearest class mean",
        choices=("logistic", "linear", "mlp", "mean"),
        group="what learns",
    )
    trainable: str = option("all", "head, last:N (stages, from the top) or all")
    unfreeze_every: int = option(0, "unfreeze one more stage, from the top, every so many epochs; 0: all at once")
    layer_decay: float = option(1.0, "factor of the learning rate from each stage to the one below", least=0.01, most=1)
    batch_norm: str = option(
        "auto", "statistics of batch norms: as trained, learned, or by the weights", choices=("auto", "eval", "train")
    )
    epochs: int = option(20, "passes over the training pictures", least=1, group="optimiser")
    batch: int = 32
    lr: float = 1e-4
    weight_decay: float = option(1e-4, "weight decay")
    schedule: str = option(
        "cosine", "plateau: lower the rate when validation stops improving", choices=("cosine", "plateau")
    )
    patience: int = option(0, "stop after so many epochs without improvement; 0: never", least=0)
    mixup: float = option(0.0, "alpha of mixup; 0: none", least=0, most=10, group="images")
    label_smoothing: float = option(0.1, "share of the label that is spread over all classes", least=0, most=0.9)
    balance: str = option(
        "none", "unequal classes: weigh the loss, or draw all equally often", choices=("none", "loss", "sampler")
    )
    out: str = option("run", "new folder for the checkpoint, the report and the pictures", group="run")
    seed: int = option(0, "seed of everything random", least=0)
    bundle: bool = option(False, "also write OUT/model.edgefs and OUT/classes.db, a gallery with the classes enrolled")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val_share + self.test_share >= 1:
            raise ConfigError(
                f"val_share and test_share must leave something to train on, but are {self.val_share} and "
                f"{self.test_share}"
            )
        if not re.fullmatch(r"head|all|last:[1-9]\d*", self.trainable):
            raise ConfigError(f"trainable must be head, last:N (stages) or all, but is {self.trainable!r}")
        if self.data != "folder" and not self.data.endswith(".csv"):
            raise ConfigError(f"data must be folder or a .csv list of path and label, but is {self.data!r}")
        if self.patience and not self.val_share:
            raise ConfigError("patience needs validation images, but val_share is 0; give it a share, or no patience")

    @property
    def n_trained(self) -> int | None:
        """How many stages of the backbone are trained, counted from the top; None means all."""
        if self.trainable == "all":
            return None
        return 0 if self.trainable == "head" else int(self.trainable.removeprefix("last:"))

    @property
    def start_seed(self) -> int:
        return self.seed

    def public(self) -> FinetuneConfig:
        return replace(super().public(), data="folder")

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        from edgefs.networks.classifier import classifier

        return classifier(backbone, len(self.classes), mlp=self.head == "mlp")
