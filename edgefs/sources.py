"""What `edgefs export` can start from, besides your own ONNX: a backbone by its name, and what training wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgefs.networks import BACKBONES, TORCHVISION, build
from edgefs.networks.embedder import embedder_of
from edgefs.training.checkpoint import load_checkpoint
from exporters.onnx.graph import EmbedderGraph
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
    """One of BACKBONES, or of torchvision's networks.

    weights: a file, "none" (random), or "DEFAULT" (torchvision's own).  size: pixels, default the weights' own or 84.
    mean, std: of pixels in 0..1, RGB, three numbers, default the weights' own or ImageNet's.
    Raises OptionError: no weights to default to; ExportError: see `torchvision_source` and `load_weights`.
    """
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


def checkpoint_source(path: str | Path, *, size: int | None = None) -> TorchSource:
    """The embedder of a checkpoint, with the metric and the centring it was trained for. Raises CheckpointError."""
    checkpoint = load_checkpoint(path)
    graph, preprocess = embedder_of(checkpoint)
    if size:
        preprocess = replace(preprocess, size=(size, size))
    facts = {
        "checkpoint": Path(path).name,
        **{key: checkpoint.card[key] for key in ("config", "figures", "sha256")},
    }
    return TorchSource(Path(path).stem, graph, preprocess, facts, centres=False)
