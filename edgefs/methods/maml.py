"""Options of MAML and its variants (`edgefs/meta/maml.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from edgefs.methods.meta_learning import AdaptingConfig
from edgefs.methods.options import option


@dataclass(frozen=True, kw_only=True)
class MAMLConfig(AdaptingConfig):
    """MAML (Finn et al. 2017), second order: learn weights from which a few gradient steps solve a task."""

    first_order: ClassVar[bool] = False
    only_head: ClassVar[bool] = False

    tasks: int = 4
    clip: float = 10.0
    val_every: int = 250
    val_episodes: int = 200
    learn_rates: bool = option(False, "learn one inner rate per tensor and step")

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        from edgefs.meta.maml import MAML

        return MAML(
            backbone, self.n_way, head=self.head, statistics=self.statistics, inner_lr=self.inner_lr,
            inner_steps=self.inner_steps, val_steps=self.val_inner_steps, first_order=self.first_order,
            only_head=self.only_head, learn_rates=self.learn_rates, workers=workers,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FOMAMLConfig(MAMLConfig):
    """MAML of first order: the inner gradient counts as a constant."""

    first_order: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class ANILConfig(MAMLConfig):
    """ANIL (Raghu et al. 2020): MAML that adapts only the head."""

    only_head: ClassVar[bool] = True
