"""The Triton layout in NVIDIA's own server; `tests/triton_server.py` states what of it is real."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from exporters.serving import write_triton
from runtime.bundle import Artifact, Bundle
from runtime.engines import agreement

MODELS = ["served-onnx-fp32", "served-openvino-fp32"]
MAX_BATCH = 4


@pytest.fixture(scope="module")
def triton(load_module):
    return load_module("triton_server")


@pytest.fixture(scope="module")
def root(triton, downloaded):
    """The folder of the server's unpacked wheel."""
    return downloaded(triton.WHEEL)


@pytest.fixture(scope="module")
def bundle(tiny, tmp_path_factory):
    """model.onnx and the same as OpenVINO IR."""
    openvino = pytest.importorskip("openvino")
    plain = tiny.bundle()
    path = tmp_path_factory.mktemp("ir") / "model.xml"
    openvino.save_model(openvino.Core().read_model(io.BytesIO(plain.read("model.onnx"))), path, compress_to_fp16=False)
    frames, embeddings = plain.golden()
    return Bundle.build(
        name="served",
        description="",
        preprocess=plain.preprocess,
        metric=plain.metric,
        model=plain.read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=embeddings,
        extra={f"openvino/fp32/model{end}": path.with_suffix(end).read_bytes() for end in (".xml", ".bin")},
        artifacts=(Artifact("openvino", "fp32", "openvino/fp32/model.xml"),),
    )


@pytest.fixture(scope="module")
def served(triton, root, bundle, tmp_path_factory):
    """The repository, and a server that looks at it every second."""
    repository = tmp_path_factory.mktemp("repository")
    assert write_triton(bundle, repository, max_batch=MAX_BATCH) == MODELS
    watch = ("--model-control-mode=poll", "--repository-poll-secs=1")
    try:
        with triton.serve(root, repository, tmp_path_factory.mktemp("server"), *watch) as server:
            yield repository, server
    except triton.Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("model", MODELS)
def test_the_server_answers_as_the_bundle_does(served, bundle, model):
    _, server = served
    frames, expected = bundle.golden()
    config = server.get(f"models/{model}/config")
    assert (config["input"][0]["dims"][-3:], config["output"][0]["dims"][-1:]) == ([32, 32, 3], [32])
    embeddings, version = server.embed(model, frames[:3])
    assert agreement(embeddings, expected[:3]).min() > 0.9999
    assert version == "1"


@pytest.mark.parametrize("model", MODELS)
def test_frames_of_another_shape_are_refused_by_the_server(triton, served, bundle, model):
    frames, _ = bundle.golden()
    with pytest.raises(triton.Refused, match=r"400.*unexpected shape"):
        served[1].embed(model, frames[:1, :16])


def test_single_requests_are_put_into_batches(triton, served, bundle):
    _, server = served
    frames, expected = bundle.golden()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: server.embed(MODELS[0], frames[i % 6 : i % 6 + 1])[0], range(48)))
    assert agreement(np.concatenate(answers), np.tile(expected, (8, 1))).min() > 0.9999
    (stats,) = server.get(f"models/{MODELS[0]}/stats")["model_stats"]
    assert int(stats["execution_count"]) < int(stats["inference_count"])
    with pytest.raises(triton.Refused, match=r"400.*batch-size must be <= 4"):
        server.embed(MODELS[0], frames[: MAX_BATCH + 1])


def test_a_new_export_is_served_without_a_restart(triton, served, bundle):
    repository, server = served
    frames, _ = bundle.golden()
    write_triton(bundle, repository, max_batch=MAX_BATCH)
    until = time.monotonic() + triton.STARTS_S
    while (version := server.embed(MODELS[0], frames[:1])[1]) != "2" and time.monotonic() < until:
        time.sleep(0.2)
    assert version == "2"


def test_a_layout_the_server_cannot_read_is_noticed(triton, root, bundle, tmp_path):
    write_triton(bundle, tmp_path / "repository")
    config = tmp_path / "repository" / MODELS[0] / "config.pbtxt"
    config.write_text(config.read_text().replace("max_batch_size", "batch_size"))
    try:
        with pytest.raises(triton.Refused, match='no field named "batch_size"'):  # noqa: SIM117
            with triton.serve(root, tmp_path / "repository", tmp_path):
                pass
    except triton.Unavailable as error:
        pytest.skip(str(error))
