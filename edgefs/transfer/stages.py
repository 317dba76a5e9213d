"""Stages of a network, and which of them learn, how fast, and with which statistics.

A stage is what runs at one spatial size: the layers between two reductions. So "the last two stages" means the same in
a ResNet, a VGG, an Inception or a MobileNet, without a table of names.
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
        with torch.no_grad():  # in inference mode a backbone may fold one layer into another
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
    for module in own.values():  # what did not run by itself, as the inside of an attention, learns with the last
        if module not in ran:
            groups[-1].append(module)
    return groups


def _side(output: object) -> int | None:
    """The height of `[B, C, H, W]` or `[B, H, W, C]` with H = W, the length of `[B, T, D]`, 1 of `[B, D]`.

    None where it says nothing: pooled to one pixel, as inside a squeeze-and-excitation.
    """
    if not isinstance(output, Tensor):
        return None
    if output.ndim == 4:
        return None if output.shape[2] == 1 else output.shape[2]
    return output.shape[1] if output.ndim == 3 else 1


class Thaw:
    """How much of a backbone learns. `open` sets it, `train_mode` keeps frozen statistics frozen.

    stages: of `stages_of`.  norms_learn: whether the stages that learn also move their batch statistics.
    """

    def __init__(self, backbone: nn.Module, stages: Sequence[Sequence[nn.Module]], *, norms_learn: bool) -> None:
        self.backbone, self.stages, self.norms_learn = backbone, stages, norms_learn
        self.n_open = len(stages)

    def open(self, n_open: int) -> None:
        """Let the last n_open stages learn. Raises ConfigError when there are not so many."""
        if n_open > len(self.stages):
            raise ConfigError(f"trainable must be at most last:{len(self.stages)}, the stages there are, or all")
        self.n_open = n_open
        for number, stage in enumerate(self.stages):
            for module in stage:
                for parameter in module.parameters(False):
                    parameter.requires_grad_(number >= len(self.stages) - n_open)

    def train_mode(self) -> None:
        """Put the backbone into training mode, but for the layers that must stay as they are in use."""
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
        """Optimiser groups, one a stage: the top one learns at lr · layer_decay, each below slower by layer_decay."""
        count = len(self.stages)
        return [
            {"params": [p for module in stage for p in module.parameters(False)], "lr": lr * layer_decay ** (count - i)}
            for i, stage in enumerate(self.stages)
        ]
