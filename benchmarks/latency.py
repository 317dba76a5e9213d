"""What `recognize()` costs beyond the bare engine, on every engine and precision, and what it takes to open them.

    python -m benchmarks.latency [BUNDLE …] [--seconds 10] [--threads 1]

The two are called in turn on the same frames, so that a busy machine slows both alike; quote the quotient.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common import save
from edgefs.bench.opening import openings
from edgefs.bench.run import Plan, bench
from edgefs.bench.tables import as_text
from edgefs.cli.options import load_bundle
from edgefs.reports.publish import without_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", default=[None], metavar="BUNDLE", help="default: the embedded one")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="latency", help="theme of the result file")
    args = parser.parse_args()
    reports = {}
    for path in args.bundles:
        bundle = load_bundle(path)
        report = bench(bundle, Plan(seconds=args.seconds, threads=args.threads))
        print(*as_text(report), sep="\n")
        auto = openings(bundle, "auto", "fp32", args.threads)
        words = (f"{when} {found['until_first_answer_ms']} ms" for when, found in auto.items())
        print(f'until the first answer with engine="auto": {", ".join(words)}')
        reports["default" if path is None else Path(path).stem] = {**without_samples(report), "opening_auto": auto}
    print(f"written to {save(args.name, {'bundles': reports})}")


if __name__ == "__main__":
    main()
