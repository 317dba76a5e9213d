"""Signed requests, against a real server and the published test vector."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from runtime.app.actions.rules import Webhook
from runtime.app.actions.webhook import NotDelivered, headers_of, post

# of the reference libraries of standardwebhooks.com
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')


def test_the_signature_is_that_of_the_specification():
    id_, stamp, body = VECTOR
    headers = headers_of(Webhook("http://a/", SECRET), id_, body, stamp + 0.9)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == str(stamp)
    basic = headers_of(Webhook("http://me:p%40ss@a/"), id_, body, stamp)["authorization"]
    assert basic == "Basic bWU6cEBzcw=="
    assert "webhook-signature" not in headers_of(Webhook("http://a/"), id_, body, stamp)


def test_the_body_arrives_unchanged_with_its_id_and_the_headers_of_the_rule(receiver):
    said = post(Webhook(receiver.url, headers={"x-token": "abc"}), "id-1", b'{"a": 1}')
    headers, body = receiver.requests[0]
    assert (said, body) == ("204 No Content", b'{"a": 1}')
    assert (headers["webhook-id"], headers["x-token"], headers["content-type"]) == ("id-1", "abc", "application/json")


@pytest.mark.parametrize("status", [301, 404, 500])
def test_any_other_answer_than_success_is_a_failure(receiver, status):
    receiver.answers = [status]
    with pytest.raises(NotDelivered, match=f"the server answered {status}"):
        post(Webhook(receiver.url), "a", b"{}")
    assert len(receiver.requests) == 1, "a redirect is not followed"


def test_a_server_that_is_not_there_is_a_failure(receiver):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotDelivered, match="refused"):
        post(Webhook(f"http://127.0.0.1:{port}/"), "a", b"{}")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_stalls_or_trickles_is_left_at_the_deadline(answer):
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.sendall(answer)
        while answer and not stop.wait(0.05):
            try:
                connection.sendall(b"x: y\r\n")  # a byte now and then keeps any timeout for one read from passing
            except OSError:
                break
        stop.wait(20)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        begun = time.monotonic()
        try:
            with pytest.raises(NotDelivered, match=r"no answer within 0\.3 s"):
                post(Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/"), "a", b"{}", deadline_s=0.3)
        finally:
            stop.set()
            thread.join()
        assert time.monotonic() - begun < 15, "without the deadline it would take as long as the server likes"
