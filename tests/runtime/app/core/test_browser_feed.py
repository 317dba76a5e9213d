"""The camera of a browser as a source: pictures are taken one at a time, and a loss is reported and mended."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from runtime.app.core.browser_feed import BrowserFeed
from runtime.errors import CameraError, CameraMissing
from runtime.opencv import encode_jpeg


def picture(grey):
    return encode_jpeg(np.full((48, 64, 3), grey, np.uint8), 90)


@pytest.fixture
def feed():
    return BrowserFeed("phone")


def test_without_a_browser_the_camera_is_missing_and_the_message_says_what_to_do(feed):
    with pytest.raises(CameraMissing, match=r"Open the page on the device"):
        feed.open()


def test_frames_arrive_as_pictures_of_a_live_camera(feed):
    assert feed.connect()
    with feed.open() as source:
        assert feed.offer(picture(200))
        frame = source.read(5)
        assert frame.image.shape == (48, 64, 3)
        assert abs(int(frame.image.mean()) - 200) < 3
        assert source.live
        assert source.state == "live"


def test_a_browser_is_asked_for_the_next_picture_only_when_this_one_was_taken(feed):
    feed.connect()
    assert not feed.offer(picture(1))  # nobody reads
    with feed.open() as source:
        source.read(5)
        assert feed.offer(picture(2))


def test_only_one_browser_sends_at_a_time(feed):
    assert feed.connect()
    assert not feed.connect()
    feed.disconnect()
    assert feed.connect()


def test_a_browser_that_goes_is_a_lost_camera_which_comes_back_with_it(feed):
    feed.connect()
    with feed.open() as source:
        feed.offer(picture(9))
        source.read(5)
        threading.Timer(0.05, feed.disconnect).start()
        with pytest.raises(CameraError, match="No browser sends"):
            source.read(5)
        assert source.state == "ended"
    feed.connect()
    with feed.open() as source:
        feed.offer(picture(9))
        assert source.read(5) is not None


def test_bytes_that_are_no_picture_are_skipped(feed):
    feed.connect()
    with feed.open() as source:
        assert feed.offer(b"not a picture")
        assert feed.offer(picture(7))
        assert source.read(5).image.shape == (48, 64, 3)
