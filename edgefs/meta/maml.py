"""MAML (Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning", arXiv:1703.03400), and three variants:

first order    the outer gradient treats the inner one as a constant (the paper's own variant, "FOMAML")
ANIL           only the head is adapted (Raghu et al. 2020, arXiv:1909.09157), so the features are computed once
learned rates  one inner rate for each weight tensor and step (Antoniou et al. 2019, "MAML++", arXiv:1810.09502)

Normalisation uses the statistics of each batch, also of the query (transductive, as in the paper), or the running
statistics of a network that was trained before; then the queries do not influence each other. Everything runs in
float32: in bfloat16 the cosine of the meta-gradient to the true one falls to 0.70 after five second-order steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks
from edgefs.meta.functional import Functional, WorkerThreads
from edgefs.networks.learner import HEAD, Learner


class MAML(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A learner whose weights are trained so that a few gradient steps solve a task.

    Args:
        n_way: Classes of an episode.
        head: Where the head starts in every task, see Learner.
        statistics: Normalise by each "batch", or by the "running" statistics of the network it starts from.
        inner_lr: Learning rate of adaptation.
        inner_steps: Steps of adaptation in training.
        val_steps: Steps of adaptation after training.
        first_order: Treat the inner gradient as a constant.
        only_head: Adapt only the head (ANIL).
        learn_rates: Learn one inner rate for each tensor and step.
        workers: Tasks that are worked on at the same time.
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_way: int,
        *,
        head: str = "zero",
        statistics: str = "batch",
        inner_lr: float = 0.4,
        inner_steps: int = 5,
        val_steps: int = 10,
        first_order: bool = False,
        only_head: bool = False,
        learn_rates: bool = False,
        workers: int = 1,
    ) -> None:
        super().__init__()
        self.learner, self.metric = Learner(backbone, n_way, head), None
        self.inner_lr, self.inner_steps, self.val_steps = inner_lr, inner_steps, val_steps
        self.first_order, self.only_head = first_order, only_head
        count = HEAD if only_head else len(list(self.learner.parameters()))
        self.rates = nn.Parameter(torch.full((inner_steps, count), inner_lr)) if learn_rates else None
        self._workers = WorkerThreads(self.learner, workers, running=statistics == "running", twice=not first_order)

    @property
    def backbone(self) -> nn.Module:
        return self.learner.backbone

    def adapted(
        self,
        network: Functional,
        weights: Sequence[Tensor],
        rates: Tensor | None,
        support: Tensor,
        *,
        steps: int,
        graph: bool,
    ) -> list[Tensor]:
        """Weights after `steps` of gradient descent on a support `[W, S, C, H, W']`.

        Args:
            rates: Learned rates `[inner_steps, tensors]`; None: `inner_lr`.
            graph: Whether the gradients stay differentiable (second order). The steps always are.
        """
        x, y, weights = batch_of(support), labels_of(support), list(weights)
        fixed = len(weights) - HEAD if self.only_head else 0
        at_prototypes = self.learner.from_prototypes
        features = network.features(weights, x) if self.only_head or at_prototypes else torch.empty(0)
        if at_prototypes:  # views: the body's gradient must not pass through the prototypes
            weights = [weight.view_as(weight) for weight in self.learner.start(weights, features, len(support))]
        for step in range(steps):
            logits = F.linear(features, *weights[fixed:]) if self.only_head else network(weights, x)
            moving = weights[fixed:]
            gradients = torch.autograd.grad(
                F.cross_entropy(logits, y), moving, create_graph=graph, retain_graph=graph or self.only_head
            )
            if rates is None:
                weights[fixed:] = [torch.sub(w, g, alpha=self.inner_lr) for w, g in zip(moving, gradients, strict=True)]
            else:
                row = rates[min(step, len(rates) - 1)].unbind()
                weights[fixed:] = [w - rate * g for w, g, rate in zip(moving, gradients, row, strict=True)]
        return weights

    def task_gradient(
        self, network: Functional, support: Tensor, query: Tensor
    ) -> tuple[tuple[Tensor, ...], float, float]:
        """The meta-gradient of one task, in the order of `parameters()`, its query loss and its accuracy (0..1).

        Args:
            support: `float32 [W, S, C, H, W']`.
            query: `float32 [W, Q, C, H, W']`.
        """
        leaves = [parameter.detach().requires_grad_() for parameter in self.parameters()]
        rates, weights = self._split(leaves)
        weights = self.adapted(network, weights, rates, support, steps=self.inner_steps, graph=not self.first_order)
        logits, labels = network(weights, batch_of(query)), labels_of(query)
        loss = F.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(
            loss, leaves, materialize_grads=True
        )  # zero for a head that prototypes replaced
        return gradients, loss.item(), (logits.detach().argmax(dim=1) == labels).double().mean().item()

    def _split(self, parameters: Sequence[Tensor]) -> tuple[Tensor | None, list[Tensor]]:
        """The learned rates and the weights; a module's own parameters come before its children's."""
        return (None, list(parameters)) if self.rates is None else (parameters[0], list(parameters[1:]))

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        results = self._workers.map(
            lambda network, i: self.task_gradient(network, tasks.support[i], tasks.query[i]), len(tasks)
        )
        for position, parameter in enumerate(self.parameters()):
            parameter.grad = torch.stack([result[0][position] for result in results]).mean(dim=0)
        return float(np.mean([result[1] for result in results])), np.array([result[2] for result in results])

    def accuracies(self, tasks: Tasks) -> NDArray[np.float64]:
        return np.array(
            self._workers.map(lambda network, i: self._accuracy(network, tasks.support[i], tasks.query[i]), len(tasks))
        )

    def _accuracy(self, network: Functional, support: Tensor, query: Tensor) -> float:
        leaves = [parameter.detach().requires_grad_() for parameter in self.parameters()]
        rates, weights = self._split(leaves)
        weights = self.adapted(network, weights, rates, support, steps=self.val_steps, graph=False)
        with torch.no_grad():
            logits = network(weights, batch_of(query))
        return float((logits.argmax(dim=1) == labels_of(query)).double().mean())


def batch_of(images: Tensor) -> Tensor:
    """Images `[W, n, C, H, W']` as one batch `[W·n, C, H, W']`, channels last in memory.

    Flattening a slice of a task copies it. Without the permutation the copy would have channels first, and pooling
    would take 25 times as long.
    """
    return images.permute(0, 1, 3, 4, 2).flatten(0, 1).permute(0, 3, 1, 2)


def labels_of(images: Tensor) -> Tensor:
    """`int64 [W·n]` for images `[W, n, …]`: class w is label w."""
    return torch.arange(images.shape[0], device=images.device).repeat_interleave(images.shape[1])
