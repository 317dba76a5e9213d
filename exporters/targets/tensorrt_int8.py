"""Convert a float32 ONNX file to int8 with explicit quantisers (Q/DQ), in the form that TensorRT's parser accepts.

Every quantiser is symmetric, because the parser refuses any zero point but 0. Weights have one scale per channel, and
biases stay float32, and only convolutions and matrix products are quantised. The range of an activation is a moving
average over real frames: for MobileNetV2 this kept more accuracy than the extremes (5-way 1-shot on shop photos 72.6
against 72.2, float32 73.1). Scales stay float32, because their products underflow in float16. Such a file is slow on a
CPU.

Quantisers are put at the inputs of products only, as NVIDIA's Model Optimizer does: TensorRT fuses a product with the
activation behind it, and a quantiser between the two prevents that and rounds once more. The DLA of an Orin wants the
opposite: it computes int8 only where the output of a layer is quantised too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from exporters.errors import ExportError
from exporters.onnx.float16 import name_nodes
from exporters.onnx.weight_storage import with_float_weights
from exporters.targets.onnx_int8 import OPERATORS, quantise

MIN_FRAMES = 16  # fewer do not show the range of the activations
ACTIVATIONS = frozenset(
    "Celu Clip Elu Erf Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Relu Selu Sigmoid Softplus Tanh".split()  # noqa: SIM905
)


def to_int8(model: bytes, frames: NDArray[np.uint8], *, for_dla: bool = False) -> bytes:
    """Quantise an embedder `uint8 [N, H, W, C] -> float32 [N, D]`.

    Args:
        model: The float32 ONNX file.
        frames: Real frames after preprocessing, `uint8 [N, H, W, C]`; 100 to 500 are usual.
        for_dla: Whether the outputs of products are quantised too.

    Raises:
        ExportError: There are too few frames, nothing can be quantised, a zero point is not 0, or a quantiser is
            between a product and its activation.
    """
    if len(frames) < MIN_FRAMES:
        raise ExportError(
            f"int8 needs {MIN_FRAMES} calibration frames or more, but got {len(frames)}; give more with --calibrate"
        )
    proto = with_float_weights(onnx.load_from_string(model))
    name_nodes(proto.graph)
    if not any(node.op_type in OPERATORS for node in proto.graph.node):
        raise ExportError(
            f"int8 needs one of {', '.join(OPERATORS)} to quantise, but the network has none; export fp32 only"
        )
    quantised = quantise(
        _prepared(proto),
        frames,
        activations="QInt8",
        ActivationSymmetric=True,
        WeightSymmetric=True,
        AddQDQPairToWeight=True,
        QuantizeBias=False,
        CalibMovingAverage=True,
        **({} if for_dla else {"OpTypesToExcludeOutputQuantization": OPERATORS}),
    )
    _check_zero_points(quantised)
    if not for_dla:
        check_placement(quantised.graph)
    return bytes(quantised.SerializeToString())


def _prepared(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants and infer shapes with ONNX Runtime, where that works: 1.32 raises TypeError for some networks."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "raw.onnx", Path(folder) / "prepared.onnx"
        onnx.save(proto, source)
        try:
            quant_pre_process(source, target, skip_symbolic_shape=True)
        except TypeError:
            return proto
        return onnx.load(target)


def _check_zero_points(proto: onnx.ModelProto) -> None:
    values = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            zero = numpy_helper.to_array(values[node.input[2]])
            if zero.any() or zero.dtype != np.int8:
                raise ExportError(
                    f"every zero point must be int8 0 for TensorRT, but that of {node.name} is not; export fp16 instead"
                )


def check_placement(graph: onnx.GraphProto) -> None:
    """Raise ExportError for a quantiser between a product and the activation with which TensorRT would fuse it."""
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        restored = makers.get(node.input[0]) if node.op_type in ACTIVATIONS else None
        if restored is None or restored.op_type != "DequantizeLinear":
            continue
        quantiser = makers.get(restored.input[0])
        product = makers.get(quantiser.input[0]) if quantiser is not None else None
        if quantiser is not None and product is not None and product.op_type in OPERATORS:
            raise ExportError(
                f"no quantiser may be between a product and its activation, but {quantiser.name} is between "
                f"{product.name} and {node.name}; export fp16 instead, and report this"
            )
