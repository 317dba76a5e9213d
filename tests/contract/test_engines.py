"""The contract of every engine: those in ENGINES, the fake one, and a model server (`make test-fleet`)."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper

from runtime.bundle import Bundle
from runtime.engines import ENGINES, agreement, engine_spec, open_engine, verify_engines
from runtime.engines.fake import FakeEngine
from runtime.errors import EngineError, EngineMissing, OptionError
from runtime.models import default_bundle

INSTALLED = [name for name in ENGINES if engine_spec(name).installed()]
CPU = [name for name in INSTALLED if engine_spec(name).cpu]
SERVED = ["kserve", "kserve+grpc"]


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def server(mlserver, tiny_bundle, tmp_path_factory):
    with mlserver.serve(tmp_path_factory.mktemp("mlserver"), tiny_bundle) as running:
        yield running


@pytest.fixture(params=["fake", *CPU, *(pytest.param(name, marks=pytest.mark.fleet) for name in SERVED)])
def engine(request, tiny_bundle):
    if request.param == "fake":
        opened = FakeEngine(tiny_bundle.dim)
    elif request.param in SERVED:
        opened = open_engine(tiny_bundle, request.getfixturevalue("server").address(request.param), threads=1)
    else:
        opened = open_engine(tiny_bundle, request.param, threads=1)
    yield opened
    if request.param in SERVED:
        assert opened.local_frames == 0, opened.info.reason  # all answers of the test came from the server
    opened.close()


@pytest.fixture(scope="module")
def inputs(tiny, tiny_bundle):
    return tiny_bundle.preprocess.batch([frame for seed in range(3) for frame in tiny.views(seed, 3)])


def test_embed_returns_one_unit_vector_of_float32_for_each_frame(engine, inputs, tiny_bundle):
    embeddings = engine.embed(inputs)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (len(inputs), tiny_bundle.dim)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_frame_has_the_same_embedding_in_every_batch(engine, inputs, size):
    whole = engine.embed(inputs)
    parts = [engine.embed(inputs[i : i + size]) for i in range(0, len(inputs), size)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-5)


def test_an_empty_batch_gives_an_empty_result(engine, inputs, tiny_bundle):
    empty = engine.embed(inputs[:0])
    assert empty.shape == (0, tiny_bundle.dim)
    assert empty.dtype == np.float32


def test_the_memory_layout_of_the_batch_does_not_change_the_result(engine, inputs):
    for view in (inputs[::2], inputs[:, ::-1], inputs[:, :, ::-1], inputs[..., ::-1], inputs[3:4, :, ::-1]):
        np.testing.assert_allclose(engine.embed(view), engine.embed(np.ascontiguousarray(view)), atol=1e-6)
    frozen = inputs.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(engine.embed(frozen), engine.embed(inputs))


def test_inputs_are_not_changed_and_results_belong_to_the_caller(engine, inputs):
    before = inputs.copy()
    first = [engine.embed(inputs), engine.embed(inputs[:1])]
    copies = [answer.copy() for answer in first]
    other = engine.embed(255 - inputs)
    engine.embed(255 - inputs[:1])
    np.testing.assert_array_equal(inputs, before)
    for answer, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(answer, copy)
        answer[:] = 0  # the result is writable, and the engine does not use it again
    np.testing.assert_array_equal(engine.embed(255 - inputs), other)


def test_reusing_an_input_buffer_does_not_change_earlier_results(engine, inputs):
    buffer = inputs[:1].copy()
    first = engine.embed(buffer)
    expected = first.copy()
    buffer[:] = inputs[5:6]
    second = engine.embed(buffer)
    np.testing.assert_array_equal(first, expected)
    assert not np.allclose(first, second)


def test_several_threads_get_the_same_results_as_one(engine, inputs):
    expected = {size: engine.embed(inputs[:size]) for size in (1, 4, 9)}
    gate = threading.Barrier(4)

    def work(seed):
        gate.wait()
        for size in np.random.default_rng(seed).choice([1, 4, 9], 25):
            np.testing.assert_array_equal(engine.embed(inputs[:size]), expected[size])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_info_says_how_embeddings_are_computed(engine):
    info = engine.info
    assert info.name
    assert info.version
    assert info.precision == "fp32"
    assert info.threads == 1
    assert info.reason
    assert info.golden_cosine > 0.9999


def test_an_engine_can_be_closed_twice(engine):
    engine.close()
    engine.close()


@pytest.mark.parametrize("name", CPU)
def test_a_closed_engine_raises_an_error_that_says_so(name, tiny_bundle, inputs):
    opened = open_engine(tiny_bundle, name)
    opened.close()
    for size in (1, 2):
        with pytest.raises(EngineError, match=r"closed.*open it again"):
            opened.embed(inputs[:size])


@pytest.mark.parametrize("name", CPU)
def test_wrong_inputs_raise_an_error_that_names_the_right_shape(name, tiny_bundle, inputs):
    opened = open_engine(tiny_bundle, name)
    for bad in (
        inputs[0],
        inputs[:, :30],
        inputs[..., :1],
        inputs.astype(np.float32),
        inputs[:, ::2, ::2],
        None,
        inputs.tolist(),
    ):
        with pytest.raises(EngineError, match=r"must be uint8 \[N, \*\(32, 32, 3\)\], but got .*preprocess\.batch"):
            opened.embed(bad)
    opened.embed(inputs)


# -- parity


def parity(bundle):
    frames, expected = bundle.golden()
    if len(CPU) < 2:
        pytest.skip(f"two engines are needed, but only {CPU} is installed")
    one, other = (open_engine(bundle, name, threads=1) for name in CPU)
    for answer in (one.embed(frames), other.embed(frames)):
        assert agreement(answer, expected).min() >= 0.999
    assert agreement(one.embed(frames), other.embed(frames)).min() >= 0.999
    for frame in frames:  # batch 1 is a model of its own in OpenVINO
        assert agreement(one.embed(frame[None]), other.embed(frame[None])).min() >= 0.999


@pytest.mark.parametrize("kind", [{}, {"channels": 1}, {"metric": "euclidean"}, {"dim": 48, "seed": 3}], ids=str)
def test_engines_agree_with_the_reference_and_with_each_other(tiny, kind):
    parity(tiny.bundle(**kind))


def test_engines_agree_on_the_default_bundle():
    try:
        bundle = default_bundle()
    except FileNotFoundError:
        pytest.skip("runtime/models/default.edgefs is not built yet: recipes/default_embedder")
    parity(bundle)


def test_agreement_is_one_only_for_equal_embeddings():
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    assert agreement(x, x).min() == 1
    assert agreement(x, -x).max() == pytest.approx(-1)
    assert agreement(x, 2 * x).max() < 0.8  # the cosine would not see it; a Euclidean gallery would
    assert np.isnan(agreement(x * np.float32(np.nan), x)).all()


# -- opening


def test_auto_chooses_the_fastest_engine_and_says_why(tiny_bundle):
    opened = open_engine(tiny_bundle)
    assert opened.info.name in INSTALLED
    assert "fastest verified here" in opened.info.reason
    assert all(name in opened.info.reason for name in CPU)
    assert " ms" in opened.info.reason


def test_an_engine_can_be_given_by_name_or_as_an_object(tiny_bundle):
    fake = FakeEngine(tiny_bundle.dim)
    assert open_engine(tiny_bundle, fake) is fake
    for name in CPU:
        assert open_engine(tiny_bundle, name).info.reason == "asked for by name"


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_pinned_and_reported(tiny_bundle, threads):
    for name in CPU:
        assert open_engine(tiny_bundle, name, threads=threads).info.threads == threads


def test_invalid_options_raise_errors_that_name_the_valid_ones(tiny_bundle):
    with pytest.raises(OptionError, match=r"one of auto, onnxruntime, openvino.*, but got 'tensorflow'"):
        open_engine(tiny_bundle, "tensorflow")
    with pytest.raises(OptionError, match="threads must be 1 or more"):
        open_engine(tiny_bundle, threads=0)
    with pytest.raises(OptionError, match="opened engine, but got int"):
        open_engine(tiny_bundle, 3)
    for name in ("auto", *CPU):
        with pytest.raises(EngineError, match=r"must hold a int8 artifact for .*but has onnx fp32"):
            open_engine(tiny_bundle, name, precision="int8")


def test_an_engine_that_does_not_reproduce_the_golden_frames_is_refused(tiny, tiny_bundle):
    frames, embeddings = tiny_bundle.golden()
    parts = {
        "name": "wrong",
        "description": "",
        "preprocess": tiny_bundle.preprocess,
        "metric": "cosine",
        "model": tiny_bundle.read("model.onnx"),
        "golden_frames": frames,
    }
    embeddings = embeddings.copy()
    embeddings[-1] = embeddings[0]  # one wrong frame is enough
    wrong = Bundle.build(**parts, golden_embeddings=embeddings)
    for name in ("auto", *CPU):
        with pytest.raises(EngineError, match=r"must reproduce the golden frames of wrong .*use another engine"):
            open_engine(wrong, name)
    of_other_size = Bundle.build(**parts, golden_embeddings=embeddings[:, :16] / 1)
    for name in CPU:
        with pytest.raises(EngineError, match="the worst is nan"):
            open_engine(of_other_size, name)


def test_a_model_the_engine_cannot_run_is_an_engine_error(tiny, tiny_bundle):
    proto = tiny.model()
    mean = next(each for each in proto.graph.initializer if each.name == "mean")
    mean.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(mean).astype(np.float64), "mean")
    )  # subtracts other types
    frames, embeddings = tiny_bundle.golden()
    broken = Bundle.build(
        name="broken",
        description="",
        preprocess=tiny_bundle.preprocess,
        metric="cosine",
        model=proto.SerializeToString(),
        golden_frames=frames,
        golden_embeddings=embeddings,
    )
    for name, title in (("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")):
        with pytest.raises(EngineError, match=rf"{title} .* refuses model\.onnx of broken.*try another engine"):
            open_engine(broken, name)
    with pytest.raises(EngineMissing, match="no engine can run broken"):
        open_engine(broken)
    with pytest.raises(EngineError):
        broken.verify()


ABSENT = """
import sys
from pathlib import Path
for name in sys.argv[2].split():
    sys.modules[name] = None
from runtime.bundle import Bundle
from runtime.engines import open_engine
from runtime.errors import EdgefsError
bundle = Bundle.load(sys.argv[1])
try:
    print(open_engine(bundle, sys.argv[3]).info.reason)
except EdgefsError as error:
    print(type(error).__name__, error)
try:
    print([info.name for info in bundle.verify()])
except EdgefsError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(("name", "title"), [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_an_engine_that_is_not_installed_gives_the_install_line(python, tiny_bundle_dir, name, title):
    opened, verified = python(ABSENT, tiny_bundle_dir, name, name).stdout.splitlines()
    assert opened.startswith(f"EngineMissing {title} is not installed")
    assert opened.endswith("Do: pip install 'edgefs[pc]'")
    assert name not in verified


def test_auto_uses_the_installed_engines_and_names_the_missing_ones(python, tiny_bundle_dir):
    opened, _ = python(ABSENT, tiny_bundle_dir, "openvino", "auto").stdout.splitlines()
    assert opened.startswith("the only one that verified: onnxruntime")
    assert "OpenVINO is not installed" in opened
    opened, verified = python(ABSENT, tiny_bundle_dir, "openvino onnxruntime", "auto").stdout.splitlines()
    for line in (opened, verified):
        assert line.startswith("EngineMissing")
        assert line.count("pip install 'edgefs[pc]'") == 2


# -- the fake


def test_the_fake_engine_embeds_similar_frames_similarly_and_raises_its_error(tiny, tiny_bundle, inputs):
    fake = FakeEngine(tiny_bundle.dim)
    embeddings = fake.embed(inputs)
    alike = embeddings @ embeddings.T
    assert alike[0, 1] > alike[0, 3] + 0.3
    fake.error = EngineError("unplugged")
    with pytest.raises(EngineError, match="unplugged"):
        fake.embed(inputs)
    assert fake.calls == 2
    assert FakeEngine(8).embed(np.zeros((2, 1, 1, 3), np.uint8)).shape == (2, 8)


def test_verify_engines_closes_what_it_opened(tiny_bundle, monkeypatch):
    closed = []
    for name in ENGINES:
        monkeypatch.setattr(engine_spec(name).open, "close", lambda _, name=name: closed.append(name))
    infos = verify_engines(tiny_bundle)
    assert closed == [info.name for info in infos]
    assert replace(infos[0], reason="") == infos[0]


def test_concurrent_callers_are_served_in_parallel_and_closing_still_works(tiny_bundle, inputs, monkeypatch):
    """OpenVINO opens more streams when a second thread calls while the first call runs."""
    if "openvino" not in CPU:
        pytest.skip("OpenVINO is not installed")
    monkeypatch.setattr("runtime.engines.openvino.cpus", lambda: 2)
    engine = open_engine(tiny_bundle, "openvino", threads=1)
    expected = engine.embed(inputs[:1])
    held = engine._idle.get_nowait()  # as during a call of another thread
    np.testing.assert_allclose(engine.embed(inputs[:1]), expected, atol=2e-5)
    held.request.wait()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.embed(inputs[:1])


CTRL_C = """
import signal, sys
from edgefs import Bundle
from runtime.engines import open_engine

bundle, received = Bundle.load(sys.argv[1]), []
engines = [open_engine(bundle, sys.argv[2], threads=1) for _ in range(2)]
while engines:
    engines.pop(0).close()
signal.signal(signal.SIGINT, lambda number, _: received.append(number))
signal.raise_signal(signal.SIGINT)
print(received)
"""


@pytest.mark.parametrize("name", CPU)
def test_ctrl_c_arrives_after_engines_were_closed_in_the_order_they_were_opened(python, tiny_bundle_dir, name):
    assert python(CTRL_C, tiny_bundle_dir, name).stdout.strip() == f"[{signal.SIGINT.value}]"
