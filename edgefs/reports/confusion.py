"""The confusion matrix as a table and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MOST_NAMED = 40  # classes whose names and counts fit into the picture


def confusion(labels: NDArray[np.int64], answers: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Counts `int64 [K, K]`, true class in the row, answer in the column."""
    counts = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(counts, (labels, answers), 1)
    return counts


def write_confusion(counts: NDArray[np.int64], classes: Sequence[str], out: Path, *, title: str) -> None:
    """Write confusion.csv, and confusion.png with the row's share as colour."""
    with (out / "confusion.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ answered", *classes])
        writer.writerows([name, *row] for name, row in zip(classes, counts.tolist(), strict=True))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    named = len(classes) <= MOST_NAMED
    side = 2.5 + 0.45 * min(len(classes), MOST_NAMED)
    figure = Figure((side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure.colorbar(axes.imshow(shares, cmap="Blues", vmin=0, vmax=1), label="share of the true class")
    axes.set(title=title, xlabel="answered", ylabel="true")
    if named:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        for row, column in np.argwhere(counts):
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink)
    FigureCanvasAgg(figure).print_png(out / "confusion.png")
