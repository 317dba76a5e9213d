"""The CUDA runtime: errors, and that the real libraries have every function that is used."""

import pytest

from runtime.engines.nvidia import cuda
from runtime.errors import EngineError, EngineMissing


def test_cuda_errors_carry_their_number(cudart):
    machine = cuda.Cuda()
    with pytest.raises(EngineError, match="cudaDeviceGetAttribute must succeed, but CUDA answers error 3"):
        machine._call("cudaDeviceGetAttribute", 75, 3)
    machine.close()


@pytest.mark.torch  # torch brings both
def test_the_real_libcudart_has_every_function():
    try:
        api = cuda.CudartByCtypes()
    except EngineMissing as error:
        pytest.skip(str(error))
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
