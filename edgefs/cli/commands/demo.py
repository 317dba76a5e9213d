"""The main job from start to end, without camera, network or data: teach five things, recognise them, tell strangers.

examples:
  edgefs demo
  edgefs demo --source clip.mp4                                    (teaches "object" from the first second)
  edgefs demo --source clip.mp4 --teach mug=0-1.5 --teach cap=4-5
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from edgefs.cli.options import add_bundle_option, add_engine_option, load_bundle, region
from edgefs.demo import Span, run_demo
from edgefs.reports.tables import table
from runtime.errors import EdgefsError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="VIDEO", help="a video of yours instead of the built-in one")
    parser.add_argument("--teach", type=span, action="append", default=[], metavar="NAME=START-END",
                        help="what --source shows from START to END, in seconds; may be repeated")  # fmt: skip
    parser.add_argument(
        "--region", type=region, metavar="X,Y,W,H", help="look only at this part of --source, in pixels"
    )
    parser.add_argument(
        "--out", metavar="FOLDER", default="demo-output", help="for the page and the video (default: demo-output)"
    )
    add_bundle_option(parser)
    add_engine_option(parser)
    parser.add_argument("--seed", type=int, default=0, help="random seed of the built-in video (default: 0)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.source is None and (args.teach or args.region):
        raise EdgefsError("--teach and --region need --source VIDEO: the built-in video knows what it shows")
    report = run_demo(
        args.out,
        bundle=load_bundle(args.bundle, args.trusted_keys),
        engine=args.engine,
        device=args.device,
        source=args.source,
        teach=args.teach,
        region=args.region,
        seed=args.seed,
    )
    print(as_text(report))
    return report


def span(text: str) -> Span:
    """Parse "NAME=START-END", in seconds."""
    name, _, times = text.rpartition("=")
    start, _, end = times.partition("-")
    try:
        return Span(float(start), float(end), name, name)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be NAME=START-END in seconds, like mug=0-1.5, but got {text!r}"
        ) from None


def as_text(report: dict[str, Any]) -> str:
    """The report for the terminal."""
    engine = report["engine"]
    taught = [
        (row["label"], row["frames"], row["kept"], ", ".join(f"{n} {why}" for why, n in row["refused"].items()) or "-")
        for row in report["taught"]
    ]
    latency = [(stage, f"{ms['p50']:6.2f}", f"{ms['p90']:7.2f}") for stage, ms in report["latency_ms"].items() if ms]
    return "\n".join(
        [
            table(taught, ("taught", "frames", "kept", "refused")),
            *(f"  {row['label']}: {line}" for row in report["taught"] for line in row["advice"]),
            "",
            *(_counts(report) if "known" in report else _answers(report)),
            "",
            table(latency, ("ms a frame", "median", "9 of 10")),
            "",
            f"bundle  {report['bundle']['name']}",
            f"engine  {engine['name']} {engine['version']} {engine['precision']}, {engine['threads']} CPU threads: "
            f"{engine['reason']}",
            f"page    {report['page']}",
        ]
    )


def _counts(report: dict[str, Any]) -> Iterator[str]:
    rows = [
        (
            row["subject"] if row["known"] else f"{row['subject']} (stranger)",
            row["frames"],
            row["right"],
            row["wrong"],
            row["unknown"],
        )
        for row in report["subjects"]
    ]
    yield table(rows, ("shown", "frames", "right", "wrong name", "not known"))
    yield ""
    for name, what in (("known", "named right"), ("strangers", "called unknown")):
        share = report[name]
        yield (
            f"{name:9}  {share['right']} of {share['frames']} frames {what}: {100 * share['share']:.1f} % "
            f"(95 % interval {100 * share['low']:.1f} to {100 * share['high']:.1f}), "
            f"required {100 * share['required']:.0f} %: {'passed' if share['passed'] else 'MISSED'}"
        )


def _answers(report: dict[str, Any]) -> Iterator[str]:
    total = max(1, report["frames"])
    yield table(
        [(name, n, f"{100 * n / total:5.1f} %") for name, n in report["answers"].items()], ("answer", "frames", "share")
    )
