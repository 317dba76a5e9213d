"""Export one network of each family of timm with random weights: do ONNX Runtime and OpenVINO answer as torch does?

    python -m benchmarks.backbones [NAME ...]

Each network is built as `edgefs export --backbone timm:NAME --weights none` builds it. Both engines run it in float32
on photographs, and the lowest cosine to torch is reported.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks.common import save
from edgefs.reports.tables import table
from exporters.errors import ExportError
from exporters.sources.pictures import verification_pictures
from exporters.sources.timm_backbone import timm_source
from exporters.sources.torch_source import TorchSource
from runtime.bundle import Bundle
from runtime.engines import agreement, open_engine

FAMILIES = {
    "mobilenetv4_conv_small": None,
    "repvit_m1": None,
    "ghostnet_100": None,
    "fastvit_t8": None,
    "levit_128": None,
    "efficientvit_b0": None,
    "tiny_vit_5m_224": None,
    "convnextv2_atto": None,
    "hgnetv2_b0": None,
    "vit_small_patch14_dinov2": 224,
    "edgenext_xx_small": None,
    "resnet18": None,
    "vit_small_patch16_dinov3": None,
}  # name: pixels, None for the network's own
PICTURES = 8


def check(name: str, size: int | None = None) -> dict[str, Any]:
    """Export one network and compare both engines with torch.

    Returns:
        The tracer that worked, the number of features, the lowest cosine of each engine and the seconds of the export;
        or the message of the error.
    """
    source = timm_source(name, weights="none", size=size)
    frames = verification_pictures(None, source.preprocess).frames[::16][:PICTURES]
    begin = time.perf_counter()
    try:
        model, tracer = _traced(source)
        reference = source.embed(frames)
        seconds = round(time.perf_counter() - begin, 1)
    except ExportError as error:
        return {"name": name, "pixels": source.preprocess.size[0], "error": str(error)}
    bundle = Bundle.build(
        name=name,
        description="",
        preprocess=source.preprocess,
        metric="cosine",
        model=model,
        golden_frames=frames[:2],
        golden_embeddings=reference[:2],
    )
    cosines = {}
    for engine in ("onnxruntime", "openvino"):
        with closing(open_engine(bundle, engine, threads=1)) as opened:
            found = np.concatenate([opened.embed(frames[i : i + 4]) for i in range(0, len(frames), 4)])
        cosines[engine] = round(float(agreement(found, reference).min()), 7)
    return {
        "name": name,
        "pixels": source.preprocess.size[0],
        "tracer": tracer,
        "dim": reference.shape[1],
        **cosines,
        "export_s": seconds,
    }


def _traced(source: TorchSource) -> tuple[bytes, str]:
    """Export by the newer tracer, or by the older one where that fails."""
    try:
        return source.to_onnx(exporter="dynamo"), "dynamo"
    except ExportError as first:
        try:
            return source.to_onnx(exporter="legacy"), "legacy"
        except ExportError as second:
            raise ExportError(f"dynamo: {first}\nlegacy: {second}") from second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", default=list(FAMILIES), help="networks of timm (default: one of each family)"
    )
    args = parser.parse_args()
    rows = []
    for name in args.names:
        rows.append(check(name, FAMILIES.get(name)))
        print(rows[-1], flush=True)
    header = ("name", "pixels", "tracer", "dim", "onnxruntime", "openvino", "export_s", "error")
    print(table([tuple(str(row.get(key, ""))[:80] for key in header) for row in rows], header))
    print(f"written to {save('backbones', {'figures': rows})}")


if __name__ == "__main__":
    main()
