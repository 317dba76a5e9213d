"""The last step: centre the embedding, and let the directions in which photos of *one* thing differ count less.

Within-class covariance normalisation (Hatch and others 2006), halved twice: shrunk half-way to a multiple of the
identity, and its square root's square root taken instead of its square root. Full strength would make noise as loud as
signal. Chosen on held-out classes, over whitening by the covariance of all pictures: see benchmarks/LOG.md.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from student import Student, embed

STRENGTH = 0.5  # 0: only centre; 1: photos of one thing differ equally in every direction
SHRINKAGE = 0.5  # towards differing equally already


@torch.no_grad()
def whiten(student: Student, views: np.ndarray, labels: np.ndarray) -> None:
    """Change the head, in place. views: uint8 [N, SIZE, SIZE, 3] RGB of training classes; labels: int [N]."""
    z = embed(student, views)
    mean, classes = z.mean(0), torch.from_numpy(labels)
    unit = F.normalize(z - mean)
    for label in classes.unique():
        unit[classes == label] -= unit[classes == label].mean(0)
    within = unit.T @ unit / len(unit)
    equal = within.trace() / len(within) * torch.eye(len(within))
    variances, directions = torch.linalg.eigh(within.lerp(equal, SHRINKAGE))
    change = directions * variances ** (-STRENGTH / 2)
    student.head.bias.data = (student.head.bias - mean) @ change
    student.head.weight.data = change.T @ student.head.weight
