"""The speed of a bundle's precisions is compared again on the device."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from edgefs.cli import main
from exporters import decide as deciding
from exporters.targets import onnx_cpu
from exporters.targets.request import Request
from exporters.verify.latency import CLOSE, FASTER, Latency
from runtime.bundle import Artifact, Bundle
from runtime.models import default_bundle

WITHOUT = """import sys
sys.modules["torch"] = sys.modules["onnx"] = None
from edgefs.cli import main
sys.exit(main(sys.argv[1:]))"""


@pytest.fixture
def bundle(tmp_path):
    """The default bundle with its weights as float16 too, and a plan that no machine can run."""
    own = default_bundle()
    half = onnx_cpu.build(own.read("model.onnx"), "fp16", Request())
    frames, embeddings = own.golden()
    made = Bundle.build(
        name="decided",
        description="",
        preprocess=own.preprocess,
        metric=own.metric,
        model=own.read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=embeddings,
        extra={**half.files, "tensorrt/fp16/model.plan": b"a plan"},
        artifacts=(
            Artifact("onnx", "fp16", half.file, 0.99),
            Artifact("tensorrt", "fp16", "tensorrt/fp16/model.plan", 0.99),
        ),
    )
    return made.save(tmp_path / "decided.edgefs")


def test_the_command_decides_without_torch_and_onnx(bundle):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "bundle", "decide", str(bundle.path), "--threads", "1", "--json", "-"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    half, plan = json.loads(done.stdout)["decided"]
    assert (half["target"], half["precision"]) == ("onnx", "fp16")
    assert half["result"] in ("faster", "slower", "too close to tell")
    assert half["speed"]["low"] <= half["speed"]["ratio"] <= half["speed"]["high"]
    assert plan["speed"] is None
    assert plan["result"].startswith("not run: ")


def test_the_result_is_that_of_the_rounds(bundle, monkeypatch):
    monkeypatch.setattr(deciding, "interleaved", lambda _: [Latency((2.0,) * 9), Latency((1.0,) * 9)])
    assert deciding.decide(bundle)[0].result == FASTER
    monkeypatch.setattr(deciding, "interleaved", lambda _: [Latency((2.0,) * 9)] * 2)
    assert deciding.decide(bundle)[0].result == CLOSE


def test_a_bundle_of_float32_only_is_told_how_to_get_more(capsys):
    assert main(["bundle", "decide", str(default_bundle().path)]) == 0
    assert "--keep fp16,int8" in capsys.readouterr().out
