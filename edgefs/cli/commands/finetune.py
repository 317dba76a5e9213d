"""Fine-tune a pretrained network on your classes, or fit a head on its frozen features.

examples:
  edgefs finetune --root photos/ --backbone mobilenet_v2 --out runs/photos
  edgefs finetune --root photos/ --backbone mobilenet_v2 --weights w.safetensors --mean 0.5 --std 0.5 --out runs/photos
  edgefs finetune --root photos/ --mode features --head logistic --out runs/quick
  edgefs finetune --root photos/ --trainable last:2 --augment flip colour --mixup 0.2 --patience 5 --out runs/last2
  edgefs finetune --root photos/ --init-from runs/protonet/best.safetensors --out runs/from-meta
  edgefs finetune --root photos/ --bundle --out runs/photos     # and a bundle and a gallery with the classes enrolled
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.fields import add_fields, given
from edgefs.methods import FINETUNE
from edgefs.methods.options import settled
from edgefs.reports.tables import table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=tuple(FINETUNE),
        default="finetune",
        help="features: only fit a head; every picture passes the frozen network once (default: finetune)",
    )
    add_fields(parser, FINETUNE)


def run(args: argparse.Namespace) -> dict[str, Any]:
    config = settled(FINETUNE, args.mode, given(args))
    from edgefs.transfer.finetune import finetune  # imports torch

    report = finetune(config, quiet=args.quiet)
    rows = [
        (name, str(share.n), f"{share.mean:.1f} ± {share.interval:.1f}") for name, share in report.per_class.items()
    ]
    print(table(rows, ("class", "pictures", "right %")))
    for name in ("val", "test", "nearest_mean"):
        if getattr(report, name):
            print(f"{name.replace('_', ' '):>12}  {getattr(report, name)}")
    print(f"{report.stopped} after {report.epochs} epochs, {report.seconds:.0f} s", end="")
    print(f", {report.waiting:.1%} of the training time waiting for data" if report.epochs else "")
    if config.method == "features":
        total = sum(report.images.values())
        print(
            f"{report.computed} of {total} pictures embedded in this run, the others were in the cache: "
            f"{report.feature_seconds:.2f} s"
        )
    print(f"written to {config.out}: best.safetensors, report.json, confusion.png, split.csv")
    if report.bundle:
        print(f"bundle {report.bundle}, gallery {report.gallery} with {report.shots} shots")
    return {"config": config.to_json(), **vars(report)}
