"""Meta-learning methods, one a file, each headed by its paper. A new one is one file and one line in METHODS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from edgefs.meta.classifier import Classifier
from edgefs.meta.maml import MAML
from edgefs.meta.protonet import ProtoNet
from edgefs.meta.reptile import Reptile
from edgefs.networks.learner import Method

__all__ = ["MAML", "METHODS", "Classifier", "Method", "ProtoNet", "Reptile", "build_method"]


def _protonet(backbone: nn.Module, options: Any, _workers: int) -> nn.Module:
    return ProtoNet(backbone, distance=options.distance, temperature=options.temperature, bf16=bool(options.bf16))


def _classifier(backbone: nn.Module, options: Any, _workers: int) -> nn.Module:
    return Classifier(backbone, options.n_classes, bf16=bool(options.bf16))


def _maml(
    backbone: nn.Module, options: Any, workers: int, *, first_order: bool = False, only_head: bool = False
) -> nn.Module:
    return MAML(
        backbone,
        options.n_way,
        head=options.head,
        statistics=options.statistics,
        inner_lr=options.inner_lr,
        inner_steps=options.inner_steps,
        val_steps=options.val_inner_steps,
        first_order=first_order,
        only_head=only_head,
        learn_rates=options.learn_rates,
        workers=workers,
    )


def _reptile(backbone: nn.Module, options: Any, workers: int) -> nn.Module:
    return Reptile(
        backbone,
        options.n_way,
        head=options.head,
        statistics=options.statistics,
        inner_lr=options.inner_lr,
        inner_steps=options.inner_steps,
        inner_batch=options.inner_batch,
        val_steps=options.val_inner_steps,
        val_batch=options.val_inner_batch,
        workers=workers,
        seed=options.seed,
    )


METHODS: dict[str, Callable[[nn.Module, Any, int], nn.Module]] = {
    "protonet": _protonet,
    "classifier": _classifier,
    "maml": _maml,
    "fomaml": partial(_maml, first_order=True),
    "anil": partial(_maml, only_head=True),
    "reptile": _reptile,
}


def build_method(backbone: nn.Module, options: Any, *, workers: int = 1) -> Any:
    """A method around a backbone.  options: a TrainConfig.  workers: tasks worked on at once, where it can."""
    return METHODS[options.method](backbone, options, workers)
