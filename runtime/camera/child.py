"""The child process that reads a network camera, as the parent sees it: start it, take its frames, end it.

A process is used because `VideoCapture.read()` can hang forever and a hung thread cannot be stopped. It is a new
interpreter and not `multiprocessing`, which would run the user's script again unless it has a `__main__` guard, and
would leave its resource tracker running. The shared memory has no name, so it is freed in every case.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import subprocess
import sys
import time
from typing import Any

from runtime.camera import child_main
from runtime.camera.base import plausible_fps
from runtime.camera.child_main import SLOTS, Order, unnamed_file
from runtime.camera.newest import Grabbed


class ChildLost(Exception):
    """Raised when the child sends no frame in time or has ended; the message says which, and the reason if known."""


class Child:
    """A running child process. `next` and `close` are called by one thread, `kill` by any."""

    fps: float | None = None

    def __init__(self, order: Order) -> None:
        self._memory_fd = unnamed_file()
        os.write(self._memory_fd, json.dumps(order).encode())
        self._memory: mmap.mmap | None = None
        self._shape: tuple[int, ...] = ()
        self._pending = b""
        process = self._process = subprocess.Popen(
            [sys.executable, "-I", child_main.__file__, str(self._memory_fd), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._memory_fd,),
            start_new_session=True,  # so that Ctrl-C reaches only the parent
            bufsize=0,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout

    def next(self, timeout_s: float) -> Grabbed:
        """Return a copy of the next frame. Raises ChildLost if the child ended or sends none in `timeout_s` seconds."""
        import numpy as np

        deadline_s = time.monotonic() + timeout_s
        message = self._message(deadline_s)
        if "shape" in message:
            self._shape, self.fps = tuple(message["shape"]), plausible_fps(message["fps"])
            self._memory = mmap.mmap(self._memory_fd, SLOTS * int(np.prod(self._shape)))
            message = self._message(deadline_s)
        if "error" in message or self._memory is None:
            raise ChildLost(message.get("error", "it sent an unexpected message"))
        image = np.frombuffer(self._memory, np.uint8).reshape(SLOTS, *self._shape)[message["slot"]].copy()
        with contextlib.suppress(BrokenPipeError):  # it has ended; its last message is read by the next call
            self._stdin.write(bytes([message["slot"]]))
        return Grabbed(image, message["time_s"], message["lost"], message["decode_ms"])

    def kill(self) -> None:
        """End the process, even if it is stopped or hangs; a waiting `next` raises ChildLost."""
        self._process.kill()

    def close(self) -> None:
        """End the process, wait for it, and release every handle."""
        self.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
        if self._memory is not None:
            self._memory.close()
        os.close(self._memory_fd)

    def _message(self, deadline_s: float) -> dict[str, Any]:
        """Wait for the next message."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        while b"\n" not in self._pending:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0 or not poll.poll(remaining_s * 1000):
                raise ChildLost("no picture came in time")
            data = os.read(self._stdout.fileno(), 4096)
            if not data:
                raise ChildLost("the process that reads it was ended")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
