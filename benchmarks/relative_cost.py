"""The cost of the default embedder relative to MobileNetV2-1.0 at 224 pixels, on the same engines, in one run.

    python -m benchmarks.relative_cost [--bundle PATH] [--samples 300] [--threads 1]

MobileNetV2 gets random weights, which change its answers but not its time. Needs the extras train and export.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from torch import nn
from torchvision.models import mobilenet_v2

from benchmarks.common import save
from edgefs.bench.clock import Clock, Sample, figures
from edgefs.cli.options import load_bundle
from edgefs.reports.tables import table
from exporters.onnx.graph import EmbedderGraph
from exporters.pack import pack
from runtime.bundle import Bundle
from runtime.engines import auto_engines, open_engine
from runtime.errors import EngineError
from runtime.preprocess import Preprocess

WARM_UP = 20


def reference() -> Bundle:
    """MobileNetV2-1.0 without its classifier, as a bundle in memory."""
    network = nn.Sequential(mobilenet_v2().features, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    graph = EmbedderGraph(network, mean=[0.5] * 3, std=[0.5] * 3)
    golden = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    return pack(
        graph, Preprocess((224, 224)), name="mobilenet_v2", description="Reference for times.", golden_frames=golden
    )


def side_by_side(bundles: dict[str, Bundle], engine: str, threads: int, samples: int) -> dict[str, Any]:
    """Time one frame on each bundle in turn."""
    engines = {name: open_engine(bundle, engine, threads=threads) for name, bundle in bundles.items()}
    rng = np.random.default_rng(0)
    frames = {name: rng.integers(0, 256, (1, *bundle.preprocess.shape), np.uint8) for name, bundle in bundles.items()}
    times: dict[str, list[Sample]] = {name: [] for name in bundles}
    clock = Clock()
    for i in range(samples + WARM_UP):
        for name, opened in engines.items():
            sample = clock(partial(opened.embed, frames[name]))
            if i >= WARM_UP:
                times[name].append(sample)
    clock.close()
    for opened in engines.values():
        opened.close()
    return {name: figures(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    bundles = {bundle.name: bundle, "mobilenet_v2 at 224": reference()}
    engines, summary, rows = {}, {}, []
    for name in auto_engines():
        try:
            engines[name] = found = side_by_side(bundles, name, args.threads, args.samples)
        except EngineError as error:  # not installed, or the bundles have nothing for it
            print(error)
            continue
        ours, theirs = (found[key]["p50_ms"] for key in bundles)
        rows.append((name, ours, theirs, round(ours / theirs, 3)))
        summary[f"{name}, {args.threads} thread(s), p50"] = f"{ours:.2f} ms, {ours / theirs:.2f} × MobileNetV2's at 224"
    print(table(rows, ("engine", f"{bundle.name} ms", "mobilenet_v2 ms", "ratio")))
    facts = {"bundle": bundle.name, "fingerprint": bundle.fingerprint, "threads": args.threads}
    print(f"written to {save('relative-cost', {**facts, 'summary': summary, 'engines': engines})}")


if __name__ == "__main__":
    main()
