"""Name what pictures, a folder, a video or a camera show; strangers are "unknown".

examples:
  edgefs recognize photo.jpg --gallery shop.db
  edgefs recognize clip.mp4 --every 5 --json answers.json
  edgefs recognize 0 --seconds 10
  edgefs recognize photo.jpg --why                      (in sentences)
  edgefs recognize test-photos/ --csv answers.csv       (a folder of pictures is a list)
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from edgefs.cli.frames import frames_of
from edgefs.cli.options import (
    add_recognizer_options,
    add_source_options,
    existing_gallery,
    open_recognizer,
    share,
)
from edgefs.cli.output import write_csv
from runtime.errors import UnknownLabel
from runtime.recognition import Recognition

COLUMNS = ("source", "name", "time_s", "text", "label", "certainty", "candidate", "score", "threshold", "runner_up")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="+", help="picture, folder, video, camera index, rtsp:// URL or GStreamer pipeline"
    )
    unknown = parser.add_mutually_exclusive_group()
    unknown.add_argument("--closed-set", action="store_true", help='never say "unknown": always the nearest class')
    unknown.add_argument(
        *("--rate",),
        type=share,
        metavar="SHARE",
        help="of strangers that may be given a name (default: as the gallery remembers, else 5%%)",
    )
    parser.add_argument("--csv", metavar="FILE", help="also write a line for each frame or picture")
    parser.add_argument("--why", action="store_true", help="say in sentences why each answer is what it is")
    add_source_options(parser)
    add_recognizer_options(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    frames = []
    existing_gallery(args.gallery)
    with open_recognizer(
        args, stranger_rate=None if args.closed_set else "gallery" if args.rate is None else args.rate
    ) as recognizer:
        if not recognizer.labels:
            raise UnknownLabel(
                f"{args.gallery} must hold at least one class, but it is empty; teach one: "
                f"edgefs enroll NAME SOURCE --gallery {args.gallery}"
            )
        for source in args.source:
            for frame in frames_of(source, args):
                answer = recognizer.recognize(frame.image)
                where = frame.name or f"{frame.time_s:8.2f} s"
                print(
                    f"{source}  {where}  {described(answer):32}  next {answer.runner_up or '-'}"
                    f"  {answer.timings_ms['total']:.1f} ms"
                )
                why = recognizer.explain(answer).sentences if args.why else ()
                for sentence in why:
                    print(f"    {sentence}")
                about = {key: value for key, value in vars(answer).items() if key != "embedding"} | {
                    "text": answer.text
                }
                at = {"source": source, "name": frame.name, "index": frame.index, "time_s": frame.time_s}
                frames.append({**at, **about, "why": why})
        engine = recognizer.engine.info
    if args.csv:
        write_csv(args.csv, [{key: frame[key] for key in COLUMNS} for frame in frames])
    counts = Counter(frame["text"] for frame in frames)
    print(", ".join(f"{label}: {n}" for label, n in counts.most_common()) or "no frames")
    return {"frames": frames, "counts": counts, "engine": engine}


def described(answer: Recognition) -> str:
    """The answer with its score: "mug (0.81)", or "unknown (mug 0.62 < 0.81)"."""
    if answer.candidate is None or answer.certainty == "sure":
        return f"{answer.text} ({answer.score:.2f})" if answer.candidate else answer.text
    return f"{answer.text} ({answer.candidate} {answer.score:.2f} < {answer.threshold:.2f})"
