"""A network of timm without its classifier, with the preprocessing that its weights were trained with.

    source = timm_source("mobilenetv4_conv_small")                       # weights from timm's hub
    source = timm_source("vit_small_patch14_dinov2", size=224, weights="model.safetensors")
    source = timm_source("repvit_m1@none")                               # random weights

A network that trains with several branches and runs with one is re-parameterised before it is exported. Mean, standard
deviation and input size of timm's `pretrained_cfg` become the contract of the bundle. Its interpolation and `crop_pct`
are kept in the provenance: the resampler of the contract takes the place of the first, and frames are cropped to the
whole centred square, as those of torchvision's networks are.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exporters.errors import SourceError
from exporters.onnx.graph import EmbedderGraph
from exporters.sources.layouts import layout_hint
from exporters.sources.torch_source import TorchSource
from exporters.sources.torchvision_source import RESAMPLER, set_batch_statistics
from exporters.sources.weights import read_weights, split_ema, without_prefixes
from exporters.tools import load_tool
from runtime.preprocess import Preprocess

INSTALL = "pip install 'edgefs[export,timm]'"
KEPT = ("hf_hub_id", "input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode", "license")


def timm_source(
    name: str,
    *,
    weights: str = "DEFAULT",
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    metric: str = "cosine",
) -> TorchSource:
    """Build a network of timm as an embedder.

    Args:
        name: Name of the network, as in timm, with or without the tag of its weights ("repvit_m1.dist_in1k"); what
            follows an @ takes the place of `weights`.
        weights: "DEFAULT" for timm's own (downloaded once), "none" for random weights (always the same), or the path
            of a file.
        size: Pixels of a side of the square input; None means the size of the weights.
        mean: Mean of the RGB pixels in 0..1; None means that of the weights.
        std: Standard deviation of the RGB pixels, likewise.
        metric: "cosine" or "euclidean".

    Raises:
        SourceError: The name is unknown, the weights cannot be downloaded, or they do not fit.
        ToolMissing: timm is not installed.
    """
    name, weights = split_weights(name, weights)
    network, facts = timm_network(name, weights=weights, size=size)
    config = facts["pretrained_cfg"]
    side = size or config["input_size"][-1]
    if weights == "none":
        set_batch_statistics(network, side)
    graph = EmbedderGraph(
        reparameterized(network), mean=mean or config["mean"], std=std or config["std"], metric=metric
    )
    return TorchSource(name, graph, Preprocess((side, side), resampler=RESAMPLER), facts)


def split_weights(name: str, weights: str) -> tuple[str, str]:
    """Split "NAME@WEIGHTS"; return the name and the weights. Raises SourceError when the weights are named twice."""
    name, _, after = name.partition("@")
    if after and weights not in ("DEFAULT", after):
        raise SourceError(
            f"The weights must be named once, but are {after!r} in --backbone and {weights!r} in --weights; drop one"
        )
    return name, after or weights


def reparameterized(network: nn.Module) -> nn.Module:
    """Return a copy of a network in which branches that only training needs are folded into one layer."""
    fused: nn.Module = load_tool("timm.utils", "--backbone timm:", INSTALL).reparameterize_model(network.eval())
    return fused


def timm_network(name: str, *, weights: str = "none", size: int | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network of timm that ends in its pooled features, as it is trained: not re-parameterised.

    Args:
        name: Name of the network, with or without the tag of its weights.
        weights: "DEFAULT", "none" or the path of a file.
        size: Pixels of a side of the input, for networks that are made for one size; None means that of the weights.

    Returns:
        The network, and facts for the provenance.

    Raises:
        SourceError: The name is unknown, the weights cannot be downloaded, or they do not fit.
        ToolMissing: timm is not installed.
    """
    timm = load_tool("timm", "--backbone timm:", INSTALL)
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
        raise SourceError(
            f"--backbone timm:NAME must be a network of timm {timm.__version__}, but {name!r} is none; "
            f"similar names are {', '.join(close) or 'not known'}"
        )
    config = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {"img_size": size} if size and config.fixed_input_size else {}
    facts: dict[str, Any] = {"backbone": f"timm {name}", "weights": weights}
    facts["pretrained_cfg"] = {key: getattr(config, key) for key in KEPT}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if weights == "DEFAULT":
            network = _download(timm, name, config, options)
            facts["weights"] = config.hf_hub_id or config.url
        elif weights == "none":
            network = timm.create_model(name, **options)
        else:
            network, digest = _load(timm, name, config, Path(weights), options)
            facts |= {"weights": Path(weights).name, "weights_sha256": digest}
    network.reset_classifier(0)
    return network.eval(), facts


def _load(timm: Any, name: str, config: Any, path: Path, options: Mapping[str, Any]) -> tuple[nn.Module, str]:
    """Load a file of weights with timm's names; its classifier may have any number of classes, or be missing."""
    path, ema = split_ema(path)
    expected = timm.create_model(name, **options).state_dict()
    state = without_prefixes(read_weights(path, ema=ema), expected)
    heads = (config.classifier,) if isinstance(config.classifier, str) else config.classifier or ()
    head = next((state[f"{head}.weight"] for head in heads if f"{head}.weight" in state), None)
    classes = 0 if head is None else len(head)
    overlay = {"state_dict": state, "num_classes": classes, "label_offset": 0}
    try:
        network = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes, **options
        )
    except (RuntimeError, KeyError, ValueError) as error:
        raise SourceError(
            f"{path} must hold the weights of timm's {name}, but: {' '.join(str(error).split())[:300]}; "
            f"check --backbone and --weights.{layout_hint(state, expected)}"
        ) from error
    return network, hashlib.sha256(path.read_bytes()).hexdigest()


def _download(timm: Any, name: str, config: Any, options: Mapping[str, Any]) -> nn.Module:
    """Let timm download its weights, and report a failure with the file to get and where to put it."""
    if not (config.hf_hub_id or config.url):
        raise SourceError(f"timm has no weights for {name}; name a file, --weights FILE, or none for random ones")
    try:
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # connection errors of several libraries, or a damaged file in the cache
        page = f"https://huggingface.co/{config.hf_hub_id}"
        where = f"the file model.safetensors of {page}" if config.hf_hub_id else config.url
        raise SourceError(
            f"The weights of timm's {name} cannot be downloaded: {' '.join(str(error).split())[:200]}. On a computer "
            f"with a connection, download {where}, copy it here, and add: --weights model.safetensors. "
            "Or add --weights none for random ones."
        ) from error
