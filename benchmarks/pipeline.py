"""How many 720p cameras at 15 frames a second this machine follows without missing a frame, and what bounds it.

    python -m benchmarks.pipeline [BUNDLE] [--cameras 1 2 4 8] [--fps 15] [--seconds 10]

Each camera's frames are JPEG and decoded at its own pace (edgefs/bench/cameras.py). The bound is worked out from the
stages: a CPU second holds so many decodings, resizings, inferences and matches, and no more.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.common import save
from edgefs.bench import machine
from edgefs.bench.cameras import camera_scenario
from edgefs.bench.single_stream import cpu_ms, cpu_ms_per_frame
from edgefs.bench.subjects import Subject, make_picture, open_subjects
from edgefs.bench.tables import cameras
from edgefs.cli.options import load_bundle
from edgefs.reports.tables import table
from runtime.engines.base import cpus
from runtime.opencv import decode_image, encode_jpeg


def follow(subject: Subject, args: argparse.Namespace) -> dict[str, Any]:
    """Every number of cameras on one engine."""
    jpeg = encode_jpeg(make_picture(), quality=90)
    decode_ms, recognize_ms = cpu_ms(lambda _: decode_image(jpeg), 30), cpu_ms_per_frame(subject)
    return {
        "cpu_ms_per_frame": {"decode": decode_ms, "recognize": recognize_ms},
        "most_frames_per_s_by_calculation": round(1e3 * cpus() / (decode_ms + recognize_ms), 1),
        "runs": [camera_scenario(subject, n, args.fps, args.seconds) for n in args.cameras],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--engines", nargs="+", default=["all"])
    args = parser.parse_args()
    bundle, before = load_bundle(args.bundle), machine.condition()
    with open_subjects(bundle, args.engines, ["fp32"], threads=1) as (subjects, _):
        found = {subject.engine: follow(subject, args) for subject in subjects}
    runs = [(name, run) for name, figures in found.items() for run in figures["runs"]]
    print(table(cameras(runs).rows, cameras(runs).header))
    for name, figures in found.items():
        most, per_frame = figures["most_frames_per_s_by_calculation"], figures["cpu_ms_per_frame"]
        print(f"{name}: at most {most} frames a second; CPU ms of each: {per_frame}")
    facts = {"bundle": bundle.name, "fingerprint": bundle.fingerprint, "before": before, "after": machine.condition()}
    print(f"written to {save('pipeline', {**facts, 'engines': found})}")


if __name__ == "__main__":
    main()
