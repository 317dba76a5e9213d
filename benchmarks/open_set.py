"""Open-set figures: 200 random galleries of things that the embedded default never saw, half taught, half strangers.

    python -m benchmarks.open_set --data FOLDER [--bundle PATH] [--galleries 200] [--rate 0.05]

FOLDER as for `benchmarks.accuracy`. Each class is taught from 5 pictures (4 on Grocery, which has 5 of a class). The
strangers are classes of the same set that were neither taught nor used for the bundle's table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy import embed_coil, embed_folder
from benchmarks.common import save
from edgefs.cli.options import load_bundle
from edgefs.evaluation.open_set import open_set
from edgefs.reports.tables import table
from runtime.recognizer import Recognizer

# set: folder, shots, classes taught (None: half of them)
SETS = {
    "coil100": ("coil100", 5, None),
    "office_webcam": ("office_caltech10/webcam", 5, None),
    "grocery": ("grocery/train", 4, None),
    "grocery 5-way": ("grocery/train", 4, 5),
}


COLUMNS = ("plain_auroc", "auroc", "false_accepts", "false_rejects", "maybe", "wrong_names")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--galleries", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.05)
    args = parser.parse_args()
    rows, figures = [], {}
    bundle = load_bundle(args.bundle)
    with Recognizer(bundle, engine=args.engine) as recognizer:
        for name, (folder, n_shot, n_way) in SETS.items():
            embed = embed_coil if name == "coil100" else embed_folder
            embeddings, labels = embed(recognizer, args.data / folder)[:2]
            options = {"n_way": n_way, "n_shot": n_shot, "n_galleries": args.galleries, "stranger_rate": args.rate}
            report = open_set(embeddings, labels, bundle, **options)
            figures[name] = vars(report)
            measured = (getattr(report, column) for column in COLUMNS)
            rows.append((name, report.n_known, *(f"{mean:.1f} ± {half:.1f}" for mean, half in measured),
                         f"{report.plain_rejects:.1f}"))  # fmt: skip
    print(table(rows, ("set", "classes", *(column.replace("_", " ") for column in COLUMNS), "plain rejects")))
    facts = {"bundle": bundle.name, "fingerprint": bundle.fingerprint, "rate": args.rate, "galleries": args.galleries}
    theme = "open-set" if args.bundle is None else f"open-set-{bundle.name}"
    print(f"written to {save(theme, {**facts, 'figures': figures})}")


if __name__ == "__main__":
    main()
