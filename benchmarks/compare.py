"""How often `edgefs bench --compare` is right: pairs of real runs, of the same build and with a planted slowdown.

    python -m benchmarks.compare [--same 20] [--slower 10] [--factor 1.10] [--seconds 3]

Each run is a process of its own. In a planted one every engine call is held up until it has taken `factor` times as
long. Neighbouring runs are compared: as machines drift, these are the pairs people compare.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.common import save
from edgefs.bench.compare import compare
from edgefs.bench.run import Plan, bench
from edgefs.demo.progress import silent
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVinoEngine
from runtime.models import default_bundle


def plant(factor: float) -> None:
    """Make every engine call take `factor` times as long."""
    for engine in (OnnxRuntimeEngine, OpenVinoEngine):

        def slowed(self: Any, frames: Any, embed: Any = engine.embed) -> Any:
            start = time.perf_counter()
            answer = embed(self, frames)
            end = start + factor * (time.perf_counter() - start)
            while time.perf_counter() < end:
                pass
            return answer

        engine.embed = slowed  # type: ignore[method-assign]


def one(path: Path, factor: float, seconds: float) -> None:
    plant(factor)
    plan = Plan(engines=("onnxruntime", "openvino"), threads=1, seconds=seconds, with_opening=False)
    path.write_text(json.dumps(bench(default_bundle(), plan, silent)))


def runs(factors: list[float], seconds: float) -> list[dict[str, Any]]:
    """One report for each factor, in order."""
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        for factor in factors:
            command = [sys.executable, "-m", "benchmarks.compare", "--one", str(path), "--factor", str(factor)]
            subprocess.run([*command, "--seconds", str(seconds)], check=True)
            reports.append(json.loads(path.read_text()))
            print(".", end="", flush=True)
    return reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", type=int, default=20, help="pairs of the same build")
    parser.add_argument("--slower", type=int, default=10, help="pairs of which the second is slower")
    parser.add_argument("--factor", type=float, default=1.10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args.factor, args.seconds)
        return
    same = runs([1.0] * (args.same + 1), args.seconds) if args.same else []
    mixed = runs([1.0, args.factor] * args.slower, args.seconds)
    pairs = {
        "same build": list(pairwise(same)),
        f"planted {args.factor}": list(zip(mixed[::2], mixed[1::2], strict=True)),
    }
    figures: dict[str, Any] = {"seconds": args.seconds, "blocks": [_calm(report) for report in (*same, *mixed)]}
    for name, some in pairs.items():
        changes = [[asdict(change) for change in compare(old, new)] for old, new in some]
        counts = Counter(f"{change['metric']}: {change['verdict']}" for each in changes for change in each)
        figures[name] = {"pairs": len(some), "verdicts": dict(counts), "changes": changes}
        print(f"\n{name}, {len(some)} pairs: {dict(counts)}")
    kind = "compare" if args.same and args.slower else "compare-same" if args.same else "compare-planted"
    print(f"written to {save(kind, figures)}")


def _calm(report: dict[str, Any]) -> dict[str, Any]:
    """The blocks themselves, so that another rule can be tried on the same runs."""
    return {f"{row['engine']} {metric}": ms for row in report["results"] for metric, ms in row["blocks"].items()}


if __name__ == "__main__":
    main()
