"""Meta-train an embedding: Prototypical Networks, MAML (second and first order, ANIL) or Reptile.

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
from edgefs.training.config import METHODS, TrainConfig, config_of, read_recipe

GROUPS = {
    "data": ("data", "root", "variant", "size", "channels", "bad_files", "download"),
    "episodes": ("n_way", "n_shot", "n_query", "tasks", "steps", "augment", "rotations"),
    "validation": ("val_way", "val_shot", "val_query", "val_episodes", "val_every", "patience"),
    "optimiser": ("optimiser", "lr", "schedule", "warmup", "weight_decay", "clip"),
    "method": (
        "backbone",
        "init_from",
        "n_classes",
        "distance",
        "temperature",
        "bf16",
        "head",
        "statistics",
        "inner_lr",
        "inner_steps",
        "val_inner_steps",
        "learn_rates",
        "inner_batch",
        "val_inner_batch",
    ),
    "run": ("out", "seed", "threads", "checkpoint_minutes", "device"),
}
HELP = {
    "data": "omniglot, cifar_fs, mini_imagenet or folder",
    "root": "folder the data lies in (default: here)",
    "variant": "split of Omniglot: lake or vinyals",
    "size": "side of the images in pixels (default: the set's own)",
    "channels": "1 grey or 3 colour (default: the set's own; folder: as stored)",
    "bad_files": "what to do about unreadable pictures: fail or skip",
    "download": "fetch the data if its authors host it",
    "tasks": "episodes per step",
    "augment": "any of mirror flip shift warp colour",
    "rotations": "quarter turns that become classes (default: 4 for omniglot, else 1)",
    "patience": "stop after so many validations without improvement (0: never)",
    "clip": "largest gradient norm (0: any)",
    "backbone": "conv4, conv4_32, resnet12 or torchvision:NAME",
    "init_from": "checkpoint to start from; its input contract comes with it",
    "n_classes": "classifier: how many classes (default: those of the training data)",
    "distance": "ProtoNet: euclidean or cosine",
    "temperature": "ProtoNet: divides squared distances",
    "bf16": "ProtoNet, classifier: backbone in bfloat16 (default: where the machine computes it)",
    "head": "MAML, Reptile: where a task's head starts: zero, or prototypes (Proto-MAML)",
    "statistics": "MAML, Reptile: normalise by the batch, or by the running statistics of the network it starts from",
    "inner_lr": "MAML, Reptile: rate of adaptation",
    "learn_rates": "MAML: learn one inner rate per tensor and step",
    "out": "folder for checkpoints, log.csv and curves.png (default: run)",
    "threads": "CPU threads (default: all this process may use)",
    "checkpoint_minutes": "save the state of the run every so many minutes",
    "device": "auto, cpu or cuda",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", nargs="?", choices=METHODS, help="may come from --recipe instead")
    parser.add_argument("--recipe", metavar="FILE", help="read a recipe's [train] table; options here override it")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --out, bit by bit as if never stopped"
    )
    add_fields(parser, TrainConfig, GROUPS, HELP)


def run(args: argparse.Namespace) -> dict[str, Any]:
    config = _config(args)
    from edgefs.training.loop import train  # imports torch

    report = train(config, resume=args.resume)
    if os.environ.get("RANK", "0") != "0":
        args.json = None  # one process of a job speaks
        return {}
    print(f"{report.stopped} after {report.steps} steps, {report.seconds:.0f} s, at most {report.peak_memory_mb} MB")
    print(
        f"validation {report.val}; best: {report.best}"
        if report.val
        else f"not validated yet; go on with --resume --out {config.out}"
    )
    return {"config": config.to_json(), **vars(report)}


def _config(args: argparse.Namespace) -> TrainConfig:
    options = given(args, TrainConfig)
    if args.recipe:
        return read_recipe(args.recipe, **options)
    missing = [name for name in ("method", "data") if name not in options]
    if missing:
        raise ConfigError(
            f"edgefs train needs a method and --data, or a --recipe, but {' and '.join(missing)} is not given"
        )
    return config_of(**options)
