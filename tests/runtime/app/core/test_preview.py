"""The live picture of a camera: one encoding for each width that somebody looks at."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from runtime.app.core.preview import Preview
from runtime.opencv import decode_image


@pytest.fixture
def preview():
    shown = Preview("camera")
    shown.offer(np.full((720, 1280, 3), 90, np.uint8))
    yield shown
    shown.close()


@pytest.mark.parametrize(("width", "sent"), [(1, 480), (390, 480), (600, 800), (1200, 1280), (9999, 1280)])
def test_a_viewer_gets_a_picture_for_its_screen(preview, width, sent):
    came = threading.Event()
    mailbox = preview.subscribe(came.set, width)
    assert came.wait(5)
    assert decode_image(mailbox.take()[0]).shape == (sent * 9 // 16, sent, 3)
    preview.unsubscribe(mailbox)
    assert preview.viewers == 0


def test_viewers_of_different_widths_look_at_the_same_time(preview):
    came = [threading.Event(), threading.Event()]
    boxes = [preview.subscribe(event.set, width) for event, width in zip(came, (480, 1280), strict=True)]
    assert all(event.wait(5) for event in came)
    preview.offer(np.full((720, 1280, 3), 10, np.uint8))
    assert [decode_image(box.take()[-1]).shape[1] for box in boxes] == [480, 1280]
