"""Teach a class from pictures, a folder, a video or a camera: no training, a second is enough.

examples:
  edgefs enroll mug mug-photos/ --gallery shop.db
  edgefs enroll mug clip.mp4 --start 0 --seconds 1
  edgefs enroll mug 0 --seconds 3                      (the first USB camera)
  edgefs enroll --tree photos/                         (a class for each folder in photos/)
  edgefs enroll --embedded photos-embedded             (the same, after edgefs embed photos/ --out photos-embedded)
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs.cli.frames import frames_of
from edgefs.cli.options import add_recognizer_options, add_source_options, open_recognizer
from edgefs.data.images import pictures_below
from edgefs.reports.tables import table
from runtime.errors import CameraError, EdgefsError, FrameError
from runtime.gallery import label_problems
from runtime.opencv import read_image
from runtime.recognition import Enrollment
from runtime.recognizer import Recognizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label", nargs="?", help="the name of the class; shots are added if it exists")
    parser.add_argument(
        "source", nargs="*", help="picture, folder, video, camera index, rtsp:// URL or GStreamer pipeline"
    )
    parser.set_defaults(usage_error=parser.error)
    trees = parser.add_mutually_exclusive_group()
    trees.add_argument("--tree", metavar="DIR", help="teach a class for each folder in DIR, from its pictures")
    trees.add_argument("--embedded", metavar="DIR", help="the same, from what edgefs embed has written into DIR")
    parser.add_argument(
        "--no-crops", action="store_true", help="privacy: keep embeddings only; then no other model can take over"
    )
    add_source_options(parser)
    add_recognizer_options(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    tree = args.tree or args.embedded
    if tree and args.label:
        args.usage_error(f"the classes are the folders of {tree}, so no name may be given, but got {args.label!r}")
    if not tree and not args.source:
        args.usage_error("a name and a source must be given, or --tree DIR, or --embedded DIR")
    with open_recognizer(args) as recognizer:
        if tree:
            return _tree(recognizer, args)
        frames = (frame.image for source in args.source for frame in frames_of(source, args))
        enrollment = recognizer.enroll(args.label, frames, source=" ".join(args.source))
        return _report(recognizer, enrollment, args)


def _tree(recognizer: Recognizer, args: argparse.Namespace) -> dict[str, Any]:
    """Teach every class folder on its own: a picture or a folder that cannot be used is named, and the others stay."""
    teach: Callable[[Recognizer, str, Any, str], tuple[Enrollment, list[str]]] = _teach
    classes: Mapping[str, Sequence[Any]]
    source = args.tree or args.embedded
    if args.embedded:
        from edgefs.bulk.enrolling import teach_embedded
        from edgefs.bulk.shards import read_classes

        classes, teach = read_classes(Path(args.embedded), recognizer.bundle), teach_embedded
    else:
        classes = pictures_below(Path(args.tree))
    problems = {name: "it holds no picture" for name, some in classes.items() if not some} | label_problems(classes)
    reports = []
    for name, paths in classes.items():
        try:
            if name in problems:
                report = {"problem": problems[name]}
            else:
                report = _report_of(*teach(recognizer, name, paths, source))
        except EdgefsError as error:
            report = {"problem": str(error)}
        taught = report.get("accepted", 0)
        if "problem" in report or not args.quiet:
            print(f"{name}: {report.get('problem') or f'{taught} of {len(paths)} pictures taught'}", file=sys.stderr)
        reports.append({"label": name, "pictures": len(paths), **EMPTY, **report})
    print(
        table(
            [_row(report) for report in reports], ("class", "pictures", "taught", "refused", "unreadable", "looks like")
        )
    )
    return {"classes": reports, "gallery": args.gallery, "passed": all(report["accepted"] for report in reports)}


EMPTY: dict[str, Any] = {"accepted": 0, "rejected": (), "unreadable": (), "similar": (), "problem": None}


def _teach(recognizer: Recognizer, name: str, paths: Sequence[Path], source: str) -> tuple[Enrollment, list[str]]:
    """Teach a class; return what was taught, and why each picture that cannot be read was left out."""
    unreadable: list[str] = []

    def frames() -> Iterator[NDArray[np.uint8]]:  # one decoded at a time
        for path in paths:
            try:
                yield read_image(path)
            except (CameraError, FrameError) as error:
                unreadable.append(f"{path}: {error}")

    return recognizer.enroll(name, frames(), source=source), unreadable


def _report_of(enrollment: Enrollment, unreadable: list[str]) -> dict[str, Any]:
    return {
        "label": enrollment.label,
        "accepted": len(enrollment.accepted),
        "rejected": enrollment.rejected,
        "unreadable": unreadable,
        "similar": enrollment.similar,
    }


def _row(report: dict[str, Any]) -> tuple[Any, ...]:
    reasons = Counter(rejected.reason for rejected in report["rejected"])
    refused = ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or ("all" if report["problem"] else "-")
    similar = ", ".join(other.label for other in report["similar"]) or "-"
    return report["label"], report["pictures"], report["accepted"], refused, len(report["unreadable"]), similar


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
