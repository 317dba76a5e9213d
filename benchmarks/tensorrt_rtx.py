"""Plans of TensorRT for RTX for the networks of the README, built on this machine without a GPU: seconds and sizes.

    python -m benchmarks.tensorrt_rtx [NETWORK …] [--compute SM86,SM120] [--weights NETWORK=FILE] [--pictures FOLDER]

Weights are random unless given, with batch statistics taken from the pictures, so that activations are of sound size.
Sizes and times do not depend on them; cosines then say only that the converted ONNX files are sound. Nothing here runs
on a GPU, so there is no latency. Seconds are of CPU time, all threads together: the machine may be shared.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import save
from edgefs.networks import build
from edgefs.reports.tables import table
from exporters.errors import ExportError
from exporters.onnx.graph import EmbedderGraph
from exporters.onnx.trace import to_onnx
from exporters.sources.pictures import Pictures
from exporters.sources.torchvision_source import torchvision_source
from exporters.targets.request import PRECISIONS, Request
from exporters.targets.tensorrt_rtx import build as build_plan
from exporters.targets.typed_model import typed_model
from runtime.engines.nvidia.library import load
from runtime.opencv import read_image
from runtime.preprocess import Preprocess

NETWORKS = {  # and the side of their input, in pixels
    "conv4": 84,
    "resnet12": 84,
    "mobilenet_v2": 224,
    "mobilenet_v3_small": 224,
    "resnet18": 224,
    "resnet50": 224,
    "efficientnet_b0": 224,
    "vit_b_16": 224,
}
FRAMES, MAX_BATCH = 16, 8


def network_onnx(name: str, size: int, weights: dict[str, str], frames: np.ndarray) -> bytes:
    torch.manual_seed(0)
    if name in ("conv4", "resnet12"):
        graph = EmbedderGraph(build(name, channels=3, size=size), mean=[0.5] * 3, std=[0.5] * 3)
    else:
        graph = torchvision_source(name, weights=weights.get(name, "none"), size=size).graph
    if name not in weights:
        take_statistics(graph, frames)
    return to_onnx(graph, Preprocess((size, size)))


def take_statistics(graph: EmbedderGraph, frames: np.ndarray) -> None:
    """Batch normalisation's mean and variance from these frames, as training would leave them."""
    for module in graph.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
            module.train()
    with torch.inference_mode():
        graph(torch.from_numpy(frames))
    graph.eval()


def calibration(preprocess: Preprocess, folder: Path | None) -> np.ndarray:
    """`uint8 [FRAMES, H, W, 3]` of real pictures, or noise."""
    if folder is None:
        return np.random.default_rng(0).integers(0, 256, (FRAMES, *preprocess.shape), np.uint8)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, FRAMES).astype(int)]
    return preprocess.batch(read_image(path) for path in chosen)


def plans(name: str, size: int, args: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each precision."""
    frames = calibration(Preprocess((size, size)), args.pictures)
    model = network_onnx(name, size, dict(pair.split("=", 1) for pair in args.weights), frames)
    pictures = Pictures(frames, np.zeros(len(frames), np.int64), ("",) * len(frames), "calibration")
    compute = tuple(args.compute.split(","))
    request = Request(("tensorrt-rtx",), PRECISIONS, calibration=pictures, max_batch=MAX_BATCH, compute=compute)
    rows = []
    for precision in PRECISIONS:
        row: dict[str, object] = {"network": name, "size": size, "precision": precision}
        rows.append(row)
        start = time.process_time()
        try:
            typed = typed_model(model, precision, frames)
            converted_s = time.process_time() - start
            row |= {"convert_cpu_s": round(converted_s, 2), "onnx_mb": round(len(typed.data) / 1e6, 2)}
            row["cpu_min_cosine"] = round(typed.min_cosine, 6)
            start = time.process_time()
            built = build_plan(model, precision, request)  # converts once more
        except ExportError as error:
            row["refused"] = str(error)
            continue
        row |= {
            "build_cpu_s": round(time.process_time() - start - converted_s, 2),
            "plan_mb": round(len(built.files[built.file]) / 1e6, 2),
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--compute", default="SM86,SM120")
    parser.add_argument("--weights", action="append", default=[], metavar="NETWORK=FILE")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    columns = (
        "network",
        "precision",
        "onnx_mb",
        "plan_mb",
        "build_cpu_s",
        "convert_cpu_s",
        "cpu_min_cosine",
        "refused",
    )
    rows = []
    for name in args.networks:
        rows += plans(name, NETWORKS[name], args)
        print(table([tuple(row.get(column, "") for column in columns) for row in rows[-3:]], columns), flush=True)
    version = str(load("tensorrt-rtx").__version__)
    figures = {"tensorrt_rtx": version, "compute": args.compute, "max_batch": MAX_BATCH, "gpu": None, "plans": rows}
    print(f"written to {save('tensorrt-rtx', figures)}")


if __name__ == "__main__":
    main()
