"""A real RTSP server to lose and to find again: tests/integration/rtsp_server.py in a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[2] / "tests" / "integration" / "rtsp_server.py"
PYTHON = Path("/usr/bin/python3")  # gi belongs to the system's Python
PACKAGES_ABSENT = 77
BLOCK, BITS = 10, 32  # as in rtsp_server.py


class RtspMissing(Exception):
    """The server's packages are not here; the text says which."""


class RtspServer:
    """The server process; `start` returns once it listens. Raises RtspMissing."""

    def __init__(self) -> None:
        if not PYTHON.exists():
            raise RtspMissing(f"the RTSP server needs {PYTHON} with gi")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"rtsp://admin:secret@127.0.0.1:{self.port}/cam"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([str(PYTHON), str(SCRIPT), str(self.port)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if said.strip() != "ready":
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)  # its exit status says why
            self.kill()
            if self.process.returncode == PACKAGES_ABSENT:
                raise RtspMissing(f"the RTSP server's packages are missing: {said.strip()} See the head of {SCRIPT}")
            raise RuntimeError(f"the RTSP server did not start: {said}")

    def stop(self) -> None:
        """Freeze it: its connections stay open, and nothing comes."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def made_ms(image: np.ndarray) -> int:
    """When a picture, `uint8 [H, W, 3]`, was made: CLOCK_MONOTONIC in ms modulo 2^32, as painted into it."""
    return sum(int(image[BLOCK // 2, bit * BLOCK + BLOCK // 2].mean() > 128) << bit for bit in range(BITS))
