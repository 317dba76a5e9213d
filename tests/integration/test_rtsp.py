"""A network camera against a real RTSP server that is killed, stopped and started again.

Every picture carries the time it was made (rtsp_server.py): a frame buffered before a loss cannot pass for live.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from benchmarks.live.rtsp_server import BITS, RtspMissing, RtspServer, made_ms
from runtime.camera import Frame, FrameSource, open_camera
from runtime.errors import CameraMissing

STALE_MS = 1000


@pytest.fixture
def server():
    try:
        server = RtspServer()
    except RtspMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.kill()


def age_ms(frame: Frame) -> int:
    """How old the picture was when it was captured, by the clock painted into it."""
    return int(frame.time_s * 1000) % 2**BITS - made_ms(frame.image)


def check_live(source: FrameSource, frames: int = 10) -> None:
    for _ in range(frames):
        frame = source.read(10)
        assert 0 <= age_ms(frame) < STALE_MS
        assert time.monotonic() - frame.time_s < 0.5


def seconds_until_not_live(source: FrameSource) -> float:
    began = time.monotonic()
    while source.state == "live" and time.monotonic() - began < 10:
        time.sleep(0.01)
    return time.monotonic() - began


def kill_and_restart(source: FrameSource, server: RtspServer, away_s: float) -> tuple[float, float]:
    """Return the seconds until the loss was seen, and from the server's return to the first frame."""
    server.kill()
    noticed_s = seconds_until_not_live(source)
    time.sleep(away_s)
    server.start()
    began = time.monotonic()
    check_live(source)
    return noticed_s, time.monotonic() - began


def stop_and_continue(source: FrameSource, server: RtspServer, away_s: float) -> tuple[float, float]:
    """The same for a server that hangs: its connections stay open, and nothing comes."""
    server.stop()
    noticed_s = seconds_until_not_live(source)
    time.sleep(away_s)
    server.go_on()
    began = time.monotonic()
    check_live(source)
    return noticed_s, time.monotonic() - began


@pytest.fixture
def owned(children):
    """Returns the handles, threads and child processes of this process."""

    def found() -> tuple[set[str], set[threading.Thread], set[int]]:
        handles = {fd for fd in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{fd}").is_symlink()}  # noqa: PTH208
        return handles, set(threading.enumerate()), children()

    return found


def test_frames_are_live_and_closing_leaves_nothing_behind(server, owned):
    before = owned()
    with open_camera(server.url, region=(0, 0, 320, 100)) as source:
        check_live(source)
        assert source.fps == 20
        assert source.name == f"rtsp://***@127.0.0.1:{server.port}/cam"
        assert source.read(5).image.shape == (100, 320, 3)
    assert owned() == before


@pytest.mark.parametrize("lose", [kill_and_restart, stop_and_continue])
def test_a_lost_server_is_noticed_and_followed_when_it_returns(server, lose, record_property):
    with open_camera(server.url) as source:
        check_live(source)
        noticed_s, returned_s = lose(source, server, away_s=1.0)
        record_property("seconds", {"noticed": noticed_s, "returned": returned_s})
        assert noticed_s < 3
        assert returned_s < 7, "five seconds and ten frames, on a busy machine"


def test_a_path_the_server_does_not_have_is_refused_in_the_servers_words(server):
    with pytest.raises(CameraMissing, match=r"rtsp://\*\*\*@.*404"):
        open_camera(server.url.replace("/cam", "/nothing"))


@pytest.mark.slow
@pytest.mark.parametrize("lose", [kill_and_restart, stop_and_continue])
def test_it_recovers_every_time(server, lose, owned):
    before_kill = owned()[1:]
    with open_camera(server.url) as source:
        figures = [lose(source, server, away_s=cycle % 5) for cycle in range(10)]
    for name, seconds in zip(("noticed", "returned"), zip(*figures, strict=True), strict=True):
        print(f"{lose.__name__} {name}: {min(seconds):.2f} to {max(seconds):.2f} s")
        assert max(seconds) < 7
    assert owned()[1] == before_kill[0]
