"""Options that several commands share, and the words they print them with."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from runtime.bundle import Bundle
from runtime.matching.heads import HEADS
from runtime.models import default_bundle
from runtime.recognizer import Recognizer


def add_recognizer_options(parser: argparse.ArgumentParser) -> None:
    """--bundle, --gallery, --engine, --threads, --head, --reembed."""
    parser.add_argument("--bundle", metavar="PATH", help="bundle directory or .zip (default: the embedded one)")
    parser.add_argument(
        "--gallery", metavar="FILE", default="gallery.db", help="where the classes are kept (default: gallery.db)"
    )
    parser.add_argument(
        "--engine", default="auto", help="auto, onnxruntime or openvino (default: auto, the fastest here)"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads of the engine (default: at most 2)")
    parser.add_argument(
        "--head",
        default="auto",
        choices=("auto", *HEADS),
        help="how a class is scored (default: auto, see docs/trust.md)",
    )
    parser.add_argument("--reembed", action="store_true", help="re-embed a gallery that another bundle filled")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """--region, --start, --seconds, --every."""
    parser.add_argument(
        "--region", type=region, metavar="X,Y,W,H", help="look only at this part of the frame, in pixels"
    )
    parser.add_argument("--start", type=seconds, default=0.0, metavar="S", help="skip the first S seconds of a video")
    parser.add_argument(
        "--seconds", type=seconds, metavar="S", help="stop after S seconds (a camera needs it or Ctrl-C)"
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="use every N-th frame (default: 1)")


def positive(text: str) -> int:
    """Parse a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, but got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse a duration."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0, but got {text!r}")
    return value


def share(text: str) -> float:
    """Parse a share, "0.05" or "5%"."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share in 0..1, like 0.05 or 5%, but got {text!r}")
    return value


def region(text: str) -> tuple[int, int, int, int]:
    """Parse "X,Y,W,H"."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be four whole numbers X,Y,W,H, but got {text!r}") from None
    return x, y, width, height


def load_bundle(path: str | None) -> Bundle:
    """The bundle at a path, or the embedded default."""
    return default_bundle() if path is None else Bundle.load(path)


def open_recognizer(args: argparse.Namespace, *, stranger_rate: float | None = 0.05) -> Recognizer:
    """Open what `add_recognizer_options` described."""
    return Recognizer(
        load_bundle(args.bundle),
        gallery=Path(args.gallery),
        engine=args.engine,
        threads=args.threads,
        stranger_rate=stranger_rate,
        head=getattr(args, "head", "auto"),
        keep_crops=False if getattr(args, "no_crops", False) else None,
        reembed=args.reembed,
    )
