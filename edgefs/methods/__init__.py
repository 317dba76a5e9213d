"""Every training method by its name. A new method is one file here and one line in its table below.

A method is a config dataclass: its options with their help and defaults, and `build`, which makes the network. Nothing
here imports torch, so that the help is instant and a recipe can be read anywhere.
"""

from __future__ import annotations

from typing import Any

from edgefs.methods.adapt import AdaBNConfig, AdaptConfig, CORALConfig, DANNConfig, MMDConfig
from edgefs.methods.classifier import ClassifierConfig
from edgefs.methods.finetune import METHODS as FINETUNE_METHODS
from edgefs.methods.finetune import FinetuneConfig
from edgefs.methods.maml import ANILConfig, FOMAMLConfig, MAMLConfig
from edgefs.methods.meta_learning import TrainConfig
from edgefs.methods.options import Config, settled
from edgefs.methods.protonet import ProtoNetConfig
from edgefs.methods.reptile import ReptileConfig

META: dict[str, type[TrainConfig]] = {
    "protonet": ProtoNetConfig,
    "classifier": ClassifierConfig,
    "maml": MAMLConfig,
    "fomaml": FOMAMLConfig,
    "anil": ANILConfig,
    "reptile": ReptileConfig,
}
FINETUNE: dict[str, type[FinetuneConfig]] = dict.fromkeys(FINETUNE_METHODS, FinetuneConfig)
ADAPT: dict[str, type[AdaptConfig]] = {
    "dann": DANNConfig,
    "mmd": MMDConfig,
    "coral": CORALConfig,
    "adabn": AdaBNConfig,
}


def config_class(method: str) -> type[Config]:
    """The config of a method of any kind. Raises KeyError."""
    for table in (META, FINETUNE, ADAPT):
        if method in table:
            return table[method]  # type: ignore[no-any-return]
    raise KeyError(method)


def config_of(method: str, **options: Any) -> Any:
    """The config of a method of any kind, its own defaults below the options. Raises ConfigError."""
    for table in (FINETUNE, ADAPT):
        if method in table:
            return settled(table, method, options)  # type: ignore[type-var]
    return settled(META, method, options)
