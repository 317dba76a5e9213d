"""Training: the student learns to place a crop where the teacher places it."""

from __future__ import annotations

import json
import math
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from crops import DIM, distillation_targets
from disturb import disturb, shrink
from measure import few_shot
from photos import SIZE, read_held_out
from safetensors.torch import save_file
from student import MEAN, STD, Student, embed, unit
from torch import Tensor
from tqdm import tqdm


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


def neighbourhood_loss(z: Tensor, target: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """How differently student and teacher see a crop's likeness to the crops of `bank` (SEED, Fang 2021)."""
    likeness, wanted = z @ bank.T / temperature, target @ bank.T / temperature
    return F.kl_div(likeness.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="batchmean")


def learning_rate(progress: float, config: Config) -> float:
    """Short warm-up, then cosine to zero; `progress` runs from 0 to 1."""
    return config.lr * min(1.0, progress / 0.03 + 0.01) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


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
        "architecture": "recipes/default_embedder: Student",
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
