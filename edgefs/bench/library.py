"""The library of an engine without our code: the same file, threads and arithmetic, with inputs bound beforehand.

onnxruntime_perf_test and benchmark_app measure in the same way. The time that our engine takes beyond this is the cost
of our code. The library is opened here from scratch, so that a mistake in an engine is not repeated.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.engines.base import EngineInfo
from runtime.engines.openvino import core

Call = Callable[[int], Any]  # takes the number of the call, which selects the input; returns the library's output


def library_call(bundle: Bundle, info: EngineInfo, inputs: NDArray[np.uint8]) -> Call | None:
    """Return a function that runs inputs `uint8 [F, 1, H, W, C]` as this engine does.

    None for an unknown library, and for a device other than the CPU.
    """
    opener = {"onnxruntime": _onnxruntime, "openvino": _openvino}.get(info.name)
    return opener(bundle, info, inputs) if opener and info.device in ("", "CPU") else None


def _onnxruntime(bundle: Bundle, info: EngineInfo, inputs: NDArray[np.uint8]) -> Call:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = info.threads, 1, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if info.precision != "int8":
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(bundle.read(info.artifact), options, providers=["CPUExecutionProvider"])
    bound = []
    for frame in inputs:
        binding = session.io_binding()
        binding.bind_cpu_input(session.get_inputs()[0].name, frame)
        binding.bind_output(session.get_outputs()[0].name)
        bound.append(binding)

    def call(i: int) -> Any:
        session.run_with_iobinding(bound[i % len(bound)])
        return bound[i % len(bound)].get_outputs()[0]

    return call


def _openvino(bundle: Bundle, info: EngineInfo, inputs: NDArray[np.uint8]) -> Call:
    import openvino

    model = core().read_model(*openvino_files(bundle, info.artifact))
    model.reshape([1, *bundle.preprocess.shape])
    options = {
        "INFERENCE_PRECISION_HINT": info.arithmetic,
        "INFERENCE_NUM_THREADS": info.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core().compile_model(model, "CPU", options).create_infer_request()
    tensors = [openvino.Tensor(frame, shared_memory=True) for frame in inputs]

    def call(i: int) -> Any:
        request.set_input_tensor(tensors[i % len(tensors)])
        request.start_async()
        request.wait()
        return request.get_output_tensor()

    return call


def openvino_files(bundle: Bundle, artifact: str) -> tuple[Any, ...]:
    """The arguments of `Core.read_model`: an IR and its weights, or an ONNX file as a stream."""
    if artifact.endswith(".xml"):
        return bundle.read(artifact), bundle.read(artifact.removesuffix(".xml") + ".bin")
    return (io.BytesIO(bundle.read(artifact)),)
