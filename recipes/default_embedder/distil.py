"""Training: the student learns to place pictures, and their parts, where the joint teacher places them."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from augment import augment, student_view
from initial import initial_student
from photos import SIZE, Photo
from safetensors.torch import save_file
from student import MEAN, STD, Student, embed, plain_weights, prepare_for_training, unit
from teacher import DIM
from teacher_targets import Targets, box_of
from torch import Tensor
from tqdm import tqdm
from validate import Validation

from edgefs.training.machine import computes_bf16


@dataclass(frozen=True)
class Config:
    """The settings of a training run."""

    seed: int = 0
    steps: int = 6000
    batch: int = 64
    lr: float = 2e-3  # of weights in units of their own size (`student.Scaled`)
    flat_until: float = 0.5  # share of the steps after which the learning rate falls to zero in a straight line
    ema: float = 0.998
    bank: int = 4096  # pictures that each one is compared with
    temperature: float = 0.1
    relations: float = 1.0  # weight of the term on similarities to the bank
    places: float = 0.3  # weight of the term on places
    save_every_s: float = 240.0
    measure_every: int = 2  # saves


def distillation_loss(places: Tensor, wanted: Tensor, bank: Tensor, config: Config) -> Tensor:
    """The loss of a batch, from the embeddings of places, float32 [N, H, W, DIM], of the student and of the teacher.

    It has three terms: the cosine between the whole embeddings; the difference between the similarities that student
    and teacher see to the unit embeddings [B, DIM] of a bank of other pictures (SEED, arXiv:2101.04731); and the
    squared error of the places relative to the teacher's spread.
    """
    z, target = F.normalize(places.mean((1, 2))), F.normalize(wanted.mean((1, 2)))
    seen, right = z @ bank.T / config.temperature, target @ bank.T / config.temperature
    relations = F.kl_div(seen.log_softmax(1), right.log_softmax(1), log_target=True, reduction="batchmean")
    error = (places - wanted).square().mean() / wanted.square().mean()
    return 1 - (z * target).sum(1).mean() + config.relations * relations + config.places * error


def learning_rate(step: int, config: Config) -> float:
    """A short warm-up, a constant rate, then a straight line to zero."""
    progress = step / config.steps
    return config.lr * min(1.0, (step + 1) / 100, (1 - progress) / (1 - config.flat_until))


def make_batch(photos: list[Photo], targets: Targets, config: Config, step: int) -> tuple[Tensor, Tensor]:
    """Augmented student views float32 [N, 3, SIZE, SIZE] and the teacher's places float32 [N, GRID, GRID, DIM]."""
    rng = np.random.default_rng([config.seed, step])
    crops, pictures = targets.choose(config.batch, rng)
    views, wanted = np.empty((config.batch, SIZE, SIZE, 3), np.uint8), []
    for i, (crop, picture) in enumerate(zip(crops, pictures, strict=True)):
        pixels = photos[picture].decode()
        step_x = -1 if rng.random() < 0.5 else 1
        views[i] = student_view(pixels, box_of(pixels.shape, crop, picture, targets.seed), rng)[:, ::step_x]
        wanted.append(targets.places(crop, picture)[:, ::step_x])
    return augment(views), torch.from_numpy(np.stack(wanted))


class Run:
    """The state of a training run that is kept from step to step and across interruptions."""

    def __init__(self, config: Config, out: Path, student: Student) -> None:
        torch.manual_seed(config.seed)
        self.config, self.out, self.step, self.seconds = config, out, 0, 0.0
        self.average = Student()
        self.average.load_state_dict(plain_weights(student))
        self.average.eval().to(memory_format=torch.channels_last)
        prepare_for_training(student)
        self.student = student.to(memory_format=torch.channels_last)
        trained = [p for p in student.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=config.lr, betas=(0.9, 0.99))
        self.file = out / "resume.pt"
        if self.file.exists():
            state = torch.load(self.file, weights_only=True)
            for name in ("student", "average", "optimiser"):
                getattr(self, name).load_state_dict(state[name])
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self, facts: dict) -> None:
        """Store what a later run continues from, the averaged student, and the facts beside it."""
        parts = {name: getattr(self, name).state_dict() for name in ("student", "average", "optimiser")}
        torch.save({"step": self.step, "seconds": self.seconds, **parts}, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)
        save_file(plain_weights(self.average), self.out / "student.safetensors")
        (self.out / "student.json").write_text(json.dumps(facts, indent=2) + "\n")

    def advance(self, x: Tensor, wanted: Tensor, bank: Tensor) -> float:
        """One step of the optimiser and of the averaged weights. Returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        with torch.autocast("cpu", torch.bfloat16, enabled=computes_bf16("cpu")):
            places = self.student.places(x)
        loss = distillation_loss(places.float(), wanted, bank, self.config)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        share = 1 - min(self.config.ema, (1 + self.step) / (10 + self.step))
        averaged = self.average.state_dict()
        for name, now in plain_weights(self.student).items():
            averaged[name].lerp_(now, share)
        return loss.item()


def train(training: list[Photo], held_out: list[Photo], shared: Path, out: Path, config: Config) -> None:
    """Train from ImageNet weights, or from the last checkpoint in `out`."""
    targets = Targets(out)
    resumed = (out / "resume.pt").exists()
    student = Student() if resumed else initial_student(shared, training, targets)
    run, validation = Run(config, out, student), Validation(shared, held_out)
    bar = tqdm(total=config.steps, initial=run.step, unit="step", mininterval=10)
    mean_loss, saves, next_save = None, 0, time.monotonic() + config.save_every_s
    if run.step == 0:
        run.save(describe(run, targets, validation))
    while run.step < config.steps:
        started = time.process_time()
        if mean_loss is None or run.step % 500 == 0:
            rng = np.random.default_rng(run.step)
            bank = targets.whole(rng.choice(targets.order[: len(targets)], config.bank, replace=False))
        loss = run.advance(*make_batch(training, targets, config, run.step), bank)
        mean_loss = loss if mean_loss is None else 0.98 * mean_loss + 0.02 * loss
        run.seconds += time.process_time() - started
        bar.set_postfix(loss=f"{mean_loss:.4f}", refresh=False)
        bar.update()
        if time.monotonic() >= next_save or run.step == config.steps:
            next_save, saves = time.monotonic() + config.save_every_s, saves + 1
            measured = saves % config.measure_every == 0 or run.step == config.steps
            run.save(describe(run, targets, validation if measured else None, mean_loss))


def describe(run: Run, targets: Targets, validation: Validation | None, loss: float | None = None) -> dict:
    """The facts that are stored beside a checkpoint; `curve.jsonl` keeps the validation figures of all of them."""
    facts = {
        "parameters": sum(p.numel() for p in run.average.parameters()),
        "input": {"size": SIZE, "colour": "RGB", "crop": "centre square", "mean": [MEAN] * 3, "std": [STD] * 3},
        "dim": DIM,
        "config": asdict(run.config),
        "targets": len(targets),
        "step": run.step,
        "cpu_seconds": round(run.seconds),
        "loss": loss,
        "commit": git_commit(),
    }
    if validation is not None:
        scores = validation.scores(lambda views: unit(embed(run.average, views)))
        facts["held_out"] = {name: round(value, 2) for name, value in scores.items()}
        tqdm.write(f"step {run.step}: {facts['held_out']}")
        with (run.out / "curve.jsonl").open("a") as curve:
            line = {"step": run.step, "cpu_seconds": facts["cpu_seconds"], "loss": loss, **facts["held_out"]}
            curve.write(json.dumps(line) + "\n")
    return facts


def git_commit() -> str | None:
    """The last commit that changed the recipe."""
    command = ["git", "log", "-1", "--format=%H", "--", "."]
    answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return answer.stdout.strip() or None
