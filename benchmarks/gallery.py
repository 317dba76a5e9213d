"""What a growing gallery costs: matching and storing a shot, from ten shots to a hundred thousand; a million once.

    python -m benchmarks.gallery [BUNDLE] [--million]

The cost curve is fitted up to 100,000 shots; what it says of a million is stated beside the measured point, for which
the classes are put together in memory, without a file behind them. Beside the result lies a page with the plot.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.common import save
from edgefs.bench.clock import Clock, figures
from edgefs.bench.growth import SHOTS, SHOTS_PER_CLASS, growth
from edgefs.bench.page import growth_section
from edgefs.cli.options import load_bundle
from edgefs.reports.html import document, headline
from edgefs.reports.plots import Points
from edgefs.reports.tables import table
from runtime.bundle import Bundle
from runtime.gallery import ClassShots
from runtime.matching.acceptance import Acceptance
from runtime.matching.matcher import Matcher
from runtime.matching.prototypes import Prototypes

MILLION = 1_000_000


def cost_curve(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """(a, b) of match_ms = a + b × classes; relative least squares, so that the small sizes count as well."""
    classes = np.array([row["classes"] for row in rows], float)
    match_ms = np.array([row["match_p50_ms"] for row in rows])
    design = np.stack([np.ones_like(classes), classes], axis=1) / match_ms[:, None]
    (a, b), *_ = np.linalg.lstsq(design, np.ones_like(match_ms), rcond=None)
    return float(a), float(b)


def million(bundle: Bundle) -> dict[str, Any]:
    """Matching against a million shots of 50,000 classes, and what it takes to be ready for it."""
    rng, n_classes, n = np.random.default_rng(0), MILLION // SHOTS_PER_CLASS, SHOTS_PER_CLASS
    classes = {}
    for c in range(n_classes):
        shots = rng.standard_normal((n, bundle.dim), np.float32)
        shots /= np.linalg.norm(shots, axis=1, keepdims=True)
        classes[str(c)] = ClassShots(str(c), np.arange(n), shots, ("b",) * n, np.ones(n, np.float32), shots[:0])
    acceptance = Acceptance(bundle.calibration, bundle.cohort(), bundle.metric, 0.05)
    start = time.perf_counter()
    prototypes = Prototypes(bundle.metric, bundle.dim).update(classes)
    matcher = Matcher(prototypes, acceptance.thresholds(prototypes, np.zeros((0, bundle.dim), np.float32)))
    ready_s, clock = time.perf_counter() - start, Clock()
    queries = [shots.embeddings[0] for shots in list(classes.values())[:200]]
    samples = [clock(lambda: matcher.decide(query)) for query in queries]  # noqa: B023 - called at once
    clock.close()
    return {"classes": n_classes, "ready_s": round(ready_s, 2), "match": figures(samples)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("--million", action="store_true", help="also measure a million shots: 1.5 GB")
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    rows = list(growth(bundle, SHOTS))
    a, b = cost_curve(rows)
    found: dict[str, Any] = {
        "bundle": bundle.name,
        "dim": bundle.dim,
        "rows": rows,
        "match_ms": f"{a:.4f} + {b:.3g} x classes",
        "million_by_calculation_ms": round(a + b * MILLION / SHOTS_PER_CLASS, 2),
    }
    print(table([tuple(row.values()) for row in rows], tuple(rows[0])))
    print(f"match: {found['match_ms']} ms, so a million shots: {found['million_by_calculation_ms']} ms")
    if args.million:
        found["million"] = million(bundle)
        print(f"a million, measured: {found['million']}")
    path = save("gallery", found)
    path.with_suffix(".html").write_text(page_of(found), "utf-8")
    print(f"written to {path} and {path.with_suffix('.html').name}")


def page_of(found: dict[str, Any]) -> str:
    """The result as a page with a plot."""
    points: dict[str, Points] = {"match, calculated": [(MILLION, found["million_by_calculation_ms"])]}
    if "million" in found:
        match = found["million"]["match"]
        points["match, measured"] = [(MILLION, match["uncontended_p50_ms"] or match["p50_ms"])]
    shots = f"embeddings of {found['dim']} numbers, {SHOTS_PER_CLASS} shots a class, in memory"
    lead = f"{found['bundle']}, {shots}; one match takes {found['match_ms']} ms, fitted to 100,000 shots"
    head = headline("benchmarks.gallery", "What a growing gallery costs", lead)
    return document("A growing gallery", [head, growth_section(found["rows"], points)])


if __name__ == "__main__":
    main()
