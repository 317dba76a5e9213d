"""A client that offers wrong access tokens must wait; other clients need not."""

from __future__ import annotations

from runtime.app.web.throttle import CLIENTS, FAILURES, PERIOD_S, Throttle


def test_a_client_waits_after_too_many_failures_and_others_do_not():
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(FAILURES):
        assert throttle.wait_s("a") == 0
        throttle.failed("a")
    assert throttle.wait_s("a") == PERIOD_S
    assert throttle.wait_s("b") == 0
    now[0] = PERIOD_S - 1
    assert throttle.wait_s("a") == 1
    now[0] = PERIOD_S
    assert throttle.wait_s("a") == 0


def test_the_number_of_remembered_clients_is_limited():
    throttle = Throttle(lambda: 0.0)
    for number in range(CLIENTS + 10):
        throttle.failed(str(number))
    assert len(throttle._failures) == CLIENTS
