"""Build a small ONNX graph whose nodes form one line, such as the head and the tail around a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from exporters.onnx.tail import EPS


class OnnxChain:
    """A graph in which every node takes the result of the node before it.

    Args:
        name: Name of the graph; its layers are called edgefs/NAME/OPERATOR.
        source: The graph's input.
    """

    def __init__(self, name: str, source: onnx.ValueInfoProto) -> None:
        self.name, self.source, self.last = name, source, str(source.name)
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def then(self, operator: str, more: NDArray[Any] | str | None = None, **attributes: Any) -> str:
        """Append a node and return the name of its result.

        Args:
            operator: The ONNX operator.
            more: A second input: a constant, or the name of an earlier result.
            attributes: Of the operator.
        """
        inputs = [self.last]
        if isinstance(more, str):
            inputs.append(more)
        elif more is not None:
            self.tensors.append(numpy_helper.from_array(np.asarray(more), f"{self.name}.constant{len(self.tensors)}"))
            inputs.append(self.tensors[-1].name)
        self.last = f"{self.name}.{len(self.nodes)}"
        layer = f"edgefs/{self.name}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [self.last], layer, **attributes))
        return self.last

    def normalise(self) -> None:
        """Append x / sqrt(sum(x²) + eps), in single operators."""
        x = self.last
        self.then("Mul", x)
        self.then("ReduceSum", np.array([1], np.int64))
        self.then("Add", np.array(EPS, np.float32))
        norm = self.then("Sqrt")
        self.last = x
        self.then("Div", norm)

    def model(self, target: onnx.ValueInfoProto, *, like: onnx.ModelProto) -> onnx.ModelProto:
        """Return the graph from its source to `target`, with the opset and the format version of another model."""
        self.nodes[-1].output[0] = target.name
        graph = helper.make_graph(self.nodes, self.name, [self.source], [target], self.tensors)
        return helper.make_model(graph, opset_imports=list(like.opset_import), ir_version=like.ir_version)
