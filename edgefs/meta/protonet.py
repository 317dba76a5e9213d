"""Prototypical Networks (Snell, Swersky, Zemel 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175).

T: tasks.  W: n_way.  S: n_shot.  Q: n_query.  D: feature size.

A class is the mean of its support features; a query is classified by a softmax over minus the squared Euclidean
distance to every prototype, or over the scaled cosine (learned scale: Gidaris and Komodakis 2018, arXiv:1804.09458).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks
from edgefs.errors import ConfigError

DISTANCES = ("euclidean", "cosine")
FIRST_SCALE = 10.0


class ProtoNet(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone whose embeddings are compared with the mean of each class.

    Args:
        distance: "euclidean" or "cosine".
        temperature: Divisor of squared distances. With many features they start so large that the softmax saturates.
        bf16: Run the backbone in bfloat16. Weights, distances and loss are always float32.
    """

    def __init__(
        self, backbone: nn.Module, *, distance: str = "euclidean", temperature: float = 1.0, bf16: bool = False
    ) -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise ConfigError(f"distance must be one of {DISTANCES}, but is {distance!r}")
        self.backbone, self.metric, self.temperature, self.bf16 = backbone, distance, temperature, bf16
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE)) if distance == "cosine" else None

    def logits(self, tasks: Tasks) -> Tensor:
        """Scores `float32 [T, W·Q, W]` of every query for the classes of its task, from one forward pass."""
        images = tasks.images
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.backbone(images.flatten(0, 2))
        z = features.float().unflatten(0, images.shape[:3])
        prototypes = z[:, :, : tasks.n_shot].mean(dim=2)
        queries = z[:, :, tasks.n_shot :].flatten(1, 2)
        return self.scores(queries, prototypes)

    def scores(self, queries: Tensor, prototypes: Tensor) -> Tensor:
        """`float32 [T, M, D]` and `[T, W, D]` to `[T, M, W]`; the highest score wins."""
        if self.scale is not None:
            return self.scale * F.normalize(queries, dim=-1) @ F.normalize(prototypes, dim=-1).transpose(1, 2)
        return -squared_distances(queries, prototypes) / self.temperature

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        logits = self.logits(tasks)
        labels = query_labels(tasks)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        loss.backward()
        return loss.item(), (logits.detach().argmax(dim=2) == labels).double().mean(dim=1).cpu().numpy()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def accuracies(self, tasks: Tasks) -> NDArray[np.float64]:
        return (self.logits(tasks).argmax(dim=2) == query_labels(tasks)).double().mean(dim=1).cpu().numpy()  # type: ignore[no-any-return]


def squared_distances(queries: Tensor, prototypes: Tensor) -> Tensor:
    """`[T, M, D]` and `[T, W, D]` to `[T, M, W]`, by |q|² - 2 q·p + |p|²: one product instead of M·W·D differences."""
    squares = queries.square().sum(dim=2, keepdim=True) + prototypes.square().sum(dim=2).unsqueeze(1)
    return squares - 2 * queries @ prototypes.transpose(1, 2)


def query_labels(tasks: Tasks) -> Tensor:
    """`int64 [T, W·Q]`: class w of a task is label w."""
    n_tasks, n_way, n_images = tasks.images.shape[:3]
    labels = torch.arange(n_way, device=tasks.images.device).repeat_interleave(n_images - tasks.n_shot)
    return labels.expand(n_tasks, -1)
