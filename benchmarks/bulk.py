"""`edgefs embed` in one process and in two, on the same pictures, in turn.

    python -m benchmarks.bulk PHOTOS [--pictures 20000]

PHOTOS is a folder of photographs. Every one is cropped at random, mirrored or not, and stored as JPEG, as often as it
takes to have so many pictures. The time of a run is that of the whole command, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import save
from runtime.opencv import encode_jpeg, read_image
from runtime.pictures import pictures_below

SHARE = 0.7  # of the sides, that the smallest crop has
ROUNDS = 2


def crops(photos: Path, folder: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    for i, path in enumerate(islice(cycle(pictures_below(photos).pictures), n)):
        image = read_image(path)
        sides = [round(side * rng.uniform(SHARE, 1)) for side in image.shape[:2]]
        y, x = (rng.integers(0, side - part + 1) for side, part in zip(image.shape, sides, strict=False))
        crop = image[y : y + sides[0], x : x + sides[1]][:, :: rng.choice([1, -1])]
        out = folder / path.parent.name / f"{i:06d}.jpg"
        out.parent.mkdir(exist_ok=True)
        out.write_bytes(encode_jpeg(np.ascontiguousarray(crop)))


def embed(folder: Path, out: Path, processes: int) -> dict[str, float]:
    words = [sys.executable, "-m", "edgefs.cli", "embed", str(folder), "--out", str(out), "--json", str(out) + ".json"]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*words, "--processes", str(processes)], check=True, capture_output=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(Path(f"{out}.json").read_text())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"embedded": report["embedded"], "known": report["known"], "seconds": seconds, "cpu_s": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=20_000)
    args = parser.parse_args()
    runs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        crops(args.photos, folder, args.pictures)
        for round_ in range(ROUNDS):
            for processes, found in runs.items():
                out = Path(name) / f"{processes}-{round_}"
                found.append(embed(folder, out, processes))
                print(processes, found[-1], flush=True)
        files = [
            {path.name: path.read_bytes() for path in (Path(name) / f"{processes}-0").glob("*.parquet")}
            for processes in runs
        ]
        megabytes = sum(map(len, files[0].values())) / 1e6
    rows: list[dict[str, Any]] = []
    for processes, found in runs.items():
        best = min(found, key=lambda one: one["seconds"])  # the run that other programs slowed down the least
        rate = best["embedded"] / best["seconds"]
        rows.append(
            {"processes": processes, "pictures_per_s": round(rate, 1), **{k: round(v, 2) for k, v in best.items()}}
        )
    report = {
        "pictures": args.pictures,
        "runs_each": ROUNDS,
        "rows": rows,
        "ratio": round(rows[1]["pictures_per_s"] / rows[0]["pictures_per_s"], 3),
        "same_bytes": files[0] == files[1],
        "parquet_mb": round(megabytes, 1),
    }
    print(json.dumps(report, indent=1))
    print(f"written to {save('bulk', report)}")


if __name__ == "__main__":
    main()
