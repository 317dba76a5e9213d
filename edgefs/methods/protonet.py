"""Options of Prototypical Networks (`edgefs/meta/protonet.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgefs.methods.meta_learning import TrainConfig
from edgefs.methods.options import option


@dataclass(frozen=True, kw_only=True)
class ProtoNetConfig(TrainConfig):
    """Prototypical Networks (Snell et al. 2017): nearest class mean, learned end to end."""

    n_way: int = 60
    n_query: int = 5
    bf16: bool | None = None
    distance: str = option("euclidean", "between a query and a prototype", choices=("euclidean", "cosine"))
    temperature: float = option(1.0, "divides squared distances")

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        from edgefs.meta.protonet import ProtoNet

        return ProtoNet(backbone, distance=self.distance, temperature=self.temperature, bf16=bool(self.bf16))
