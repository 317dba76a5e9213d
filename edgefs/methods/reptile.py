"""Options of Reptile (`edgefs/meta/reptile.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from edgefs.methods.meta_learning import AdaptingConfig
from edgefs.methods.options import option


@dataclass(frozen=True, kw_only=True)
class ReptileConfig(AdaptingConfig):
    """Reptile (Nichol et al. 2018): train on a task, then move the weights towards where that led."""

    momentum: ClassVar[float] = 0.0  # by its definition plain SGD

    tasks: int = 5
    n_shot: int = 10
    n_query: int = 1
    optimiser: str = "sgd"
    lr: float = 1.0
    schedule: str = "linear"
    inner_lr: float = 1e-3
    val_inner_steps: int = 50
    val_every: int = 1000
    val_episodes: int = 200
    inner_batch: int = option(10, "images of a minibatch of adaptation in training", least=1)
    val_inner_batch: int = option(5, "images of a minibatch of adaptation after training", least=1)

    @property
    def fixed_way(self) -> bool:
        return True  # the second moments are those of one head

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        from edgefs.meta.reptile import Reptile

        return Reptile(
            backbone, self.n_way, head=self.head, statistics=self.statistics, inner_lr=self.inner_lr,
            inner_steps=self.inner_steps, inner_batch=self.inner_batch, val_steps=self.val_inner_steps,
            val_batch=self.val_inner_batch, workers=workers, seed=self.seed,
        )  # fmt: skip
