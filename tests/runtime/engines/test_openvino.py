"""OpenVINO on a device that was asked for: the real CPU and AUTO, and an NPU that the real CPU stands in for."""

import numpy as np
import pytest

from runtime.engines import open_engine, openvino
from runtime.errors import EngineError, OptionError
from runtime.recognizer import Recognizer

pytest.importorskip("openvino")


class CoreWithNpu:
    """OpenVINO's core with an NPU: it refuses what NPUs refuse, and its models run on the CPU."""

    available_devices = ("CPU", "NPU")

    def __init__(self):
        self.real, self.options = openvino.core(), []

    def get_property(self, device, name):
        if device == "NPU":
            return {"SUPPORTED_PROPERTIES": {"NUM_STREAMS": "RW", "PERFORMANCE_HINT": "RW"}}[name]
        return self.real.get_property(device, name)

    def compile_model(self, model, device, options):
        self.options.append(options)
        if device == "NPU":
            if unknown := set(options) - {"NUM_STREAMS", "PERFORMANCE_HINT"}:
                raise RuntimeError(f"the NPU has no {unknown}")
            if model.is_dynamic():
                raise RuntimeError("the NPU runs static shapes only")
        return Compiled(self.real.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), device)

    def __getattr__(self, name):
        return getattr(self.real, name)


class Compiled:
    """A compiled model that names the device it was compiled for."""

    def __init__(self, real, device):
        self.real, self.device = real, device

    def create_infer_request(self):
        return Request(self.real.create_infer_request(), self)

    def get_property(self, name):
        return [self.device] if name == "EXECUTION_DEVICES" else self.real.get_property(name)


class Request:
    """An infer request of a `Compiled`."""

    def __init__(self, real, compiled):
        self.real, self.compiled = real, compiled

    def get_compiled_model(self):
        return self.compiled

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.fixture
def with_npu(monkeypatch):
    core = CoreWithNpu()
    monkeypatch.setattr(openvino, "core", lambda: core)
    return core


@pytest.mark.parametrize("device", ["CPU", "AUTO"])
def test_a_device_is_that_of_openvino_and_gives_the_same_embeddings(tiny_bundle, device):
    frames, _ = tiny_bundle.golden()
    usual, asked = open_engine(tiny_bundle, "openvino", threads=1), open_engine(tiny_bundle, device=device, threads=1)
    assert (usual.info.device, asked.info.name, asked.info.device) == ("CPU", "openvino", "CPU")
    for some in (frames, frames[:1]):
        np.testing.assert_allclose(asked.embed(some), usual.embed(some), atol=2e-5)
    usual.close()
    asked.close()


@pytest.mark.parametrize("device", ["GPU.7", "TPU", "cpu", ""])
@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_an_absent_device_is_refused_with_those_that_there_are(tiny_bundle, engine, device):
    have = ", ".join(openvino.core().available_devices)
    with pytest.raises(
        EngineError, match=rf"must be AUTO or one that OpenVINO \S+ has here \({have}\), but is '{device}'"
    ):
        open_engine(tiny_bundle, engine, device=device)


def test_a_device_for_an_engine_without_a_choice_is_refused(tiny_bundle):
    with pytest.raises(OptionError, match=r"for openvino only, but the engine is 'onnxruntime'; leave out"):
        open_engine(tiny_bundle, "onnxruntime", device="CPU")


def test_a_recognizer_runs_and_swaps_on_a_device(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, device="AUTO") as rec:
        assert rec.engine.info.name == "openvino"
        rec.enroll("a", tiny.views(0, 3))
        rec.swap(tiny.bundle(dim=48, seed=3), device="AUTO")
        assert (rec.engine.info.name, rec.recognize(tiny.views(0, 1)[0]).candidate) == ("openvino", "a")


def test_an_npu_gets_only_the_options_that_it_has_and_one_frame_at_a_time(tiny_bundle, with_npu):
    frames, expected = tiny_bundle.golden()
    engine = open_engine(tiny_bundle, device="NPU")
    np.testing.assert_allclose(engine.embed(frames), expected, atol=1e-2)
    assert (engine.info.device, engine.info.arithmetic) == ("NPU", "f16")
    engine.close()


def test_auto_pins_precision_and_threads_of_each_device_and_never_changes_the_device(tiny_bundle, with_npu):
    with_npu.available_devices = ("CPU",)
    open_engine(tiny_bundle, device="AUTO", threads=1).close()
    (options,) = with_npu.options
    cpu = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    assert options["DEVICE_PROPERTIES"] == {"CPU": cpu}
    assert options["ENABLE_STARTUP_FALLBACK"] is options["ENABLE_RUNTIME_FALLBACK"] is False


def test_the_cpu_is_opened_without_looking_for_other_devices(tiny_bundle, with_npu):
    with_npu.available_devices = None
    open_engine(tiny_bundle, "openvino", device="CPU").close()
