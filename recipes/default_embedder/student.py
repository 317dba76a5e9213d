"""The network that is trained, and how to run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from crops import DIM
from safetensors.torch import load_file
from torch import Tensor, nn

MEAN = STD = 0.5  # student and teacher: RGB / 127.5 - 1


def conv(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out))


class Block(nn.Module):
    """Residual block of two 3x3 convolutions; the shortcut averages before it thins out, so no pixel is skipped."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv(n_in, n_out, stride), conv(n_out, n_out)
        self.shortcut = nn.Identity()
        if n_in != n_out:
            project = [nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out)]
            self.shortcut = nn.Sequential(*([nn.AvgPool2d(stride)] if stride > 1 else []), *project)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Student(nn.Module):
    """float32 [N, 3, SIZE, SIZE], RGB normalised with MEAN and STD -> float32 [N, DIM], before centring and L2.

    A narrow ResNet of plain 3x3 convolutions. It has three times the arithmetic of MobileNetV3-small and yet trains
    almost twice as fast on a CPU (no depthwise layers, bf16 pays), and plain convolutions are what INT8 and GPUs like.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 24, stride=2), nn.ReLU(), nn.MaxPool2d(2))
        self.trunk = nn.Sequential(
            Block(24, 32, 1), Block(32, 64, 2), Block(64, 128, 2), Block(128, 128, 1), Block(128, 256, 2)
        )  # fmt: skip
        self.head = nn.Linear(256, DIM)
        self.register_buffer("base_mean", torch.zeros(DIM))  # of the training crops; the exporter subtracts it

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(self.stem(x)).mean((2, 3)))


def load_student(path: Path) -> Student:
    """The trained student, ready for export; its `base_mean` is to be subtracted before the L2 normalisation."""
    student = Student()
    student.load_state_dict(load_file(str(path)))
    return student.eval()


def normalise(images: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] RGB -> float32 [N, 3, H, W], channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255 * STD).sub_(MEAN / STD)


@torch.inference_mode()
def embed(student: Student, images: np.ndarray, base_mean: Tensor | float = 0.0) -> Tensor:
    """uint8 [N, SIZE, SIZE, 3] RGB -> float32 [N, DIM]."""
    student.eval()
    batches = (np.array(images[i : i + 256]) for i in range(0, len(images), 256))
    return torch.cat([student(normalise(batch)) for batch in batches]) - base_mean


def unit(z: Tensor) -> np.ndarray:
    return F.normalize(z).numpy()
