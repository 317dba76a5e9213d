"""A small ONNX graph that is one line of nodes, such as what stands before and behind a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from exporters.onnx.tail import EPS


class Chain:
    """Every node takes what the one before it gave.  name: of the graph; its layers are edgefs/NAME/OPERATOR."""

    def __init__(self, name: str, source: onnx.ValueInfoProto) -> None:
        self.name, self.source, self.at = name, source, str(source.name)
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def then(self, operator: str, more: NDArray[Any] | str | None = None, **attributes: Any) -> str:
        """Add a node; more: a second input, a constant or an earlier result's name. Returns the name of its result."""
        inputs = [self.at]
        if isinstance(more, str):
            inputs.append(more)
        elif more is not None:
            self.tensors.append(numpy_helper.from_array(np.asarray(more), f"{self.name}.constant{len(self.tensors)}"))
            inputs.append(self.tensors[-1].name)
        self.at = f"{self.name}.{len(self.nodes)}"
        layer = f"edgefs/{self.name}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [self.at], layer, **attributes))
        return self.at

    def normalise(self) -> None:
        """x / sqrt(sum(x²) + eps), written out."""
        x = self.at
        self.then("Mul", x)
        self.then("ReduceSum", np.array([1], np.int64))
        self.then("Add", np.array(EPS, np.float32))
        norm = self.then("Sqrt")
        self.at = x
        self.then("Div", norm)

    def model(self, target: onnx.ValueInfoProto, *, like: onnx.ModelProto) -> onnx.ModelProto:
        """The graph from its source to target, in the opset and format of another model."""
        self.nodes[-1].output[0] = target.name
        graph = helper.make_graph(self.nodes, self.name, [self.source], [target], self.tensors)
        return helper.make_model(graph, opset_imports=list(like.opset_import), ir_version=like.ir_version)
