"""Few-shot accuracy of a checkpoint, or of a bundle through any engine, with its 95 % interval.

Every image is embedded once. The columns: the task (classes and support images of an episode); the head, which is the
trained one or one of SimpleShot's nearest class means (UN: features as they are, L2N: unit features, CL2N: centred unit
features); and the share of right answers in percent, ± the 95 % interval over the episodes.

examples:
  edgefs evaluate run/best.safetensors --data omniglot --root DIR --split val --ways 5 20
  edgefs evaluate model.edgefs --data cifar_fs --root DIR --engine openvino
  edgefs evaluate run/best.safetensors --data folder --root photos/ --shots 1 3 --n-query 5
  edgefs evaluate model.edgefs --data folder --root photos/ --split all --open-set --rate 5% --shots 5
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.options import add_device_option, positive, share
from edgefs.data import DATA
from edgefs.errors import ConfigError
from edgefs.evaluation.evaluate import evaluate
from edgefs.reports.tables import table

# Options that only one kind of evaluation has, with their defaults.
EPISODES = {"ways": [5], "n_query": 15, "episodes": 600, "rotations": None}
OPEN_SET = {"rate": 0.05, "galleries": 200}
COLUMNS = """plain AUROC: known frames ranked above strangers by the best cosine alone, 50 is chance; AUROC: the same by
score - threshold; false accepts: strangers that were given a name; false rejects: known frames that are not sure;
maybe: those of them that are called "maybe"; wrong names: known frames given the name of another class; plain
rejects: known frames below one constant that was chosen with hindsight for exactly this share of strangers."""


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", help="checkpoint (.safetensors), bundle directory or bundle .zip")
    add("--data", required=True, choices=tuple(DATA), help="the image set")
    add("--root", default=".", help="folder the data lies in (default: here)")
    add("--split", default="test", help="train, val, test, or all for a folder (default: test)")
    add("--variant", default="lake", choices=("lake", "vinyals"), help="split of Omniglot (default: lake)")
    add(
        "--shots",
        type=positive,
        nargs="+",
        default=[1, 5],
        metavar="K",
        help="images that teach a class (default: 1 5)",
    )
    add("--seed", type=int, default=0, help="seed of the episodes or galleries (default: 0)")
    add("--engine", default="auto", help="engine of a bundle, as `edgefs doctor` lists them (default: auto)")
    add_device_option(parser)
    add("--threads", type=positive, metavar="N", help="CPU threads of the engine (default: at most 2)")
    add("--bad-files", default="fail", choices=("fail", "skip"), help="unreadable pictures (default: fail)")
    add("--download", action="store_true", help="fetch the data if its authors host it")
    add = parser.add_argument_group("episodes").add_argument
    add("--ways", type=positive, nargs="+", metavar="N", help="classes of an episode (default: 5)")
    add("--n-query", type=positive, metavar="Q", help="query images of each class (default: 15)")
    add("--episodes", type=positive, metavar="E", help="episodes of each task (default: 600)")
    add("--rotations", type=int, choices=(1, 2, 4), help="quarter turns as classes (default: 4 for omniglot, else 1)")
    add = parser.add_argument_group("unknown things").add_argument
    add("--open-set", action="store_true", help="measure how well strangers are told: half of the classes are taught")
    add("--rate", type=share, metavar="SHARE", help="share of strangers that may be given a name (default: 5%%)")
    add("--galleries", type=positive, metavar="N", help="random galleries (default: 200)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    own, others = (OPEN_SET, EPISODES) if args.open_set else (EPISODES, OPEN_SET)
    stray = [f"--{name.replace('_', '-')}" for name in others if getattr(args, name) is not None]
    if stray:
        kind = "must be left out with --open-set" if args.open_set else "can only be given with --open-set"
        raise ConfigError(f"{' and '.join(stray)} {kind}; remove {stray[0]}, or choose the other kind of evaluation")
    for name, default in own.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
    names = (
        "data",
        "root",
        "split",
        "variant",
        "shots",
        "seed",
        "engine",
        "device",
        "threads",
        "bad_files",
        "download",
    )
    common = {name: getattr(args, name) for name in names}
    found = _open_set(args, common) if args.open_set else _episodes(args, common)
    return {"source": args.source, "data": args.data, "split": args.split, **found}


def _episodes(args: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    report = evaluate(
        args.source, **common, ways=args.ways, n_query=args.n_query, n_episodes=args.episodes, rotations=args.rotations
    )
    rows = [
        (f"{a.n_way}-way {a.n_shot}-shot", head, f"{a.mean:.2f} ± {a.interval:.2f}") for head, a in report.accuracies
    ]
    print(table(rows, ("task", "head", "accuracy %")))
    where = f"{report.engine.name} {report.engine.precision}" if report.engine else "torch float32"
    print(f"{args.episodes} episodes over {report.images} images of {report.classes} classes, embedded once by {where}")
    print(
        "heads: the trained one, and nearest class mean on features as they are (UN), unit (L2N), centred unit (CL2N)"
    )
    accuracies = [{"head": head, **vars(accuracy)} for head, accuracy in report.accuracies]
    return {"engine": report.engine, "skipped": report.skipped, "accuracies": accuracies}


def _open_set(args: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    from edgefs.evaluation.open_set import evaluate_open_set

    reports = evaluate_open_set(args.source, **common, stranger_rate=args.rate, n_galleries=args.galleries)
    columns = ("plain_auroc", "auroc", "false_accepts", "false_rejects", "maybe", "wrong_names")
    rows = [
        (r.n_shot, r.n_known, *(f"{mean:.1f} ± {half:.1f}" for mean, half in (getattr(r, name) for name in columns)),
         f"{r.plain_rejects:.1f}")
        for r in reports
    ]  # fmt: skip
    header = ("plain AUROC", "AUROC", "false accepts", "false rejects", "maybe", "wrong names", "plain rejects")
    print(table(rows, ("shots", "classes", *header)))
    print(f"{args.galleries} galleries, asked for {100 * args.rate:g} % of strangers; percent, ± 95 % over galleries")
    print(COLUMNS)
    return {"open_set": reports}
