"""Turn a checkpoint, a backbone or your own ONNX embedder into a bundle, and verify every artifact in it.

examples:
  edgefs export run/best.safetensors --out conv4.edgefs
  edgefs export --backbone mobilenet_v3_small --out small.edgefs --precisions fp32,fp16,int8 --calibrate photos/
  edgefs export --backbone mobilenet_v2 --weights w.safetensors --mean 0.5 --std 0.5 --out v2.edgefs --base classes/
  edgefs export --onnx mine.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --size 224 --out mine.edgefs
  edgefs export --backbone resnet18 --out pc.edgefs --targets tensorrt-rtx --precisions fp16 --compute SM86,SM120

A reduced precision is kept if it is within tolerance, and faster here than fp32 of the same target, or smaller and not
clearly slower. --allow waives the tolerance and --keep the speed. The exit status is 1 if an artifact failed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgefs.cli.options import positive
from edgefs.cli.progress import Stages
from edgefs.exporting import CALIBRATION_FRAMES
from edgefs.reports.export_page import number
from edgefs.reports.tables import table
from exporters.targets import TARGETS
from runtime.preprocess import CROPS

if TYPE_CHECKING:
    from exporters.pipeline import Exported

# Options that `edgefs.export` takes under the same name.
SAME = (
    *(
        "name",
        "overwrite",
        "targets",
        "precisions",
        "weights",
        "size",
        "crop",
        "mean",
        "std",
        "colour",
        "metric",
        "output",
        "pool",
    ),
    *("calibrate", "frames", "base", "verify", "exporter", "slim", "allow", "keep", "compute", "max_batch"),
    *("triton", "ovms", "report"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("checkpoint", nargs="?", help="what `edgefs train` or `edgefs finetune` wrote")
    source.add_argument("--backbone", metavar="NAME", help="a network of torchvision, timm:NAME, conv4 or resnet12")
    source.add_argument("--onnx", metavar="FILE", help="your own embedder: one float or uint8 input, one output [N, D]")
    add = parser.add_argument
    add("--out", metavar="DIR", required=True, help="the bundle to write; a name ending in .zip is one file")
    add("--overwrite", action="store_true", help="replace a bundle that exists already")
    add("--name", help="name of the bundle (default: that of the source)")
    add("--targets", type=names, default=("onnx", "openvino"), metavar="A,B",
        help=f"some of {', '.join(TARGETS)} (default: onnx,openvino)")  # fmt: skip
    add("--precisions", type=names, default=("fp32",), metavar="A,B", help="some of fp32, fp16, int8 (default: fp32)")

    add = parser.add_argument_group("source").add_argument
    add("--weights", default="DEFAULT", metavar="FILE|DEFAULT|none",
        help="weights of --backbone: a file, those of its library, or random (default: DEFAULT)")  # fmt: skip
    add("--size", type=positive, metavar="N", help="pixels of a side of the square input (default: the source's)")
    add("--crop", choices=CROPS,
        help="what is used of a frame: its centre, all of it squeezed, or all of it with grey borders (default: the "
        "model's own, or square for a square input and stretch for any other)")  # fmt: skip
    add("--mean", type=numbers, metavar="R,G,B", help="mean of the pixels in 0..1 (default: that of the weights)")
    add("--std", type=numbers, metavar="R,G,B", help="standard deviation of the pixels (default: that of the weights)")
    add("--colour", choices=("rgb", "bgr", "grey"), default="rgb", help="what --onnx expects (default: rgb)")
    add("--metric", choices=("cosine", "euclidean"), default="cosine",
        help="metric of --onnx and --backbone (default: cosine)")  # fmt: skip
    add("--output", metavar="NAME", help="tensor or layer of --onnx that is the embedding (default: its only output)")
    add(
        "--pool", choices=("mean", "gem", "cls"), help="make one vector of the map or of the tokens that --onnx ends in"
    )

    add = parser.add_argument_group("pictures").add_argument
    add("--calibrate", metavar="FOLDER|VIDEO", help="pictures as the device will see them; int8 needs them")
    add("--frames", type=positive, default=CALIBRATION_FRAMES, metavar="N",
        help=f"how many of them are used (default: {CALIBRATION_FRAMES})")  # fmt: skip
    add("--base", metavar="FOLDER",
        help="class folders, to centre the embedding and to calibrate rejection (default: --calibrate)")  # fmt: skip
    add("--verify", metavar="FOLDER",
        help="pictures to verify on (default: --calibrate, or else those of scikit-image)")  # fmt: skip

    add = parser.add_argument_group("how it is built").add_argument
    add("--exporter", choices=("dynamo", "legacy"), default="dynamo",
        help="torch's exporter; legacy accepts some networks that dynamo does not (default: dynamo)")  # fmt: skip
    add("--slim", action="store_true", help="let onnxslim remove redundant layers")
    add("--allow", action="store_true", help="keep artifacts that fail a gate")
    add("--keep", type=names, default=(), metavar="A,B",
        help="precisions to keep even if they are slower here, for another device (default: none)")  # fmt: skip
    add("--compute", type=names, default=("SM86", "SM89", "SM120"), metavar="SM86,SM120",
        help="GPU architectures that tensorrt-rtx builds for (default: SM86,SM89,SM120)")  # fmt: skip
    add("--max-batch", type=positive, default=8, metavar="N",
        help="largest batch of TensorRT plans and of servers (default: 8)")  # fmt: skip

    add = parser.add_argument_group("further outputs").add_argument
    add("--triton", metavar="DIR", help="also add every artifact to this Triton model repository")
    add("--ovms", metavar="DIR", help="also add the OpenVINO artifacts to this OpenVINO Model Server repository")
    add("--report", metavar="FILE", help="also write the results of the verification as an HTML page")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from edgefs.exporting import export, summary

    kinds = {"checkpoint": args.checkpoint, "backbone": args.backbone, "onnx": args.onnx}
    kind, model = next((kind, model) for kind, model in kinds.items() if model)
    options = {option: getattr(args, option) for option in SAME}
    n_artifacts = len({*args.targets, "onnx"}) * len({*args.precisions, "fp32"})
    with Stages(7 + n_artifacts) as progress:
        exported = export(model, args.out, kind=kind, progress=progress, **options)
    result = summary(exported, triton=bool(args.triton))
    print(_text(exported, result["verified_on"]))
    for artifact, reason in result.get("not_served", {}).items():
        print(f"{artifact} is not in {args.triton}: {reason}")
    if args.report:
        print(f"report: {args.report}")
    return {**result, "passed": exported.passed or args.allow}


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


def _text(exported: Exported, verified_on: Mapping[str, Any]) -> str:
    rows = [
        (
            made.target,
            made.precision,
            f"{made.bytes / 1e6:.2f}",
            number(made.min_cosine, ".5f"),
            number(made.neighbour_agreement, ".1%"),
            number(made.accuracy_difference, "+.2f"),
            number(made.latency_ms, ".2f"),
            "kept" if made.kept else "left out",
        )
        for made in exported.reports
    ]
    header = ("target", "precision", "MB", "min cosine", "neighbours", "points", "ms", "")
    reasons = [f"{made.target} {made.precision}: {made.reason}" for made in exported.reports]
    pictures = f"{verified_on['pictures']} pictures ({verified_on['kind']} of {verified_on['source']})"
    where = f"written to {exported.bundle.path}"
    source = f"verified on {pictures}; the source itself takes {exported.source_ms:.2f} ms"
    return "\n".join([table(rows, header), "", *reasons, "", source, where])
