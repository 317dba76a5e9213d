"""Teach a class from pictures, a folder, a video or a camera: no training, a second is enough.

examples:
  edgefs enroll mug mug-photos/ --gallery shop.db
  edgefs enroll mug clip.mp4 --start 0 --seconds 1
  edgefs enroll mug 0 --seconds 3                      (the first USB camera)
  edgefs enroll --tree photos/                         (a class for each folder in photos/)
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from edgefs.cli.frames import frames_of
from edgefs.cli.options import add_recognizer_options, add_source_options, open_recognizer
from edgefs.data.images import pictures_below
from edgefs.reports.tables import table
from runtime.errors import CameraError, FrameError
from runtime.gallery import clean_label
from runtime.opencv import read_image
from runtime.recognition import Enrollment
from runtime.recognizer import Recognizer


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label", nargs="?", help="the name of the class; shots are added if it exists")
    parser.add_argument(
        "source", nargs="*", help="picture, folder, video, camera index, rtsp:// URL or GStreamer pipeline"
    )
    parser.set_defaults(usage_error=parser.error)
    parser.add_argument("--tree", metavar="DIR", help="teach a class for each folder in DIR, from its pictures")
    parser.add_argument(
        "--no-crops", action="store_true", help="privacy: keep embeddings only; then no other model can take over"
    )
    add_source_options(parser)
    add_recognizer_options(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.tree and args.label:
        args.usage_error(f"--tree teaches the folders of {args.tree}, so no name may be given, but got {args.label!r}")
    if not args.tree and not args.source:
        args.usage_error("a name and a source must be given, or --tree DIR")
    with open_recognizer(args) as recognizer:
        if args.tree:
            return _tree(recognizer, args)
        frames = (frame.image for source in args.source for frame in frames_of(source, args))
        enrollment = recognizer.enroll(args.label, frames, source=" ".join(args.source))
        return _report(recognizer, enrollment, args)


def _tree(recognizer: Recognizer, args: argparse.Namespace) -> dict[str, Any]:
    """Teach every class folder; a picture that cannot be read is named and left out."""
    classes = {clean_label(label): paths for label, paths in pictures_below(Path(args.tree)).items() if paths}
    reports, rows = [], []
    for label, paths in classes.items():
        frames, unreadable = [], []
        for path in paths:
            try:
                frames.append(read_image(path))
            except (CameraError, FrameError) as error:
                unreadable.append(f"{path}: {error}")
        enrollment = recognizer.enroll(label, frames, source=args.tree)
        reasons = Counter(rejected.reason for rejected in enrollment.rejected)
        refused = ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or "-"
        similar = ", ".join(other.label for other in enrollment.similar) or "-"
        rows.append((label, len(paths), len(enrollment.accepted), refused, len(unreadable), similar))
        reports.append(
            {
                "label": label,
                "pictures": len(paths),
                "accepted": len(enrollment.accepted),
                "rejected": enrollment.rejected,
                "unreadable": unreadable,
                "similar": enrollment.similar,
            }
        )
        print(f"{label}: {len(enrollment.accepted)} of {len(paths)} pictures taught", file=sys.stderr)
    print(table(rows, ("class", "pictures", "taught", "refused", "unreadable", "looks like")))
    return {"classes": reports, "gallery": args.gallery, "passed": all(report["accepted"] for report in reports)}


def _report(recognizer: Recognizer, enrollment: Enrollment, args: argparse.Namespace) -> dict[str, Any]:
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
