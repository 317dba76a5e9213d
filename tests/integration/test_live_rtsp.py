"""The live app on a real RTSP server that is killed or stopped and comes back, as `benchmarks/live/rtsp.py` does."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.live import rtsp_server
from benchmarks.live.rtsp import rtsp
from benchmarks.live.rtsp_server import RtspMissing, RtspServer


@pytest.mark.parametrize(
    "cycles", [2, pytest.param(20, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.slow)]
)
def test_a_lost_camera_is_reported_and_read_again_and_a_live_picture_is_never_old(cycles):
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


def test_a_missing_package_is_reported_although_the_server_ends_a_moment_later(monkeypatch, tmp_path):
    script = tmp_path / "server.py"
    script.write_text("import time; print('no Gst', flush=True); time.sleep(0.3); raise SystemExit(77)")
    monkeypatch.setattr(rtsp_server, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(rtsp_server, "SCRIPT", script)
    with pytest.raises(RtspMissing, match="no Gst"):
        RtspServer()
