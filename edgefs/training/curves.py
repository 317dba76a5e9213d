"""The curves of a run as a PNG, drawn with OpenCV: the loss, and the accuracy in training and validation, by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import load_cv2

PANEL = (320, 560)  # height, width in pixels
MARGIN = (34, 64)  # of the labels
INK, GRID = (40, 40, 40), (225, 225, 225)
COLOURS = {"loss": (180, 90, 30), "train": (190, 190, 190), "val": (30, 100, 220)}  # BGR


def draw_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the rows of the CSV log (step, loss, train_accuracy, val_accuracy); a line needs two of them."""
    if len(rows) < 2:
        return
    steps = np.array([row["step"] for row in rows], float)
    loss = _panel("loss", steps, {"loss": np.array([row["loss"] for row in rows], float)})
    accuracy = _panel(
        "accuracy %",
        steps,
        {name: np.array([row[f"{name}_accuracy"] for row in rows], float) for name in ("train", "val")},
    )
    load_cv2().imwrite(str(path), np.concatenate([loss, accuracy], axis=1))


def _panel(title: str, x: NDArray[np.float64], lines: dict[str, NDArray[np.float64]]) -> NDArray[np.uint8]:
    cv2 = load_cv2()
    height, width = PANEL
    image = np.full((height, width, 3), 255, np.uint8)
    every = np.concatenate(list(lines.values()))
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    high = high if high > low else low + 1
    top, left = MARGIN

    def write(text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int] = INK) -> None:
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

    for share in (0, 0.25, 0.5, 0.75, 1):
        y = round(top + (1 - share) * (height - 2 * top))
        cv2.line(image, (left, y), (width - 12, y), GRID, 1)
        write(f"{low + share * (high - low):.4g}", (4, y + 4), 0.4)
    write(title, (left, 20), 0.5)
    write(f"{x[-1]:.0f} steps", (width - 110, height - 10), 0.4)
    for i, (name, values) in enumerate(lines.items()):
        across = left + (x - x[0]) / max(x[-1] - x[0], 1) * (width - 12 - left)
        down = top + (1 - (values - low) / (high - low)) * (height - 2 * top)
        points = np.stack([across, down], axis=1)[np.isfinite(values)].round().astype(np.int32)
        cv2.polylines(image, [points.reshape(-1, 1, 2)], False, COLOURS[name], 2, cv2.LINE_AA)
        write(name, (left + 110 + 70 * i, 20), 0.5, COLOURS[name])
    return image
