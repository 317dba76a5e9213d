"""The network that is trained, and how to run it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lessons import DIM
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

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
    """float32 [N, 3, SIZE, SIZE], RGB normalised with MEAN and STD -> float32 [N, DIM], before L2.

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

    @property
    def first_layers(self) -> nn.ModuleList:
        return nn.ModuleList([self.stem, self.trunk[0]])

    def places(self, x: Tensor) -> Tensor:
        """What each place of the last feature map says: float32 [N, H / 32, W / 32, DIM]; `forward` is its mean."""
        return self.head(self.trunk(self.stem(x)).permute(0, 2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(self.stem(x)).mean((2, 3)))

    def folded(self) -> Student:
        """A copy for export, every BatchNorm folded into its convolution: weights are rounded as they are stored."""
        copy = deepcopy(self).eval()
        for pair in [m for m in copy.modules() if isinstance(m, nn.Sequential)]:
            for i in range(len(pair) - 1):
                if isinstance(pair[i], nn.Conv2d) and isinstance(pair[i + 1], nn.BatchNorm2d):
                    pair[i], pair[i + 1] = fuse_conv_bn_eval(pair[i], pair[i + 1]), nn.Identity()
        return copy


def load_student(path: Path) -> Student:
    """The trained student, ready for use."""
    student = Student()
    student.load_state_dict(load_file(str(path)))
    return student.eval()


def normalise(images: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] RGB -> float32 [N, 3, H, W], channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255 * STD).sub_(MEAN / STD)


@torch.inference_mode()
def embed(student: Student, images: np.ndarray) -> Tensor:
    """uint8 [N, SIZE, SIZE, 3] RGB -> float32 [N, DIM]."""
    student.eval()
    batches = (np.array(images[i : i + 256]) for i in range(0, len(images), 256))
    return torch.cat([student(normalise(batch)) for batch in batches])


def unit(z: Tensor) -> np.ndarray:
    return F.normalize(z).numpy()
