"""Frames a second: eight at once (MLPerf's multi-stream), and as many as there are (offline), by batch and threads.

python -m benchmarks.throughput [BUNDLE] [--seconds 5] [--batch 1 8]
"""

from __future__ import annotations

import argparse

from benchmarks.common import save
from edgefs.bench.run import Plan, bench
from edgefs.bench.tables import as_text
from edgefs.cli.options import load_bundle
from edgefs.reports.publish import without_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    args = parser.parse_args()
    scenarios = ("single-stream", "multi-stream", "offline")
    plan = Plan(scenarios=scenarios, seconds=args.seconds, batches=args.batch, with_opening=False)
    report = bench(load_bundle(args.bundle), plan)
    print(*as_text(report), sep="\n")
    print(f"written to {save('throughput', without_samples(report))}")


if __name__ == "__main__":
    main()
