"""Export every classifier of torchvision in float32 to ONNX and OpenVINO, or store the reason why it is refused.

    python -m benchmarks.classifiers [NAME ...] [--afresh]

The weights are random, and the statistics of every BatchNorm are those of photographs: with those of noise, the
features of a deep EfficientNet grow to 1e8, and torch in float32 differs from torch in float64. Each network is tried
at 64, 96 and 224 pixels until one size is taken, and every artifact is compared with torch on photographs. The result
is stored after each network, and the next run goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torchvision import models

from benchmarks.common import RESULTS, host, save
from edgefs.reports.tables import table
from exporters.errors import ExportError
from exporters.onnx.graph import EmbedderGraph
from exporters.pipeline import export
from exporters.sources.pictures import verification_pictures
from exporters.sources.torchvision_source import torchvision_source
from exporters.targets.request import Request
from runtime.errors import BundleError

THEME = "classifiers"
SIZES = (64, 96, 224)
PICTURES, BATCH = 8, 32
HEADER = ("name", "pixels", "dim", "onnx", "openvino", "seconds", "error")


def names() -> list[str]:
    """The classifiers of torchvision."""
    return list(models.list_models(module=models))


def measure(name: str) -> dict[str, Any]:
    """Export one network at the smallest size that it takes.

    Returns:
        The size, the number of features, the lowest cosine to torch for each target, and the seconds of the export; or
        the reason of the refusal.
    """
    begin, error = time.perf_counter(), ""
    for size in SIZES:
        try:
            source = torchvision_source(name, weights="none", size=size)
            pictures = verification_pictures(None, source.preprocess)
            settle(source.graph, torch.from_numpy(pictures.frames[:: len(pictures) // BATCH]))
            chosen = slice(None, None, len(pictures) // PICTURES)
            few = replace(pictures, frames=pictures.frames[chosen], labels=pictures.labels[chosen])
            exported = export(source, Request(threads=1), few)
        except (ExportError, BundleError) as refusal:
            error = str(refusal).splitlines()[0]
            continue
        cosines = {made.target: made.min_cosine for made in exported.reports}
        missing = [f"{made.target}: {made.reason}" for made in exported.reports if not made.kept]
        return {
            "name": name,
            "pixels": size,
            "dim": exported.bundle.dim,
            **cosines,
            "seconds": round(time.perf_counter() - begin, 1),
            "error": "; ".join(missing),
        }
    return {"name": name, "error": error, "seconds": round(time.perf_counter() - begin, 1)}


def settle(graph: EmbedderGraph, frames: torch.Tensor) -> None:
    """Set the statistics of every BatchNorm to those of frames `uint8 [N, H, W, 3]`."""
    layers = [module for module in graph.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    with torch.no_grad():
        graph.features(frames)
    graph.eval()


def stored() -> dict[str, dict[str, Any]]:
    """The networks that are stored already, if the machine and the versions are the same."""
    rows: dict[str, dict[str, Any]] = {}
    for path in RESULTS.glob(f"{THEME}_*.json"):
        saved, here = json.loads(path.read_text()), host()
        if all(saved["host"][fact] == here[fact] for fact in ("machine", "versions")):
            rows |= {row["name"]: row for row in saved["figures"]}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks of torchvision (default: all that are not stored yet)")
    parser.add_argument("--afresh", action="store_true", help="measure stored networks again")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {} if args.afresh else stored()
    for name in args.names or [name for name in names() if name not in rows]:
        rows[name] = measure(name)
        print(rows[name], flush=True)
        save(THEME, {"figures": [rows[known] for known in names() if known in rows]})
        gc.collect()
    path = save(THEME, {"figures": [rows[known] for known in names() if known in rows]})
    print(table([tuple(str(row.get(key, ""))[:80] for key in HEADER) for row in rows.values()], HEADER))
    print(f"written to {path}")


if __name__ == "__main__":
    main()
