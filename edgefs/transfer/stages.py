"""Stages of a network: which of them learn, how fast, and with which statistics.

A stage is the layers that run at one spatial size. So "the last two stages" means the same in a ResNet, a VGG, an
Inception or a MobileNet, without a table of names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgefs.errors import ConfigError


def stages_of(backbone: nn.Module, *, channels: int, size: int) -> list[list[nn.Module]]:
    """The modules that own parameters, grouped by the side of their output, in the order they run."""
    own = {name: module for name, module in backbone.named_modules() if any(True for _ in module.parameters(False))}
    ran: dict[nn.Module, int | None] = {}

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        ran.setdefault(module, _side(output))

    hooks = [module.register_forward_hook(note) for module in own.values()]
    training = backbone.training
    try:
        with torch.no_grad():  # not in inference mode, where a backbone may fold one layer into another
            backbone.eval()(torch.zeros(1, channels, size, size))
    finally:
        backbone.train(training)
        for hook in hooks:
            hook.remove()
    groups: list[list[nn.Module]] = []
    before = None
    for module, side in ran.items():
        here = before if side is None and before else side
        if here != before or not groups:
            groups.append([])
        groups[-1].append(module)
        before = here
    for module in own.values():  # modules that did not run by themselves, such as parts of an attention
        if module not in ran:
            groups[-1].append(module)
    return groups


def _side(output: object) -> int | None:
    """The height of `[B, C, H, W]` or `[B, H, W, C]` with H = W, the length of `[B, T, D]`, 1 of `[B, D]`.

    None for an output that is pooled to one pixel, as in a squeeze-and-excitation, and for other types.
    """
    if not isinstance(output, Tensor):
        return None
    if output.ndim == 4:
        return None if output.shape[2] == 1 else output.shape[2]
    return output.shape[1] if output.ndim == 3 else 1


class Unfreeze:
    """Which stages of a backbone learn: `open` chooses them, and `train_mode` keeps the statistics of the others.

    Args:
        stages: From `stages_of`.
        norms_learn: Whether the batch norms of the stages that learn also update their running statistics.
    """

    def __init__(self, backbone: nn.Module, stages: Sequence[Sequence[nn.Module]], *, norms_learn: bool) -> None:
        self.backbone, self.stages, self.norms_learn = backbone, stages, norms_learn
        self.n_open = len(stages)

    def open(self, n_open: int) -> None:
        """Let the last n_open stages learn. Raises ConfigError when there are fewer."""
        if n_open > len(self.stages):
            raise ConfigError(f"trainable must be at most last:{len(self.stages)}, the number of stages, or all")
        self.n_open = n_open
        for number, stage in enumerate(self.stages):
            for module in stage:
                for parameter in module.parameters(False):
                    parameter.requires_grad_(number >= len(self.stages) - n_open)

    def train_mode(self) -> None:
        """Put the backbone into training mode, except the batch norms that must keep their statistics."""
        self.backbone.train()
        frozen = self.stages[: len(self.stages) - self.n_open]
        for stage in self.stages if not self.norms_learn else frozen:
            for module in stage:
                if isinstance(module, _BatchNorm):
                    module.eval()
        for module in self.backbone.modules():  # norms without parameters belong to no stage
            if isinstance(module, _BatchNorm) and not module.affine and not self.norms_learn:
                module.eval()

    def groups(self, lr: float, layer_decay: float) -> list[dict[str, object]]:
        """One optimiser group a stage: the top one learns at lr · layer_decay, each below slower by layer_decay."""
        count = len(self.stages)
        return [
            {"params": [p for module in stage for p in module.parameters(False)], "lr": lr * layer_decay ** (count - i)}
            for i, stage in enumerate(self.stages)
        ]
