"""Make the calibration tables of the ladder from photographs and clips.

    python recipes/models --data DATA --work WORK [NAME ...]

DATA holds `photos_pool` (zip archives and index.csv) and `clips` (as `exporters/sources/clips.py` describes them). The
features of every picture are kept in WORK, so that a table in another format is made in seconds. The tables are written
to edgefs/models/data, from where `edgefs models pull` puts them into a bundle.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from features import ClipFeatures, Photos, features_of, sources_of

from edgefs.models.cards import cohort_path, table_path
from edgefs.models.ladder import RUNGS
from exporters.onnx.tail import apply_metric
from exporters.verify.calibration import Calibration, calibrate, thing_of_clip, things_of_photos


def table_of(photos: Photos, clips: Sequence[ClipFeatures], data: Path) -> Calibration:
    """Make the table and the cohort of a rung, from the kinds on the photographs and from the clips."""
    kinds = [str(label) for label in photos.labels]
    things = things_of_photos(apply_metric(photos.features, "cosine"), kinds, sources_of(photos.labels, data))
    things += [thing_of_clip(clip.group, apply_metric(clip.features, "cosine"), clip.times_s) for clip in clips]
    return calibrate(things, metric="cosine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(RUNGS), metavar="NAME", help=f"of {', '.join(RUNGS)}")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    for name in args.names:
        made = table_of(*features_of(RUNGS[name], args.data, args.work), args.data)
        table_path(name).write_text(json.dumps(made.table) + "\n")
        np.save(cohort_path(name), made.cohort.astype(np.float16))
        print(f"{cohort_path(name)}: {cohort_path(name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
