"""Run every branch of our TensorRT code on the real API of one version, which only checks (`tensorrt_api.py`).

    python tests/tensorrt_walk.py VERSION exporter|engine|rtx-engine|flags|mistakes

The tests start it in a process of its own, because one process can load only one version. It prints the used names as
JSON, and ends with ApiError at a use that this version does not have. "flags" asks for precisions by builder flags on
every version. "rtx-engine" runs the engine on the installed `tensorrt_rtx`, whose exporter needs no GPU. "mistakes"
makes wrong calls and prints what the checker says about each of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
from tensorrt_api import ApiError, Conforming, Instance, check_overrides

import exporters.targets.tensorrt as exporter
import runtime.engines.nvidia.plan as engine
from exporters.errors import ExportError
from exporters.sources.pictures import Pictures
from exporters.targets.request import Request, TensorRtOptions
from exporters.targets.target import Candidate
from runtime.bundle import Artifact, Bundle
from runtime.errors import EngineError

SHAPE = (tiny_model.SIDE, tiny_model.SIDE, 3)
MODEL = tiny_model.model().SerializeToString()
FRAMES = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), np.uint8)


class HostCuda:
    """Replaces Cuda where there is no GPU: addresses are numbers, and nothing is computed."""

    stream = 7

    def compute_capability(self) -> str:
        return "8.7"

    def driver(self) -> str:
        return "12.6"

    def device_buffer(self, nbytes: int) -> int:
        return 4096 + nbytes

    def pinned_array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.zeros(shape, dtype)

    def record(self, enqueue: Any) -> str:
        enqueue()
        return "graph"

    def _nothing(self, *_: object) -> None: ...

    upload = download = wait = replay = close = _nothing


def exporter_answers(trt: Any) -> dict[str, Any]:
    return {
        "Builder.num_DLA_cores": 2,
        "INetworkDefinition.num_layers": 1,
        "ITensor.name": "frames",
        "ILayer.metadata": "[ONNX Layer: Div_14]",
        "ILayer.name": "Div_14",
        "ILayer.type": trt.LayerType.ELEMENTWISE,
    }


def build(api: Conforming, precisions: tuple[str, ...] = ("fp32", "fp16", "int8"), **options: Any) -> list[Candidate]:
    sys.modules["tensorrt"] = api  # type: ignore[assignment]
    pictures = Pictures(FRAMES, np.zeros(len(FRAMES), np.int64), ("",) * len(FRAMES), "frames")
    request = Request(precisions=precisions, calibration=pictures, tensorrt=TensorRtOptions(**options))
    return [exporter.build(MODEL, precision, request) for precision in precisions]


def refusal(api: Conforming) -> str:
    with pytest.raises(ExportError) as refused:
        build(api, ("fp16",))
    return str(refused.value)


def walk_exporter(trt: Any) -> Conforming:
    exporter.Cuda = HostCuda  # type: ignore[misc,assignment]
    answers = exporter_answers(trt)
    api = Conforming(trt, answers)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "timing.cache"
        built = build(api)
        built += build(api, timing_cache=cache, compatibility="ampere_plus", version_compatible=True)
        built += build(api, timing_cache=cache)  # now there is one
        built += build(api, ("fp16", "int8"), dla_core=1)
        if hasattr(trt.HardwareCompatibilityLevel, "SAME_COMPUTE_CAPABILITY"):
            built += build(api, ("fp16",), compatibility="same_compute_capability")
    assert all(candidate.file and candidate.files for candidate in built)
    errors = {"OnnxParser.num_errors": 1, "ParserError.node_name": "c1", "ParserError.node_operator": "Conv"}
    unread = Conforming(trt, {**answers, "OnnxParser.parse": False, **errors}, api.used)
    assert "Conv node 'c1'" in refusal(unread)
    assert "cannot build the network" in refusal(Conforming(trt, {**answers, "Builder.build_serialized_network": None}))
    assert "needs an NVIDIA GPU" in refusal(Conforming(trt, {**answers, "Builder": TypeError("nullptr")}))
    check_overrides(trt.ILogger)
    check_overrides(trt.IProgressMonitor)
    return api


def engine_answers(trt: Any) -> dict[str, Any]:
    names, counts = ["frames", "embeddings"], [0]

    def set_input_shape(_: str, shape: tuple[int, ...]) -> bool:
        counts.append(shape[0])
        return True

    return {
        "ICudaEngine.num_io_tensors": 2,
        "ICudaEngine.get_tensor_name": names.__getitem__,
        "ICudaEngine.get_tensor_mode": lambda name: getattr(
            trt.TensorIOMode, "INPUT" if name == "frames" else "OUTPUT"
        ),
        "ICudaEngine.get_tensor_dtype": lambda name: getattr(trt.DataType, "UINT8" if name == "frames" else "FLOAT"),
        "IExecutionContext.set_input_shape": set_input_shape,
        "IExecutionContext.get_tensor_shape": lambda _: (counts[-1], tiny_model.DIM),
    }


def plan_bundle(trt: Any, **settings: Any) -> Bundle:
    """A bundle with a plan that the (checking) exporter made."""
    exporter.Cuda = HostCuda  # type: ignore[misc,assignment]
    (candidate,) = build(Conforming(trt, exporter_answers(trt)), ("fp16",), **settings)
    return bundle_of(candidate)


def bundle_of(candidate: Candidate) -> Bundle:
    golden = FRAMES[:2]
    return Bundle.build(
        name="planned",
        description="",
        preprocess=tiny_model.bundle().preprocess,
        metric="cosine",
        model=MODEL,
        golden_frames=golden,
        golden_embeddings=tiny_model.reference(tiny_model.model(), golden),
        extra=candidate.files,
        artifacts=(Artifact(candidate.target, "fp16", candidate.file),),
    )


def walk_engine(trt: Any) -> Conforming:
    engine.Cuda = HostCuda  # type: ignore[misc,assignment]
    answers = engine_answers(trt)
    api = Conforming(trt, answers)
    for settings in ({}, {"version_compatible": True}, {"dla_core": 0}):
        bundle = plan_bundle(trt, **settings)
        sys.modules["tensorrt"] = api  # type: ignore[assignment]
        opened = engine.PlanEngine(bundle, bundle.artifacts[1], 1)
        for count in (1, 1, 1, 3, 20, 0):
            assert opened.embed(np.resize(FRAMES, (count, *SHAPE))).shape == (count, tiny_model.DIM)
        opened.close()
    bundle = plan_bundle(trt)
    sys.modules["tensorrt"] = Conforming(trt, {**answers, "Runtime.deserialize_cuda_engine": None})  # type: ignore[assignment]
    with pytest.raises(EngineError, match="refuses it"):
        engine.PlanEngine(bundle, bundle.artifacts[1], 1)
    check_overrides(trt.ILogger)
    return api


def walk_rtx_engine(trt: Any) -> Conforming:
    """The plan is real; the checking library then runs it, with kernels that were stored and with some it refuses."""
    from exporters.targets.tensorrt_rtx import build as build_rtx

    engine.Cuda = HostCuda  # type: ignore[misc,assignment]
    request = Request(targets=("tensorrt-rtx",), precisions=("fp16",), compute=("SM86",))
    bundle = bundle_of(build_rtx(MODEL, "fp16", request))
    answers = engine_answers(trt)
    api = Conforming(trt, answers)
    HostCuda.compute_capability = lambda _: "8.6"  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGEFS_MODEL_CACHE"] = folder
        for accepted in (True, True, False):
            answers["IRuntimeCache.deserialize"] = accepted
            sys.modules["tensorrt_rtx"] = api  # type: ignore[assignment]
            opened = engine.PlanEngine(bundle, bundle.artifacts[1], 1)
            for count in (1, 1, 3, 20, 0):
                assert opened.embed(np.resize(FRAMES, (count, *SHAPE))).shape == (count, tiny_model.DIM)
            opened.close()
    return api


def mistakes(trt: Any) -> dict[str, Any]:
    """Deliberately wrong calls."""
    api = Conforming(trt, {})
    builder = Instance(api, trt.Builder)
    config, profile = Instance(api, trt.IBuilderConfig), Instance(api, trt.IOptimizationProfile)
    context, network = Instance(api, trt.IExecutionContext), Instance(api, trt.INetworkDefinition)
    return {
        "no-such-class": lambda: api.Bilder,
        "no-such-method": lambda: builder.build_engine(network, config),
        "no-such-property": lambda: setattr(config, "max_workspace_size", 1),
        "read-only-property": lambda: setattr(builder, "num_DLA_cores", 1),
        "too-few": lambda: profile.set_shape("frames", (1,), (1,)),
        "too-many": lambda: context.execute_async_v3(1, 2),
        "misnamed": lambda: builder.create_network(flag=1),
        "wrong-type": lambda: config.set_flag("FP16"),
        "wrong-object": lambda: builder.build_serialized_network(config, network),
        "wrong-value-type": lambda: setattr(config, "progress_monitor", 3),
    }


def said_to(call: Any) -> str:
    try:
        call()
    except ApiError as error:
        return str(error)
    return ""


def main() -> None:
    _, version, part = sys.argv
    if part == "rtx-engine":
        import tensorrt_rtx as trt
    else:
        import tensorrt_bindings as trt  # type: ignore[no-redef]
    assert trt.__version__ == version, trt.__version__
    if part == "mistakes":
        print(json.dumps({name: said_to(call) for name, call in mistakes(trt).items()}))
        return
    if part == "flags":
        exporter.uses_flags = lambda *_: True
    walks = {"engine": walk_engine, "rtx-engine": walk_rtx_engine}
    api = walks.get(part, walk_exporter)(trt)
    print(json.dumps(sorted(api.used)))


if __name__ == "__main__":
    main()
