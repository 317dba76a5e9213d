"""Adapt a network to another domain: labels from a source, pictures without labels from a target.

examples:
  edgefs adapt dann --source mnist/ --target usps/ --json -
  edgefs adapt mmd --source shop-photos/ --target camera/ --target-labels camera-labelled/ --backbone mobilenet_v2
  edgefs adapt adabn --source day/ --target night/ --init-from run/best.safetensors --out runs/night

Labels of the target (its class folders, or --target-labels) are used only to measure the result.
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.fields import add_fields, given
from edgefs.errors import ConfigError
from edgefs.methods import ADAPT
from edgefs.methods.options import settled
from edgefs.reports.tables import table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", choices=tuple(ADAPT))
    add_fields(parser, ADAPT)
    parser.epilog = "methods:\n" + "\n".join(f"  {name:<7} {kind.__doc__}" for name, kind in ADAPT.items())


def run(args: argparse.Namespace) -> dict[str, Any]:
    options = given(args)
    missing = [name for name in ("source", "target") if name not in options]
    if missing:
        raise ConfigError(f"edgefs adapt needs --source and --target, but --{missing[0]} is not given")
    config = settled(ADAPT, args.method, options)
    from edgefs.transfer.adapt import adapt  # imports torch

    report = adapt(config, quiet=args.quiet)
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
