"""Networks by name: `build("conv4", channels=1, size=28)`. A new one is one file and one line in BACKBONES.

Importing this package imports no torch; `build` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgefs.errors import ConfigError

# Module and function or class; called with the channels and the size of the images, it returns an nn.Module with `dim`.
BACKBONES = {
    "conv4": "edgefs.networks.conv4:Conv4",
    "conv4_32": "edgefs.networks.conv4:conv4_32",
    "lenet": "edgefs.networks.lenet:LeNet",
    "resnet12": "edgefs.networks.resnet12:ResNet12",
}
TORCHVISION = "torchvision:"
SMALLEST = 16  # pixels


def build(name: str, *, channels: int, size: int) -> Any:
    """A network with random weights: an `nn.Module` from `float32 [B, channels, size, size]` to `[B, dim]`.

    Args:
        name: One of BACKBONES, or "torchvision:resnet18" and the like.
        channels: 1 for grey images, 3 for colour.
        size: Side of the images in pixels.

    Raises:
        ConfigError: Naming the networks there are.
    """
    if name.startswith(TORCHVISION):
        from edgefs.networks.torchvision import TorchvisionBackbone

        return TorchvisionBackbone(channels, size, name.removeprefix(TORCHVISION))
    if name not in BACKBONES:
        raise ConfigError(f"backbone must be one of {', '.join(BACKBONES)} or {TORCHVISION}NAME, but is {name!r}")
    if size < SMALLEST:
        raise ConfigError(f"images for {name} must be at least {SMALLEST} pixels wide, but are {size}")
    module, _, attribute = BACKBONES[name].partition(":")
    return getattr(import_module(module), attribute)(channels, size)
