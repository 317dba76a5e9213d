"""Exporter and engine against NVIDIA's own bindings of three versions, on stub libraries (`tests/tensorrt_api.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
