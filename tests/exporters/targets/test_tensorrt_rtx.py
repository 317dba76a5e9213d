"""NVIDIA's own parser and builder, without a GPU: plans of TensorRT for RTX, built ahead of time."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exporters.errors import ExportError
from exporters.sources.pictures import Pictures
from exporters.targets.plan import Profile, build_plan
from exporters.targets.request import Request
from exporters.targets.tensorrt_rtx import build, check, check_well_formed
from runtime.bundle import Artifact, Bundle
from runtime.engines import tensorrt_rtx
from runtime.engines.nvidia import cuda
from runtime.engines.nvidia.passport import Passport
from runtime.engines.nvidia.plan import PlanEngine
from runtime.errors import EngineMissing

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="needs TensorRT for RTX: pip install 'edgefs[tensorrt-rtx]'",
)
BOTH = ("SM86", "SM120")
PRECISIONS = ("fp32", "fp16", "int8")


def frames(shape: tuple[int, ...], count: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


def plans_of(model: bytes, precisions: tuple[str, ...], calibration: np.ndarray | None = None, **options) -> list:
    """Build a plan for each precision."""
    pictures = None
    if calibration is not None:
        pictures = Pictures(calibration, np.zeros(len(calibration), np.int64), ("",) * len(calibration), "frames")
    request = Request(targets=("tensorrt-rtx",), precisions=precisions, calibration=pictures, **options)
    return [build(model, precision, request) for precision in precisions]


def check_built(built: list, model: bytes, compute: tuple[str, ...]) -> None:
    """Files and passports; that the library finds its plans well formed is part of building them."""
    import tensorrt_rtx as trt

    for candidate in built:
        assert candidate.file, candidate.reason
        plan = candidate.files[candidate.file]
        name = candidate.file.replace(".plan", ".passport.json")
        passport = Passport.from_json(candidate.files[name], name)
        assert passport.compute_capabilities == tuple(f"{sm[2:-1]}.{sm[-1]}" for sm in compute)
        assert passport.library_version == trt.__version__
        assert passport.plan_sha256 == hashlib.sha256(plan).hexdigest()
    sizes = {candidate.precision: len(candidate.files[candidate.file]) for candidate in built}
    assert sizes["fp16"] < sizes["fp32"], "half the weights"
    assert len(model) < sizes["fp32"]


@pytest.mark.parametrize("compute", [("SM86",), ("SM120",), BOTH])
def test_plans_of_every_precision_are_built_without_a_gpu(tiny, compute):
    model = tiny.model().SerializeToString()
    shape = (tiny.SIDE, tiny.SIDE, 3)
    built = plans_of(model, PRECISIONS, frames(shape), compute=compute)
    check_built(built, model, compute)
    assert set(built[1].files) == {f"tensorrt-rtx/fp16/model.{end}" for end in ("plan", "passport.json", "onnx")}


def test_the_plans_fit_into_a_bundle(tiny, tmp_path):
    golden = tiny.bundle().golden()
    model = tiny.bundle().read("model.onnx")
    built = plans_of(model, ("fp32", "fp16"), compute=BOTH)
    bundle = Bundle.build(
        name="planned",
        description="",
        preprocess=tiny.bundle().preprocess,
        metric="cosine",
        model=model,
        golden_frames=golden[0],
        golden_embeddings=golden[1],
        extra={name: data for candidate in built for name, data in candidate.files.items()},
        artifacts=tuple(Artifact(c.target, c.precision, c.file) for c in built),
    ).save(tmp_path / "planned.edgefs")
    if _gpu():
        pytest.skip("the refusal below needs a machine without a GPU")
    with pytest.raises(EngineMissing, match=r"must be an NVIDIA GPU|CUDA runtime must be installed"):
        PlanEngine(bundle, bundle.artifacts[1], 1)
    with pytest.raises(EngineMissing, match=r"must be an NVIDIA GPU|CUDA runtime must be installed"):
        tensorrt_rtx.ENGINE.version()


def _gpu() -> bool:
    try:
        cuda.Cuda().close()
    except EngineMissing:
        return False
    return True


def test_the_engine_uses_only_what_the_library_has():
    """Every call of the engine, those for graphs and stored kernels among them, fits the library's own signatures."""
    import tensorrt_rtx as trt

    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tests.parent, tests)))}
    command = [sys.executable, tests / "tensorrt_walk.py", trt.__version__, "rtx-engine"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    used = {"IRuntimeConfig.set_runtime_cache", "IRuntimeCache.serialize", "IRuntimeConfig.cuda_graph_strategy"}
    assert used <= set(json.loads(done.stdout))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_that_was_quantised_for_a_cpu_is_built(tiny, precision):
    from exporters.targets.onnx_int8 import quantise

    calibration = frames((tiny.SIDE, tiny.SIDE, 3))
    model = quantise(tiny.model(), calibration, activations="QUInt8").SerializeToString()
    assert plans_of(model, (precision,), calibration)[0].file


def test_a_refused_node_is_named_with_its_operator():
    """TensorRT cannot transpose uint8, which is why our graphs cast first."""
    nodes = [
        helper.make_node("Transpose", ["frames"], ["planes"], "turn_uint8", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["x"], "cast", to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["x"], ["y"], "pool"),
        helper.make_node("Flatten", ["y"], ["embeddings"], "flatten"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    with pytest.raises(ExportError, match="Transpose node 'turn_uint8'"):
        plans_of(model, ("fp32",))


def test_a_damaged_plan_is_told_from_a_sound_one_without_a_driver(tiny):
    import tensorrt_rtx as trt

    with pytest.raises(ExportError, match="finds MALFORMED_ENGINE"):
        check_well_formed(trt, b"no plan at all" * 100)


def test_what_an_architecture_cannot_do_is_refused_with_the_node(tiny):
    model = tiny.model().SerializeToString()
    with pytest.raises(ExportError, match=r"'Gemm_8' for Turing \(SM75\): FP32 GEMM is not supported"):
        plans_of(model, ("fp32",), compute=("SM75",))
    assert plans_of(model, ("fp16",), compute=("SM75",))[0].file


def test_an_unknown_architecture_is_refused(tiny):
    request = Request(targets=("tensorrt-rtx",), compute=("SM99",))
    for refused in (lambda: check(request), lambda: build(tiny.model().SerializeToString(), "fp32", request)):
        with pytest.raises(ExportError, match=r"--compute must name some of .*SM86.*, but got SM99"):
            refused()


def test_the_layers_of_head_and_tail_are_found_by_their_metadata(tiny):
    """The route of TensorRT 10.3 finds them by this; the parser is the same."""
    import tensorrt_rtx as trt

    seen = []

    def look(builder: object, network: object, config: object) -> None:
        seen.extend(network.get_layer(i).metadata for i in range(network.num_layers))

    build_plan(trt, tiny.model().SerializeToString(), Profile((32, 32, 3), (1, 1, 2)), look, strongly_typed=True)
    assert sum("[ONNX Layer:" in text for text in seen) > 5


def test_the_embedded_default_is_built():
    from runtime.models import default_bundle

    try:
        bundle = default_bundle()
    except FileNotFoundError:
        pytest.skip("the default bundle is not there")
    calibration = np.resize(bundle.golden()[0], (16, *bundle.preprocess.shape))
    model = bundle.read("model.onnx")
    built = plans_of(model, PRECISIONS, calibration, compute=BOTH)
    check_built(built, model if len(model) > 1e7 else b"", BOTH)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18"])
def test_torchvision_networks_are_built(name):
    models = pytest.importorskip("torchvision.models")
    torch = pytest.importorskip("torch")
    from exporters.onnx.graph import EmbedderGraph
    from exporters.onnx.trace import to_onnx
    from runtime.preprocess import Preprocess

    torch.manual_seed(0)
    network = models.get_model(name, weights=None)
    setattr(network, "fc" if name == "resnet18" else "classifier", torch.nn.Identity())
    graph = EmbedderGraph(network, mean=[0.5] * 3, std=[0.5] * 3)
    # untrained activations vanish layer by layer, in float16 to nothing: give them the statistics of a batch
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        graph.train()(torch.from_numpy(frames((96, 96, 3))))
    model = to_onnx(graph.eval(), Preprocess((96, 96)))
    assert onnx.load_from_string(model).graph.node
    calibration = frames((96, 96, 3))
    built = plans_of(model, PRECISIONS, calibration, compute=BOTH)
    check_built(built, model, BOTH)
