"""How often `edgefs bench --compare` is right: pairs of real runs, of the same build and with a planted slowdown.

    python -m benchmarks.compare [--rounds 10] [--factor 1.10] [--seconds 3] [--engine onnxruntime] [--more]

Each run is a process of its own. A round is four of them: three of this build, and one in which every engine call is
held up until it has taken `factor` times as long. Neighbouring runs are compared: as machines drift, these are the
pairs that people compare. Saved after every round; --more goes on with the result of today.
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

from benchmarks.common import result_path, save
from edgefs.bench.compare import compare
from edgefs.bench.machine import cpu_model
from edgefs.bench.run import Plan, bench
from edgefs.demo.progress import silent
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVinoEngine
from runtime.models import default_bundle

ROUND = (False, False, False, True)  # which runs have the slowdown
KEPT = ("engine", "precision", "samples", "undisturbed_samples", "blocks")


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


def one(path: Path, factor: float, seconds: float, engine: str) -> None:
    """A run in this process, to a file: what a comparison needs of it."""
    plant(factor)
    plan = Plan(engines=(engine,), threads=1, seconds=seconds, with_opening=False)
    report = bench(default_bundle(), plan, silent)
    rows = [{name: row[name] for name in KEPT} for row in report["results"]]
    path.write_text(json.dumps({"factor": factor, "others_cpus": report["before"]["others_cpus"], "results": rows}))


def run_once(factor: float, seconds: float, engine: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        command = [sys.executable, "-m", "benchmarks.compare", "--one", str(path), "--factor", str(factor)]
        subprocess.run([*command, "--seconds", str(seconds), "--engine", engine], check=True)
        return json.loads(path.read_text())  # type: ignore[no-any-return]


def verdicts(sessions: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Kind of pair -> how many there are, and how often each verdict was given for each metric."""
    here = {"machine": {"machine": cpu_model()}, "threads": 1}
    found: dict[str, list[Any]] = {"same build": [], "slowdown planted": [], "slowdown taken away": []}
    for old, new in (pair for session in sessions for pair in pairwise(session)):
        ratio = new["factor"] / old["factor"]
        kind = "same build" if ratio == 1 else "slowdown planted" if ratio > 1 else "slowdown taken away"
        found[kind].append([asdict(change) for change in compare({**here, **old}, {**here, **new})])
    return {
        kind: {
            "pairs": len(pairs),
            "verdicts": Counter(f"{change['metric']}: {change['verdict']}" for pair in pairs for change in pair),
            "changes": pairs,
        }
        for kind, pairs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--factor", type=float, default=1.10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args.factor, args.seconds, args.engine)
        return
    path = result_path("compare")
    sessions = json.loads(path.read_text())["sessions"] if args.more and path.exists() else []
    sessions.append([])
    for _ in range(args.rounds):
        for planted in ROUND:
            sessions[-1].append(run_once(args.factor if planted else 1.0, args.seconds, args.engine))
        found = verdicts(sessions)
        save("compare", {"factor": args.factor, "seconds": args.seconds, **found, "sessions": sessions})
        for kind, of in found.items():
            print(f"{kind}, {of['pairs']} pairs: {dict(of['verdicts'])}", flush=True)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
