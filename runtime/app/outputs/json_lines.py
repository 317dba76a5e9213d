"""`--headless`: one JSON line on stdout for every change, for a pipe or a log."""

from __future__ import annotations

import threading
import time
from typing import TextIO

import msgspec

from runtime.app.core.hub import ChangeFilter, Hub


class JsonLines:
    """Writes until closed. `broken` tells that the reader has closed the pipe."""

    def __init__(self, hub: Hub, out: TextIO) -> None:
        self._hub, self._out, self._changes = hub, out, ChangeFilter()
        self._notified = threading.Event()
        self._mailbox = hub.subscribe(self._notified.set)
        self.broken = False
        self._thread = threading.Thread(target=self._run, name="JSON lines", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the messages that wait, and end."""
        self._mailbox.close()
        self._thread.join()
        self._hub.unsubscribe(self._mailbox)

    def _run(self) -> None:
        ended = False
        while not ended and not self.broken:
            self._notified.wait()
            self._notified.clear()
            ended = self._mailbox.closed  # read before taking, so that what came until then is written
            self._write()

    def _write(self) -> None:
        for message in self._mailbox.take():
            if self._changes.is_change(message):
                line = {"time_s": round(time.time(), 3)} | msgspec.to_builtins(message)
                try:
                    self._out.write(msgspec.json.encode(line).decode() + "\n")
                    self._out.flush()
                except (BrokenPipeError, ValueError):  # ValueError: stdout is closed
                    self.broken = True
                    return
