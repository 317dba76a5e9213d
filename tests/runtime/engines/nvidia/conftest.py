"""A simulated GPU with TensorRT, and a passport that fits it."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from runtime.engines.nvidia import cuda
from runtime.engines.nvidia.passport import Machine, Passport

PLAN = b"a plan"


@pytest.fixture(scope="session")
def fake_gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake_gpu", Path(__file__).parents[3] / "fake_gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cudart_file(fake_gpu, tmp_path_factory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("the stub of libcudart needs gcc")
    return fake_gpu.compile_cudart(tmp_path_factory.mktemp("cudart"))


@pytest.fixture
def cudart(fake_gpu, cudart_file, tmp_path, monkeypatch):
    stub = fake_gpu.Cudart(shutil.copy(cudart_file, tmp_path))  # a copy has its own counters
    monkeypatch.setattr(cuda, "LIBRARIES", (str(stub.path),))
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    return stub


@pytest.fixture
def trt(fake_gpu, cudart, tiny, monkeypatch):
    proto = tiny.model()
    fake = fake_gpu.tensorrt(cudart, lambda frames: tiny.reference(proto, frames), (32, 32, 3), tiny.DIM)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    return fake


@pytest.fixture
def passport(cudart, tiny) -> Passport:
    """A passport that fits the plan, the model and this simulated machine."""
    machine = cuda.Cuda()
    here = Machine.this("10.3.0", machine)
    machine.close()
    return Passport(
        target="tensorrt",
        precision="fp16",
        plan_sha256=hashlib.sha256(PLAN).hexdigest(),
        model_sha256=hashlib.sha256(tiny.model().SerializeToString()).hexdigest(),
        onnx_sha256="0" * 64,
        shape=(32, 32, 3),
        batch=(1, 1, 8),
        library_version="10.3.0",
        compute_capabilities=(here.compute_capability,),
        os=here.os,
        arch=here.arch,
        driver=here.driver,
        jetpack=here.jetpack,
    )
