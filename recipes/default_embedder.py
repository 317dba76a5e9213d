"""Train the default embedder that ships inside edgefs: a small network, from random weights, taught by a larger one.

Idea. A device needs an embedding that costs about a millisecond on one core and places *any* object well. Labels of
a few hundred classes teach that poorly; the geometry of a network that has seen far more teaches it well. So the
student learns, from random weights, to place a crop where the teacher (MobileNetV2, ImageNet) places the same crop:
target = teacher feature → centre → L2 → PCA to 256 → L2. The teacher sees clean crops; the student sees them under
changed light, blur and noise, so that its embedding holds still while the camera moves. No label is used to train;
labels only choose and measure.

  crops    render random crops and scenes of the training classes; store them with the teacher's features
  train    distil; keeps an average of the weights, and scores it on held-out classes
  measure  few-shot accuracy on data never trained or selected on; also writes the rejection calibration material

Data (`--data`, plain class folders): tiny_imagenet, caltech101, CIFAR-FS train, Office amazon. Held out to select and
calibrate: every 10th class of the first two, and CIFAR-FS val. Measured only: Grocery, COIL-100, Office webcam.

  python recipes/default_embedder.py --data DATA --teacher mobilenet_v2_imagenet_fp16.safetensors --out OUT

Each stage resumes where it was interrupted; `--stage` runs one alone.

Time: on 2 busy x86 cores 13 minutes of crops (8 GB on disk), 43 of training, 2 of measuring. The schedule follows the
clock, so figures depend on the machine. Seen with 5,021 batches of 128 (5-way, ± 95 % interval over 600 episodes):
Grocery 67.0 ± 1.0 (1 shot), 82.9 ± 1.4 (4 shots); Office webcam 77.3 ± 0.7 (1), 91.7 ± 0.4 (5); CIFAR-FS val
49.1 ± 0.9 (1), 66.2 ± 0.8 (5); COIL-100 13-way 98.6 (1 view), 100 (3 views); AUROC for strangers on Grocery 0.75.
The teacher at 224 pixels: Grocery 85.2 and 96.1, webcam 89.0 and 98.7, AUROC 0.86.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

SIZE = 128  # pixels, the student's input
TEACHER_SIZE = 224
DIM = 256
MEAN = STD = 0.5  # student and teacher: RGB / 127.5 - 1
CHUNK = 64  # crops per teacher batch
IMAGE_TYPES = {".png", ".jpg", ".jpeg"}
# Crops per photo. Only Amazon's photos are sharper than the student's input, so they count more; CIFAR's are tiny.
CROPS = {"tiny_imagenet": 4, "caltech101": 6, "office_caltech10/amazon": 16, "cifar_fs/train": 0.5}
HELD_OUT_SOURCES = ("tiny_imagenet", "caltech101")


@dataclass(frozen=True)
class Config:
    seed: int = 0
    minutes: float = 40.0  # the schedule follows the clock: a busy machine gives a weaker net, not a later one
    batch: int = 128
    # Small images first: four times the crops a second while the coarse geometry is learnt (progressive resizing).
    sizes: tuple[tuple[float, int], ...] = ((0.0, 64), (0.3, 96), (0.6, SIZE))  # from this progress on, this size
    save_every_minutes: float = 4.0
    lr: float = 3e-3
    weight_decay: float = 0.05
    ema: float = 0.999
    bank: int = 4096  # targets each sample is compared with
    temperature: float = 0.1
    neighbours: float = 1.0  # weight of the neighbourhood term


# ---------------------------------------------------------------- data


def classes_of(folder: Path) -> list[Path]:
    """Every folder below `folder` that holds photos, sorted: class lists must not depend on the file system."""
    return sorted({p.parent for p in folder.rglob("*") if p.suffix.lower() in IMAGE_TYPES})


def photos_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_TYPES)


def split_classes(data: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Training classes per source, and held-out classes (every 10th of the pool, and CIFAR-FS val)."""
    training = {source: classes_of(data / source) for source in CROPS}
    held_out = [c for source in HELD_OUT_SOURCES for c in training[source][5::10]]
    training = {source: [c for c in classes if c not in held_out] for source, classes in training.items()}
    return training, held_out + classes_of(data / "cifar_fs/val")


def read_rgb(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1]


def centre_square(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def device_view(image: np.ndarray, resampler: int = cv2.INTER_LINEAR) -> np.ndarray:
    """uint8 RGB of any size -> uint8 [SIZE, SIZE, 3], as the device does it."""
    return cv2.resize(np.ascontiguousarray(centre_square(image)), (SIZE, SIZE), interpolation=resampler)


# ---------------------------------------------------------------- crops


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


# ---------------------------------------------------------------- student


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


# ---------------------------------------------------------------- disturbances: light, blur, noise


def colour_change(n: int) -> tuple[Tensor, Tensor]:
    """Per image a 3x3 colour matrix (brightness, cast, saturation) and an offset, for pixels centred on 0."""
    saturation = torch.empty(n, 1, 1).uniform_(0.6, 1.4)
    grey = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1).expand(n, 3, 3)
    cast = torch.empty(n, 1, 3).normal_(0, 0.1).exp()
    gain = torch.empty(n, 1, 1).normal_(0, 0.25).exp()
    matrix = (saturation * torch.eye(3) + (1 - saturation) * grey) * cast * gain
    return matrix, torch.empty(n, 1, 1).normal_(0, 0.15)


def blur_kernel(size: int = 9) -> Tensor:
    """An oriented Gaussian: round is out of focus, long is motion; a negative strength sharpens."""
    angle, long, short = torch.rand(()) * math.pi, 0.3 + 2.5 * torch.rand(()) ** 2, 0.3 + 0.7 * torch.rand(())
    y, x = torch.meshgrid(*[torch.arange(size) - size // 2.0] * 2, indexing="ij")
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    kernel = torch.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))
    strength = torch.empty(()).uniform_(-0.8, 1.0)
    identity = torch.zeros(size, size)
    identity[size // 2, size // 2] = 1
    return (1 - strength) * identity + strength * kernel / kernel.sum()


def disturb(images: np.ndarray, noise: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> normalised float32 [N, 3, H, W] as a moving camera might have seen them."""
    x = normalise(images)
    n, channels, height, width = x.shape
    matrix, offset = colour_change(n)
    x = torch.baddbmm(offset, x.permute(0, 2, 3, 1).reshape(n, -1, channels), matrix)
    x = x.view(n, height, width, channels).permute(0, 3, 1, 2)
    # Batches are shuffled, so a fixed slice is a random third; one kernel a batch is enough over thousands of batches.
    third = n // 3
    x[:third] = F.conv2d(x[:third], blur_kernel().expand(channels, 1, -1, -1), padding=4, groups=channels)
    grain = noise[torch.randint(len(noise), ()), :, :height, :width]
    x[third // 2 : third * 2] += grain * (0.1 * torch.rand(()))
    x[::2] = x[::2].flip(3)  # the teacher hardly tells left from right
    return x.clamp_(-1, 1)


def shrink(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 [N, H, H, 3] -> uint8 [N, size, size, 3]."""
    if images.shape[1] == size:
        return images
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images])


# ---------------------------------------------------------------- train


def neighbourhood_loss(z: Tensor, target: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """How differently student and teacher see a crop's likeness to the crops of `bank` (SEED, Fang 2021)."""
    likeness, wanted = z @ bank.T / temperature, target @ bank.T / temperature
    return F.kl_div(likeness.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="batchmean")


def learning_rate(progress: float, config: Config) -> float:
    """Short warm-up, then cosine to zero; `progress` runs from 0 to 1."""
    return config.lr * min(1.0, progress / 0.03 + 0.01) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def read_held_out(data: Path, per_class: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Device views uint8 [N, SIZE, SIZE, 3] and class ids of the held-out base classes."""
    return read_views([photos_of(folder)[:per_class] for folder in split_classes(data)[1]])


def read_views(classes: list[list[Path]], resampler: int = cv2.INTER_LINEAR) -> tuple[np.ndarray, np.ndarray]:
    views = [device_view(read_rgb(photo), resampler) for photos in classes for photo in photos]
    return np.stack(views), np.repeat(np.arange(len(classes)), [len(photos) for photos in classes])


class Run:
    """What a training run carries from step to step, and across interruptions."""

    def __init__(self, config: Config, out: Path) -> None:
        torch.manual_seed(config.seed)
        self.config, self.out, self.step, self.seconds = config, out, 0, 0.0
        self.student = Student().to(memory_format=torch.channels_last)
        self.average = Student().to(memory_format=torch.channels_last)
        self.average.load_state_dict(self.student.state_dict())
        decayed = [p for p in self.student.parameters() if p.ndim > 1]
        rest = [p for p in self.student.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr)
        self.resume_file = out / "resume.pt"
        if self.resume_file.exists():
            self.resume()

    def resume(self) -> None:
        state = torch.load(self.resume_file, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]

    @property
    def progress(self) -> float:
        return self.seconds / 60 / self.config.minutes

    @property
    def size(self) -> int:
        return [size for start, size in self.config.sizes if start <= self.progress][-1]

    def save(self, facts: dict) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("student", "average", "optimiser")}
        torch.save({"step": self.step, "seconds": self.seconds, **parts}, self.resume_file)
        save_file({k: v.contiguous() for k, v in self.average.state_dict().items()}, self.out / "student.safetensors")
        (self.out / "student.json").write_text(json.dumps(facts, indent=2) + "\n")

    def advance(self, x: Tensor, target: Tensor, bank: Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.progress, self.config)
        self.student.train()
        with torch.autocast("cpu", torch.bfloat16):
            features = self.student(x)
        z = F.normalize(features.float())
        near = neighbourhood_loss(z, target, bank, self.config.temperature)
        loss = 1 - (z * target).sum(1).mean() + self.config.neighbours * near
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        self.follow()
        return loss.item()

    @torch.no_grad()
    def follow(self) -> None:
        """Move the averaged weights; quickly at first, when the weights are still mostly chance."""
        share = 1 - min(self.config.ema, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.state_dict().values(), self.student.state_dict().values(), strict=True):
            mean.lerp_(now, share) if mean.is_floating_point() else mean.copy_(now)


def train(data: Path, out: Path, config: Config) -> None:
    crops = np.load(out / "crops.npy", mmap_mode="r")
    targets = torch.from_numpy(distillation_targets(np.load(out / "teacher.npy")))
    held_out, labels = read_held_out(data)
    run = Run(config, out)
    noise = torch.randn(16, 3, SIZE, SIZE)
    bar = tqdm(total=round(config.minutes, 1), unit="min", mininterval=10)
    average_loss, next_save = None, run.seconds + 60 * config.save_every_minutes
    while run.progress < 1:
        started = time.perf_counter()
        rows = batch_rows(run.step, len(crops), config)
        bank = targets[torch.randint(len(targets), (config.bank,))]
        loss = run.advance(disturb(shrink(crops[rows], run.size), noise), targets[rows], bank)
        average_loss = loss if average_loss is None else 0.98 * average_loss + 0.02 * loss
        run.seconds += time.perf_counter() - started
        bar.n = round(run.seconds / 60, 1)
        bar.set_postfix(step=run.step, size=run.size, loss=f"{average_loss:.3f}", refresh=False)
        bar.update(0)
        if run.seconds >= next_save or run.progress >= 1:
            next_save += 60 * config.save_every_minutes
            run.average.base_mean.copy_(embed(run.average, crops[:4096]).mean(0))
            run.save(describe(run, held_out, labels))


def batch_rows(step: int, n: int, config: Config) -> np.ndarray:
    """Rows of one batch: each epoch is a permutation that depends on the seed and its number only."""
    per_epoch = n // config.batch
    epoch, at = divmod(step, per_epoch)
    return np.random.default_rng([config.seed, epoch]).permutation(n)[at * config.batch : (at + 1) * config.batch]


def describe(run: Run, held_out: np.ndarray, labels: np.ndarray) -> dict:
    """The facts that go beside a checkpoint."""
    z = unit(embed(run.average, held_out, run.average.base_mean))
    facts = {
        "architecture": "recipes/default_embedder.py: Student",
        "parameters": sum(p.numel() for p in run.average.parameters()),
        "input": {"size": SIZE, "colour": "RGB", "crop": "centre square", "mean": [MEAN] * 3, "std": [STD] * 3},
        "dim": DIM,
        "config": asdict(run.config),
        "step": run.step,
        "progress": round(run.progress, 3),
        "commit": git_commit(),
        "held_out_5_way": {f"{k}_shot": few_shot(z, labels, n_shot=k) for k in (1, 5)},
    }
    tqdm.write(f"step {run.step}: held-out 5-way {facts['held_out_5_way']}")
    return facts


def git_commit() -> str | None:
    answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return answer.stdout.strip() or None


# ---------------------------------------------------------------- measure


def unit(z: Tensor) -> np.ndarray:
    return F.normalize(z).numpy()


def scores_of(support: np.ndarray, support_labels: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosine of each query to each class prototype (mean of the unit shots, made unit again)."""
    prototypes = np.stack([support[support_labels == c].mean(0) for c in range(support_labels.max() + 1)])
    return query @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T


def sample_episode(labels: np.ndarray, rng: np.random.Generator, n_way: int, n_shot: int, n_query: int = 15):
    """Rows of support and of query, in the order of the episode's classes, with their labels 0..n_way-1."""
    chosen = rng.choice(np.unique(labels), n_way, replace=False)
    rows = [rng.permutation(np.flatnonzero(labels == c))[: n_shot + n_query] for c in chosen]
    support, query = np.concatenate([r[:n_shot] for r in rows]), np.concatenate([r[n_shot:] for r in rows])
    ways = np.arange(n_way)
    return support, np.repeat(ways, n_shot), query, np.repeat(ways, [len(r) - n_shot for r in rows])


def percent(accuracies: list[float]) -> dict[str, float]:
    interval = 1.96 * np.std(accuracies) / math.sqrt(len(accuracies))
    return {"accuracy": round(100 * float(np.mean(accuracies)), 2), "ci95": round(100 * float(interval), 2)}


def few_shot(z: np.ndarray, labels: np.ndarray, n_shot: int, n_way: int = 5, episodes: int = 600) -> dict[str, float]:
    rng, accuracies = np.random.default_rng(0), []
    for _ in range(episodes):
        support, support_labels, query, query_labels = sample_episode(labels, rng, n_way, n_shot)
        accuracies.append((scores_of(z[support], support_labels, z[query]).argmax(1) == query_labels).mean())
    return percent(accuracies)


def auroc(high: np.ndarray, low: np.ndarray) -> float:
    """Chance that a draw of `high` exceeds one of `low`."""
    low = np.sort(low)
    return float((np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")).mean() / 2 / len(low))


def stranger_auroc(z: np.ndarray, labels: np.ndarray, n_shot: int, n_way: int = 5, episodes: int = 600) -> float:
    """How well the best cosine tells photos of enrolled classes from photos of others, pooled over episodes."""
    rng, known, strange = np.random.default_rng(0), [], []
    for _ in range(episodes):
        support, support_labels, query, _ = sample_episode(labels, rng, n_way, n_shot)
        others = rng.choice(np.flatnonzero(~np.isin(labels, labels[support])), len(query), replace=False)
        known.append(scores_of(z[support], support_labels, z[query]).max(1))
        strange.append(scores_of(z[support], support_labels, z[others]).max(1))
    return round(auroc(np.concatenate(known), np.concatenate(strange)), 4)


def turntable(z: np.ndarray, labels: np.ndarray, angles: np.ndarray, enrolled: tuple[int, ...]) -> float:
    """COIL-100, every object at once: accuracy on the angles that were not enrolled."""
    seen = np.isin(angles, enrolled)
    best = scores_of(z[seen], labels[seen], z[~seen]).argmax(1)
    return round(100 * float((best == labels[~seen]).mean()), 2)


def coil_photos(data: Path) -> tuple[list[list[Path]], np.ndarray]:
    """COIL-100 photos object by object, and the turntable angle of each, in degrees."""
    photos = photos_of(data / "coil100")
    names = sorted({p.stem.split("__")[0] for p in photos})
    classes = [[p for p in photos if p.stem.split("__")[0] == name] for name in names]
    return classes, np.array([int(p.stem.split("__")[1]) for photos in classes for p in photos])


def measure(data: Path, out: Path) -> dict:
    student = load_student(out / "student.safetensors")

    def embedded(classes: list[list[Path]], resampler: int = cv2.INTER_LINEAR) -> tuple[np.ndarray, np.ndarray]:
        views, labels = read_views(classes, resampler)
        return unit(embed(student, views, student.base_mean)), labels

    grocery, webcam, cifar = (
        [photos_of(folder) for folder in classes_of(data / name)]
        for name in ("grocery/train", "office_caltech10/webcam", "cifar_fs/val")
    )
    coil, angles = coil_photos(data)
    figures = {}
    for name, resampler in (("linear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA)):
        shop, office = embedded(grocery, resampler), embedded(webcam, resampler)
        figures[name] = {
            "grocery_5_way": {f"{k}_shot": few_shot(*shop, n_shot=k) for k in (1, 4)},
            "grocery_5_way_4_shot_stranger_auroc": stranger_auroc(*shop, n_shot=4),
            "office_webcam_5_way": {f"{k}_shot": few_shot(*office, n_shot=k) for k in (1, 5)},
        }
    turned, small = embedded(coil), embedded(cifar)
    figures["linear"] |= {
        "coil100_13_way": {f"{len(a)}_views": turntable(*turned, angles, a) for a in ((0,), (0, 120, 240))},
        "cifar_fs_val_5_way": {f"{k}_shot": few_shot(*small, n_shot=k) for k in (1, 5)},
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return figures


def calibration_material(data: Path, out: Path) -> None:
    """Embeddings [N, DIM] and class ids [N] of the held-out base classes, for the exporter's rejection table."""
    student = load_student(out / "student.safetensors")
    views, labels = read_held_out(data)
    z = unit(embed(student, views, student.base_mean))
    np.savez_compressed(out / "calibration.npz", embeddings=z, labels=labels)


# ---------------------------------------------------------------- command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets, laid out as class folders")
    parser.add_argument("--teacher", type=Path, required=True, help="safetensors with torchvision's mobilenet_v2 keys")
    parser.add_argument("--out", type=Path, required=True, help="folder for crops, checkpoints and figures")
    parser.add_argument("--stage", choices=("all", "crops", "train", "measure"), default="all")
    parser.add_argument("--minutes", type=float, default=Config.minutes, help="training time")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = Config(minutes=args.minutes)
    if args.stage in ("all", "crops"):
        make_crops(args.data, args.teacher, args.out, config.seed)
    if args.stage in ("all", "train"):
        train(args.data, args.out, config)
    if args.stage in ("all", "measure"):
        measure(args.data, args.out)
        calibration_material(args.data, args.out)


if __name__ == "__main__":
    main()
