"""The CUDA runtime: errors, and that the real libraries have every function that is used."""

import ctypes
import shutil

import pytest

from runtime.engines.nvidia import cuda
from runtime.errors import EngineError, EngineMissing


def test_cuda_errors_carry_their_number(cudart):
    machine = cuda.Cuda()
    with pytest.raises(EngineError, match="cudaDeviceGetAttribute must succeed, but CUDA answers error 3"):
        machine._call("cudaDeviceGetAttribute", 75, 3)
    machine.close()


def test_the_stream_does_not_wait_for_work_on_the_default_stream(cudart):
    machine = cuda.Cuda()
    assert cudart["flags"] == 1  # cudaStreamNonBlocking
    machine.close()


def test_an_older_cuda_runtime_is_used_if_the_driver_is_too_old_for_the_newest(
    fake_gpu, cudart, cudart_file, tmp_path, monkeypatch
):
    newest = fake_gpu.Cudart(shutil.copy(cudart_file, tmp_path / "libcudart.so.13"))
    newest["old_driver"] = 1
    monkeypatch.setattr(cuda, "LIBRARIES", (str(newest.path), str(cudart.path)))
    machine = cuda.Cuda()
    assert (newest["live"], cudart["live"]) == (0, 1)
    machine.close()
    cudart["devices"] = 0
    with pytest.raises(EngineMissing, match=r"finds none \(error 100;"):
        cuda.Cuda()


def test_a_failed_recording_leaves_no_error_for_the_next_call(cudart):
    machine = cuda.Cuda()
    cudart["refuse_capture"] = 1
    kernel = ctypes.CFUNCTYPE(None)(lambda: None)
    with pytest.raises(EngineError, match="cudaStreamEndCapture must succeed, but CUDA answers error 901"):
        machine.record(lambda: cudart.library.stub_kernel(kernel))
    assert cudart.library.stub_kernel(kernel) == 0
    machine.close()


@pytest.mark.torch  # torch brings both
def test_the_real_libcudart_has_every_function():
    libraries = list(cuda.cudart_libraries())
    if not libraries:
        pytest.skip("needs a libcudart")
    api = cuda.CudartByCtypes(libraries[0])
    assert api.cudaGetLastError() in ((0,), (35,))  # 35: this machine has no driver
    error, version = api.cudaDriverGetVersion()
    assert (error, version >= 0) == (0, True)
    error, count = api.cudaGetDeviceCount()
    assert error or count


@pytest.mark.torch
def test_cuda_bindings_have_every_function_and_our_numbers():
    runtime = pytest.importorskip("cuda.bindings.runtime", exc_type=ImportError)
    for name, types in cuda._FUNCTIONS.items():
        inputs = [kind for kind in types if kind not in (cuda._RESULT, cuda._RESULT_INT)]
        stated = getattr(runtime, name).__doc__.splitlines()[0].partition("(")[2].rstrip(")")
        assert len([word for word in stated.split(",") if word.strip()]) == len(inputs), (name, stated)
    for name, members in cuda._ENUMS.items():
        for member, number in members.items():
            assert int(getattr(getattr(runtime, name), member)) == number
