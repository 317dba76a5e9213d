"""The last step: centre the embedding, and let the directions in which all things differ most count less.

Half-whitening (between none, which the teacher's own embedding has, and full, which makes noise as loud as signal) was
chosen on held-out classes, for the teacher first and then for the student: see benchmarks/LOG.md.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from student import Student, embed

PICTURES = 2048  # the mean and the directions are found from
STRENGTH = 0.5  # 0: only centre; 1: every direction the same
LEAST = 1e-4  # of the largest variance; smaller ones count as this


@torch.no_grad()
def half_whiten(student: Student, pictures: np.ndarray) -> None:
    """Change the head, in place. pictures: uint8 [N, H, H, 3] RGB of training classes."""
    z = embed(student, pictures[:PICTURES])
    mean = z.mean(0)
    unit = F.normalize(z - mean)
    variances, directions = torch.linalg.eigh(unit.T @ unit / len(unit))
    change = directions * variances.clamp_min(LEAST * variances[-1]) ** (-STRENGTH / 2)
    student.head.bias.data = (student.head.bias - mean) @ change
    student.head.weight.data = change.T @ student.head.weight
