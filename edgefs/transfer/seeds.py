"""The results of domain adaptation for each seed, and their mean and interval over the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class SeedResult:
    """Percent of the labelled target pictures answered right, for one seed; None without labels.

    `adabn_accuracy` is that of the network trained on the source alone, with the target's statistics.
    """

    seed: int
    target_accuracy: float | None
    source_only_accuracy: float | None
    adabn_accuracy: float | None
    target_trained_accuracy: float | None

    def __str__(self) -> str:
        pairs = (
            ("target", self.target_accuracy),
            ("source only", self.source_only_accuracy),
            ("AdaBN", self.adabn_accuracy),
            ("trained on the target", self.target_trained_accuracy),
        )
        words = ", ".join(f"{name} {value:.2f} %" for name, value in pairs if value is not None)
        return words or "no labels to measure on"


@dataclass(frozen=True)
class AdaptReport:
    """Means over the seeds in percent, with the half-width of their 95 % interval (Student's t; None for one seed).

    Attributes:
        gain: Of the method over training on the source alone, from the difference for each seed; it may be negative.
        best: The checkpoint of the first seed, where the config has an `out`.
    """

    method: str
    target_accuracy: float | None
    target_interval: float | None
    source_only_accuracy: float | None
    source_only_interval: float | None
    adabn_accuracy: float | None
    adabn_interval: float | None
    target_trained_accuracy: float | None
    target_trained_interval: float | None
    gain: float | None
    gain_interval: float | None
    seeds: tuple[int, ...]
    runs: tuple[SeedResult, ...]
    images: Mapping[str, int]
    best: Path | None
    seconds: float


def summary(runs: Sequence[SeedResult]) -> dict[str, float | None]:
    """The means and intervals of an AdaptReport, by their names."""
    found = {}
    for name in ("target", "source_only", "adabn", "target_trained"):
        values = [value for run in runs if (value := getattr(run, f"{name}_accuracy")) is not None]
        found[f"{name}_accuracy"], found[f"{name}_interval"] = mean_interval(values)
    gains = [
        run.target_accuracy - run.source_only_accuracy
        for run in runs
        if run.target_accuracy is not None and run.source_only_accuracy is not None
    ]
    found["gain"], found["gain_interval"] = mean_interval(gains)
    return found


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean, and the half-width of its 95 % interval by Student's t."""
    from scipy.stats import t

    if not values:
        return None, None
    if len(values) < 2:
        return float(np.mean(values)), None
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values)), float(half)
