"""The last step: centre the embedding, and let the directions that say least about what a thing *is* count less.

Those are the directions in which all pictures differ most (PCA whitening), and those in which photos of one thing
differ (within-class covariance normalisation, Hatch and others 2006): half of each, and half of the strength, between
none, which the teacher's own embedding has, and full, which makes noise as loud as signal. Chosen over either alone:
see benchmarks/LOG.md.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from student import Student, embed
from torch import Tensor

PICTURES = 2048  # the mean and the directions of all pictures are found from
STRENGTH = 0.5  # 0: only centre; 1: every direction the same
SHRINKAGE = 0.2  # towards every direction being the same already


@torch.no_grad()
def whiten(student: Student, pictures: np.ndarray, views: np.ndarray, labels: np.ndarray) -> None:
    """Change the head, in place.

    pictures: uint8 [N, SIZE, SIZE, 3] RGB, the lessons'.  views, labels: photos of training classes, uint8 likewise
    [V, SIZE, SIZE, 3], and their class ids, int [V].
    """
    z = embed(student, pictures[:PICTURES])
    mean = z.mean(0)
    of_classes = F.normalize(embed(student, views) - mean)
    classes = torch.from_numpy(labels)
    for label in classes.unique():
        of_classes[classes == label] -= of_classes[classes == label].mean(0)
    covariance = (spread(F.normalize(z - mean)) + spread(of_classes)) / 2
    variances, directions = torch.linalg.eigh(covariance.lerp(torch.eye(len(covariance)), SHRINKAGE))
    change = directions * variances ** (-STRENGTH / 2)
    student.head.bias.data = (student.head.bias - mean) @ change
    student.head.weight.data = change.T @ student.head.weight


def spread(z: Tensor) -> Tensor:
    """The second moments of vectors [N, D], scaled so that a direction has 1 on average: [D, D]."""
    moments = z.T @ z
    return moments * len(moments) / moments.trace()
