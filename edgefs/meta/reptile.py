"""Reptile (Nichol, Achiam, Schulman 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999).

Each task trains a copy φ of the weights θ on a few minibatches; then θ ← θ + ε · mean(φ - θ). The "gradient" given to
the optimiser is θ - mean(φ), so plain SGD with learning rate ε is this update, and ε follows the usual schedules.

The inner optimiser is the authors' Adam without momentum (β₁ = 0). Its second moments are kept from task to task and
are part of the state. Training tasks have more shots than the evaluation (10 for 1-shot), as in the paper's appendix.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks
from edgefs.meta.functional import Functional, WorkerThreads
from edgefs.meta.maml import batch_of, labels_of
from edgefs.networks.learner import Learner

BETA = 0.999
EPS = 1e-8
MINIBATCH_STREAM = 1 << 41  # keeps minibatch draws apart from the sampler's random numbers


class Reptile(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A learner whose weights move towards those that training on single tasks leads to.

    Args:
        n_way: Classes of an episode.
        head: Where the head starts in every task, see Learner. A head that starts at prototypes is not meta-learned.
        statistics: Normalise by each "batch", or by the "running" statistics of the network it starts from.
        inner_lr: Learning rate of Adam on one task.
        inner_steps: Steps on one task in training.
        inner_batch: Images of a minibatch in training.
        val_steps: Steps on one task after training.
        val_batch: Images of a minibatch after training.
        workers: Tasks that are worked on at the same time.
        seed: Seed of the minibatches.
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_way: int,
        *,
        head: str = "zero",
        statistics: str = "batch",
        inner_lr: float = 1e-3,
        inner_steps: int = 5,
        inner_batch: int = 10,
        val_steps: int = 50,
        val_batch: int = 5,
        workers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.learner, self.metric = Learner(backbone, n_way, head), None
        self.inner_lr, self.inner_steps, self.inner_batch = inner_lr, inner_steps, inner_batch
        self.val_steps, self.val_batch, self.seed = val_steps, val_batch, seed
        self.moments = nn.Module()
        for i, weight in enumerate(self.learner.parameters()):
            self.moments.register_buffer(str(i), torch.zeros_like(weight))
        self.register_buffer("inner_count", torch.zeros((), dtype=torch.float64))  # Adam steps so far
        self._workers = WorkerThreads(self.learner, workers, running=statistics == "running")

    @property
    def backbone(self) -> nn.Module:
        return self.learner.backbone

    def adapted(
        self, network: Functional, support: Tensor, episode: int, *, steps: int, batch: int
    ) -> tuple[list[Tensor], list[Tensor], float, float]:
        """Adam on minibatches of a support `[W, S, C, H, W']`: weights, second moments, last loss and accuracy."""
        x, y = batch_of(support), labels_of(support)
        weights = [weight.detach().clone() for weight in self.learner.parameters()]
        if self.learner.from_prototypes:
            with torch.no_grad():
                weights = self.learner.start(weights, network.features(weights, x), len(support))
        moments = [moment.clone() for moment in self.moments.buffers()]
        count, loss, right = float(self.inner_count), torch.zeros(()), torch.zeros(())
        for rows in minibatches(
            len(x), batch, steps, np.random.Generator(np.random.Philox(key=(self.seed + MINIBATCH_STREAM, episode)))
        ):
            picked = torch.from_numpy(rows).to(x.device)
            for weight in weights:
                weight.requires_grad_()
            logits = network(weights, x[picked])
            loss = F.cross_entropy(logits, y[picked])
            gradients = torch.autograd.grad(loss, weights)
            right = (logits.detach().argmax(dim=1) == y[picked]).double().mean()
            count += 1
            with torch.no_grad():
                weights = [weight.detach() for weight in weights]
                _adam(weights, gradients, moments, self.inner_lr, count)
        return weights, moments, loss.item(), right.item()

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        def work(network: Functional, i: int) -> tuple[list[Tensor], list[Tensor], float, float]:
            episode = tasks.first + i * tasks.step
            return self.adapted(network, tasks.images[i], episode, steps=self.inner_steps, batch=self.inner_batch)

        results = self._workers.map(work, len(tasks))
        with torch.no_grad():
            for position, parameter in enumerate(self.learner.parameters()):
                parameter.grad = parameter - torch.stack([result[0][position] for result in results]).mean(dim=0)
            if self.learner.from_prototypes:
                for parameter in self.learner.head.parameters():
                    parameter.grad.zero_()
            for position, moment in enumerate(self.moments.buffers()):
                moment.copy_(torch.stack([result[1][position] for result in results]).mean(dim=0))
            self.inner_count += self.inner_steps
        return float(np.mean([result[2] for result in results])), np.array([result[3] for result in results])

    def accuracies(self, tasks: Tasks) -> NDArray[np.float64]:
        def work(network: Functional, i: int) -> float:
            support, query = tasks.support[i], tasks.query[i]
            weights, *_ = self.adapted(
                network, support, tasks.first + i * tasks.step, steps=self.val_steps, batch=self.val_batch
            )
            with torch.no_grad():
                logits = network(weights, batch_of(query))
            return float((logits.argmax(dim=1) == labels_of(query)).double().mean())

        return np.array(self._workers.map(work, len(tasks)))


def minibatches(n: int, batch: int, steps: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """`steps` lists of row numbers: shuffled passes over n rows, cut into batches (all rows when there are fewer)."""
    batch = min(batch, n)
    passes = -(-steps * batch // n)
    order = np.concatenate([rng.permutation(n) for _ in range(passes)])
    return [order[i * batch : (i + 1) * batch] for i in range(steps)]


def _adam(
    weights: list[Tensor], gradients: tuple[Tensor, ...], moments: list[Tensor], rate: float, count: float
) -> None:
    """Adam with β₁ = 0, in place."""
    correction = (1 - BETA**count) ** 0.5
    torch._foreach_mul_(moments, BETA)
    torch._foreach_addcmul_(moments, gradients, gradients, 1 - BETA)
    roots = torch._foreach_sqrt(moments)
    torch._foreach_div_(roots, correction)
    torch._foreach_add_(roots, EPS)
    torch._foreach_addcdiv_(weights, gradients, roots, -rate)
