"""A network made for photographs, such as those of torchvision and timm, as a backbone of ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgefs.errors import ConfigError


class ColourBackbone(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """`float32 [B, channels, size, size]` to features `[B, dim]`. Grey input is repeated.

    Args:
        network: Takes `[B, 3, size, size]` and ends in its features, `[B, dim]` or `[B, dim, 1, 1]`.
    """

    def __init__(self, network: nn.Module, channels: int, size: int) -> None:
        super().__init__()
        self.network = network
        self.repeats = 3 if channels == 1 else 1
        self.dim = self._measure(size)
        self.to(memory_format=torch.channels_last)

    def _measure(self, size: int) -> int:
        """The feature size, found by embedding one image. Raises ConfigError when the images are too small."""
        training = self.network.training
        try:
            with torch.inference_mode():
                return int(self.network.eval()(torch.zeros(1, 3, size, size)).flatten(1).shape[1])
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(
                f"{size}×{size} images do not fit this network: {error}; choose another --size"
            ) from error
        finally:
            self.network.train(training)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.expand(-1, 3, -1, -1) if self.repeats == 3 else x).flatten(1)  # type: ignore[no-any-return]
