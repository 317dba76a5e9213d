"""Sources of an export: a backbone by its name, and a checkpoint that training wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgefs.checkpoint import Checkpoint, load_checkpoint
from edgefs.networks import BACKBONES, TIMM, TORCHVISION, build
from exporters.onnx.graph import EmbedderGraph
from exporters.sources.timm_backbone import reparameterized, timm_source
from exporters.sources.torch_source import TorchSource
from exporters.sources.torchvision_source import IMAGENET, torchvision_source
from exporters.sources.weights import load_weights
from runtime.errors import OptionError
from runtime.preprocess import Preprocess

SIZE = 84  # pixels, of the backbones of few-shot papers


def backbone_source(
    name: str,
    *,
    weights: str = "DEFAULT",
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    metric: str = "cosine",
) -> TorchSource:
    """An embedder made of one of BACKBONES, or of the networks of torchvision or timm.

    Args:
        name: Of a network; those of timm begin with "timm:" and may end in "@weights".
        weights: A file, "none" (random), or "DEFAULT" (the library's own).
        size: Side of the input in pixels; None: that of the weights, or 84.
        mean: Of pixels in 0..1, RGB, three numbers; None: that of the weights, or ImageNet's.
        std: Standard deviation likewise.
        metric: How embeddings are compared, "cosine" or "euclidean".

    Raises:
        OptionError: There are no default weights.
        ExportError: See `torchvision_source`, `timm_source` and `load_weights`.
    """
    if name.startswith(TIMM):
        return timm_source(name.removeprefix(TIMM), weights=weights, size=size, mean=mean, std=std, metric=metric)
    if name not in BACKBONES:
        name = name.removeprefix(TORCHVISION)
        return torchvision_source(name, weights=weights, size=size, mean=mean, std=std, metric=metric)
    if weights == "DEFAULT":
        raise OptionError(f"{name} has no weights of its own; name them: --weights FILE, or none for random ones")
    network = build(name, channels=3, size=size or SIZE)
    facts: dict[str, Any] = {"backbone": name, "weights": weights}
    if weights != "none":
        facts |= load_weights(network, weights)
    graph = EmbedderGraph(network, mean=mean or IMAGENET[0], std=std or IMAGENET[1], metric=metric)
    return TorchSource(name, graph, Preprocess((size or SIZE, size or SIZE), resampler="area"), facts)


def embedder_of(checkpoint: Checkpoint | str | Path) -> tuple[EmbedderGraph, Preprocess]:
    """The trained network as a device runs it: the graph from bytes to embedding, and its input contract.

    ProtoNet and Classifier keep their metric; with the Euclidean one the feature itself is the embedding. The head of a
    method that adapts fits only one episode, so its features are compared by the centred cosine (SimpleShot), with the
    mean of the training classes.

    Omniglot networks take grey images, black ink on white paper, as a camera sees it; a mean of 1 and a std of -1 make
    ink 1 and paper 0 inside the graph.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    method, spec = checkpoint.method, checkpoint.spec
    timm = checkpoint.config.backbone.startswith(TIMM)
    graph = EmbedderGraph(
        reparameterized(method.backbone) if timm else method.backbone,
        mean=spec.mean,
        std=spec.std,
        colour="grey" if spec.preprocess.channels == 1 else "rgb",
        metric=method.metric or "cosine",
        base_mean=checkpoint.base_mean if method.metric is None else None,
    )
    return graph.eval(), spec.preprocess


def checkpoint_source(path: str | Path, *, size: int | None = None) -> TorchSource:
    """The embedder of a checkpoint as a source of an export. Raises CheckpointError."""
    checkpoint = load_checkpoint(path)
    graph, preprocess = embedder_of(checkpoint)
    if size:
        preprocess = replace(preprocess, size=(size, size))
    facts = {"checkpoint": Path(path).name, **{key: checkpoint.card[key] for key in ("config", "figures", "sha256")}}
    return TorchSource(Path(path).stem, graph, preprocess, facts, centres=False)
