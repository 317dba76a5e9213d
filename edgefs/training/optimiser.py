"""The optimiser of a run, and its learning rate over time."""

from __future__ import annotations

import math

import torch

from edgefs.methods import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of step number `step`, counted from 0."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * done)) / 2
    return config.lr * (1 - done) if config.schedule == "linear" else config.lr


def optimiser_of(config: TrainConfig, method: torch.nn.Module) -> torch.optim.Optimizer:
    if config.optimiser == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(
            method.parameters(), config.lr, momentum=momentum, nesterov=momentum > 0, weight_decay=config.weight_decay
        )
    return torch.optim.AdamW(method.parameters(), config.lr, weight_decay=config.weight_decay, fused=True)
