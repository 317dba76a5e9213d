"""Every training method by its name. A new method is one file here and one line in its table below.

A method is a config dataclass: its options with their help and defaults, and `build`, which makes the network. Nothing
here imports torch, so that the help is instant and a recipe can be read anywhere.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgefs.methods.adapt import AdaptConfig
from edgefs.methods.finetune import FinetuneConfig
from edgefs.methods.meta_learning import TrainConfig
from edgefs.methods.options import settled

__all__ = ["ADAPT", "FINETUNE", "META", "METHODS", "AdaptConfig", "FinetuneConfig", "TrainConfig", "config_of"]


def _classes(table: dict[str, str]) -> dict[str, Any]:
    """The config class of each method, from "module:class"."""
    places = {name: place.partition(":") for name, place in table.items()}
    return {name: getattr(import_module(module), kind) for name, (module, _, kind) in places.items()}


META: dict[str, type[TrainConfig]] = _classes(
    {
        "protonet": "edgefs.methods.protonet:ProtoNetConfig",
        "classifier": "edgefs.methods.classifier:ClassifierConfig",
        "maml": "edgefs.methods.maml:MAMLConfig",
        "fomaml": "edgefs.methods.maml:FOMAMLConfig",
        "anil": "edgefs.methods.maml:ANILConfig",
        "reptile": "edgefs.methods.reptile:ReptileConfig",
    }
)
FINETUNE: dict[str, type[FinetuneConfig]] = {"finetune": FinetuneConfig, "features": FinetuneConfig}
ADAPT: dict[str, type[AdaptConfig]] = _classes(
    {
        "dann": "edgefs.methods.adapt:DANNConfig",
        "mmd": "edgefs.methods.adapt:MMDConfig",
        "coral": "edgefs.methods.adapt:CORALConfig",
        "adabn": "edgefs.methods.adapt:AdaBNConfig",
    }
)


METHODS: dict[str, type[Any]] = {**META, **FINETUNE, **ADAPT}


def config_of(method: str, **options: Any) -> Any:
    """The config of a method of any kind, its own defaults below the options. Raises ConfigError."""
    return settled(METHODS, method, options)
