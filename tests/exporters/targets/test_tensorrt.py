"""Exporter and engine against NVIDIA's own bindings of three versions, on stub libraries (`tests/tensorrt_api.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

TESTS = Path(__file__).parents[2]
VERSIONS = ("10.3.0", "10.16.1.11", "11.4.0.106")


@pytest.fixture(params=VERSIONS, scope="session")
def walk(request, load_module, downloads, downloaded, tmp_path_factory):
    """Run a part of our code on one version; returns the finished process."""
    api, version, stubs = load_module("tensorrt_api"), request.param, tmp_path_factory.mktemp("stubs")
    package = downloaded(f"{api.WHEELS[version]}=={version}")
    try:
        api.build_stubs(stubs, version, downloads.TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"the stub libraries of TensorRT cannot be compiled here: {error}")

    def run(part: str) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join(map(str, (TESTS.parent, TESTS, package)))
        environment = {**os.environ, "PYTHONPATH": paths, "LD_LIBRARY_PATH": str(stubs)}
        command = [sys.executable, TESTS / "tensorrt_walk.py", version, part]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=downloads.TIMEOUT_S, check=False
        )

    run.version = version
    return run


def test_the_exporter_uses_only_what_this_version_has(walk):
    done = walk("exporter")
    assert done.returncode == 0, done.stderr
    used = set(json.loads(done.stdout))
    flags = {"ILayer.precision", "ILayer.set_output_type"}
    assert (flags <= used) is (not walk.version.startswith("11.")), "flags: 10.3, and the DLA before 11"
    assert ("NetworkDefinitionCreationFlag" in used) is (walk.version != "10.3.0"), "strongly typed from 10.12"


def test_the_engine_uses_only_what_this_version_has(walk):
    done = walk("engine")
    assert done.returncode == 0, done.stderr
    assert {"Runtime.deserialize_cuda_engine", "IExecutionContext.execute_async_v3"} <= set(json.loads(done.stdout))


def test_builder_flags_are_noticed_where_they_are_gone(walk):
    done = walk("flags")
    assert (done.returncode != 0) is walk.version.startswith("11."), done.stderr
    assert done.returncode == 0 or "BuilderFlag" in done.stderr


def test_deliberate_mistakes_are_noticed(walk):
    done = walk("mistakes")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) == 10
    for mistake, words in said.items():
        assert words.startswith(f"TensorRT {walk.version}"), mistake


def test_the_flags_hold_a_layer_in_float32_that_float16_cannot_hold(tiny):
    """Of the layers "Relu_5" and "Gemm_8" of the tiny network, the first one is too large."""
    from exporters.targets.tensorrt import _set_precision_by_flags
    from exporters.targets.typed_model import TypedModel

    names = ("FP16", "OBEY_PRECISION_CONSTRAINTS", "ELEMENTWISE", "UNARY", "REDUCE", "FLOAT")
    kinds = SimpleNamespace(**dict(zip(names, names, strict=True)))
    trt = SimpleNamespace(BuilderFlag=kinds, LayerType=kinds, DataType=kinds)
    held: dict[str, str] = {}
    layers = [
        SimpleNamespace(
            name=name,
            metadata=f"[ONNX Layer: {name}]",
            type="OTHER",
            set_output_type=lambda _, kind, n=name: held.update({n: kind}),
        )
        for name in ("Relu_5", "Gemm_8")
    ]
    network = SimpleNamespace(num_layers=2, get_layer=layers.__getitem__)
    typed = TypedModel("fp16", tiny.model().SerializeToString(), "frames", (32, 32, 3), 1.0, False, {"Relu_5": 1e6})
    flags = _set_precision_by_flags(trt, network, SimpleNamespace(set_flag=lambda _: None), "fp16", typed)
    assert held == {"Relu_5": "FLOAT"}
    assert "--layerPrecisions=Relu_5:fp32" in flags
