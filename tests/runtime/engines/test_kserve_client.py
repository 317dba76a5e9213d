"""The engine on real servers of the protocol, MLServer and Triton: what is served, and what happens when they fail."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from exporters.serving import write_triton
from runtime.engines import agreement, open_engine
from runtime.engines.kserve_client import address_of
from runtime.errors import EngineMissing
from runtime.recognizer import Recognizer

pytestmark = pytest.mark.fleet

PROTOCOLS = ["kserve", "kserve+grpc"]
BUDGET_MS = 200
SLACK_S = 0.1  # this machine may be busy


@pytest.fixture(scope="module")
def server(mlserver, tiny_bundle, tmp_path_factory):
    with mlserver.serve(tmp_path_factory.mktemp("mlserver"), tiny_bundle) as running:
        yield running


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture
def opened(server, protocol, tiny_bundle):
    engine = open_engine(tiny_bundle, server.address(protocol, BUDGET_MS), threads=1)
    assert engine.served, engine.info.reason
    yield engine
    engine.close()


def answer_in_time(engine, bundle, count=10):
    """Embed golden frames one by one; every answer must be right and within the budget. Returns the longest time."""
    frames, expected = bundle.golden()
    times = []
    for i in range(count):
        one = slice(i % 6, i % 6 + 1)
        start = time.perf_counter()
        answer = engine.embed(frames[one])
        times.append(time.perf_counter() - start)
        assert agreement(answer, expected[one]).min() > 0.9999
    assert max(times) < BUDGET_MS / 1000 + SLACK_S
    return max(times)


def used_again(engine, bundle, seconds=30):
    end = time.monotonic() + seconds
    while not engine.served and time.monotonic() < end:
        engine.embed(bundle.golden()[0][:1])
        time.sleep(0.1)
    assert engine.served, engine.info.reason


def test_a_real_server_answers_and_says_who_it_is(opened, server, protocol, tiny_bundle):
    answer_in_time(opened, tiny_bundle)
    assert (opened.info.name, opened.local_frames) == ("kserve", 0)
    assert opened.info.reason.startswith("mlserver 1.")
    assert opened.info.device == server.address(protocol, BUDGET_MS)


def test_several_cameras_share_the_server(opened, tiny_bundle):
    frames, expected = tiny_bundle.golden()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda i: opened.embed(frames[i % 6 : i % 6 + 1]), range(60)))
    assert agreement(np.concatenate(answers), np.tile(expected, (10, 1))).min() > 0.9999


def test_a_server_that_is_killed_is_replaced_at_once_and_used_when_it_is_back(opened, server, tiny_bundle, caplog):
    server.kill()
    try:
        answer_in_time(opened, tiny_bundle)
        assert not opened.served
    finally:
        server.start()
    used_again(opened, tiny_bundle)
    answer_in_time(opened, tiny_bundle)
    assert "on this device embeds until the server is back" in caplog.text


def test_a_server_that_stalls_costs_one_budget_and_then_nothing(opened, server, tiny_bundle):
    server.pause()
    try:
        assert answer_in_time(opened, tiny_bundle) > BUDGET_MS / 1000 / 2  # the first frame has waited
        assert "no answer within" in opened.info.reason
        start = time.perf_counter()
        opened.embed(tiny_bundle.golden()[0][:1])
        assert time.perf_counter() - start < SLACK_S
    finally:
        server.resume()
    used_again(opened, tiny_bundle)


def test_a_server_that_returns_nan_is_not_believed(opened, server, tiny_bundle):
    (server.folder / "nan").touch()
    try:
        answer_in_time(opened, tiny_bundle)
        assert not opened.served
    finally:
        (server.folder / "nan").unlink()
    used_again(opened, tiny_bundle)


def test_a_model_that_is_replaced_while_the_server_runs_is_noticed_with_the_first_answer(
    opened, server, tiny, tiny_bundle
):
    (server.folder / "other.onnx").write_bytes(tiny.bundle(seed=1).read("model.onnx"))
    try:
        answer_in_time(opened, tiny_bundle)
        assert "another model is served" in opened.info.reason
    finally:
        (server.folder / "other.onnx").unlink()
    used_again(opened, tiny_bundle)


@pytest.mark.parametrize("kind", [{"seed": 1}, {"dim": 48}, {"channels": 1}], ids=str)
def test_a_server_of_another_model_is_not_used_and_the_reason_says_why(server, protocol, tiny, kind):
    other = tiny.bundle(**kind)
    engine = open_engine(other, server.address(protocol, BUDGET_MS), threads=1)
    assert not engine.served
    assert "another model is served" in engine.info.reason or "must take frames" in engine.info.reason
    answer_in_time(engine, other)
    engine.close()


def test_an_unknown_model_and_an_unused_port_are_no_error(server, protocol, tiny_bundle):
    for address in (
        f"{server.address(protocol)}".replace("/embedder", "/absent"),
        f"{protocol}://127.0.0.1:9/embedder",
    ):
        engine = open_engine(tiny_bundle, address, threads=1)
        assert not engine.served
        answer_in_time(engine, tiny_bundle)
        engine.close()


def test_a_recognizer_recognises_by_the_server_and_through_its_death(server, protocol, tiny, tiny_bundle, caplog):
    caplog.set_level(logging.INFO)
    with Recognizer(tiny_bundle, engine=server.address(protocol, BUDGET_MS)) as rec:
        for seed in range(3):
            rec.enroll(f"thing {seed}", tiny.views(seed, 4))
        asked = [tiny.views(seed, 1, start=9)[0] for seed in range(3)]
        there = [answer.label for answer in rec.recognize_many(asked)]
        server.kill()
        try:
            here = [rec.recognize(frame).label for frame in asked]
            assert not rec.engine.served
        finally:
            server.start()
    assert there == here == ["thing 0", "thing 1", "thing 2"]


def test_without_tritonclient_the_error_has_the_install_line(server, tiny_bundle, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tritonclient.http", None)
    with pytest.raises(EngineMissing, match=r"pip install 'edgefs\[kserve\]'"):
        open_engine(tiny_bundle, server.address("kserve"))
    assert address_of(server.address("kserve")).model == "embedder"


def test_triton_serves_what_the_export_wrote(protocol, load_module, downloaded, tiny_bundle, tmp_path):
    triton = load_module("triton_server")
    (model,) = write_triton(tiny_bundle, tmp_path / "repository")
    try:
        with triton.serve(downloaded(triton.WHEEL), tmp_path / "repository", tmp_path) as running:
            port = running.grpc if protocol == "kserve+grpc" else running.url.split(":")[2].split("/")[0]
            address = f"{protocol}://127.0.0.1:{port}/{model}?budget_ms=5000"
            engine = open_engine(tiny_bundle, address, threads=1)
            assert engine.info.reason.startswith("triton 2.")
            frames, expected = tiny_bundle.golden()
            many = np.tile(frames, (3, 1, 1, 1))
            assert agreement(engine.embed(many), np.tile(expected, (3, 1))).min() > 0.9999
            assert (engine.served, engine.local_frames) == (True, 0)
            engine.close()
    except triton.Unavailable as error:
        pytest.skip(str(error))
