"""The network that a transfer run starts from, with its input contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgefs.checkpoint import load_checkpoint
from edgefs.data import DataSpec, spec_of
from edgefs.data.folder import channels_of
from edgefs.errors import ConfigError, DataError
from edgefs.methods.transfer import TransferConfig
from edgefs.networks import BACKBONES, TIMM, TORCHVISION, build
from edgefs.networks.classifier import bare
from runtime.preprocess import Preprocess

SIZES = {"lenet": 20}  # pixels; enough for a written digit, at a quarter of the cost of 28
GREY = ((0.0,), (1.0,))  # mean and std; black is 0, so augmentation pads with black
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # extra heads of Inception and GoogLeNet, which only training used


@dataclass(frozen=True)
class Start:
    """A network before the run.

    Attributes:
        backbone: In evaluation mode.
        name: As `edgefs.networks.build` takes it.
        spec: How pictures are prepared for it.
        trained: Whether its weights are trained ones.
        facts: Where the weights come from.
    """

    backbone: nn.Module
    name: str
    spec: DataSpec
    trained: bool
    facts: Mapping[str, Any]


def start(config: TransferConfig, pictures: dict[str, list[Path]]) -> Start:
    """The network that a run starts from.

    Args:
        pictures: Files of each class. A network without trained weights takes as many channels as they have.

    Raises:
        ConfigError, CheckpointError: Nothing can be started from.
        SourceError: Naming the first weight that does not fit.
    """
    if config.init_from:
        return _from_checkpoint(config)
    torch.manual_seed(config.start_seed)
    name = config.backbone
    if name.startswith(TIMM):
        return _from_timm(config, name.removeprefix(TIMM))
    if name not in BACKBONES:
        return _from_torchvision(config, name.removeprefix(TORCHVISION))
    if config.weights not in ("none", "DEFAULT"):
        raise ConfigError(f"weights of {name} come as a checkpoint: say --init-from {config.weights}")
    size = config.size or SIZES.get(name) or spec_of("folder").preprocess.size[0]
    channels = _channels(pictures)
    spec = spec_of("folder", size=size, channels=channels)
    spec = _spec(config, replace(spec, mean=GREY[0], std=GREY[1]) if channels == 1 else spec)
    return Start(build(name, channels=channels, size=size).eval(), name, spec, False, {"weights": "random"})


def _channels(pictures: dict[str, list[Path]]) -> int:
    try:
        return channels_of(pictures)
    except DataError:  # some are grey and some in colour
        return 3


def _from_checkpoint(config: TransferConfig) -> Start:
    checkpoint = load_checkpoint(config.init_from)
    backbone = bare(checkpoint.method.backbone)
    facts = {"init_from": checkpoint.card["sha256"]}
    spec = _spec(config, checkpoint.spec)
    if config.size not in (None, checkpoint.spec.preprocess.size[0]):
        raise ConfigError(
            f"size must be that of {config.init_from}, {checkpoint.spec.preprocess.size[0]}, but is {config.size}"
        )
    return Start(backbone.eval(), checkpoint.config.backbone, spec, True, facts)


def _from_torchvision(config: TransferConfig, name: str) -> Start:
    from exporters.sources.torchvision_source import torchvision_source

    mean, std = (values * 3 if len(values) == 1 else values for values in (config.mean, config.std))
    source = torchvision_source(name, weights=config.weights, size=config.size, mean=mean or None, std=std or None)
    graph, preprocess = source.graph, source.preprocess
    backbone = build(TORCHVISION + name, channels=3, size=preprocess.size[0])
    weights = {key: value for key, value in graph.network.state_dict().items() if not key.startswith(AUXILIARY)}
    backbone.network.load_state_dict(weights)
    mean, std = (tuple((values / 255).flatten().tolist()) for values in (graph.mean, 1 / graph.scale))
    spec = replace(spec_of("folder"), preprocess=preprocess, mean=mean, std=std)
    return Start(backbone.eval(), TORCHVISION + name, spec, config.weights != "none", source.facts)


def _from_timm(config: TransferConfig, name: str) -> Start:
    from edgefs.networks.colour import ColourBackbone
    from exporters.sources.timm_backbone import split_weights, timm_network
    from exporters.sources.torchvision_source import RESAMPLER

    name, weights = split_weights(name, config.weights)
    network, facts = timm_network(name, weights=weights, size=config.size)
    trained_with = facts["pretrained_cfg"]
    size = config.size or trained_with["input_size"][-1]
    preprocess = Preprocess((size, size), resampler=RESAMPLER)
    spec = replace(spec_of("folder"), preprocess=preprocess, mean=trained_with["mean"], std=trained_with["std"])
    backbone = ColourBackbone(network, 3, size)
    return Start(backbone.eval(), TIMM + name, _spec(config, spec), weights != "none", facts)


def _spec(config: TransferConfig, spec: DataSpec) -> DataSpec:
    """A spec with the mean and std of the config, where it has them."""
    channels = spec.preprocess.channels
    mean, std = (
        values * channels if len(values) == 1 else values or default
        for values, default in ((config.mean, spec.mean), (config.std, spec.std))
    )
    if len(mean) != channels or len(std) != channels:
        raise ConfigError(f"mean and std must have {channels} numbers, but have {len(mean)} and {len(std)}")
    return replace(spec, mean=mean, std=std)
