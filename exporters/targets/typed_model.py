"""The ONNX file that a TensorRT plan is built from: every type is written out, and the file is checked on this CPU.

In the check ONNX Runtime embeds the same frames with this file and with the float32 file. It finds wrong conversions;
how well a precision recognises is measured later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.onnx.activation_ranges import HALF_MAX, nodes_beside, too_large
from exporters.onnx.float16 import name_nodes, to_half
from exporters.onnx.quantisers import has_quantisers, without_quantisers
from exporters.onnx.session import embed_as_written
from exporters.onnx.weight_storage import with_float_weights
from exporters.targets.request import PRECISIONS
from exporters.targets.tensorrt_int8 import to_int8
from runtime.engines import agreement

MIN_COSINE = {"fp32": 0.99999, "fp16": 0.999, "int8": 0.5}  # int8 may move an embedding far and still recognise
CHECKED = 8  # frames


@dataclass(frozen=True)
class TypedModel:
    """An ONNX file for a TensorRT plan.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        data: The file.
        input: Name of its input.
        shape: (H, W, C) of one frame.
        min_cosine: The lowest agreement of its embeddings with those of the float32 file.
        converted: Whether it differs from model.onnx in more than names.
        too_large: The layers that stay float32 because float16 cannot hold their numbers, with the largest of each.
    """

    precision: str
    data: bytes
    input: str
    shape: tuple[int, int, int]
    min_cosine: float
    converted: bool
    too_large: Mapping[str, float] = field(default_factory=dict)

    @property
    def remark(self) -> str:
        """What should be known about the conversion, as the end of a sentence, or ""."""
        if not self.too_large:
            return ""
        name = max(self.too_large, key=lambda layer: self.too_large[layer])
        return (
            f"; {name} reaches {self.too_large[name]:.3g} but float16 ends at {HALF_MAX:.0f}, so that it and "
            f"{len(self.too_large) - 1} layers beside it stay in float32"
        )


def typed_model(
    model: bytes,
    precision: str,
    calibration: NDArray[np.uint8] | None = None,
    *,
    for_flags: bool = False,
    for_dla: bool = False,
) -> TypedModel:
    """Convert the float32 file `uint8 [N, H, W, C] -> float32 [N, D]` to a precision and check it.

    Args:
        model: The float32 ONNX file.
        precision: "fp32", "fp16" or "int8".
        calibration: Real frames, `uint8 [N, H, W, C]`; required for int8, otherwise used for the check if given.
        for_flags: Whether builder flags will lower the precision of float32 layers, so that fp16 keeps the file.
        for_dla: Whether the plan is for a DLA, which wants quantisers at other places.

    Raises:
        ExportError: The file cannot be converted, or the result does not agree with the float32 file.
        ToolMissing: ONNX Runtime is not installed.
    """
    value = onnx.load_from_string(model).graph.input[0]
    height, width, channels = (dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])
    shape = height, width, channels
    _check_arguments(precision, shape, calibration)
    proto = with_float_weights(onnx.load_from_string(model))
    plain = model
    if quantised := has_quantisers(proto.graph):
        plain = without_quantisers(proto).SerializeToString()
    name_nodes(proto.graph)
    if precision == "int8" and calibration is not None:
        data = to_int8(plain, calibration, for_dla=for_dla)
    if calibration is None or not len(calibration):
        calibration = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    spare: dict[str, float] = {}
    if precision == "fp16" or (precision == "int8" and for_flags):  # what the flags do not make int8 becomes float16
        spare = nodes_beside(proto.graph, too_large(proto, calibration))
    if precision == "fp16" and not for_flags:
        data = to_half(plain, spare)
    elif precision != "int8":
        data = proto.SerializeToString()
    frames = calibration[:CHECKED]
    worst = float(agreement(embed_as_written(model, frames), embed_as_written(data, frames)).min())
    if not worst >= MIN_COSINE[precision]:
        raise ExportError(
            f"{precision} must keep a cosine of {MIN_COSINE[precision]} to float32 on the CPU, but the worst is "
            f"{worst:.5f}; leave this precision out"
        )
    converted = quantised or precision == "int8" or (precision == "fp16" and not for_flags)
    return TypedModel(precision, data, value.name, shape, worst, converted, spare)


def _check_arguments(precision: str, shape: tuple[int, int, int], calibration: NDArray[np.uint8] | None) -> None:
    if precision not in PRECISIONS:
        raise ExportError(f"precision must be one of {', '.join(PRECISIONS)}, but is {precision!r}")
    if calibration is not None and (calibration.dtype != np.uint8 or calibration.shape[1:] != shape):
        raise ExportError(
            f"calibration frames must be uint8 [N, *{shape}], but are {calibration.dtype} {calibration.shape}"
        )
    if precision == "int8" and calibration is None:
        raise ExportError("int8 needs calibration frames, but has none; give some with --calibrate FOLDER|VIDEO")
