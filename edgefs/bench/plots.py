"""Plots as inline SVG: no library, no script, the colours of the page's own stylesheet, so dark mode comes for free.

Lines are told apart by dashes and by a label at their end, not by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 168, 16, 48
DASHES = ("", "8 4", "2 4", "12 4 2 4", "4 2", "16 4")
Points = Sequence[tuple[float, float]]


def lines(series: Mapping[str, Points], x_label: str, y_label: str, *, log: bool = False, dots: bool = False) -> str:
    """One line for each series of (x, y).  log: both axes logarithmic.  dots: points with names instead of lines."""
    series = {name: points for name, points in series.items() if points}
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    place_x, ticks_x = _axis(xs, LEFT, WIDTH - RIGHT, log=log)
    place_y, ticks_y = _axis(ys, HEIGHT - BOTTOM, TOP, log=log)
    drawn, labels = [], []
    for i, (name, points) in enumerate(series.items()):
        placed = [(place_x(x), place_y(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        if not dots:
            dash = DASHES[i % len(DASHES)]
            drawn.append(f'<polyline points="{path}" class="plot-line" stroke-dasharray="{dash}"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="plot-dot"/>' for x, y in placed]
        labels.append((placed[-1][1], placed[-1][0] + 10, name))
    words = "".join(_text(x, y + 4, name, "start") for y, x, name in _apart(labels))
    return _svg(
        f"{y_label} against {x_label}", HEIGHT, _grid(ticks_x, ticks_y, x_label, y_label) + "".join(drawn) + words
    )


def distributions(rows: Mapping[str, Mapping[str, Sequence[float]]], x_label: str) -> str:
    """A histogram for each row, of two or more samples on one scale: the first filled, the others as outlines."""
    values = np.concatenate([sample for samples in rows.values() for sample in samples.values() if len(sample)])
    top = float(np.percentile(values, 99)) * 1.15  # the table has what lies beyond
    low = float(values.min()) * 0.9
    place_x, ticks_x = _axis([low, top], LEFT, WIDTH - RIGHT, from_zero=False)
    edges = np.linspace(low, top, 121)
    lane, parts = 72, []
    height = TOP + lane * len(rows) + BOTTOM
    for i, (name, samples) in enumerate(rows.items()):
        floor = TOP + lane * (i + 1) - 8
        for k, (sample_name, sample) in enumerate(samples.items()):
            counts, _ = np.histogram(sample, edges)
            heights = counts / max(1, counts.max()) * (lane - 24)
            corners = [
                point
                for low, high, tall in zip(edges[:-1], edges[1:], heights, strict=True)
                for point in ((place_x(low), floor - tall), (place_x(high), floor - tall))
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [(LEFT, floor), *corners, (place_x(top), floor)])
            kind = "plot-line" if k else "plot-area"
            title = f"<title>{escape(sample_name)}</title>"
            parts.append(f'<polyline points="{path}" class="{kind}">{title}</polyline>')
        parts.append(_text(WIDTH - RIGHT + 10, floor - 16, name, "start"))
    return _svg(f"distribution of {x_label}", height, _grid(ticks_x, [], x_label, "", height) + "".join(parts))


def _axis(
    values: Sequence[float], start: float, end: float, *, log: bool = False, from_zero: bool = True
) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """How a value is placed, and the ticks: (place, label)."""
    if log:
        least = math.floor(math.log10(min(values)))
        powers = range(least, max(least + 1, math.ceil(math.log10(max(values) * 0.999))) + 1)
        return _scale(math.log10, powers[0], powers[-1], start, end, [10.0**power for power in powers])
    low, high = (0.0, max(values) * 1.05) if from_zero else (min(values), max(values))
    high = max(high, low + 1e-9)
    step = _round_step((high - low) / 6)
    ticks = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return _scale(float, low, high, start, end, ticks)


def _scale(
    of: Callable[[float], float], low: float, high: float, start: float, end: float, ticks: Sequence[float]
) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    def place(value: float) -> float:
        return start + (of(value) - low) / (high - low) * (end - start)

    return place, [(place(tick), f"{tick:,.10g}") for tick in ticks]


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, … that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _grid(
    ticks_x: Sequence[tuple[float, str]],
    ticks_y: Sequence[tuple[float, str]],
    x_label: str,
    y_label: str,
    height: float = HEIGHT,
) -> str:
    floor = height - BOTTOM
    vertical = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}" class="plot-grid"/>' + _text(x, floor + 18, label)
        for x, label in ticks_x
    )
    horizontal = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="plot-grid"/>'
        + _text(LEFT - 8, y + 4, label, "end")
        for y, label in ticks_y
    )
    names = _text((LEFT + WIDTH - RIGHT) / 2, height - 8, x_label)
    side = (
        f'<g transform="translate(12 {(TOP + floor) / 2:.0f}) rotate(-90)">{_text(0, 0, y_label)}</g>'
        if y_label
        else ""
    )
    return vertical + horizontal + names + side


def _apart(labels: Sequence[tuple[float, float, str]], least: float = 16) -> list[tuple[float, float, str]]:
    """Labels (y, x, text) moved down until none covers another."""
    placed: list[tuple[float, float, str]] = []
    for y, x, text in sorted(labels):
        placed.append((max(y, placed[-1][0] + least) if placed else y, x, text))
    return placed


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="plot-text">{escape(text)}</text>'


def _svg(title: str, height: float, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" class="plot"><title>{escape(title)}</title>{inside}</svg>'
    )
