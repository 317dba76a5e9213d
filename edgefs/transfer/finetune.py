"""Fine-tuning: a trained network learns your classes, from your pictures, as much of it as you let.

The new head does not start at random: it is first fitted on the frozen features (Kumar et al. 2022, "Fine-Tuning can
Distort Pretrained Features and Underperform Out-of-Distribution", arXiv:2202.10054), so that the gradients of a head
that knows nothing do not tear the backbone about. With method "features" that is all: every picture passes once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefs.data.images import CACHE, open_images
from edgefs.errors import ConfigError
from edgefs.evaluation.metrics import head_features
from edgefs.networks.classifier import classifier
from edgefs.networks.embedder import embed_images
from edgefs.networks.linear_head import fit_head, load_head
from edgefs.training.checkpoint import save_checkpoint
from edgefs.training.log import Log
from edgefs.training.machine import machine_of
from edgefs.transfer.config import FinetuneConfig
from edgefs.transfer.epochs import Epochs
from edgefs.transfer.features import frozen_features
from edgefs.transfer.files import SPLITS, find_files
from edgefs.transfer.report import Share, confusion, share_of, write_confusion
from edgefs.transfer.start import start


@dataclass(frozen=True)
class FinetuneReport:
    """best: the checkpoint of the best validation.  val, test: of its head; None where there are no such pictures.

    nearest_mean: what a device answers that knows the training images by their class means, on test (else val).
    per_class: share of the test (else val) pictures of each class.  images: how many in each split.
    computed, feature_seconds: features that were not in the cache, and the time for all of them.
    waiting: share of the training time spent waiting for batches.
    stopped: "finished", "no improvement" or "interrupted".  skipped: unreadable files.
    """

    best: Path
    val: Share | None
    test: Share | None
    nearest_mean: Share | None
    per_class: Mapping[str, Share]
    images: Mapping[str, int]
    computed: int
    feature_seconds: float
    epochs: int
    seconds: float
    waiting: float
    stopped: str
    skipped: tuple[str, ...]


def finetune(config: FinetuneConfig, *, quiet: bool = False) -> FinetuneReport:
    """Run as configured; write best.safetensors, split.csv, report.json, confusion.png and .csv, and curves.png.

    Raises ConfigError, DataError, CheckpointError or SourceError before anything is trained; NotFinite when it
    diverges, which keeps the best checkpoint so far.
    """
    run = Finetuning(config, quiet=quiet)
    try:
        return run.go()
    finally:
        run.log.close()


class Finetuning:
    """A run: its pictures, its network and its voice."""

    def __init__(self, config: FinetuneConfig, *, quiet: bool = False) -> None:
        self.began, self.out = time.monotonic(), Path(config.out)
        if (self.out / "best.safetensors").exists():
            raise ConfigError(f"{self.out} must be a new folder, but holds a run; choose another --out")
        self.device, _ = machine_of(config)
        self.cache = Path(config.root) / CACHE
        self.files = find_files(config)
        self.origin = start(config, self.files.by_class())
        if config.method == "features" and not self.origin.trained:
            raise ConfigError(
                f"features of {config.backbone} must come from trained weights, but these are random; name --weights"
            )
        self.spec = self.origin.spec
        self.config = replace(config, backbone=self.origin.name, classes=self.files.classes)
        torch.manual_seed(config.seed)
        self.learner = classifier(self.origin.backbone, self.config).to(self.device).eval()
        self.skipped: tuple[str, ...] = ()
        batches = max(1, -(-len(self.files.rows("train")) // config.batch))
        self.log = Log(self.out, config.epochs * batches, quiet=quiet)

    def go(self) -> FinetuneReport:
        self.out.mkdir(parents=True, exist_ok=True)
        self.files.save(self.out / "split.csv")
        counts = ", ".join(f"{len(self.files.rows(split))} {split}" for split in SPLITS)
        self.log.say(
            f"{self.config.method} {self.config.backbone}, {len(self.files.classes)} classes: {counts} pictures"
        )
        return self._features() if self.config.method == "features" else self._epochs()

    def _features(self) -> FinetuneReport:
        began = time.monotonic()
        found = frozen_features(
            self.files.files, self.learner.backbone, self.spec,
            cache=self.cache, policy=self.config.bad_files, device=self.device,
        )  # fmt: skip
        seconds = round(time.monotonic() - began, 3)
        keep = ~np.isin([str(path) for path in self.files.files], found.skipped)
        self.files, self.skipped = self.files.without(found.skipped), found.skipped
        features = found.rows[keep]
        self._fit_head(features[self.files.rows("train")])
        return self._report(features, computed=found.computed, feature_seconds=seconds)

    def _epochs(self) -> FinetuneReport:
        epochs = self.open_epochs()
        stopped = epochs.go()
        features = embed_images(self.learner.backbone, epochs.images, self.spec, device=self.device)[0]
        return self._report(features, epochs=epochs.epoch, waiting=round(epochs.waiting, 4), stopped=stopped)

    def open_epochs(self) -> Epochs:
        """Decode the pictures, fit the head, and stand before the first epoch."""
        images = open_images(
            self.files.by_class(), self.spec.preprocess, cache=self.cache, policy=self.config.bad_files
        )
        self.files, self.skipped = self.files.without(images.skipped), images.skipped
        train, val = self.files.rows("train"), self.files.rows("val")
        epochs = Epochs(
            self.config, self.learner, images, self.spec, train=train, val=val, trained=self.origin.trained,
            device=self.device, log=self.log, keep=lambda epoch, val: self._save({"epoch": epoch, "val": val}),
        )  # fmt: skip
        if self.origin.trained:
            part = replace(images, images=images.images[train], labels=images.labels[train])
            self._fit_head(embed_images(self.learner.backbone, part, self.spec, device=self.device)[0])
        return epochs

    def _fit_head(self, features: NDArray[np.float32]) -> None:
        labels = self.files.labels[self.files.rows("train")]
        balanced = self.config.balance != "none"
        load_head(
            self.learner.head, fit_head(self.config.head, features, labels, balanced=balanced, seed=self.config.seed)
        )

    def _save(self, figures: Mapping[str, Any], base_mean: Tensor | None = None) -> None:
        plain = {name: asdict(value) if isinstance(value, Share) else value for name, value in figures.items()}
        figures = {**plain, "start": dict(self.origin.facts)}
        save_checkpoint(
            self.out / "best.safetensors", self.learner, self.config, self.spec, base_mean=base_mean, figures=figures
        )

    def _report(self, features: NDArray[np.float32], **facts: Any) -> FinetuneReport:
        """Measure, save the checkpoint with its figures, draw, and write report.json."""
        labels, classes = self.files.labels, self.files.classes
        rows = {split: self.files.rows(split) for split in SPLITS}
        with torch.inference_mode():
            answers = self.learner.head(torch.from_numpy(features).to(self.device)).argmax(dim=1).cpu().numpy()
        base_mean = features[rows["train"]].mean(axis=0)
        nearest = nearest_mean(features, labels, rows["train"], base_mean)
        shares = {split: share_of(answers[own] == labels[own]) for split, own in rows.items() if len(own)}
        measured = next(split for split in ("test", "val", "train") if split in shares)
        own = rows[measured]
        report = FinetuneReport(
            best=self.out / "best.safetensors",
            val=shares.get("val"),
            test=shares.get("test"),
            nearest_mean=share_of(nearest[own] == labels[own]),
            per_class={name: share_of(answers[own][labels[own] == k] == k) for k, name in enumerate(classes)},
            images={split: len(values) for split, values in rows.items()},
            seconds=round(time.monotonic() - self.began, 1),
            skipped=self.skipped,
            **{"computed": 0, "feature_seconds": 0.0, "epochs": 0, "waiting": 0.0, "stopped": "finished", **facts},
        )
        self._save({**shares, "nearest_mean": report.nearest_mean}, torch.from_numpy(base_mean))
        counts = confusion(labels[own], answers[own], len(classes))
        write_confusion(counts, classes, self.out, title=f"{measured}: {shares[measured]}")
        told = {"config": self.config.public().to_json(), **asdict(report), "best": report.best.name}
        (self.out / "report.json").write_text(json.dumps(told, indent=1) + "\n")
        return report


def nearest_mean(
    features: NDArray[np.float32], labels: NDArray[np.int64], train: NDArray[np.int64], base_mean: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The answers `int64 [N]` of a gallery that was taught the training images: nearest class mean, centred cosine."""
    unit = head_features(features, base_mean)["CL2N"]
    means = np.stack([unit[train[labels[train] == k]].mean(axis=0) for k in range(labels.max() + 1)])
    return (unit @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)  # type: ignore[no-any-return]
