"""When a server is used, and when the engine of this device: with a server that the tests control, and no network."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from runtime.engines import kserve, open_engine
from runtime.engines.kserve import ServedEngine, address_of
from runtime.errors import EngineError, OptionError

BUDGET_S = 0.3


class Server:
    """Answers in threads, as `KserveClient` does, with what `answer` returns for frames."""

    def __init__(self, bundle):
        self.address = address_of(f"kserve://server:8000/shop?budget_ms={1000 * BUDGET_S}")
        self.right = open_engine(bundle, "onnxruntime", threads=1)
        self.answer = self.right.embed
        self.asked = []
        self.refusal = None
        self._pool = ThreadPoolExecutor(4)

    def check(self, *_):
        done = Future()
        if self.refusal is None:
            done.set_result("a server")
        else:
            done.set_exception(self.refusal)
        return done

    def infer(self, frames):
        self.asked.append(len(frames))
        return self._pool.submit(lambda: self.answer(frames))

    def close(self):
        self._pool.shutdown(wait=False)


@pytest.fixture
def server(tiny_bundle):
    made = Server(tiny_bundle)
    yield made
    made.close()


@pytest.fixture
def engine(server, tiny_bundle):
    opened = ServedEngine(tiny_bundle, server, open_engine(tiny_bundle, "onnxruntime", threads=1))
    yield opened
    opened.close()


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def late(_, __):
    time.sleep(2)


def gone(_, __):
    raise ConnectionResetError("the server closed the connection")


def not_finite(_, frames):
    return np.full((len(frames), 32), np.nan, np.float32)


def one_missing(server, frames):
    return server.right.embed(frames[1:])


def in_float64(server, frames):
    return server.right.embed(frames).astype(np.float64)


def nothing(_, __):
    return None


def of_another_model(_, frames):
    rows = np.random.default_rng(1).standard_normal((len(frames), 32)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


FAULTS = [late, gone, not_finite, one_missing, in_float64, nothing, of_another_model]


def test_a_server_that_reproduces_the_golden_frames_is_used(engine, server, tiny_bundle):
    frames, expected = tiny_bundle.golden()
    np.testing.assert_allclose(engine.embed(frames), expected, atol=1e-5)
    assert (engine.served, engine.local_frames, engine.info.name) == (True, 0, "kserve")
    assert engine.info.device == server.address.text
    assert engine.info.golden_cosine > 0.9999
    assert server.asked == [6, 7]  # the check; then six frames and one golden frame


def test_no_request_is_larger_than_the_largest_batch_of_an_exported_model(engine, server, tiny_bundle):
    frames = np.repeat(tiny_bundle.golden()[0], 3, axis=0)
    np.testing.assert_allclose(engine.embed(frames), server.right.embed(frames), atol=1e-5)
    assert server.asked[1:] == [8, 8, 5]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_fault_is_answered_here_within_the_budget_and_never_wrongly(engine, server, tiny_bundle, fault, caplog):
    frames, expected = tiny_bundle.golden()
    server.answer = partial(fault, server)
    for i in range(6):
        start = time.perf_counter()
        answer = engine.embed(frames[i : i + 1])
        assert time.perf_counter() - start < BUDGET_S + 0.1
        np.testing.assert_allclose(answer, expected[i : i + 1], atol=1e-5)
    assert (engine.served, engine.local_frames) == (False, 6)
    assert (engine.info.name, engine.info.device) == ("onnxruntime", "here")
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "is not used: " in said
    assert said.endswith("onnxruntime on this device embeds until the server is back.")


def test_a_server_that_is_back_is_checked_beside_the_frames_and_used_again(engine, server, tiny_bundle, monkeypatch):
    frames, _ = tiny_bundle.golden()
    monkeypatch.setattr(engine, "_wait_s", 0.05)
    server.answer = partial(of_another_model, server)
    engine.embed(frames[:1])
    assert not engine.served
    server.answer = server.right.embed

    def served():
        engine.embed(frames[:1])
        return engine.served

    until(served)
    assert engine.info.name == "kserve"


def test_the_time_between_two_checks_doubles_up_to_a_minute(engine, server, tiny_bundle, monkeypatch):
    frames, _ = tiny_bundle.golden()
    server.answer = partial(gone, server)
    now = [time.monotonic()]
    monkeypatch.setattr(kserve.time, "monotonic", lambda: now[0])
    waits = []
    for _ in range(8):
        engine.embed(frames[:1])
        end = time.perf_counter() + 10
        while engine._checking and time.perf_counter() < end:
            time.sleep(0.01)
        waits.append(engine._retry_at - now[0])
        now[0] = engine._retry_at
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


def test_a_server_that_is_away_at_the_beginning_is_no_error(server, tiny_bundle, caplog):
    server.refusal = EngineError("it must be ready, but is not")
    engine = ServedEngine(tiny_bundle, server, open_engine(tiny_bundle, "onnxruntime", threads=1))
    assert (engine.served, engine.info.name) == (False, "onnxruntime")
    assert "it must be ready" in engine.info.reason
    assert "it must be ready" in caplog.text
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.embed(tiny_bundle.golden()[0])


@pytest.mark.parametrize(
    ("text", "protocol", "server", "model", "budget_s"),
    [
        ("kserve://host:8000/shop-onnx-fp32", "http", "host:8000", "shop-onnx-fp32", 0.066),
        ("kserve+grpc://10.0.0.1:8001/shop?budget_ms=100", "grpc", "10.0.0.1:8001", "shop", 0.1),
        ("kserve://host:80/seldon/eu/shop", "http", "host:80/seldon/eu", "shop", 0.066),
        ("kserve://[::1]:8000/shop", "http", "[::1]:8000", "shop", 0.066),
    ],
)
def test_an_address_names_protocol_server_model_and_budget(text, protocol, server, model, budget_s):
    address = address_of(text)
    assert (address.protocol, address.server, address.model) == (protocol, server, model)
    assert address.budget_s == pytest.approx(budget_s)


@pytest.mark.parametrize(
    "text",
    [
        "kserve://host/shop",
        "kserve://host:8000/",
        "kserve://host:8000",
        "kserve://:8000/shop",
        "kserve://host:99999/shop",
        "kserve://user:secret@host:8000/shop",
        "kserve+grpc://host:8001/path/shop",
        "kserve+https://host:8000/shop",
        "http://host:8000/shop",
        "kserve://host:8000/shop?budget_ms=0",
        "kserve://host:8000/shop?budget_ms=soon",
        "kserve://host:8000/shop?budget=1",
    ],
)
def test_another_address_is_refused_with_the_form_it_must_have(tiny_bundle, text):
    with pytest.raises(OptionError, match=r"kserve://HOST:PORT/MODEL"):
        open_engine(tiny_bundle, text)
