"""OpenVINO IR: what it says about itself, and refusals."""

import json
import sys

import onnx
import pytest

openvino_library = pytest.importorskip("openvino")

from exporters import ExportError, Request, ToolMissing  # noqa: E402
from exporters.targets import openvino  # noqa: E402
from runtime.preprocess import Preprocess  # noqa: E402


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_ir_states_its_precision_and_fp16_halves_the_weights(tiny, precision):
    made = openvino.build(tiny.model().SerializeToString(), precision, Request())
    xml, weights = (made.files[f"openvino/{precision}/model.{end}"] for end in ("xml", "bin"))
    read = openvino_library.Core().read_model(xml, weights)
    assert read.get_rt_info(["edgefs", "precision"]).value == precision
    single = openvino.build(tiny.model().SerializeToString(), "fp32", Request())
    ratio = len(weights) / len(single.files["openvino/fp32/model.bin"])
    assert ratio == pytest.approx(1 if precision == "fp32" else 0.5, abs=0.1)


def test_the_ir_holds_the_whole_contract_and_is_the_same_each_time(tiny):
    proto, preprocess = tiny.model(), Preprocess((32, 32), crop="pad")
    onnx.helper.set_model_props(
        proto, {"edgefs.preprocess": json.dumps(preprocess.to_json()), "edgefs.metric": "cosine"}
    )
    first, second = (openvino.build(proto.SerializeToString(), "fp32", Request()).files for _ in range(2))
    assert first == second
    read = openvino_library.Core().read_model(first["openvino/fp32/model.xml"], first["openvino/fp32/model.bin"])
    assert Preprocess.from_json(json.loads(read.get_rt_info(["edgefs", "preprocess"]).value)) == preprocess
    assert read.get_rt_info(["edgefs", "metric"]).value == "cosine"


def test_only_int8_has_a_second_attempt(tiny):
    assert openvino.build_again(b"", "fp16", Request()) is None


def test_what_openvino_cannot_read_is_refused_with_its_words():
    with pytest.raises(ExportError, match=r"OpenVINO \S+ refuses the fp32 model"):
        openvino.build(b"no model", "fp32", Request())


def test_a_missing_library_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ToolMissing, match=r"edgefs\[export\]"):
        openvino.build(b"", "fp32", Request())
