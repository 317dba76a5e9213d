"""The training loop of every meta-learning method: step, validate, keep the best, save, stop early, resume.

Everything random is a function of (seed, step): the sampler and the augmentation are keyed with the episode's number,
and torch's own generator (dropout) is part of the saved state. So a run that was interrupted and resumed ends with the
same bits as one that was not, on the same CPU with the same number of threads.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgefs.checkpoint import (
    VERSION,
    check_folder,
    load_checkpoint,
    load_state,
    load_weights,
    new_method,
    save_checkpoint,
    save_state,
)
from edgefs.data import DataSpec, ImageSet, find_duplicates, load, spec_of
from edgefs.data.episodes import EpisodeSampler, EpisodeShape
from edgefs.data.folder import channels_of
from edgefs.data.tasks import TaskLoader
from edgefs.errors import ConfigError, NotFinite
from edgefs.evaluation.metrics import Accuracy
from edgefs.evaluation.validation import VAL_SEED, validation_accuracy
from edgefs.methods import META, TrainConfig
from edgefs.methods.options import settled
from edgefs.networks.classifier import bare
from edgefs.networks.embedder import base_mean_of, estimate_statistics
from edgefs.training.distributed import Team, float_buffers, gradients_of, join_team
from edgefs.training.log import Log, Measured
from edgefs.training.machine import computes_bf16, interruptible, machine_of, peak_memory_mb
from edgefs.training.optimiser import learning_rate, optimiser_of

# options that may change when a run is resumed
FREE = ("root", "out", "threads", "checkpoint_minutes", "device", "download", "bad_files", "patience")


@dataclass(frozen=True)
class TrainReport:
    """The result of a run.

    Attributes:
        best: The checkpoint of the best validation.
        val: The last validation.
        seconds: Of training and validation, over all resumptions.
        stopped: "finished", "no improvement" or "interrupted".
        notes: Repeated images and skipped files.
    """

    best: Path
    val: Measured | None
    steps: int
    seconds: float
    stopped: str
    notes: str
    peak_memory_mb: int


def train(method: str | TrainConfig, *, resume: bool = False, quiet: bool = False, **options: Any) -> TrainReport:
    """Meta-train a network: `train("protonet", data="omniglot", root="DIR", out="run")`.

    Writes best.safetensors, last.safetensors, state.pt, log.csv and curves.png into `out`.

    Args:
        method: One of `edgefs.methods.META`, or a config.
        resume: Continue the run in `out`.
        quiet: Print nothing.
        options: Fields of the method's config, as `edgefs train METHOD --help` shows them.

    Raises:
        ConfigError: An option cannot work; DataError: the images cannot be trained on. Both before anything is trained.
        NotFinite: The loss became infinite.
        WorkerLost: Another process of the run ended.
    """
    config = settled(META, method, options)
    run = Run(config, resume=resume, quiet=quiet)
    try:
        return run.go()
    finally:
        run.log.close()
        run.team.close()


def open_data(config: TrainConfig, contract: DataSpec | None = None) -> tuple[ImageSet, ImageSet, DataSpec]:
    """The train and validation images of a config and their spec; `contract` is that of the network it starts from."""
    spec = spec_of(config.data, size=config.size, channels=config.channels)
    if contract:
        spec = replace(spec, preprocess=contract.preprocess, mean=contract.mean, std=contract.std)
    elif config.data == "folder" and config.channels is None:
        spec = spec_of("folder", size=config.size, channels=channels_of(spec.find(Path(config.root), "train")))
    options: dict[str, Any] = {"variant": config.variant} if config.data == "omniglot" else {}
    train_set, val_set = (
        load(
            config.data, config.root, split,
            preprocess=spec.preprocess, policy=config.bad_files, download=config.download, **options,
        )
        for split in ("train", "val")
    )  # fmt: skip
    return train_set, val_set, spec


class Run:
    """Data, network, optimiser and position of one run. Building it finds every error before anything is trained."""

    def __init__(self, config: TrainConfig, *, resume: bool, quiet: bool) -> None:
        self.out = Path(config.out)
        check_folder(self.out)
        self.device, threads = machine_of(config)
        origin = load_checkpoint(config.init_from) if config.init_from else None
        self.train_set, self.val_set, self.spec = open_data(config, origin.spec if origin else None)
        rotations = self.spec.rotations if config.rotations is None else config.rotations
        if config.bf16 is None:
            config = replace(config, bf16=computes_bf16(self.device))
        self.config = config = config.for_classes(len(self.train_set.classes) * rotations)
        shape = EpisodeShape(config.n_way, config.n_shot, config.n_query)
        val_shape = EpisodeShape(config.val_way, config.val_shot, config.val_query)
        self.sampler = EpisodeSampler(self.train_set.labels, shape, seed=config.seed, rotations=rotations)
        self.val_sampler = EpisodeSampler(self.val_set.labels, val_shape, seed=VAL_SEED, rotations=rotations)
        self.loader = TaskLoader(
            self.train_set, self.spec, augment=config.augment, seed=config.seed, device=self.device
        )
        self.val_loader = TaskLoader(self.val_set, self.spec, device=self.device)
        torch.manual_seed(config.seed)
        self.method = new_method(config, self.spec, workers=threads if self.device == "cpu" else 1).to(self.device)
        if origin:
            load_weights(
                self.method.backbone, bare(origin.method.backbone).state_dict(), f"{config.init_from} (init_from)"
            )
        self.optimiser = optimiser_of(config, self.method)
        self.team = self._team()
        self.step, self.seconds, self.waited, self.best = 0, 0.0, 0, -1.0
        self.data_digest = hashlib.sha256(self.train_set.hashes.tobytes() + self.val_set.hashes.tobytes()).hexdigest()
        self._start(resume)
        self.log = Log(self.out, config.steps, resumed=self.step, quiet=quiet or not self.team.leads)

    def _team(self) -> Team:
        team = join_team(self.device)
        if self.config.tasks % team.world:
            team.close()
            raise ConfigError(
                f"tasks must be a multiple of the {team.world} processes, but is {self.config.tasks}; "
                f"say --tasks {team.world}"
            )
        team.share(list(self.method.state_dict().values()))
        return team

    def _start(self, resume: bool) -> None:
        state_file = self.out / "state.pt"
        if resume:
            self._restore(load_state(state_file))
        elif state_file.exists() and self.team.leads:
            raise ConfigError(
                f"{self.out} must be a new folder, but holds a run; go on with --resume, or choose another --out"
            )
        self.out.mkdir(parents=True, exist_ok=True)

    def go(self) -> TrainReport:
        config, notes = self.config, self._notes()
        self.log.say(f"{config.method} {config.backbone} on {config.data}: {len(self.train_set)} images, {notes}")
        saved, stopped = time.monotonic(), "finished"
        if self.step == 0:
            self._save_state()
        with interruptible(self.team) as interrupted:
            while self.step < config.steps:
                began = time.monotonic()
                self._train_step()
                if self.step % config.val_every == 0 or self.step == config.steps:
                    self._validate()
                self.seconds += time.monotonic() - began
                ends = interrupted.is_set() or (config.patience and self.waited >= config.patience)
                if ends or self.step == config.steps or time.monotonic() - saved > 60 * config.checkpoint_minutes:
                    self._save_state()
                    saved = time.monotonic()
                if ends:
                    stopped = "interrupted" if interrupted.is_set() else "no improvement"
                    break
        return TrainReport(
            self.out / "best.safetensors",
            self.log.val,
            self.step,
            round(self.seconds, 1),
            stopped,
            notes,
            peak_memory_mb(),
        )

    def _train_step(self) -> None:
        config, team = self.config, self.team
        rate = learning_rate(config, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        first = self.step * config.tasks
        tasks = self.loader(self.sampler.batch(first + team.rank, config.tasks // team.world, step=team.world))
        self.method.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss, accuracies = self.method.gradients(tasks)
        gradients = gradients_of(self.method)
        figures = torch.tensor([loss, float(accuracies.mean())], dtype=torch.float32, device=self.device)
        team.average([*gradients, *float_buffers(self.method), figures])
        norm = torch.nn.utils.get_total_norm(gradients)
        if not torch.isfinite(norm) or not torch.isfinite(figures[0]):
            raise NotFinite(
                f"the loss and its gradient must stay finite, but are {figures[0]:.4g} and {norm:.4g} in step "
                f"{self.step} (episodes {first} to {first + config.tasks - 1}, seed {config.seed}); the checkpoint in "
                f"{self.out} is from before: resume it with a lower --lr or with --clip"
            )
        if config.clip and norm > config.clip:
            torch._foreach_mul_(gradients, config.clip / norm)
        self.optimiser.step()
        self.step += 1
        self.log.step(self.step, float(figures[0]), float(figures[1]))

    def _validate(self) -> None:
        self.method.eval()
        accuracy = validation_accuracy(self.method, self.config, self.val_sampler, self.val_loader, self.device)
        figures = torch.tensor([accuracy.mean, accuracy.interval], dtype=torch.float32, device=self.device)
        self.team.share([figures])
        self.waited = 0 if accuracy.mean > self.best else self.waited + 1
        if accuracy.mean > self.best:
            self.best = accuracy.mean
            self._save("best", accuracy)
        if self.step == self.config.steps:
            self._save("last", accuracy)
        if self.team.leads:
            self.log.validated(self.step, self.seconds, accuracy, learning_rate(self.config, self.step - 1))

    def _save(self, name: str, accuracy: Accuracy) -> None:
        if not self.team.leads:
            return
        backbone = self.method.backbone
        if not self.config.uses_running_statistics:  # there are none so far, and a device needs them
            estimate_statistics(backbone, self.train_set, self.spec, self.device)
        base_mean = base_mean_of(backbone, self.train_set, self.spec, self.device)
        figures = {"val": asdict(accuracy), "step": self.step, "seconds": round(self.seconds, 1)}
        save_checkpoint(
            self.out / f"{name}.safetensors", self.method, self.config, self.spec, base_mean=base_mean, figures=figures
        )

    def _save_state(self) -> None:
        if not self.team.leads:
            return
        state = {
            "version": VERSION,
            "config": self.config.to_json(),
            "data": self.data_digest,
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": torch.get_rng_state(),
            **{name: getattr(self, name) for name in ("step", "seconds", "waited", "best")},
        }
        save_state(self.out / "state.pt", state)

    def _restore(self, state: dict[str, Any]) -> None:
        mine = self.config.to_json()
        changed = [
            name for name, value in state["config"].items() if name in mine and name not in FREE and mine[name] != value
        ]
        if changed:
            words = ", ".join(f"{name} {state['config'][name]!r} -> {mine[name]!r}" for name in changed)
            raise ConfigError(f"a resumed run must keep its config, but {words}; use the same options or another --out")
        if state["data"] != self.data_digest:
            raise ConfigError(
                f"a resumed run must see the same images, but those of {self.config.root} have changed; start a new run"
            )
        load_weights(self.method, state["method"], str(self.out / "state.pt"))
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        for name in ("step", "seconds", "waited", "best"):
            setattr(self, name, state[name])

    def _notes(self) -> str:
        duplicates = find_duplicates({"train": self.train_set, "val": self.val_set})
        skipped = len(self.train_set.skipped) + len(self.val_set.skipped)
        return str(duplicates) + (f"; {skipped} unreadable files skipped" if skipped else "")
