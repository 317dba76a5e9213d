"""The target "onnx": reduced precisions of model.onnx for ONNX Runtime on a CPU. TensorRT's files are others."""

from __future__ import annotations

import onnx

from exporters.frames import evenly_spaced
from exporters.onnx.weight_storage import store_weights
from exporters.targets.onnx_int8 import quantise
from exporters.targets.request import Request
from exporters.targets.target import Candidate, Target

MAX_FRAMES = 100  # for calibration: ONNX Runtime keeps the activations of all frames, and the ranges converge early


def build(model: bytes, precision: str, request: Request) -> Candidate:
    """Build one artifact.

    "fp16" stores weights in float16 and computes in float32, because a CPU does not compute in float16. "int8" has
    uint8 activations and int8 weights per channel, as explicit quantisers.
    """
    if precision == "fp32":
        return Candidate("onnx", "fp32", "model.onnx", {"model.onnx": model})
    proto = onnx.load_from_string(model)
    if precision == "fp16":
        store_weights(proto, "fp16")
    else:
        frames = request.calibration_frames
        proto = quantise(proto, frames[evenly_spaced(len(frames), MAX_FRAMES)], activations="QUInt8")
    file = f"onnx/{precision}/model.onnx"
    return Candidate("onnx", precision, file, {file: proto.SerializeToString()})


TARGET = Target(build, check=lambda _: None)
