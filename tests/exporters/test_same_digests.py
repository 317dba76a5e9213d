"""An export of the same input gives the same files; only the manifest's provenance has dates and times."""

import importlib.util

import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("onnx")

from exporters.pipeline import export  # noqa: E402
from exporters.sources.onnx_source import open_onnx  # noqa: E402
from exporters.sources.torchvision_source import torchvision_source  # noqa: E402
from exporters.targets.request import Request  # noqa: E402

PRECISIONS = ("fp32", "fp16", "int8")
# The builder of TensorRT for RTX does not always choose the same int8 plan for the same file.
EXCEPT = {"tensorrt-rtx/int8/model.plan", "tensorrt-rtx/int8/model.passport.json"}


def digests(source, pictures, **options):
    request = Request(
        precisions=PRECISIONS, calibration=pictures, base=pictures, allow=True, keep=PRECISIONS, **options
    )
    bundle = export(source, request, pictures).bundle
    files = {name: entry["sha256"] for name, entry in bundle.manifest["files"].items() if name not in EXCEPT}
    return files | {"": bundle.fingerprint}


@pytest.mark.parametrize("target", ["onnx", "openvino", "tensorrt-rtx"])
def test_a_users_onnx_exported_twice(user_onnx, pictures, target):
    if target == "openvino":
        pytest.importorskip("nncf")
    if target == "tensorrt-rtx" and importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("needs TensorRT for RTX: pip install 'edgefs[tensorrt-rtx]'")
    first, second = (
        digests(open_onnx(user_onnx(end="gemm"), mean=[0.5], std=[0.25]), pictures, targets=(target,)) for _ in range(2)
    )
    assert first == second
    assert any("int8" in name for name in first)


def test_a_network_of_torch_exported_twice(pictures):
    first, second = (
        digests(torchvision_source("mobilenet_v3_small", weights="none", size=32), pictures, targets=("onnx",))
        for _ in range(2)
    )
    assert first == second
