"""The last steps of every ONNX file of ours, whoever made the graph: readable names, metadata, and the device's rules.

Layers get the name of the module they come from ("network.features.3/Conv"), so that an engine, TensorRT's parser or
our own report can name the layer they object to. Traces of the exporting machine (files, lines) are dropped.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from typing import Any

import numpy as np
import onnx

from exporters.errors import ExportError, ToolMissing
from runtime.bundle.onnx_guard import ALLOWED_OPERATORS, check_onnx
from runtime.errors import BundleError
from runtime.preprocess import Preprocess

MAX_OPSET = 20  # ONNX Runtime's static quantisation fails from 21 on
SCOPES = "pkg.torch.onnx.name_scopes"


def finish(model: onnx.ModelProto, preprocess: Preprocess, metric: str, *, name: str, slim: bool = False) -> bytes:
    """Return the file as bytes. The model is changed in place; name: of the network, for messages.

    Raises ExportError when a layer, a weight, the opset or a fixed batch would be refused on the device.
    """
    if slim:
        model = _slim(model)
    _name_layers(model)
    _refuse_operators(model, name)
    del model.metadata_props[:]
    facts = {"preprocess": json.dumps(preprocess.to_json()), "metric": metric, "input": "uint8 NHWC, BGR or grey"}
    onnx.helper.set_model_props(model, {f"edgefs.{key}": value for key, value in facts.items()})
    model.doc_string = ""
    data: bytes = model.SerializeToString()
    try:
        check_onnx(data, f"the ONNX of {name}")
    except BundleError as error:
        raise ExportError(f"{name} becomes ONNX, but a device would refuse it: {error}") from error
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset > MAX_OPSET:
        raise ExportError(
            f"{name} must use an ONNX opset of at most {MAX_OPSET}, but uses {opset}; export it again lower"
        )
    _check_batches(data, preprocess, name)
    return data


def session(data: bytes) -> Any:
    """ONNX Runtime on two threads, quiet. Raises ToolMissing with the install line."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ToolMissing(
            f"export runs models in ONNX Runtime, but {error}; do: pip install 'edgefs[export]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _name_layers(model: onnx.ModelProto) -> None:
    """Name nodes after the module they come from, where torch left that on them; drop its traces."""
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


def _refuse_operators(model: onnx.ModelProto, name: str) -> None:
    for node in model.graph.node:
        if node.op_type not in ALLOWED_OPERATORS or node.domain not in ("", "ai.onnx"):
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise ExportError(
                f"{name} must be made of operators every device allows, but its layer {node.name} is the operator "
                f"{kind}; replace that layer"
            )


def _slim(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        import onnxslim
    except ImportError as error:
        raise ToolMissing(f"--slim needs onnxslim, but {error}; do: pip install onnxslim") from error
    return onnxslim.slim(model)  # type: ignore[no-any-return]


def _check_batches(data: bytes, preprocess: Preprocess, name: str) -> None:
    """Run one and three frames: a batch size baked into a Reshape shows only then."""
    frames = np.random.default_rng(0).integers(0, 256, (3, *preprocess.shape), np.uint8)
    try:
        runs = session(data)
        three, one = (runs.run(None, {"frames": some})[0] for some in (frames, frames[:1]))
    except ToolMissing:
        raise
    except Exception as error:  # ONNX Runtime's own kinds
        raise ExportError(
            f"{name} must run on any batch size, but ONNX Runtime says: {error}; take fixed sizes out of its reshapes"
        ) from error
    if (
        three.ndim != 2
        or len(three) != 3
        or not np.allclose(three[0], one[0], rtol=1e-2, atol=1e-3 * np.abs(one).max())
    ):
        raise ExportError(
            f"{name} must give each frame of a batch its own embedding [N, D], but three frames give {three.shape}, "
            "the first of them another than alone; is a layer still in training mode, or a batch size fixed?"
        )
