"""Compute the parts of an ONNX graph that depend on constants only, so that no operator of them reaches a device."""

from __future__ import annotations

import onnx

from exporters.errors import ExportError
from exporters.quiet import quiet
from exporters.tools import load_tool


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without nodes that compute constants, without conditions on constants, and without unused nodes.

    Args:
        model: Holds all of its weights; it may be changed. What depends on its open sizes, such as the batch, stays.

    Raises:
        ExportError: The graph is not valid ONNX.
        ToolMissing: onnxscript is not installed.
    """
    optimizer = load_tool("onnxscript.optimizer", "a graph that computes constants")
    try:
        with quiet("onnxscript", "onnx_ir"):
            # By itself onnxscript keeps this operator, and with it all that is written into such a tensor.
            optimizer.fold_constants(model, should_fold=lambda node: node.op_type == "ConstantOfShape" or None)
            made: onnx.ModelProto = optimizer.optimize(model)
    except Exception as error:  # onnxscript and onnx_ir have their own kinds
        raise ExportError(
            f"the graph must be valid ONNX to compute its constants, but: {error}; export it again"
        ) from error
    return made
