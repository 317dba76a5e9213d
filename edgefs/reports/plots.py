"""Plots as inline SVG, coloured by the stylesheet of the page, so that they also work in dark mode.

Lines differ by their dashes and by a label at their end, not by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np

from edgefs.reports.words import t

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 168, 16, 48
LANE = 72  # height of one histogram
DASHES = ("", "8 4", "2 4", "12 4 2 4", "4 2", "16 4")
Points = Sequence[tuple[float, float]]
Axis = tuple[Callable[[float], float], list[tuple[float, str]]]  # value -> place, and the ticks: (place, label)


def lines(series: Mapping[str, Points], x_label: str, y_label: str, *, log: bool = False, dots: bool = False) -> str:
    """Draw one line for each series of (x, y).

    Args:
        series: Name -> points; empty series are left out.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        log: Both axes are logarithmic.
        dots: Draw points with names instead of lines.
    """
    series = {name: points for name, points in series.items() if points}
    axis = _log_axis if log else _axis
    place_x, ticks_x = axis([x for points in series.values() for x, _ in points], LEFT, WIDTH - RIGHT)
    place_y, ticks_y = axis([y for points in series.values() for _, y in points], HEIGHT - BOTTOM, TOP)
    drawn, labels = "", []
    for i, (name, points) in enumerate(series.items()):
        placed = [(place_x(x), place_y(y)) for x, y in points]
        if not dots:
            drawn += (
                f'<polyline points="{_path(placed)}" class="plot-line" stroke-dasharray="{DASHES[i % len(DASHES)]}"/>'
            )
        drawn += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="plot-dot"/>' for x, y in placed)
        labels.append((placed[-1][1], placed[-1][0] + 10, name))
    below = -math.inf
    for y, x, name in sorted(labels):  # a label moves down until it covers no other one
        below = max(y, below + 16)
        drawn += _text(x, below + 4, name, "start")
    return _svg(t("{y} against {x}", y=y_label, x=x_label), HEIGHT, _grid(ticks_x, ticks_y, x_label, y_label) + drawn)


def distributions(rows: Mapping[str, Mapping[str, Sequence[float]]], x_label: str) -> str:
    """Draw a histogram for each row, of two or more samples on one scale: the first filled, the others as outlines."""
    values = np.concatenate([sample for samples in rows.values() for sample in samples.values()])
    low, high = float(values.min()) * 0.9, float(np.percentile(values, 99)) * 1.15  # the table has the maximum
    place_x, ticks_x = _axis([high], LEFT, WIDTH - RIGHT, low=low)
    edges = np.linspace(low, high, 121)
    height = TOP + LANE * len(rows) + BOTTOM
    drawn = _grid(ticks_x, [], x_label, "", height)
    for floor, (name, samples) in zip(range(TOP + LANE - 8, height, LANE), rows.items(), strict=False):
        for k, (sample_name, sample) in enumerate(samples.items()):
            counts, _ = np.histogram(sample, edges)
            tops = floor - counts / max(1, counts.max()) * (LANE - 24)
            xs = [place_x(edge) for edge in edges.repeat(2)]
            path = _path(list(zip(xs, [floor, *tops.repeat(2), floor], strict=True)))
            kind = "plot-line" if k else "plot-area"
            drawn += f'<polyline points="{path}" class="{kind}"><title>{escape(sample_name)}</title></polyline>'
        drawn += _text(WIDTH - RIGHT + 10, floor - 16, name, "start")
    return _svg(t("distribution of {what}", what=x_label), height, drawn)


def _axis(values: Sequence[float], start: float, end: float, *, low: float = 0.0) -> Axis:
    high = max(max(values) * 1.05, low + 1e-9)
    step = _round_step((high - low) / 6)
    ticks = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return _scaled(float, low, high, start, end, ticks)


def _log_axis(values: Sequence[float], start: float, end: float) -> Axis:
    least = math.floor(math.log10(min(values)))
    most = max(least + 1, math.ceil(math.log10(max(values) * 0.999)))
    return _scaled(math.log10, least, most, start, end, [10.0**power for power in range(least, most + 1)])


def _scaled(
    of: Callable[[float], float], low: float, high: float, start: float, end: float, ticks: Sequence[float]
) -> Axis:
    def place(value: float) -> float:
        return start + (of(value) - low) / (high - low) * (end - start)

    return place, [(place(tick), f"{tick:,.10g}") for tick in ticks]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, … times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _grid(
    ticks_x: Sequence[tuple[float, str]],
    ticks_y: Sequence[tuple[float, str]],
    x_label: str,
    y_label: str,
    height: float = HEIGHT,
) -> str:
    floor, right = height - BOTTOM, WIDTH - RIGHT
    drawn = _text((LEFT + right) / 2, height - 8, x_label)
    for x, label in ticks_x:
        drawn += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}" class="plot-grid"/>'
        drawn += _text(x, floor + 18, label)
    for y, label in ticks_y:
        drawn += f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="plot-grid"/>'
        drawn += _text(LEFT - 8, y + 4, label, "end")
    if y_label:
        drawn += f'<g transform="translate(12 {(TOP + floor) / 2:.0f}) rotate(-90)">{_text(0, 0, y_label)}</g>'
    return drawn


def _path(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="plot-text">{escape(text)}</text>'


def _svg(title: str, height: float, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" class="plot"><title>{escape(title)}</title>{inside}</svg>'
    )
