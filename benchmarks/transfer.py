"""Transfer measured: fine-tuning and frozen features, domain adaptation, the feature cache, the cost of a step.

    python -m benchmarks.transfer office signs mnist-usps … --data DIR --weights mobilenet_v2.safetensors

Each part is stored on its own, in benchmarks/results/transfer-<part>_*. DIR holds office_caltech10/{amazon,webcam},
sign_digits, and digits/{mnist,usps}, as class folders. The weights are torchvision's mobilenet_v2, for pixels
(x - 0.5) / 0.5. Hyper-parameters were chosen on other splits (seeds from 100) and, for adaptation, on a synthetic shift
of USPS (benchmarks/LOG.md), never by a label of a target.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import save
from edgefs.methods import FinetuneConfig, config_of
from edgefs.transfer.adapt import adapt
from edgefs.transfer.finetune import finetune
from edgefs.transfer.seeds import SeedResult, mean_interval

SPLITS = range(5)
SEEDS = 5
PIXELS = {"mean": (0.5,), "std": (0.5,)}
OFFICE = {"per_class": 20, "val_share": 0.0, **PIXELS}
OFFICE_TUNED = {"trainable": "last:1", "epochs": 4, "lr": 1e-5, "augment": ("flip",)}
SIGNS = {"per_class": 10, "val_share": 0.0, "size": 128, **PIXELS}
SIGNS_TUNED = {"trainable": "all", "epochs": 10, "lr": 1e-4, "augment": ("warp", "colour")}
METHODS = ("dann", "mmd", "adabn", "coral")


def office(args: argparse.Namespace) -> dict[str, Any]:
    """Office-Caltech-10 amazon, 20 images a class, the rest to test."""
    root = args.data / "office_caltech10" / "amazon"
    return _splits(root, args, OFFICE, {"features": {"method": "features"}, "finetune": OFFICE_TUNED})


def signs(args: argparse.Namespace) -> dict[str, Any]:
    """Sign language digits, 10 images a class, the other 10 to test."""
    variants = {"frozen head": {"method": "features"}, "full finetune": SIGNS_TUNED}
    return _splits(args.data / "sign_digits", args, SIGNS, variants)


def _splits(root: Path, args: argparse.Namespace, common: dict[str, Any], variants: dict[str, Any]) -> dict[str, Any]:
    """Test accuracy of every variant on the same splits, and of the second over the first, split by split."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    told: dict[str, Any] = {"options": {"common": common, **variants}, "splits": []}
    for seed in SPLITS:
        for name, options in variants.items():
            with tempfile.TemporaryDirectory() as out:
                config = FinetuneConfig(
                    root=str(root), out=f"{out}/run", weights=args.weights, seed=seed, threads=args.threads,
                    **common, **options,
                )  # fmt: skip
                report = finetune(config, quiet=True)
            found[name].append(report.test.mean)
            told["splits"].append({"split": seed, "variant": name, "test": report.test.mean, "n": report.test.n,
                                   "nearest_mean": report.nearest_mean.mean, "seconds": report.seconds,
                                   "waiting": report.waiting})  # fmt: skip
            print(f"split {seed}, {name}: {report.test}, {report.seconds:.0f} s", file=sys.stderr, flush=True)
        first, second = found.values()
        gains = [b - a for a, b in zip(first, second, strict=True)]
        told["accuracy"] = {name: mean_interval(values) for name, values in {**found, "gain": gains}.items()}
        args.keep(told)
    return told


def mnist_usps(args: argparse.Namespace) -> dict[str, Any]:
    """MNIST to USPS, with LeNet from random weights and the command's own defaults."""
    return _methods(args.data / "digits" / "mnist", args.data / "digits" / "usps", args)


def usps_mnist(args: argparse.Namespace) -> dict[str, Any]:
    """USPS to MNIST, likewise."""
    return _methods(args.data / "digits" / "usps", args.data / "digits" / "mnist", args)


def webcam(args: argparse.Namespace) -> dict[str, Any]:
    """Office-Caltech-10, amazon to webcam, on frozen features of MobileNetV2."""
    office = args.data / "office_caltech10"
    options = {"backbone": "mobilenet_v2", "weights": args.weights, **PIXELS}
    return _methods(office / "amazon", office / "webcam", args, **options)


def _methods(source: Path, target: Path, args: argparse.Namespace, **options: Any) -> dict[str, Any]:
    """Every method over the same seeds, and the bounds once, with AdaBN."""
    if args.steps:
        options["steps"] = args.steps
    found: dict[str, Any] = {}
    runs: dict[str, tuple[SeedResult, ...]] = {}
    for method in METHODS:
        config = config_of(
            method,
            source=str(source),
            target=str(target),
            seeds=SEEDS,
            threads=args.threads,
            bounds=method == "adabn",
            **options,
        )
        report = adapt(config)
        runs[method] = report.runs
        found |= {"images": dict(report.images), "options": config.public().to_json()}
        found[method] = {
            "accuracy": mean_interval([run.target_accuracy for run in report.runs]),
            "runs": [asdict(run) for run in report.runs],
            "seconds": report.seconds,
        }
        if "adabn" in runs:
            lower = [run.source_only_accuracy for run in runs["adabn"]]
            found["source only"] = mean_interval(lower)
            found["target-trained"] = mean_interval([run.target_trained_accuracy for run in runs["adabn"]])
            for name, own in runs.items():
                gains = [run.target_accuracy - low for run, low in zip(own, lower, strict=True)]
                found[name]["gain"] = mean_interval(gains)
        print(f"{method}: {found[method]['accuracy']}", file=sys.stderr, flush=True)
        args.keep(found)  # much time may lie between two methods on a busy machine
    return found


def cache(args: argparse.Namespace) -> dict[str, Any]:
    """Features of a folder: the first time, the second, and with one file changed."""
    import shutil

    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "pictures"
        shutil.copytree(args.data / "office_caltech10" / "webcam", root, ignore=shutil.ignore_patterns(".edgefs-cache"))
        runs = []
        for name in ("first", "second", "one file changed"):
            if name == "one file changed":
                pictures = sorted(root.rglob("*.jpg"))
                pictures[0].write_bytes(pictures[0].read_bytes() + b"\0")  # other bytes, still a JPEG
            config = FinetuneConfig(
                root=str(root), out=f"{place}/{name}", weights=args.weights, method="features", threads=args.threads,
                **PIXELS,
            )  # fmt: skip
            report = finetune(config, quiet=True)
            runs.append({"run": name, "computed": report.computed, "feature_seconds": report.feature_seconds})
    return {"runs": runs, "speedup": runs[0]["feature_seconds"] / runs[1]["feature_seconds"]}


def step(args: argparse.Namespace) -> dict[str, Any]:
    """A step of fine-tuning against a bare PyTorch loop doing the same work, in interleaved rounds."""
    from edgefs.transfer.finetune import Finetuning

    root = args.data / "sign_digits"
    with tempfile.TemporaryDirectory() as out:
        config = FinetuneConfig(
            root=str(root), out=f"{out}/run", weights=args.weights, threads=args.threads, size=128, batch=16, **PIXELS
        )
        epochs = Finetuning(config, quiet=True).open_epochs()
        ours, bare, waits = [], [], []
        for number in range(args.rounds):
            epochs.batches.waited_s, start = 0.0, time.perf_counter()
            epochs.run_epoch(number)
            ours.append(time.perf_counter() - start)
            waits.append(epochs.batches.waited_s)
            bare.append(_bare_epoch(epochs, number))
    ratio = [a / b for a, b in zip(ours, bare, strict=True)]
    return {
        "steps": len(epochs.batches), "batch": config.batch, "rounds": args.rounds,
        "ours_step_ms": 1e3 * float(np.median(ours)) / len(epochs.batches),
        "bare_step_ms": 1e3 * float(np.median(bare)) / len(epochs.batches),
        "ratio_median": float(np.median(ratio)), "ratio_low": min(ratio), "ratio_high": max(ratio),
        "waiting": sum(waits) / sum(ours),
    }  # fmt: skip


def _bare_epoch(epochs: Any, number: int) -> float:
    """The same network, optimiser, loss and pictures, and nothing else."""
    from edgefs.data.tasks import normalised

    batches, learner, optimiser = epochs.batches, epochs.learner, epochs.optimiser
    order = np.random.default_rng((batches.seed, number)).permutation(batches.rows)
    learner.train()
    epochs.unfreeze.train_mode()
    start = time.perf_counter()
    for rows in np.array_split(order, len(batches)):
        images = normalised(batches.images.images[rows], batches.spec)
        labels = torch.from_numpy(batches.images.labels[rows])
        optimiser.zero_grad(set_to_none=True)
        loss = epochs.loss(learner(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()
    return time.perf_counter() - start


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "office": office, "signs": signs, "mnist-usps": mnist_usps, "usps-mnist": usps_mnist, "webcam": webcam,
    "cache": cache, "step": step,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="", help="of torchvision's mobilenet_v2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of adapting (default: the command's own)")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    for part in args.parts:

        def keep(figures: dict[str, Any], part: str = part) -> Path:
            name = f"transfer-{part}" + (f"-{args.steps}-steps" if args.steps else "")
            return save(name, {"what": PARTS[part].__doc__, **figures})

        args.keep = keep
        print(keep(PARTS[part](args)))


if __name__ == "__main__":
    main()
