"""Turn a checkpoint, a torchvision backbone or your own ONNX embedder into a bundle, every artefact of it verified.

examples:
  edgefs export run/best.safetensors --out conv4.edgefs
  edgefs export --backbone mobilenet_v3_small --out small.edgefs --precisions fp32,fp16,int8 --calibrate photos/
  edgefs export --backbone mobilenet_v2 --weights w.safetensors --mean 0.5 --std 0.5 --out v2.edgefs --base classes/
  edgefs export --onnx mine.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --size 224 --out mine.edgefs
  edgefs export --backbone resnet18 --out pc.edgefs --targets tensorrt-rtx --precisions fp16 --compute SM86,SM120

A reduced precision is kept only if it is faster here than fp32 of the same target and within tolerance; --allow keeps
it anyway. Exit status 1: a gate failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs.cli.options import positive
from edgefs.reports.export_page import number
from edgefs.reports.tables import table
from runtime.errors import BundleError

if TYPE_CHECKING:
    from exporters.pipeline import Exported
    from exporters.request import Request
    from exporters.sources.pictures import Pictures
    from exporters.sources.source import Source
    from runtime.bundle import Bundle

CALIBRATION_FRAMES = 300
BASE_PICTURES = 600


def configure(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("checkpoint", nargs="?", help="what `edgefs train` or `edgefs finetune` wrote")
    source.add_argument("--backbone", metavar="NAME", help="a network of torchvision, or conv4, resnet12")
    source.add_argument("--onnx", metavar="FILE", help="your own embedder: one float or uint8 input, one output [N, D]")
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="the bundle to write; a name ending in .zip is one file"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the bundle that is there")
    parser.add_argument("--name", help="of the bundle (default: the source's)")
    parser.add_argument("--targets", type=names, default=("onnx", "openvino"), metavar="A,B",
                        help="of onnx, openvino, tensorrt, tensorrt-rtx (default: onnx,openvino)")  # fmt: skip
    parser.add_argument("--precisions", type=names, default=("fp32",), metavar="A,B",
                        help="of fp32, fp16, int8 (default: fp32)")  # fmt: skip
    _configure_source(parser)
    _configure_pictures(parser)
    parser.add_argument("--exporter", choices=("dynamo", "legacy"), default="dynamo",
                        help="torch's way to ONNX; legacy is a second try (default: dynamo)")  # fmt: skip
    parser.add_argument("--slim", action="store_true", help="let onnxslim drop redundant layers")
    parser.add_argument("--allow", action="store_true", help="keep artefacts that fail a gate or do not pay")
    parser.add_argument("--compute", type=names, default=("SM86", "SM89", "SM120"), metavar="SM86,SM120",
                        help="GPUs that tensorrt-rtx builds for (default: SM86,SM89,SM120)")  # fmt: skip
    parser.add_argument(
        "--max-batch", type=positive, default=8, metavar="N", help="of TensorRT and servers (default: 8)"
    )
    parser.add_argument("--triton", metavar="DIR", help="also add every artefact to this Triton model repository")
    parser.add_argument("--ovms", metavar="DIR", help="also add them to this OpenVINO Model Server repository")
    parser.add_argument("--report", metavar="FILE", help="also write the verification as a page, FILE.html")


def _configure_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", default="DEFAULT", metavar="FILE|DEFAULT|none",
                        help="of --backbone: a file, torchvision's own, or random (default: DEFAULT)")  # fmt: skip
    parser.add_argument("--size", type=positive, metavar="N", help="pixels of the square input (default: the source's)")
    parser.add_argument("--mean", type=numbers, metavar="R,G,B", help="of pixels in 0..1 (default: the weights')")
    parser.add_argument("--std", type=numbers, metavar="R,G,B", help="likewise")
    parser.add_argument(
        "--colour", choices=("rgb", "bgr", "grey"), default="rgb", help="what --onnx expects (default: rgb)"
    )
    parser.add_argument("--metric", choices=("cosine", "euclidean"), default="cosine",
                        help="of --onnx and --backbone (default: cosine)")  # fmt: skip


def _configure_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calibrate", metavar="FOLDER|VIDEO", help="pictures as the device sees them; int8 needs them")
    parser.add_argument("--frames", type=positive, default=CALIBRATION_FRAMES, metavar="N",
                        help=f"how many of them to take (default: {CALIBRATION_FRAMES})")  # fmt: skip
    parser.add_argument("--base", metavar="FOLDER",
                        help="class folders, to centre and to calibrate rejection (default: --calibrate)")  # fmt: skip
    parser.add_argument("--verify", metavar="FOLDER",
                        help="pictures to verify on (default: --calibrate, else scikit-image's)")  # fmt: skip


def run(args: argparse.Namespace) -> dict[str, Any]:
    if Path(args.out).exists() and not args.overwrite:  # now, not after minutes
        raise BundleError(f"{args.out} exists already; choose another name, or replace it with --overwrite")
    from exporters.pipeline import export

    with _Stages(args) as progress:
        progress("source")
        source = _source(args)
        progress("pictures")
        request, pictures = _request(args, source)
        exported = export(source, request, pictures, progress=progress)
        bundle = exported.bundle.save(args.out, overwrite=args.overwrite)
        _serve(bundle, args)
    print(_words(exported, bundle, pictures))
    report = {
        "bundle": str(bundle.path),
        "name": bundle.name,
        "fingerprint": bundle.fingerprint,
        "artifacts": exported.reports,
        "source_ms": exported.source_ms,
        "verified_on": {key: value for key, value in pictures.facts().items() if key != "names"},
        "passed": exported.passed or args.allow,
    }
    if args.report:
        _write_page(report, Path(args.report))
    return report


def _write_page(report: dict[str, Any], path: Path) -> None:
    from edgefs.reports.export_page import render

    try:
        path.write_text(render({**report, "artifacts": [made.to_json() for made in report["artifacts"]]}), "utf-8")
    except OSError as error:
        raise BundleError(f"--report {path} cannot be written: {error.strerror}; choose another place") from error
    print(f"report: {path}")


def names(text: str) -> tuple[str, ...]:
    """Parse "a,b"."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str) -> tuple[float, ...]:
    """Parse "0.5" (for every channel) or "0.4,0.5,0.6"."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be one or three numbers, like 0.5 or 0.4,0.5,0.6, but got {text!r}"
        ) from None


def _source(args: argparse.Namespace) -> Source:
    mean, std = (values * 3 if values and len(values) == 1 else values for values in (args.mean, args.std))
    source: Any
    if args.onnx:
        from exporters.sources.onnx_source import open_onnx

        source = open_onnx(
            args.onnx, mean=args.mean, std=args.std, size=args.size, colour=args.colour, metric=args.metric
        )
    elif args.backbone:
        from edgefs.sources import backbone_source

        source = backbone_source(
            args.backbone, weights=args.weights, size=args.size, mean=mean, std=std, metric=args.metric
        )
    else:
        from edgefs.sources import checkpoint_source

        source = checkpoint_source(args.checkpoint, size=args.size)
    source.name = args.name or source.name
    return source  # type: ignore[no-any-return]


def _request(args: argparse.Namespace, source: Source) -> tuple[Request, Pictures]:
    from exporters.request import Request
    from exporters.sources.pictures import sample_pictures, verification_pictures

    preprocess = source.preprocess
    calibration = sample_pictures(args.calibrate, preprocess, count=args.frames) if args.calibrate else None
    base = sample_pictures(args.base, preprocess, count=BASE_PICTURES) if args.base else calibration
    request = Request(
        targets=args.targets,
        precisions=args.precisions,
        calibration=calibration,
        base=base,
        allow=args.allow,
        exporter=args.exporter,
        slim=args.slim,
        max_batch=args.max_batch,
        compute=args.compute,
    )
    return request, verification_pictures(args.verify or args.calibrate, preprocess)


class _Stages:
    """A bar of stages on a terminal, a line for each everywhere else; on stderr, which is not the result."""

    def __init__(self, args: argparse.Namespace) -> None:
        from tqdm import tqdm

        self.begin = time.perf_counter()
        total = 7 + len({*args.targets, "onnx"}) * len({*args.precisions, "fp32"})
        self.bar = tqdm(total=total, disable=None, leave=False, bar_format="{l_bar}{bar}| {elapsed}")

    def __enter__(self) -> Callable[[str], None]:
        return self._stage

    def _stage(self, name: str) -> None:
        if self.bar.disable:
            print(f"{time.perf_counter() - self.begin:6.1f} s  {name}", file=sys.stderr, flush=True)
        self.bar.update(self.bar.n < self.bar.total - 1)
        self.bar.set_description(name)

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def _serve(bundle: Bundle, args: argparse.Namespace) -> None:
    from exporters.serving import write_ovms, write_triton

    if args.triton:
        write_triton(bundle, Path(args.triton), max_batch=args.max_batch)
    if args.ovms:
        write_ovms(bundle, Path(args.ovms))


def _words(exported: Exported, bundle: Bundle, pictures: Pictures) -> str:
    rows = [
        (
            report.target,
            report.precision,
            f"{report.bytes / 1e6:.2f}",
            number(report.min_cosine, ".5f"),
            number(report.neighbour_agreement, ".1%"),
            number(report.accuracy_difference, "+.2f"),
            number(report.latency_ms, ".2f"),
            "kept" if report.kept else "left out",
        )
        for report in exported.reports
    ]
    header = ("target", "precision", "MB", "min cosine", "neighbours", "points", "ms", "")
    whys = [f"{report.target} {report.precision}: {report.reason}" for report in exported.reports]
    return "\n".join(
        [
            table(rows, header),
            "",
            *whys,
            "",
            f"verified on {len(pictures)} pictures ({pictures.kind} of {pictures.source}); the source itself takes "
            f"{exported.source_ms:.2f} ms",
            f"written to {bundle.path}",
        ]
    )
