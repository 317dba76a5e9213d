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
from edgefs.reports.tables import table
from edgefs.transfer.config import FINETUNE_METHODS, FinetuneConfig

GROUPS = {
    "data": ("root", "data", "val_share", "test_share", "per_class", "bad_files"),
    "start": ("backbone", "weights", "init_from", "size", "mean", "std"),
    "features": ("head",),
    "what learns": ("trainable", "unfreeze_every", "layer_decay", "batch_norm"),
    "optimiser": ("epochs", "batch", "lr", "weight_decay", "schedule", "patience"),
    "images": ("augment", "mixup", "label_smoothing", "balance"),
    "run": ("out", "seed", "threads", "device"),
}
HELP = {
    "root": "folder of class folders, or of train, val, test with class folders",
    "data": "folder, or a .csv list with the columns path, label and perhaps split (default: folder)",
    "val_share": "share of the training pictures that validate, where no val is given (default: 0.2; 0: none)",
    "test_share": "share that is kept for the test, where there are no splits (default: 0.2; 0: none)",
    "per_class": "train on so many pictures a class, and test on the rest (default: by share)",
    "bad_files": "what to do about unreadable pictures: fail or skip",
    "backbone": "torchvision's name, or conv4, lenet, … (default: torchvision:mobilenet_v2)",
    "weights": "DEFAULT (torchvision's own), none (random), or a .safetensors or .pth file (default: DEFAULT)",
    "init_from": "checkpoint of edgefs to start from, as meta-trained; its input contract comes with it",
    "size": "pixels of the square input (default: the weights' own)",
    "mean": "of pixels in 0..1, as the weights were trained with (default: the weights' own)",
    "std": "likewise",
    "head": "logistic, linear (ridge), mlp or mean (nearest class mean); the start of fine-tuning too",
    "trainable": "head, last:N (stages, from the top) or all (default: all)",
    "unfreeze_every": "from the head downwards, one more stage every so many epochs (default: 0, at once)",
    "layer_decay": "each stage learns this much slower than the one above (default: 1)",
    "batch_norm": "statistics of batch norms: eval (as trained), train, or auto: eval for trained weights",
    "schedule": "cosine, or plateau: lower the rate when validation stands still",
    "patience": "stop after so many epochs without gain (default: 0, never)",
    "augment": "any of flip shift warp colour",
    "mixup": "alpha of mixup (default: 0, none)",
    "balance": "of unequal classes: none, loss (weights) or sampler (draw all equally often)",
    "out": "new folder for the checkpoint, the report and the pictures (default: run)",
    "threads": "CPU threads (default: all this process may use)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=FINETUNE_METHODS, default="finetune", dest="method",
                        help="features: every picture passes the frozen network once (default: finetune)")  # fmt: skip
    parser.add_argument("--bundle", action="store_true", help="also write OUT/model.edgefs and OUT/classes.db")
    add_fields(parser, FinetuneConfig, GROUPS, HELP)


def run(args: argparse.Namespace) -> dict[str, Any]:
    config = FinetuneConfig(**{"root": ".", **given(args, FinetuneConfig)})
    from edgefs.transfer.finetune import finetune  # imports torch

    report = finetune(config)
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
        print(f"{report.computed} of {total} pictures embedded now, the others known: {report.feature_seconds:.2f} s")
    print(f"written to {config.out}: best.safetensors, report.json, confusion.png, split.csv")
    found = {"config": config.to_json(), **vars(report)}
    if args.bundle:
        from edgefs.transfer.device import to_device

        found |= to_device(config.out, root=config.root)
        print(f"bundle {found['bundle']}, gallery {found['gallery']} with {found['shots']} shots")
    return found
