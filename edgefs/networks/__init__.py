"""Networks by name: `build("conv4", channels=1, size=28)`. Each has `dim`, its feature size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from edgefs.errors import ConfigError
from edgefs.networks.conv4 import Conv4
from edgefs.networks.lenet import LeNet
from edgefs.networks.resnet12 import ResNet12
from edgefs.networks.torchvision import TorchvisionBackbone

BACKBONES: dict[str, Callable[[int, int], nn.Module]] = {
    "conv4": Conv4,
    "conv4_32": partial(Conv4, filters=32),
    "lenet": LeNet,
    "resnet12": ResNet12,
}
TORCHVISION = "torchvision:"


def build(name: str, *, channels: int, size: int) -> nn.Module:
    """A network with fresh random weights, for `[B, channels, size, size]`. Raises ConfigError naming what there is.

    name: of BACKBONES, or "torchvision:resnet18" and the like.
    """
    if name.startswith(TORCHVISION):
        return TorchvisionBackbone(channels, size, name.removeprefix(TORCHVISION))
    if name not in BACKBONES:
        raise ConfigError(f"backbone must be one of {', '.join(BACKBONES)} or {TORCHVISION}NAME, but is {name!r}")
    if size < 16:
        raise ConfigError(f"images must be at least 16 pixels for {name}, which halves them four times, but are {size}")
    return BACKBONES[name](channels, size)
