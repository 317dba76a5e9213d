"""What all meta-learning runs are configured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgefs.data import DATA
from edgefs.errors import ConfigError
from edgefs.methods.options import Config, option
from edgefs.networks import BACKBONES, TIMM, TORCHVISION


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """Options that every meta-learning method has. A method derives from it and adds its own.

    The defaults are those of the methods' papers for characters of 28 × 28 pixels; recipes state what was measured.
    """

    momentum: ClassVar[float] = 0.9  # of SGD

    data: str = option(text="the image set", choices=DATA, group="data")
    root: str = option(".", "folder the data lies in")
    variant: str = option("lake", "split of Omniglot", choices=("lake", "vinyals"))
    size: int | None = option(None, "side of the images in pixels (default: the set's own)")
    channels: int | None = option(None, "1 grey or 3 colour (default: the set's own; folder: as stored)")
    bad_files: str = option("fail", "what to do about unreadable pictures", choices=("fail", "skip"))
    download: bool = option(False, "fetch the data if its authors host it")
    n_way: int = option(5, "classes of a training episode", group="episodes")
    n_shot: int = option(1, "support images of each class")
    n_query: int = option(15, "query images of each class")
    tasks: int = option(1, "episodes in a step", least=1)
    steps: int = option(10_000, "optimiser steps of the run", least=1)
    augment: tuple[str, ...] = option((), "any of mirror flip shift warp colour")
    rotations: int | None = option(None, "quarter turns that become classes (default: 4 for omniglot, else 1)")
    val_way: int = option(5, "classes of a validation episode", group="validation")
    val_shot: int = option(1, "support images of each class in validation")
    val_query: int = option(15, "query images of each class in validation")
    val_episodes: int = option(600, "episodes of one validation", least=2)
    val_every: int = option(500, "steps from one validation to the next", least=1)
    patience: int = option(0, "stop after so many validations without improvement; 0: never")
    optimiser: str = option("adam", "optimiser of the outer step", choices=("adam", "sgd"), group="optimiser")
    lr: float = option(1e-3, "learning rate of the outer step")
    schedule: str = option("cosine", "course of the learning rate", choices=("cosine", "linear", "constant"))
    warmup: int = option(0, "steps over which the learning rate rises to --lr")
    weight_decay: float = option(0.0, "weight decay")
    clip: float = option(0.0, "largest gradient norm; 0: any")
    backbone: str = option("conv4", f"{', '.join(BACKBONES)}, {TORCHVISION}NAME or {TIMM}NAME", group="network")
    init_from: str = option("", "checkpoint to start from; its input contract comes with it")
    bf16: bool | None = option(False, "backbone in bfloat16 (protonet, classifier: where the machine computes it)")
    out: str = option("run", "folder for checkpoints, log.csv and curves.png", group="run")
    seed: int = option(0, "seed of everything random", least=0)
    threads: int = option(0, "CPU threads; 0: all that this process may use")
    checkpoint_minutes: float = option(5.0, "minutes from one saved state of the run to the next")
    device: str = option("auto", "where to train", choices=("auto", "cpu", "cuda"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr < 0 or getattr(self, "temperature", 1.0) <= 0:
            temperature = getattr(self, "temperature", None)
            found = f"temperature {temperature} and lr {self.lr}" if temperature is not None else f"lr {self.lr}"
            raise ConfigError(f"temperature must be > 0 and lr ≥ 0, got {found}")

    @property
    def fixed_way(self) -> bool:
        """Whether episodes must have n_way classes after training too."""
        return False

    @property
    def uses_running_statistics(self) -> bool:
        """Whether normalisation layers collect running statistics while training."""
        return True

    def for_classes(self, n_classes: int) -> TrainConfig:
        """The config for a training set of that many classes, turns counted."""
        del n_classes
        return self


@dataclass(frozen=True, kw_only=True)
class AdaptingConfig(TrainConfig):
    """Options of methods that adapt a head, or the whole network, to every episode."""

    head: str = option("zero", "where a task's head starts; prototypes: Proto-MAML", choices=("zero", "prototypes"))
    statistics: str = option(
        "batch",
        "normalise by the batch, or by the running statistics of the network it starts from",
        choices=("batch", "running"),
    )
    inner_lr: float = option(0.4, "learning rate of adaptation")
    inner_steps: int = option(5, "steps of adaptation in training", least=1)
    val_inner_steps: int = option(10, "steps of adaptation after training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fixed_way and self.n_way != self.val_way:
            raise ConfigError(
                f"{self.method} adapts a head of n_way classes, so val_way must equal n_way, but they are "
                f"{self.val_way} and {self.n_way}; or start the head at prototypes"
            )
        if self.statistics == "running" and not self.init_from:
            raise ConfigError(
                f'{self.method} with statistics="running" never updates them, so it must start from a trained network, '
                "but init_from is empty; name a checkpoint"
            )
        if self.bf16:
            raise ConfigError(
                f"bf16 must stay off for {self.method}: it spoils the meta-gradient (cosine 0.70 to float32 for MAML)"
            )

    @property
    def fixed_way(self) -> bool:
        return self.head == "zero"

    @property
    def uses_running_statistics(self) -> bool:
        return self.statistics == "running"
