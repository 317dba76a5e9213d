"""What each precision costs and brings: eight networks through the exporter, held against torch float32 on real photos.

    python -m benchmarks.export --data FOLDER --weights mobilenet_v2_imagenet_fp16.safetensors [--resume RESULT.json]

FOLDER holds the public sets as plain class folders. MobileNetV2 with its ImageNet weights is the network whose accuracy
counts: calibrated on office_caltech10/amazon (int8 ranges and base mean), verified on all of grocery/train. The others
have random weights with the statistics of one batch, for breadth: cosines, sizes and speeds, and an accuracy that only
says that the artefact separates what the random network separates. They are verified on office_caltech10/webcam.
One thread, all artefacts of a network timed in turn. Saved after every network; --resume goes on from a saved file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import host, save
from edgefs.networks import BACKBONES, build
from edgefs.reports.tables import table
from exporters.onnx.graph import EmbedderGraph
from exporters.pipeline import export
from exporters.sources.pictures import sample_pictures, verification_pictures
from exporters.sources.torch_source import TorchSource
from exporters.sources.torchvision_source import IMAGENET, set_batch_statistics, torchvision_source
from exporters.targets.request import Request
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
PICTURES = {"calibration": 300, "verification": 405}
BREADTH = {"calibration": 100, "verification": 100}
HEADER = ("network", "target", "precision", "MB", "min cosine", "neighbours", "1-shot", "5-shot", "x torch", "result")


def source_of(name: str, weights: Path) -> TorchSource:
    """A network as an embedder. Conv-4 and ResNet-12 at 84 pixels, as in the papers; the others at their own size."""
    if name == GATE:
        return torchvision_source(name, weights=str(weights), mean=[0.5] * 3, std=[0.5] * 3)
    if name not in BACKBONES:
        return torchvision_source(name, weights="none")
    torch.manual_seed(0)
    network = build(name, channels=3, size=84)
    set_batch_statistics(network, 84)
    preprocess = Preprocess((84, 84), resampler="area")
    return TorchSource(name, EmbedderGraph(network, mean=IMAGENET[0], std=IMAGENET[1]), preprocess)


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Export one network in every precision; the seconds are of all of it, verification included."""
    begin, cpu = time.perf_counter(), time.process_time()
    source = source_of(name, args.weights)
    count = PICTURES if name == GATE else BREADTH
    calibration = sample_pictures(args.data / "office_caltech10/amazon", source.preprocess, count=count["calibration"])
    verified_on = args.data / ("grocery/train" if name == GATE else "office_caltech10/webcam")
    pictures = verification_pictures(verified_on, source.preprocess, count=count["verification"])
    base = calibration if name == GATE else None
    request = Request(
        precisions=("fp32", "fp16", "int8"),
        calibration=calibration,
        base=base,
        allow=True,
        keep=("fp16", "int8"),
        threads=1,
    )
    exported = export(source, request, pictures, progress=lambda stage: print(f"  {name}: {stage}", flush=True))
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "weights": args.weights.name if name == GATE else "random",
        "verified_on": {key: value for key, value in pictures.facts().items() if key != "names"},
        "torch_ms": round(exported.source_ms, 3),
        "artifacts": [report.to_json() for report in exported.reports],
    }


def rows_of(name: str, figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for made in figures["artifacts"]:
        shots = [f"{p['difference']:+.2f} ± {p['difference_interval']:.2f}" for p in made["accuracy"]] or ["-", "-"]
        ratio = f"{figures['torch_ms'] / made['latency_ms']:.1f}" if made["latency_ms"] else "-"
        cosine, same = made["min_cosine"], made["neighbour_agreement"]
        found = (f"{made['bytes'] / 1e6:.2f}", *(("-", "-") if cosine is None else (f"{cosine:.5f}", f"{same:.1%}")))
        rows.append((name, made["target"], made["precision"], *found, *shots, ratio, outcome(made)))
    return rows


def outcome(made: Mapping[str, Any]) -> str:
    if made["failed"]:
        return "fails a gate"
    return "slower" if "although it is" in made["reason"] else "kept"


def resumed(path: Path | None) -> dict[str, Any]:
    """The networks of a result file, if it is of this machine and these versions."""
    if path is None:
        return {}
    saved, here = json.loads(path.read_text()), host()
    for fact in ("machine", "versions"):
        if saved["host"][fact] != here[fact]:
            raise SystemExit(f"{path} must be of this machine to go on from, but its {fact}: {saved['host'][fact]}")
    return dict(saved["networks"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--resume", type=Path, metavar="RESULT.json", help="keep its networks, export what is missing")
    args = parser.parse_args()
    torch.set_num_threads(1)  # and the engines likewise: what one core does
    path, figures = None, resumed(args.resume)
    for name in args.networks.split(","):
        if name not in figures:
            figures[name] = measure(name, args)
            print(table(rows_of(name, figures[name]), HEADER), flush=True)
            path = save("export", {"networks": figures})
    rows = [row for name, found in figures.items() for row in rows_of(name, found)]
    print(table(rows, HEADER))
    print(f"written to {path or args.resume}")


if __name__ == "__main__":
    main()
