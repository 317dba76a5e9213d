"""Domain adaptation: labels from a source, pictures from a target, and a network that is used on the target.

Each seed trains on the source alone (the lower bound, and with the target's statistics the baseline AdaBN), with the
method, and, where the target has labels, on most of those (the upper bound, measured on the rest). The weights are the
running average of the last steps, and the number of steps is fixed beforehand: a selection by the target's labels would
make the result look better than it is.

Source and target pass the network separately, so every batch is normalised by its own domain. At the end the norm
layers take the statistics of the target, for every method (AdaBN; Li et al. 2017, "Revisiting Batch Normalization For
Practical Domain Adaptation", arXiv:1603.04779).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgefs.checkpoint import check_folder, new_method, save_checkpoint
from edgefs.data.images import CACHE, open_images
from edgefs.errors import ConfigError, NotFinite
from edgefs.methods import ADAPT, AdaptConfig
from edgefs.methods.options import settled
from edgefs.networks.classifier import Bottleneck
from edgefs.networks.embedder import BATCH, SAMPLE, take_statistics
from edgefs.networks.learner import Learner
from edgefs.training.machine import machine_of
from edgefs.transfer.domains import Pool, feature_maker, find_domains, picture_maker
from edgefs.transfer.features import frozen_features
from edgefs.transfer.seeds import AdaptReport, SeedResult, summary
from edgefs.transfer.start import start

AVERAGE = 0.99  # decay of the running average of the weights
BOUND_SHARE = 0.75  # share of the target's labels that the upper bound is trained on


def adapt(method: str | AdaptConfig, *, quiet: bool = False, **options: Any) -> AdaptReport:
    """Adapt a network to another domain: `adapt("dann", source="mnist/", target="usps/")`.

    With `out`, writes best.safetensors and report.json there.

    Args:
        method: One of `edgefs.methods.ADAPT`, or a config.
        quiet: Print nothing.
        options: Fields of the config, as `edgefs adapt --help` shows them.

    Raises:
        ConfigError, DataError, CheckpointError, SourceError: Something cannot work; before anything is trained.
        NotFinite: The loss became infinite.
    """
    return Adapting(settled(ADAPT, method, options), quiet=quiet).go()


class Adapting:
    """Data and networks of one run over several seeds."""

    def __init__(self, config: AdaptConfig, *, quiet: bool = False) -> None:
        self.began, self.quiet = time.monotonic(), quiet
        if config.out and (Path(config.out) / "best.safetensors").exists():
            raise ConfigError(f"{config.out} must be a new folder, but holds a run; choose another --out")
        if config.out:
            check_folder(config.out)
        self.device, _ = machine_of(config)
        files = find_domains(config)
        self.origin = start(config, {**files.target, **files.source})
        if self.origin.trained and config.bottleneck < 1:
            raise ConfigError(
                f"bottleneck must be at least 1 on trained weights, which stay frozen, but is {config.bottleneck}"
            )
        narrow = config.bottleneck if self.origin.trained else 0
        classes = tuple(files.source)
        self.config = replace(config, backbone=self.origin.name, classes=classes, bottleneck=narrow)
        self.source = self._pool(files.source, config.source)
        self.target = self._pool(files.target, config.target)
        self.labelled: Pool | None = None
        if files.labelled is files.target:
            self.labelled = self.target
        elif files.labelled:
            self.labelled = self._pool(files.labelled, config.target_labels)
        self.bar = self._progress()

    def _pool(self, classes: Mapping[str, Sequence[Path]], root: str) -> Pool:
        """The pictures of a domain; where the backbone is frozen, their features, which are computed once."""
        config, spec, cache = self.config, self.origin.spec, Path(root) / CACHE
        if not config.bottleneck:
            images = open_images(classes, spec.preprocess, cache=cache, policy=config.bad_files)
            return Pool(images.images, images.labels, picture_maker(spec, config.augment, self.device))
        files = [path for paths in classes.values() for path in paths]
        labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes.values()])
        backbone = self.origin.backbone.to(self.device)
        found = frozen_features(files, backbone, spec, cache=cache, policy=config.bad_files, device=self.device)
        keep = ~np.isin([str(path) for path in files], found.skipped)
        return Pool(found.rows[keep], labels[keep], feature_maker(self.device))

    def go(self) -> AdaptReport:
        config, runs, best = self.config, [], None
        for seed in range(config.first_seed, config.first_seed + config.seeds):
            learner, result = self._seed(seed)
            runs.append(result)
            if not self.quiet:
                self.bar.write(f"seed {seed}: {result}", file=sys.stderr)
            if config.out and best is None:
                best = self._save(learner, result)
        self.bar.close()
        report = self._report(tuple(runs), best)
        if config.out:
            told = {"config": config.public().to_json(), **asdict(report), "best": best.name if best else None}
            (Path(config.out) / "report.json").write_text(json.dumps(told, indent=1) + "\n")
        return report

    def _seed(self, seed: int) -> tuple[Learner, SeedResult]:
        config, adapts = self.config, self.config.trains
        lower = upper = adabn = None
        if config.bounds or not adapts:
            learner = self._train(self.source, None, seed)
            lower = self._accuracy(learner, self.labelled)
            self._take_statistics(learner, self.target)
            adabn = self._accuracy(learner, self.labelled)
        if adapts:
            learner = self._train(self.source, self.target, seed)
            self._take_statistics(learner, self.target)
        if config.bounds and self.labelled:
            train, test = split_rows(self.labelled.labels, BOUND_SHARE, seed)
            upper = self._accuracy(self._train(self.labelled.part(train), None, seed), self.labelled.part(test))
        adapted = self._accuracy(learner, self.labelled) if adapts else adabn
        return learner, SeedResult(seed, adapted, lower, adabn, upper)

    def _train(self, source: Pool, target: Pool | None, seed: int) -> Learner:
        """A learner trained on the source's labels and, with a target, by the method; with the source's statistics."""
        learner = self._fresh(seed)
        embed = self._embed(learner)
        method = self.config.loss(learner.backbone.dim).to(self.device) if target else None
        trained = nn.ModuleList([embed, learner.head])
        parameters = [*trained.parameters(), *(method.parameters() if method else ())]
        optimiser = torch.optim.AdamW(parameters, self.config.lr, weight_decay=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.config.steps)
        average = AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
        rng = np.random.default_rng((seed, 3))
        source_rows, target_rows = (draws(pool, self.config.batch, rng) for pool in (source, target or source))
        trained.train()
        for step in range(self.config.steps):
            rows = next(source_rows)
            features = embed(source.take(rows, rng))
            logits = learner.head(features)
            loss = F.cross_entropy(logits, torch.from_numpy(source.labels[rows]).to(self.device))
            if target and method:
                of_target = embed(target.take(next(target_rows), rng))
                both = (logits, learner.head(of_target))
                loss = loss + self.config.weight * method.loss(features, of_target, both, step / self.config.steps)
            if not torch.isfinite(loss):
                raise NotFinite(
                    f"the loss must stay finite, but is not at step {step} of seed {seed}; try again with --lr "
                    f"{self.config.lr / 10:.1g}"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(trained)
            self.bar.update()
        trained.load_state_dict(average.module.state_dict())
        self._take_statistics(learner, source)
        learner.eval()
        return learner

    def _fresh(self, seed: int) -> Learner:
        """A learner whose untrained layers have random weights of this seed."""
        torch.manual_seed(seed)
        config = self.config
        learner = config.build(self.origin.backbone) if config.bottleneck else new_method(config, self.origin.spec)
        return learner.to(self.device)  # type: ignore[no-any-return]

    def _embed(self, learner: Learner) -> nn.Module:
        """The part that learns below the head."""
        backbone = learner.backbone
        return backbone.narrow if isinstance(backbone, Bottleneck) else backbone

    def _take_statistics(self, learner: Learner, pool: Pool) -> None:
        """AdaBN: the norm layers that learn take the statistics of a domain."""
        rows = np.random.default_rng(0).permutation(len(pool))[:SAMPLE]
        parts = np.array_split(rows, max(1, len(rows) // BATCH))
        take_statistics(self._embed(learner), (pool.take(part) for part in parts))

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _accuracy(self, learner: Learner, pool: Pool | None) -> float | None:
        if pool is None:
            return None
        embed, right = self._embed(learner).eval(), 0
        for rows in np.array_split(np.arange(len(pool)), -(-len(pool) // 256)):
            answers = learner.head(embed(pool.take(rows))).argmax(dim=1).cpu().numpy()
            right += int((answers == pool.labels[rows]).sum())
        return 100 * right / len(pool)

    def _save(self, learner: Learner, result: SeedResult) -> Path:
        embed = self._embed(learner)
        with torch.inference_mode():
            rows = np.linspace(0, len(self.target) - 1, min(len(self.target), 512)).astype(int)
            base_mean = embed(self.target.take(rows)).mean(dim=0)
        return save_checkpoint(
            Path(self.config.out) / "best.safetensors", learner, self.config, self.origin.spec,
            base_mean=base_mean, figures=asdict(result),
        )  # fmt: skip

    def _report(self, runs: tuple[SeedResult, ...], best: Path | None) -> AdaptReport:
        return AdaptReport(
            method=self.config.method,
            **summary(runs),
            seeds=tuple(run.seed for run in runs),
            runs=runs,
            images={"source": len(self.source), "target": len(self.target), "labelled": len(self.labelled or ())},
            best=best,
            seconds=round(time.monotonic() - self.began, 1),
        )

    def _progress(self) -> Any:
        from tqdm import tqdm

        config, adapts = self.config, self.config.trains
        trainings = adapts + (config.bounds or not adapts) + bool(config.bounds and self.labelled)
        total = config.seeds * trainings * config.steps
        return tqdm(total=total, unit="step", disable=True if self.quiet else None, leave=False)


def draws(pool: Pool, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Endless batches of rows; every row is drawn once before any is drawn again."""
    rows: NDArray[np.int64] = np.zeros(0, np.int64)
    while True:
        while len(rows) < batch:
            rows = np.concatenate([rows, rng.permutation(len(pool))])
        yield rows[:batch]
        rows = rows[batch:]


def split_rows(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the rows of every class at random: a share of them, and the rest."""
    rng = np.random.default_rng((seed, 4))
    first, rest = [], []
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        cut = min(len(own) - 1, max(1, round(share * len(own))))
        first.append(own[:cut])
        rest.append(own[cut:])
    return np.concatenate(first), np.concatenate(rest)
