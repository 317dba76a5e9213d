"""From a checkpoint to embeddings: over a whole image set once, and as the graph a device bundle is made of."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data import DataSpec, ImageSet
from edgefs.data.tasks import normalised, turned
from edgefs.training.checkpoint import Checkpoint, load_checkpoint
from exporters.onnx.graph import EmbedderGraph
from runtime.preprocess import Preprocess

BATCH, PIXELS = 256, 256 * 84 * 84  # images at once: fewer when they are large
BASE_IMAGES = 2048  # training images the base mean and the normalisation statistics are taken from


def embedder_of(checkpoint: Checkpoint | str | Path) -> tuple[EmbedderGraph, Preprocess]:
    """The trained network as `exporters.pack.pack` takes it: the graph from bytes to embedding, and its contract.

    ProtoNet and Classifier keep their metric; with the Euclidean one the raw feature is the embedding. A method that
    adapts gives the centred cosine (base mean of the training classes, SimpleShot): its head knew only one episode.

    Omniglot: 28×28 grey, black ink on white paper as a camera sees it; mean 1 and std -1 make ink 1 and paper 0 in it.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    method, spec = checkpoint.method, checkpoint.spec
    graph = EmbedderGraph(
        method.backbone,
        mean=spec.mean,
        std=spec.std,
        colour="grey" if spec.preprocess.channels == 1 else "rgb",
        metric=method.metric or "cosine",
        base_mean=checkpoint.base_mean if method.metric is None else None,
    )
    return graph.eval(), spec.preprocess


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
    """Embed every image once per quarter turn: features `float32 [N·R, D]`, labels `int64 [N·R]` (R·class + turn)."""
    training = backbone.training
    backbone.eval()
    features, labels = [], []
    at_once = min(BATCH, max(1, PIXELS // math.prod(images.images.shape[1:3])))
    for turn in range(rotations):
        for start in range(0, len(images), at_once):
            pixels = np.array(images.images[start : start + at_once])
            batch = normalised(turned(pixels, np.full(len(pixels), turn)), spec, device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
                features.append(backbone(batch).float().cpu().numpy())
        labels.append(images.labels * rotations + turn)
    backbone.train(training)
    return np.concatenate(features), np.concatenate(labels)


def base_sample(images: ImageSet) -> NDArray[np.int64]:
    """Rows of up to BASE_IMAGES training images, evenly spread."""
    return np.unique(np.linspace(0, len(images) - 1, BASE_IMAGES).astype(np.int64))


@torch.no_grad()  # type: ignore[untyped-decorator]
def estimate_statistics(backbone: nn.Module, images: ImageSet, spec: DataSpec, device: str = "cpu") -> None:
    """Give normalisation layers running statistics, from training images.

    MAML and Reptile never use any while training; a device, which sees one image at a time, needs them.
    """
    layers = [module for module in backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average
    backbone.train()
    rows = np.random.default_rng(0).permutation(base_sample(images))
    for part in np.array_split(rows, max(1, len(rows) // BATCH)):
        backbone(normalised(images.images[part], spec, device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def base_mean_of(backbone: nn.Module, images: ImageSet, spec: DataSpec, device: str = "cpu") -> Tensor:
    """The mean feature `float32 [D]` of training images."""
    rows = base_sample(images)
    part = ImageSet(images.images[rows], images.labels[rows], images.classes, images.hashes[rows], images.preprocess)
    return torch.from_numpy(embed_images(backbone, part, spec, device=device)[0].mean(axis=0))
