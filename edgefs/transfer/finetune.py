"""Fine-tuning: a trained network learns your classes from your pictures.

The head does not start at random: it is first fitted on the frozen features (Kumar et al. 2022, "Fine-Tuning can
Distort Pretrained Features and Underperform Out-of-Distribution", arXiv:2202.10054), because the gradients of a random
head would damage the backbone. With method "features" the fitted head is the result.
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

from edgefs.checkpoint import check_folder, save_checkpoint
from edgefs.data.images import CACHE, open_images
from edgefs.errors import ConfigError
from edgefs.evaluation.metrics import head_features
from edgefs.methods import FINETUNE, FinetuneConfig
from edgefs.methods.options import settled
from edgefs.networks.embedder import embed_images
from edgefs.networks.linear_head import fit_head, load_head
from edgefs.reports.confusion import confusion, write_confusion
from edgefs.training.log import Log
from edgefs.training.machine import machine_of
from edgefs.transfer.epochs import Epochs
from edgefs.transfer.features import frozen_features
from edgefs.transfer.files import SPLITS, find_files
from edgefs.transfer.report import Share, share_of
from edgefs.transfer.start import start
from runtime.durable import write_file


@dataclass(frozen=True)
class FinetuneReport:
    """The result of a run.

    Attributes:
        best: The checkpoint of the best validation.
        val: Accuracy of its head on the validation pictures; None without any.
        test: Accuracy of its head on the test pictures; None without any.
        nearest_mean: Accuracy of a gallery with the training images, by class means, on test (else val).
        per_class: Accuracy for each class, on test (else val).
        images: Number of pictures in each split.
        computed: Features that were not in the cache.
        feature_seconds: Time for all features.
        waiting: Share of the training time in which the network waited for batches.
        stopped: "finished", "no improvement" or "interrupted".
        skipped: Unreadable files.
        bundle: The bundle, where one was asked for.
        gallery: The gallery with the classes enrolled, likewise.
        shots: Number of shots in the gallery.
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
    bundle: Path | None = None
    gallery: Path | None = None
    shots: int = 0


def finetune(method: str | FinetuneConfig = "finetune", *, quiet: bool = False, **options: Any) -> FinetuneReport:
    """Fine-tune a network on a folder of class folders: `finetune(root="photos/", out="run", bundle=True)`.

    Writes best.safetensors, split.csv, report.json, confusion.png and .csv, and curves.png into `out`; with `bundle`
    also model.edgefs and classes.db.

    Args:
        method: "finetune", "features" (fit a head on frozen features), or a config.
        quiet: Print nothing.
        options: Fields of the config, as `edgefs finetune --help` shows them.

    Raises:
        ConfigError, DataError, CheckpointError, SourceError: Something cannot work; before anything is trained.
        NotFinite: The loss became infinite; the best checkpoint so far is kept.
    """
    run = Finetuning(settled(FINETUNE, method, options), quiet=quiet)
    try:
        return run.go()
    finally:
        run.log.close()


class Finetuning:
    """Data, model and logger of one run."""

    def __init__(self, config: FinetuneConfig, *, quiet: bool = False) -> None:
        self.began, self.out = time.monotonic(), Path(config.out)
        self._check_out()
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
        self.learner = self.config.build(self.origin.backbone).to(self.device).eval()
        self.skipped: tuple[str, ...] = ()
        batches = max(1, -(-len(self.files.rows("train")) // config.batch))
        self.log = Log(self.out, config.epochs * batches, quiet=quiet)

    def _check_out(self) -> None:
        """Refuse the folder of another run, but not that of a run like this one that was killed before its report."""
        check_folder(self.out)
        killed = (self.out / "split.csv").exists() and not (self.out / "report.json").exists()
        if (self.out / "best.safetensors").exists() and not killed:
            raise ConfigError(f"{self.out} must be a new folder, but holds a run; choose another --out")

    def go(self) -> FinetuneReport:
        self.out.mkdir(parents=True, exist_ok=True)
        self.files.save(self.out / "split.csv")
        (self.out / "classes.db").unlink(missing_ok=True)  # of a run that was killed
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
        """Decode the pictures and fit the head; the first epoch comes next."""
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
        """Measure, save the checkpoint with its figures, draw, write the bundle if asked for, and last report.json."""
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
        if self.config.bundle:
            from edgefs.transfer.device import to_device

            report = replace(report, **to_device(self.out, root=self.config.root, say=self.log.say))
        plain = {name: value.name if isinstance(value, Path) else value for name, value in asdict(report).items()}
        told = {"config": self.config.public().to_json(), **plain}
        write_file(self.out / "report.json", (json.dumps(told, indent=1) + "\n").encode())
        return report


def nearest_mean(
    features: NDArray[np.float32], labels: NDArray[np.int64], train: NDArray[np.int64], base_mean: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The answers `int64 [N]` of a gallery with the training images as shots: nearest class mean, centred cosine."""
    unit = head_features(features, base_mean)["CL2N"]
    means = np.stack([unit[train[labels[train] == k]].mean(axis=0) for k in range(labels.max() + 1)])
    return (unit @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)  # type: ignore[no-any-return]
