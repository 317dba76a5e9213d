"""Run an ONNX file on this machine's CPU with ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.frames import in_batches
from exporters.tools import load_tool


def open_session(data: bytes, *, optimised: bool = True) -> Any:
    """Open an ONNX Runtime session on two threads that logs nothing.

    Args:
        data: The ONNX file.
        optimised: False runs the file exactly as it is written.

    Raises:
        ToolMissing: ONNX Runtime is not installed.
    """
    onnxruntime = load_tool("onnxruntime", "export, which runs models in ONNX Runtime,")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def embed_as_written(model: bytes, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed frames with an ONNX file whose layers are not fused.

    Fused int8 kernels saturate on processors without VNNI, and others crash on a vision transformer in float16.

    Args:
        model: The ONNX file.
        frames: `uint8 [N, H, W, C]`, N >= 1.

    Raises:
        ExportError: ONNX Runtime cannot run the file.
    """
    try:
        session = open_session(model, optimised=False)
        name = session.get_inputs()[0].name
        return in_batches(lambda batch: session.run(None, {name: batch})[0], frames)
    except ExportError:
        raise
    except Exception as error:  # subclasses of RuntimeError that differ between versions
        raise ExportError(f"ONNX Runtime must run the file, but cannot: {error}; leave this precision out") from error
