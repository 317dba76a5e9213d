"""How fast a bundle is on this machine, on every engine and precision, and how reliable the figures are.

Single-stream is always measured: the bare engine and recognize(), called in turn. The scenarios are MLPerf's, and
`camera`: several 720p cameras at once. docs/bench.md explains each figure.

examples:
  edgefs bench                                         # the embedded bundle
  edgefs bench shop.edgefs --engines openvino --precisions fp32,int8 --threads 1
  edgefs bench shop.edgefs --scenario single-stream,multi-stream,offline,camera --html bench.html
  edgefs bench shop.edgefs --json new.json --compare old.json
  edgefs bench shop.edgefs --publish my-machine.json   # one file with machine, versions and figures, to give to others
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgefs.cli.options import add_device_option, load_bundle, model, positive, seconds
from edgefs.errors import BenchError
from edgefs.models.ladder import NAMES
from runtime.engines import ENGINES

SCENARIOS = ("single-stream", "multi-stream", "offline", "camera")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle", nargs="?", metavar="BUNDLE", help="bundle directory or .zip (default: the embedded one)"
    )
    parser.add_argument("--model", type=model, metavar="NAME", help=f"instead of BUNDLE, one of {', '.join(NAMES)}")
    parser.add_argument(
        "--engines",
        type=_names,
        default=["all"],
        metavar="A,B",
        help=f"all, or some of {', '.join(ENGINES)} (default: all)",
    )
    parser.add_argument(
        "--precisions", type=_names, default=["all"], metavar="A,B", help="all, or some of the bundle's"
    )
    parser.add_argument(
        "--scenario", type=_scenarios, default=["single-stream"], metavar="A,B", help=", ".join(SCENARIOS)
    )
    parser.add_argument(
        "--batch", type=_numbers, default=[1, 8], metavar="N,M", help="batch sizes of offline (default: 1,8)"
    )
    add_device_option(parser)
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads of one call (default: at most 2)")
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=10.0,
        metavar="S",
        help="duration of each part, for each engine (default: 10)",
    )
    parser.add_argument(
        "--cameras", type=positive, default=4, metavar="N", help="number of cameras of the scenario (default: 4)"
    )
    parser.add_argument(
        "--fps", type=positive, default=15, metavar="N", help="frames a second of each camera (default: 15)"
    )
    parser.add_argument("--growth", action="store_true", help="also what a growing gallery costs, to 100,000 shots")
    parser.add_argument("--no-opening", action="store_true", help="do not measure how long opening takes")
    parser.add_argument(
        "--compare", metavar="OLD.json", help="report what changed since another result of this machine"
    )
    parser.add_argument("--csv", metavar="FILE", help="also write one line for each engine and precision")
    parser.add_argument("--html", metavar="FILE", help="also write a page with plots")
    parser.add_argument(
        "--publish", metavar="FILE", help="also write machine, versions and figures as one file, without any path"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    from edgefs.bench.page import render
    from edgefs.bench.run import SCHEMA, Plan, bench
    from edgefs.bench.tables import as_text, to_csv
    from edgefs.reports.publish import as_published

    plan = Plan(
        engines=args.engines,
        precisions=args.precisions,
        scenarios=args.scenario,
        batches=args.batch,
        threads=args.threads,
        device=args.device,
        seconds=args.seconds,
        cameras=args.cameras,
        fps=args.fps,
        with_opening=not args.no_opening,
        with_growth=args.growth,
    )
    old = _read(args.compare, SCHEMA) if args.compare else None
    report = bench(load_bundle(args.model or args.bundle), plan, old=old)
    for part in as_text(report):
        print(part)
    texts = ((args.csv, to_csv), (args.html, render), (args.publish, lambda found: as_published(found, asdict(plan))))
    for target, text in texts:
        if target:
            Path(target).write_text(text(report), encoding="utf-8")
    return report


def _read(path: str, schema: str) -> dict[str, Any]:
    try:
        old = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(
            f"--compare {path} must be a result of edgefs bench --json, but cannot be read: {error}"
        ) from error
    if not isinstance(old, dict) or old.get("schema") != schema:
        raise BenchError(
            f"--compare {path} must be a result of edgefs bench --json, but is another file; check the path"
        )
    return old


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"must be all, or names with commas between, but got {text!r}")
    return list(dict.fromkeys(names))


def _scenarios(text: str) -> list[str]:
    names = list(SCENARIOS) if text == "all" else _names(text)
    if unknown := set(names) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(
            f"must be some of {', '.join(SCENARIOS)}, but got {', '.join(sorted(unknown))}"
        )
    return names


def _numbers(text: str) -> list[int]:
    return [positive(part.strip()) for part in text.split(",")]
