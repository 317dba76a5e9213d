"""The networks people bring: each exports to ONNX and OpenVINO and answers as torch does; one of them in full depth."""

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow]

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("onnx")

from edgefs.networks import BACKBONES, build  # noqa: E402
from exporters.onnx.graph import EmbedderGraph  # noqa: E402
from exporters.onnx.session import open_session  # noqa: E402
from exporters.pipeline import export  # noqa: E402
from exporters.sources.pictures import sample_pictures  # noqa: E402
from exporters.sources.torch_source import TorchSource  # noqa: E402
from exporters.sources.torchvision_source import set_batch_statistics, torchvision_source  # noqa: E402
from exporters.targets.openvino import build as build_openvino  # noqa: E402
from exporters.targets.request import Request  # noqa: E402
from runtime.engines import agreement  # noqa: E402
from runtime.preprocess import Preprocess  # noqa: E402

NETWORKS = (
    "conv4",
    "resnet12",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "vit_b_16",
)


def source_of(name):
    if name not in BACKBONES:
        return torchvision_source(name, weights="none")
    torch.manual_seed(0)
    network = build(name, channels=3, size=84)
    set_batch_statistics(network, 84)
    return TorchSource(name, EmbedderGraph(network, mean=[0.5] * 3, std=[0.5] * 3), Preprocess((84, 84)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_answers_as_in_torch_on_both_engines(name, photos):
    openvino = pytest.importorskip("openvino")
    source = source_of(name)
    frames = sample_pictures(photos, source.preprocess, count=16).frames[::4]
    expected, model = source.embed(frames), source.to_onnx()
    assert agreement(open_session(model).run(None, {"frames": frames})[0], expected).min() > 0.9999
    ir = build_openvino(model, "fp16", Request()).files
    read = openvino.Core().read_model(ir["openvino/fp16/model.xml"], ir["openvino/fp16/model.bin"])
    compiled = openvino.Core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert agreement(compiled(frames)[0], expected).min() > 0.999
    assert read.get_rt_info(["edgefs", "precision"]).value == "fp16"


def test_mobilenet_v3_small_in_every_precision_on_every_cpu_target(photos, tmp_path):
    pytest.importorskip("nncf")
    source = torchvision_source("mobilenet_v3_small", weights="none", size=96)
    pictures = sample_pictures(photos, source.preprocess)
    request = Request(
        precisions=("fp32", "fp16", "int8"), calibration=pictures, base=pictures, allow=True, keep=("fp16", "int8")
    )
    exported = export(source, request, pictures)
    assert len(exported.reports) == 6
    assert all(report.kept and np.isfinite(report.min_cosine) for report in exported.reports)
    assert exported.bundle.save(tmp_path / "b.edgefs").verify()
