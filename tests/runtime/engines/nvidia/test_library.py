"""A missing library or GPU is reported with what to install."""

import sys

import pytest

from runtime.engines import tensorrt, tensorrt_rtx
from runtime.engines.nvidia import cuda, library
from runtime.errors import EngineMissing


def test_without_gpu_or_library_the_engine_is_missing(trt, cudart, monkeypatch):
    assert tensorrt.ENGINE.version() == "10.3.0"
    assert cudart["live"] == 0
    cudart["devices"] = 0
    with pytest.raises(EngineMissing, match=r"must be an NVIDIA GPU, but CUDA finds none \(error 100;"):
        tensorrt.ENGINE.version()
    monkeypatch.setattr(cuda, "LIBRARIES", ("libnothing.so",))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EngineMissing, match="CUDA runtime must be installed"):
        cuda.Cuda()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(EngineMissing, match="JetPack has it"):
        tensorrt.ENGINE.version()
    with pytest.raises(EngineMissing, match=r"pip install 'edgefs\[tensorrt-rtx\]'"):
        tensorrt_rtx.ENGINE.version()


def test_both_targets_have_an_install_line():
    assert set(library.INSTALL) == {*tensorrt.ENGINE.targets, *tensorrt_rtx.ENGINE.targets}
