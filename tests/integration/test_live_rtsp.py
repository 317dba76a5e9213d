"""The live app on a real RTSP server that is killed, or stopped, and comes back: `benchmarks/live/rtsp.py`, held."""

from __future__ import annotations

from argparse import Namespace

import pytest

from benchmarks.live.rtsp import rtsp
from benchmarks.live.rtsp_server import RtspMissing


@pytest.mark.parametrize(
    "cycles", [2, pytest.param(20, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.slow)]
)
def test_a_lost_camera_is_shown_and_followed_when_it_returns_and_live_is_never_old(cycles):
    try:
        figures = rtsp(Namespace(cycles=cycles))
    except RtspMissing as missing:
        pytest.skip(str(missing))
    assert figures["shown_s"]["all"]["worst"] < 3
    if cycles > 2:  # a short run shares its machine with the rest of the suite
        assert figures["recovered_s"]["all"]["p95"] < 5
        assert figures["live_picture_age_ms"]["p99"] < 500
    for what, count in figures["owned_after"].items():
        assert count <= figures["owned_before"][what], what
