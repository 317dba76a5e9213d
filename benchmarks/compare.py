"""How often `edgefs bench --compare` is right: pairs of real runs, of the same build and with a planted slowdown.

    python -m benchmarks.compare [--rounds 10] [--factor 1.10] [--seconds 3] [--engine onnxruntime] [--more]

Each run is a process of its own. A round is six of them: four of this build, one in which every engine call is held up
until it has taken `factor` times as long, and one in which `recognize()` is. Neighbouring runs are compared: as
machines drift, these are the pairs that people compare. Saved after every round; --more goes on with today's result.
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
from edgefs.bench.machine import facts
from edgefs.bench.run import Plan, bench
from edgefs.reports.progress import silent
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVinoEngine
from runtime.models import default_bundle
from runtime.recognizer import Recognizer

ROUND = ("nothing", "nothing", "nothing", "engine", "nothing", "recognize")  # what is slowed in each run
SLOWED: dict[str, tuple[tuple[Any, str], ...]] = {
    "nothing": (),
    "engine": ((OnnxRuntimeEngine, "embed"), (OpenVinoEngine, "embed")),
    "recognize": ((Recognizer, "recognize"),),
}
HERE = {"machine": {"machine": facts()["machine"]}, "threads": 1}
KEPT = ("engine", "precision", "version", "artifact", "samples", "uncontended_samples", "blocks")


def hold_up(owner: Any, name: str, factor: float) -> None:
    """Make every call of a method take `factor` times as long."""
    real = getattr(owner, name)

    def slowed(self: Any, frames: Any) -> Any:
        start = time.perf_counter()
        answer = real(self, frames)
        end = start + factor * (time.perf_counter() - start)
        while time.perf_counter() < end:
            pass
        return answer

    setattr(owner, name, slowed)


def one(path: Path, args: argparse.Namespace) -> None:
    """A run in this process, beside the one in the file; what a comparison needs of this one replaces it there."""
    for owner, name in SLOWED[args.slowed]:
        hold_up(owner, name, args.factor)
    plan = Plan(engines=(args.engine,), threads=1, seconds=args.seconds, with_opening=False)
    old = json.loads(path.read_text()) if path.exists() else None
    report = bench(default_bundle(), plan, silent, old)
    rows = [{name: row[name] for name in KEPT} for row in report["results"]]
    state = {"slowed": args.slowed, "others_cpus": report["before"]["others_cpus"]}
    path.write_text(json.dumps({**HERE, **state, "results": rows}))


def run_once(slowed: str, args: argparse.Namespace, before: dict[str, Any] | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        if before:
            path.write_text(json.dumps(before))
        command = [sys.executable, "-m", "benchmarks.compare", "--one", str(path), "--slowed", slowed]
        command += ["--factor", str(args.factor), "--seconds", str(args.seconds), "--engine", args.engine]
        subprocess.run(command, check=True)
        return json.loads(path.read_text())  # type: ignore[no-any-return]


def results(sessions: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Kind of pair -> how many there are, and how often each result was given for each metric."""
    found: dict[str, list[Any]] = {}
    for old, new in (pair for session in sessions for pair in pairwise(session)):
        slowed = [run["slowed"] for run in (old, new)]
        kind = "same build" if slowed[0] == slowed[1] else f"{slowed[0]} to {slowed[1]} slowed"
        found.setdefault(kind, []).append([asdict(change) for change in compare(old, new)])
    return {
        kind: {
            "pairs": len(pairs),
            "a change is reported": sum(any(c["result"] in ("slower", "faster") for c in pair) for pair in pairs),
            "results": Counter(f"{change['metric']}: {change['result']}" for pair in pairs for change in pair),
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
    parser.add_argument("--slowed", choices=SLOWED, default="nothing", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args)
        return
    theme = f"compare-{args.engine}"
    path = result_path(theme)
    sessions = json.loads(path.read_text())["sessions"] if args.more and path.exists() else []
    sessions.append([])
    for _ in range(args.rounds):
        for slowed in ROUND:
            sessions[-1].append(run_once(slowed, args, sessions[-1][-1] if sessions[-1] else None))
        found = results(sessions)
        save(theme, {"factor": args.factor, "seconds": args.seconds, **found, "sessions": sessions})
        for kind, of in found.items():
            print(f"{kind}: {of['a change is reported']} of {of['pairs']} reported; {dict(of['results'])}", flush=True)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
