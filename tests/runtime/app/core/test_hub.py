"""Mailboxes, and the filter for changes."""

from __future__ import annotations

from runtime.app.core.hub import MAX_PENDING, ChangeFilter, Hub
from runtime.app.core.messages import Answer, Camera, Teach


def answer(stable: str | None, camera: str = "0", label: str | None = None) -> Answer:
    return Answer(camera, 1, stable, None, label, "unknown", None, None, None, None, None, "score", 1.0, {})


def camera(state: str = "live", message: str = "", id_: str = "0") -> Camera:
    return Camera(id_, "shop", state, message, None, 0, 0, None, None, 0, False)


def test_a_slow_subscriber_gets_only_the_newest_answer_of_each_camera():
    hub = Hub()
    box = hub.subscribe(lambda: None)
    for i in range(1000):
        hub.publish(answer(str(i), camera=str(i % 2)))
    assert [(m.camera, m.stable) for m in box.take()] == [("0", "998"), ("1", "999")]
    assert box.take() == []


def test_every_kept_frame_is_sent_up_to_the_size_of_a_mailbox():
    hub = Hub()
    box = hub.subscribe(lambda: None)
    for i in range(3 * MAX_PENDING):
        hub.publish(Teach("0", i, 0, True, None, "", "data:"))
    assert [m.kept for m in box.take()] == list(range(2 * MAX_PENDING, 3 * MAX_PENDING))


def test_nothing_is_sent_after_unsubscribing_and_a_late_subscriber_finds_the_hub_closed():
    hub = Hub()
    box = hub.subscribe(lambda: None)
    hub.unsubscribe(box)
    hub.publish(answer(None))
    assert (box.take(), hub.subscribers) == ([], 0)
    hub.close()
    assert hub.subscribe(lambda: None).closed


def test_only_a_message_that_differs_from_the_last_one_is_a_change():
    changes = ChangeFilter()
    messages = [answer(None), answer(None), answer("mug"), answer("mug"), answer("cap", "1"), answer(None)]
    assert [changes.is_change(m) for m in messages] == [True, False, True, False, True, True]
    messages = [camera(), camera(), camera("stalled", "!"), camera("stalled", "?"), camera(id_="1")]
    assert [changes.is_change(m) for m in messages] == [True, False, True, True, True]
