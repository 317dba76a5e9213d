"""The curves of a run as a PNG: the loss, and the accuracy in training and validation, by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the rows of the CSV log (step, loss, train_accuracy, val_accuracy); a line needs two of them."""
    if len(rows) < 2:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((11, 3.2), layout="constrained")
    steps = [row["step"] for row in rows]
    panels = {"loss": ["loss"], "accuracy %": ["train_accuracy", "val_accuracy"]}
    for axes, (title, names) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for name in names:
            axes.plot(steps, [row[name] for row in rows], label=name.removesuffix("_accuracy"))
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend()
    FigureCanvasAgg(figure).print_png(path)
