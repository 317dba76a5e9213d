"""Redaction of names. What base.py promises of every source is in test_contract.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.camera.base import plausible_fps, redact


@given(st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters="\"'"), min_size=1))
def test_redaction_removes_every_password(password):
    assert redact(f"rtsp://user:{password}@host:554/path") == "rtsp://***@host:554/path"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("http://host/video?user=a&pwd=b", "http://host/video?***"),
        ("http://host/video", "http://host/video"),
        (
            "rtspsrc location=rtsp://a:b@host/x latency=0 ! appsink",
            "rtspsrc location=rtsp://***@host/x latency=0 ! appsink",
        ),
        ('rtspsrc user-id=a user-pw="b c" ! appsink', "rtspsrc user-id=*** user-pw=*** ! appsink"),
        ("/videos/me@home?.mp4", "/videos/me@home?.mp4"),
    ],
)
def test_redaction_keeps_what_is_not_secret(source, shown):
    assert redact(source) == shown


def test_values_that_stand_for_an_unknown_frame_rate_are_none():
    assert [plausible_fps(fps) for fps in (0, float("nan"), 90000, -1)] == [None] * 4
    assert plausible_fps(29.97) == 29.97
