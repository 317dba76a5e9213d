"""The student: MobileNetV2-1.0 on pictures of 144 pixels, with half as wide a last convolution and a linear head.

The head is applied at every place of the last feature map, and the embedding is the mean over the places, which equals
the head applied to the mean feature. Batch normalisation is folded into the convolutions from the start.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from teacher import DIM, load_mobilenet
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, parametrize
from torchvision.models import mobilenet_v2

MEAN = STD = 0.5  # RGB / 127.5 - 1
WIDTH = 640  # channels of the last convolution, of MobileNetV2's 1280
FROZEN = 4  # the stem and the first three blocks keep their ImageNet weights: half of a training step's time


class Student(nn.Module):
    """float32 [N, 3, SIZE, SIZE], RGB normalised with MEAN and STD -> float32 [N, DIM], before L2."""

    def __init__(self, features: nn.Sequential | None = None) -> None:
        super().__init__()
        self.features = folded(features or mobilenet_v2().features)
        self.head = nn.Linear(1280, DIM)
        if features is None:
            self.narrow(torch.arange(WIDTH))

    def narrow(self, channels: Tensor) -> None:
        """Keep only these channels of the last convolution."""
        convolution = self.features[-1][0]
        convolution.out_channels = len(channels)
        convolution.weight = nn.Parameter(convolution.weight.detach()[channels].contiguous())
        convolution.bias = nn.Parameter(convolution.bias.detach()[channels].contiguous())
        self.head = nn.Linear(len(channels), DIM)

    def places(self, x: Tensor) -> Tensor:
        """The embedding of every place, before L2: float32 [N, H, W, DIM]. `forward` is their mean."""
        return self.head(self.features(x).permute(0, 2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


def pretrained_student(shared: Path) -> Student:
    """MobileNetV2 with ImageNet weights, all channels and a random head; `initial.py` makes a student of it."""
    return Student(load_mobilenet(shared)).eval()


def load_student(path: Path) -> Student:
    """A student that training has stored."""
    student = Student()
    student.load_state_dict(load_file(str(path)))
    return student.eval()


def folded(features: nn.Sequential) -> nn.Sequential:
    """Fold every BatchNorm into the convolution before it, in place."""
    features.eval()
    for pair in [module for module in features.modules() if isinstance(module, nn.Sequential)]:
        for i in range(len(pair) - 1):
            if isinstance(pair[i], nn.Conv2d) and isinstance(pair[i + 1], nn.BatchNorm2d):
                pair[i], pair[i + 1] = fuse_conv_bn_eval(pair[i], pair[i + 1]), nn.Identity()
    return features.requires_grad_(True)  # folding leaves biases that do not ask for a gradient


class Scaled(nn.Module):
    """A parametrisation of weights in units of the initial root mean square of each output channel.

    Folding leaves channels whose weights differ a hundredfold in size; one learning rate fits them all only when each
    is measured by its own size.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rms = weight.detach().flatten(1).square().mean(1).sqrt()
        self.register_buffer("unit", rms.clamp_min(1e-3 * float(rms.mean())).view(-1, *[1] * (weight.ndim - 1)))

    def forward(self, value: Tensor) -> Tensor:
        return value * self.unit

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / self.unit


def prepare_for_training(student: Student) -> None:
    """Freeze the first layers and express the other weights in units of their own size, in place."""
    student.features[:FROZEN].requires_grad_(False)
    for module in (*student.features[FROZEN:].modules(), student.head):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            parametrize.register_parametrization(module, "weight", Scaled(module.weight))


def plain_weights(student: Student) -> dict[str, Tensor]:
    """The state of a student, without parametrisations."""
    weights = {}
    for name, module in student.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weights[f"{name}.weight"] = module.weight.detach().clone(memory_format=torch.contiguous_format)
            weights[f"{name}.bias"] = module.bias.detach().clone()
    return weights


def normalise(images: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] RGB -> float32 [N, 3, H, W], channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255 * STD).sub_(MEAN / STD)


@torch.inference_mode()
def features_of(student: Student, images: np.ndarray) -> Tensor:
    """uint8 [N, SIZE, SIZE, 3] RGB -> mean features float32 [N, 1280]."""
    batches = (normalise(np.ascontiguousarray(images[i : i + 64])) for i in range(0, len(images), 64))
    return torch.cat([student.features(batch).mean((2, 3)) for batch in batches])


@torch.inference_mode()
def embed(student: Student, images: np.ndarray) -> Tensor:
    """uint8 [N, SIZE, SIZE, 3] RGB -> float32 [N, DIM], before L2."""
    return student.head(features_of(student, images))


def unit(z: Tensor) -> np.ndarray:
    return F.normalize(z).numpy()
