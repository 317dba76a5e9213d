"""Training: the student learns to say of every place of a picture, and of the whole, what the teacher says."""

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
from disturb import disturb
from lessons import DIM, GRID
from photos import SIZE, read_held_out, read_quartets
from safetensors.torch import save_file
from start import student_of
from student import MEAN, STD, Student, embed, normalise, unit
from torch import Tensor
from tqdm import tqdm

from edgefs.evaluation.metrics import few_shot_accuracy
from edgefs.training.machine import computes_bf16
from runtime.bundle import Bundle


@dataclass(frozen=True)
class Config:
    seed: int = 0
    minutes: float = 80.0  # of the CPU, each thread's: a busy machine gives the same net, later
    batch: int = 64
    # Until then the student sees a part of each picture, at full detail, and answers for that part: half the work.
    parts_until: float = 0.75
    part: int = GRID - 1  # places in a row of a part
    # From then on the first layers stay as they are: they settle first, and a step costs a third less (FreezeOut,
    # Brock 2017, arXiv:1706.04983).
    settled_from: float = 0.25
    save_every_minutes: float = 4.0
    measure_every: int = 5  # saves
    lr: float = 1.5e-3
    weight_decay: float = 0.05
    ema: float = 0.999
    bank: int = 4096  # pictures each one is compared with
    temperature: float = 0.1
    places: float = 1.0  # weight of the places' term
    neighbours: float = 1.0  # weight of the neighbourhood's term


def distillation_loss(places: Tensor, wanted: Tensor, bank: Tensor, config: Config) -> Tensor:
    """places, wanted: float32 [N, H, W, DIM]; bank: unit embeddings [B, DIM] of other pictures.

    Three terms: each place's squared error relative to the teacher's spread; the cosine of the whole; and how
    differently the two see a picture's likeness to those of the bank (SEED, Fang 2021, arXiv:2101.04731).
    """
    place_error = (places - wanted).square().mean() / wanted.square().mean()
    z, target = F.normalize(places.mean((1, 2))), F.normalize(wanted.mean((1, 2)))
    likeness, wanted_likeness = z @ bank.T / config.temperature, target @ bank.T / config.temperature
    near = F.kl_div(likeness.log_softmax(1), wanted_likeness.log_softmax(1), log_target=True, reduction="batchmean")
    return config.places * place_error + 1 - (z * target).sum(1).mean() + config.neighbours * near


def learning_rate(progress: float, config: Config) -> float:
    """Short warm-up, then cosine to zero; `progress` runs from 0 to 1."""
    return config.lr * min(1.0, progress / 0.03 + 0.01) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Lessons:
    """What `lessons.py` has written so far; it may still be writing."""

    def __init__(self, out: Path) -> None:
        self.state = out / "lessons.json"
        self.pictures = np.load(out / "pictures.npy", mmap_mode="r")
        self.targets = np.load(out / "targets.npy", mmap_mode="r")

    def __len__(self) -> int:
        return json.loads(self.state.read_text())["done"]

    def batch(self, rng: np.random.Generator, n: int, part: int) -> tuple[np.ndarray, Tensor]:
        """Pictures uint8 [n, 32 part, 32 part, 3] and the teacher's word [n, part, part, DIM]; half are mirrored."""
        rows = np.sort(rng.choice(len(self), n, replace=False))
        corners, mirrored = rng.integers(0, GRID - part + 1, (n, 2)), rng.random(n) < 0.5
        pictures = np.empty((n, 32 * part, 32 * part, 3), np.uint8)
        targets = np.empty((n, part, part, DIM), np.float32)
        for i in rng.permutation(n):  # the order decides who is blurred
            top, left = corners[i]
            step = -1 if mirrored[i] else 1
            whole = self.pictures[rows[i], 32 * top : 32 * (top + part), 32 * left : 32 * (left + part)]
            pictures[i] = whole[:, ::step]
            targets[i] = self.targets[rows[i], top : top + part, left : left + part][:, ::step]
        return pictures, torch.from_numpy(targets)

    def bank(self, n: int) -> Tensor:
        """Unit embeddings [n, DIM] of evenly chosen pictures."""
        rows = np.linspace(0, len(self) - 1, n).astype(int)
        return F.normalize(torch.from_numpy(self.targets[rows].astype(np.float32).mean((1, 2))))


class Run:
    """What a training run carries from step to step, and across interruptions."""

    def __init__(self, config: Config, out: Path, student: Student) -> None:
        torch.manual_seed(config.seed)
        self.config, self.out, self.step, self.seconds = config, out, 0, 0.0
        self.student = student.to(memory_format=torch.channels_last)
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
    def settled(self) -> bool:
        return self.progress >= self.config.settled_from

    @property
    def part(self) -> int:
        return self.config.part if self.progress < self.config.parts_until else GRID

    def save(self, facts: dict) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("student", "average", "optimiser")}
        torch.save({"step": self.step, "seconds": self.seconds, **parts}, self.resume_file)
        save_file({k: v.contiguous() for k, v in self.average.state_dict().items()}, self.out / "student.safetensors")
        (self.out / "student.json").write_text(json.dumps(facts, indent=2) + "\n")

    def advance(self, x: Tensor, wanted: Tensor, bank: Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.progress, self.config)
        self.student.train()
        if self.settled:
            self.student.first_layers.eval().requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16, enabled=computes_bf16("cpu")):
            places = self.student.places(x)
        loss = distillation_loss(places.float(), wanted, bank, self.config)
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


def train(data: Path, out: Path, config: Config, start: Path | None) -> None:
    """start: a bundle to go on from; None starts from random weights."""
    lessons = Lessons(out)
    student = Student()
    if start and not (out / "resume.pt").exists():
        student = student_of(start, lessons.pictures)
        fit_head(student, lessons)
    run = Run(config, out, student)
    views = {"held_out": read_held_out(data, per_class=30), "quartets": read_quartets(data)}
    noise = torch.randn(16, 3, SIZE, SIZE)
    bar = tqdm(total=round(config.minutes, 1), unit="min", mininterval=10)
    average_loss, saves, next_save = None, 0, run.seconds + 60 * config.save_every_minutes
    while run.progress < 1:
        started = time.process_time()
        if run.step % 500 == 0 or average_loss is None:
            bank = lessons.bank(config.bank)
        pictures, wanted = lessons.batch(np.random.default_rng([config.seed, run.step]), config.batch, run.part)
        loss = run.advance(disturb(pictures, noise), wanted, bank)
        average_loss = loss if average_loss is None else 0.98 * average_loss + 0.02 * loss
        run.seconds += (time.process_time() - started) / torch.get_num_threads()
        bar.n = round(run.seconds / 60, 1)
        bar.set_postfix(step=run.step, part=run.part, loss=f"{average_loss:.3f}", refresh=False)
        bar.update(0)
        if run.seconds >= next_save or run.progress >= 1:
            next_save, saves = next_save + 60 * config.save_every_minutes, saves + 1
            measured = saves % config.measure_every == 0 or run.progress >= 1
            run.save(describe(run, lessons, start, views if measured else {}))


@torch.no_grad()
def fit_head(student: Student, lessons: Lessons, n: int = 1024) -> None:
    """Least squares from what the trunk says of each place to what the teacher says: it has other directions now."""
    pictures = [normalise(lessons.pictures[at : at + 64].copy()) for at in range(0, n, 64)]
    seen = torch.cat([student.eval().trunk(student.stem(some)).permute(0, 2, 3, 1) for some in pictures]).flatten(0, 2)
    seen = torch.cat([seen, torch.ones(len(seen), 1)], 1)
    wanted = torch.from_numpy(lessons.targets[:n].astype(np.float32)).flatten(0, 2)
    squares = seen.T @ seen
    answer = torch.linalg.solve(squares + 1e-3 * squares.diagonal().mean() * torch.eye(len(squares)), seen.T @ wanted)
    student.head.weight.data, student.head.bias.data = answer[:-1].T.contiguous(), answer[-1]


def describe(run: Run, lessons: Lessons, start: Path | None, views: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict:
    """The facts that go beside a checkpoint."""
    facts = {
        "architecture": "recipes/default_embedder: Student",
        "parameters": sum(p.numel() for p in run.average.parameters()),
        "input": {"size": SIZE, "colour": "RGB", "crop": "centre square", "mean": [MEAN] * 3, "std": [STD] * 3},
        "dim": DIM,
        "config": asdict(run.config),
        "start": start and Bundle.load(start).fingerprint,
        "lessons": len(lessons),
        "step": run.step,
        "seconds": round(run.seconds),
        "commit": git_commit(),
    }
    for name, (pictures, labels) in views.items():
        z = unit(embed(run.average, pictures))
        found = {k: few_shot_accuracy(z, labels, n_shot=k, n_query=3) for k in (1, 5)}
        facts[f"{name}_5_way"] = {f"{k}_shot": round(accuracy.mean, 2) for k, accuracy in found.items()}
        tqdm.write(f"step {run.step}: {name} 5-way {facts[f'{name}_5_way']}")
    return facts


def git_commit() -> str | None:
    """The last commit that changed the recipe."""
    command = ["git", "log", "-1", "--format=%H", "--", "."]
    answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return answer.stdout.strip() or None
