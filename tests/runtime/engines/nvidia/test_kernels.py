"""The kernels of TensorRT for RTX on a simulated GPU: compiled once, stored, and compiled again if they do not fit."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import numpy as np
import pytest

from runtime.bundle import Artifact, Bundle
from runtime.engines.nvidia.kernels import kernel_file, read_kernels
from runtime.engines.nvidia.passport import passport_name
from runtime.engines.nvidia.plan import PlanEngine

PLAN, FILE = b"a plan", "tensorrt-rtx/fp16/model.plan"
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEFS_MODEL_CACHE", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def start(trt, tiny, passport, monkeypatch):
    """Open the engine as a new process does, and embed batches; returns the kernels compiled for them."""
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", trt)
    stamped = replace(passport, target="tensorrt-rtx").to_json()
    bundle = Bundle.build(
        name="planned",
        description="",
        preprocess=tiny.bundle().preprocess,
        metric="cosine",
        model=tiny.model().SerializeToString(),
        golden_frames=FRAMES,
        golden_embeddings=tiny.reference(tiny.model(), FRAMES),
        extra={FILE: PLAN, passport_name(FILE): stamped},
        artifacts=(Artifact("tensorrt-rtx", "fp16", FILE),),
    )

    def run(*counts: int, close: bool = True) -> list[str]:
        trt.compiled.clear()
        engine = PlanEngine(bundle, bundle.artifacts[1], 1)
        for count in counts:
            expected = tiny.reference(tiny.model(), FRAMES[:count])
            np.testing.assert_allclose(engine.embed(FRAMES[:count]), expected, atol=1e-5)
        if close:
            engine.close()
        return list(trt.compiled)

    return run


def test_kernels_are_compiled_once_and_found_at_the_next_start(start, folder):
    assert start(1, 1, 3) == ["kernel-for-1", "kernel-for-3"]
    (file,) = folder.iterdir()
    assert read_kernels(file) == b"580 kernel-for-1 kernel-for-3"
    written = file.stat().st_mtime_ns
    assert start(1, 1, 3) == []
    assert file.stat().st_mtime_ns == written, "nothing new was compiled"
    assert start(2) == ["kernel-for-2"]
    assert start(1, 2, 3) == []


def test_kernels_are_stored_after_the_first_frame_so_that_a_power_loss_costs_none(start, folder):
    assert start(1, close=False) == ["kernel-for-1"]
    assert start(1) == []


def test_without_a_folder_nothing_is_stored(start, tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFS_MODEL_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert kernel_file("plan") is None
    assert start(1) == start(1) == ["kernel-for-1"]


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_compiled_again_and_replaced(start, folder, damage):
    start(1)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"2" if damage is None else damage)
    assert read_kernels(file) == b""
    assert start(1) == ["kernel-for-1"]
    assert file.read_bytes() == whole


def test_kernels_that_the_library_refuses_are_compiled_again(start, folder, trt):
    start(1)
    (file,) = folder.iterdir()
    trt.driver = "600"
    assert start(1) == ["kernel-for-1"]
    assert read_kernels(file) == b"600 kernel-for-1"
    assert start(1) == []


def test_a_folder_that_cannot_be_written_is_no_error(start, folder):
    folder.write_text("a file")
    assert start(1) == start(1) == ["kernel-for-1"]


def test_every_plan_library_and_gpu_has_a_file_of_its_own(folder):
    keys = [("a", "1.7", "8.6"), ("b", "1.7", "8.6"), ("a", "1.8", "8.6"), ("a", "1.7", "12.0")]
    assert len({kernel_file(*key) for key in keys}) == len(keys)
    assert kernel_file("a").parent == folder


def test_the_library_records_the_graph_and_single_frames_always_run_the_same_kernels(start, trt, cudart, folder):
    start(1, 1, 1, 3)
    assert trt.strategies == [("WHOLE_GRAPH_CAPTURE", "EAGER"), ("WHOLE_GRAPH_CAPTURE", "LAZY")]
    assert cudart["launches"] == 0, "we record nothing ourselves"
    assert cudart["live"] == 0


def test_the_digest_is_that_of_the_kernels(tmp_path):
    (tmp_path / "k").write_bytes(hashlib.sha256(b"kernels").digest() + b"kernels")
    assert read_kernels(tmp_path / "k") == b"kernels"
    assert read_kernels(tmp_path / "none") == b""
    assert read_kernels(None) == b""
