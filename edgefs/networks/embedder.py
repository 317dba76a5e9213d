"""Embeddings of a whole image set, and the statistics of a network over one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgefs.data import DataSpec, ImageSet
from edgefs.data.tasks import normalised

BATCH, PIXELS = 256, 256 * 84 * 84  # images at once: fewer when they are large
SAMPLE = 2048  # images from which the base mean and the normalisation statistics are taken


@torch.inference_mode()  # type: ignore[untyped-decorator]
def embed_images(
    backbone: nn.Module,
    images: ImageSet,
    spec: DataSpec,
    *,
    rotations: int = 1,
    bf16: bool = False,
    device: str = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embed every image once per quarter turn, in evaluation mode.

    Returns:
        Features `float32 [N·R, D]` and labels `int64 [N·R]` (R · class + turn), R being `rotations`.
    """

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            return backbone(normalised(pixels, spec, device)).float().cpu().numpy()  # type: ignore[no-any-return]

    training = backbone.training
    backbone.eval()
    at_once = min(BATCH, max(1, PIXELS // math.prod(images.images.shape[1:3])))
    found = images.embedded(embed, at_once=at_once, rotations=rotations)
    backbone.train(training)
    return found


@torch.no_grad()  # type: ignore[untyped-decorator]
def take_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of every norm layer to the plain average over batches; ends in evaluation mode."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average
    network.train()
    for batch in batches:
        network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


def base_sample(images: ImageSet) -> NDArray[np.int64]:
    """Rows of up to SAMPLE images, evenly spread."""
    return np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(np.int64))


def estimate_statistics(backbone: nn.Module, images: ImageSet, spec: DataSpec, device: str = "cpu") -> None:
    """Give normalisation layers running statistics of training images.

    MAML and Reptile use none while training; a device, which sees one image at a time, needs them.
    """
    rows = np.random.default_rng(0).permutation(base_sample(images))
    parts = np.array_split(rows, max(1, len(rows) // BATCH))
    take_statistics(backbone, (normalised(images.images[part], spec, device) for part in parts))
    backbone.train()


def base_mean_of(backbone: nn.Module, images: ImageSet, spec: DataSpec, device: str = "cpu") -> Tensor:
    """The mean feature `float32 [D]` of training images."""
    rows = base_sample(images)
    part = replace(images, images=images.images[rows], labels=images.labels[rows], hashes=images.hashes[rows])
    return torch.from_numpy(embed_images(backbone, part, spec, device=device)[0].mean(axis=0))
