"""What each precision costs and brings: eight networks through the exporter, held against torch float32 on real photos.

    python -m benchmarks.export --data FOLDER --weights mobilenet_v2_imagenet_fp16.safetensors [--networks conv4]

FOLDER holds the public sets as plain class folders: office_caltech10/amazon calibrates (int8 ranges and base mean),
grocery/train verifies. MobileNetV2 with its ImageNet weights is the one whose accuracy counts; the others have random
weights with the statistics of one batch, for breadth: cosines, sizes, speeds. Results are saved after every network.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import save
from edgefs.backbones import BACKBONES, build
from edgefs.cli.options import table
from exporters.export import Exported, Request, export
from exporters.graph import EmbedderGraph
from exporters.pictures import representative, to_verify_with
from exporters.source import TorchSource
from exporters.torchvision_embedder import IMAGENET, settle, torchvision_source
from runtime.preprocess import Preprocess

NETWORKS = (
    "mobilenet_v2",
    "conv4",
    "mobilenet_v3_small",
    "resnet18",
    "resnet12",
    "efficientnet_b0",
    "resnet50",
    "vit_b_16",
)
GATE = "mobilenet_v2"
HEADER = ("network", "target", "precision", "MB", "min cosine", "neighbours", "1-shot", "5-shot", "x torch", "verdict")


def source_of(name: str, weights: Path) -> TorchSource:
    """A network as an embedder. Conv-4 and ResNet-12 at 84 pixels, as in the papers; the others at their own size."""
    if name == GATE:
        return torchvision_source(name, weights=str(weights), mean=[0.5] * 3, std=[0.5] * 3)
    if name not in BACKBONES:
        return torchvision_source(name, weights="none")
    torch.manual_seed(0)
    network = build(name, channels=3, size=84)
    settle(network, 84)
    preprocess = Preprocess((84, 84), resampler="area")
    return TorchSource(name, EmbedderGraph(network, mean=IMAGENET[0], std=IMAGENET[1]), preprocess)


def measure(name: str, args: argparse.Namespace) -> tuple[Exported, float]:
    """Export one network in every precision; returns the result and the seconds of it, verification included."""
    source = source_of(name, args.weights)
    pictures = args.pictures if name == GATE else min(args.pictures, args.breadth)
    begin = time.perf_counter()
    calibration = representative(args.data / "office_caltech10/amazon", source.preprocess, count=args.calibration)
    base = calibration if name == GATE else None
    request = Request(precisions=("fp32", "fp16", "int8"), calibration=calibration, base=base, allow=True, threads=1)
    verify = to_verify_with(args.data / "grocery/train", source.preprocess, count=pictures)
    exported = export(source, request, verify, progress=lambda stage: print(f"  {name}: {stage}", flush=True))
    return exported, time.perf_counter() - begin


def rows_of(name: str, exported: Exported) -> list[tuple[str, ...]]:
    rows = []
    for report in exported.reports:
        shots = [f"{paired.difference:+.2f} ± {paired.difference_interval:.2f}" for paired in report.accuracy] or [
            "-",
            "-",
        ]
        verdict = "gate failed" if report.failed else "pays" if "within" in report.reason else report.reason[:40]
        ratio = f"{exported.source_ms / report.latency_ms:.1f}" if report.latency_ms else "-"
        figures = (f"{report.bytes / 1e6:.2f}", f"{report.min_cosine:.5f}", f"{report.neighbour_agreement:.1%}")
        rows.append((name, report.target, report.precision, *figures, *shots, ratio, verdict))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--pictures", type=int, default=405, help=f"to verify {GATE} on")
    parser.add_argument("--breadth", type=int, default=405, help="to verify the others on")
    parser.add_argument("--calibration", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)  # and the engines likewise: what one core does
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for name in args.networks.split(","):
        exported, seconds = measure(name, args)
        figures[name] = {
            "seconds": round(seconds, 1),
            "torch_ms": round(exported.source_ms, 3),
            "artifacts": [report.to_json() for report in exported.reports],
        }
        rows += rows_of(name, exported)
        print(table(rows_of(name, exported), HEADER), flush=True)
        path = save("export", {"networks": figures})
    print(table(rows, HEADER))
    print(f"written to {path}")


if __name__ == "__main__":
    main()
