"""How well "unknown" works: 200 random galleries on things the default embedder never saw, half taught, half strangers.

    python -m benchmarks.open_set --data FOLDER [--bundle PATH] [--galleries 200] [--heads auto mean]

FOLDER as for `benchmarks.accuracy`. Asked for 5 % of strangers, with 5 shots (4 on Grocery: 5 photos a class). The
strangers are classes of the same set that were neither taught nor used for the bundle's table. The constants in
`runtime/matching/acceptance.py` were chosen on other data: Caltech-101
and Tiny-ImageNet classes, Office amazon, signs, CIFAR-FS.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy import embed_coil, embed_folder
from benchmarks.common import save
from edgefs.cli.options import load_bundle
from edgefs.evaluation.open_set import open_set
from edgefs.reports.tables import table
from runtime.matching.calibration import Prior
from runtime.matching.heads import HEADS
from runtime.model import typical_distance
from runtime.recognizer import Recognizer

# set: folder, shots, classes taught (None: half of them)
SETS = {
    "coil100": ("coil100", 5, None),
    "office_webcam": ("office_caltech10/webcam", 5, None),
    "grocery": ("grocery/train", 4, None),
    "grocery 5-way": ("grocery/train", 4, 5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--galleries", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--heads", nargs="+", default=("auto", *HEADS))
    args = parser.parse_args()
    rows, figures, known = [], {}, {}
    bundle = load_bundle(args.bundle)
    prior = Prior(bundle.calibration, args.rate, typical_distance(bundle))
    with Recognizer(bundle, engine=args.engine) as recognizer:
        for name, (folder, n_shot, n_way) in SETS.items():
            embed = embed_coil if name == "coil100" else embed_folder
            if folder not in known:
                known[folder] = embed(recognizer, args.data / folder)[:2]
            reports = open_set(
                *known[folder],
                prior=prior,
                metric=bundle.metric,
                background=bundle.background(),
                heads=args.heads,
                n_way=n_way,
                n_shot=n_shot,
                n_galleries=args.galleries,
            )
            figures[name] = [vars(report) for report in reports]
            for r in reports:
                measured = (r.plain_auroc, r.auroc, r.false_accepts, r.false_rejects, r.wrong_names)
                rows.append((name, r.n_known, r.head, *(f"{mean:.1f} ± {half:.1f}" for mean, half in measured)))
    header = ("set", "classes", "head", "plain AUROC", "AUROC", "false accepts", "false rejects", "wrong names")
    print(table(rows, header))
    facts = {"bundle": bundle.name, "fingerprint": bundle.fingerprint, "rate": args.rate, "galleries": args.galleries}
    theme = "open-set" if args.bundle is None else f"open-set-{bundle.name}"
    print(f"written to {save(theme, {**facts, 'figures': figures})}")


if __name__ == "__main__":
    main()
