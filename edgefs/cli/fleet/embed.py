"""Embed many pictures once, into Parquet files that search, enrolment and evaluation read.

examples:
  edgefs embed photos/ --out photos-embedded
  edgefs embed list.txt --out photos-embedded --processes 4
  edgefs embed 's3://bucket/photos?region=eu-west-1' --out photos-embedded
  edgefs embed photos/ --out photos-embedded --ray auto       (on a Ray cluster)
  edgefs search photo.jpg --in photos-embedded

It can be stopped at any point: run it again, and it goes on.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from edgefs.bulk.run import embed_pictures
from edgefs.bulk.shards import Model
from edgefs.bulk.stores import is_address
from edgefs.cli.options import add_bundle_option, add_engine_option, load_bundle, positive
from edgefs.reports.progress import show
from runtime.engines import open_engine

SHOWN = 5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a folder, a file that lists pictures, or the address of a folder in a store")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the Parquet files are written")
    parser.add_argument(
        "--processes", type=positive, metavar="N", help="of one CPU thread each (default: one for each CPU)"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="embed on a Ray cluster: its address, auto, or local (a cluster of this machine)",
    )
    add_bundle_option(parser)
    add_engine_option(parser)
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> dict[str, Any]:
    if is_address(args.out):
        args.usage_error("--out must be a folder of this machine, not the address of a store")
    bundle = load_bundle(args.bundle, args.trusted_keys)
    pictures = find_pictures(args.source)
    engine = open_engine(bundle, args.engine, precision=None, threads=1, device=args.device)
    info = engine.info
    engine.close()
    job = Job(str(bundle.path), bundle.fingerprint, info.name, info.precision, args.device, ())
    model = Model(bundle.name, bundle.fingerprint, info.precision, bundle.metric, bundle.dim)
    processes = args.processes or len(os.sched_getaffinity(0))
    start = time.perf_counter()
    report = embed_pictures(
        pictures,
        Path(args.out),
        job,
        model,
        processes=processes,
        ray=args.ray,
        progress=lambda results: show(results, "pictures", len(pictures)),
    )
    seconds = time.perf_counter() - start
    rate = len(pictures) / seconds
    print(f"embedded {report.embedded:,} of {len(pictures):,} pictures into {args.out}: {rate:.0f} pictures a second")
    if report.known:
        print(f"{report.known:,} had been embedded before, or have the same content as another one")
    if report.damaged:
        print(f"{len(report.damaged):,} cannot be used:")
        for one in report.damaged[:SHOWN]:
            print(f"  {one.picture.path}: {one.why}")
        print("  …" if len(report.damaged) > SHOWN else "", end="")
    return {
        "out": args.out,
        "pictures": len(pictures),
        "embedded": report.embedded,
        "known": report.known,
        "damaged": [{"path": one.picture.path, "why": one.why} for one in report.damaged],
        "model": model,
        "engine": info.name,
        "processes": processes,
        "seconds": round(seconds, 3),
    }
