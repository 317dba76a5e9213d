"""One line in ENGINES and one module are all that an engine needs."""

import sys
from types import ModuleType

import pytest

from runtime.engines import EngineSpec, auto_engines, cpu_engine, engine_spec, open_engine
from runtime.engines.fake import FakeEngine
from runtime.engines.registry import ENGINES
from runtime.errors import EngineMissing, OptionError


class ToyEngine(FakeEngine):
    def __init__(self, bundle, *_):
        super().__init__(bundle.dim)
        self._golden = bundle.golden()[1]

    def embed(self, frames):
        row = self.calls
        self.calls += 1
        return self._golden[row : row + len(frames)]


@pytest.fixture
def toy(monkeypatch):
    module = ModuleType("toy_engine")
    module.ENGINE = EngineSpec("Toy", ("onnx",), ToyEngine, lambda: "1", "Do: pip install toy", auto=False)
    monkeypatch.setitem(sys.modules, "toy_engine", module)
    monkeypatch.setitem(ENGINES, "toy", "toy_engine")
    return module.ENGINE


def test_an_added_engine_opens_by_name_and_appears_in_messages(toy, tiny_bundle):
    assert open_engine(tiny_bundle, "toy").info.golden_cosine == 1
    with pytest.raises(OptionError, match=r"engine must be one of auto, .*toy, or .*, but got 'tyo'"):
        open_engine(tiny_bundle, "tyo")


def test_auto_takes_only_engines_that_allow_it(toy):
    assert "toy" not in auto_engines()
    assert auto_engines() == ["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"]


def test_each_portable_target_has_an_engine_that_checks_it_on_the_cpu():
    assert cpu_engine("onnx") is engine_spec("onnxruntime")
    assert cpu_engine("openvino") is engine_spec("openvino")
    assert cpu_engine("tensorrt") is None


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_states_how_to_install_it(name):
    spec = engine_spec(name)
    assert "pip install" in spec.install
    assert spec.title
    assert spec.targets


def test_an_engine_whose_version_cannot_be_read_is_not_installed():
    def version():
        raise EngineMissing("no")

    assert not EngineSpec("Toy", (), ToyEngine, version, "").installed()


def test_reading_what_engines_state_imports_no_library(python):
    code = """
import sys
from runtime.engines import ENGINES, engine_spec
for name in ENGINES:
    engine_spec(name)
print(*({"onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "cv2"} & set(sys.modules)))
"""
    assert python(code).stdout.strip() == ""
