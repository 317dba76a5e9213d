"""The epochs of fine-tuning: stages that learn, optimiser, schedule, validation, and the best state so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from edgefs.checkpoint import load_weights
from edgefs.data import DataSpec, ImageSet
from edgefs.errors import ConfigError, NotFinite
from edgefs.methods import FinetuneConfig
from edgefs.networks.embedder import embed_images
from edgefs.networks.learner import Learner
from edgefs.training.log import Log
from edgefs.transfer.batches import Batches
from edgefs.transfer.report import NOTHING, Share, share_of
from edgefs.transfer.stages import Unfreeze, stages_of

DIVERGED = 20.0  # times the loss of guessing: training does not recover from this
PLATEAU = {"factor": 0.3, "patience": 2}


class Epochs:
    """The training of one run.

    Args:
        train: Rows of the training images.
        val: Rows of the validation images.
        trained: Whether the backbone starts from trained weights.
        keep: Called with the epoch and its validation whenever the learner is the best so far; without validation
            images, after every epoch.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        learner: Learner,
        images: ImageSet,
        spec: DataSpec,
        *,
        train: NDArray[np.int64],
        val: NDArray[np.int64],
        trained: bool,
        device: str,
        log: Log,
        keep: Callable[[int, Share | None], None],
    ) -> None:
        self.config, self.learner, self.images, self.spec = config, learner, images, spec
        self.val, self.device, self.log, self.keep = val, device, log, keep
        self.batches = Batches(
            images, train, spec, batch=config.batch, augment=config.augment, balanced=config.balance == "sampler",
            seed=config.seed, device=device,
        )  # fmt: skip
        stages = stages_of(learner.backbone, channels=spec.preprocess.channels, size=min(spec.preprocess.size))
        norms_learn = config.batch_norm == "train" or (config.batch_norm == "auto" and not trained)
        self.unfreeze = Unfreeze(learner.backbone, stages, norms_learn=norms_learn)
        self.n_trained = len(stages) if config.n_trained is None else config.n_trained
        self.unfreeze.open(self.n_trained)
        groups = [
            {"params": list(learner.head.parameters()), "lr": config.lr},
            *self.unfreeze.groups(config.lr, config.layer_decay),
        ]
        self.optimiser = torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay, fused=True)
        self.schedule = self._schedule()
        self.loss = torch.nn.CrossEntropyLoss(self._class_weights(train), label_smoothing=config.label_smoothing)
        self.epoch, self.step, self.waited, self.train_seconds = 0, 0, 0, 0.0
        self.best: tuple[float, float] = (-1.0, float("-inf"))  # accuracy, minus the loss
        self.best_state: dict[str, Tensor] = {}

    def go(self) -> str:
        """Train to the end and leave the learner in its best state. Returns why it ended; raises NotFinite."""
        config, stopped = self.config, "finished"
        began = time.monotonic()
        self._validate()
        try:
            while self.epoch < config.epochs and stopped == "finished":
                if config.unfreeze_every:
                    self.unfreeze.open(min(self.n_trained, self.epoch // config.unfreeze_every))
                self.run_epoch(self.epoch)
                self.epoch += 1
                measured = self._validate() or NOTHING
                self.log.validated(self.step, time.monotonic() - began, measured, self.optimiser.param_groups[0]["lr"])
                if config.patience and self.waited >= config.patience:
                    stopped = "no improvement"
        except KeyboardInterrupt:
            stopped = "interrupted"
        load_weights(self.learner, self.best_state, "the best epoch")
        self.learner.eval()
        return stopped

    @property
    def waiting(self) -> float:
        """The share of the training time spent waiting for batches."""
        return self.batches.waited_s / self.train_seconds if self.train_seconds else 0.0

    def train_step(self, images: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[float, float]:
        """One step of the optimiser; returns the loss and the share of right answers."""
        self.optimiser.zero_grad(set_to_none=True)
        alpha = self.config.mixup
        if alpha:  # Zhang et al. 2018, "mixup", arXiv:1710.09412
            other = torch.from_numpy(rng.permutation(len(labels))).to(labels.device)
            kept = float(rng.beta(alpha, alpha))
            logits = self.learner(kept * images + (1 - kept) * images[other])
            loss = kept * self.loss(logits, labels) + (1 - kept) * self.loss(logits, labels[other])
        else:
            logits = self.learner(images)
            loss = self.loss(logits, labels)
        loss.backward()
        self.optimiser.step()
        return loss.item(), float((logits.detach().argmax(dim=1) == labels).float().mean())

    def run_epoch(self, number: int) -> None:
        """One pass over the training pictures. Raises NotFinite when it diverges."""
        self.learner.train()
        self.unfreeze.train_mode()
        began = time.monotonic()
        rng = np.random.default_rng((self.config.seed, number, 2))
        for images, labels in self.batches.epoch(number):
            loss, right = self.train_step(images, labels, rng)
            self.step += 1
            self._check(loss)
            self.log.step(self.step, loss, right)
            if isinstance(self.schedule, CosineAnnealingLR):
                self.schedule.step()
        self.train_seconds += time.monotonic() - began

    def _validate(self) -> Share | None:
        """Measure, keep the best, and drive the schedule."""
        if not len(self.val):
            self._keep(None)
            return None
        logits, labels = self._logits(self.val), torch.from_numpy(self.images.labels[self.val])
        loss = float(F.cross_entropy(logits, labels))
        measured = share_of((logits.argmax(dim=1) == labels).numpy())
        self.waited = 0 if measured.mean > self.best[0] else self.waited + 1
        if (measured.mean, -loss) > self.best:
            self.best = (measured.mean, -loss)
            self._keep(measured)
        if isinstance(self.schedule, ReduceLROnPlateau) and self.epoch:
            self.schedule.step(loss)
        return measured

    def _keep(self, measured: Share | None) -> None:
        self.best_state = {name: tensor.detach().clone() for name, tensor in self.learner.state_dict().items()}
        self.keep(self.epoch, measured)

    def _logits(self, rows: NDArray[np.int64]) -> Tensor:
        part = replace(self.images, images=self.images.images[rows], labels=self.images.labels[rows])
        features = torch.from_numpy(embed_images(self.learner.backbone, part, self.spec, device=self.device)[0])
        with torch.inference_mode():
            return self.learner.head(features.to(self.device)).cpu()  # type: ignore[no-any-return]

    def _check(self, loss: float) -> None:
        guessing = float(np.log(len(self.config.classes)))
        if not np.isfinite(loss) or loss > DIVERGED * guessing:
            raise NotFinite(
                f"the loss must stay near {guessing:.2f}, that of guessing, or below, but is {loss:.3g} at step "
                f"{self.step}: it diverged. The best network so far is kept in {self.config.out}/best.safetensors. Try "
                f"a lower rate, such as --lr {self.config.lr / 10:.1g}, or train less of it with --trainable last:1"
            )

    def _schedule(self) -> Any:
        if self.config.schedule == "plateau":
            if not len(self.val):
                raise ConfigError("schedule plateau needs validation images, but there are none; take cosine")
            return ReduceLROnPlateau(self.optimiser, **PLATEAU)
        return CosineAnnealingLR(self.optimiser, self.config.epochs * len(self.batches))

    def _class_weights(self, train: NDArray[np.int64]) -> Tensor | None:
        """Each class weighs as if all were equally large, when the config asks for it."""
        if self.config.balance != "loss":
            return None
        counts = np.bincount(self.images.labels[train])
        return torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32, device=self.device)
