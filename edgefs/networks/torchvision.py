"""torchvision's classification networks without their last layer."""

from __future__ import annotations

from torch import nn

from edgefs.errors import ConfigError, PackageMissing
from edgefs.networks.colour import ColourBackbone
from exporters.sources.torchvision_source import without_auxiliary_heads


def torchvision_backbone(channels: int, size: int, name: str) -> ColourBackbone:
    """A network of torchvision with random weights.

    Args:
        name: One of `torchvision.models.list_models(module=torchvision.models)`, such as "resnet18".
    """
    try:
        from torchvision import models
    except ImportError as error:
        raise PackageMissing(f"{name} is torchvision's, but {error}; do: pip install 'edgefs[train]'") from error
    known = models.list_models(module=models)
    if name not in known:
        raise ConfigError(f"the torchvision backbone must be one of {', '.join(known)}, but is {name!r}")
    network = models.get_model(name, weights=None, **without_auxiliary_heads(name))
    _cut_head(network, name)
    return ColourBackbone(network, channels, size)


def _cut_head(network: nn.Module, name: str) -> None:
    """Replace the last linear layer by the identity. Each family of networks keeps it under another name."""
    for holder in ("fc", "head", "heads", "classifier"):
        head = getattr(network, holder, None)
        if isinstance(head, nn.Linear):
            setattr(network, holder, nn.Identity())
            return
        if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
            head[-1] = nn.Identity()
            return
    raise ConfigError(f"{name} must end in a linear layer to be used as a backbone, but does not; choose another")
