"""The last steps of every ONNX file: readable layer names, metadata, and a check by the device's rules.

A layer is named after the module it comes from ("network.features.3/Conv"), so that an engine, TensorRT's parser or our
own report can name the layer they refuse. Traces of the exporting machine (files, lines) are removed.
"""

from __future__ import annotations

import ast
import json
from collections import Counter

import numpy as np
import onnx

from exporters.errors import ExportError, ToolMissing
from exporters.onnx.fold import folded
from exporters.onnx.session import open_session
from exporters.tools import load_tool
from runtime.bundle.onnx_cost import check_cost
from runtime.bundle.onnx_guard import ALLOWED_OPERATORS, check_onnx
from runtime.errors import BundleError
from runtime.preprocess import Preprocess

MAX_OPSET = 20  # ONNX Runtime's static quantisation fails from 21 on
SCOPES = "pkg.torch.onnx.name_scopes"


def finish(model: onnx.ModelProto, preprocess: Preprocess, metric: str, *, name: str, slim: bool = False) -> bytes:
    """Name the layers, add the metadata and check the model.

    Args:
        model: The graph; it may be changed.
        preprocess: The size and the channels of its input; stored in the metadata.
        metric: Stored in the metadata.
        name: Name of the network, for messages.
        slim: Whether onnxslim removes redundant nodes first.

    Returns:
        The ONNX file.

    Raises:
        ExportError: A device would refuse a layer, a weight, the opset or a fixed batch size.
        ToolMissing: onnxslim or ONNX Runtime is not installed.
    """
    if slim:
        model = load_tool("onnxslim", "--slim", "pip install onnxslim").slim(model)
    if any(_is_refused(node) for node in model.graph.node):
        model = folded(model)  # it may compute a constant
    _name_layers(model)
    _refuse_operators(model, name)
    del model.metadata_props[:]
    facts = {"preprocess": json.dumps(preprocess.to_json()), "metric": metric, "input": "uint8 NHWC, BGR or grey"}
    onnx.helper.set_model_props(model, {f"edgefs.{key}": value for key, value in facts.items()})
    model.doc_string = ""
    data: bytes = model.SerializeToString()
    try:
        check_onnx(data, f"the ONNX of {name}")
        check_cost(data, preprocess.shape, f"the ONNX of {name}")
    except BundleError as error:
        raise ExportError(f"{name} becomes ONNX, but a device would refuse it: {error}") from error
    opset = opset_of(model)
    if opset > MAX_OPSET:
        raise ExportError(
            f"{name} must use an ONNX opset of at most {MAX_OPSET}, but uses {opset}; export it again with a lower one"
        )
    _check_batches(data, preprocess, name)
    return data


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators. Raises StopIteration if the model names none."""
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _name_layers(model: onnx.ModelProto) -> None:
    """Name nodes after the module they come from, where torch stored that, and remove what else torch stored."""
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), None)
        if scopes:
            modules = [scope for scope in ast.literal_eval(scopes)[:-1] if scope]  # the last is torch's operation
            label = f"{modules[-1] if modules else 'edgefs'}/{node.op_type}"
        else:
            label = node.name or node.op_type
        seen[label] += 1
        node.name = label if seen[label] == 1 else f"{label}_{seen[label]}"
        node.doc_string = ""
        del node.metadata_props[:]


def _is_refused(node: onnx.NodeProto) -> bool:
    return node.op_type not in ALLOWED_OPERATORS or node.domain not in ("", "ai.onnx")


def _refuse_operators(model: onnx.ModelProto, name: str) -> None:
    for node in model.graph.node:
        if _is_refused(node):
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise ExportError(
                f"{name} must be made of operators that every device allows, but its layer {node.name} is the operator "
                f"{kind}; replace that layer"
            )


def _check_batches(data: bytes, preprocess: Preprocess, name: str) -> None:
    """Run one frame and three frames: only this shows a batch size that is fixed inside a Reshape."""
    frames = np.random.default_rng(0).integers(0, 256, (3, *preprocess.shape), np.uint8)
    try:
        session = open_session(data)
        three, one = (session.run(None, {"frames": some})[0] for some in (frames, frames[:1]))
    except ToolMissing:
        raise
    except Exception as error:  # ONNX Runtime's own kinds
        raise ExportError(
            f"{name} must run on any batch size, but ONNX Runtime says: {error}; take fixed sizes out of its reshapes"
        ) from error
    rows = three.ndim == 2 and len(three) == 3
    if not rows or not np.allclose(three[0], one[0], rtol=1e-2, atol=1e-3 * np.abs(one).max()):
        raise ExportError(
            f"{name} must give each frame of a batch its own embedding [N, D], but three frames give {three.shape} and "
            "the first of them differs from the same frame alone; look for a layer that is still in training mode, or "
            "a batch size fixed in the network"
        )
