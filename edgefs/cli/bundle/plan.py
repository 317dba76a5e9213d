"""Build a TensorRT plan for this machine and add it to a bundle. Torch is not needed; onnx and ONNX Runtime are.

The plan is run and timed here before the bundle is replaced. Ctrl-C ends the build and leaves the bundle as it was.

examples:
  edgefs bundle add-plan shop.edgefs --target tensorrt --precision fp16 --workspace 512
  edgefs bundle add-plan shop.edgefs --target tensorrt --precision int8 --calibrate photos/ --dla 0
  edgefs bundle add-plan shop.edgefs --target tensorrt-rtx --compute SM86,SM120 --out pc.edgefs
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgefs.cli.options import positive
from edgefs.cli.progress import Stages
from runtime.bundle import Bundle

SUMMARY = "build a TensorRT plan for this machine and add it to a bundle"
N_STEPS = 8


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="bundle directory or .zip")
    add("--target", choices=("tensorrt", "tensorrt-rtx"), required=True, help="the library that will run the plan")
    add("--precision", choices=("fp32", "fp16", "int8"), default="fp16", help="precision of the plan (default: fp16)")
    add("--out", metavar="DIR", help="write the bundle there (default: replace BUNDLE)")
    add("--calibrate", metavar="FOLDER|VIDEO", help="pictures as the device will see them; int8 needs them")
    add("--max-batch", type=positive, default=8, metavar="N", help="largest batch of the plan (default: 8)")
    add("--compute", type=_names, default=("SM86", "SM89", "SM120"), metavar="SM86,SM120",
        help="only tensorrt-rtx: GPU architectures (default: SM86,SM89,SM120)")  # fmt: skip
    add = parser.add_argument_group("only tensorrt").add_argument
    add("--workspace", type=positive, default=1024, metavar="MIB",
        help="scratch memory of the builder in MiB (default: 1024)")  # fmt: skip
    add("--dla", type=int, metavar="CORE", help="run on this DLA core of an Orin; fp16 or int8, one batch size")
    add("--timing-cache", type=Path, metavar="FILE", help="a file that makes the next build faster")
    add("--compatibility", choices=("none", "same_compute_capability", "ampere_plus"), default="none",
        help="other GPUs that may run the plan (default: none)")  # fmt: skip
    add("--version-compatible", action="store_true", help="let newer libraries of the same major version run the plan")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from exporters.add_plan import add_plan
    from exporters.sources.pictures import sample_pictures
    from exporters.targets.request import Request, TensorRtOptions

    bundle = Bundle.load(args.bundle)
    options = TensorRtOptions(
        workspace_mib=args.workspace,
        timing_cache=args.timing_cache,
        compatibility=args.compatibility,
        version_compatible=args.version_compatible,
        dla_core=args.dla,
    )
    with Stages(N_STEPS) as progress:
        request = Request(
            targets=(args.target,),
            precisions=(args.precision,),
            calibration=sample_pictures(args.calibrate, bundle.preprocess) if args.calibrate else None,
            max_batch=args.max_batch,
            compute=args.compute,
            tensorrt=options,
        )
        added = add_plan(bundle, request, progress=progress)
        saved = added.bundle.save(args.out or args.bundle, overwrite=args.out is None)
    speed = "" if added.latency_ms is None else f", {added.latency_ms:.2f} ms a frame"
    print(f"{added.file}: {added.reason}{speed}\nwritten to {saved.path}")
    return {
        "bundle": str(saved.path),
        "file": added.file,
        "golden_cosine": added.golden_cosine,
        "latency_ms": added.latency_ms,
        "reason": added.reason,
    }


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
