"""Adaptive batch normalisation (Li et al. 2017, "Revisiting Batch Normalization For Practical Domain Adaptation",
arXiv:1603.04779): every norm layer takes the statistics of the domain it is used in. No training.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgefs.transfer.domains import Pool

MOST = 2048  # pictures the statistics are taken from
BATCH = 256


@torch.no_grad()  # type: ignore[untyped-decorator]
def take_statistics(embed: nn.Module, pool: Pool) -> None:
    """Set the running statistics of every norm layer to those of a domain: the plain average over its batches."""
    layers = [module for module in embed.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average
    embed.train()
    rows = np.random.default_rng(0).permutation(len(pool))[:MOST]
    for part in np.array_split(rows, max(1, len(rows) // BATCH)):
        embed(pool.take(part))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    embed.eval()
