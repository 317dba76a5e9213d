"""ONNX Runtime's GPU providers, tested without a GPU: their options, and that a fall-back to the CPU is an error."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.engines.onnxruntime_gpu import ENGINE, OnnxRuntimeGpuEngine
from runtime.errors import EngineError, EngineMissing

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def ort(monkeypatch, tiny):
    """An onnxruntime-gpu whose sessions embed on the CPU; `.works` lists the providers that accept the model."""
    fake = SimpleNamespace(__version__="1.99", works=[TENSORRT, CUDA], asked=None, available=[TENSORRT, CUDA, CPU])

    class Session:
        def __init__(self, model, options, providers):
            assert model
            assert options.intra_op_num_threads == 1
            fake.asked = dict(providers)
            self.run = lambda _, feed: [tiny.reference(tiny.bundle_model, feed["frames"])]

        def get_providers(self):
            return [*(name for name in fake.asked if name in fake.works), CPU]

        def get_inputs(self):
            return [SimpleNamespace(name="frames")]

    fake.InferenceSession, fake.SessionOptions = Session, SimpleNamespace
    fake.get_available_providers = lambda: fake.available
    tiny.bundle_model = tiny.model()
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    return fake


def opened(tiny) -> OnnxRuntimeGpuEngine:
    bundle = tiny.bundle()
    return OnnxRuntimeGpuEngine(bundle, bundle.artifacts[0], 1)


@pytest.mark.parametrize(("works", "name"), [([TENSORRT, CUDA], "onnxruntime-tensorrt"), ([CUDA], "onnxruntime-cuda")])
def test_the_engine_is_named_after_the_provider_that_accepted_the_model(ort, tiny, works, name):
    ort.works = works
    engine = opened(tiny)
    assert engine.info.name == name
    assert ort.asked[CUDA] == {"use_tf32": 0}
    assert engine.embed(tiny.bundle().golden()[0]).shape == (6, tiny.DIM)
    assert engine.embed(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, tiny.DIM)
    engine.close()
    with pytest.raises(EngineError, match="was closed"):
        engine.embed(tiny.bundle().golden()[0])


def test_a_silent_fall_back_to_the_cpu_is_an_error(ort, tiny):
    ort.works = []
    with pytest.raises(EngineError, match=f"must run on {TENSORRT} or {CUDA}, but fell back to {CPU}"):
        opened(tiny)


def test_a_build_without_cuda_counts_as_missing(ort):
    ort.available = [CPU]
    with pytest.raises(EngineMissing, match=r"built without CUDA.*pip install onnxruntime-gpu"):
        ENGINE.version()
