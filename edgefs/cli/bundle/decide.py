"""Decide on this machine which reduced precisions of a bundle are faster than fp32.

An export decides on the machine that exports. Every precision and fp32 of the same engine are timed in turn, and their
speeds are compared round by round, with a 95 % interval.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from edgefs.cli.options import positive
from edgefs.cli.progress import Stages
from edgefs.reports.tables import table
from runtime.bundle import Bundle

SUMMARY = "decide on this machine which reduced precisions are faster than fp32"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a bundle directory or its .zip")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads of one call (default: at most 2)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from exporters.decide import decide

    bundle = Bundle.load(args.path)
    reduced = [artifact for artifact in bundle.artifacts if artifact.precision != "fp32"]
    with Stages(len(reduced)) as progress:
        decided = decide(bundle, threads=args.threads, progress=progress)
    if decided:
        rows = [
            (
                one.target,
                one.precision,
                f"{one.latency_ms:.2f}" if one.latency_ms else "-",
                str(one.speed or "-"),
                one.result,
            )
            for one in decided
        ]
        print(table(rows, ("target", "precision", "ms", "speed of fp32", "result")))
    else:
        print(f"{args.path} has no reduced precision; export it with --precisions fp16,int8 --keep fp16,int8")
    return {"bundle": args.path, "decided": [asdict(one) for one in decided]}
