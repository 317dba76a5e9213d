"""Lessons: pictures as the student will see them, each with what the teacher says of every part of it.

The teacher's last feature map (7 x 7 places of a 224 pixel picture) is centred, projected on its principal directions
and averaged over the student's GRID x GRID places. Averaging over places and projecting commute, so the mean over the
grid is exactly the projection of the teacher's own embedding.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from photos import SIZE, split_classes
from safetensors.torch import load_file
from scenes import CANVAS, Scenes
from torch import Tensor, nn
from tqdm import tqdm

DIM = 256
GRID = SIZE // 32  # places in a row of the student's last feature map
CHUNK = 32  # pictures per call of the teacher
FITTED_ON = 4096  # pictures the principal directions are found from


def load_teacher(path: Path) -> nn.Module:
    """float32 [N, 3, 224, 224] -> feature map [N, 1280, 7, 7]."""
    from torchvision.models import mobilenet_v2

    net = mobilenet_v2()
    net.load_state_dict({k: v.float() for k, v in load_file(str(path)).items()})
    return net.features.eval()


def shares(n_from: int, n_to: int) -> Tensor:
    """[n_to, n_from]: how much of each old cell lies in each new one, when a line is cut anew into equal cells."""
    old, new = torch.arange(n_from + 1) / n_from, torch.arange(n_to + 1) / n_to
    overlap = torch.minimum(old[1:], new[1:, None]) - torch.maximum(old[:-1], new[:-1, None])
    return overlap.clamp_min(0) * n_to


class Pooled(nn.Module):
    """The teacher's embedding: float32 [N, 1280]."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, pictures: Tensor) -> Tensor:
        return self.features(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1).mean((2, 3))


class Placed(nn.Module):
    """The teacher's word on every place of the student's grid: float32 [N, GRID, GRID, DIM]."""

    def __init__(self, features: nn.Module, mean: Tensor, directions: Tensor) -> None:
        super().__init__()
        self.features = features
        self.project = nn.Conv2d(len(mean), DIM, 1)
        self.project.weight.data = directions.T[:, :, None, None].contiguous()
        self.project.bias.data = -mean @ directions
        self.register_buffer("shares", shares(CANVAS // 32, GRID))

    def forward(self, pictures: Tensor) -> Tensor:
        places = self.project(self.features(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1))
        return (self.shares @ places @ self.shares.T).permute(0, 2, 3, 1)


def compiled(net: nn.Module):
    """The module in OpenVINO, several times faster than torch on a CPU: uint8 [CHUNK, 224, 224, 3] -> its answer."""
    import openvino as ov

    shape = (CHUNK, CANVAS, CANVAS, 3)
    model = ov.convert_model(net.eval(), example_input=torch.zeros(shape, dtype=torch.uint8), input=[shape])
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": torch.get_num_threads()})
    return lambda pictures: request(pictures)[0]


def principal_directions(pooled: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean [1280] and scaled directions [1280, DIM] of teacher embeddings [N, 1280]: centre, L2, PCA.

    Scaled so that a projected embedding has length 1 on average.
    """
    mean = pooled.mean(0)
    centred = pooled - mean
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(unit.T @ unit)
    directions = vectors[:, -DIM:] / np.linalg.norm(centred @ vectors[:, -DIM:], axis=1).mean()
    return torch.from_numpy(mean), torch.from_numpy(directions.astype(np.float32))


def make_lessons(data: Path, teacher: Path, out: Path, total: int, seed: int) -> None:
    """Write pictures.npy, targets.npy and lessons.json; goes on where it was interrupted."""
    state = out / "lessons.json"
    done = json.loads(state.read_text())["done"] if state.exists() else 0
    if done >= total:
        return
    cv2.setNumThreads(1)
    scenes, features = Scenes(split_classes(data)[0], seed), load_teacher(teacher)
    placed = compiled(Placed(features, *directions_of(scenes, features, out)))
    mode = "r+" if done else "w+"
    pictures = np.lib.format.open_memmap(out / "pictures.npy", mode, np.uint8, (total, SIZE, SIZE, 3))
    targets = np.lib.format.open_memmap(out / "targets.npy", mode, np.float16, (total, GRID, GRID, DIM))
    for at in tqdm(range(done, total, CHUNK), desc="lessons", unit_scale=CHUNK, unit="picture", mininterval=10):
        large = np.stack([scenes.picture(i) for i in range(at, at + CHUNK)])
        targets[at : at + CHUNK] = placed(large)
        for i, picture in enumerate(large):
            # Both resamplers that a device may use, so that the student cares for neither.
            pictures[at + i] = cv2.resize(
                picture, (SIZE, SIZE), interpolation=(cv2.INTER_AREA, cv2.INTER_LINEAR)[i % 2]
            )
        if (at // CHUNK) % 32 == 31 or at + CHUNK == total:
            state.write_text(json.dumps({"done": at + CHUNK, "total": total, "seed": seed}))


def directions_of(scenes: Scenes, features: nn.Module, out: Path) -> tuple[Tensor, Tensor]:
    file = out / "directions.npz"
    if not file.exists():
        ask = compiled(Pooled(features))
        chunks = tqdm(range(0, FITTED_ON, CHUNK), desc="directions", unit_scale=CHUNK, unit="picture", mininterval=10)
        pooled = np.concatenate([ask(np.stack([scenes.picture(i) for i in range(at, at + CHUNK)])) for at in chunks])
        mean, directions = principal_directions(pooled)
        np.savez(file, mean=mean, directions=directions)
    saved = np.load(file)
    return torch.from_numpy(saved["mean"]), torch.from_numpy(saved["directions"])
