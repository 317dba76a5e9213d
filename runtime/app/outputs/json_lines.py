"""The headless face: one JSON line on stdout for every change, for a pipe or a log."""

from __future__ import annotations

import threading
import time
from typing import TextIO

import msgspec

from runtime.app.core.changes import Changes
from runtime.app.core.hub import Hub


class Lines:
    """Writes until closed. broken: whoever read has gone."""

    def __init__(self, hub: Hub, out: TextIO) -> None:
        self._hub, self._out, self._changes = hub, out, Changes()
        self._wake = threading.Event()
        self._mailbox = hub.join(self._wake.set)
        self.broken = False
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, then end."""
        self._mailbox.close()
        self._thread.join()
        self._hub.leave(self._mailbox)

    def _run(self) -> None:
        ended = False
        while not ended and not self.broken:
            self._wake.wait()
            self._wake.clear()
            ended = self._mailbox.closed  # before taking: what came until then is written
            self._write()

    def _write(self) -> None:
        for message in self._mailbox.take():
            if self._changes.is_news(message):
                line = {"time_s": round(time.time(), 3)} | msgspec.to_builtins(message)
                try:
                    self._out.write(msgspec.json.encode(line).decode() + "\n")
                    self._out.flush()
                except (BrokenPipeError, ValueError):  # ValueError: closed
                    self.broken = True
                    return
