"""Make the batch size of an ONNX graph dynamic, also where it was traced with one frame. The result is tested later."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import uses_external_data


def fixed_batch(model: onnx.ModelProto) -> int | None:
    """Return the batch size that the first input states; None if it is open."""
    sides = model.graph.input[0].type.tensor_type.shape.dim if model.graph.input else ()
    return int(sides[0].dim_value) or None if sides else None


def free_batch(model: onnx.ModelProto) -> None:
    """Make the batch size dynamic, in place."""
    if fixed_batch(model) == 1:
        _free_reshapes(model.graph)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        else:  # an output without a stated shape
            value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, ["batch", None]))
    del model.graph.value_info[:]  # shapes with the old batch size


def _free_reshapes(graph: onnx.GraphProto) -> None:
    """Replace the leading 1 of every constant shape to which something is reshaped that depends on the frame."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    depends = {value.name for value in graph.input}
    for i, node in enumerate(graph.node):
        if depends.isdisjoint(node.input):
            continue
        depends.update(node.output)
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is None or uses_external_data(shape):
            continue
        sides = numpy_helper.to_array(shape).copy()
        if sides.size and sides[0] == 1:
            sides[0] = 0 if -1 in sides else -1  # 0 keeps the batch of what is reshaped
            graph.initializer.append(numpy_helper.from_array(np.asarray(sides, np.int64), f"batch.shape{i}"))
            node.input[1] = f"batch.shape{i}"
