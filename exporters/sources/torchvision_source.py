"""A torchvision classifier without its last layer, with the preprocessing that its weights were trained with.

    source = torchvision_source("mobilenet_v3_small", weights="DEFAULT")
    source = torchvision_source("mobilenet_v2", weights="my.safetensors", mean=[0.5] * 3, std=[0.5] * 3)

The embedding is the input of the last linear layer. Frames are cropped to the centred square and resized to the input
size at once, without torchvision's margin of 256/224: a device films the object in the middle of the frame, where a
margin would only lose detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from exporters.errors import SourceError
from exporters.onnx.graph import EmbedderGraph
from exporters.sources.torch_source import TorchSource
from exporters.sources.weights import load_weights
from exporters.tools import load_tool
from runtime.preprocess import Preprocess

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RESAMPLER = "half-area-linear"  # close to the antialiased resampling of training, at a seventh of its cost


def torchvision_source(
    name: str,
    *,
    weights: str = "DEFAULT",
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    metric: str = "cosine",
) -> TorchSource:
    """Build one of torchvision's classification networks as an embedder.

    Args:
        name: Name of the network, as in torchvision.
        weights: "DEFAULT" for torchvision's own (downloaded once), "none" for random weights (always the same), or
            the path of a file.
        size: Pixels of a side of the square input; None means the size of the default weights.
        mean: Mean of the RGB pixels in 0..1; None means that of the default weights.
        std: Standard deviation of the RGB pixels, likewise.
        metric: "cosine" or "euclidean".

    Raises:
        SourceError: The name is unknown, or the weights do not fit.
        ToolMissing: torchvision is not installed.
    """
    models = load_tool("torchvision.models", "--backbone")
    known = models.list_models(module=models)
    if name not in known:
        raise SourceError(f"--backbone must be one of {', '.join(known)}, but is {name!r}")
    best = models.get_model_weights(name).DEFAULT
    recipe: Any = best.transforms()
    facts: dict[str, Any] = {"backbone": f"torchvision {name}", "weights": weights}
    side = size or recipe.crop_size[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = (
            models.get_model(name, weights=_download(name, best))
            if weights == "DEFAULT"
            else models.get_model(name, weights=None, **options_without_weights(name, weights))
        )
        head = cut_head(network, name)
        if weights == "none":
            set_batch_statistics(network, side)
    if weights == "DEFAULT":
        facts["weights"] = str(best)
    elif weights != "none":
        facts |= load_weights(network, weights, ignore=(head, "AuxLogits.", "aux1.", "aux2."))
    graph = EmbedderGraph(network, mean=mean or recipe.mean, std=std or recipe.std, metric=metric)
    return TorchSource(name, graph, Preprocess((side, side), resampler=RESAMPLER), facts)


def without_auxiliary_heads(name: str) -> dict[str, bool]:
    """Return the options that leave out the extra heads of training, which small pictures do not fit."""
    return {"aux_logits": False, "init_weights": True} if name in ("inception_v3", "googlenet") else {}


def options_without_weights(name: str, weights: str) -> dict[str, bool]:
    """Return the options of a network into which a file of weights, or none, is loaded.

    GoogLeNet and Inception v3 were trained with other means and standard deviations than the preprocessing of their
    weights has, and `transform_input` converts the pixels; torchvision sets it for its own weights.
    """
    options = without_auxiliary_heads(name)
    return options | {"transform_input": weights != "none"} if options else options


def cut_head(network: nn.Module, name: str) -> str:
    """Replace the last linear layer by the identity and return its name with a dot. Raises SourceError."""
    linear = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise SourceError(f"{name} must end in a linear layer to be used as an embedder, but has none; choose another")
    parent, _, child = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return f"{linear[-1]}."


def set_batch_statistics(network: nn.Module, side: int) -> None:
    """Set the BatchNorm statistics of random weights from one batch of noise.

    Without it the features of an EfficientNet have a size of 1e-13.

    Args:
        network: The network, which is changed in place.
        side: Pixels of a side of the input.

    Raises:
        SourceError: The network does not take this size.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = None  # a plain average
    try:
        with torch.no_grad():
            network.train()(torch.randn(8, 3, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise SourceError(
            f"the network must take {side}×{side} pixels, but torch says: {error}; choose another --size"
        ) from error
    finally:
        network.eval()


def _download(name: str, best: Any) -> Any:
    """Let torchvision download its weights, and report a failure with the ways around it."""
    folder = f"{torch.hub.get_dir()}/checkpoints"
    try:
        best.get_state_dict(progress=True, check_hash=True)
    except Exception as error:  # URLError, a wrong hash, or several kinds for a damaged file in the cache
        raise SourceError(
            f"the weights of {name} must come from {best.url}, or from {folder}, but: {error}; "
            "download them elsewhere and pass --weights FILE, or --weights none"
        ) from error
    return best
