"""Network cameras over HTTP; tests/integration/test_rtsp.py does the same with a real RTSP server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.camera import open_camera
from runtime.errors import CameraError, CameraMissing


def test_a_camera_that_stops_sending_is_reconnected(http_camera, wait_until, leaks_nothing):
    with open_camera(http_camera.url, stall_s=0.5) as source:
        http_camera.pause.set()
        assert wait_until(lambda: source.state != "live") < 1.5
        with pytest.raises(CameraError, match=r"within 0\.1 s, but it is reconnecting"):
            source.read(0.1)
        http_camera.pause.clear()
        frame = source.read(10)
        assert time.monotonic() - frame.time_s < 0.5
        assert source.state == "live"


def test_a_camera_is_live_again_after_a_power_failure(http_camera, wait_until, caplog):
    with open_camera(http_camera.url) as source:
        http_camera.stop()
        wait_until(lambda: "Connection refused" in caplog.text)
        assert source.state == "reconnecting"
        http_camera.start()
        assert source.read(10).index > 0
    assert "secret" not in caplog.text


def test_a_child_process_that_hangs_is_ended_and_replaced(http_camera, wait_until, children):
    before = children()
    with open_camera(http_camera.url, stall_s=0.5) as source:
        (hung,) = children() - before
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: source.state == "reconnecting")
        source.read(10)
        assert hung not in children()


def test_the_child_process_ends_when_its_parent_is_killed(http_camera, wait_until, children, tmp_path):
    # It has no `if __name__ == "__main__"`, because a script of a user may have none.
    script = tmp_path / "user.py"
    script.write_text(
        f"from runtime.camera import open_camera\nsource = open_camera({http_camera.url!r})\n"
        "print(source.read().index, flush=True)\nsource.read(99)\nwhile True: source.read()\n"
    )
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    )
    with parent:
        assert parent.stdout.readline().strip().isdigit()
        (child,) = children(parent.pid)
        arguments = Path(f"/proc/{child}/cmdline").read_text() + Path(f"/proc/{child}/environ").read_text()
        assert "secret" not in arguments
        parent.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists() or "Z (" in Path(f"/proc/{child}/status").read_text(), 3)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("rtsp://a:secret@127.0.0.1:1/x", r"rtsp://\*\*\*@127.0.0.1:1/x must .* Connection refused.*Do: check"),
        ("rtsp://a:secret@host:secret/x", "but: Port could not be cast"),
        ("nonsense://a:secret@host/x", "FFmpeg cannot open it: Protocol not found|not a stream"),
    ],
)
def test_a_camera_that_never_answers_is_refused_with_the_reason(url, reason, leaks_nothing):
    with pytest.raises(CameraMissing, match=reason) as error:
        open_camera(url)
    assert "Do: check" in str(error.value) or "must be a URL like" in str(error.value)


def test_a_server_that_sends_no_picture_is_refused_after_the_timeout(http_camera, leaks_nothing):
    http_camera.pause.set()
    began = time.monotonic()
    with pytest.raises(CameraError):
        open_camera(http_camera.url, open_timeout_s=1.0)
    assert time.monotonic() - began < 3
    http_camera.pause.clear()
