"""Few-shot accuracy of a checkpoint, or of a bundle through any engine, with its 95 % interval.

Every image is embedded once. Beside the trained head: SimpleShot's UN, L2N and CL2N.

examples:
  edgefs evaluate run/best.safetensors --data omniglot --root DIR --split val --ways 5 20
  edgefs evaluate model.edgefs --data cifar_fs --root DIR --engine openvino
  edgefs evaluate run/best.safetensors --data folder --root photos/ --shots 1 3
  edgefs evaluate model.edgefs --data folder --root photos/ --split all --open-set --rate 5% --shots 5
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.options import positive, share
from edgefs.evaluation.evaluate import evaluate
from edgefs.reports.tables import table
from runtime.matching.heads import HEADS


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="checkpoint (.safetensors), bundle directory or bundle .zip")
    parser.add_argument("--data", required=True, help="omniglot, cifar_fs, mini_imagenet or folder")
    parser.add_argument("--root", default=".", help="folder the data lies in (default: here)")
    parser.add_argument("--split", default="test", help="train, val, test, or all for a folder (default: test)")
    parser.add_argument("--variant", default="lake", help="split of Omniglot: lake or vinyals")
    parser.add_argument("--ways", type=int, nargs="+", default=[5], metavar="N", help="default: 5")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5], metavar="K", help="default: 1 5")
    parser.add_argument("--n-query", type=int, default=15, help="queries per class (default: 15)")
    parser.add_argument("--episodes", type=int, default=600, help="default: 600")
    parser.add_argument(
        "--rotations", type=int, choices=(1, 2, 4), help="quarter turns as classes (default: 4 for omniglot, else 1)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="auto", help="of a bundle: auto, onnxruntime or openvino")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of the engine (default: at most 2)")
    parser.add_argument("--bad-files", default="fail", choices=("fail", "skip"))
    parser.add_argument("--download", action="store_true", help="fetch the data if its authors host it")
    parser.add_argument("--open-set", action="store_true",
                        help="how well strangers are told: half of the classes are taught")  # fmt: skip
    parser.add_argument("--rate", type=share, default=0.05, metavar="SHARE",
                        help="of strangers that may be given a name, with --open-set (default: 5%%)")  # fmt: skip
    parser.add_argument("--galleries", type=positive, default=200, metavar="N", help="with --open-set (default: 200)")
    parser.add_argument("--heads", nargs="+", default=("auto", *HEADS), choices=("auto", *HEADS), metavar="HEAD",
                        help="with --open-set: auto, mean, subprototypes, lda (default: all)")  # fmt: skip


def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.open_set:
        return _open_set(args)
    report = evaluate(
        args.source,
        **_common(args),
        ways=args.ways,
        n_query=args.n_query,
        n_episodes=args.episodes,
        rotations=args.rotations,
    )
    rows = [
        (f"{a.n_way}-way {a.n_shot}-shot", head, f"{a.mean:.2f} ± {a.interval:.2f}") for head, a in report.accuracies
    ]
    print(table(rows, ("task", "head", "accuracy %")))
    where = f"{report.engine.name} {report.engine.precision}" if report.engine else "torch float32"
    print(f"{args.episodes} episodes over {report.images} images of {report.classes} classes, embedded once by {where}")
    return {
        "source": args.source, "data": args.data, "split": args.split, "engine": report.engine,
        "skipped": report.skipped,
        "accuracies": [{"head": head, **vars(accuracy)} for head, accuracy in report.accuracies],
    }  # fmt: skip


def _common(args: argparse.Namespace) -> dict[str, Any]:
    """What both kinds of evaluation take: the pictures, the engine, the shots."""
    names = ("data", "root", "split", "variant", "shots", "seed", "engine", "threads", "bad_files", "download")
    return {name: getattr(args, name) for name in names}


def _open_set(args: argparse.Namespace) -> dict[str, Any]:
    from edgefs.evaluation.open_set import evaluate_open_set

    reports = evaluate_open_set(
        args.source, **_common(args), stranger_rate=args.rate, heads=args.heads, n_galleries=args.galleries
    )
    rows = [
        (r.n_shot, r.n_known, r.head, *(f"{mean:.1f} ± {half:.1f}" for mean, half in
         (r.plain_auroc, r.auroc, r.false_accepts, r.false_rejects, r.wrong_names)))
        for r in reports
    ]  # fmt: skip
    print(
        table(
            rows, ("shots", "classes", "head", "plain AUROC", "AUROC", "false accepts", "false rejects", "wrong names")
        )
    )
    print(f"{args.galleries} galleries, asked for {100 * args.rate:g} % of strangers; percent, ± 95 % over galleries")
    return {"source": args.source, "data": args.data, "split": args.split, "open_set": reports}
