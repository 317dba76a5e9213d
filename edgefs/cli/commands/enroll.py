"""Teach a class from pictures, a folder, a video or a camera: no training, a second is enough.

examples:
  edgefs enroll mug mug-photos/ --gallery shop.db
  edgefs enroll mug clip.mp4 --start 0 --seconds 1
  edgefs enroll mug 0 --seconds 3                      (the first USB camera)
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.frames import frames_of
from edgefs.cli.options import add_recognizer_options, add_source_options, open_recognizer


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label", help="the name of the class; shots are added if it exists")
    parser.add_argument(
        "source", nargs="+", help="picture, folder, video, camera index, rtsp:// URL or GStreamer pipeline"
    )
    parser.add_argument(
        "--no-crops", action="store_true", help="privacy: keep embeddings only; then no other model can take over"
    )
    add_source_options(parser)
    add_recognizer_options(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    with open_recognizer(args) as recognizer:
        frames = (frame.image for source in args.source for frame in frames_of(source, args))
        enrollment = recognizer.enroll(args.label, frames, source=" ".join(args.source))
        shots = recognizer.gallery.classes.get(enrollment.label)
        known = {summary.label: summary for summary in recognizer.classes()}.get(enrollment.label)
    reasons = [rejected.reason for rejected in enrollment.rejected]
    print(f"{enrollment.label}: {len(enrollment.accepted)} shots taken, {len(reasons)} frames refused")
    for reason in sorted(set(reasons)):
        print(f"  {reasons.count(reason)} x {reason}")
    for line in enrollment.advice:
        print(f"  {line}")
    for other in enrollment.similar:
        print(f"  looks like {other.label} ({other.score:.2f}): if it is the same thing, merge them:")
        print(f"    edgefs gallery merge {enrollment.label!r} {other.label!r} --gallery {args.gallery}")
    if known:
        print(f"  {known.advice}")
    return {
        "label": enrollment.label,
        "class": known,
        "accepted": enrollment.accepted,
        "rejected": enrollment.rejected,
        "advice": enrollment.advice,
        "similar": enrollment.similar,
        "shots": len(shots.ids) if shots else 0,
        "gallery": args.gallery,
        "passed": bool(enrollment.accepted),
    }
