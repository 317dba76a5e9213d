"""torchvision's classification networks without their last layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgefs.errors import ConfigError, PackageMissing
from exporters.sources.torchvision_source import without_auxiliary_heads


class TorchvisionBackbone(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`float32 [B, channels, size, size]` to features `[B, dim]`, with random weights. Grey input is repeated.

    Args:
        name: One of `torchvision.models.list_models(module=torchvision.models)`, such as "resnet18".
    """

    def __init__(self, channels: int, size: int, name: str) -> None:
        super().__init__()
        try:
            from torchvision import models
        except ImportError as error:
            raise PackageMissing(f"{name} is torchvision's, but {error}; do: pip install 'edgefs[train]'") from error
        known = models.list_models(module=models)
        if name not in known:
            raise ConfigError(f"the torchvision backbone must be one of {', '.join(known)}, but is {name!r}")
        self.network = models.get_model(name, weights=None, **without_auxiliary_heads(name))
        _cut_head(self.network, name)
        self.repeats = 3 if channels == 1 else 1
        self.dim = self._measure(size)
        self.to(memory_format=torch.channels_last)

    def _measure(self, size: int) -> int:
        """The feature size, found by embedding one image. Raises ConfigError when the images are too small."""
        training = self.network.training
        try:
            with torch.inference_mode():
                return int(self.network.eval()(torch.zeros(1, 3, size, size)).flatten(1).shape[1])
        except RuntimeError as error:
            raise ConfigError(
                f"{size}×{size} images do not fit this network: {error}; choose larger ones with --size"
            ) from error
        finally:
            self.network.train(training)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.expand(-1, 3, -1, -1) if self.repeats == 3 else x).flatten(1)  # type: ignore[no-any-return]


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
