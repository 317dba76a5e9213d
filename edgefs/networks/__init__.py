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
TORCHVISION, TIMM = "torchvision:", "timm:"
SMALLEST = 16  # pixels


def build(name: str, *, channels: int, size: int) -> Any:
    """A network with random weights: an `nn.Module` from `float32 [B, channels, size, size]` to `[B, dim]`.

    Args:
        name: One of BACKBONES, "torchvision:resnet18", "timm:repvit_m1" and the like.
        channels: 1 for grey images, 3 for colour.
        size: Side of the images in pixels.

    Raises:
        ConfigError: Naming the networks there are.
    """
    if name.startswith(TORCHVISION):
        from edgefs.networks.torchvision import torchvision_backbone

        return torchvision_backbone(channels, size, name.removeprefix(TORCHVISION))
    if name.startswith(TIMM):
        from edgefs.networks.colour import ColourBackbone
        from exporters.sources.timm_backbone import timm_network

        return ColourBackbone(timm_network(name.removeprefix(TIMM), size=size)[0], channels, size)
    if name not in BACKBONES:
        raise ConfigError(
            f"backbone must be one of {', '.join(BACKBONES)}, {TORCHVISION}NAME or {TIMM}NAME, but is {name!r}"
        )
    if size < SMALLEST:
        raise ConfigError(f"images for {name} must be at least {SMALLEST} pixels wide, but are {size}")
    module, _, attribute = BACKBONES[name].partition(":")
    return getattr(import_module(module), attribute)(channels, size)
