"""The demo over several seeds of its virtual camera: known frames right, stranger frames unknown, with intervals.

python -m benchmarks.demo [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import tempfile

from benchmarks.common import save
from edgefs.demo import run_demo
from edgefs.reports.tables import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    runs = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            report = run_demo(folder, seed=seed)
        kept = ("seed", "known", "strangers", "subjects", "latency_ms", "engine", "seconds")
        runs.append({key: report[key] for key in kept} | {"bundle": report["bundle"]["fingerprint"]})
    rows = [(run["seed"], *(_words(run[kind]) for kind in ("known", "strangers"))) for run in runs]
    print(table(rows, ("seed", "known right %", "strangers unknown %")))
    print(f"written to {save('demo', {'runs': runs})}")


def _words(share: dict[str, float]) -> str:
    return f"{100 * share['share']:.1f} ({100 * share['low']:.1f} to {100 * share['high']:.1f})"


if __name__ == "__main__":
    main()
