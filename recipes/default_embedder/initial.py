"""The student before training: ImageNet weights, the most useful half of the last convolution, a least-squares head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from photos import Photo, device_view
from student import WIDTH, Student, features_of, pretrained_student
from teacher_targets import Targets
from torch import Tensor

PICTURES = 4096  # the head is fitted to the teacher's embeddings of these
RIDGE = 0.1  # of the mean variance of a feature


def initial_student(shared: Path, photos: list[Photo], targets: Targets) -> Student:
    """A student that answers like the teacher as well as a linear head alone can make it."""
    student = pretrained_student(shared)
    pictures = targets.order[: min(PICTURES, len(targets))]
    features = features_of(student, np.stack([device_view(photos[i].decode()) for i in pictures]))
    wanted = targets.whole(pictures)
    weight, _ = least_squares(features, wanted)
    use = weight.norm(dim=0) * features.std(0)
    channels = use.argsort(descending=True)[:WIDTH].sort().values
    student.narrow(channels)
    weight, bias = least_squares(features[:, channels], wanted)
    student.head.weight.data, student.head.bias.data = weight, bias
    return student


def least_squares(features: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The ridge regression from features [N, C] to embeddings [N, DIM]: its weight [DIM, C] and its bias [DIM]."""
    x, y = features.double(), wanted.double()
    centred = x - x.mean(0)
    squares = centred.T @ centred
    squares += RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
    weight = torch.linalg.solve(squares, centred.T @ (y - y.mean(0))).T
    return weight.float().contiguous(), (y.mean(0) - weight @ x.mean(0)).float()
