"""Options that fine-tuning and domain adaptation share: where a run starts and what it takes of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from edgefs.errors import ConfigError
from edgefs.methods.options import Config, option
from edgefs.networks import BACKBONES, TIMM, TORCHVISION


@dataclass(frozen=True, kw_only=True)
class TransferConfig(Config):
    """A run that starts from a network and learns the classes of a folder."""

    backbone: str = option(text=f"{', '.join(BACKBONES)}, {TORCHVISION}NAME or {TIMM}NAME", group="start")
    weights: str = option(
        text="DEFAULT (the library's own), none (random), or a .safetensors or .pth file for torchvision or timm"
    )
    init_from: str = option("", "checkpoint of edgefs to start from; its input contract comes with it")
    size: int | None = option(None, "pixels of the square input (default: the weights' own)")
    mean: tuple[float, ...] = option((), "of pixels in 0..1, as the weights were trained with (default: their own)")
    std: tuple[float, ...] = option((), "standard deviation likewise (default: the weights' own)")
    bad_files: str = option("fail", "what to do about unreadable pictures", choices=("fail", "skip"), group="data")
    lr: float = option(text="learning rate", least=0, group="optimiser")
    batch: int = option(text="pictures in a step", least=2)
    augment: tuple[str, ...] = option((), "any of flip shift warp colour; no name for none", group="images")
    threads: int = option(0, "CPU threads; 0: all that this process may use", group="run")
    device: str = option("auto", "where to train", choices=("auto", "cpu", "cuda"))
    classes: tuple[str, ...] = option((), "names of the classes, filled in by the run", flag=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (0, 1, 3):
                raise ConfigError(f"{name} must be one or three numbers, but is {getattr(self, name)}")

    @property
    def start_seed(self) -> int:
        """Seed of the random weights, where a run starts from those."""
        raise NotImplementedError
