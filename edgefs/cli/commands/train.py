"""Meta-train an embedding. `edgefs evaluate` measures the result, `edgefs export` packs it for a device.

examples:
  edgefs train protonet --data omniglot --root DIR --out runs/omniglot
  edgefs train --recipe recipes/omniglot_protonet.toml --root DIR --out runs/omniglot
  edgefs train maml --data cifar_fs --root DIR --inner-lr 0.05 --resume --out runs/maml
  torchrun --nproc-per-node=2 -m edgefs.cli train protonet --data omniglot --root DIR --tasks 2
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from edgefs.cli.fields import add_fields, given
from edgefs.errors import ConfigError
from edgefs.methods import META, TrainConfig
from edgefs.methods.options import settled
from edgefs.methods.recipe import read_recipe


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", nargs="?", choices=tuple(META), help="the method; it may come from --recipe instead")
    parser.add_argument("--recipe", metavar="FILE", help="read the [train] table of a recipe; options here override it")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out; the result has the same bits as without a stop",
    )
    add_fields(parser, META)
    parser.epilog = "methods:\n" + "\n".join(f"  {name:<11} {kind.__doc__}" for name, kind in META.items())


def run(args: argparse.Namespace) -> dict[str, Any]:
    config = _config(args)
    from edgefs.training.loop import train  # imports torch

    report = train(config, resume=args.resume, quiet=args.quiet)
    if os.environ.get("RANK", "0") != "0":
        args.json = None  # only the first process of a job prints
        return {}
    print(f"{report.stopped} after {report.steps} steps, {report.seconds:.0f} s, at most {report.peak_memory_mb} MB")
    print(
        f"validation {report.val}; best: {report.best}"
        if report.val
        else f"not validated yet; continue with --resume --out {config.out}"
    )
    return {"config": config.to_json(), **vars(report)}


def _config(args: argparse.Namespace) -> TrainConfig:
    options = given(args)
    if args.recipe:
        return read_recipe(args.recipe, **({"method": args.method} if args.method else {}), **options)
    missing = [name for name, value in (("method", args.method), ("data", args.data)) if value is None]
    if missing:
        raise ConfigError(
            f"edgefs train needs a method and --data, or a --recipe, but {' and '.join(missing)} is not given"
        )
    return settled(META, str(args.method), options)
