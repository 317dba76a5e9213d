"""Options that several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from edgefs.models.ladder import NAMES
from edgefs.models.store import open_model
from runtime.bundle import Bundle
from runtime.engines import ENGINES
from runtime.errors import GalleryMissing
from runtime.fleet.address import is_site
from runtime.models import default_bundle
from runtime.recognizer import Recognizer

MODEL = "model:"  # the beginning of a bundle's path that names a model of the ladder instead


def add_bundle_option(parser: argparse.ArgumentParser) -> None:
    """Add --bundle, --model and --trusted-keys."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--bundle", metavar="PATH", help="bundle directory or .zip (default: the embedded one)")
    group.add_argument(
        "--model",
        dest="bundle",
        type=model,
        metavar="NAME",
        help=f"a model of the ladder: one of {', '.join(NAMES)} (see: edgefs models ls)",
    )
    add_trusted_keys_option(parser)


def add_trusted_keys_option(parser: argparse.ArgumentParser) -> None:
    """Add --trusted-keys."""
    parser.add_argument(
        "--trusted-keys",
        type=Path,
        metavar="DIR",
        help="a folder of public keys: nothing that none of them has signed is opened or imported (docs/bundle.md)",
    )


def add_gallery_option(parser: argparse.ArgumentParser) -> None:
    """Add --gallery."""
    parser.add_argument(
        "--gallery",
        metavar="FILE",
        default="gallery.db",
        help="where the classes are: a file, or postgresql://USER@HOST/DB, see docs/fleet.md (default: gallery.db)",
    )


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    """Add --engine and --device."""
    parser.add_argument(
        "--engine",
        default="auto",
        help=f"one of auto, {', '.join(ENGINES)}, or kserve://HOST:PORT/MODEL (default: auto, the fastest here)",
    )
    add_device_option(parser)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument(
        "--device",
        metavar="CPU|GPU|NPU|AUTO",
        help="the device that OpenVINO runs on (default: its CPU, or the engine of --engine)",
    )


def add_recognizer_options(parser: argparse.ArgumentParser) -> None:
    """Add --bundle, --gallery, --engine, --device, --threads and --reembed."""
    add_bundle_option(parser)
    add_gallery_option(parser)
    add_engine_option(parser)
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads of the engine (default: at most 2)")
    parser.add_argument("--reembed", action="store_true", help="re-embed a gallery that another bundle filled")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add --region, --start, --seconds and --every."""
    parser.add_argument(
        "--region", type=region, metavar="X,Y,W,H", help="look only at this part of the frame, in pixels"
    )
    parser.add_argument("--start", type=seconds, default=0.0, metavar="S", help="skip the first S seconds of a video")
    parser.add_argument(
        "--seconds", type=seconds, metavar="S", help="stop after S seconds (a camera needs it or Ctrl-C)"
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="use every N-th frame (default: 1)")


def model(name: str) -> str:
    """Parse the name of a model of the ladder; what `load_bundle` takes in place of a path."""
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(NAMES)}, but got {name!r}")
    return MODEL + name


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


def load_bundle(path: str | None, trusted_keys: Path | None = None) -> Bundle:
    """The bundle at a path, the model NAME for "model:NAME", or the embedded default, which needs no signature."""
    if path is None:
        return default_bundle()
    if path.startswith(MODEL):
        return open_model(path.removeprefix(MODEL), trusted_keys)
    return Bundle.load(path, trusted_keys=trusted_keys)


def existing_gallery(path: str) -> str:
    """Return the path of a gallery that must exist already; opening would create it. Raises GalleryMissing."""
    if not is_site(path) and not Path(path).exists():
        raise GalleryMissing(
            f"{path} must be a gallery, but there is no such file; check --gallery, or teach a first class: "
            f"edgefs enroll NAME SOURCE --gallery {path}"
        )
    return path


def open_recognizer(args: argparse.Namespace, *, stranger_rate: float | str | None = "gallery") -> Recognizer:
    """Open what `add_recognizer_options` described; `stranger_rate` as in `Recognizer`."""
    return Recognizer(
        load_bundle(args.bundle, args.trusted_keys),
        gallery=args.gallery,
        engine=args.engine,
        threads=args.threads,
        device=args.device,
        stranger_rate=stranger_rate,
        keep_crops=False if getattr(args, "no_crops", False) else None,
        reembed=args.reembed,
    )
