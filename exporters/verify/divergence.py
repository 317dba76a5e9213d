"""Find the first layer, in the order of the graph, whose output in an artifact differs from the float32 model.

The outputs of every layer are computed for one picture and compared by the tensor's name, which converters keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.onnx.session import open_session
from runtime.engines.openvino import core

FAR = 0.99  # cosine of a layer's output; a whole network adds up many small roundings, a single layer should not
HEAVY = {"Conv", "Gemm", "MatMul"}


def first_diverging_layer(model: bytes, files: Mapping[str, bytes], file: str, frame: NDArray[np.uint8]) -> str | None:
    """Name the first layer whose output has a cosine below FAR to that of the float32 model.

    Args:
        model: The float32 ONNX file.
        files: The files of the artifact, ONNX or OpenVINO IR.
        file: The one that an engine opens.
        frame: `uint8 [1, H, W, C]`.

    Returns:
        The layer and its cosine; if all are above FAR, the convolution or matrix product with the lowest cosine; None
        if the two files have no tensor in common.
    """
    proto = onnx.load_from_string(model)
    names = [name for node in proto.graph.node for name in node.output if name]
    expected = _onnx_outputs(proto, names, frame)
    if file.endswith(".xml"):
        found = _openvino_outputs(files[file], files[file.removesuffix(".xml") + ".bin"], set(names), frame)
    else:
        other = onnx.load_from_string(files[file])
        theirs = {name for node in other.graph.node for name in node.output}
        found = _onnx_outputs(other, [name for name in names if name in theirs], frame)
    layers = [
        (node, node.output[0]) for node in proto.graph.node if node.output[0] in expected and node.output[0] in found
    ]
    cosines = [(node, _cosine(expected[name], found[name])) for node, name in layers]
    far = next(((node, cosine) for node, cosine in cosines if not cosine >= FAR), None)
    worst = min((pair for pair in cosines if pair[0].op_type in HEAVY), key=lambda pair: pair[1], default=None)
    chosen = far or worst
    return f"{chosen[0].name} (cosine {chosen[1]:.4f})" if chosen else None


def first_diverging_module(model: bytes, layers: Mapping[str, NDArray[Any]], frame: NDArray[np.uint8]) -> str | None:
    """Name the first torch module whose output differs from that of its layer in model.onnx.

    Args:
        model: The ONNX file that was traced from the modules.
        layers: The output of each module by its path, in the order they ran.
        frame: `uint8 [1, H, W, C]`.

    Returns:
        The module and its cosine; None if none is below FAR or no module is found in the file.
    """
    proto = onnx.load_from_string(model)
    last = {node.name.rpartition("/")[0]: node.output[0] for node in proto.graph.node}  # a module's last node
    names = [name for name in layers if name in last]
    found = _onnx_outputs(proto, [last[name] for name in names], frame)
    cosines = [(name, _cosine(layers[name], found[last[name]])) for name in names]
    return next((f"{name} (cosine {cosine:.4f})" for name, cosine in cosines if not cosine >= FAR), None)


def _onnx_outputs(proto: onnx.ModelProto, names: list[str], frame: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return dict(zip(names, open_session(shown.SerializeToString()).run(None, {"frames": frame}), strict=True))


def _openvino_outputs(xml: bytes, weights: bytes, names: set[str], frame: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    network = core().read_model(xml, weights)
    known = {name for op in network.get_ops() for output in op.outputs() for name in output.get_names()} & names
    network.add_outputs(sorted(known))
    results = core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({0: frame})
    return {name: values for output, values in results.items() for name in output.get_names() & known}


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    if x.shape != y.shape or not x.any():
        return 1.0
    return float(x @ y / max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-30))
