"""Random crops and scenes of the training classes, stored with the teacher's features."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from photos import CROPS, SIZE, photos_of, read_rgb, split_classes
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

TEACHER_SIZE = 224
DIM = 256
CHUNK = 64  # crops per teacher batch


def random_crop(image: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Random-resized crop with a little rotation, as one affine map from the output square into the photo."""
    height, width = image.shape[:2]
    area, ratio = rng.uniform(0.3, 1.0), math.exp(rng.uniform(-0.29, 0.29))
    w = min(width, math.sqrt(area * height * width * ratio))
    h = min(height, math.sqrt(area * height * width / ratio))
    x, y = rng.uniform(w / 2, width - w / 2 + 1e-6), rng.uniform(h / 2, height - h / 2 + 1e-6)
    angle = rng.normal(0, 0.12)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.diag([w / size, h / size])
    offset = np.array([x, y]) - matrix @ np.array([size / 2, size / 2])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, np.c_[matrix, offset], (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def random_scene(image: np.ndarray, other: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """The photo, small, on another photo or a plain ground: the pool is blurry at full size, and sharp when small."""
    plain = np.full((size, size, 3), rng.integers(0, 256, (1, 1, 3)), np.uint8)
    scene = plain if rng.random() < 0.5 else random_crop(other, rng, size)
    side = int(size * rng.uniform(0.4, 0.85))
    top, left = rng.integers(0, size - side + 1, 2)
    scene[top : top + side, left : left + side] = random_crop(image, rng, side)
    return scene


def load_teacher(path: Path) -> nn.Module:
    from torchvision.models import mobilenet_v2

    net = mobilenet_v2()
    net.load_state_dict({k: v.float() for k, v in load_file(str(path)).items()})
    return nn.Sequential(net.features, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def compile_teacher(path: Path):
    """The teacher in OpenVINO: uint8 NHWC RGB -> float32 [N, 1280]; several times faster than torch on a CPU."""
    import openvino as ov

    class FromBytes(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.permute(0, 3, 1, 2).float() / 127.5 - 1)

    shape = (CHUNK, TEACHER_SIZE, TEACHER_SIZE, 3)
    example = torch.zeros(shape, dtype=torch.uint8)
    model = ov.convert_model(FromBytes(load_teacher(path)).eval(), example_input=example, input=[shape])
    return ov.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})


def crop_list(data: Path, seed: int) -> list[Path]:
    """Each photo once per crop to render, in a fixed shuffled order, so that any part of it is a fair sample."""
    todo = []
    for source, classes in split_classes(data)[0].items():
        for folder in classes:
            photos = photos_of(folder)
            todo += photos[:: round(1 / CROPS[source])] if CROPS[source] < 1 else photos * int(CROPS[source])
    return [todo[i] for i in np.random.default_rng(seed).permutation(len(todo))]


def make_crops(data: Path, teacher: Path, out: Path, seed: int) -> None:
    import openvino as ov

    todo = crop_list(data, seed)
    total = len(todo) // CHUNK * CHUNK
    state = out / "crops.json"
    done = json.loads(state.read_text())["done"] if state.exists() else 0
    if done == total:
        return
    mode = "r+" if done else "w+"
    crops = np.lib.format.open_memmap(out / "crops.npy", mode, np.uint8, (total, SIZE, SIZE, 3))
    features = np.lib.format.open_memmap(out / "teacher.npy", mode, np.float16, (total, 1280))
    queue = ov.AsyncInferQueue(compile_teacher(teacher))

    def keep(request, at: int) -> None:
        features[at : at + CHUNK] = request.get_output_tensor().data

    queue.set_callback(keep)

    for at in tqdm(range(done, total, CHUNK), desc="crops", unit_scale=CHUNK, unit="crop", mininterval=5):
        large = np.stack([render(todo, i, seed) for i in range(at, at + CHUNK)])
        for i, crop in enumerate(large):
            # Both resamplers that a device may use, so that the student cares for neither.
            crops[at + i] = cv2.resize(crop, (SIZE, SIZE), interpolation=(cv2.INTER_AREA, cv2.INTER_LINEAR)[i % 2])
        queue.start_async(large, at)
        if (at // CHUNK) % 64 == 63 or at + CHUNK == total:
            queue.wait_all()
            state.write_text(json.dumps({"done": at + CHUNK, "total": total, "seed": seed}))
    crops.flush()
    features.flush()


def render(todo: list[Path], i: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, i])
    image = read_rgb(todo[i])
    if rng.random() < 0.75:
        return random_crop(image, rng, TEACHER_SIZE)
    return random_scene(image, read_rgb(todo[rng.integers(len(todo))]), rng, TEACHER_SIZE)


def distillation_targets(features: np.ndarray) -> np.ndarray:
    """float [N, 1280] teacher features -> float32 [N, DIM]: centre, L2, PCA, L2."""
    x = features.astype(np.float32)
    x -= x.mean(0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(x.T @ x)
    x = x @ vectors[:, -DIM:]
    return x / np.linalg.norm(x, axis=1, keepdims=True)
