"""Find the layers of a network whose numbers are too large for float16, by running it in float32 on pictures.

ONNX Runtime computes float16 in float32 on a CPU, so that an overflow does not show in the answers of a file. On a GPU
it would make infinities.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from exporters.frames import evenly_spaced
from exporters.onnx.session import open_session

HALF_MAX = float(np.finfo(np.float16).max)
LIMIT = HALF_MAX / 2  # other pictures than those looked at reach a little further
FRAMES = 16


def too_large(proto: onnx.ModelProto, frames: NDArray[np.uint8], *, limit: float = LIMIT) -> dict[str, float]:
    """Return the largest absolute value of every tensor that exceeds the limit.

    Args:
        proto: The float32 model, with one input.
        frames: Real frames, `uint8 [N, H, W, C]`; at most FRAMES of them are run, one at a time.
        limit: The largest absolute value that is not reported.
    """
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    names = [name for node in shown.graph.node for name in node.output if name]
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(shown.SerializeToString(), optimised=False)
    largest = dict.fromkeys(names, 0.0)
    for frame in frames[evenly_spaced(len(frames), FRAMES)]:
        for name, values in zip(names, session.run(None, {proto.graph.input[0].name: frame[None]}), strict=True):
            if values.dtype == np.float32 and values.size:
                largest[name] = max(largest[name], float(np.abs(values).max()))
    return {name: value for name, value in largest.items() if not value <= limit}


def nodes_beside(graph: onnx.GraphProto, tensors: dict[str, float]) -> dict[str, float]:
    """Return the names of the nodes that make or use one of these tensors, with the largest value of each."""
    beside: dict[str, float] = {}
    for node in graph.node:
        if node.op_type in ("Shape", "Size"):  # they do not look at the numbers
            continue
        values = [tensors[name] for name in (*node.output, *node.input) if name in tensors]
        if values:
            beside[node.name] = max(values)
    return beside
