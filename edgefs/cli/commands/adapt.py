"""Move a network to another domain: labels from a source, pictures without labels from a target.

examples:
  edgefs adapt dann --source mnist/ --target usps/ --json -
  edgefs adapt mmd --source shop-photos/ --target camera/ --target-labels camera-labelled/ --backbone mobilenet_v2
  edgefs adapt adabn --source day/ --target night/ --init-from run/best.safetensors --out runs/night

The target's class folders, or --target-labels, are only measured on; they choose nothing.
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.commands.finetune import HELP as FINETUNE_HELP
from edgefs.cli.fields import add_fields, given
from edgefs.errors import ConfigError
from edgefs.reports.tables import table
from edgefs.transfer.config import ADAPT_METHODS, AdaptConfig

GROUPS = {
    "domains": ("source", "target", "target_labels", "bad_files"),
    "start": ("backbone", "weights", "init_from", "size", "mean", "std", "bottleneck"),
    "training": ("seeds", "first_seed", "steps", "batch", "lr", "weight", "augment", "bounds"),
    "run": ("out", "threads", "device"),
}
HELP = {
    **FINETUNE_HELP,
    "source": "folder of class folders: the labels (needed)",
    "target": "folder of the same class folders, or of pictures without labels (needed)",
    "target_labels": "folder of the same class folders to measure on (default: the target's own, if it has any)",
    "backbone": "lenet for small pictures, conv4, …, or torchvision's name (default: lenet)",
    "weights": "of torchvision's: DEFAULT, none, or a file (default: none)",
    "bottleneck": "features that learn on top of trained weights, which stay frozen (default: 256)",
    "seeds": "how many runs, of which the mean and its interval are reported (default: 5)",
    "weight": "of the method's loss beside that of the labels (default: the method's own)",
    "augment": "any of flip shift warp colour; nothing for none (default: warp)",
    "batch": "pictures of each domain in a step (default: 64)",
    "bounds": "also train on the source alone and on the target's labels, to compare with (default: yes)",
    "out": "new folder for the first seed's checkpoint and the report (default: nothing is written)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", choices=ADAPT_METHODS)
    add_fields(parser, AdaptConfig, GROUPS, HELP)


def run(args: argparse.Namespace) -> dict[str, Any]:
    options = given(args, AdaptConfig)
    missing = [name for name in ("source", "target") if name not in options]
    if missing:
        raise ConfigError(f"edgefs adapt needs --source and --target, but --{missing[0]} is not given")
    config = AdaptConfig(**options)
    from edgefs.transfer.adapt import adapt  # imports torch

    report = adapt(config)
    rows = [
        (config.method, _percent(report.target_accuracy, report.target_interval)),
        ("source only", _percent(report.source_only_accuracy, report.source_only_interval)),
        ("source only, AdaBN", _percent(report.adabn_accuracy, report.adabn_interval)),
        ("trained on the target", _percent(report.target_trained_accuracy, report.target_trained_interval)),
        (f"gain of {config.method}", _percent(report.gain, report.gain_interval, "+")),
    ]
    print(table(rows, ("", "target accuracy %")))
    print(f"{len(report.seeds)} seeds, {report.images['labelled']} labelled target pictures, {report.seconds:.0f} s")
    return {"config": config.to_json(), **vars(report)}


def _percent(mean: float | None, interval: float | None, sign: str = "") -> str:
    if mean is None:
        return "- (the target has no labels)"
    return f"{mean:{sign}.2f}" + (f" ± {interval:.2f}" if interval is not None else "")
