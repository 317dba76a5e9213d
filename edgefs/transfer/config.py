"""What a transfer run is: two frozen dataclasses, from Python or from the command line. No torch: `--help` is fast."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from edgefs.errors import ConfigError

FINETUNE_METHODS = ("finetune", "features")
ADAPT_METHODS = ("dann", "mmd", "coral", "adabn")
HEADS = ("logistic", "linear", "mlp", "mean")
CHOICES = {
    "schedule": ("cosine", "plateau"),
    "batch_norm": ("auto", "eval", "train"),
    "balance": ("none", "loss", "sampler"),
    "head": HEADS,
    "bad_files": ("fail", "skip"),
    "device": ("auto", "cpu", "cuda"),
}
LEAST = {"epochs": 1, "batch": 2, "seeds": 1, "steps": 1, "first_seed": 0, "seed": 0, "per_class": 0, "patience": 0}


@dataclass(frozen=True)
class FinetuneConfig:
    """Start: backbone ("torchvision:NAME", conv4, …), weights ("DEFAULT", "none", FILE), or init_from (a checkpoint).
    Input: size, mean, std; left out, they are those the weights were trained with.
    Data: root; data ("folder", or a CSV of path, label and perhaps split); val_share and test_share of what has no
    splits, or per_class training images and the rest to test; bad_files ("fail", "skip").
    Method "features": head (of HEADS) on frozen features, computed once.
    Method "finetune": trainable ("head", "last:N" stages, "all"), unfreeze_every (epochs, 0: at once), layer_decay
    (each stage below learns this much slower), batch_norm ("eval", "train"; "auto": eval if the weights are trained).
    Optimiser: epochs, batch, lr, weight_decay, schedule ("cosine", "plateau"), patience (epochs without gain; 0: any).
    Images: augment, mixup (alpha, 0: none), label_smoothing, balance ("none", "loss", "sampler").
    Run: out (folder), seed, threads (0: all), device.  classes: their names, filled in by the run.
    """

    root: str
    method: str = "finetune"
    data: str = "folder"
    out: str = "run"
    backbone: str = "torchvision:mobilenet_v2"
    weights: str = "DEFAULT"
    init_from: str = ""
    size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    val_share: float = 0.2
    test_share: float = 0.2
    per_class: int = 0
    bad_files: str = "fail"
    head: str = "logistic"
    trainable: str = "all"
    unfreeze_every: int = 0
    layer_decay: float = 1.0
    batch_norm: str = "auto"
    epochs: int = 20
    batch: int = 32
    lr: float = 1e-4
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    patience: int = 0
    augment: tuple[str, ...] = ()
    mixup: float = 0.0
    label_smoothing: float = 0.1
    balance: str = "none"
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _settle(self, FINETUNE_METHODS)
        for name, low, high in (
            ("val_share", 0, 0.9),
            ("test_share", 0, 0.9),
            ("label_smoothing", 0, 0.9),
            ("layer_decay", 0.01, 1),
            ("mixup", 0, 10),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must be in {low}..{high}, but is {getattr(self, name)}")
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
        """How many stages of the backbone are trained, counted from the top; None: all."""
        if self.trainable == "all":
            return None
        return 0 if self.trainable == "head" else int(self.trainable.removeprefix("last:"))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def public(self) -> FinetuneConfig:
        """The same without this machine's folders, as a checkpoint carries it."""
        return _public(replace(self, data="folder"))


@dataclass(frozen=True)
class AdaptConfig:
    """Domains: source (class folders), target (class folders of the same names, or unlabelled pictures straight in it),
    target_labels (class folders that the result is measured on).
    Start: as in FinetuneConfig. Trained weights stay frozen below a `bottleneck` of that many features, so that every
    picture passes them once; without trained weights all layers learn.
    Training: seeds runs from first_seed on; steps, batch (of each domain), lr, weight (of the method's loss), augment;
    bounds (also train on the source alone, and on the target's labels, to compare with).
    """

    method: str
    source: str
    target: str
    target_labels: str = ""
    out: str = ""
    backbone: str = "lenet"
    weights: str = "none"
    init_from: str = ""
    size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    bottleneck: int = 256
    seeds: int = 5
    first_seed: int = 0
    steps: int = 1000
    batch: int = 64
    lr: float = 2e-3
    weight: float | None = None
    augment: tuple[str, ...] = ("warp",)
    bounds: bool = True
    bad_files: str = "fail"
    threads: int = 0
    device: str = "auto"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _settle(self, ADAPT_METHODS)
        if self.weight is not None and self.weight < 0:
            raise ConfigError(f"weight must not be below 0, but is {self.weight}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def public(self) -> AdaptConfig:
        """The same without this machine's folders, as a checkpoint carries it."""
        return _public(replace(self, source="", target="", target_labels=""))


Config = TypeVar("Config", FinetuneConfig, AdaptConfig)


def _settle(config: Any, methods: tuple[str, ...]) -> None:
    """Turn lists into tuples, and check what both kinds of run have. Raises ConfigError."""
    for name in ("mean", "std", "augment", "classes"):
        object.__setattr__(config, name, tuple(getattr(config, name)))
    for name, allowed in (("method", methods), *CHOICES.items()):
        value = getattr(config, name, None)
        if value is not None and value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}, but is {value!r}")
    for name, low in LEAST.items():
        value = getattr(config, name, None)
        if value is not None and value < low:
            raise ConfigError(f"{name} must be at least {low}, but is {value}")
    if config.lr < 0:
        raise ConfigError(f"lr must not be below 0, but is {config.lr}")
    for name in ("mean", "std"):
        if len(getattr(config, name)) not in (0, 1, 3):
            raise ConfigError(f"{name} must be one or three numbers, but is {getattr(config, name)}")


def _public(config: Config) -> Config:
    changed: dict[str, Any] = {name: Path(getattr(config, name)).name for name in ("weights", "init_from")}
    changed |= {name: "" for name in ("root", "out") if hasattr(config, name)}
    return replace(config, **changed)
