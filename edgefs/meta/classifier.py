"""Classifier-Baseline, the first stage of Meta-Baseline (Chen, Liu, Xu, Darrell, Wang 2021, arXiv:2003.04390).

The backbone learns to tell all training classes apart, by the scaled cosine to one learned weight for each class
(Gidaris and Komodakis 2018, arXiv:1804.09458). The weights are then dropped: the embedding is validated and used with
nearest class means. The second stage is any other method with `init_from`.

A batch is one episode without a support set: n_way classes with n_shot + n_query images each.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefs.data.tasks import Tasks
from edgefs.meta.protonet import FIRST_SCALE


class Classifier(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone and one weight for each training class.

    Args:
        n_classes: Classes of the training set, each quarter turn counted.
        bf16: Run the backbone in bfloat16.
    """

    def __init__(self, backbone: nn.Module, n_classes: int, *, bf16: bool = False) -> None:
        super().__init__()
        self.backbone, self.bf16, self.metric = backbone, bf16, "cosine"
        self.classes = nn.Parameter(torch.randn(n_classes, backbone.dim) / backbone.dim**0.5)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))

    def logits(self, images: Tensor) -> Tensor:
        """`float32 [B, C, H, W]` to `[B, n_classes]`."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.backbone(images)
        return self.scale * F.linear(F.normalize(features.float(), dim=1), F.normalize(self.classes, dim=1))

    def gradients(self, tasks: Tasks) -> tuple[float, NDArray[np.float64]]:
        labels = tasks.kinds.repeat_interleave(tasks.images.shape[2], dim=1).flatten()
        logits = self.logits(tasks.images.flatten(0, 2))
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        right = (logits.detach().argmax(dim=1) == labels).double()
        return loss.item(), right.unflatten(0, (len(tasks), -1)).mean(dim=1).cpu().numpy()
