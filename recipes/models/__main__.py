"""Make the calibration tables of the ladder from photographs and clips.

    python recipes/models --data DATA --work WORK [NAME ...]

DATA holds `photos_pool` (zip archives and index.csv) and `clips` (as `exporters/sources/clips.py` describes them). The
features of every picture are kept in WORK, so that a table in another format is made in seconds. The tables are written
to edgefs/models/data, from where `edgefs models pull` puts them into a bundle.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from features import PER_CLASS, ClipFeatures, Photos, features_of

from edgefs.models.cards import table_path
from edgefs.models.ladder import RUNGS
from exporters.onnx.tail import apply_metric
from exporters.verify.calibration import calibration_table


def table_of(photos: Photos, clips: Sequence[ClipFeatures]) -> Mapping[str, Any]:
    """Make the calibration table of a rung: from the classes that have PER_CLASS photographs."""
    del clips  # the format of today is made from photographs alone
    classes, sizes = np.unique(photos.labels, return_counts=True)
    large = np.isin(photos.labels, classes[sizes >= PER_CLASS])
    return calibration_table(apply_metric(photos.features[large], "cosine"), photos.labels[large], metric="cosine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(RUNGS), metavar="NAME", help=f"of {', '.join(RUNGS)}")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    for name in args.names:
        table = table_of(*features_of(RUNGS[name], args.data, args.work))
        table_path(name).write_text(json.dumps(table) + "\n")
        print(f"{table_path(name)}: {table_path(name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
