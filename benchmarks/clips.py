"""Is what was taught named? K things are taught from real clips, for several durations and several stranger rates.

    python -m benchmarks.clips FOLDER [--bundle PATH] [--k 3 5 10] [--hold 0.5 1.5 3 spread] [--rates 0.01 0.05 0.1]

FOLDER holds clips as `exporters/sources/clips.py` describes them. `plain` is the best cosine against one constant that
was chosen with hindsight: the bound to approach (see `edgefs/evaluation/clips.py`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common import save
from edgefs.cli.options import load_bundle
from edgefs.evaluation.clips import SPREAD, evaluate_clips, observe_clip
from edgefs.reports.tables import table
from exporters.sources.clips import read_clips
from runtime.recognizer import Recognizer

COLUMNS = {
    "taught": "hold",
    "K": "n_way",
    "rate": "rate",
    "named": "named",
    "worst tenth": "worst_tenth",
    "plain": "plain_named",
    "maybe": "maybe",
    "wrong": "wrong",
    "other occasion": "other_occasion",
    "strangers": "strangers",
    "strangers maybe": "strangers_maybe",
    "plain AUROC": "plain_auroc",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle")
    parser.add_argument("--k", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--hold", nargs="+", default=["0.5", "1.5", "3", SPREAD])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    parser.add_argument("--galleries", type=int, default=60)
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    with Recognizer(bundle) as recognizer:
        clips = [observe_clip(recognizer, clip) for clip in read_clips(args.folder)]
        results = []
        for hold in args.hold:
            for n_way in args.k:
                results += evaluate_clips(
                    clips,
                    lambda rate: Recognizer(bundle, engine=recognizer.engine, stranger_rate=rate),
                    hold=hold if hold == SPREAD else float(hold),
                    n_way=n_way,
                    rates=args.rates,
                    n_galleries=args.galleries,
                )
    print(table([[getattr(result, field) for field in COLUMNS.values()] for result in results], list(COLUMNS)))
    theme = "clips" if args.bundle is None else f"clips-{bundle.name}"
    figures = {"clips": len(clips), "things": len({clip.clip.group for clip in clips}), "galleries": args.galleries}
    facts = {"bundle": bundle.name, "fingerprint": bundle.fingerprint}
    print(f"written to {save(theme, {**facts, **figures, 'figures': [vars(result) for result in results]})}")


if __name__ == "__main__":
    main()
