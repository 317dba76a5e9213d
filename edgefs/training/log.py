"""The log of a run: a progress bar on a terminal, plain lines elsewhere, and a CSV that outlives an interruption."""

from __future__ import annotations

import csv
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgefs.evaluation.metrics import mean_and_interval
from edgefs.training.curves import draw_curves

FIELDS = ("step", "seconds", "loss", "train_accuracy", "val_accuracy", "val_interval", "lr")
LINE_EVERY_S = 30.0


class Measured(Protocol):
    """An accuracy in percent with its interval, over episodes or over pictures; `str` is for people."""

    @property
    def mean(self) -> float: ...

    @property
    def interval(self) -> float: ...


class Log:
    """The log of one run.

    Args:
        out: Folder for log.csv and curves.png.
        steps: Steps of the whole run.
        resumed: Step that the run continues from; later rows of the CSV are dropped.
        quiet: Write files only.
    """

    def __init__(self, out: Path, steps: int, *, resumed: int = 0, quiet: bool = False) -> None:
        self.out, self.steps, self.quiet = out, steps, quiet
        self.rows = [row for row in _read(out / "log.csv") if row["step"] <= resumed]
        self._first, self._started, self._printed = resumed, time.monotonic(), 0.0
        self._losses: list[float] = []
        self._accuracies: list[float] = []
        self.val: Measured | None = None
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=steps, initial=resumed, unit="step", dynamic_ncols=True)

    def step(self, step: int, loss: float, accuracy: float) -> None:
        """Note a training step; the accuracy is in 0..1."""
        self._losses.append(loss)
        self._accuracies.append(100 * accuracy)
        if self._bar is not None:
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update(step - self._bar.n)
        elif not self.quiet and time.monotonic() - self._printed >= LINE_EVERY_S:
            self._line(step)

    def validated(self, step: int, seconds: float, accuracy: Measured, lr: float) -> None:
        """Note a validation: a row of the CSV, the curves, and a line."""
        self.val = accuracy
        means = self._mean(self._losses), self._mean(self._accuracies)
        values = (step, round(seconds, 1), *means, accuracy.mean, accuracy.interval, lr)
        self.rows.append(dict(zip(FIELDS, values, strict=False)))
        self._losses, self._accuracies = [], []
        with (self.out / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(self.rows)
        draw_curves(self.rows, self.out / "curves.png")
        if self._bar is None and not self.quiet:
            self._line(step)

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _line(self, step: int) -> None:
        self._printed = time.monotonic()
        passed = self._printed - self._started
        left = passed / max(step - self._first, 1) * (self.steps - step)
        print(
            f"step {step}/{self.steps}  {self._state()}  {timedelta(seconds=round(left))} left",
            file=sys.stderr,
            flush=True,
        )

    def _state(self) -> str:
        recent = self._accuracies[-200:]
        words = []
        if recent:
            mean, interval = mean_and_interval(recent)
            words.append(f"loss {self._mean(self._losses[-200:]):.4f}  train {mean:.2f} ± {interval:.2f} %")
        if self.val is not None:
            words.append(f"val {self.val}")
        return "  ".join(words)

    @staticmethod
    def _mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else float("nan")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [
            {"step": int(row["step"]), **{name: float(row[name]) for name in FIELDS[1:]}}
            for row in csv.DictReader(file)
        ]
